"""What the TFTP service asks of the virtual tree."""

from __future__ import annotations

from ipaddress import IPv4Address, IPv6Address
from typing import Protocol

from app.netboot.bootpath import Answer, FileRequest


class Tree(Protocol):
    """The virtual tree, as this service needs it; called from worker threads."""

    def resolve(self, request: FileRequest) -> Answer: ...

    def shared(self, path: str) -> Answer:
        """What is given to anybody, whoever asks."""
        ...

    def mac_of(self, address: IPv4Address | IPv6Address) -> str: ...

    def like(self, path: str) -> tuple[str, ...]:
        """Paths that are there and look like this one, the closest first."""
        ...

    def holding(self) -> bool: ...
