"""Why machines behind an interface are not answered, in words, and what to do: for events and listings."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from app.model.engine import Interface, Service, ServiceState
from app.model.subnet import Subnet

# Those that machines speak to.
_AFFECTED = frozenset({"dhcp", "proxydhcp", "dhcp6", "tftp", "http"})


@dataclass(frozen=True, slots=True)
class Outage:
    """What is wrong with an interface, which subnets are not served therefore, and what to do."""

    reason: str
    hint: str
    subnets: tuple[str, ...] = ()

    @property
    def stops(self) -> str:
        """What is not served, for a sentence."""
        return ", ".join(self.subnets)


def outage(
    name: str, interface: Interface | None, subnets: Sequence[Subnet], *, called: str = "", named: bool = False
) -> Outage | None:
    """What keeps an interface from serving `subnets`, None where nothing does.

    `called`: what the kernel calls it now; `named`: this run was told to serve it by name.
    """
    names = tuple(subnet.name for subnet in subnets)
    if interface is None and called:
        choice = f"start the engine with --interface {called}, or rename it back" if named else "change the subnet"
        return Outage(f"{name} is now called {called}", choice, names)
    if interface is None:
        return Outage(
            f"{name} is not there", "plug the card in or load its driver: it is served once it is there", names
        )
    if not interface.up:
        return Outage(f"{name} is down", f"`ip link set {name} up`", names)
    if not interface.link:
        return Outage(f"{name} has no link", "check the cable and the port of the switch", names)
    homeless = [subnet for subnet in subnets if not any(address.ip in subnet.cidr for address in interface.addresses)]
    if homeless:
        first = homeless[0]
        return Outage(
            f"{name} has no address in {first.cidr}",
            f"`ip address add ADDRESS/{first.cidr.prefixlen} dev {name}`, or change subnet {first.name}",
            tuple(subnet.name for subnet in homeless),
        )
    return None


def affected(service: Service, outages: Mapping[str, Outage]) -> Service:
    """A service as an operator sees it: one that is up but cannot reach a segment says which, and why."""
    if service.name not in _AFFECTED or service.state is not ServiceState.UP or not outages:
        return service
    reasons = [f"{each.reason}: {each.stops} not served" if each.subnets else each.reason for each in outages.values()]
    return service.model_copy(
        update={"reason": "; ".join(reasons), "hint": "; ".join(each.hint for each in outages.values())}
    )
