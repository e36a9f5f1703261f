"""The DHCP services on a segment, one process for all the files, and an independent client at the other end."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any, ClassVar

import pytest

from tests import netns
from tests.conformance.station import Client, Options, Reply, Wire, ip, pxe, wire
from tests.conformance.tftpbench import Bench, benched
from tests.services.dhcp.lan import Server, serving

# Large, so that every client gets an address nobody had, and nothing a test leaves behind is in another's way.
LAN: dict[str, Any] = {
    "name": "lan",
    "cidr": "10.7.0.0/16",
    "ranges": ["10.7.1.0-10.7.99.255"],
    "router": "10.7.0.254",
    "dns": ["10.7.0.2", "10.7.0.3"],
    "domain": "rack.test",
}
BEHIND: dict[str, Any] = {
    "name": "behind",
    "cidr": "10.8.0.0/24",
    "ranges": ["10.8.0.100-10.8.0.250"],
    "router": "10.8.0.1",
}
CHOSEN: dict[str, Any] = {"name": "chosen", "cidr": "10.9.0.0/24", "ranges": ["10.9.0.100-10.9.0.250"]}
TINY: dict[str, Any] = {"name": "tiny", "cidr": "10.10.0.0/28", "ranges": ["10.10.0.2-10.10.0.5"]}
RELAY, RELAY_MAC, TINY_RELAY = "10.8.0.1", "52:54:00:00:08:01", "10.10.0.1"
# An address that is free is asked for this long; short, as the wire is.
PROBE_SECONDS = 0.05
_MARKS = (f"{high}.{low}" for high in range(90, 100) for low in range(256))


@dataclass
class Lan:
    """A server, the wire to it, and another host on the segment, without an address."""

    wire: Wire
    server: Server
    other: str

    def client(
        self, *, words: Options | None = None, broadcast: bool = False, relay: str = "", mac: str = ""
    ) -> Client:
        """A client nobody has seen before."""
        return Client(self.wire, mac=mac, words=words, broadcast=broadcast, relay=relay).new()

    MARKS: ClassVar[int] = 2
    """How many messages the server sends for a mark, and the event of the last."""
    MARK_EVENT: ClassVar[str] = "dhcp.ack"

    def marked(self) -> Client:
        """Whatever was said before has been dealt with: a client that came later has its lease, of an address apart."""
        client = self.client(broadcast=True)
        client.lease((50, ip(f"10.7.{next(_MARKS)}")))
        return client

    def sent(self) -> int:
        """How many messages the server has sent, those for a mark at the end included."""
        mac = self.marked().mac
        # A message is counted after it was sent, and told after it was counted.
        self.server.wait(self.MARK_EVENT, lambda event: event["mac"] == mac)
        counters = self.server.counters()
        return counters["dhcp"]["sent"] + counters["proxydhcp"]["sent"]

    def unanswered(self, *clients: Client) -> None:
        """None of the clients has got, or will get, an answer to what it said."""
        self.marked()
        assert [reply for client in clients for reply in client.heard()] == []

    def answers(self, client: Client) -> list[Reply]:
        """All the answers a client gets to what it said."""
        self.marked()
        return client.heard()

    def unharmed(self) -> None:
        """The server serves, and nothing went wrong inside it."""
        self.marked()
        counters = self.server.counters()
        assert (counters["dhcp"]["errors"], counters["proxydhcp"]["errors"]) == (0, 0)


@dataclass
class Beside(Lan):
    """The same where another server gives the addresses: this one answers firmware alone."""

    MARKS: ClassVar[int] = 1
    MARK_EVENT: ClassVar[str] = "proxy.offer"

    def marked(self) -> Client:
        """Whatever was said before has been dealt with: firmware that came later has its answer."""
        client = self.client(words=pxe(0), broadcast=True)
        client.discover()
        return client


def world(**changes: Any) -> dict[str, Any]:
    """What the test server is told."""
    return {
        "subnets": [LAN, BEHIND, CHOSEN, TINY],
        "prefs": {"loader-ia32": "ipxe-ia32.efi"},
        "probe_seconds": PROBE_SECONDS,
        **changes,
    }


@pytest.fixture(scope="session")
def segment() -> Iterator[netns.Segment]:
    """A server's and two clients' namespaces; what is behind relays is reached through the first client's."""
    with netns.segment("10.7.0.1/16", clients=2) as made:
        for network in ("10.8.0.0/24", "10.9.0.0/24", "10.10.0.0/28"):
            netns.run(made.server, ["ip", "route", "add", network, "via", "10.7.0.253"])
        yield made


@pytest.fixture(scope="session")
def line(segment: netns.Segment) -> Iterator[Wire]:
    """The first client's card; the relay is there too."""
    with wire(segment.clients[0]) as made:
        made.owned["10.7.0.253"] = RELAY_MAC
        yield made


@pytest.fixture(scope="session")
def _lan(segment: netns.Segment, line: Wire, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Lan]:
    with serving(segment.server, tmp_path_factory.mktemp("conformance"), **world()) as server:
        made = Lan(line, server, segment.clients[1])
        yield made
        made.unharmed()


@pytest.fixture(scope="session")
def _beside(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Lan]:
    proxied = {**LAN, "mode": "proxy", "ranges": []}
    with (
        netns.segment("10.7.0.1/16", clients=2) as segment,
        wire(segment.clients[0]) as line,
        serving(segment.server, tmp_path_factory.mktemp("beside"), **world(subnets=[proxied])) as server,
    ):
        made = Beside(line, server, segment.clients[1])
        yield made
        made.unharmed()


def _ready(made: Lan) -> Lan:
    assert made.server.process.poll() is None
    made.wire.replies.clear()
    return made


@pytest.fixture
def lan(_lan: Lan) -> Lan:
    """A segment where this server gives the addresses."""
    return _ready(_lan)


@pytest.fixture
def beside(_beside: Lan) -> Lan:
    """A segment where another server gives them."""
    return _ready(_beside)


@pytest.fixture(params=["lan", "beside"])
def either(request: pytest.FixtureRequest) -> Lan:
    """Both, one after the other."""
    return request.getfixturevalue(request.param)


@pytest.fixture(scope="module")
def bench(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Bench]:
    """The TFTP service and its readers."""
    with benched(tmp_path_factory.mktemp("tftp")) as made:
        yield made
