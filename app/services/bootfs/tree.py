"""Resolving a path for the peer that asks: rendered, per-client alias, loaders, discovery, the operator's trees."""

from __future__ import annotations

import contextlib
import socket
import uuid
from collections.abc import Callable
from dataclasses import replace
from ipaddress import IPv4Address, IPv6Address
from typing import Protocol

from app.clock import Clock
from app.errors import InvalidError, NotFoundError
from app.model.bootenv import BootKind
from app.model.event import EventDraft
from app.model.machine import Machine
from app.model.subnet import Lease
from app.model.subnet6 import AnyLease, Lease6
from app.netboot.bootpath import (
    ANSWER_FOLDER,
    AUTOEXEC,
    Address,
    Answer,
    FileRequest,
    Refusal,
    Role,
    Served,
    role_of,
    script_mac,
    script_path,
    secret_path,
)
from app.netboot.grub import CONFIG, config_of
from app.netboot.loaders import signed_ipxe
from app.netboot.menu import MENU_DEFAULT, UNTOLD, menu_of, menu_place
from app.netboot.render import GIVE_BACK, RenderError
from app.netboot.token import Claims, TokenKind, TokenRefusedError, require
from app.netboot.view import NetworkView
from app.services.bootfs.ahead import Scripts, facts_of, script_text
from app.services.bootfs.drafts import broken, reported
from app.services.bootfs.neighbours import arp as kernel_arp
from app.services.bootfs.neighbours import ndisc as kernel_ndisc
from app.services.bootfs.neighbours import unscoped
from app.services.bootfs.roots import Files
from app.services.bootfs.scripts import (
    BOOT,
    GRUB,
    LANGUAGES,
    MASK,
    MENU,
    AnswerFile,
    Asker,
    Choice,
    Content,
    Given,
    answer_files,
    choose,
    given,
    machine_of,
    rendered,
)

INSTALL_SECONDS = 12 * 3600.0
"""How long an installer may take to report; it cannot renew its token."""


class View(NetworkView, Protocol):
    """What the tree needs to know of the world."""

    def lease_at(self, address: IPv4Address) -> Lease | None: ...

    def holder_of(self, address: Address) -> AnyLease | None:
        """The lease that holds for an address of either protocol now."""
        ...

    def machine(self, key: uuid.UUID) -> Machine | None: ...


