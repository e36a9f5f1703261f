"""What the TFTP service asks of the virtual tree."""

from __future__ import annotations

from ipaddress import IPv4Address, IPv6Address
from typing import Protocol

from app.netboot.bootpath import Answer, FileRequest, Served


class Tree(Protocol):
    """The virtual tree, as this service needs it; called from worker threads."""

    def resolve(self, request: FileRequest) -> Answer: ...

    def file_at_hand(self, path: str, peer: IPv4Address | IPv6Address) -> tuple[Served, str] | None:
        """What `resolve` would give, and to which MAC, where that takes no waiting; else None. Called in the loop."""
        ...

    def shared(self, path: str) -> Answer:
        """What is given to anybody, whoever asks."""
        ...

    def mac_of(self, address: IPv4Address | IPv6Address) -> str: ...

    def like(self, path: str) -> tuple[str, ...]:
        """Paths that are there and look like this one, the closest first."""
        ...

    def holding(self) -> bool: ...
