"""DHCPv6 on port 547, on a thread and loop of its own."""

from app.services.dhcp6.service import Dhcp6Service

__all__ = ["Dhcp6Service"]
