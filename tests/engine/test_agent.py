"""A machine's own script and what its agent may do with the token in it, over curl and the command line."""

from __future__ import annotations

import json
import re
import time
from dataclasses import dataclass
from ipaddress import IPv4Address
from typing import Any

import pytest

from app.errors import ConflictError
from app.model.machine import machine_id_for, machine_name_for
from app.netboot.token import Claims, TokenKind, mint
from app.store.secrets import token_key
from tests import netns
from tests.engine.card import card, ipxe, pxe
from tests.engine.conftest import Rack, new_mac

pytestmark = pytest.mark.root

HTTP = "http://10.7.0.1:8090"
INVENTORY: dict[str, Any] = {
    "system": {"manufacturer": "Dell Inc.", "product": "PowerEdge R640", "serial": "ABC123"},
    "cpu": {"model": "Xeon", "architecture": "x86_64", "sockets": 2, "cores": 20, "threads": 40},
    "memory": {"total": 137438953472},
    "disks": [{"name": "nvme0n1", "size": 960197124096, "transport": "nvme"}],
    "nics": [{"name": "eth0", "driver": "i40e", "link": True, "speed": 10000, "boot": True}],
    "firmware": "uefi",
    "secure_boot": "disabled",
}


@dataclass(slots=True)
class Booted:
    """A machine that has booted as far as its script: its agent begins here."""

    ns: str
    mac: str
    address: str
    token: str
    id: str = ""

    def call(self, method: str, path: str, body: Any = None, *, token: str | None = None) -> tuple[int, str]:
        """curl from the machine's own address; status and body."""
        bearer = self.token if token is None else token
        head = ["-H", f"Authorization: Bearer {bearer}"] if bearer else []
        data = [] if body is None else ["--json", json.dumps(body)]
        argv = ["curl", "-sS", "--interface", self.address, "-X", method, *head, *data, "-w", "\n%{http_code}"]
        text, _, status = netns.run(self.ns, [*argv, f"{HTTP}{path}"]).stdout.rpartition("\n")
        return int(status), text

    def register(self) -> dict[str, Any]:
        """With the token of the script; from then on with the machine's."""
        body = {"macs": [self.mac], "boot_mac": self.mac, "architecture": "amd64", "firmware": "uefi", "uuid": ""}
        status, text = self.call("POST", "/agent/register", body)
        assert status == 200, text
        told = json.loads(text)
        self.id, self.token = told["id"], told["token"]
        return told

    def machine(self, what: str) -> str:
        return f"/agent/machines/{self.id}{what}"


def script_of(mac: str) -> str:
    return f"/boot/{mac.replace(':', '-')}.ipxe"


def boot(ns: str, mac: str) -> Booted:
    """Lease an address as iPXE, fetch the script, read the token."""
    with card(ns, mac, ipxe(7)) as firmware:
        booted = Booted(ns, mac, firmware.boot().address, "")
    status, text = booted.call("GET", script_of(mac))
    assert status == 200, text
    found = re.search(r"bootcart\.token=(\S+)", text)
    assert found, text
    booted.token = found[1]
    return booted


def test_only_the_machine_itself_is_given_its_script(rack: Rack) -> None:
    first, second = boot(rack.segment.clients[0], new_mac()), boot(rack.segment.clients[1], new_mac())
    status, text = second.call("GET", script_of(first.mac))
    assert (status, "token" in text, first.mac in text) == (404, False, False)
    refused = rack.engine.event("http.refused", mac=second.mac)
    assert refused.address == second.address
    assert refused.data["path"] == script_of(first.mac).lstrip("/")
    assert refused.data["why"] == f"{second.address} is not the machine {first.mac}"
    assert second.call("GET", script_of(new_mac()))[0] == 404

    # A neighbour without any lease, on an address of its own choosing.
    ns = rack.segment.clients[2]
    netns.run(ns, ["ip", "address", "add", "10.7.0.66/24", "dev", "eth0"])
    stranger = Booted(ns, "", "10.7.0.66", "")
    assert stranger.call("GET", script_of(first.mac))[0] == 404


def test_a_sighting_becomes_a_record_and_is_managed(rack: Rack, mac: str) -> None:
    engine, ns = rack.engine, rack.segment.clients[0]
    name = machine_name_for(mac)
    with card(ns, mac, pxe(7)) as firmware:
        firmware.discover()
    seen = netns.until(lambda: engine.machine(mac), what="the machine is seen")
    assert (seen.registered, seen.id, seen.name, seen.architecture) == (False, machine_id_for(mac), name, "amd64")
    assert engine.told("machines", "list", "--quiet").split().count(name) == 1

    machine = boot(ns, mac)
    told = machine.register()
    assert (told["id"], told["name"], told["heartbeat"]) == (str(seen.id), name, 10)
    record = engine.machine(mac)
    assert record is not None
    assert (record.registered, record.id, str(record.address)) == (True, seen.id, machine.address)
    assert engine.event("agent.registered", mac=mac).machine == seen.id

    assert machine.call("PUT", machine.machine("/inventory"), INVENTORY) == (204, "")
    shown = json.loads(engine.told("machines", "show", name, "--json"))
    assert (shown["inventory"]["system"]["serial"], shown["firmware"]) == ("ABC123", "uefi")
    assert engine.event("agent.inventory", mac=mac).data["summary"].startswith("Dell Inc. PowerEdge R640, 2× Xeon")

    assert json.loads(machine.call("POST", machine.machine("/heartbeat"), {})[1])["action"] == ""
    engine.told("machines", "assign", name, "local", "--reboot")
    assert json.loads(machine.call("POST", machine.machine("/heartbeat"), {})[1])["action"] == "reboot"
    assert json.loads(machine.call("POST", machine.machine("/heartbeat"), {})[1])["action"] == ""
    engine.event("agent.rebooting", mac=mac)

    rebooted = engine.newest()
    with card(ns, mac, pxe(7)) as firmware:
        offer = firmware.discover()
    assert (offer.boot, offer.address) == ("", machine.address)
    withheld = engine.event("dhcp.offer", mac=mac, after=rebooted)
    assert (withheld.data["reason"], withheld.data["bootenv"]) == ("local", "local")
    record = engine.machine(mac)
    assert record is not None
    assert record.reboot_wanted is False
    # One that asks for its script all the same is told to boot its disk.
    assert "boots its own disk" in machine.call("GET", script_of(mac))[1]
    engine.told("machines", "delete", name)


