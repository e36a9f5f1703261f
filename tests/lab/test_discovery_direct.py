"""The discovery system in virtual machines, started without a loader, against a stand-in that speaks the agent API."""

from __future__ import annotations

import contextlib
import http.server
import json
import os
import re
import socket
import struct
import subprocess
import sys
import threading
import time
import uuid
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest

from app.model.inventory import Inventory, Neighbour
from app.netboot.login import sha512_crypt
from tests.packaging import discovery_image

pytestmark = [pytest.mark.lab, pytest.mark.timeout(400)]

MAC = "52:54:00:00:00:07"
NAME = "d52-54-00-00-00-07"
DEADLINE = 180.0
OVMF = Path("/usr/share/ovmf/OVMF.fd")

Answer = tuple[int, dict[str, Any]]


@dataclass(frozen=True, slots=True)
class Call:
    """One request of the agent; seconds since the machine was started."""

    seconds: float
    method: str
    path: str
    token: str
    body: dict[str, Any]


@dataclass(slots=True)
class StandIn:
    """The agent API of one machine; `actions` are answered to heartbeats in turn, then nothing more is wanted."""

    actions: list[str] = field(default_factory=list[str])
    refuse: Answer | None = None
    access: dict[str, str] = field(default_factory=dict[str, str])
    id: str = field(default_factory=lambda: str(uuid.uuid4()))
    calls: list[Call] = field(default_factory=list[Call])
    changed: threading.Condition = field(default_factory=threading.Condition)
    began: float = field(default_factory=time.monotonic)
    tokens: int = 0

    def answer(self, method: str, path: str, token: str, body: dict[str, Any]) -> Answer:
        """Take note, and answer as Bootcart does; each heartbeat renews the token."""
        with self.changed:
            self.calls.append(Call(time.monotonic() - self.began, method, path, token, body))
            self.changed.notify_all()
            if self.refuse is not None:
                return self.refuse
            own = f"/agent/machines/{self.id}/"
            if (method, path) == ("POST", "/agent/register"):
                return 200, {"id": self.id, "name": NAME, "token": "machine.0", "heartbeat": 1}
            if not path.startswith(own):
                return 404, {}
            if token != f"machine.{self.tokens}":
                return 401, {"message": "not the newest token"}
            if path == own + "heartbeat":
                self.tokens += 1
                action = self.actions.pop(0) if self.actions else ""
                return 200, {"action": action, "token": f"machine.{self.tokens}"}
            if (method, path) == ("GET", own + "access"):
                return 200, self.access
            return 204, {}

    def find(self, method: str, path: str) -> list[Call]:
        """Calls whose path ends so, oldest first."""
        with self.changed:
            return [call for call in self.calls if call.method == method and call.path.endswith(path)]

    def wait(self, wanted: Callable[[], bool], machine: Machine) -> None:
        """Until it is so; fails with what the machine's console said."""
        deadline = time.monotonic() + DEADLINE
        while not wanted():
            left = deadline - time.monotonic()
            assert left > 0, f"not within {DEADLINE:.0f} s; console:\n{machine.console()}"
            assert machine.process.poll() is None or wanted(), f"the machine ended; console:\n{machine.console()}"
            with self.changed:
                self.changed.wait(min(left, 0.25))


@dataclass(frozen=True, slots=True)
class Machine:
    """A virtual machine and what its serial line said."""

    process: subprocess.Popen[bytes]
    serial: Path
    monitor: Path
    keyboard: Path

    def order(self, words: str) -> str:
        """A command for QEMU's monitor, and what it answers."""
        with socket.socket(socket.AF_UNIX) as line:
            line.settimeout(DEADLINE)
            line.connect(str(self.monitor))
            said = b""
            for text in (None, words):
                if text is not None:
                    line.sendall(text.encode() + b"\n")
                    said = b""
                while b"(qemu) " not in said:
                    said += line.recv(4096)
        return said.decode()

    @contextlib.contextmanager
    def typing(self) -> Iterator[Callable[[str, str], str]]:
        """Type on the serial line: a function that sends a line and returns what was said until some words came."""
        with socket.socket(socket.AF_UNIX) as line:
            line.settimeout(DEADLINE)
            line.connect(str(self.keyboard))

            def enter(text: str, until: str) -> str:
                line.sendall(text.encode() + b"\r")
                said = b""
                while until.encode() not in said:
                    said += line.recv(4096)
                return said.decode(errors="replace")

            yield enter

    def console(self) -> str:
        return self.serial.read_text(errors="replace") if self.serial.exists() else ""

    def ended(self) -> int:
        """Wait for its end: `-no-reboot` makes a restart one."""
        try:
            return self.process.wait(DEADLINE)
        except subprocess.TimeoutExpired:
            raise AssertionError(f"still running; console:\n{self.console()}") from None