class BootFs:
    """The virtual tree. Thread-safe; `resolve` may read the disk."""

    def __init__(
        self,
        view: View,
        content: Content,
        files: Files,
        *,
        mint: Callable[[Claims], str],
        verify: Callable[[str, Address], Claims],
        emit: Callable[[EventDraft], None],
        clock: Clock,
        http_port: int,
        address: IPv4Address | None = None,
        arp: Callable[[], dict[IPv4Address, str]] = kernel_arp,
        ndisc: Callable[[], dict[IPv6Address, str]] = kernel_ndisc,
        learn: Callable[[str, IPv4Address], None] | None = None,
    ) -> None:
        """`address`: fixed address for URLs; none: the one each machine reached. `learn` is told (MAC, address) pairs
        that the ARP table proved where another server leases. `verify` gives the claims of a token that is good for a
        peer, or raises TokenRefusedError."""
        self._view = view
        self._content = content
        self._files = files
        self._mint = mint
        self._verify = verify
        self._emit = emit
        self._clock = clock
        self._http_port = http_port
        self._address = address
        self._arp = arp
        self._ndisc = ndisc
        self._learn = learn
        self._scripts = Scripts(view, content)

    def resolve(self, request: FileRequest) -> Answer:
        """What the peer is given for a normalised path; None: there is no such file."""
        if request.path == AUTOEXEC or (signed_ipxe(request.path) and request.path.endswith(f"/{AUTOEXEC}")):
            return self._autoexec(request)
        architecture, path = menu_place(request.path)
        menu = menu_of(path)
        if menu is not None:
            return self._configured(replace(request, path=path), menu, MENU, MENU_DEFAULT, architecture)
        if architecture:
            return self._file(path)
        mac = script_mac(request.path)
        if mac is not None:
            return self._script(request, mac)
        secret = secret_path(request.path)
        if secret is not None:
            return self._answer(request, *secret)
        if (named := config_of(request.path)) is not None:
            return self._configured(request, named, GRUB, f"{request.path.rpartition('/')[0]}/{CONFIG}".lstrip("/"))
        return self._file(request.path)

    def shared(self, path: str) -> Answer:
        """What anybody is given for a normalised path. For readers by TFTP over IPv6."""
        secret = secret_path(path)
        if secret is not None or script_mac(path) is not None:
            return Refusal(f"{secret[0]}/{secret[2]}" if secret else path, "over IPv6 it is given by HTTP alone")
        return None if path == AUTOEXEC else self._file(path)

    def _file(self, path: str) -> Served | None:
        file = self._files.find(path)
        return None if file is None else Served(path, role_of(path, self._content.bootenvs()), file=file)

    def file_at_hand(self, path: str, peer: Address) -> tuple[Served, str] | None:
        """One of our own files that was found a moment ago, and the MAC of the machine that asks.

        None: it has to be asked for by `resolve`, in a thread that may wait.
        """
        file = self._files.at_hand(path) if path != AUTOEXEC and isinstance(peer, IPv4Address) else None
        lease = self._view.lease_at(peer) if file is not None and isinstance(peer, IPv4Address) else None
        if file is None or lease is None:
            return None
        return Served(path, role_of(path, self._content.bootenvs()), file=file), lease.mac

    def like(self, path: str) -> tuple[str, ...]:
        """Paths that are there and look like this one, the closest first. Reads the disk."""
        return self._files.like(path)

    def there(self, path: str) -> bool:
        """A file of the tree has this path. Reads the disk."""
        return self._files.there(path)

    def holding(self) -> bool:
        """The hold switch is on: no boot service answers anyone."""
        return self._view.holding()

    def lease_at(self, address: Address) -> AnyLease | None:
        """The lease that holds for an address now."""
        return self._view.holder_of(address)

    def machine(self, key: uuid.UUID) -> Machine | None:
        """The machine with this id."""
        return self._view.machine(key)

    def preference(self, name: str) -> str:
        """The value of a preference."""
        return self._view.preference(name)

    def mac_of(self, address: Address) -> str:
        """The MAC address behind an address: by its lease, else by the neighbours' table; empty when neither knows."""
        if isinstance(address, IPv6Address):
            held = self._view.holder_of(address)
            return self._ndisc().get(unscoped(address)) or (held.mac if held is not None else "")
        lease = self._view.lease_at(address)
        return lease.mac if lease is not None else self._arp().get(address, "")

    def base(self, local: Address) -> str:
        """The URL of the boot listener for a machine that reached `local`."""
        if isinstance(local, IPv6Address):
            return f"http://[{unscoped(local)}]:{self._http_port}"
        return f"http://{self._address or local}:{self._http_port}"

    def preview(self, machine: Machine, bootenv: str = "", template: str = BOOT) -> str:
        """What a machine would be given now, its token masked; `bootenv` instead of its own where one is named.

        Raises RenderError, NotFoundError for an unknown boot environment, InvalidError for a machine without a MAC.
        """
        if not machine.macs:
            raise InvalidError(f"{machine.name} has no MAC address", hint="give it one", field="macs")
        mac = machine.macs[0]
        choice = choose(mac, self._view)
        choice = Choice(bootenv or choice.name, machine, "" if bootenv else choice.reason)
        found = self._content.bootenv(choice.name)
        if found is None:
            hint = "see bootcart bootenvs list"
            raise NotFoundError(f"there is no boot environment {choice.name!r}", hint=hint, field="bootenv")
        if found.kind is BootKind.IGNORE:
            return f"# {found.name}: no answer to boot requests\n"
        asker = self._asker(mac, str(machine.address or "0.0.0.0"), towards(machine.address))  # noqa: S104
        templates = self._content.templates(found.name)
        return rendered(found, templates, choice, asker, self._view, lambda: MASK, template)

    def foresee(
        self, mac: str, peer: str, local: IPv4Address, template: str = BOOT, architecture: str = ""
    ) -> tuple[Given, tuple[AnswerFile, ...]]:
        """The script a machine would be given now from our address `local`, its tokens masked, and the answer files.

        Changes nothing.
        """
        asker, choice = self._asker(mac, peer, local), choose(mac, self._view, architecture)
        found = given(choice, self._content, asker, self._view, lambda: MASK, template=template)
        return found, answer_files(found, self._content, asker, self._view)

    def file(self, path: str) -> tuple[int | None, str]:
        """Size and, where a manifest tells it, SHA-256 of a file of the tree; None where there is none. Reads disk."""
        return self._files.facts(path)

    def _asker(self, mac: str, peer: str, local: Address) -> Asker:
        return Asker(mac, peer, self.base(local))

    def _autoexec(self, request: FileRequest) -> Answer:
        """iPXE asks for this beside itself before it does anything else.

        Where we lease the address, nothing is the best answer: iPXE then asks DHCP on the very card it was loaded from,
        and is told its script. Where another server leases and sends everybody the same loader, iPXE would load itself
        for ever: there it is sent to its script.
        """
        if isinstance(request.peer, IPv6Address):
            # Only we could have sent it here, and DHCPv6 tells it more.
            return None
        lease = self._view.lease_at(request.peer)
        if lease is not None and lease.subnet:
            return None
        mac = self.mac_of(request.peer)
        if not mac:
            return None
        lines = ("#!ipxe", "dhcp || dhcp ||", f"chain --replace {self.base(request.local)}/{script_path(mac)} ||")
        return script_text(request.path, "\n".join((*lines, *GIVE_BACK, "")), Role.FILE)

    def _holds6(self, mac: str, peer: IPv6Address) -> bool:
        """The same by the neighbours' table; for who is behind a router, by what its relay said when we leased.

        What a client says of itself, in its DUID, is not enough (RFC 8415 section 22).
        """
        neighbour = self._ndisc().get(unscoped(peer))
        if neighbour is not None:
            return neighbour == mac
        lease = self._view.holder_of(peer)
        return isinstance(lease, Lease6) and lease.proven and lease.mac == mac

    def _holds(self, mac: str, peer: Address) -> bool:
        """The peer is the machine with this MAC: by our lease, or by the ARP table where another server leases."""
        if isinstance(peer, IPv6Address):
            return self._holds6(mac, peer)
        lease = self._view.lease_at(peer)
        if lease is not None and lease.mac == mac:
            return True
        if lease is not None and lease.subnet:
            return False
        if self._arp().get(peer) != mac:
            return False
        if self._learn is not None:
            self._learn(mac, peer)
        return True

    def _configured(self, request: FileRequest, mac: str, template: str, common: str, architecture: str = "") -> Answer:
        """A configuration: the operator's where there is one, if only for all, else this machine's in its language."""
        if self._files.there(request.path) or self._files.there(common):
            return self._file(request.path)
        mac = mac or self.mac_of(request.peer)
        known = architecture != UNTOLD or machine_of(mac, self._view).architecture
        return self._script(request, mac, template, architecture) if mac and known else None

    def _script(self, request: FileRequest, mac: str, template: str = BOOT, architecture: str = "") -> Answer:
        """A machine's own script; `architecture`: its processor, as its firmware told now."""
        if not self._holds(mac, request.peer):
            return Refusal(request.path, f"{request.peer} is not the machine {mac}")
        if "failed" in request.query:
            return self._reported(request, mac)
        asker = self._asker(mac, str(request.peer), request.local)
        choice = choose(mac, self._view, architecture)
        if template == MENU:
            asker = replace(asker, over_http=request.protocol == "http")
        if template == BOOT and request.protocol == "http" and isinstance(request.peer, IPv4Address):
            with contextlib.suppress(RenderError):  # it fails for this machine too, which is told below
                self._scripts.prepare(choice, asker)
            if (at_hand := self._at_hand(choice, asker, request.peer)) is not None:
                return at_hand
        attempt = request.query.get("attempt", "0")
        found = given(
            choice,
            self._content,
            asker,
            self._view,
            lambda: self._token(mac, request.peer, choice.machine),
            int(attempt) if attempt.isdecimal() and len(attempt) < 4 else 0,
            template,
        )
        if found.left_alone:
            return Refusal(request.path, f"{choice.machine.name} is to be left alone ({choice.name})")
        if found.error is not None:
            self._broken(request, mac, choice, found.error)
        if found.error is not None or found.bootenv is None:
            # Not the script of its boot: that hop has failed.
            return script_text(request.path, found.text, Role.FILE)
        return script_text(request.path, found.text, Role.SCRIPT, facts_of(found.bootenv))

    def script_at_hand(self, mac: str, peer: IPv4Address, local: IPv4Address) -> Served | None:
        """A machine's script for iPXE, over HTTP, without waiting for anything.

        None: it has to be asked for by `resolve`, as everything that is not the plainest case.
        """
        lease = self._view.lease_at(peer)
        if lease is None or lease.mac != mac or self._view.holding():
            return None
        return self._at_hand(choose(mac, self._view), self._asker(mac, str(peer), local), peer)

    def _at_hand(self, choice: Choice, asker: Asker, peer: IPv4Address) -> Served | None:
        lease, now = self._view.lease_at(peer), self._clock.now()
        return self._scripts.at_hand(choice, asker, lease, now, lambda: self._token(asker.mac, peer, choice.machine))

    def _answer(self, request: FileRequest, folder: str, token: str, name: str) -> Answer:
        """An installer's answer file: for the machine whose token this is, while that machine is to be installed."""
        shown = f"{folder}/{name}"
        if folder != ANSWER_FOLDER or request.protocol != "http":
            return Refusal(shown, "it is not served here")
        try:
            claims = self._verify(token, request.peer)
            require(claims, TokenKind.MACHINE)
        except TokenRefusedError as error:
            return Refusal(shown, str(error))
        choice = choose(claims.mac, self._view)
        bootenv = self._content.bootenv(choice.name)
        armed = bootenv is not None and bootenv.installs and not bootenv.errors
        if bootenv is None or not armed or str(choice.machine.id) != claims.machine:
            return Refusal(shown, f"{choice.machine.name} is not to be installed now")
        files = (each for each in bootenv.templates if each.name not in LANGUAGES)
        template = next((each for each in files if each.path == name), None)
        if template is None:
            return Refusal(shown, f"{bootenv.name} has no such answer file")
        asker = self._asker(claims.mac, str(request.peer), request.local)

        def lasting() -> str:
            return self._token(claims.mac, request.peer, choice.machine, bootenv.name)

        try:
            texts = self._content.templates(bootenv.name)
            text = rendered(bootenv, texts, choice, asker, self._view, lasting, template.name)
        except RenderError as error:
            self._broken(request, claims.mac, choice, error)
            return Refusal(shown, "it does not render")
        facts = {"bootenv": bootenv.name}
        return Served(shown, Role.ANSWER, body=text.encode("utf-8"), content_type=template.content_type, facts=facts)

    def _token(self, mac: str, address: Address, machine: Machine, installs: str = "") -> str:
        """Good for as long as the preferences say; to install the environment `installs`, for as long as that takes."""
        known = machine.registered
        kept = float(self._view.preference("known-token-timeout" if known else "unknown-token-timeout"))
        lease = self._view.holder_of(address)
        claims = Claims(
            kind=TokenKind.MACHINE if known else TokenKind.UNKNOWN,
            mac=mac,
            address=address,
            expires=self._clock.now() + (INSTALL_SECONDS if installs else kept),
            since=lease.since if lease is not None and lease.mac == mac else 0.0,
            machine=str(machine.id) if known else "",
            bootenv=installs,
        )
        return self._mint(claims)

    def _broken(self, request: FileRequest, mac: str, choice: Choice, error: RenderError) -> None:
        self._emit(broken(self._clock.now(), request, mac, choice.machine, choice.name, error))

    def _reported(self, request: FileRequest, mac: str) -> Served:
        """The machine's loader tells that it could not load something."""
        self._emit(reported(self._clock.now(), request, mac, machine_of(mac, self._view).name))
        return script_text(request.path, "noted\n", Role.FILE)


def towards(address: IPv4Address | None) -> IPv4Address:
    """The local address that packets to `address` leave from; nothing is sent."""
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as probe:
        try:
            probe.connect((str(address or "127.0.0.1"), 9))
        except OSError:
            return IPv4Address("127.0.0.1")
        return IPv4Address(probe.getsockname()[0])