def test_who_is_not_heard_cannot_be_told_to_reboot(rack: Rack, mac: str) -> None:
    engine = rack.engine
    with card(rack.segment.clients[0], mac, pxe(0)) as firmware:
        firmware.discover()
    seen = netns.until(lambda: engine.machine(mac), what="the machine is seen")
    with pytest.raises(ConflictError) as refused:
        engine.ask(engine.client.machines.assign(str(seen.id), "local", reboot=True))
    assert "power-cycle" in refused.value.hint
    record = engine.machine(mac)
    assert record is not None
    assert (record.registered, record.bootenv, record.id) == (True, "local", seen.id)
    engine.ask(engine.client.machines.delete(str(seen.id)))


def test_tokens_do_what_they_are_for_and_nothing_else(rack: Rack) -> None:
    engine = rack.engine
    first, second = boot(rack.segment.clients[0], new_mac()), boot(rack.segment.clients[1], new_mac())
    unknown = first.token
    first.register()
    second.register()
    other = machine_id_for(second.mac)
    body = {"macs": [first.mac], "boot_mac": first.mac}
    lease = engine.lease(first.address)
    key = token_key(engine.data_dir)

    def made(**changed: Any) -> str:
        claims: dict[str, Any] = {
            "kind": TokenKind.MACHINE,
            "mac": first.mac,
            "address": IPv4Address(first.address),
            "expires": time.time() + 600,
            "since": lease.since,
            "machine": first.id,
        }
        return mint(Claims(**(claims | changed)), key)

    heartbeat = ("POST", first.machine("/heartbeat"), {})
    assert first.call(*heartbeat, token=made())[0] == 200, "made() makes what the engine takes"
    refused = engine.newest()
    for what, call, token, status in (
        ("no token", heartbeat, "", 401),
        ("garbage", heartbeat, "bogus.token", 401),
        ("forged", heartbeat, first.token[:-4] + "AAAA", 401),
        ("expired", heartbeat, made(expires=time.time() - 1), 401),
        ("of an earlier lease", heartbeat, made(since=lease.since - 100), 401),
        ("of another address", heartbeat, made(address=IPv4Address(second.address)), 403),
        ("another machine's", ("POST", f"/agent/machines/{other}/heartbeat", {}), first.token, 403),
        ("another machine's, to read", ("GET", f"/agent/machines/{other}", None), first.token, 403),
        ("an unknown machine's, to report", ("PUT", first.machine("/inventory"), INVENTORY), unknown, 403),
        ("an unknown machine's, to read", ("GET", first.machine(""), None), unknown, 403),
        ("stolen by another machine", heartbeat, second.token, 403),
    ):
        assert first.call(*call, token=token)[0] == status, what
    assert first.call("POST", "/agent/register", {**body, "macs": [second.mac]}, token=unknown)[0] == 422
    assert first.call("GET", "/agent/nothing")[0] == 404
    told = engine.events("http.refused", after=refused, mac=first.mac)
    assert len(told) == 11
    assert not [event for event in told if first.token in event.model_dump_json()]

    # What is its own still is, after all that.
    assert first.call("GET", first.machine(""))[0] == 200
    assert first.call(*heartbeat)[0] == 200
    for machine in (first, second):
        engine.ask(engine.client.machines.delete(machine.id))
    assert first.call(*heartbeat)[0] == 404


def test_a_released_lease_ends_its_token(rack: Rack, mac: str) -> None:
    machine = boot(rack.segment.clients[0], mac)
    machine.register()
    with card(machine.ns, mac, ipxe(7)) as firmware:
        firmware.say("release", ("server_id", "10.7.0.1"), ciaddr=machine.address, new=True)
        rack.engine.event("dhcp.release", mac=mac)
    assert machine.call("POST", machine.machine("/heartbeat"), {})[0] == 401
    rack.engine.ask(rack.engine.client.machines.delete(machine.id))


def test_a_failed_agent_is_told_of_in_its_own_words(rack: Rack, mac: str) -> None:
    machine = boot(rack.segment.clients[0], mac)
    machine.register()
    said = {"kind": "failed", "step": "inventory", "output": "line one\nlshw: \x1b[31mkilled"}
    assert machine.call("POST", machine.machine("/events"), said) == (204, "")
    failed = rack.engine.event("agent.failed", mac=mac)
    assert failed.data["step"] == "inventory"
    assert "lshw: " in failed.message
    assert "\x1b" not in failed.model_dump_json()
    assert machine.call("POST", machine.machine("/events"), {"kind": "dancing"})[0] == 422
    rack.engine.ask(rack.engine.client.machines.delete(machine.id))
