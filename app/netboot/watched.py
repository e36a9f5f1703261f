"""A view that keeps what was asked of it, and tells whether the answers are still the same."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from ipaddress import IPv4Address
from typing import Any

from app.model.bootenv import BootEnv
from app.model.machine import LoaderChoice, Machine
from app.model.profile import Profile
from app.model.subnet import Reservation, Subnet
from app.netboot.view import NetworkView


class Watched:
    """A NetworkView over another. What it is asked of one machine only says whether that is a stranger's."""

    def __init__(self, view: NetworkView) -> None:
        self._view = view
        self._asked: dict[tuple[str, str], tuple[Callable[..., Any], tuple[str, ...], Any]] = {}
        self.stranger = True
        """All that was asked about machines and reservations was answered with nothing."""
        self._loaders: dict[int | None, LoaderChoice] = {}

    def unchanged(self) -> bool:
        """Everything that was asked would be answered the same now."""
        for question, arguments, answer in self._asked.values():
            found = question(*arguments)
            if found is not answer and (found.__class__ is not str or found != answer):
                return False
        return True

    def _ask(self, name: str, *arguments: str) -> Any:
        question = getattr(self._view, name)
        answer = question(*arguments)
        self._asked.setdefault((name, "".join(arguments)), (question, arguments, answer))
        return answer

    def subnets(self) -> Sequence[Subnet]:
        return self._ask("subnets")

    def bootenv(self, name: str) -> BootEnv | None:
        return self._ask("bootenv", name)

    def profile(self, name: str) -> Profile | None:
        return self._ask("profile", name)

    def preference(self, name: str) -> str:
        return self._ask("preference", name)

    def holding(self) -> bool:
        return self._ask("holding")

    def reservations_for(self, token: str) -> Sequence[Reservation]:
        found = self._view.reservations_for(token)
        self.stranger &= not found
        return found

    def machine_by_mac(self, mac: str) -> Machine | None:
        found = self._view.machine_by_mac(mac)
        self.stranger &= found is None
        return found

    def reservation_at(self, address: IPv4Address) -> Reservation | None:
        return self._view.reservation_at(address)

    def loader(self, question: Callable[[str, int | None], LoaderChoice]) -> Callable[[str, int | None], LoaderChoice]:
        """`question` of a policy, asked through this view; `suits` repeats it for another machine."""

        def asked(mac: str, arch: int | None) -> LoaderChoice:
            found = question(mac, arch)
            self._loaders[arch] = found
            return found

        return asked

    def suits(self, mac: str, question: Callable[[str, int | None], LoaderChoice]) -> bool:
        """The loaders that were asked for are this machine's as well."""
        return all(question(mac, arch) is found for arch, found in self._loaders.items())
