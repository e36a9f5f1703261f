"""DHCPv6 over real sockets: a running engine, and an independent client in a namespace."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from tests import netns
from tests.conformance.station6 import (
    Client6,
    codes,
    every,
    firmware,
    given,
    ia_status,
    layers,
    link_local,
    status,
    url,
)
from tests.engine.calls import LOG, ORDER, calls, traced
from tests.engine.process import Engine, running

pytestmark = pytest.mark.root

SERVER = link_local("52:54:00:00:00:01")
SIX: dict[str, Any] = {
    "name": "six",
    "cidr": "fd00:7::/64",
    "ranges": ["fd00:7::1000-fd00:7::1fff"],
    "dns": ["fd00:7::2"],
    "domain": "rack.test",
}


@dataclass(frozen=True, slots=True)
class Lan6:
    """An engine that serves DHCPv6 on eth0, and a card on the same segment."""

    engine: Engine
    server: str
    client: str
    other: str
    """Another card, for clients that want port 546 for themselves."""
    made: list[Client6]

    def machine(self, **how: Any) -> Client6:
        """A machine nobody has seen before."""
        self.made.append(Client6(self.client, **how))
        return self.made[-1]


@pytest.fixture(scope="module")
def lan6(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Lan6]:
    root = tmp_path_factory.mktemp("tree")
    (root / "hello.txt").write_text("hello\n")
    with netns.segment("10.7.0.1/24", clients=2, ipv6=True) as segment:
        client, other = segment.clients
        netns.run(segment.server, ["ip", "address", "add", "fd00:7::1/64", "dev", "eth0", "nodad"])
        netns.run(client, ["ip", "address", "add", "fd00:7::99/64", "dev", "eth0", "nodad"])
        with running(segment.server, "--interface", "eth0", "--dhcp6", "--file-root", str(root)) as engine:
            engine.ask(engine.client.subnets.create(SIX))
            served(engine)
            lan = Lan6(engine, segment.server, client, other, [])
            yield lan
            for each in lan.made:
                each.close()


def served(engine: Engine, interface: str = "eth0") -> None:
    """Wait until the groups are joined there."""
    netns.until(lambda: interface in " ".join(engine.up("dhcp6").listening), what=f"{interface} is served")


@pytest.fixture
def machine(lan6: Lan6) -> Iterator[Client6]:
    yield lan6.machine()
    lan6.engine.sound()


def test_n20_an_address_from_solicit_to_release(lan6: Lan6, machine: Client6) -> None:
    six = layers()
    advertise = machine.say(machine.message(six.DHCP6_Solicit) / six.DHCP6OptOptReq(reqopts=[23, 24]))
    assert isinstance(advertise, six.DHCP6_Advertise)
    assert advertise[six.DHCP6OptClientId].duid.lladdr == machine.mac
    assert advertise[six.DHCP6OptDNSServers].dnsservers == ["fd00:7::2"]
    assert advertise[six.DHCP6OptDNSDomains].dnsdomains == ["rack.test."]
    [(address, valid)] = given(advertise)
    assert valid == 3600
    reply = machine.say(machine.message(six.DHCP6_Request, address))
    assert isinstance(reply, six.DHCP6_Reply)
    assert given(reply) == [(address, 3600)]
    assert (reply[six.DHCP6OptIA_NA].T1, reply[six.DHCP6OptIA_NA].T2) == (1800, 2880)
    assert lan6.engine.leases()[address] == "bound"
    for kind in (six.DHCP6_Renew, six.DHCP6_Rebind):
        assert given(machine.say(machine.message(kind, address))) == [(address, 3600)]
    assert status(machine.say(machine.message(six.DHCP6_Confirm, address))) == 0
    assert status(machine.say(machine.message(six.DHCP6_Confirm, "fd00:8::5"))) == 4
    assert status(machine.say(machine.message(six.DHCP6_Release, address))) == 0
    assert lan6.engine.leases()[address] == "released"
    assert ia_status(machine.say(machine.message(six.DHCP6_Renew, address))) == [3]
    assert given(machine.say(machine.message(six.DHCP6_Solicit))) == [(address, 3600)], "its own address first"


def test_n20_a_declined_address_is_kept_back(lan6: Lan6, machine: Client6) -> None:
    six = layers()
    address = machine.lease()
    assert status(machine.say(machine.message(six.DHCP6_Decline, address))) == 0
    assert lan6.engine.leases()[address] == "declined"
    assert machine.lease() != address


def test_n20_the_server_is_the_same_after_it_was_started_anew(lan6: Lan6, machine: Client6) -> None:
    six = layers()
    address = machine.lease()
    before = bytes(machine.server)
    lan6.engine.stop()
    lan6.engine.start()
    served(lan6.engine)
    assert given(machine.say(machine.message(six.DHCP6_Renew, address))) == [(address, 3600)]
    assert bytes(machine.server) == before


def test_n21_what_is_dropped(lan6: Lan6, machine: Client6) -> None:
    six = layers()
    machine.lease()
    ours, machine.server = machine.server, six.DUID_LL(lladdr="52:54:00:aa:aa:aa")
    others = [machine.message(kind, "fd00:7::1001") for kind in (six.DHCP6_Request, six.DHCP6_Renew, six.DHCP6_Release)]
    others.append(machine.message(six.DHCP6_InfoRequest, named=True, ia=False))
    machine.server = ours
    odd = [
        machine.message(six.DHCP6_Solicit, named=True),
        machine.message(six.DHCP6_Rebind, "fd00:7::1001", named=True),
        machine.message(six.DHCP6_Request, "fd00:7::1001", named=False),
        machine.message(six.DHCP6_InfoRequest),
        six.DHCP6_Solicit(trid=1) / six.DHCP6OptIA_NA(iaid=1),
        six.DHCP6_Reply(trid=2) / six.DHCP6OptClientId(duid=machine.duid),
        b"\x01\0\0",
        b"\x0c\x20" + bytes(32),
    ]
    machine.unanswered(*others, *odd)
    assert lan6.engine.up("dhcp6").counters["errors"] == 0


def test_n21_unicast_is_told_to_use_multicast_or_not_heard(machine: Client6) -> None:
    six = layers()
    address = machine.lease()
    for kind in (six.DHCP6_Request, six.DHCP6_Renew, six.DHCP6_Release, six.DHCP6_Decline):
        told = machine.say(machine.message(kind, address), SERVER)
        assert status(told) == 5
        assert every(told, six.DHCP6OptIA_NA) == []
    machine.unanswered(machine.message(six.DHCP6_Solicit), machine.message(six.DHCP6_Rebind, address), to=SERVER)
    assert given(machine.say(machine.message(six.DHCP6_Renew, address))) == [(address, 3600)]


@pytest.mark.parametrize(
    ("arch", "kind", "user_class", "wanted"),
    [
        (7, "PXEClient", b"", "tftp://[fd00:7::1]/ipxe.efi"),
        (11, "PXEClient", b"", "tftp://[fd00:7::1]/ipxe-arm64.efi"),
        (16, "HTTPClient", b"", "http://[fd00:7::1]:8090/ipxe.efi"),
        (7, "PXEClient", b"iPXE", "http://[fd00:7::1]:8090/boot/{mac}.ipxe"),
    ],
    ids=["x64", "arm64", "x64-http", "ipxe"],
)
def test_n22_n23_n24_firmware_is_given_a_url(
    machine: Client6, arch: int, kind: str, user_class: bytes, wanted: str
) -> None:
    six = layers()
    said = firmware(arch, kind, user_class)
    solicit = machine.message(six.DHCP6_Solicit)
    for each in said:
        solicit /= each
    advertise = machine.say(solicit)
    request = machine.message(six.DHCP6_Request, given(advertise)[0][0])
    for each in said:
        request /= each
    for reply in (advertise, machine.say(request)):
        assert url(reply) == wanted.format(mac=machine.mac.replace(":", "-"))
        assert 60 not in codes(reply)
        vendor = every(reply, six.DHCP6OptVendorClass)
        told = [(each.enterprisenum, each.vcdata[0].data) for each in vendor]
        assert told == ([(343, b"HTTPClient")] if kind == "HTTPClient" else [])


def test_n25_a_machine_is_known_by_its_card_and_one_machine_with_ipv4(lan6: Lan6) -> None:
    by_address, by_duid = lan6.machine(), lan6.machine(plain=True)
    for each in (by_address, by_duid):
        each.lease(*firmware(7))
        found = lan6.engine.event("dhcp.ack", match=lambda event, mac=each.mac: event.mac == mac)
        assert found.data["bootfile"] == "tftp://[fd00:7::1]/ipxe.efi"
        seen = lan6.engine.machine(each.mac)
        assert seen is not None
        assert seen.macs == (each.mac,)


def test_n25_a_script_is_given_to_the_card_it_is_for_alone(lan6: Lan6) -> None:
    """Who calls itself by another's DUID has its lease, and is told of its URL; the script is not for it."""
    impostor = lan6.machine(plain=True)
    address = impostor.lease(*firmware(7, user_class=b"iPXE"))
    own = netns.run(lan6.client, ["cat", "/sys/class/net/eth0/address"]).stdout.strip()
    netns.run(lan6.client, ["ip", "address", "add", f"{address}/64", "dev", "eth0", "nodad"])

    def asked(mac: str) -> str:
        path = f"http://[fd00:7::1]:8090/boot/{mac.replace(':', '-')}.ipxe"
        argv = ["curl", "-s", "-g", "--interface", address, "--max-time", "20", path]
        return netns.run(lan6.client, argv, check=False).stdout

    assert asked(impostor.mac) == "not found\n"
    assert asked(own).startswith("#!ipxe")
    assert "Bootcart at http://[fd00:7::1]:8090: discovering" in asked(own)


