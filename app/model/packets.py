"""What the flight recorder kept of a machine's boots, and one exchange of it taken apart."""

from __future__ import annotations

from pydantic import Field

from app.model.event import Event
from app.model.fields import Epoch, Model


class Packet(Model):
    """One message as it was on the wire; of TFTP and HTTP requests, answers and errors, never what is in a file."""

    number: int = Field(description="counts from 1, as in the capture")
    boot: int = Field(description="1 is the newest boot, 2 the one before it")
    time: Epoch
    incoming: bool = Field(description="the machine sent it")
    protocol: str = Field(description="dhcp, dhcp6, tftp or http")
    interface: str = ""
    source: str = Field(description="address and port")
    target: str
    octets: int
    summary: str = Field(description="what it says, in a few words")


class Dissection(Packet):
    """A packet layer by layer."""

    lines: tuple[str, ...] = Field(default=(), description="the layers; a line that is not indented begins one")
    dump: tuple[str, ...] = Field(default=(), description="its octets in hexadecimal and as text, 16 a line")
    fault: str = Field(default="", description="why it could not be read")


class Exchange(Model):
    """The packets behind one event."""

    event: Event
    request: Dissection | None = None
    reply: Dissection | None = None
    why: str = Field(default="", description="why there is no request or no reply, in words")
