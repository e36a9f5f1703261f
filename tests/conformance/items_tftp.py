"""What a TFTP server owes its readers, item by item (RFC 1350, 2347, 2348, 2349, 7440, and boot firmware's habits)."""

from __future__ import annotations

from tests.conformance.item import Item

ITEMS: tuple[Item, ...] = (
    Item("T01", "RFC 1350 2", "MUST", "a file of 513 octets arrives whole, in two DATA blocks"),
    Item("T02", "RFC 1350 4", "MUST", "a transfer comes from one new port that stays the same"),
    Item("T03", "RFC 1350 6", "MUST", "a file of whole blocks ends with an empty DATA block"),
    Item("T04", "RFC 1350 6", "MUST", "an empty file is one empty DATA block"),
    Item("T05", "RFC 1350 5", "MUST", "a missing file is ERROR 1 with a text that ends in NUL"),
    Item("T06", "RFC 1350 2", "MUST", "DATA that is not acknowledged is sent again from the same port"),
    Item("T07", "RFC 1123 4.2.3.1", "MUST", "a repeated ACK does not repeat the DATA that follows it"),
    Item("T08", "RFC 1350 2", "MUST", "an ACK of a block that was not sent yet skips nothing"),
    Item("T09", "RFC 1350 4", "SHOULD", "a packet from a stranger's port is answered ERROR 5"),
    Item("T10", "RFC 1350 4", "MUST", "a stranger's packet, ACK or ERROR, leaves the transfer alone"),
    Item("T11", "RFC 1350 1", "MUST", "the mode's name is taken in any case"),
    Item("T12", "RFC 764", "SHOULD", "netascii: LF is sent as CR LF, CR as CR NUL"),
    Item("T13", "RFC 1350 5", "MUST", "an unknown mode is refused with an ERROR"),
    Item("T14", "policy", "MUST", "writing is refused and leaves nothing behind"),
    Item("T15", "RFC 2347", "MUST", "a reader that asks for no option gets no OACK"),
    Item("T16", "RFC 2348", "MUST", "blksize 1428 is agreed to, or a smaller one, and used"),
    Item("T17", "RFC 2348", "SHOULD", "blksize 65464 is agreed to or lowered, and the file arrives whole"),
    Item("T18", "RFC 2348", "MUST", "an illegal blksize is not agreed to"),
    Item("T19", "RFC 2349", "MUST", "tsize 0 is answered with the file's size"),
    Item("T20", "RFC 2349", "SHOULD", "timeout 1 is agreed to and kept"),
    Item("T21", "RFC 2349", "MUST", "an illegal timeout is not agreed to"),
    Item("T22", "RFC 7440 4", "SHOULD", "windowsize 8: eight blocks come before any ACK, and no ninth"),
    Item("T23", "RFC 7440 4", "SHOULD", "an ACK in mid-window: it goes on right behind that block"),
    Item("T24", "RFC 7440 3", "MUST", "an illegal windowsize is not agreed to"),
    Item("T25", "RFC 2347", "MUST", "an unknown option is left out; with nothing else asked there is no OACK"),
    Item("T26", "RFC 2347", "MUST", "option names are taken in any case"),
    Item("T27", "RFC 2347", "MUST", "an option given twice is answered once"),
    Item("T28", "RFC 2347", "MUST", "an OACK that is not acknowledged is sent again"),
    Item("T29", "RFC 2347, PXE ROMs", "MUST", "a reader that asks for the size and aborts is left alone at once"),
    Item("T30", "RFC 1350 7", "MUST", "a reader's ERROR in mid-transfer ends it"),
    Item("T31", "RFC 1350", "MUST", "34 MiB in blocks of 512: numbers roll over from 65535 to 0"),
    Item("T32", "RFC 7440, 2348", "INFO", "throughput in blocks of 1428, alone and in windows of 32"),
    Item("T33", "CWE-22", "MUST", "no way to spell a path leads out of the root"),
    Item("T34", "CWE-59", "POLICY", "a symbolic link that leads out of the root is not followed"),
    Item("T35", "RFC 1350 5", "MUST", "malformed packets end nothing"),
    Item("T36", "RFC 1350 5", "SHOULD", "an illegal opcode is answered ERROR 4 or nothing, never DATA"),
    Item("T37", "PXE ROMs", "SHOULD", "a leading slash names the same file"),
    Item("T38", "Windows loaders", "SHOULD", "backslashes name the same file"),
    Item("T39", "EDK2", "MUST", "a request as UEFI firmware makes it completes"),
    Item(
        "T40", "iPXE, Intel ROMs", "MUST", "a request as iPXE makes it completes; so does a size probe, then the file"
    ),
    Item("T41", "RFC 1122 3.3.4.2", "MUST", "a host with several addresses answers from the one that was asked"),
    Item("T42", "load", "MUST", "sixty readers at once are all served"),
    Item("T43", "resources", "MUST", "readers that vanish delay nobody and are forgotten within 30 s"),
    Item("T44", "RFC 2347", "MUST", "after all of it the server is the same process and answers"),
)
