"""The DHCPv6 codec against scapy's, an implementation we did not write."""

from __future__ import annotations

from ipaddress import IPv6Address

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from app.netboot.wire import dhcp6, options6
from app.netboot.wire.dhcp6 import Kind, Message, RelayMessage
from app.netboot.wire.options6 import Ia, IaAddress, Status

scapy6 = pytest.importorskip("scapy.layers.dhcp6")
LINK = IPv6Address("fd00:7::1")
PEER = IPv6Address("fe80::5054:ff:fe00:7")
ADDRESSES = st.integers(1, 2**128 - 1).map(IPv6Address)


@settings(max_examples=25, deadline=None)
@given(
    xid=st.integers(0, 0xFFFFFF), address=ADDRESSES, iaid=st.integers(0, 0xFFFFFFFF), valid=st.integers(0, 0xFFFFFFFF)
)
def test_scapy_reads_what_we_write(xid: int, address: IPv6Address, iaid: int, valid: int) -> None:
    ia = Ia(iaid, 1, 2, ((dhcp6.IA_ADDRESS, IaAddress(address, valid, valid).encode()),))
    reply = Message(
        Kind.REPLY,
        xid,
        (
            (dhcp6.CLIENT_ID, bytes.fromhex("00030001525400000007")),
            (dhcp6.SERVER_ID, options6.duid_of_uuid(bytes(range(16)))),
            (dhcp6.IA_NA, ia.encode()),
            (dhcp6.DNS, options6.addresses([LINK])),
            (dhcp6.DOMAIN_LIST, options6.domains("rack.test")),
            (dhcp6.BOOTFILE_URL, b"http://[fd00:7::1]:8090/ipxe.efi"),
            (dhcp6.VENDOR_CLASS, options6.vendor_class(options6.INTEL, b"HTTPClient")),
            options6.status(Status.NO_BINDING, "none"),
        ),
    )
    read = scapy6.DHCP6_Reply(reply.encode())
    assert read.trid == xid
    assert read[scapy6.DHCP6OptClientId].duid.lladdr == "52:54:00:00:00:07"
    assert bytes(read[scapy6.DHCP6OptServerId].duid) == b"\0\4" + bytes(range(16))
    found = read[scapy6.DHCP6OptIA_NA]
    assert (found.iaid, found.T1, found.T2) == (iaid, 1, 2)
    assert IPv6Address(found.ianaopts[0].addr) == address
    assert found.ianaopts[0].validlft == valid
    assert read[scapy6.DHCP6OptDNSServers].dnsservers == [str(LINK)]
    assert read[scapy6.DHCP6OptDNSDomains].dnsdomains == ["rack.test."]
    assert read[scapy6.DHCP6OptBootFileUrl].optdata == b"http://[fd00:7::1]:8090/ipxe.efi"
    assert read[scapy6.DHCP6OptVendorClass].enterprisenum == 343
    assert read[scapy6.DHCP6OptVendorClass].vcdata[0].data == b"HTTPClient"
    assert read[scapy6.DHCP6OptStatusCode].statuscode == 3


@settings(max_examples=25, deadline=None)
@given(xid=st.integers(0, 0xFFFFFF), hops=st.integers(0, 7))
def test_we_read_what_scapy_writes(xid: int, hops: int) -> None:
    solicit = (
        scapy6.DHCP6_Solicit(trid=xid)
        / scapy6.DHCP6OptClientId(duid=scapy6.DUID_LLT(lladdr="52:54:00:00:00:07", timeval=1))
        / scapy6.DHCP6OptIA_NA(iaid=7, ianaopts=[scapy6.DHCP6OptIAAddress(addr="fd00:7::9")])
        / scapy6.DHCP6OptOptReq(reqopts=[59, 60])
        / scapy6.DHCP6OptUserClass(userclassdata=[scapy6.USER_CLASS_DATA(data=b"iPXE")])
        / scapy6.DHCP6OptClientArchType(archtypes=[7, 9])
        / scapy6.DHCP6OptClientNetworkInterId(iitype=1, iimajor=3, iiminor=16)
    )
    relayed = (
        scapy6.DHCP6_RelayForward(hopcount=hops, linkaddr=str(LINK), peeraddr=str(PEER))
        / scapy6.DHCP6OptIfaceId(ifaceid=b"eth3")
        / scapy6.DHCP6OptClientLinkLayerAddr(clladdr="52:54:00:00:00:07")
        / scapy6.DHCP6OptRelayMsg(message=solicit)
    )
    message, (relay,) = dhcp6.unwrap(bytes(relayed))
    assert (message.kind, message.xid) == (Kind.SOLICIT, xid)
    assert options6.duid_link(message.get(dhcp6.CLIENT_ID) or b"") == "52:54:00:00:00:07"
    ia = options6.ia(message.get(dhcp6.IA_NA) or b"")
    assert ia.iaid == 7
    assert options6.ia_address(dict(ia.options)[dhcp6.IA_ADDRESS]).address == IPv6Address("fd00:7::9")
    assert options6.numbers(message.get(dhcp6.OPTION_REQUEST)) == (59, 60)
    assert options6.items(message.get(dhcp6.USER_CLASS)) == (b"iPXE",)
    assert options6.numbers(message.get(dhcp6.ARCHITECTURE)) == (7, 9)
    assert options6.interface_version(message.get(dhcp6.INTERFACE_VERSION)) == (1, 3, 16)
    assert (relay.hops, relay.link, relay.peer) == (hops, LINK, PEER)
    assert relay.get(dhcp6.INTERFACE_ID) == b"eth3"
    assert options6.link_address(relay.get(dhcp6.CLIENT_LINK_ADDRESS)) == "52:54:00:00:00:07"


def test_scapy_reads_a_relayed_reply() -> None:
    options = ((dhcp6.INTERFACE_ID, b"eth3"), (dhcp6.RELAY_MESSAGE, b""))
    relay = RelayMessage(Kind.RELAY_FORWARD, 1, LINK, PEER, options)
    read = scapy6.DHCP6_RelayReply(dhcp6.wrap(Message(Kind.REPLY, 5), (relay,)))
    assert (read.hopcount, read.linkaddr, read.peeraddr) == (1, str(LINK), str(PEER))
    assert read[scapy6.DHCP6OptIfaceId].ifaceid == b"eth3"
    assert read[scapy6.DHCP6_Reply].trid == 5
