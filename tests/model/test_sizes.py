"""Amounts of bytes have the unit that fits them."""

from __future__ import annotations

import pytest

from app.model.sizes import binary, decimal


@pytest.mark.parametrize(
    ("count", "words"),
    [
        (0, "0 B"),
        (512, "512 B"),
        (1024, "1.0 KiB"),
        (1_048_576, "1.0 MiB"),
        (64 << 30, "64.0 GiB"),
        (3 << 40, "3.0 TiB"),
        (5000 << 40, "5000.0 TiB"),
    ],
)
def test_memory(count: int, words: str) -> None:
    assert binary(count) == words


@pytest.mark.parametrize(
    ("count", "words"),
    [
        (0, "0 B"),
        (999, "999 B"),
        (8192, "8.2 kB"),
        (64 << 20, "67 MB"),
        (999_600_000, "1.0 GB"),
        (8 << 30, "8.6 GB"),
        (960_197_124_096, "960 GB"),
        (4_000_787_030_016, "4.0 TB"),
        (24_000_000_000_000, "24.0 TB"),
        (1_500_000_000_000_000, "1500 TB"),
    ],
)
def test_disks(count: int, words: str) -> None:
    assert decimal(count) == words
