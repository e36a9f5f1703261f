"""Requirements that need no wire: options of RFCs beside 2131, and the rules of PXE and UEFI firmware."""

from __future__ import annotations

from tests.conformance.item import Item

OPTIONS: tuple[Item, ...] = (
    Item(
        "N01", "RFC 3046 2.1.1", "POLICY", "option 82 without a relay is a switch's: echoed, and nothing in it believed"
    ),
    Item("N02", "RFC 3203", "MUST", "FORCERENEW is never sent, for messages are not authenticated"),
    Item("N03", "RFC 3118", "MUST", "option 90 is ignored"),
    Item("N04", "RFC 4388, 6926", "MUST", "lease queries are not answered: leases are nobody's to read"),
    Item("N05", "RFC 3442", "MUST", "who asks for option 121 gets it in place of 3, significant octets only"),
    Item("N06", "RFC 3397, 3396", "MUST", "option 119 points back to what it repeats, and is split over 255 octets"),
    Item("N07", "RFC 3925", "MUST", "several enterprises in one option are told apart"),
    Item("N08", "RFC 4702", "MUST", "option 81 is survived in every form, labels over 63 octets too"),
    Item("N09", "RFC 5859", "SHOULD", "option 150 is a list of addresses"),
    Item("N10", "RFC 5071", "SHOULD", "options 208 to 211 reach PXELINUX and petitboot"),
    Item("N11", "RFC 2563", "MUST", "option 116 is sent only when it is set"),
    Item("N12", "RFC 8910", "POLICY", "option 114 is sent only when it is set, to ONIE as its default URL"),
    Item("N13", "RFC 8925", "MUST", "option 108 is sent only when it is set"),
    Item("N14", "RFC 5010", "MUST", "the relay's flags come back as they were"),
    Item("N15", "RFC 8357", "MUST", "a relay with a source port of its own is answered there"),
    Item("N16", "RFC 3993, 4030", "MUST", "subscriber and authentication of a relay come back as they were"),
    Item("N17", "RFC 2132 3.8", "MUST", "an address, or a list of them, of another length is ignored"),
    Item("N18", "RFC 2131 4.4.5", "MUST", "T1 and T2 follow from the lease time of the very reply"),
    Item("N19", "RFC 3396 7", "MUST", "only an option over 255 octets is split"),
    Item("N26", "UEFI 2.10 24.7.3", "SHOULD", "URLs name an address, so that no DNS is needed"),
    Item("N27", "RFC 2090, 2349", "INFO", "TFTP multicast is not agreed to"),
)

FIRMWARE: tuple[Item, ...] = (
    Item("F01", "PXE 2.1 2.2", "MUST", "one host: a plain boot file, and option 60 never without 43"),
    Item("F02", "PXE 2.1 2.2.5", "MUST", "a proxy gives no address, and answers only who says it boots"),
    Item("F03", "PXE 2.1 2.2.3", "SHOULD", "port 4011 is answered whoever gives the addresses"),
    Item("F04", "PXE 2.1 table 2-1", "MUST", "option 43 is well formed and closed with END"),
    Item("F05", "PXE 2.1 2.2.3.2", "MUST", "port 4011 answers to the port that asked, with the item that was chosen"),
    Item(
        "F06", "UEFI 2.10 24.7.3", "MUST", "HTTP firmware gets option 60 HTTPClient, a URL, and no more than it takes"
    ),
    Item("F07", "iPXE", "MUST", "iPXE gets its script whichever way it can be known"),
    Item(
        "F08", "Raspberry Pi's ROM", "SHOULD", "a Raspberry Pi is told what it looks for, and remembered at its REQUEST"
    ),
    Item("F09", "old ROMs", "SHOULD", "300 octets, 53, 54 and 51 first, no PAD before END, no NUL after a file's name"),
    Item("F10", "UEFI firmware", "SHOULD", "option 66 is an address, never a name"),
    Item("F11", "RFC 2131 2", "MUST", "reserved flags are noise"),
    Item("F12", "RFC 4578 2.3", "MUST", "machines with the same UUID, or none, are told apart"),
    Item("F13", "field reports", "SHOULD", "a DISCOVER with an address is answered"),
    Item("F14", "RFC 4390", "SHOULD", "InfiniBand is its client identifier and answered by broadcast"),
    Item("F15", "PXE 2.1 2.2", "SHOULD", "each repeated DISCOVER is answered with the same address"),
    Item("F16", "shim 16", "MUST", "what shim starts is found beside it by TFTP and HTTP, however its slashes fall"),
    Item("F17", "shim 16, iPXE", "SHOULD", "revocation lists, certificates and autoexec.ipxe are refused at once"),
    Item("F18", "shim 16", "SHOULD", "a request without any name is refused at once"),
)
