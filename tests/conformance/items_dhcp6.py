"""Requirements on DHCPv6 for network boot."""

from __future__ import annotations

from tests.conformance.item import Item

ITEMS: tuple[Item, ...] = (
    Item("N20", "RFC 8415 18.3", "MUST", "every message of a client is answered as its kind asks, by one DUID"),
    Item("N21", "RFC 8415 16, 18.4", "MUST", "what names another server, or too much, is dropped; unicast is refused"),
    Item("N22", "RFC 5970 3", "MUST", "the boot file is a URL whose host is an address, by the type of the firmware"),
    Item("N23", "RFC 5970 3.2", "MUST", "option 60 is never sent: EDK2 takes it for the size of the file"),
    Item("N24", "UEFI 2.10 24.7.3", "MUST", "HTTP firmware is told HTTPClient under Intel's number, PXE none"),
    Item("N25", "RFC 6939, RFC 8415 22", "MUST", "a machine is known by its card; what it says opens nothing"),
    Item("G01", "RFC 8415 18.3.1", "SHOULD", "rapid commit gives the address in one exchange"),
    Item("G02", "RFC 8415 6.3", "MUST", "temporary addresses and prefixes are refused with their status"),
    Item("G03", "RFC 8415 19", "MUST", "what relays pass on is answered through them, each told its interface-id"),
    Item("G04", "RFC 8415 18.3.2", "MUST", "a lease is on the disk before its REPLY leaves, and outlives kill -9"),
    Item("G05", "RFC 8415 18.3.6", "MUST", "without addresses: boot files and DNS for who has an address already"),
    Item("G06", "policy", "MUST", "the groups are joined on the chosen interfaces alone, as they come and go"),
    Item("G07", "RFC 4861 4.2", "SHOULD", "where no router does, who solicits is told to ask DHCPv6"),
    Item("G08", "clients", "SHOULD", "Debian's clients get, renew and release their addresses, relayed too"),
)  # fmt: skip
