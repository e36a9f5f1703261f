"""How much is given to a line at a time."""

from __future__ import annotations

import pytest

from app.services.boothttp.delivery import PIECE, PIECE_MIN, PIECE_SECONDS, paced


def test_a_fast_line_gets_large_pieces() -> None:
    step = PIECE_MIN
    for _ in range(10):
        step = paced(step, 0.01)

    assert step == PIECE


@pytest.mark.parametrize("rate", [8_000, 20_000, 64_000, 150_000, 1_000_000])
def test_a_slow_line_has_time_for_each_piece(rate: int) -> None:
    """Octets a second; the first half MiB goes at once, into the buffers of the kernel."""
    step, buffered, most = PIECE_MIN, 512 << 10, 0.0
    for _ in range(50):
        seconds = max(0, step - buffered) / rate
        buffered = max(0, buffered - step)
        most = max(most, seconds)
        step = paced(step, seconds)

    assert most < PIECE_SECONDS
