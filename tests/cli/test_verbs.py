"""The forms scripts and people rely on."""

from __future__ import annotations

import itertools
import json
from pathlib import Path
from typing import Any

import pytest
import yaml

from app.cli.nouns import ENGINE_VERBS, NOUNS
from app.cli.verbs import RUNS
from app.errors import (
    BootcartError,
    ConflictError,
    ForbiddenError,
    InvalidError,
    NotFoundError,
    TimedOutError,
    UnavailableError,
    UnreachableError,
)
from app.model.machine import MachineState
from app.model.subnet import Subnet
from tests.cli.conftest import Running
from tests.fakes import world

RACK = ("subnets", "create", "r9", "--cidr", "10.9.0.0/24", "--range", "10.9.0.100-10.9.0.200", "--router", "10.9.0.1")


def test_every_verb_is_done_by_something() -> None:
    runs = {verb.run for noun in NOUNS for verb in noun.verbs} | {verb.run for verb in ENGINE_VERBS}

    assert runs == set(RUNS)


def test_a_subnet_from_flags(bootcart: Running) -> None:
    made = bootcart(*RACK, "--dns", "10.9.0.1,10.9.0.2", "--lease-time", "600", "--json")
    proxy = bootcart("subnets", "create", "annex", "--cidr", "192.168.2.0/24", "--mode", "proxy", "--no-enabled")

    assert made.code == 0
    assert Subnet.model_validate(made.json) == Subnet.model_validate(
        {
            "name": "r9",
            "cidr": "10.9.0.0/24",
            "ranges": ["10.9.0.100-10.9.0.200"],
            "router": "10.9.0.1",
            "dns": ["10.9.0.1", "10.9.0.2"],
            "lease_time": 600,
        }
    )
    assert (proxy.code, proxy.out) == (0, "subnet annex created\n")
    assert bootcart("subnets", "show", "annex", "--json").json["mode"] == "proxy"
    assert bootcart("subnets", "show", "annex", "--json").json["enabled"] is False


def test_leases_left_behind_are_drained_only_where_that_is_said(bootcart: Running) -> None:
    bootcart(*RACK)
    bootcart("subnets", "update", "r9", "--range", "10.9.0.100-10.9.0.150")
    bootcart("subnets", "update", "r9", "--range", "10.9.0.100-10.9.0.120", "--drain")
    bootcart("subnets", "delete", "r9", "--drain")

    told = [call for call in bootcart.world.calls if call[0] == "subnets" and call[1] in ("update", "delete")]
    assert [call[-1] == "drain" for call in told] == [False, True, True]


def test_dhcp_options_from_flags(bootcart: Running) -> None:
    routes = "classless-static-route=10.0.0.0/8 via 10.9.0.2, default via 10.9.0.1"
    made = bootcart(*RACK, "--option", "ntp-servers=10.9.0.1,10.9.0.2", "--option", routes, "--json")

    assert made.json["options"] == {
        "ntp-servers": "10.9.0.1,10.9.0.2",
        "classless-static-route": "10.0.0.0/8 via 10.9.0.2, default via 10.9.0.1",
    }
    assert bootcart("subnets", "update", "r9", "--option", "", "--json").json["options"] == {}


def test_a_reservation_and_a_machine(bootcart: Running) -> None:
    assert bootcart("reservations", "create", "10.7.0.60", "--mac", "52-54-00-00-00-60").code == 0
    assert bootcart("machines", "create", "node-20", "--mac", "5254.0000.0020", "--mac", "52:54:00:00:00:21").code == 0

    assert bootcart("reservations", "show", "10.7.0.60", "--json").json["mac"] == "52:54:00:00:00:60"
    assert bootcart("machines", "show", "node-20", "--json").json["macs"] == ["52:54:00:00:00:20", "52:54:00:00:00:21"]


