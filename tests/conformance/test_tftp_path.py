"""A way that loses what is larger than a tunnel takes: a black hole, as the first large block meets it (RFC 2923)."""

from __future__ import annotations

from pathlib import Path

import pytest
import tftpy

from tests import netns
from tests.conformance.tftpbench import PORT, SERVER, Bench

pytestmark = pytest.mark.root
# A tunnel's: 1500 without the 50 octets of VXLAN. What is larger vanishes without a word.
TUNNEL = 1450
RULES = f"""
table ip tunnel {{
  chain input {{
    type filter hook input priority 0;
    ip protocol udp ip length > {TUNNEL} drop
  }}
}}
"""


def test_t16_blocks_are_lowered_for_a_machine_behind_a_tunnel(bench: Bench, tmp_path: Path) -> None:
    netns.run(bench.reader, ["nft", "-f", "-"], data=RULES)
    before = len(bench.service.events)
    out = tmp_path / "out"

    def fetch() -> None:
        client = tftpy.TftpClient(SERVER, PORT, {"blksize": 1456, "tsize": 0})
        client.download("loader.efi", str(out), timeout=2, retries=1)

    with pytest.raises(tftpy.TftpTimeout):
        netns.call(bench.reader, fetch)
    netns.call(bench.reader, fetch)

    assert out.read_bytes() == bench.content("loader.efi")
    lowered = [event for event in bench.service.events[before:] if event.kind == "tftp.lowered"]
    assert [(event.data["was"], event.data["blksize"]) for event in lowered] == [(1456, 1408)]


@pytest.mark.parametrize("windowsize", ["1", "4"])
async def test_t22_blocks_that_pass_alone_are_not_sent_together_for_ever(bench: Bench, windowsize: str) -> None:
    """A filter on the server's own host sees a window before it is cut, and takes it for one large packet."""
    netns.run(bench.server, ["nft", "-f", "-"], data=RULES.replace("input", "output"))
    try:
        with bench.peer() as peer:
            options = {"blksize": "1400", "windowsize": windowsize}
            assert await peer.read(b"loader.efi", options) == bench.content("loader.efi")
    finally:
        netns.run(bench.server, ["nft", "delete", "table", "ip", "tunnel"])
