"""Every item, in the chapters of docs/conformance.md."""

from __future__ import annotations

from tests.conformance import items_dhcp, items_dhcp6, items_http, items_proxy, items_tftp, items_units
from tests.conformance.item import Item

CHAPTERS: dict[str, tuple[Item, ...]] = {
    "DHCP": items_dhcp.ITEMS,
    "ProxyDHCP": items_proxy.ITEMS,
    "DHCPv6": items_dhcp6.ITEMS,
    "TFTP": items_tftp.ITEMS,
    "HTTP": items_http.ITEMS,
    "Options": items_units.OPTIONS,
    "Firmware": items_units.FIRMWARE,
}
