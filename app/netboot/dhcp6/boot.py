"""What a machine boots over IPv6: the decision is the one it would get over IPv4, told as a URL (RFC 5970)."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from ipaddress import IPv4Address, IPv4Network, IPv6Address
from typing import Any
from urllib.parse import urlsplit

from app.model.subnet import Subnet
from app.model.subnet6 import Subnet6
from app.netboot.decide import Decision, Withheld, decide
from app.netboot.dhcp6.exchange import HTTP_CLIENT, Exchange
from app.netboot.wire import dhcp6, options6
from app.netboot.wire.dhcp6 import Options

# Stands where an IPv4 decision names our address, and takes its host out of the URL again.
_NOWHERE = IPv4Address("192.0.0.8")
_NO_NETWORK = IPv4Network("192.0.0.0/29")


@dataclass(frozen=True, slots=True)
class BootFile:
    """Where its boot file is; without a URL, `why` and `reason` tell why it gets none."""

    decision: Decision
    url: str = ""
    server: str = ""
    """Whose address is in the URL: ours, or the subnet's boot server."""

    @property
    def http(self) -> bool:
        """Fetched by HTTP or HTTPS."""
        return self.url.startswith("http")

    def facts(self, subnet: Subnet6) -> dict[str, Any]:
        """What events tell of it."""
        found = self.decision
        facts = {"subnet": subnet.name, "bootfile": self.url, "why": found.why, "bootenv": found.bootenv}
        facts["next_server"] = self.server
        return {**facts, "reason": "" if self.url else found.reason.value}

    @property
    def words(self) -> str:
        """What goes behind the words about an answer."""
        return f" and {self.url}" if self.url else f", no boot file: {self.decision.why}"


def server_address(exchange: Exchange, subnet: Subnet6) -> IPv6Address | None:
    """Where the client finds us: what the subnet names, our address in it, any that is not of one link alone, else our
    link-local address, which serves who is on the link.
    """
    if subnet.next_server is not None:
        return subnet.next_server
    arrival = exchange.arrival
    own = [each.ip for each in (*arrival.addresses, *arrival.others)]
    wide = [address for address in own if not address.is_link_local]
    inside = [address for address in wide if address in subnet.cidr]
    if not exchange.relays:
        here = [each.ip for each in arrival.addresses]
        inside = [address for address in inside if address in here] or inside
        wide = [address for address in wide if address in here] or here
    elif not arrival.multicast and not arrival.destination.is_link_local:
        wide = [arrival.destination, *wide]
    return next(iter((*inside, *wide)), None)


def boot_file(exchange: Exchange, subnet: Subnet6) -> BootFile:
    """What the client is told to boot."""
    asker, view, policy = exchange.asker, exchange.view, exchange.policy
    never = next((each for each in view.reservations_for(asker.mac) if each.never_boot), None) if asker.mac else None
    if never is not None:
        return BootFile(
            Decision(f"the reservation of {never.address} says never to boot it", reason=Withheld.NEVER_BOOT)
        )
    found = decide(
        asker.firmware,
        asker.mac,
        view,
        Subnet(name=subnet.name, cidr=_NO_NETWORK, mode=subnet.mode, enabled=subnet.enabled),
        _NOWHERE,
        policy.http_port,
        suited=policy.loader,
        https_port=policy.https_port,
    )
    server = server_address(exchange, subnet)
    if not found.bootfile:
        return BootFile(found)
    if server is None:
        return BootFile(Decision("this host has no IPv6 address to boot from", reason=Withheld.NOT_BOOTING))
    host = f"[{server}]"
    if "://" in found.bootfile:
        told = urlsplit(found.bootfile)
        return BootFile(found, f"{told.scheme}://{host}:{told.port}{told.path}", str(server))
    return BootFile(found, f"tftp://{host}/{found.bootfile}", str(server))


def options(exchange: Exchange, subnet: Subnet6, boot: BootFile) -> Iterable[tuple[int, bytes]]:
    """What a client is told besides addresses. Option 60 never: EDK2 takes it for the size of the file."""
    asker = exchange.asker
    if subnet.dns and (dhcp6.DNS in asker.wants or asker.firmware.boots):
        yield dhcp6.DNS, options6.addresses(subnet.dns)
    if subnet.domain and dhcp6.DOMAIN_LIST in asker.wants:
        yield dhcp6.DOMAIN_LIST, options6.domains(subnet.domain)
    if boot.url:
        yield dhcp6.BOOTFILE_URL, boot.url.encode()
        if asker.firmware.vendor_class.startswith(HTTP_CLIENT.decode()):
            # HTTP boot firmware takes no answer that does not say so (UEFI 2.10 section 24.7.3.1).
            yield dhcp6.VENDOR_CLASS, options6.vendor_class(options6.INTEL, HTTP_CLIENT)


def basics(exchange: Exchange) -> Options:
    """What every reply carries: both names."""
    named = ((dhcp6.CLIENT_ID, exchange.asker.duid),) if exchange.asker.duid else ()
    return (*named, (dhcp6.SERVER_ID, exchange.server_duid))
