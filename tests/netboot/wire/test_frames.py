"""Frames checked against scapy, which did not help to write them."""

from __future__ import annotations

import warnings
from ipaddress import IPv4Address, IPv6Address, IPv6Network

import pytest
from hypothesis import given
from hypothesis import strategies as st

from app.netboot.wire import frames, icmp6

with warnings.catch_warnings():
    warnings.simplefilter("ignore")  # scapy's import-time deprecations are not ours to mend
    from scapy.layers.inet import IP, UDP
    from scapy.layers.inet6 import ICMPv6ND_RA, ICMPv6ND_RS, ICMPv6NDOptPrefixInfo, IPv6
    from scapy.layers.l2 import ARP, Ether

SERVER, CLIENT = "52:54:00:00:00:01", "52:54:00:00:00:07"
ADDRESS = st.integers(0, 2**32 - 1).map(IPv4Address)
PORT = st.integers(0, 65535)


@given(src=ADDRESS, dst=ADDRESS, sport=PORT, dport=PORT, payload=st.binary(max_size=1472))
def test_udp_frame_is_what_scapy_builds(
    src: IPv4Address, dst: IPv4Address, sport: int, dport: int, payload: bytes
) -> None:
    ours = frames.ethernet_udp4(SERVER, CLIENT, src, dst, sport, dport, payload)
    theirs = Ether(src=SERVER, dst=CLIENT) / IP(src=str(src), dst=str(dst), flags="DF", id=0, ttl=64)
    theirs = theirs / UDP(sport=sport, dport=dport) / payload

    assert ours == bytes(theirs)


@given(src=ADDRESS, dst=ADDRESS, sport=PORT, dport=PORT, payload=st.binary(max_size=300))
def test_udp_frame_round_trips(src: IPv4Address, dst: IPv4Address, sport: int, dport: int, payload: bytes) -> None:
    frame = frames.ethernet_udp4(SERVER, "ff:ff:ff:ff:ff:ff", src, dst, sport, dport, payload)
    found = frames.parse_udp4(frame + b"\0" * 7)  # switches pad short frames

    assert found == frames.UdpFrame(SERVER, "ff:ff:ff:ff:ff:ff", src, dst, sport, dport, payload)
    assert found is not None
    assert found.broadcast


@given(st.binary(max_size=120))
def test_no_frame_breaks_the_parsers(raw: bytes) -> None:
    for frame in (raw, raw[:12] + b"\x08\x00\x45" + raw[12:], raw[:12] + b"\x86\xdd\x60" + raw[12:]):
        assert frames.parse_udp4(frame) is None or isinstance(frames.parse_udp4(frame), frames.UdpFrame)
        assert icmp6.parse_router_message(frame) is None or frame[20] == 58


def test_solicitation_of_a_booting_machine_is_read() -> None:
    raw = bytes(
        Ether(src=CLIENT, dst="33:33:00:00:00:02") / IPv6(src="fe80::1", dst="ff02::2", hlim=255) / ICMPv6ND_RS()
    )
    found = icmp6.parse_router_message(raw)

    assert found == icmp6.RouterMessage(icmp6.ROUTER_SOLICITATION, CLIENT, IPv6Address("fe80::1"))


@pytest.mark.parametrize(("lifetime", "prefix"), [(1800, True), (0, False), (1800, False)])
def test_advertisement_of_another_router_is_read(lifetime: int, prefix: bool) -> None:
    packet = Ether(src=SERVER, dst="33:33:00:00:00:01") / IPv6(src="fe80::9", dst="ff02::1", hlim=255)
    packet = packet / ICMPv6ND_RA(routerlifetime=lifetime)
    if prefix:
        packet = packet / ICMPv6NDOptPrefixInfo(prefix="2001:db8::", prefixlen=64)
    found = icmp6.parse_router_message(bytes(packet))

    assert found is not None
    assert (found.kind, found.lifetime, found.has_prefix) == (icmp6.ROUTER_ADVERTISEMENT, lifetime, prefix)


