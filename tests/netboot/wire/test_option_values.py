"""Values of DHCP options: octets as the RFCs draw them, scapy's as an oracle, and back to text."""

from __future__ import annotations

import time
from collections.abc import Callable

import pytest
from hypothesis import given
from hypothesis import strategies as st

from app.netboot.wire.catalogue import OPTIONS, Kind, Option, find
from app.netboot.wire.options import DhcpError
from app.netboot.wire.values import decode, encode, fqdn_reply


def option(name: str) -> Option:
    found = find(name)
    assert found is not None
    return found


@pytest.mark.parametrize(
    ("name", "text", "octets"),
    [
        ("time-offset", "-3600", "fffff1f0"),
        ("ntp-servers", "10.0.0.1,10.0.0.2 10.0.0.3", "0a0000010a0000020a000003"),
        ("42", "10.0.0.1", "0a000001"),
        ("NTP Servers", "10.0.0.1", "0a000001"),
        ("interface-mtu", "0x2328", "2328"),
        ("path-mtu-plateau-table", "68, 296", "00440128"),
        ("ip-forwarding", "yes", "01"),
        ("router-discovery", "off", "00"),
        ("default-ip-ttl", "64", "40"),
        ("static-routes", "10.9.0.0 10.7.0.1", "0a0900000a070001"),
        ("policy-filter", "10.9.0.0/255.255.0.0", "0a090000ffff0000"),
        ("root-path", "iscsi:10.0.0.1::::iqn.a", b"iscsi:10.0.0.1::::iqn.a".hex()),
        # RFC 3442 page 5: the widths of prefixes.
        ("classless-static-route", "0.0.0.0/0 via 10.7.0.1", "000a070001"),
        ("121", "default=10.7.0.1, 10.0.0.0/8 10.7.0.2", "000a070001" + "080a0a070002"),
        ("121", "10.17.0.0/16 via 10.7.0.1, 10.27.129.0/24 via 10.7.0.1", "100a110a070001" + "180a1b810a070001"),
        ("121", "10.229.0.128/25 via 10.7.0.1, 10.198.122.47/32 via 10.7.0.1",
         "190ae500800a070001" + "200ac67a2f0a070001"),
        # RFC 3397 section 2: eng.apple.com. marketing.apple.com.
        ("domain-search", "eng.apple.com, marketing.apple.com",
         "03656e67056170706c6503636f6d00" + "096d61726b6574696e67" + "c004"),
        ("v4-lost", "lost.example", "046c6f7374076578616d706c6500"),
        # RFC 3361 section 3.
        ("sip-servers", "192.0.2.1, 192.0.2.2", "01c0000201c0000202"),
        ("sip-servers", "a.example", "000161076578616d706c6500"),
        ("slp-directory-agent", "mandatory 10.0.0.1", "010a000001"),
        ("slp-service-scope", "lab", "006c6162"),
        ("43", "1=ip:10.0.0.1; 2=string:a,b; 3=hex:00ff", "01040a000001" + "0203612c62" + "030200ff"),
        # RFC 3925 section 4.
        ("vivso-suboptions", "4491 1=hex:0a | 3561 2=uint16:80", "0000118b03" + "01010a" + "00000de904" + "02020050"),
        ("v4-dhcp4o6-s46-saddr", "2001:db8::1", "20010db8000000000000000000000001"),
        ("224", "uint16:7", "0007"),
        ("224", "ip-list:10.0.0.1, 10.0.0.2", "0a0000010a000002"),
        ("ntp-servers", "hex:0a:00:00:01", "0a000001"),
        ("nds-context", "string:hex:", b"hex:".hex()),
    ],
)  # fmt: skip
def test_values(name: str, text: str, octets: str) -> None:
    assert encode(option(name), text).hex() == octets


@pytest.mark.parametrize(
    ("name", "text", "why"),
    [
        ("ntp-servers", "10.0.0", "'10.0.0' is not an IPv4 address"),
        ("ntp-servers", "", "an empty value says nothing"),
        ("interface-mtu", "65536", "65536 is not from 0 to 65535"),
        ("interface-mtu", "big", "'big' is not a number"),
        ("time-offset", "2147483648", "is not from -2147483648 to 2147483647"),
        ("ip-forwarding", "maybe", "neither yes nor no"),
        ("static-routes", "10.9.0.0", "not a list of pairs"),
        ("121", "10.0.0.1/8 via 10.7.0.1", "'10.0.0.1/8' is not a network"),
        ("121", "10.0.0.0/8", "is not a route"),
        ("domain-search", "a..b", "is not a domain name"),
        ("domain-search", f"{'a' * 64}.example", "is not a domain name"),
        ("fqdn", "-a.example", "is not a domain name"),
        ("root-path", "a\0b", "cannot hold a NUL"),
        ("isns", "xyz", "is not hexadecimal"),
        ("224", "7", "its type is not known"),
        ("vendor-encapsulated-options", "hello", "is not a sub-option"),
        ("vendor-encapsulated-options", "255=hex:00", "is not a sub-option"),
        ("root-path", "a" * 1025, "too many"),
    ],
)
def test_values_that_are_none(name: str, text: str, why: str) -> None:
    with pytest.raises(DhcpError, match=why):
        encode(option(name), text)