@contextlib.contextmanager
def listening(stand_in: StandIn) -> Iterator[int]:
    """Serve on a free port of the loopback address."""

    class Handler(http.server.BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def handle_one(self) -> None:
            raw = self.rfile.read(int(self.headers.get("Content-Length") or 0))
            token = (self.headers.get("Authorization") or "").removeprefix("Bearer ")
            status, said = stand_in.answer(self.command, self.path, token, json.loads(raw or b"{}"))
            body = json.dumps(said).encode() if status != 204 else b""
            self.send_response(status)
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        do_GET = do_POST = do_PUT = handle_one

        def log_message(self, format: str, *args: Any) -> None:  # noqa: A002
            """The test keeps the calls itself."""

    class Server(http.server.ThreadingHTTPServer):
        def handle_error(self, request: Any, client_address: Any) -> None:
            """A machine that is switched off in the middle of a call is no error."""
            if not isinstance(sys.exception(), ConnectionError):
                super().handle_error(request, client_address)

    with Server(("127.0.0.1", 0), Handler) as server:
        thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.05})
        thread.start()
        try:
            yield server.server_address[1]
        finally:
            server.shutdown()
            thread.join()


@contextlib.contextmanager
def powered_on(
    folder: Path, port: int, *hardware: str, arguments: str = "", network: str = "user", nic: str = "virtio-net-pci"
) -> Iterator[Machine]:
    """A machine that starts the discovery system; QEMU's user network leads to the host's loopback and nowhere else."""
    image = discovery_image.built()
    serial = folder / "serial"
    # A host that is busy may not let the emulated timer tick within the milliseconds the kernel waits for it at its
    # start, which it then ends with a panic.
    line = (
        "console=ttyS0,115200 console=tty0 quiet no_timer_check panic=-1 "
        f"bootcart.url=http://10.0.2.2:{port} bootcart.token=unknown.0 bootcart.mac={MAC} {arguments}"
    )
    restricted = "user,id=n0" if network == "user" else network
    argv = [
        "qemu-system-x86_64", "-accel", "tcg", "-cpu", "max", "-m", "1024", "-display", "none", "-no-reboot",
        "-monitor", f"unix:{folder}/monitor,server,nowait",
        "-chardev", f"socket,id=serial,path={folder}/keyboard,server=on,wait=off,logfile={serial}",
        "-serial", "chardev:serial",
        "-kernel", str(image / "vmlinuz"), "-initrd", str(image / "initrd.img"), "-append", line,
        "-netdev", restricted, "-device", f"{nic},netdev=n0,mac={MAC}", *hardware,
    ]  # fmt: skip
    process = subprocess.Popen(argv, stdin=subprocess.DEVNULL)
    try:
        yield Machine(process, serial, folder / "monitor", folder / "keyboard")
    finally:
        process.kill()
        process.wait()


def drive(folder: Path, name: str, mebibytes: int) -> Sequence[str]:
    """QEMU's words for an empty disk that some device then uses as NAME."""
    path = folder / f"{name}.img"
    path.touch()
    os.truncate(path, mebibytes << 20)
    return ("-drive", f"file={path},format=raw,if=none,id={name}")