def test_g01_rapid_commit(lan6: Lan6, machine: Client6) -> None:
    six = layers()
    reply = machine.say(machine.message(six.DHCP6_Solicit) / six.DHCP6OptRapidCommit())
    assert isinstance(reply, six.DHCP6_Reply)
    assert every(reply, six.DHCP6OptRapidCommit)
    [(address, _)] = given(reply)
    assert lan6.engine.leases()[address] == "bound"


def test_g02_temporary_addresses_and_prefixes_are_refused(machine: Client6) -> None:
    six = layers()
    asks = machine.message(six.DHCP6_Solicit) / six.DHCP6OptIA_TA(iaid=3) / six.DHCP6OptIA_PD(iaid=4)
    advertise = machine.say(asks)
    assert given(advertise)
    assert every(advertise, six.DHCP6OptIA_TA)[0].iataopts[0].statuscode == 2
    assert every(advertise, six.DHCP6OptIA_PD)[0].iapdopt[0].statuscode == 6


def test_g06_nobody_is_answered_on_another_interface_until_it_is_served(lan6: Lan6) -> None:
    with netns.namespace("other") as other:
        netns.link(lan6.server, "eth9", other, "eth0", address="fd00:7:9::1/64", peer_address="fd00:7:9::9/64")
        stranger = Client6(other)
        lan6.made.append(stranger)
        stranger.send(stranger.message(layers().DHCP6_Solicit))
        inside = lan6.machine()
        inside.say(inside.message(layers().DHCP6_InfoRequest, ia=False))
        groups = netns.run(lan6.server, ["ip", "-6", "maddress", "show", "dev", "eth9"]).stdout
        assert "ff02::1:2" not in groups
        assert "ff02::1:2" in netns.run(lan6.server, ["ip", "-6", "maddress", "show", "dev", "eth0"]).stdout
        assert stranger.heard == []


