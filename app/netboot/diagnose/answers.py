"""What firmware and iPXE were answered, which answer they took, and what on this host keeps them from going on."""

from __future__ import annotations

from dataclasses import replace

from app.model.engine import Service
from app.model.event import Event
from app.netboot.diagnose.case import BOOTING, Case, Found


def replies(case: Case) -> list[Event]:
    """What became of what firmware or iPXE asked."""
    kinds = ("dhcp.offer", "dhcp.ack", "dhcp.nak", "dhcp.silent", "proxy.offer", "proxy.ack")
    return [event for event in case.all(*kinds) if event.data.get("stage") in BOOTING]


def taken(case: Case, stage: str) -> tuple[Event, Event] | None:
    """The first answer that named a boot file, and the event from which the machine could ask for it.

    The first: firmware that gets nothing asks for an address again, which must not begin the wait anew. Beside another
    server it is ready once it has taken that server's address.
    """
    told = [e for e in case.all("dhcp.ack", "proxy.ack", "proxy.offer", stage=stage) if e.data.get("bootfile")]
    if not told:
        return None
    answer = told[0]
    if answer.kind != "proxy.offer":
        return answer, answer
    asked = case.all("dhcp.request", stage=stage, after=answer)
    return (answer, asked[0]) if asked else None


def stopped(found: Found, service: Service) -> Found:
    """The same, because a service of ours does not run."""
    return replace(
        found,
        means=f"the {service.name.upper()} service is {service.state.value}: {service.reason}".rstrip(": "),
        do=service.hint or "restart the service",
        action="services",
        command=f"bootcart services restart {service.name}",
    )


def hindered(case: Case, found: Found, service: str, where: str) -> Found:
    """The same with what is known to be in the way on this host: the service, or a firewall before port `where`."""
    down = case.down(service)
    if down is not None:
        return stopped(found, down)
    if case.facts.firewall:
        return replace(
            found,
            means=f"{case.facts.firewall} is active on this host and {where} may be closed",
            do=f"allow {where} in {case.facts.firewall}",
            action="wizard",
        )
    return found
