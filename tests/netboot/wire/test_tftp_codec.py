"""The TFTP codec: octets in, values out, and nothing but TftpError for what is no packet."""

from __future__ import annotations

import struct

import pytest
from hypothesis import given
from hypothesis import strategies as st

from app.netboot.wire import tftp
from app.netboot.wire.tftp import Ack, Code, Error, Op, Request, Terms, TftpError

DECODED = [
    ("plain", b"\0\1ipxe.efi\0octet\0", Request(Op.RRQ, b"ipxe.efi", "octet")),
    ("mode in capitals", b"\0\1a\0OcTeT\0", Request(Op.RRQ, b"a", "octet")),
    ("write", b"\0\2a\0netascii\0", Request(Op.WRQ, b"a", "netascii")),
    (
        "options",
        b"\0\1a\0octet\0tsize\x000\0BLKSIZE\x001428\0",
        Request(Op.RRQ, b"a", "octet", {"tsize": "0", "blksize": "1428"}),
    ),
    ("first of two", b"\0\1a\0octet\0blksize\x008\0blksize\x009\0", Request(Op.RRQ, b"a", "octet", {"blksize": "8"})),
    ("padding", b"\0\1a\0octet\0" + bytes(40), Request(Op.RRQ, b"a", "octet")),
    ("option without value", b"\0\1a\0octet\0blksize\0", Request(Op.RRQ, b"a", "octet")),
    ("ack", b"\0\4\xff\xff", Ack(65535)),
    ("error", b"\0\5\0\x08User aborted\0", Error(8, b"User aborted")),
    ("error without its NUL", b"\0\5\0\0bye", Error(0, b"bye")),
]


@pytest.mark.parametrize(("packet", "value"), [row[1:] for row in DECODED], ids=[row[0] for row in DECODED])
def test_decode(packet: bytes, value: Request | Ack | Error) -> None:
    assert tftp.decode(packet) == value


@pytest.mark.parametrize(
    "packet",
    [b"", b"\0", b"\0\1", b"\0\1\0\0", b"\0\1a\0octet", b"\0\1a", b"\0\3\0\1x", b"\0\6a\0b\0", b"\0\0a\0octet\0",
     b"\0\1\0octet\0", b"\0\1a\0\xff\0", b"\0\1" + b"a" * 1100 + b"\0octet\0"],
    ids=repr,
)  # fmt: skip
def test_what_is_no_packet_is_refused_in_words(packet: bytes) -> None:
    with pytest.raises(TftpError) as caught:
        tftp.decode(packet)
    assert str(caught.value)


@given(st.binary(max_size=700))
def test_any_octets_give_a_value_or_a_tftp_error(packet: bytes) -> None:
    try:
        tftp.decode(packet)
    except TftpError:
        return


@given(
    st.dictionaries(
        st.sampled_from(["blksize", "timeout", "windowsize", "tsize", "multicast"]),
        st.one_of(st.integers(-10, 70000).map(str), st.text(max_size=6)),
    ),
    st.one_of(st.none(), st.integers(0, 2**34)),
)
def test_nothing_illegal_is_ever_agreed_to(options: dict[str, str], size: int | None) -> None:
    terms = tftp.negotiate(options, size, blksize_max=1428, windowsize_max=64, timeout_max=8)
    assert set(terms.accepted) <= set(options) - {"multicast"}
    assert 8 <= terms.blksize <= 1428
    assert 1 <= terms.windowsize <= 64
    assert 0 <= terms.timeout <= 8
    assert ("tsize" in terms.accepted) <= (size is not None)
    for name in ("blksize", "windowsize"):
        if name in terms.accepted:
            assert int(terms.accepted[name]) <= int(options[name])
    if "timeout" in terms.accepted:
        assert terms.accepted["timeout"] == options["timeout"]


def test_encoders() -> None:
    assert tftp.data(65536 + 2, b"xy") == b"\0\3\0\2xy"
    assert tftp.oack({"tsize": "5", "blksize": "8"}) == b"\0\6tsize\x005\0blksize\x008\0"
    assert tftp.error(Code.NOT_FOUND, "file not found") == struct.pack("!HH", 5, 1) + b"file not found\0"
    assert tftp.error(Code.UNDEFINED, "größe") == b"\0\5\0\0gr??e\0"
    assert tftp.netascii(b"a\nb\rc\r\n") == b"a\r\nb\r\0c\r\0\r\n"
    assert Terms() == Terms(512, 0, 1, {})
