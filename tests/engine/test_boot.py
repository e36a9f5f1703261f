"""Every kind of firmware through the whole engine: what it is told, what it then fetches, what the timeline shows."""

from __future__ import annotations

import socket
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from app.model.event import Level
from app.model.machine import machine_id_for
from app.model.timeline import Hop, HopState
from tests import netns
from tests.engine.card import card, ipxe, pxe
from tests.engine.conftest import Rack, new_mac

pytestmark = pytest.mark.root

SERVER = "10.7.0.1"
HTTP = f"http://{SERVER}:8090"
FIRMWARE: dict[str, tuple[list[Any], str, str, str]] = {
    # name: options, boot file, what the DISCOVER's event calls it, path
    "BIOS": (pxe(0), "undionly.kpxe", "BIOS x86 PXE firmware", "bios-pxe"),
    "UEFI x64": (pxe(7), "ipxe.efi", "UEFI x64 PXE firmware", "uefi-pxe"),
    "UEFI x64 as byte code": (pxe(9), "ipxe.efi", "UEFI x64 (EBC) PXE firmware", "uefi-pxe"),
    "UEFI arm64": (pxe(11), "ipxe-arm64.efi", "UEFI ARM 64 PXE firmware", "uefi-pxe"),
    "HTTP boot x64": (pxe(16, "HTTPClient"), f"{HTTP}/ipxe.efi", "UEFI x64 HTTP boot firmware", "uefi-http"),
    "HTTP boot arm64": (pxe(19, "HTTPClient"), f"{HTTP}/ipxe-arm64.efi", "UEFI ARM 64 HTTP boot firmware", "uefi-http"),
}


def fetch(ns: str, address: str, url: str, out: Path, *words: str) -> str:
    """curl from one of a client's addresses; the HTTP status, or 000 by TFTP."""
    argv = ["curl", "-sS", "--interface", address, "-o", str(out), "-w", "%{http_code}", *words, url]
    return netns.run(ns, argv).stdout


def hops(rack: Rack, mac: str) -> dict[str, Hop]:
    """The hops of a machine's newest boot, as the API shows them."""
    engine = rack.engine
    shown = engine.ask(engine.client.machines.timeline(str(machine_id_for(mac))))
    return {hop.name: hop for hop in shown.hops}


def waits_at(rack: Rack, mac: str, name: str) -> None:
    """The machine's boot has come to a hop and waits there."""
    netns.until(
        lambda: (hop := hops(rack, mac).get(name)) and hop.state is HopState.WAITING and hop.waiting_for,
        what=f"{mac} waits for {name}",
    )


@pytest.mark.parametrize("name", FIRMWARE)
def test_firmware_gets_its_loader_and_can_fetch_it(rack: Rack, mac: str, tmp_path: Path, name: str) -> None:
    words, bootfile, called, path = FIRMWARE[name]
    ns, engine = rack.segment.clients[0], rack.engine
    with card(ns, mac, words) as firmware:
        offer = firmware.discover()
        assert (offer.boot, offer.siaddr, offer.server) == (bootfile, SERVER, SERVER)
        if bootfile.startswith("http"):
            assert offer.options["vendor_class_id"] == b"HTTPClient"
        ack = firmware.take(offer)
        assert (ack.kind, ack.address, ack.boot) == (5, offer.address, bootfile)
    netns.run(ns, ["ip", "address", "add", f"{ack.address}/24", "dev", "eth0"])

    assert engine.event("dhcp.discover", mac=mac).message == f"DISCOVER from {called}"
    assert engine.event("dhcp.offer", mac=mac).data["bootfile"] == bootfile
    acked = engine.event("dhcp.ack", mac=mac)
    assert (acked.data["path"], acked.data["bootenv"], acked.level) == (path, "discovery", Level.INFO)
    waits_at(rack, mac, "loader")

    url = bootfile if bootfile.startswith("http") else f"tftp://{SERVER}/{bootfile}"
    fetch(ns, ack.address, url, tmp_path / "loader")
    loader = rack.artefacts / "loaders" / bootfile.rpartition("/")[2]
    assert (tmp_path / "loader").read_bytes() == loader.read_bytes()
    sent = engine.event("http.sent" if bootfile.startswith("http") else "tftp.sent", mac=mac)
    assert (sent.data["role"], sent.data["bytes"]) == ("loader", loader.stat().st_size)
    done = hops(rack, mac)
    assert [done[hop].state for hop in ("discover", "offer", "request", "ack", "loader")] == [HopState.DONE] * 5
    assert (done["ipxe"].state, done["ipxe"].waiting_for) == (HopState.WAITING, "iPXE to ask for an address")


IPXE: dict[str, list[Any]] = {
    "by user class 77": ipxe(7, features=False),
    "by option 175": ipxe(7, user_class=False),
    "by both, on BIOS": ipxe(0),
    "by both, on arm64": ipxe(11),
}