IPS = st.lists(st.ip_addresses(v=4).map(str), min_size=1, max_size=8).map(", ".join)
LABEL = st.from_regex(r"[a-z0-9]([a-z0-9-]{0,8}[a-z0-9])?", fullmatch=True)
NAMES = st.lists(st.lists(LABEL, min_size=1, max_size=5).map(".".join), min_size=1, max_size=6).map(", ".join)
ROUTES = st.lists(
    st.tuples(st.integers(0, 0xFFFFFFFF), st.integers(0, 32), st.ip_addresses(v=4)), min_size=1, max_size=6
)
TEXTS: dict[Kind, st.SearchStrategy[str]] = {
    Kind.IP: st.ip_addresses(v=4).map(str),
    Kind.IPS: IPS,
    Kind.UINT8: st.integers(0, 255).map(str),
    Kind.UINT16: st.integers(0, 65535).map(str),
    Kind.UINT32: st.integers(0, 2**32 - 1).map(str),
    Kind.INT32: st.integers(-(2**31), 2**31 - 1).map(str),
    Kind.BOOL: st.sampled_from(["yes", "no"]),
    Kind.STRING: st.text(st.characters(codec="ascii", categories=["L", "N"]), min_size=1, max_size=300),
    Kind.DOMAINS: NAMES,
    Kind.SEARCH: NAMES,
    Kind.SIP: st.one_of(IPS, NAMES.filter(lambda text: not text.replace(".", "").replace(", ", "").isdecimal())),
}


@given(st.data())
def test_what_is_written_is_read_back(data: st.DataObject) -> None:
    kind = data.draw(st.sampled_from(sorted(TEXTS)))
    told = Option(224, "any", "", Kind(kind))
    text = data.draw(TEXTS[Kind(kind)])

    assert decode(told, encode(told, text)) == text


@given(ROUTES)
def test_routes_are_read_back(routes: list[tuple[int, int, object]]) -> None:
    from ipaddress import IPv4Network

    text = ", ".join(
        f"{IPv4Network((number & ~((1 << (32 - length)) - 1) & 0xFFFFFFFF, length))} via {router}"
        for number, length, router in routes
    )

    assert decode(option("121"), encode(option("121"), text)) == text


@given(st.sampled_from(sorted(OPTIONS)), st.binary(max_size=300))
def test_whatever_a_client_sends_has_a_text_of_the_same_octets(code: int, octets: bytes) -> None:
    text = decode(OPTIONS[code], octets)

    assert isinstance(text, str)
    if octets and OPTIONS[code].kind is not Kind.SEARCH:
        assert encode(OPTIONS[code], text) == octets


def pointers(to: Callable[[int], int], head: bytes) -> bytes:
    """As many names as a datagram holds, each a pointer to the octet that `to` says for its place."""
    area = bytearray(head)
    while len(area) < 3800:
        area += (0xC000 | to(len(area))).to_bytes(2, "big")
    return bytes(area)


@pytest.mark.parametrize(
    "octets",
    [
        pointers(lambda at: max(0, at - 2), b"\0"),
        pointers(lambda at: 0, b"\1a" * 120 + b"\0"),
        pointers(lambda at: 0, b"\1a" * 900 + b"\0"),
        pointers(lambda at: max(0, at - 2), b"\0")[:1001],
        pointers(lambda at: 0, b"\1a" * 120 + b"\0")[:1001],
        pointers(lambda at: at & 0xFE, b"\1a" * 300 + b"\0")[:1001],
    ],
)
def test_names_that_a_client_folds_into_each_other_take_no_time(octets: bytes) -> None:
    """One packet is not to keep the thread that answers all others busy: a look takes milliseconds."""
    took: list[float] = []
    for _ in range(3):
        began = time.thread_time()
        assert decode(option("119"), octets) == f"hex:{octets.hex()}"
        took.append(time.thread_time() - began)

    assert min(took) < 0.05


def test_a_text_that_looks_like_a_prefix_is_told_as_octets() -> None:
    assert decode(option("root-path"), b"hex:00") == "hex:6865783a3030"


def test_scapy_agrees() -> None:
    from scapy.layers.dhcp import BOOTP, DHCP

    told = [
        ("router", "routers", "10.0.0.1", "10.0.0.1"),
        ("name_server", "domain-name-servers", "10.0.0.1", "10.0.0.1"),
        ("hostname", "host-name", "node-07", "node-07"),
        ("domain", "domain-name", "lab.example", "lab.example"),
        ("NTP_server", "ntp-servers", "10.0.0.9", "10.0.0.9"),
        ("interface-mtu", "interface-mtu", "9000", 9000),
        ("time_zone", "time-offset", "3600", 3600),
        ("default_ttl", "default-ip-ttl", "64", 64),
        ("arp_cache_timeout", "arp-cache-timeout", "60", 60),
        ("root_disk_path", "root-path", "nfs:/r", b"nfs:/r"),
    ]
    for theirs, ours, text, value in told:
        raw = bytes(BOOTP(options=b"\x63\x82\x53\x63") / DHCP(options=[(theirs, value), "end"]))[240:]
        octets = encode(option(ours), text)

        assert raw[: 2 + len(octets)] == bytes((option(ours).code, len(octets))) + octets, ours