def test_g05_who_has_addresses_is_told_the_rest(machine: Client6) -> None:
    six = layers()
    asks = machine.message(six.DHCP6_InfoRequest, ia=False)
    for each in firmware(7, user_class=b"iPXE"):
        asks /= each
    reply = machine.say(asks)
    assert url(reply) == f"http://[fd00:7::1]:8090/boot/{machine.mac.replace(':', '-')}.ipxe"
    assert reply[six.DHCP6OptDNSServers].dnsservers == ["fd00:7::2"]
    assert given(reply) == []


def test_g08_dhclient_gets_renews_and_releases_an_address(lan6: Lan6, tmp_path: Path) -> None:
    leases, held = tmp_path / "leases", lan6.engine.leases()
    argv = ["dhclient", "-6", "-1", "-v", "-sf", "/bin/true", "-lf", str(leases), "-pf", str(tmp_path / "pid"), "eth0"]
    netns.run(lan6.other, argv)
    address = _leased(leases)
    assert lan6.engine.leases()[address] == "bound"
    assert address not in held
    netns.run(lan6.other, [*argv[:2], "-x", *argv[3:]])
    assert "XMT: Confirm" in netns.run(lan6.other, argv).stderr
    assert _leased(leases) == address
    netns.run(lan6.other, [*argv[:2], "-r", *argv[3:]])
    netns.until(lambda: lan6.engine.leases()[address] == "released", what="it is released")


def test_g08_g07_dhcpcd_asks_because_it_is_told_to_where_no_router_is(lan6: Lan6, tmp_path: Path) -> None:
    config, held = tmp_path / "dhcpcd.conf", set(lan6.engine.leases())
    config.write_text("ipv6only\nia_na\nduid ll\nslaac hwaddr\nnohook resolv.conf,hostname,ntp\n")
    # Its leases are not to be found by the next run: they lie in a place of its own.
    argv = f"mount -t tmpfs none /var/lib/dhcpcd && exec dhcpcd -6 -B -d -1 -f {config} eth0"
    done = netns.run(lan6.other, ["unshare", "-m", "sh", "-c", argv], timeout=90)
    assert "Router Advertisement from" in done.stderr
    [address] = [each for each in lan6.engine.leases() if f"adding address {each}/128" in done.stderr]
    assert lan6.engine.ask(lan6.engine.client.leases.show(address)).mac == "52:54:00:00:01:02"
    assert held | {address} == set(lan6.engine.leases())


