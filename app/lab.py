"""`bootcart lab`: virtual machines on this host that network-boot from a real engine, in namespaces of their own."""

from __future__ import annotations

import argparse
import json
import os
import sys
from collections.abc import Callable, Sequence
from ipaddress import IPv4Network
from pathlib import Path

from app.errors import BootcartError, ForbiddenError, InvalidError, NotFoundError
from app.model.fields import normal_mac
from app.model.machine import machine_name_for
from app.services.lab import build, console, needs, plan, process, progress, qemu, qmp, reap, start, state

TIMEOUT = 420.0
"""Seconds: UEFI firmware that is offered no boot file takes four minutes to come to its own disk."""

INTERRUPTED = 130
"""As a shell has it: 128 and the number of SIGINT."""

EPILOG = """\
Without a verb: a lab with the interface on it, gone when you leave; without a terminal the same as `run`.
Machines are named after their kind: bios1, uefi1, …; their MAC address or the engine's name for them does as well.

machines are KIND[:OPTION=VALUE]…, for example --machines bios,uefi:memory=1024:disks=2x20G:nics=2

kinds:
{kinds}

options:
{options}"""

OpenTui = Callable[[str], int]


def main(argv: Sequence[str], open_tui: OpenTui | None = None) -> int:
    """Run a lab verb; returns the exit code. `open_tui(endpoint)` shows the interface until the operator leaves it."""
    try:
        options = _parser().parse_args(list(argv))
    except SystemExit as leaving:  # argparse has said why already
        return leaving.code if isinstance(leaving.code, int) else 2
    try:
        if options.verb is None:
            return _default(options, open_tui)
        verbs: dict[str, Callable[[argparse.Namespace], int]] = {
            "up": _up,
            "run": _run,
            "down": _down,
            "list": _list,
            "reset": _reset,
            "console": _console,
            "needs": _needs,
            "keep": _keep,
        }
        return verbs[options.verb](options)
    except BootcartError as error:
        if getattr(options, "json", False):
            told = {"error": error.code, "message": error.message, "hint": error.hint, "field": error.field}
            _error(json.dumps(told))
        else:
            _error(f"bootcart lab: {error}")
        return error.exit_code
    except KeyboardInterrupt:
        return INTERRUPTED
    except BrokenPipeError:
        # Whoever read our lines has gone; nothing is left to be told.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return 1


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="bootcart lab",
        description=__doc__,
        epilog=_grammar(),
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    _making(parser)
    parser.set_defaults(name=plan.DEFAULT_NAME)
    verbs = parser.add_subparsers(dest="verb", metavar="VERB")
    for verb, words in (("up", "make a lab that stays"), ("run", "boot the machines, report, take the lab down")):
        one = verbs.add_parser(
            verb, help=words, epilog=_grammar(), formatter_class=argparse.RawDescriptionHelpFormatter
        )
        one.add_argument("name", nargs="?", default=plan.DEFAULT_NAME, metavar="NAME", help="default: lab")
        _making(one)
        if verb == "run":
            _running(one)
    _running(parser)
    down = verbs.add_parser("down", help="take a lab down")
    down.add_argument("name", nargs="?", default=plan.DEFAULT_NAME, metavar="NAME")
    down.add_argument("--all", action="store_true", help="every lab")
    listing = verbs.add_parser("list", help="the labs that are up; removes what is left of dead ones first")
    listing.add_argument("--json", action="store_true")
    reset = verbs.add_parser("reset", help="power-cycle a machine, or all of the lab")
    reset.add_argument("machine", nargs="?", default="", metavar="MACHINE")
    reset.add_argument("--lab", default="", metavar="NAME")
    reset.add_argument("--boot", choices=("network", "disk"), default="", help="what comes first from now on")
    attach = verbs.add_parser("console", help="a machine's serial line on this terminal; Ctrl-] leaves")
    attach.add_argument("machine", metavar="MACHINE")
    attach.add_argument("--lab", default="", metavar="NAME")
    wanted = verbs.add_parser("needs", help="Debian packages a lab needs and this host has not, one per line")
    wanted.add_argument("--images", action="store_true", help="instead: architectures whose discovery image it boots")
    # It takes the words of the lab that is meant, whatever its verb.
    wanted.add_argument("for", nargs="*", metavar="WORD", help=argparse.SUPPRESS)
    _making(wanted)
    _running(wanted)
    # The lab's own process; started by the verbs above.
    keep = verbs.add_parser("keep")
    keep.add_argument("name")
    keep.add_argument("--leash", default="", help=argparse.SUPPRESS)
    _making(keep)
    return parser


