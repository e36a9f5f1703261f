"""The command `bootcart`: chooses the interface, the engine, the lab or a verb, and imports only what that needs."""

from __future__ import annotations

import os
import sys
from collections.abc import Sequence

USAGE = """\
bootcart                    the full-screen interface: attaches to the running engine
bootcart --read-only        the same, to look at: it changes nothing
bootcart serve              the engine, in the foreground
bootcart attach [ENDPOINT]  the interface against an engine elsewhere
bootcart lab [VERB]         virtual machines on this host that boot from a real engine: run up down list reset console
bootcart fetch [BOOTENV…]   files that boot environments take from Debian packages
bootcart NOUN VERB [KEY]    machines profiles subnets reservations leases interfaces bootenvs events prefs services
                            commands
bootcart stop               ask the engine to stop
bootcart completion SHELL   bash, zsh or fish

Every form takes --help. The guide is docs/guide.md.
"""

WITH_OPTIONS_OF_THEIR_OWN = ("serve", "attach", "lab", "fetch")


def _interface(arguments: Sequence[str]) -> int:
    from app.screens.run import run

    return run(arguments)


def _open_lab_interface(endpoint: str) -> int:
    """The interface on a lab's engine; the lab is made by root, the interface never runs as root."""
    if os.geteuid() != 0:
        return _interface(["--endpoint", endpoint])
    import subprocess

    from app.services.lab.account import choose, drop

    account = choose(os.environ)
    own = {"HOME": account.home, "USER": account.name, "LOGNAME": account.name, "PYTHONDONTWRITEBYTECODE": "1"}
    command = [*drop(account), sys.executable, "-m", "app", "--endpoint", endpoint]
    return subprocess.run(command, env={**os.environ, **own}, check=False).returncode


def main(arguments: Sequence[str] | None = None) -> int:
    """Run one command; returns its exit code."""
    argv = list(sys.argv[1:] if arguments is None else arguments)
    first = argv[0] if argv else ""
    if first in ("-h", "--help", "help"):
        sys.stdout.write(USAGE)
        return 0
    if first in ("-V", "--version"):
        from app.version import VERSION

        sys.stdout.write(f"bootcart {VERSION}\n")
        return 0
    if first == "serve":
        from app.engine.signals import Signals

        # Before all else is imported: an engine may be asked to end in its first second.
        signals = Signals()
        signals.install()
        from app.serve import main as serve

        return serve(argv[1:], signals)
    if first == "lab":
        from app.lab import main as lab

        return lab(argv[1:], open_tui=_open_lab_interface)
    if first == "fetch":
        from app.fetch import main as fetch

        return fetch(argv[1:])
    if first == "attach":
        rest = argv[1:]
        return _interface(["--endpoint", *rest] if rest and not rest[0].startswith("-") else rest)
    if first.startswith("-"):
        from app.cli.forms import leading

        rest = leading(argv)[1]
        named = rest[0] if rest else ""
        if named in WITH_OPTIONS_OF_THEIR_OWN:
            sys.stderr.write(f"bootcart: options of {named} follow it (see: bootcart {named} --help)\n")
            return 2
        if not named or named.startswith("-"):
            return _interface(argv)
    if not argv:
        return _interface(argv)
    from app.cli.main import main as verbs

    return verbs(argv)


if __name__ == "__main__":
    sys.exit(main())