def _leased(file: Path) -> str:
    """The address in dhclient's own record."""
    words = file.read_text().split()
    return words[words.index("iaaddr") + 1]


def test_g07_who_solicits_a_router_is_told_to_ask_dhcpv6(lan6: Lan6) -> None:
    """By a machine's own kernel: it learns that addresses are managed, that the prefix is here, and no router."""
    netns.run(lan6.client, ["ip", "link", "add", "m0", "link", "eth0", "type", "macvlan", "mode", "bridge"])
    netns.run(lan6.client, ["sysctl", "-qw", "net.ipv6.conf.m0.accept_ra=1", "net.ipv6.conf.m0.autoconf=1"])
    netns.run(lan6.client, ["ip", "link", "set", "m0", "up"])
    routes = ["ip", "-6", "route", "show", "dev", "m0"]
    netns.until(
        lambda: "fd00:7::/64" in netns.run(lan6.client, routes).stdout, what="the prefix is known to be on the link"
    )
    assert "default" not in netns.run(lan6.client, routes).stdout
    shown = netns.run(lan6.client, ["ip", "-6", "address", "show", "dev", "m0", "scope", "global"]).stdout
    assert "inet6" not in shown, "no address is formed from it"
    netns.run(lan6.client, ["ip", "link", "delete", "m0"])


def test_g04_a_lease_is_on_the_disk_before_its_reply_leaves(lan6: Lan6, tmp_path: Path) -> None:
    """The order of system calls, as strace saw it."""
    six, trace = layers(), tmp_path / "trace"
    machines = [lan6.machine() for _ in range(6)]
    offered = [given(each.say(each.message(six.DHCP6_Solicit)))[0][0] for each in machines]
    said: list[tuple[bytes, str]] = []
    with traced(lan6.engine, ORDER, trace):
        for each, address in zip(machines, offered, strict=True):
            for kind in (six.DHCP6_Request, six.DHCP6_Renew):
                message = each.message(kind, address)
                assert given(each.say(message))
                said.append((message.trid.to_bytes(3, "big"), address))
    done = calls(trace)
    syncs = [each for each in done if each.name in ("fsync", "fdatasync") and LOG in each.text and each.result == 0]
    pages = [(each, each.octets) for each in done if each.name in ("pwrite64", "write") and LOG in each.text]
    for xid, address in said:
        [request] = [each for each in done if each.name == "recvmsg" and xid in each.octets]
        [reply] = [each for each in done if each.name == "sendmsg" and b"\x07" + xid in each.octets]
        rows = [
            write
            for write, octets in pages
            if address.encode() in octets and request.ended < write.began and write.ended < reply.began
        ]
        assert rows, f"the REPLY for {address} left before its row was written"
        assert any(sync.began > rows[0].ended and sync.ended < reply.began for sync in syncs), address


def test_g04_no_lease_is_lost_or_doubled_by_a_kill(lan6: Lan6) -> None:
    six = layers()
    held = {each: each.lease() for each in (lan6.machine() for _ in range(12))}
    lan6.engine.kill()
    lan6.engine.start()
    served(lan6.engine)
    assert len(set(held.values())) == 12
    for machine, address in held.items():
        assert given(machine.say(machine.message(six.DHCP6_Renew, address))) == [(address, 3600)]
    newcomers = [lan6.machine().lease() for _ in range(6)]
    assert set(newcomers).isdisjoint(held.values())


def test_g06_an_interface_that_comes_and_goes_is_followed() -> None:
    six = layers()
    with (
        netns.namespace("server") as server,
        netns.namespace("client") as client,
        running(server, "--interface", "late0", "--dhcp6") as engine,
    ):
        engine.ask(engine.client.subnets.create(SIX))
        for mac in ("52:54:00:06:0a:01", "52:54:00:06:0a:02"):
            netns.link(server, "late0", client, "eth0", address="fd00:7::1/64")
            served(engine, "late0")
            machine = Client6(client, mac=mac)
            try:
                assert given(machine.say(machine.message(six.DHCP6_Solicit)))
            finally:
                machine.close()
            netns.run(server, ["ip", "link", "delete", "late0"])
            gone = "the interface is no longer listened on"
            netns.until(lambda: "late0" not in " ".join(engine.up("dhcp6").listening), what=gone)


def test_without_the_flag_nothing_listens_and_the_subnet_says_why() -> None:
    with netns.namespace("server") as server, running(server) as engine:
        made = engine.ask(engine.client.subnets.create(SIX))
        assert made.hold == "this run serves no DHCPv6: start the engine with --dhcp6"
        assert ":547" not in netns.run(server, ["ss", "-lun"]).stdout
