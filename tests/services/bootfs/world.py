"""A world for the virtual tree: a view that can be changed, files on disk, content in memory."""

from __future__ import annotations

import uuid
from collections.abc import Mapping, Sequence
from dataclasses import replace
from ipaddress import IPv4Address, IPv6Address
from pathlib import Path

from app.model.bootenv import BootEnv, BootFiles, BootKind
from app.model.event import EventDraft
from app.model.machine import Machine
from app.model.profile import Profile
from app.model.subnet import Lease, Reservation, Subnet
from app.model.subnet6 import AnyLease, Lease6
from app.netboot.bootpath import Answer, FileRequest, Served
from app.netboot.token import Claims, TokenKind, mint, verify
from app.services.bootfs import BootFs, Files
from tests.artefacts import listed

KEY = b"0123456789abcdef0123456789abcdef"
MAC, OTHER = "52:54:00:00:00:07", "52:54:00:00:00:08"
HERE, THERE, NOBODY = IPv4Address("10.7.0.100"), IPv4Address("10.7.0.101"), IPv4Address("10.7.0.102")
LOCAL = IPv4Address("10.7.0.1")
ID = uuid.UUID("11111111-2222-3333-4444-555555555555")
WEB1 = Machine(id=ID, name="web1", macs=(MAC,), address=HERE, architecture="amd64")

RESCUE = BootEnv(
    name="rescue",
    architectures={"amd64": BootFiles(kernel="discovery/amd64/vmlinuz", initrds=("discovery/amd64/initrd.img",))},
)
TEMPLATES = {
    "boot": "#!ipxe\nkernel {{ provisioner_url }}/{{ boot_file('kernel') }} {{ arguments }}\n# {{ machine.name }}\n",
    "arguments": "a=1\n  t={{ token() }} m={{ mac }}",
}


class Clock:
    """Time that a test sets."""

    time = 1500.0

    def now(self) -> float:
        return self.time

    def monotonic(self) -> float:
        return self.time


class View:
    """A world that can be changed."""

    def __init__(self) -> None:
        self.machines: dict[str, Machine] = {}
        self.leases = {
            HERE: Lease(address=HERE, mac=MAC, since=1000.0, expires=9000.0, subnet="lan"),
            THERE: Lease(address=THERE, mac=OTHER, since=1000.0, expires=9000.0, subnet="lan"),
        }
        self.prefs = {
            "default-bootenv": "local",
            "unknown-bootenv": "rescue",
            "known-token-timeout": "3600",
            "unknown-token-timeout": "600",
            "discovery-ssh-keys": "",
        }
        self.leases6: dict[IPv6Address, Lease6] = {}
        self.reserved: dict[str, Reservation] = {}
        self.held = False

    def subnets(self) -> Sequence[Subnet]:
        return ()

    def reservations_for(self, token: str) -> list[Reservation]:
        return [self.reserved[token]] if token in self.reserved else []

    def reservation_at(self, address: IPv4Address) -> Reservation | None:
        return None

    def machine_by_mac(self, mac: str) -> Machine | None:
        return self.machines.get(mac)

    def machine(self, key: uuid.UUID) -> Machine | None:
        return next((each for each in self.machines.values() if each.id == key), None)

    def profile(self, name: str) -> Profile | None:
        return None

    def bootenv(self, name: str) -> BootEnv | None:
        return None

    def preference(self, name: str) -> str:
        return self.prefs[name]

    def holding(self) -> bool:
        return self.held

    def lease_at(self, address: IPv4Address) -> Lease | None:
        return self.leases.get(address)

    def holder_of(self, address: IPv4Address | IPv6Address) -> AnyLease | None:
        return self.lease_at(address) if isinstance(address, IPv4Address) else self.leases6.get(address)


class Content:
    """Boot environments in memory."""

    def __init__(self) -> None:
        self.found: dict[str, tuple[BootEnv, Mapping[str, str]]] = {
            "rescue": (RESCUE, dict(TEMPLATES)),
            "local": (
                BootEnv(name="local", kind=BootKind.LOCAL),
                {"boot": "#!ipxe\necho {{ machine.name }} {{ reason }}\nexit\n"},
            ),
            "ignore": (BootEnv(name="ignore", kind=BootKind.IGNORE), {}),
        }

    def bootenv(self, name: str) -> BootEnv | None:
        return self.found[name][0] if name in self.found else None

    def bootenvs(self) -> tuple[BootEnv, ...]:
        return tuple(bootenv for bootenv, _ in self.found.values())

    def templates(self, name: str) -> Mapping[str, str]:
        return self.found[name][1]

    def template(self, name: str, source: str) -> None:
        bootenv, templates = self.found[name]
        self.found[name] = (bootenv, {**templates, "boot": source})

    def broken(self, name: str, *errors: str) -> None:
        bootenv, templates = self.found[name]
        self.found[name] = (bootenv.model_copy(update={"errors": errors}), templates)


class World:
    """Everything a tree needs, and the tree."""

    def __init__(self, folder: Path) -> None:
        self.artefacts, self.root = folder / "artefacts", folder / "root"
        (self.artefacts / "loaders").mkdir(parents=True)
        (self.artefacts / "discovery/amd64").mkdir(parents=True)
        self.root.mkdir()
        (self.artefacts / "loaders/ipxe.efi").write_bytes(b"MZ loader")
        (self.artefacts / "loaders/manifest.json").write_text("{}")
        (self.artefacts / "discovery/amd64/vmlinuz").write_bytes(b"kernel" * 1000)
        (self.artefacts / "discovery/amd64/initrd.img").write_bytes(b"initrd" * 1000)
        listed(self.artefacts / "discovery/amd64")
        self.view, self.content, self.clock = View(), Content(), Clock()
        self.events: list[EventDraft] = []
        self.neighbours: dict[IPv4Address, str] = {}
        self.learned: list[tuple[str, IPv4Address]] = []
        self.tree = self.made()

    def made(self, address: IPv4Address | None = None) -> BootFs:
        return BootFs(
            self.view,
            self.content,
            Files(self.artefacts, [self.root]),
            mint=lambda claims: mint(claims, KEY),
            verify=lambda token, peer: verify(
                token, KEY, now=self.clock.now(), address=peer, lease=self.view.holder_of(peer)
            ),
            emit=self.events.append,
            clock=self.clock,
            http_port=8090,
            address=address,
            arp=lambda: self.neighbours,
            learn=self.learn,
        )

    def learn(self, mac: str, address: IPv4Address) -> None:
        self.learned.append((mac, address))
        self.view.leases[address] = Lease(address=address, mac=mac, since=self.clock.time, expires=90000.0)

    def ask(self, path: str, peer: IPv4Address = HERE, **query: str) -> Answer:
        return self.tree.resolve(FileRequest(path, peer, LOCAL, query=query))

    def text(self, path: str, peer: IPv4Address = HERE, **query: str) -> str:
        """The text that is served; the request must not be refused."""
        answer = self.ask(path, peer, **query)
        assert isinstance(answer, Served), answer
        assert answer.body is not None
        return answer.body.decode()

    def script(self, **query: str) -> str:
        return self.text("boot/52-54-00-00-00-07.ipxe", HERE, **query)

    def claims(self, mac: str = MAC, machine: str = "", **changed: object) -> Claims:
        kind = TokenKind.MACHINE if machine else TokenKind.UNKNOWN
        return replace(Claims(kind, mac, HERE, 2000.0, 1000.0, machine), **changed)  # pyright: ignore[reportArgumentType]