@pytest.mark.parametrize(
    ("source", "form"),
    # A word on the command line is JSON alone.
    [*itertools.product(("stdin", "file"), ("json", "yaml", "list")), ("word", "json"), ("word", "list")],
)
def test_objects_from_text(bootcart: Running, stdin: Any, tmp_path: Path, form: str, source: str) -> None:
    body: Any = {"name": "r9", "cidr": "10.9.0.0/24", "description": "2024-01-01", "lease_time": 600}
    text = json.dumps(body if form == "json" else [body, {"name": "r8", "cidr": "10.88.0.0/24"}])
    if form == "yaml":
        text = yaml.safe_dump(body).replace("'", "")
    where = {"stdin": "-", "file": str(tmp_path / "x.yaml"), "word": text}[source]
    stdin(text)
    (tmp_path / "x.yaml").write_text(text)
    result = bootcart("subnets", "create", where, "--lease-time", "700", "--quiet")

    assert (result.code, result.lines) == (0, ["r9", "r8"] if form == "list" else ["r9"])
    kept = bootcart("subnets", "show", "r9", "--json").json
    assert (kept["lease_time"], kept["description"]) == (700, "2024-01-01")


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("", "holds no object"),
        ("just words", "holds no object"),
        ("[1, 2]", "holds no object"),
        ("[]", "holds no object"),
        ("{a: [", "neither JSON nor YAML"),
        ("a: &x [1]\nb: *x", "aliases are not taken"),
        ("a: !!python/object:os.system x", "neither JSON nor YAML"),
        ("[" * 5000, "nested too deeply"),
        ("\x00", "neither JSON nor YAML"),
    ],
)
def test_text_that_holds_no_object(bootcart: Running, stdin: Any, text: str, words: str) -> None:
    stdin(text)
    result = bootcart("subnets", "create", "-")

    assert result.code == 2
    assert words in result.err
    assert result.err.count("\n") == 1


def test_update_set_delete_exists(bootcart: Running) -> None:
    assert bootcart("subnets", "update", "rack7", "--router", "", "--dns", "", "--lease-time", "60").code == 0
    assert bootcart("machines", "set", "node-03", "description", "spare").out == "machine node-03 updated\n"
    assert bootcart("machines", "set", "node-03", "held", "true").code == 0
    moved = bootcart("reservations", "update", "10.7.0.50", "--address", "10.7.0.51")
    assert (moved.code, moved.out) == (0, "reservation 10.7.0.51 updated\n")
    assert bootcart("reservations", "delete", "10.7.0.51", "10.7.0.107").lines == [
        "reservation 10.7.0.51 deleted",
        "reservation 10.7.0.107 deleted",
    ]

    kept = bootcart("subnets", "show", "rack7", "--json").json
    assert (kept["router"], kept["dns"], kept["lease_time"]) == (None, [], 60)
    machine = bootcart("machines", "show", "node-03", "--json").json
    assert (machine["description"], machine["held"]) == ("spare", True)
    assert bootcart("machines", "exists", "node-03") == bootcart("subnets", "exists", "rack7")
    gone = bootcart("reservations", "exists", "10.7.0.50")
    assert (gone.code, gone.out, gone.err) == (3, "", "")


def test_an_update_from_text(bootcart: Running, stdin: Any) -> None:
    stdin('{"lease_time": 900, "domain": "x.example"}')
    assert bootcart("subnets", "update", "rack7", "-", "--domain", "y.example").code == 0

    kept = bootcart("subnets", "show", "rack7", "--json").json
    assert (kept["lease_time"], kept["domain"]) == (900, "y.example")


def test_lists(bootcart: Running) -> None:
    names = [machine.name for machine in world.machines()]

    assert bootcart("machines", "list", "--quiet").lines == names
    assert [item["name"] for item in bootcart("machines", "list", "--json").json] == names
    assert [item["name"] for item in yaml.safe_load(bootcart("machines", "list", "--yaml").out)] == names
    assert [line.split("\t")[0] for line in bootcart("machines", "list").lines] == names
    filtered = bootcart("machines", "list", "--filter", "firmware=bios", "--filter", "!state=new", "--quiet")
    assert filtered.lines == ["node-04"]
    assert bootcart("machines", "list", "--sort", "-name", "--limit", "2", "--offset", "1", "--quiet").lines == [
        "node-10",
        "node-09",
    ]
    assert bootcart("machines", "list", "--limit", "0").out == ""


def test_a_list_longer_than_a_page_comes_whole(bootcart: Running) -> None:
    for number in range(2500):
        name = f"s{number}"
        bootcart.world.subnets.items[name] = world.subnets()[0].model_copy(update={"name": name})

    assert len(bootcart("subnets", "list", "--quiet").lines) == 2500 + len(world.subnets())
    assert len(bootcart("subnets", "list", "--quiet", "--limit", "1200").lines) == 1200


