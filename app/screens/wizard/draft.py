"""From what stands in the wizard's form to what will be saved and done, checked before anything is."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from ipaddress import IPv4Interface
from typing import Any

from pydantic import ValidationError

from app.errors import InvalidError
from app.model.engine import Interface
from app.model.hostplan import HostPlan
from app.model.subnet import Subnet, SubnetMode
from app.screens.dialogs.form import Field, listed
from app.screens.wizard.propose import Proposal, plan_for

NONE = "no"


@dataclass(frozen=True, slots=True)
class Draft:
    """What the operator is asked to agree to."""

    subnet: Subnet
    plan: HostPlan
    unknown: str
    contested: bool
    """Authoritative on a segment where another server answers."""

    @property
    def body(self) -> dict[str, Any]:
        """The subnet as the engine takes it."""
        body = self.subnet.model_dump(mode="json", exclude={"hold"})
        body["ranges"] = [f"{one.start}-{one.end}" for one in self.subnet.ranges]
        return body | {"confirmed": self.contested}

    def command(self) -> str:
        """The same on the command line."""
        words = ["bootcart subnets create", self.subnet.name, "--cidr", str(self.subnet.cidr)]
        words += ["--mode", self.subnet.mode.value]
        for one in self.subnet.ranges:
            words += ["--range", f"{one.start}-{one.end}"]
        if self.subnet.router:
            words += ["--router", str(self.subnet.router)]
        for server in self.subnet.dns:
            words += ["--dns", str(server)]
        if self.subnet.domain:
            words += ["--domain", self.subnet.domain]
        return " ".join([*words, "--lease-time", str(self.subnet.lease_time), "--interface", self.subnet.interface])


def fields(
    proposal: Proposal, interfaces: Sequence[Interface], envs: Sequence[str], unknown: str, kept: Mapping[str, str]
) -> list[Field]:
    """The form, from the proposal, or from what was typed before."""
    uplinks = (NONE, *(one.name for one in interfaces if one.name != proposal.interface and one.uplink))
    own = next((str(one.addresses[0]) for one in interfaces if one.name == proposal.interface and one.addresses), "")
    addressed = bool(own)
    yes_no = ("yes", NONE)

    def value(name: str, proposed: str) -> str:
        return kept.get(name, proposed)

    modes = (SubnetMode.AUTHORITATIVE.value, SubnetMode.PROXY.value)
    return [
        Field("name", "Name", "of the subnet", value("name", proposal.name)),
        Field("mode", "Mode", "proxy: another server gives addresses", value("mode", proposal.mode.value), modes),
        Field(
            "address",
            "Own address",
            "the interface has its own" if addressed else "given to the interface, like 10.7.0.1/24",
            own or value("address", proposal.address),
            fixed=addressed,
        ),
        Field("cidr", "Network", "like 10.7.0.0/24", value("cidr", proposal.cidr)),
        Field("ranges", "Range", "given to machines", value("ranges", proposal.ranges)),
        Field("router", "Router", "told to machines; may be empty", value("router", proposal.router)),
        Field("dns", "DNS servers", "needed to reach a mirror by name", value("dns", proposal.dns)),
        Field("domain", "Domain", "told to machines; may be empty", value("domain", "")),
        Field("unknown", "New machines", "what a machine nobody knows boots", value("unknown", unknown), tuple(envs)),
        Field("nat", "NAT to", "lets installers reach a mirror", value("nat", proposal.nat or NONE), uplinks),
        Field("firewall", "Firewall", "yes: open DHCP, TFTP, HTTP there", value("firewall", "yes"), yes_no),
        Field(
            "unmanaged",
            "NetworkManager",
            "yes: it leaves the interface alone",
            value("unmanaged", NONE if addressed else "yes"),
            yes_no,
        ),
    ]


def draft(interface: Interface, values: Mapping[str, str], existing: Sequence[Subnet]) -> Draft:
    """Check everything. Raises InvalidError that names the field at fault."""
    subnet = _subnet(interface, values)
    for other in existing:
        if other.name == subnet.name:
            raise InvalidError(f"there is a subnet {other.name} already", hint="choose another name", field="name")
        if other.cidr.overlaps(subnet.cidr):
            raise InvalidError(f"{subnet.cidr} overlaps {other.name} ({other.cidr})", field="cidr")
    address = "" if interface.addresses else values["address"].strip()
    if not interface.addresses:
        _check_address(address, subnet)
    if subnet.mode is SubnetMode.AUTHORITATIVE and not subnet.ranges:
        raise InvalidError("no address can be given out", hint="give a range", field="ranges")
    try:
        plan = plan_for(
            interface.name,
            address,
            "" if values["nat"] == NONE else values["nat"],
            firewall=values["firewall"] == "yes",
            network_manager=values["unmanaged"] == "yes",
        )
    except ValidationError as error:
        raise _first(error, "address") from None
    contested = bool(interface.foreign) and subnet.mode is SubnetMode.AUTHORITATIVE
    return Draft(subnet, plan, values["unknown"], contested)


def _subnet(interface: Interface, values: Mapping[str, str]) -> Subnet:
    ranges = [part.strip() for part in values["ranges"].replace(";", ",").split(",") if part.strip()]
    try:
        return Subnet.model_validate(
            {
                "name": values["name"],
                "cidr": values["cidr"],
                "mode": values["mode"],
                "ranges": ranges if values["mode"] == SubnetMode.AUTHORITATIVE.value else [],
                "router": values["router"] or None,
                "dns": listed(values["dns"]),
                "domain": values["domain"],
                "interface": interface.name,
            }
        )
    except ValidationError as error:
        raise _first(error, "cidr") from None


def _check_address(address: str, subnet: Subnet) -> None:
    if not address:
        raise InvalidError(
            "the interface has no address", hint=f"give it one in {subnet.cidr}, like 10.7.0.1/24", field="address"
        )
    try:
        own = IPv4Interface(address)
    except ValueError:
        raise InvalidError(f"{address!r} is not an address", hint="like 10.7.0.1/24", field="address") from None
    if own.network != subnet.cidr:
        raise InvalidError(
            f"{own} is not in {subnet.cidr}", hint=f"write it with /{subnet.cidr.prefixlen}", field="address"
        )
    if any(own.ip in one for one in subnet.ranges):
        raise InvalidError(f"{own.ip} is this host's own address", hint="leave it out of the range", field="ranges")


def _first(error: ValidationError, default: str) -> InvalidError:
    """The first mistake, with its field: pydantic's place, or the one our own rule names in its text."""
    found = error.errors()[0]
    text = str(found["msg"]).removeprefix("Value error, ")
    place = ".".join(str(part) for part in found["loc"])
    if not place and ": " in text:
        place, text = text.split(": ", 1)
    return InvalidError(text, field=place or default)
