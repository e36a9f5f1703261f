"""Which client a request and a lease belong to (RFC 2131 section 4.2, RFC 4361; docs/adr/0002-dhcp-identity.md)."""

from __future__ import annotations

from dataclasses import dataclass

from app.model.subnet import Lease, Reservation
from app.netboot.view import NetworkView

# Firmware makes its client identifier of the board's UUID: type 0 and 16 octets. Boards with the same UUID are common.
_GUID_ID_LENGTH = 2 * 17


@dataclass(frozen=True, slots=True)
class Client:
    """Who wants an address: its hardware address, or (where it has none) its client identifier in hexadecimal."""

    mac: str
    client_id: str = ""
    known: bool = False
    """Registered or reserved: it may take what strangers were only offered."""
    by_id: bool = False
    """Its subnet tells clients apart by their identifier, where they send one."""

    @property
    def key(self) -> str:
        """What its lease is found by."""
        return f"id:{self.client_id}" if (self.by_id and self.client_id) or not self.mac else self.mac


def lease_key(lease: Lease) -> str:
    """What a lease's client is known by."""
    return lease.mac or f"id:{lease.client_id}"


def same(record: Lease, client: Client) -> bool:
    """The lease was given to this very client."""
    if client.by_id:
        # A card that sends none is another client than one that does (RFC 2131 section 2).
        return record.client_id == client.client_id and (bool(client.client_id) or record.mac == client.mac)
    return lease_key(record) == client.key


def owns(kept: Reservation, client: Client) -> bool:
    """The reservation is this client's."""
    return kept.mac == client.mac if kept.mac else kept.client_id == client.client_id


def holds(record: Lease, client: Client, view: NetworkView) -> bool:
    """The lease is this client's: same hardware address, or the same client identifier where that can be trusted."""
    if client.by_id or same(record, client):
        return same(record, client)
    if not client.mac or not record.mac or not client.client_id or record.client_id != client.client_id:
        return False
    if not distinctive(client.client_id):
        return False
    ours, theirs = view.machine_by_mac(client.mac), view.machine_by_mac(record.mac)
    if ours is not None and theirs is not None and ours.id == theirs.id:
        return True
    # Machines that are known, or have reservations, are told apart whatever a cloned disk makes them say.
    if any(machine is not None and machine.registered for machine in (ours, theirs)):
        return False
    return not view.reservations_for(client.mac) and not view.reservations_for(record.mac)


def distinctive(client_id: str) -> bool:
    """A client identifier that can be one client's alone (hexadecimal, as in `Lease.client_id`)."""
    if len(client_id) < 4 or (len(client_id) == _GUID_ID_LENGTH and client_id.startswith("00")):
        return False
    return bool(client_id[2:].strip("0")) and bool(client_id[2:].strip("f"))