def test_every_name_is_one_options() -> None:
    assert len({item.name for item in OPTIONS.values()}) == len(OPTIONS)
    assert [item.code for item in OPTIONS.values() if find(item.name) != item or find(str(item.code)) != item] == []
    assert [find(word) for word in ("0", "255", "256", "-1", "", "no such")] == [None] * 6
    private = find("230")
    assert private is not None
    assert private.kind is Kind.ANY


@pytest.mark.parametrize(
    ("asked", "told"),
    [
        # RFC 4702: E=1, S=1: wire form, O set; E=0: text. N is always set, for no record is made.
        ("050000", "0effff" + "046e6f6465076578616d706c6500"),
        ("040000", "0cffff" + "046e6f6465076578616d706c6500"),
        ("010000", "0affff" + b"node.example".hex()),
        ("", "08ffff" + b"node.example".hex()),
    ],
)
def test_the_answer_to_a_client_that_names_itself(asked: str, told: str) -> None:
    assert fqdn_reply(bytes.fromhex(asked), encode(option("fqdn"), "node.example")).hex() == told


EXAMPLES: dict[Kind, str] = {
    Kind.IP: "10.7.0.9",
    Kind.IPS: "10.7.0.1, 10.7.0.2",
    Kind.PAIRS: "10.9.0.0 10.7.0.1, 10.9.1.0 10.7.0.2",
    Kind.UINT8: "64",
    Kind.UINT16: "9000",
    Kind.UINT16S: "296, 576, 1500",
    Kind.UINT32: "86400",
    Kind.INT32: "-3600",
    Kind.BOOL: "yes",
    Kind.STRING: "node-07",
    Kind.HEX: "010aff",
    Kind.ROUTES: "10.0.0.0/8 via 10.7.0.2, 0.0.0.0/0 via 10.7.0.1",
    Kind.DOMAIN: "lost.example.net",
    Kind.DOMAINS: "a.example.net, b.example.net",
    Kind.SEARCH: "lab.example.net, example.net",
    Kind.FQDN: "node-07.example.net",
    Kind.SIP: "10.7.0.9",
    Kind.AGENTS: "mandatory 10.7.0.9",
    Kind.SCOPES: "mandatory lab",
    Kind.IPV6S: "2001:db8::1, 2001:db8::2",
    Kind.SUBOPTIONS: "1=hex:0a070009; 2=hex:6c6162",
    Kind.VENDORS: "4491 1=hex:01; 2=hex:0050",
}
# IANA "BOOTP Vendor Extensions and DHCP Options": what has no meaning of its own is left out (removed, unassigned, in
# private use), and so are 128 to 135, which mean another thing to each vendor.
ASSIGNED = {
    *range(1, 84), *range(85, 96), *range(97, 102), 108, 109, 112, 113, 114, *range(116, 126), *range(136, 149), 150,
    *range(151, 160), 161, 162, 175, *range(208, 214), 220, 221,
}  # fmt: skip


def test_every_option_that_is_assigned_has_a_type() -> None:
    assert ASSIGNED - OPTIONS.keys() == set()
    assert {item.kind for item in OPTIONS.values()} <= EXAMPLES.keys()


@pytest.mark.parametrize("item", OPTIONS.values(), ids=lambda item: item.title)
def test_every_option_is_written_by_name_and_number_and_read_back(item: Option) -> None:
    text = EXAMPLES[item.kind]
    told = {encode(option(word), text) for word in (item.name, str(item.code), item.iana) if find(word) == item}

    octets = told.pop()
    assert not told
    if item.kind in TEXTS or item.kind is Kind.ROUTES:
        assert decode(item, octets) == text
    elif item.kind is not Kind.FQDN:  # what a client is sent of it has flags before the name: see fqdn_reply
        assert encode(item, decode(item, octets)) == octets


def test_types_are_those_scapy_knows() -> None:
    from scapy.fields import ByteField, IntField, IPField, ShortField
    from scapy.layers.dhcp import DHCPOptions

    kinds = {
        IPField: {Kind.IP, Kind.IPS, Kind.PAIRS},
        IntField: {Kind.UINT32, Kind.INT32},
        ShortField: {Kind.UINT16, Kind.UINT16S},
        ByteField: {Kind.UINT8, Kind.BOOL},
    }
    told = {code: kinds[type(field)] for code, field in DHCPOptions.items() if type(field) in kinds and code in OPTIONS}
    wrong = {code: OPTIONS[code].kind for code, wanted in told.items() if OPTIONS[code].kind not in wanted}

    assert len(told) > 50
    assert wrong == {}
