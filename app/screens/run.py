"""Opens the interface: looks at the terminal first, imports Textual second, the client third."""

from __future__ import annotations

import argparse
import os
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from app.client.endpoint import choose
from app.errors import BootcartError
from app.screens.profile import detect, obstacle, terminal_name
from app.screens.starting import hurry, settle

if TYPE_CHECKING:
    from app.client.protocol import Client

USAGE = 2


def run(arguments: Sequence[str] = (), environment: Mapping[str, str] | None = None) -> int:
    """Open the interface; returns its exit code: 0 left, 2 no terminal, 75 a host plan is to be applied, 76 stop."""
    environment = os.environ if environment is None else environment
    options = _parser().parse_args(list(arguments))
    if told := obstacle(environment):
        sys.stderr.write(told + "\n")
        return USAGE
    try:
        endpoint = choose(options.endpoint, options.data_dir, environment)
    except BootcartError as error:
        sys.stderr.write(f"bootcart: {error}\n")
        return error.exit_code
    profile = detect(environment, terminal_name(), options.console)
    # Textual reads these once, when it is imported.
    os.environ.update(profile.environment())
    # pydantic would look through every installed package for plugins, which takes a while and finds none of ours.
    os.environ.setdefault("PYDANTIC_DISABLE_PLUGINS", "__all__")
    hurry()
    from app.screens.app import BootcartApp

    def connect() -> Client:
        from app.client.http import HttpClient

        client = HttpClient(endpoint)
        if not options.read_only:
            return client
        from app.client.readonly import read_only

        return read_only(client)

    plan = environment.get("BOOTCART_HOST_PLAN")
    app = BootcartApp(
        connect,
        profile,
        host_plan=Path(plan) if plan else None,
        host_result=Path(environment["BOOTCART_HOST_RESULT"]) if environment.get("BOOTCART_HOST_RESULT") else None,
        started_engine=environment.get("BOOTCART_ENGINE_STARTED") == "1",
        read_only=options.read_only,
    )
    try:
        code = app.run(mouse=profile.mouse)
    finally:
        settle()
    if app.farewell:
        sys.stdout.write(app.farewell + "\n")
    return code if code is not None else app.return_code or 0


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="bootcart", description="the full-screen interface")
    parser.add_argument("--endpoint", default="", help="where the engine is; none: the local socket")
    parser.add_argument("--data-dir", default="", help="the data directory of the engine to attach to")
    parser.add_argument("--read-only", action="store_true", help="look, and change nothing")
    which = parser.add_mutually_exclusive_group()
    which.add_argument("--console", dest="console", action="store_true", default=None, help="draw as on a console")
    which.add_argument("--no-console", dest="console", action="store_false", help="draw as on a capable terminal")
    return parser
