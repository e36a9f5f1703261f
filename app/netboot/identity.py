"""Which client a request and a lease belong to (RFC 2131 section 4.2, RFC 4361; docs/adr/0002-dhcp-identity.md)."""

from __future__ import annotations

from dataclasses import dataclass

from app.model.subnet import Lease
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

    @property
    def key(self) -> str:
        """What its lease is found by."""
        return self.mac or f"id:{self.client_id}"


def lease_key(lease: Lease) -> str:
    """What a lease's client is known by."""
    return lease.mac or f"id:{lease.client_id}"


def holds(record: Lease, client: Client, view: NetworkView) -> bool:
    """The lease is this client's: same hardware address, or the same client identifier where that can be trusted."""
    if lease_key(record) == client.key:
        return True
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
    return view.reservation_for(client.mac) is None and view.reservation_for(record.mac) is None


def distinctive(client_id: str) -> bool:
    """A client identifier that can be one client's alone (hexadecimal, as in `Lease.client_id`)."""
    if len(client_id) < 4 or (len(client_id) == _GUID_ID_LENGTH and client_id.startswith("00")):
        return False
    return bool(client_id[2:].strip("0")) and bool(client_id[2:].strip("f"))
