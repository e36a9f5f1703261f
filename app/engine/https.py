"""Boot HTTPS: the appliance's certificates for operators, and who does not trust them."""

from __future__ import annotations

import threading
import uuid
from collections.abc import Callable, Collection
from ipaddress import IPv4Address, IPv6Address
from typing import TYPE_CHECKING

from app.clock import Clock
from app.config import Settings
from app.errors import NotFoundError
from app.model.certificate import Certificate
from app.model.engine import Interface
from app.model.event import EventDraft, Level
from app.netboot.wire.esl import signature_list
from app.services.boothttp.tls import DISTRUST, RESET, TlsDoor
from app.services.interfaces import addresses6

if TYPE_CHECKING:
    from app.store.authority import Authority

OWNER = uuid.UUID("6a3b2c52-9d0f-4c6b-8f53-0b6f0c7a41d8")
"""Whose entries in a firmware's list of authorities are ours."""
FORMS = ("pem", "der", "esl")
TELL_SECONDS = 10.0
_TOLD_MAX = 256


class Certificates:
    """The authority, made when first asked for, and what boot HTTPS shows. Any thread may call; blocks."""

    def __init__(
        self,
        settings: Settings,
        interfaces: Callable[[], Collection[Interface]],
        mac_of: Callable[[IPv4Address | IPv6Address], str],
        emit: Callable[[EventDraft], None],
        clock: Clock,
    ) -> None:
        self._settings = settings
        self._interfaces = interfaces
        self._mac_of = mac_of
        self._emit = emit
        self._clock = clock
        self._lock = threading.Lock()
        self._authority: Authority | None = None
        self._door: TlsDoor | None = None
        self._told: dict[str, float] = {}

    def authority(self) -> Authority:
        """Whoever signs. Raises BootcartError where its key cannot be read or made."""
        with self._lock:
            if self._authority is None:
                # A third of a second: for those alone that use it.
                from app.store.authority import Authority

                self._authority = Authority(self._settings.data_dir, self._clock)
            return self._authority

    def door(self) -> TlsDoor:
        """The TLS side of the listener for machines."""
        self._door = TlsDoor(self.authority, self._addresses, self._distrusted, self._clock)
        return self._door

    def _addresses(self) -> Collection[IPv4Address | IPv6Address]:
        """Where machines may reach us: this host's addresses, and the one that is fixed for URLs."""
        fixed = self._settings.address
        found: set[IPv4Address | IPv6Address] = {each.ip for one in self._interfaces() for each in one.addresses}
        six = {each.ip for held in addresses6().values() for each in held}
        return frozenset(found | six | ({fixed} if fixed is not None else set()))

    def _distrusted(self, peer: IPv4Address | IPv6Address, reason: str) -> None:
        now = self._clock.now()
        if reason not in (*DISTRUST, RESET) or now - self._told.get(str(peer), -TELL_SECONDS) < TELL_SECONDS:
            return
        if len(self._told) >= _TOLD_MAX:
            self._told.clear()
        self._told[str(peer)] = now
        mac = self._mac_of(peer)
        hint = "enrol the appliance's authority: bootcart certificates export"
        silent = "hung up amid the handshake, as firmware does that does not trust"
        did = silent if reason == RESET else "does not trust"
        message = f"{mac or peer} {did} this appliance's certificate: {hint}"
        data = {"why": reason.lower(), "hint": hint}
        level = Level.WARNING
        self._emit(
            EventDraft(
                time=now, kind="https.distrusted", message=message, level=level, mac=mac, address=str(peer), data=data
            )
        )

    def listing(self) -> list[Certificate]:
        """The authority's, and the server's where boot HTTPS is on."""
        shown = self._door.certificate if self._door is not None else None
        return [self.authority().told(), *([shown] if shown is not None else [])]

    def show(self, key: str) -> Certificate:
        """`ca` or `server`. Raises NotFoundError."""
        name = key.removeprefix("Name:")
        for each in self.listing():
            if each.name == name:
                return each
        hint = "boot HTTPS is off: start the engine with --https-port" if name == "server" else "there are: ca, server"
        raise NotFoundError(f"no certificate {name!r}", hint=hint)

    def export(self, form: str) -> bytes:
        """The authority's certificate as `pem`, `der`, or `esl`: an EFI signature list for firmware."""
        if form == "pem":
            return self.authority().pem()
        return self.authority().der() if form == "der" else signature_list(self.authority().der(), OWNER)
