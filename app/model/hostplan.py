"""What the operator agreed to have done to this host so that one interface can serve machines."""

from __future__ import annotations

from ipaddress import IPv4Interface
from typing import Annotated, Self

from pydantic import Field, StringConstraints, model_validator

from app.model.fields import Model

# The kernel's rule (dev_valid_name: at most 15 bytes, no blank, slash or colon), narrowed to what cannot be mistaken
# for an option when it stands in an argument list.
LinkName = Annotated[str, StringConstraints(pattern=r"^[A-Za-z0-9][A-Za-z0-9._-]{0,14}$")]
UplinkName = Annotated[str, StringConstraints(pattern=r"^([A-Za-z0-9][A-Za-z0-9._-]{0,14})?$")]

UDP_PORTS = (67, 69, 4011)
TCP_PORTS = (8090,)
RESTART_FOR_HOST = 75
"""Exit code of the interface: a plan was written; apply it and open the interface again (EX_TEMPFAIL)."""
STOP_ENGINE = 76
"""Exit code of the interface: stop the engine, take back the changes to the host, do not open the interface again."""


class HostPlan(Model):
    """Changes to the host, agreed to by the operator; the launcher validates and applies them as root.

    Everything in it is reverted when the engine stops.
    """

    interface: LinkName
    address: IPv4Interface | None = Field(default=None, description="given to the interface; none: it has one already")
    networkmanager_unmanaged: bool = Field(
        default=False, description="NetworkManager is told to leave the interface alone"
    )
    firewall_ports: bool = Field(default=False, description="DHCP, TFTP and boot HTTP are let in on the interface")
    nat_uplink: UplinkName = Field(default="", description="masquerade to this interface; empty: no NAT")
    preview: tuple[str, ...] = Field(
        default=(), description="the commands the operator was shown; never executed from here"
    )

    @model_validator(mode="after")
    def _sensible(self) -> Self:
        if self.nat_uplink and self.nat_uplink == self.interface:
            raise ValueError("nat_uplink: the uplink cannot be the interface that serves machines")
        if self.address is not None:
            network = self.address.network
            if network.prefixlen <= 30 and self.address.ip in (network.network_address, network.broadcast_address):
                raise ValueError(f"address: {self.address.ip} is the network or broadcast address of {network}")
        return self

    @property
    def empty(self) -> bool:
        """Nothing is to be changed."""
        return not (self.address or self.networkmanager_unmanaged or self.firewall_ports or self.nat_uplink)

    def describe(self) -> tuple[str, ...]:
        """The commands, one per line, as an operator would type them; for reading, not for running."""
        name = self.interface
        lines: list[str] = []
        if self.networkmanager_unmanaged:
            lines.append(f"nmcli device set {name} managed no")
        if self.address is not None:
            lines += [f"ip link set dev {name} up", f"ip address add {self.address} brd + dev {name}"]
        if self.firewall_ports:
            udp = ", ".join(str(port) for port in UDP_PORTS)
            tcp = ", ".join(str(port) for port in TCP_PORTS)
            lines += [
                f"nft: accept udp ports {udp} arriving on {name}",
                f"nft: accept tcp port {tcp} arriving on {name}",
            ]
        if self.nat_uplink:
            lines += [
                f"sysctl -w net/ipv4/conf/{name}/forwarding=1",
                f"nft: masquerade what {name} sends out through {self.nat_uplink}",
            ]
        return tuple(lines)