@pytest.mark.parametrize("name", IPXE)
def test_ipxe_in_the_card_is_sent_to_its_own_script(rack: Rack, mac: str, tmp_path: Path, name: str) -> None:
    ns, engine = rack.segment.clients[0], rack.engine
    with card(ns, mac, IPXE[name]) as firmware:
        ack = firmware.boot()
    script = f"{HTTP}/boot/{mac.replace(':', '-')}.ipxe"
    assert ack.boot == script
    assert engine.event("dhcp.discover", mac=mac).data["stage"] == "ipxe"
    waits_at(rack, mac, "script")

    assert fetch(ns, ack.address, script, tmp_path / "script") == "200"
    text = (tmp_path / "script").read_text()
    assert text.startswith("#!ipxe\n")
    assert f"set base {HTTP}\n" in text
    assert mac in text
    shown = hops(rack, mac)
    assert (shown["loader"].state, shown["ipxe"].state) == (HopState.SKIPPED, HopState.SKIPPED)
    netns.until(lambda: hops(rack, mac)["script"].state is HopState.DONE, what="the script is on the timeline")


def test_a_whole_boot_from_firmware_to_initrd(rack: Rack, mac: str, tmp_path: Path) -> None:
    ns, engine = rack.segment.clients[1], rack.engine
    out = tmp_path / "file"
    with card(ns, mac, pxe(7)) as firmware:
        address = firmware.boot().address
        fetch(ns, address, f"tftp://{SERVER}/ipxe.efi", out)
        firmware.words = ipxe(7)
        ack = firmware.lease()
        assert ack.address == address
        assert fetch(ns, address, ack.boot, out) == "200"
        for file in ("vmlinuz", "initrd.img"):
            assert fetch(ns, address, f"{HTTP}/discovery/amd64/{file}", out) == "200"
            assert out.read_bytes() == (rack.artefacts / "discovery" / "amd64" / file).read_bytes()
    netns.until(lambda: hops(rack, mac)["initrd"].state is HopState.DONE, what="the initrd is on the timeline")

    shown = engine.ask(engine.client.machines.timeline(f"Mac:{mac}"))
    states = {hop.name: hop.state for hop in shown.hops}
    passed = ("discover", "offer", "request", "ack", "loader", "ipxe", "script", "kernel", "initrd")
    assert [states[name] for name in passed] == [HopState.DONE] * len(passed)
    assert (shown.path, shown.bootenv, shown.at, shown.complete) == ("uefi-pxe", "discovery", "agent", False)
    assert engine.told("machines", "timeline", str(machine_id_for(mac))).count("done\t") == len(passed)
    # Every delta is the time since the hop before it; none runs backwards.
    assert all(hop.delta is None or hop.delta >= 0 for hop in shown.hops)


def test_a_wrongly_ordered_boot_waits_where_an_event_is_missing(rack: Rack, mac: str, tmp_path: Path) -> None:
    """iPXE's DHCP without a loader before it: the loader's hop is not made up."""
    with card(rack.segment.clients[1], mac, pxe(0)) as firmware:
        firmware.boot()
        firmware.words = ipxe(0)
        firmware.lease()
    netns.until(lambda: hops(rack, mac)["ipxe"].state is HopState.DONE, what="iPXE's lease is on the timeline")
    assert hops(rack, mac)["loader"].state is HopState.WAITING


@pytest.mark.parametrize(("arch", "called"), [(6, "UEFI IA32"), (25, "UEFI RISC-V 32"), (4242, "architecture 4242")])
def test_firmware_without_a_loader_is_named_and_left_alone(rack: Rack, mac: str, arch: int, called: str) -> None:
    with card(rack.segment.clients[0], mac, pxe(arch)) as firmware:
        ack = firmware.lease()
    assert (ack.boot, ack.kind) == ("", 5)
    discover = rack.engine.event("dhcp.discover", mac=mac)
    assert (discover.data["arch"], called in discover.message) == (arch, True)
    offer = rack.engine.event("dhcp.offer", mac=mac)
    assert offer.data["reason"] == "unsupported-arch"
    assert "no boot loader for" in offer.message
    assert called in offer.message


def test_an_operating_system_gets_an_address_and_no_boot_file(rack: Rack, mac: str) -> None:
    with card(rack.segment.clients[0], mac, [("vendor_class_id", b"systemd-networkd")]) as it:
        ack = it.lease()
    assert (ack.kind, ack.boot) == (5, "")
    assert rack.engine.event("dhcp.ack", mac=mac).data["reason"] == "not-booting"
    assert rack.engine.machine(mac) is None


def test_boot_requests_to_port_4011_are_answered(rack: Rack, mac: str) -> None:
    ns = rack.segment.clients[2]
    with card(ns, mac, pxe(7)) as firmware:
        address = firmware.boot().address
    assert netns.call(ns, lambda: ask_4011(mac, address)) == "ipxe.efi"
    found = rack.engine.event("proxy.ack", mac=mac)
    assert (found.address, found.data["bootfile"]) == (address, "ipxe.efi")


