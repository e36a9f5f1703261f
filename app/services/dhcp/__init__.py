"""DHCP on port 67 and boot requests on port 4011, each on a thread and loop of its own."""

from app.services.dhcp.boot import ProxyDhcpService
from app.services.dhcp.journal import LeaseJournal
from app.services.dhcp.service import DhcpService

__all__ = ["DhcpService", "LeaseJournal", "ProxyDhcpService"]