@pytest.mark.parametrize("noun", [noun.name for noun in NOUNS if noun.verb("show")])
def test_everything_can_be_listed_and_shown(bootcart: Running, noun: str) -> None:
    bootcart("machines", "assign", "node-03", "local")
    keys = bootcart(noun, "list", "--quiet").lines
    rows = bootcart(noun, "list").lines

    assert len(rows) == len(keys) > 0
    for form in ("--json", "--yaml", "--quiet"):
        assert bootcart(noun, "show", keys[0], form).code == 0
    assert bootcart(noun, "show", keys[0]).out.count("\t") >= 2


def test_options_by_name_or_number(bootcart: Running) -> None:
    shown = [json.loads(bootcart("options", "show", key, "--json").out) for key in ("ntp-servers", "42", "ntp")]

    assert shown[0] == shown[1]
    assert (shown[0]["code"], shown[0]["rfc"], shown[0]["example"]) == (42, 2132, "10.7.0.1, 10.7.0.2")
    assert bootcart("options", "show", "nonsense").code == 3
    assert "rack7" in bootcart("subnets", "usage").out


def test_the_boot_loader_is_chosen(bootcart: Running) -> None:
    said = [bootcart("machines", "loader", "node-03", word).out for word in ("snponly", "next", "auto")]

    assert said == [
        "machine node-03 is given the boot loader snponly (set for it)\n",
        "machine node-03 is given the boot loader ipxe (set for it)\n",
        "machine node-03 is given the boot loader that works\n",
    ]
    assert bootcart("machines", "loader", "node-03", "lilo").code == 2
    assert bootcart("machines", "update", "node-03", "--loader", "grub").code == 0


def test_assign_and_reboot(bootcart: Running) -> None:
    done = bootcart("machines", "assign", "node-03", "debian-12", "--reboot")
    deaf = bootcart("machines", "assign", "node-10", "debian-12", "--reboot")

    assert (done.code, done.out) == (0, "machine node-03 is assigned debian-12, reboots into it\n")
    assert deaf.code == 4
    assert "power-cycle" in deaf.err
    assert bootcart("machines", "show", "node-10", "--json").json["bootenv"] == "debian-12"
    assert (
        bootcart("machines", "assign", "node-10", "").out
        == "machine node-10 is assigned the default boot environment\n"
    )
    assert bootcart("machines", "reboot", "node-04").out == "machine node-04 is told to reboot\n"


def test_diagnose(bootcart: Running) -> None:
    told = bootcart("machines", "diagnose", "node-08")
    assert told.lines == [
        "D18 debian-12: debian-12/amd64/vmlinuz is missing",
        "    the files of debian-12 are not all in the boot tree",
        "    bring the missing file; the machine asks again by itself: bootcart bootenvs list",
    ]
    [finding] = bootcart("machines", "diagnose", "node-08", "--json").json["findings"]
    assert (finding["id"], finding["severity"]) == ("D18", "problem")
    assert bootcart("machines", "diagnose", "node-03").out == "node-03: nothing wrong is seen\n"
    row = next(line for line in bootcart("machines", "list").lines if line.startswith("node-08"))
    assert row.endswith("\tD18 debian-12/amd64/vmlinuz is missing")


def test_timeline_script_render(bootcart: Running) -> None:
    timeline = bootcart("machines", "timeline", "node-05")
    assert timeline.lines[0].split("\t")[:2] == ["done", "DISCOVER"]
    assert bootcart("machines", "timeline", "node-05", "--json").json["at"] == "kernel"
    bootcart("machines", "create", "node-20")
    assert bootcart("machines", "timeline", "node-20").out == "node-20 has not been seen to boot\n"
    assert bootcart("machines", "script", "node-05").out.startswith("#!ipxe\n")
    rendered = bootcart("bootenvs", "render", "debian-12", "--machine", "node-07", "--template", "preseed")
    assert rendered.lines[1] == "# debian-12/preseed for node-07"
    assert bootcart("bootenvs", "render", "debian-12").code == 2
    broken = bootcart("bootenvs", "render", "debian-12", "--machine", "node-07", "--template", "broken")
    assert (broken.code, "boot.ipxe.j2:3" in broken.err) == (2, True)