def test_bios_machine_reports_and_obeys(tmp_path: Path, record_property: Callable[[str, object], None]) -> None:
    stand_in = StandIn(actions=["", "", "reboot"])
    hardware = (
        *drive(tmp_path, "d0", 64), "-device", "virtio-blk-pci,drive=d0,serial=LAB-0001",
        "-uuid", "12345678-9abc-4def-8123-456789abcdef",
        "-smbios", 'type=1,manufacturer=Acme "Iron",product=Box\\1,serial=A"B\\C',
    )  # fmt: skip
    with listening(stand_in) as port, powered_on(tmp_path, port, *hardware) as machine:
        assert machine.ended() == 0
        console = machine.console()
    assert [(call.method, call.path.rpartition("/")[2], call.token) for call in stand_in.calls] == [
        ("POST", "register", "unknown.0"),
        ("POST", "events", "machine.0"),
        ("PUT", "inventory", "machine.0"),
        ("GET", "access", "machine.0"),
        ("POST", "heartbeat", "machine.0"),
        ("POST", "heartbeat", "machine.1"),
        ("POST", "heartbeat", "machine.2"),
        ("POST", "events", "machine.3"),
    ]
    assert stand_in.calls[0].body == {
        "macs": [MAC], "boot_mac": MAC, "uuid": "12345678-9abc-4def-8123-456789abcdef", "serial": 'A"B\\C',
        "architecture": "amd64", "firmware": "bios",
    }  # fmt: skip
    assert [call.body["kind"] for call in stand_in.find("POST", "/events")] == ["started", "rebooting"]
    (report,) = stand_in.find("PUT", "/inventory")
    found = Inventory.model_validate(report.body)
    assert (found.system.manufacturer, found.system.product) == ('Acme "Iron"', "Box\\1")
    assert (found.firmware, found.secure_boot, found.memory.total) == ("bios", "unsupported", 2**30)
    assert found.memory.modules == ("DIMM 0: 1 GB RAM QEMU",)
    assert (found.cpu.architecture, found.cpu.sockets, found.cpu.threads) == ("amd64", 1, 1)
    assert found.cpu.model.startswith("QEMU")
    assert "sse2" in found.cpu.flags
    assert [(d.name, d.size, d.serial, d.transport) for d in found.disks] == [("vda", 64 << 20, "LAB-0001", "virtio")]
    (nic,) = found.nics
    assert (nic.mac, nic.driver, nic.link, nic.address, nic.boot) == (MAC, "virtio_net", True, "10.0.2.15", True)
    manifest = json.loads((discovery_image.built() / "manifest.json").read_text())
    assert (found.kernel, found.agent) == (manifest["kernel"], manifest["release"])
    assert f"Registered as {NAME}; idle, waiting for an assignment" in console
    record_property("seconds to the inventory", round(report.seconds, 1))


def lldp_frame(ttl: int = 120) -> bytes:
    """What a switch says (IEEE 802.1AB-2016 section 8), with a VLAN (802.1Q D.2.1) and padding behind the end."""

    def tlv(kind: int, value: bytes) -> bytes:
        return struct.pack("!H", kind << 9 | len(value)) + value

    return (
        bytes.fromhex("0180c200000e 02aabbccdd01 88cc")
        + tlv(1, b"\x04" + bytes.fromhex("02aabbccdd00")) + tlv(2, b"\x05Gi1/0/7") + tlv(3, struct.pack("!H", ttl))
        + tlv(4, b'to "rack 7"') + tlv(5, b"switch-7") + tlv(8, b"\x05\x01\x0a\0\0\x02" + b"\x02\0\0\0\x01\0")
        + tlv(127, bytes.fromhex("0080c2 01 0007")) + tlv(0, b"") + bytes(12)
    )  # fmt: skip


@contextlib.contextmanager
def switch(folder: Path) -> Iterator[tuple[Sequence[str], Callable[[bytes], None]]]:
    """A network of datagrams: QEMU's words for its end, and a function that sends a frame to the machine."""
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as wire:
        wire.bind(str(folder / "switch"))
        wire.setblocking(False)
        there = folder / "port"

        def send(frame: bytes) -> None:
            with contextlib.suppress(BlockingIOError):
                while wire.recv(65536):
                    """What the machine asks this network is nobody's concern; it must not fill the line."""
            # The port may not be there yet.
            with contextlib.suppress(BlockingIOError, FileNotFoundError, ConnectionRefusedError):
                wire.sendto(frame, str(there))

        ends = f"local.type=unix,local.path={there},remote.type=unix,remote.path={folder / 'switch'}"
        yield ("-netdev", f"dgram,id=switch,{ends}", "-device", "e1000e,netdev=switch,mac=52:54:00:00:00:08"), send


PASSWORD = "correct horse"


