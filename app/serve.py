"""`bootcart serve`: the engine, headless, in the foreground, until a signal or the API asks it to stop."""

from __future__ import annotations

import argparse
import asyncio
import gc
import logging
import sys
from collections.abc import Sequence
from dataclasses import Field, fields
from typing import Any

from app.config import Settings, load
from app.engine import logs
from app.engine.outlet import Outlet
from app.engine.signals import Signals, drain, drained
from app.errors import BootcartError, UnavailableError

# sysexits(3) EX_CONFIG: a supervisor that starts us again would only hear the same.
EXIT_CONFIGURATION = 78
# What hinders the start may pass, as a full disk does: a supervisor tries again, later and later.
EXIT_AGAIN = 1

_SWITCH_SECONDS = 0.001
_COLLECT = (20_000, 50, 100)

_LIST_FIELDS = frozenset({"interface", "file_root", "disable"})
_SWITCHES = frozenset({"take_over", "dhcp6"})


def flag_of(setting: Field[Any]) -> str:
    """The command-line flag of a setting."""
    return "--" + setting.name.replace("_", "-")


def parser() -> argparse.ArgumentParser:
    """The flags of the engine, one per setting."""
    made = argparse.ArgumentParser(prog="bootcart serve", description=__doc__, allow_abbrev=False)
    made.add_argument("--config", help="TOML file; default BOOTCART_CONFIG, else /etc/bootcart/bootcart.toml")
    for setting in fields(Settings):
        options: dict[str, Any] = {"help": setting.metadata["doc"], "default": None, "dest": setting.name}
        if setting.name in _SWITCHES:
            options |= {"action": "store_true"}
        elif setting.name in _LIST_FIELDS:
            options |= {"action": "append"}
        made.add_argument(flag_of(setting), **options)
    return made


async def run(settings: Settings, signals: Signals) -> int:
    """Run an engine until it is told to stop; returns the exit code. Raises BootcartError when it cannot start."""
    from app.engine.engine import Engine

    engine = Engine(settings, draining=drain)
    loop = asyncio.get_running_loop()
    signals.hand_to(lambda why: loop.call_soon_threadsafe(engine.stop, why))
    output = Outlet(sys.stdout)
    try:
        await engine.run(say=output.put)
    finally:
        output.drain()
        output.close()
    return 0


def main(arguments: Sequence[str], signals: Signals | None = None) -> int:
    """Parse flags, run the engine, say in one line why it could not. `signals`: those that are installed."""
    flags = vars(parser().parse_args(list(arguments)))
    config = flags.pop("config")
    # A thread that answers machines lets go of the interpreter with every packet, and would wait 5 ms to have it back
    # while another thread, the store's writer say, has it.
    sys.setswitchinterval(_SWITCH_SECONDS)
    # Leases, machines and events are no cycles, and come by the thousand: the collector would look at all of them for
    # nothing, every few hundred packets.
    gc.set_threshold(*_COLLECT)
    try:
        from pathlib import Path

        settings = load(flags, config_file=Path(config) if config else None)
        logs.set_up(settings.log_level)
        return asyncio.run(run(settings, signals or Signals()))
    except UnavailableError as error:
        return _ended(str(error), EXIT_AGAIN)
    except BootcartError as error:
        return _ended(str(error), EXIT_CONFIGURATION)
    except OSError as error:
        logging.getLogger("app.engine").exception("the engine ended")
        # What no part had words for may pass, so that a supervisor may try again.
        where = f"{error.filename}: " if error.filename else ""
        return _ended(f"{where}{error.strerror or error} (see the line above)", EXIT_AGAIN)
    except Exception as error:
        logging.getLogger("app.engine").exception("the engine ended")
        return _ended(f"{type(error).__name__}: {error} (see the line above)", EXIT_AGAIN)
    finally:
        drained()


def _ended(why: str, code: int) -> int:
    """The last line, behind all that was logged; where nobody reads, the end does not wait for it."""
    if logs.drain():
        last = Outlet(sys.stderr)
        last.put(f"bootcart serve: {why}")
        last.drain()
        last.close()
    return code