def test_prefs_services_interfaces_commands(bootcart: Running) -> None:
    assert bootcart("prefs", "set", "unknown-bootenv", "local").out == "pref unknown-bootenv is local\n"
    assert bootcart("services", "restart", "proxydhcp").out == "service proxydhcp is up\n"
    assert bootcart("interfaces", "probe", "eth2").out == "interface eth2: DHCP servers heard: 10.8.0.1\n"
    assert bootcart("interfaces", "probe", "eth1").out == "interface eth1: no other DHCP server heard\n"
    assert bootcart("commands", "undo").code == 0
    assert bootcart("prefs", "show", "unknown-bootenv", "--json").json["value"] == "discovery"
    assert bootcart("commands", "undo").code == 3


def test_the_engine(bootcart: Running) -> None:
    assert bootcart("hold").code == 0
    assert bootcart("info", "--json").json["holding"] is True
    assert bootcart("release").code == 0
    assert f"endpoint\t{bootcart.endpoint}" in bootcart("info").lines
    assert bootcart("stop").out == "the engine stops\n"
    assert bootcart.world.stopped


def test_events(bootcart: Running) -> None:
    listed = bootcart("events", "list", "--machine", "node-05", "--kind", "tftp.", "--json").json
    watched = bootcart("events", "watch", "--machine", "node-05", "--after", "0", "--limit", "3", "--json")
    documents = bootcart("events", "watch", "--after", "0", "--limit", "2", "--yaml")
    lines = bootcart("events", "watch", "--after", "0", "--limit", "2").lines

    assert [event["kind"] for event in listed] == ["tftp.sent"]
    assert [json.loads(line)["kind"] for line in watched.lines] == ["dhcp.discover", "dhcp.offer", "dhcp.request"]
    assert [event["id"] for event in yaml.safe_load_all(documents.out)] == [1, 2]
    assert [line.split("\t")[1] for line in lines] == ["engine.started", "service.failed"]
    assert bootcart("events", "watch", "--after", "0", "--limit", "2", "--quiet").lines == ["1", "2"]


@pytest.mark.parametrize(
    ("words", "code"),
    [
        (("Name:node-07", "status.state", "done"), 0),
        (("node-07", "state", "DONE"), 0),
        (("node-07", "macs", "52:54:00:00:00:07"), 0),
        (("node-07", "held", "no"), 0),
        (("node-07", "heartbeat", "0.0"), 0),
        (("node-05", "state", "done", "--timeout", "0.2"), 7),
        (("nobody", "state", "done", "--timeout", "0.2"), 7),
        (("node-07", "status.colour", "red", "--timeout", "5"), 2),
        # Another machine's status may be none: its fields are still fields.
        (("node-20", "hop", "kernel", "--timeout", "0.2"), 7),
    ],
)
def test_wait(bootcart: Running, words: tuple[str, ...], code: int) -> None:
    machine = world.machines()[0].model_copy(update={"name": "node-20", "status": None})
    bootcart.world.machines.items["20"] = machine
    result = bootcart("machines", "wait", *words)

    assert result.code == code
    assert (result.err == "") == (code == 0)


def test_wait_sees_it_come(bootcart: Running, engine: Any) -> None:
    asked = engine.commands.resolve
    count = 0

    def resolve(noun: str, key: str) -> Any:
        nonlocal count
        count += 1
        if count == 2:
            engine.world.machines.change("node-05", MachineState.DONE)
        return asked(noun, key)

    engine.commands.resolve = resolve
    result = bootcart("machines", "wait", "node-05", "state", "done", "--timeout", "30", "--json")

    assert (result.code, result.json["status"]["state"], count) == (0, "done", 2)
    assert result.err == ""


@pytest.mark.parametrize(
    ("error", "code"),
    [
        (BootcartError, 1),
        (InvalidError, 2),
        (NotFoundError, 3),
        (ConflictError, 4),
        (ForbiddenError, 5),
        (UnreachableError, 6),
        (TimedOutError, 7),
        (UnavailableError, 1),
    ],
)
def test_exit_codes(bootcart: Running, error: type[BootcartError], code: int) -> None:
    bootcart.world.fail(error("it broke\x1b[2J", hint="mend it", field="name"))
    words = bootcart("machines", "create", "x")
    bootcart.world.fail(error("it broke", hint="mend it", field="name"))
    data = bootcart("machines", "create", "x", "--json")

    assert (words.code, words.out, words.err) == (code, "", "bootcart: name: it broke.[2J (mend it)\n")
    assert (data.code, data.out) == (code, "")
    assert json.loads(data.err) == {"code": error.code, "message": "it broke", "hint": "mend it", "field": "name"}
