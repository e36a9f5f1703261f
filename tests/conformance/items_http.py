"""What an HTTP server owes machines that boot, item by item (RFC 9110, 9112, habits of firmware and installers)."""

from __future__ import annotations

from tests.conformance.item import Item

ITEMS: tuple[Item, ...] = (
    Item(
        "H01", "RFC 9110 6.6.1, 8", "MUST", "a file arrives whole, with its length, date, entity tag and time of change"
    ),
    Item("H02", "RFC 9110 9.3.2, 14.2", "MUST", "HEAD is answered with a GET's fields, without a body, Range or not"),
    Item("H03", "RFC 9110 14.1.2", "MUST", "a range, an open one, a suffix, and one that ends beyond the end: 206"),
    Item("H04", "RFC 9110 15.5.17", "SHOULD", "a range beyond the end is 416 with the file's size"),
    Item("H05", "RFC 9110 14.2", "MUST", "an unknown unit and a malformed range are ignored"),
    Item("H06", "RFC 9110 14.6, 15.3.7.2", "MUST", "several ranges are multipart/byteranges, in the order asked for"),
    Item("H07", "RFC 9110 15.3.7.2", "MUST", "where one range is left the answer is no multipart"),
    Item("H08", "RFC 9110 17.15", "POLICY", "overlapping ranges are sent once; more than 128 are answered 200"),
    Item(
        "H09", "RFC 9110 13.1.5", "MUST", "If-Range holds for the same strong tag or date alone; else the file is whole"
    ),
    Item("H10", "RFC 9110 13.1.2", "MUST", "If-None-Match: 304 with the tag and without a body"),
    Item("H11", "RFC 9110 13.1.3", "MUST", "If-Modified-Since: 304 or 200; beside If-None-Match it is ignored"),
    Item(
        "H12",
        "RFC 9110 13.1.1, 13.1.4",
        "MUST",
        "If-Match and If-Unmodified-Since that fail: 412, no octet of the file",
    ),
    Item("H13", "large media", "MUST", "10 GB: HEAD tells the length, a range near the end comes, memory stays"),
    Item("H14", "curl -C -", "MUST", "a broken download goes on where it stopped"),
    Item("H15", "mirrors", "MUST", "a file among 100 000 comes as fast as one alone"),
    Item("H16", "RFC 9112 9.3", "MUST", "one connection carries several requests, pipelined ones too, in order"),
    Item("H17", "shim, GRUB, EDK2", "MUST", "double slashes, single dots, backslashes and %XX name the same file"),
    Item("H18", "Anaconda", "MUST", "dot files are served (.treeinfo, .discinfo)"),
    Item("H19", "RFC 9112 3.2.2", "MUST", "the absolute form of a target is taken"),
    Item(
        "H20",
        "CWE-22, CWE-59",
        "MUST",
        "no way to spell a path leads out of the root, nor does a link; folders are 404",
    ),
    Item("H21", "RFC 9110 15.5.6", "MUST", "methods that write are 405 with Allow"),
    Item("H22", "RFC 9112 3.2", "MUST", "HTTP/1.1 without Host, with two, or with a malformed one: 400"),
    Item(
        "H23",
        "RFC 9112 6.3, 11.2",
        "MUST",
        "a length that can be read in two ways is 400, and nothing behind it is heard",
    ),
    Item("H24", "RFC 9112 2.2, 5", "MUST", "malformed and oversized heads are 400, without a traceback"),
    Item("H25", "chunk bombs", "MUST", "endless chunks and chunk extensions end in a refusal; memory stays"),
    Item(
        "H26", "RFC 9110, IPv6", "MUST", "files come over IPv6, from global and link-local addresses, in parts as well"
    ),
    Item("H27", "slow readers", "MUST", "readers that stop reading delay nobody, nor the service's stop"),
    Item("H28", "slowloris", "MUST", "a head that never ends is cut off; others are answered meanwhile"),
    Item("H29", "resources", "POLICY", "one address has 64 connections at most; another is served"),
    Item("H30", "resources", "MUST", "a reader that breaks off leaves nothing open"),
)
