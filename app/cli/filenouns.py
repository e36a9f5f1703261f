"""The nouns of files and certificates."""

from __future__ import annotations

from app.cli.forms import PAGE, Argument, Noun, Option, Verb, key_argument, reading

FORMS = ("pem", "der", "esl")

FILES = Noun(
    "files",
    "files of your own, which machines find under files/",
    (
        *reading("files", "file"),
        Verb(
            "upload",
            "upload a file, or all files of a directory; call it again to go on after a break",
            "uploaded",
            (
                Argument("file", "a file or a directory here"),
                Argument("name", "its name there, for example linux/vmlinuz; default: as here", optional=True),
            ),
            (
                Option("--sha256", "what its SHA-256 must be", metavar="HEX"),
                Option("--replace", "put it in the place of the file of that name", "switch"),
                Option("--restart", "throw away what an earlier upload brought", "switch"),
            ),
            ("bootcart files upload debian-12.iso", "bootcart files upload ./winpe windows --replace"),
        ),
        Verb("unfinished", "list uploads that have not come to their end", "unfinished", options=PAGE),
        Verb(
            "download",
            "write a file's content to a file here",
            "downloaded",
            (
                key_argument("files"),
                Argument("to", "a file, a directory, or - for standard output; default: its name", optional=True),
            ),
            (Option("--replace", "write over a file that is there", "switch"),),
            ("bootcart files download linux/vmlinuz /tmp/vmlinuz",),
        ),
        Verb(
            "delete",
            "delete files",
            "deleted_files",
            (key_argument("files", many=True),),
            (Option("--recursive", "directories too, with all in them", "switch"),),
        ),
    ),
    columns=("name", "size", "modified", "sha256"),
)

CERTIFICATES = Noun(
    "certificates",
    "the appliance's certificates: its own authority (ca), and what boot HTTPS shows (server)",
    (
        *reading("certificates", "certificate"),
        Verb(
            "export",
            "write the authority's certificate, for firmware or programs that are to trust it",
            "exported",
            (Argument("to", "a file here; default: standard output", optional=True),),
            (
                Option("--form", "pem (default), der, or esl: an EFI signature list", choices=FORMS),
                Option("--replace", "write over a file that is there", "switch"),
            ),
            ("bootcart certificates export bootcart.pem", "bootcart certificates export --form esl ca.esl"),
        ),
    ),
    columns=("name", "subject", "names", "not_after", "sha256"),
)