@pytest.mark.parametrize(
    ("name", "position", "value"),
    [("hop limit", 21, 64), ("code", 55, 1), ("checksum", 56, 0x55), ("another protocol", 20, 17)],
)
def test_forged_router_messages_are_ignored(name: str, position: int, value: int) -> None:
    raw = bytearray(
        bytes(Ether(src=CLIENT, dst="33:33:00:00:00:02") / IPv6(src="fe80::1", dst="ff02::2", hlim=255) / ICMPv6ND_RS())
    )
    assert raw[position] != value, name
    raw[position] = value

    assert icmp6.parse_router_message(bytes(raw)) is None


@pytest.mark.parametrize("asker", ["fe80::5054:ff:fe00:7", "::"])
def test_no_router_is_unicast_with_lifetime_zero_and_no_prefix(asker: str) -> None:
    raw = icmp6.no_router(SERVER, icmp6.link_local(SERVER), CLIENT, IPv6Address(asker))
    parsed = Ether(raw)

    assert parsed.dst == CLIENT
    assert parsed[IPv6].dst == "fe80::5054:ff:fe00:7"
    assert parsed[IPv6].hlim == 255
    advert = parsed[ICMPv6ND_RA]
    assert (advert.routerlifetime, advert.M, advert.O) == (0, 0, 0)
    assert not parsed.haslayer(ICMPv6NDOptPrefixInfo)
    del parsed[ICMPv6ND_RA].cksum
    assert bytes(parsed) == raw, "checksum as scapy computes it"


@pytest.mark.parametrize("managed", [True, False])
def test_where_dhcpv6_is_served_it_says_so_and_names_the_prefix_of_the_link(managed: bool) -> None:
    advice = icmp6.Advice(IPv6Network("fd00:7::/64"), managed=managed)
    raw = icmp6.no_router(SERVER, icmp6.link_local(SERVER), CLIENT, IPv6Address("::"), advice)
    parsed = Ether(raw)

    advert, prefix = parsed[ICMPv6ND_RA], parsed[ICMPv6NDOptPrefixInfo]
    assert (advert.routerlifetime, advert.M, advert.O) == (0, int(managed), 1)
    assert (prefix.prefix, prefix.prefixlen, prefix.L, prefix.A) == ("fd00:7::", 64, 1, 0)
    del parsed[ICMPv6ND_RA].cksum
    assert bytes(parsed) == raw, "checksum as scapy computes it"


@given(address=ADDRESS)
def test_arp_probe_is_what_scapy_builds(address: IPv4Address) -> None:
    theirs = Ether(src=SERVER, dst="ff:ff:ff:ff:ff:ff") / ARP(hwsrc=SERVER, psrc="0.0.0.0", pdst=str(address))

    assert frames.arp_probe(SERVER, address) == bytes(theirs)


@given(address=ADDRESS, padding=st.integers(0, 18))
def test_arp_reply_is_read(address: IPv4Address, padding: int) -> None:
    reply = ARP(op=2, hwsrc=CLIENT, psrc=str(address), hwdst=SERVER, pdst="0.0.0.0")
    frame = bytes(Ether(src=CLIENT, dst=SERVER) / reply) + bytes(padding)

    assert frames.parse_arp_reply(frame) == (address, CLIENT)


@given(noise=st.binary(max_size=80))
def test_what_is_no_arp_reply_is_nothing(noise: bytes) -> None:
    assert frames.parse_arp_reply(noise) is None
    assert frames.parse_arp_reply(frames.arp_probe(SERVER, IPv4Address("10.7.0.9"))) is None
    reply = bytes(Ether(src=CLIENT, dst=SERVER) / ARP(op=2, hwsrc=CLIENT, psrc="10.7.0.9"))
    assert frames.parse_arp_reply(reply[:41]) is None
    assert frames.parse_arp_reply(reply[:14] + b"\0\6" + reply[16:]) is None