def ask_4011(mac: str, address: str) -> str:
    """What a boot request from an address that is there is told to fetch."""
    from scapy.layers.dhcp import BOOTP, DHCP

    hardware = bytes.fromhex(mac.replace(":", ""))
    asked = BOOTP(op=1, xid=77, chaddr=hardware, ciaddr=address) / DHCP(
        options=[("message-type", "request"), *pxe(7), "end"]
    )
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as udp:
        udp.bind((address, 68))
        udp.settimeout(10)
        udp.sendto(bytes(asked), (SERVER, 4011))
        return BOOTP(udp.recvfrom(2000)[0]).file.rstrip(b"\0").decode()


def test_settings_of_the_operator_change_what_is_given(rack: Rack) -> None:
    """Preferences, reservations that never boot, machines that are held: the next DISCOVER knows."""
    engine, ns = rack.engine, rack.segment.clients[0]
    plain, never, held = new_mac(), new_mac(), new_mac()
    engine.told("prefs", "set", "loader-bios", "ipxe.pxe")
    engine.told("reservations", "create", "10.7.0.50", "--mac", never, "--never-boot")
    engine.told("machines", "create", "kept", "--mac", held, "--held")
    try:
        told: dict[str, tuple[str, str]] = {}
        for mac in (plain, never, held):
            with card(ns, mac, pxe(0)) as firmware:
                ack = firmware.lease()
                told[mac] = ack.boot, engine.event("dhcp.ack", mac=mac).data["reason"]
                if mac == never:
                    assert ack.address == "10.7.0.50"
        assert told == {plain: ("ipxe.pxe", ""), never: ("", "never-boot"), held: ("", "held")}
    finally:
        engine.ask(engine.client.prefs.set("loader-bios", "undionly.kpxe"))
        engine.ask(engine.client.reservations.delete("10.7.0.50"))
        engine.ask(engine.client.machines.delete("kept"))


def test_a_machine_to_be_left_alone_is(rack: Rack, mac: str) -> None:
    """The boot environment `ignore`: an address, no boot file, no script."""
    engine, ns = rack.engine, rack.segment.clients[0]
    engine.ask(engine.client.prefs.set("unknown-bootenv", "ignore"))
    try:
        with card(ns, mac, pxe(7)) as firmware:
            ack = firmware.boot()
        assert (ack.kind, ack.boot) == (5, "")
        assert engine.event("dhcp.ack", mac=mac).data["reason"] == "ignore"
        script = f"{HTTP}/boot/{mac.replace(':', '-')}.ipxe"
        assert fetch(ns, ack.address, script, Path("/dev/null")) == "404"
        assert "to be left alone" in engine.event("http.refused", mac=mac).data["why"]
    finally:
        engine.ask(engine.client.prefs.set("unknown-bootenv", "discovery"))


def test_the_router_solicitation_of_a_booting_machine_is_answered(rack: Rack) -> None:
    """By unicast, with lifetime 0 and no prefix; that of anybody else is not."""
    booting, other = new_mac(), new_mac()
    with card(rack.segment.clients[0], booting, pxe(7)) as firmware:
        firmware.discover()
    before = rack.engine.service("router").counters
    answer = netns.call(rack.segment.clients[0], lambda: solicited(other, booting))
    assert answer.lifetime == 0
    assert not answer.has_prefix
    assert answer.dst_mac == booting
    after = rack.engine.service("router").counters
    assert (after["solicitations"] - before["solicitations"], after["answers"] - before["answers"]) == (2, 1)


@dataclass(frozen=True, slots=True)
class Advertised:
    """A router advertisement, as scapy reads it."""

    dst_mac: str
    lifetime: int
    has_prefix: bool


def solicited(*macs: str) -> Advertised:
    """Solicit routers as each of these cards; the first advertisement that is heard."""
    from scapy.layers.inet6 import ICMPv6ND_RA, ICMPv6ND_RS, ICMPv6NDOptPrefixInfo, ICMPv6NDOptSrcLLAddr, IPv6
    from scapy.layers.l2 import Ether

    with socket.socket(socket.AF_PACKET, socket.SOCK_RAW, 0) as raw:
        raw.bind(("eth0", 0x86DD))
        raw.settimeout(10)
        for mac in macs:
            frame = (
                Ether(src=mac, dst="33:33:00:00:00:02")
                / IPv6(src="fe80::5054:ff:fee2:1", dst="ff02::2", hlim=255)
                / ICMPv6ND_RS()
                / ICMPv6NDOptSrcLLAddr(lladdr=mac)
            )
            raw.send(bytes(frame))
        while True:
            packet = Ether(raw.recv(2048))
            if ICMPv6ND_RA in packet:
                told = packet[ICMPv6ND_RA]
                return Advertised(packet[Ether].dst, told.routerlifetime, ICMPv6NDOptPrefixInfo in packet)