def ssh_to(machine: Machine, folder: Path, key: Path, *command: str) -> subprocess.CompletedProcess[str]:
    """Run the host's ssh; the machine's host key is kept in `known`."""
    said = machine.order("info usernet")
    (port,) = re.findall(r"TCP\[HOST_FORWARD\]\s+\d+\s+127\.0\.0\.1\s+(\d+)", said)
    return subprocess.run(
        [
            "ssh", "-F", "none", "-p", port, "-i", str(key), "-o", "IdentitiesOnly=yes", "-o", "BatchMode=yes",
            "-o", "StrictHostKeyChecking=accept-new", "-o", f"UserKnownHostsFile={folder / 'known'}",
            "-o", "ConnectTimeout=60", "root@127.0.0.1", *command,
        ],
        stdin=subprocess.DEVNULL, capture_output=True, text=True, check=False, timeout=DEADLINE,
    )  # fmt: skip


def keys_in(folder: Path, name: str) -> tuple[Path, str]:
    """A new key pair: the private file, and the public line."""
    path = folder / name
    subprocess.run(["ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-C", name, "-f", str(path)], check=True)
    return path, path.with_suffix(".pub").read_text().strip()


def log_in(machine: Machine) -> None:
    """At the serial console: a wrong password, then the right one."""
    with machine.typing() as enter:
        enter("", "Password:")
        assert "Login incorrect" in enter("guess", "login: ")
        enter("root", "Password:")
        enter(PASSWORD, "# ")
        assert "uid=0" in enter("id; echo $((6 * 7))-", "\n42-")
        enter("exit", "press Enter here to log in")


def test_uefi_machine_reports_and_powers_off(tmp_path: Path, record_property: Callable[[str, object], None]) -> None:
    """What takes longer follows the first report; an operator logs in at the console and by ssh."""
    key, public = keys_in(tmp_path, "operator")
    stranger, _ = keys_in(tmp_path, "stranger")
    stand_in = StandIn(access={"password_hash": sha512_crypt(PASSWORD, "saltsalt"), "ssh_keys": f"{public}\n"})
    with contextlib.ExitStack() as stack:
        ends, send = stack.enter_context(switch(tmp_path))
        hardware = (
            "-machine", "q35", "-bios", str(OVMF), "-smp", "2", *ends,
            *drive(tmp_path, "d0", 64), "-device", "nvme,drive=d0,serial=NVME-1",
            *drive(tmp_path, "d1", 64), "-device", "ide-hd,drive=d1,serial=SATA-1",
            "-device", "ipmi-bmc-sim,id=bmc", "-device", "isa-ipmi-kcs,bmc=bmc",
        )  # fmt: skip
        port = stack.enter_context(listening(stand_in))
        network = "user,id=n0,hostfwd=tcp:127.0.0.1:0-:22"
        machine = stack.enter_context(powered_on(tmp_path, port, *hardware, network=network, nic="e1000e"))

        def reports() -> list[Inventory]:
            return [Inventory.model_validate(call.body) for call in stand_in.find("PUT", "/inventory")]

        def whole() -> bool:
            if not (so_far := reports()):
                return False
            # A switch that spoke before would be in the first report already.
            send(lldp_frame())
            last = so_far[-1]
            healthy = [disk for disk in last.disks if disk.health is not None]
            heard = [nic for nic in last.nics if nic.neighbour is not None]
            return len(healthy) == 2 and bool(heard and last.bmc and last.boot_entries)

        stand_in.wait(whole, machine)
        stand_in.wait(lambda: bool(stand_in.find("PUT", "/access")), machine)
        log_in(machine)
        done = ssh_to(machine, tmp_path, key, "cat", "/etc/bootcart-release")
        assert (done.returncode, done.stdout.strip()) == (0, reports()[-1].agent), done.stderr
        done = ssh_to(machine, tmp_path, stranger, "true")
        assert done.returncode == 255
        assert "Permission denied (publickey)" in done.stderr
        known = subprocess.run(
            ["ssh-keygen", "-l", "-f", str(tmp_path / "known")], capture_output=True, text=True, check=True
        )
        (told,) = stand_in.find("PUT", "/access")
        assert told.body == {"host_key": "ssh-ed25519 " + known.stdout.split()[1]}
        with stand_in.changed:
            stand_in.actions.append("poweroff")
        assert machine.ended() == 0
    assert stand_in.calls[0].body["firmware"] == "uefi"
    first, last = reports()[0], reports()[-1]
    # This firmware has no keys enrolled: it would take any.
    assert (first.firmware, first.secure_boot) == ("uefi", "setup")
    assert (first.cpu.threads, first.nics[0].driver, first.nics[0].speed) == (2, "e1000e", 1000)
    disks = {disk.name: disk for disk in first.disks}
    nvme = disks["nvme0n1"]
    assert (nvme.serial, nvme.transport, nvme.rotational) == ("NVME-1", "nvme", False)
    later = [*(disk.health for disk in first.disks), *(nic.neighbour for nic in first.nics), first.bmc]
    assert later == [None] * 5
    health = {disk.serial: disk.health for disk in last.disks if disk.health is not None}
    assert {serial: found.status for serial, found in health.items()} == {"NVME-1": "passed", "SATA-1": "passed"}
    assert health["NVME-1"].spare is not None
    assert last.bmc is not None
    assert last.bmc.version
    assert any(entry.active and entry.name for entry in last.boot_entries)
    assert {nic.mac: nic.neighbour for nic in last.nics} == {
        MAC: None,
        "52:54:00:00:00:08": Neighbour(
            switch="switch-7", chassis="02:aa:bb:cc:dd:00", port="Gi1/0/7", port_description='to "rack 7"', vlan=7,
            address="10.0.0.2",
        ),
    }  # fmt: skip
    record_property("seconds to the inventory", round(stand_in.find("PUT", "/inventory")[0].seconds, 1))


