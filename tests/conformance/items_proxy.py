"""What a ProxyDHCP server, which boots machines beside another server, owes its clients, item by item (PXE 2.1)."""

from __future__ import annotations

from tests.conformance.item import Item

ITEMS: tuple[Item, ...] = (
    Item("X01", "PXE 2.1 2.2.3, 2.2.5", "MUST", "beside another server firmware is offered no address, and PXEClient"),
    Item("X02", "PXE 2.1 2.2.5", "MUST", "such an OFFER configures no network"),
    Item("X03", "PXE 2.1 2.2.5", "MUST", "it repeats xid, chaddr, flags and GUID"),
    Item("X04", "PXE 2.1 2.2.3", "MUST", "its option 43 is well formed and says where to go, or a file is named"),
    Item("X05", "PXE 2.1 2.2.5", "MUST", "who does not boot is left to the other server"),
    Item("X06", "RFC 2131 4.3.2", "MUST", "a REQUEST for the other server is answered neither way"),
    Item("X07", "PXE 2.1 2.2.3.2", "MUST", "a request at port 4011 is acknowledged from there, with a file, to ciaddr"),
    Item("X08", "PXE 2.1 2.2.5", "MUST", "such an ACK gives no address and no lease, and repeats the GUID"),
    Item("X09", "PXE 2.1 2.2.3.2", "MUST", "it goes to the port the request came from, 68 or 4011"),
    Item("X10", "RFC 4578 2.1", "MUST", "UEFI x64 gets another file than BIOS"),
    Item("X11", "UEFI 2.10 24.7.3", "SHOULD", "HTTP boot gets class HTTPClient and a URL"),
    Item("X12", "PXE 2.1 2.2.3", "SHOULD", "iPXE gets its script, not iPXE again"),
    Item("X13", "PXE 2.1 2.2.4", "SHOULD", "the boot item a client chose comes back in the ACK"),
    Item("X14", "PXE 2.1 2.2.5", "MUST", "a message without a PXE class at port 4011 is not answered"),
    Item("X15", "Raspberry Pi ROMs", "SHOULD", "a Raspberry Pi gets class PXEClient and `Raspberry Pi Boot`"),
)
