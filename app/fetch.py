"""`bootcart fetch`: brings the files that boot environments take from Debian packages, and iPXE's signed release."""

from __future__ import annotations

import argparse
import difflib
import os
import sys
from collections.abc import Sequence
from pathlib import Path

from app.config import SYSTEM_ARTEFACTS
from app.errors import BootcartError, InvalidError
from app.model.bootenv import BootEnv
from app.services.content import packages, shipped, signed
from app.services.content.reader import DEFINITION, read

EPILOG = """\
Packages come from this host's own Debian mirror, else from ftp.debian.org, and are checked against Debian's signatures.
What is there already and unchanged is left alone. A running engine offers a boot environment as soon as its files are
there."""


def definitions(layer: Path) -> list[BootEnv]:
    """The boot environments of a layer, those that cannot be read left out."""
    found = [read(folder).bootenv for folder in sorted(layer.iterdir()) if (folder / DEFINITION).is_file()]
    return [bootenv for bootenv in found if any(files.packages for files in bootenv.architectures.values())]


def chosen(known: Sequence[BootEnv], names: Sequence[str]) -> list[BootEnv]:
    """The boot environments of these names; raises InvalidError for one that needs no fetching or is none."""
    by_name = {bootenv.name: bootenv for bootenv in known}
    for name in names:
        if name not in by_name:
            close = difflib.get_close_matches(name, by_name, n=1)
            hint = f"did you mean {close[0]}?" if close else "there are: " + ", ".join(by_name)
            raise InvalidError(f"no boot environment {name!r} takes files from packages", hint=hint, field="name")
    return [by_name[name] for name in names]


def main(argv: Sequence[str]) -> int:
    """Exit code 0, or that of what failed, in words."""
    options = _parser().parse_args(list(argv))
    try:
        if options.signed_ipxe:
            signed.bring(options.to, options.signed_ipxe, options.sha256, _say)
            return 0
        known = definitions(shipped())
        if not options.names:
            return _list(known, options.to)
        for bootenv in chosen(known, options.names):
            parts = packages.wanted(bootenv, options.arch)
            if not parts:
                has = ", ".join(bootenv.architectures)
                raise InvalidError(f"{bootenv.name} has nothing for these architectures", hint=f"it has {has}")
            for one in parts:
                if not options.refresh and packages.complete(options.to, one):
                    _say(f"{bootenv.name} ({one.architecture}) is complete in {options.to / one.folder}")
                    continue
                _say(f"{bootenv.name} ({one.architecture}):")
                packages.fetch(options.to, one, lambda text: _say(f"  {text}"), options.mirror)
                _say(f"  is in {options.to / one.folder}")
    except BootcartError as error:
        _say(f"bootcart fetch: {error}")
        return error.exit_code
    except KeyboardInterrupt:
        _say("bootcart fetch: interrupted; call it again to go on")
        return 130
    return 0


def _list(known: Sequence[BootEnv], artefacts: Path) -> int:
    for bootenv in known:
        for one in packages.wanted(bootenv):
            state = "complete" if packages.complete(artefacts, one) else "not there"
            names = ", ".join(package.package for package in one.packages)
            sys.stdout.write(f"{bootenv.name:<16} {one.architecture:<8} {state:<10} {names}\n")
    return 0


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="bootcart fetch", description=__doc__, epilog=EPILOG, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("names", nargs="*", metavar="BOOTENV", help="none: list what may be fetched, and what is there")
    parser.add_argument("--arch", action="append", default=[], metavar="ARCH", help="only for amd64, arm64, … (repeat)")
    parser.add_argument("--mirror", default="", metavar="URL", help="base URL of a Debian mirror")
    parser.add_argument("--refresh", action="store_true", help="ask the mirror for newer packages even if all is there")
    parser.add_argument(
        "--signed-ipxe", default="", metavar="URL", help="iPXE's signed release instead (a tar archive; a file, too)"
    )
    parser.add_argument("--sha256", default="", metavar="SUM", help="the SHA-256 it must have, from where you trust it")
    where = Path(os.environ.get("BOOTCART_ARTEFACTS") or SYSTEM_ARTEFACTS)
    parser.add_argument("--to", type=Path, default=where, metavar="DIR", help="default: %(default)s")
    return parser


def _say(text: str) -> None:
    sys.stderr.write(text + "\n")
    sys.stderr.flush()