def test_many_controllers_and_cards(tmp_path: Path) -> None:
    """Drivers that virtio does not prove; the USB disk comes late and is reported when it is there."""
    stand_in = StandIn()
    hardware = (
        "-machine", "q35", "-netdev", "user,id=n1", "-device", "e1000,netdev=n1", "-netdev", "user,id=n2",
        "-device", "rtl8139,netdev=n2", "-netdev", "user,id=n3", "-device", "i82559c,netdev=n3",
        *drive(tmp_path, "sata", 32), "-device", "ide-hd,drive=sata,serial=SATA0,wwn=0x5000c50012345678",
        *drive(tmp_path, "mega", 33), "-device", "megasas,id=mg", "-device", "scsi-hd,drive=mega,bus=mg.0,serial=MEGA1",
        *drive(tmp_path, "pv", 34), "-device", "pvscsi,id=pv", "-device", "scsi-hd,drive=pv,bus=pv.0,serial=PV2",
        *drive(tmp_path, "vs", 35), "-device", "virtio-scsi-pci,id=v", "-device", "scsi-hd,drive=vs,bus=v.0,serial=VS3",
        *drive(tmp_path, "usb", 36), "-device", "qemu-xhci", "-device", "usb-storage,drive=usb,serial=USB4",
        "-device", "usb-kbd",
    )  # fmt: skip
    with listening(stand_in) as port, powered_on(tmp_path, port, *hardware, nic="vmxnet3") as machine:
        serials = {"SATA0", "MEGA1", "PV2", "VS3", "USB4"}

        def complete() -> bool:
            reports = stand_in.find("PUT", "/inventory")
            return bool(reports) and {disk["serial"] for disk in reports[-1].body["disks"]} == serials

        stand_in.wait(complete, machine)
    found = Inventory.model_validate(stand_in.find("PUT", "/inventory")[-1].body)
    assert {(disk.serial, disk.transport, disk.size >> 20) for disk in found.disks} == {
        ("SATA0", "sata", 32), ("MEGA1", "scsi", 33), ("PV2", "scsi", 34), ("VS3", "virtio", 35), ("USB4", "usb", 36),
    }  # fmt: skip
    assert next(disk.wwn for disk in found.disks if disk.serial == "SATA0") == "0x5000c50012345678"
    drivers = {nic.driver: nic for nic in found.nics}
    assert set(drivers) == {"vmxnet3", "e1000", "8139cp", "e100"}
    assert [nic.driver for nic in found.nics if nic.boot] == ["vmxnet3"]
    assert all(nic.link for nic in found.nics)
    assert len(stand_in.calls[0].body["macs"]) == 4


def test_small_machine(tmp_path: Path) -> None:
    """What the boot environment says is enough memory is enough."""
    stand_in = StandIn(actions=["reboot"])
    with listening(stand_in) as port, powered_on(tmp_path, port, "-m", "512") as machine:
        assert machine.ended() == 0
    assert stand_in.find("PUT", "/inventory")