def _grammar() -> str:
    kinds = progress.columns([(f"  {name}", kind.words) for name, kind in build.KINDS.items()])
    options = progress.columns([(f"  {one.name}={one.form}", one.words) for one in build.OPTIONS.values()])
    return EPILOG.format(kinds="\n".join(kinds), options="\n".join(options))


def _making(parser: argparse.ArgumentParser) -> None:
    machines = ",".join(plan.DEFAULT_MACHINES)
    parser.add_argument("--machines", default=machines, metavar="MACHINE,…", help="see below; default: %(default)s")
    parser.add_argument("--cidr", default=str(plan.DEFAULT_CIDR), help="the lab's segment; default: %(default)s")
    memory = "of machines that name none; default: %(default)s"
    parser.add_argument("--memory", type=int, default=build.DEFAULT_MEMORY, metavar="MIB", help=memory)
    parser.add_argument(
        "--accel", choices=("auto", "tcg", "kvm"), default="auto", help="auto: kvm where the lab's account may use it"
    )


def _running(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--goal", choices=progress.GOALS, default="inventory", help="default: %(default)s")
    parser.add_argument("--timeout", type=float, default=TIMEOUT, metavar="S", help="seconds; default: %(default).0f")
    parser.add_argument("--logs", type=Path, default=None, metavar="DIR", help="keep serial and engine logs there")


def _plan(options: argparse.Namespace) -> plan.LabPlan:
    try:
        cidr = IPv4Network(options.cidr)
    except ValueError as error:
        raise InvalidError(str(error), hint="for example 10.77.0.0/24", field="cidr") from None
    machines = [words.strip() for words in options.machines.split(",") if words.strip()]
    return plan.plan(options.name, state.lab_directory(), machines, cidr, options.memory)


def _start(options: argparse.Namespace, *, stays: bool) -> start.Started:
    _need_root()
    made = _plan(options)
    needs.check(machine.build for machine in made.machines)
    for one in reap.reap(made.directory, _error):
        _error(f"removed what was left of {one}")
    return start.start(made, options.accel, stays=stays, say=_say)


def _up(options: argparse.Namespace) -> int:
    with _start(options, stays=True) as lab:
        _say(f"lab {lab.state.name} is up: bootcart --endpoint unix:{lab.state.socket}")
    return 0


def _run(options: argparse.Namespace) -> int:
    from app.labrun import watch  # the client and its HTTP library, which no other verb needs

    with _start(options, stays=False) as lab:
        return watch(lab, options.goal, options.timeout, options.logs, _say)


def _default(options: argparse.Namespace, open_tui: OpenTui | None) -> int:
    if open_tui is None or not (sys.stdin.isatty() and sys.stdout.isatty()):
        return _run(options)
    found = state.read(state.lab_directory() / options.name)
    if found is not None and found.phase == state.UP and not reap.dying(found):
        return open_tui(f"unix:{found.socket}")
    with _start(options, stays=False) as lab:
        code = open_tui(f"unix:{lab.state.socket}")
        _say(f"taking lab {lab.state.name} down")
    return code


def _down(options: argparse.Namespace) -> int:
    _need_root()
    directory = state.lab_directory()
    names = [folder.name for folder in state.folders(directory)] if options.all else [plan.check_name(options.name)]
    if not options.all:
        state.load(directory, options.name)
    for name in names:
        start.stop(directory, name, _say)
    return 0


def _list(options: argparse.Namespace) -> int:
    directory = state.lab_directory()
    if os.geteuid() == 0:
        for one in reap.reap(directory, _error):
            _error(f"removed what was left of {one}")
    labs = [found for folder in state.folders(directory) if (found := state.read(folder)) is not None]
    if options.json:
        _say(json.dumps([json.loads(state.encode(lab)) for lab in labs], indent=1))
        return 0
    header = ["LAB", "PHASE", "MACHINE", "MAC", "STATE", "ENGINE"]
    rows = [
        [lab.name, lab.phase, one.name, one.mac, _power(one), f"unix:{lab.socket}"]
        for lab in labs
        for one in lab.machines
    ]
    for line in progress.columns([header, *rows]) if labs else ["no lab is up"]:
        _say(line)
    return 0


def _power(machine: state.MachineState) -> str:
    if machine.process is None or machine.ended:
        return "off"
    return "on" if process.alive(machine.process) else "ended"


def find_machine(labs: Sequence[state.LabState], key: str) -> state.MachineState:
    """The machine by its lab name, its MAC address or the engine's first name for it.

    Raises NotFoundError, or InvalidError when several labs have one.
    """
    try:
        mac = normal_mac(key)
    except ValueError:
        mac = ""
    found = [
        (lab, one)
        for lab in labs
        for one in lab.machines
        if mac == one.mac or key in (one.name, machine_name_for(one.mac))
    ]
    if not found:
        names = ", ".join(one.name for lab in labs for one in lab.machines)
        raise NotFoundError(f"no lab machine {key!r}", hint=f"there are: {names}" if names else "no lab is up")
    if len(found) > 1:
        places = ", ".join(lab.name for lab, _ in found)
        raise InvalidError(f"{key!r} is in several labs: {places}", hint="say which with --lab", field="lab")
    return found[0][1]


def _labs(name: str) -> list[state.LabState]:
    directory = state.lab_directory()
    if name:
        return [state.load(directory, name)]
    found = [state.read(folder) for folder in state.folders(directory)]
    return [lab for lab in found if lab is not None and not reap.dying(lab)]


def _reset(options: argparse.Namespace) -> int:
    labs = _labs(options.lab)
    if options.machine:
        chosen = [find_machine(labs, options.machine)]
    elif len(labs) > 1:
        raise InvalidError("several labs are up", hint="say which with --lab", field="lab")
    else:
        chosen = [one for lab in labs for one in lab.machines]
    if not chosen:
        raise NotFoundError("no lab is up", hint="`bootcart lab up` starts one")
    for one in chosen:
        if options.boot:
            qmp.set_boot_order(one.qmp, qemu.boot_order(options.boot, one.nics, one.disks))
        qmp.reset(one.qmp)
        _say(f"{one.name} starts again in its firmware")
    return 0


def _console(options: argparse.Namespace) -> int:
    one = find_machine(_labs(options.lab), options.machine)
    _error(f"the serial line of {one.name}; Ctrl-] leaves")
    console.attach(one.console, one.serial_log)
    return 0


def _needs(options: argparse.Namespace) -> int:
    builds = [machine.build for machine in _plan(options).machines]
    for one in needs.images(builds) if options.images else needs.missing(builds):
        _say(one)
    return 0


def _keep(options: argparse.Namespace) -> int:
    from app.labrun import configure

    return start.keep(_plan(options), options.accel, options.leash, configure)


def _need_root() -> None:
    if os.geteuid() != 0:
        raise ForbiddenError("a lab needs root, to make network namespaces", hint="sudo bootcart lab …")


def _say(text: str) -> None:
    sys.stdout.write(text + "\n")
    sys.stdout.flush()


def _error(text: str) -> None:
    sys.stderr.write(text + "\n")
