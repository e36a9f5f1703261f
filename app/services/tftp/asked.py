"""One request on its way from the port it came to until its transfer is over."""

from __future__ import annotations

from dataclasses import dataclass

from app.netboot.bootpath import Answer, Served
from app.netboot.wire import tftp
from app.services.tftp.sockets import Address, Arrived
from app.services.tftp.source import Source
from app.services.tftp.transfer import Transfer


@dataclass(frozen=True, slots=True)
class Asked:
    """A request, and the path of the tree it names."""

    request: tftp.Request
    arrived: Arrived
    path: str

    @property
    def peer(self) -> Address:
        return self.arrived.peer


@dataclass(frozen=True, slots=True)
class Opened:
    """What the tree gave for it; `why` where it cannot be read."""

    answer: Answer
    source: Source | None
    mac: str
    why: str = ""
    like: tuple[str, ...] = ()
    """What is there, for a file that is not."""


@dataclass(slots=True)
class Running:
    """Its transfer."""

    transfer: Transfer
    asked: Asked
    served: Served
    mac: str
    our: tuple[str, int]
    """The end it is sent from."""


@dataclass(frozen=True, slots=True)
class Queued:
    """It waits for another's transfer to be over."""

    asked: Asked
    served: Served
    source: Source
    mac: str
