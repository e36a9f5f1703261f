"""The form of an IPv6 subnet: what DHCPv6 has, and nothing of what routers tell."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from app.errors import InvalidError
from app.model.engine import Interface
from app.model.subnet import SubnetMode
from app.model.subnet6 import Subnet6
from app.screens.dialogs.form import Field, Values, listed
from app.screens.words import ranges

MODES = tuple(mode.value for mode in SubnetMode if mode is not SubnetMode.PROXY)


def fields6(subnet: Subnet6, interfaces: Sequence[Interface]) -> list[Field]:
    """The fields, filled from a subnet."""
    links = ("any", *(one.name for one in interfaces if one.kind != "loopback"))
    return [
        Field("name", "Name", "letters, digits, . _ -", subnet.name),
        Field("cidr", "Network", "like fd00:7::/64", str(subnet.cidr)),
        Field("mode", "Mode", "unmanaged: addresses only", subnet.mode.value, MODES),
        Field("enabled", "Enabled", "no: not answered", "yes" if subnet.enabled else "no", ("yes", "no")),
        Field("stateless", "Stateless", "yes: boot files, no addresses", _yes(subnet.stateless), ("no", "yes")),
        Field("ranges", "Ranges", "like fd00:7::100-fd00:7::1ff", ranges(subnet)),
        Field("dns", "DNS servers", "comma between several", ", ".join(map(str, subnet.dns))),
        Field("domain", "Domain", "like rack7.example.net", subnet.domain),
        Field("lease_time", "Lease time", "seconds, at least 60", str(subnet.lease_time)),
        Field("interface", "Interface", "serve it there only", subnet.interface or "any", links),
        Field("next_server", "Boot server", "empty: the address reached", str(subnet.next_server or "")),
        Field("description", "Description", "in your words", subnet.description),
    ]


def body6(values: Values) -> dict[str, Any]:
    """What a form says, as the engine takes it. Raises InvalidError for a lease time that is no number."""
    if not values["lease_time"].isdigit():
        raise InvalidError("this is not a number of seconds", hint="for example 3600", field="lease_time")
    if values.get("router"):
        hint = "leave it empty: the router tells of itself in its Router Advertisements"
        raise InvalidError("DHCPv6 names no router", hint=hint, field="router")
    return {
        "name": values["name"],
        "cidr": values["cidr"],
        "mode": values["mode"],
        "enabled": values["enabled"] == "yes",
        # The form of a new subnet does not ask; one without addresses to give is meant to give none.
        "stateless": values.get("stateless", "no" if values["ranges"].strip() else "yes") == "yes",
        "ranges": [part.strip() for part in values["ranges"].replace(";", ",").split(",") if part.strip()],
        "dns": listed(values["dns"]),
        "domain": values["domain"],
        "lease_time": int(values["lease_time"]),
        "interface": "" if values["interface"] == "any" else values["interface"],
        "next_server": values["next_server"] or None,
        "description": values["description"],
    }


def _yes(on: bool) -> str:
    return "yes" if on else "no"