def test_engine_that_fails_forgets_and_stops(tmp_path: Path) -> None:
    """Registration is tried again; a machine that is forgotten registers anew; an engine that stopped is waited for."""
    stand_in = StandIn(refuse=(503, {"message": "the store is read-only", "hint": "free some space"}))
    with contextlib.ExitStack() as stack:
        with listening(stand_in) as port:
            machine = stack.enter_context(powered_on(tmp_path, port))
            stand_in.wait(lambda: "the store is read-only (free some space) (HTTP 503)" in machine.console(), machine)
            with machine.typing() as enter:
                # Nobody has given this machine a password yet.
                assert "the store is read-only" in enter("", "\r\nBootcart discovery system: press Enter here")
                assert "This machine is not registered with Bootcart yet" in machine.console()
            stand_in.refuse = None
            stand_in.wait(lambda: len(stand_in.find("POST", "/heartbeat")) > 1, machine)
            with stand_in.changed:
                stand_in.id, stand_in.tokens = str(uuid.uuid4()), 0
            stand_in.wait(lambda: len(stand_in.find("PUT", f"{stand_in.id}/inventory")) == 1, machine)
            assert "does not know this machine (HTTP 404)" in machine.console()
        silence = f"No heartbeat: http://10.0.2.2:{port}/agent/machines/{stand_in.id}/heartbeat: ("
        stand_in.wait(lambda: silence in machine.console(), machine)
        stand_in.wait(lambda: "Check that Bootcart runs there" in machine.console(), machine)


def test_refused_machine_goes_back_to_its_firmware(tmp_path: Path) -> None:
    """The console says what was refused and why; the machine restarts by itself, without patience after three tries."""
    stand_in = StandIn(refuse=(401, {"message": "the token has expired; boot the machine again", "hint": ""}))
    with listening(stand_in) as port, powered_on(tmp_path, port, arguments="bootcart.patience=0") as machine:
        assert machine.ended() == 0
        said = machine.console()
    assert len(stand_in.find("POST", "/register")) == 3
    assert {call.path for call in stand_in.calls} == {"/agent/register"}
    assert "Registering fails: http://10.0.2.2" in said
    assert "the token has expired; boot the machine again (HTTP 401)" in said
    assert "so that the firmware goes on with its boot order" in said


def test_segment_without_dhcp(tmp_path: Path) -> None:
    """A network where nobody answers: every round is said, with what to check."""
    stand_in = StandIn()
    hub = "hubport,id=n0,hubid=0"
    with listening(stand_in) as port, powered_on(tmp_path, port, network=hub) as machine:
        stand_in.wait(lambda: f"Asking for an address on eth0 ({MAC}), round 2" in machine.console(), machine)
        assert f"No DHCP answer on eth0 ({MAC}) in round 1: check that" in machine.console()


def test_machine_without_its_boot_card(tmp_path: Path) -> None:
    """The address on the command line is no card's here: another one with a link is used, and that is said."""
    stand_in = StandIn(actions=["reboot"])
    other = "-netdev", "user,id=n1", "-device", "virtio-net-pci,netdev=n1,mac=52:54:00:00:00:99"
    arguments = "bootcart.mac=52:54:00:00:00:42"
    with listening(stand_in) as port, powered_on(tmp_path, port, *other, arguments=arguments) as machine:
        assert machine.ended() == 0
        assert "No interface has the address 52:54:00:00:00:42" in machine.console()
    assert {MAC, "52:54:00:00:00:99"} == set(stand_in.calls[0].body["macs"])


def test_cable_that_is_plugged_in_later(tmp_path: Path) -> None:
    """No link is said with the card's name; the machine goes on by itself when there is one."""
    stand_in = StandIn()
    with listening(stand_in) as port, powered_on(tmp_path, port, "-S", nic="e1000") as machine:
        stand_in.wait(machine.monitor.exists, machine)
        machine.order("set_link n0 off")
        machine.order("cont")
        stand_in.wait(lambda: f"No link on eth0 ({MAC}" in machine.console(), machine)
        machine.order("set_link n0 on")
        stand_in.wait(lambda: bool(stand_in.find("POST", "/heartbeat")), machine)
