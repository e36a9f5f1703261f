"""What is refused, with which field and remedy; and that nothing is saved then."""

from __future__ import annotations

from typing import Any

import pytest

from app.errors import BootcartError, ConflictError, InvalidError, NotFoundError
from app.model.engine import PREFERENCES
from app.model.subnet import LeaseState
from app.services.commands.layer import CommandLayer
from app.store.store import Store
from tests.store.stores import commit, lease

RACK = {"name": "rack7", "cidr": "10.7.0.0/24", "ranges": ["10.7.0.100-10.7.0.200"], "router": "10.7.0.1"}
KEPT = {"address": "10.7.0.50", "mac": "52:54:00:00:00:50"}
NODE = {"name": "node-07", "macs": ["52:54:00:00:00:07", "52:54:00:00:00:08"], "address": "10.7.0.7"}


@pytest.fixture
def world(layer: CommandLayer, store: Store) -> CommandLayer:
    layer.create("op", "subnets", RACK)
    layer.create("op", "reservations", KEPT)
    layer.create("op", "machines", NODE)
    # 10.7.0.120 is leased to 52:54:00:00:00:78, 10.7.0.121 was released.
    commit(store.leases, [lease(120), lease(121, state=LeaseState.RELEASED)])
    return layer


def _subnet(**fields: Any) -> dict[str, Any]:
    return {"name": "new", "cidr": "10.8.0.0/24", "ranges": ["10.8.0.100-10.8.0.200"], **fields}


REFUSED: list[tuple[str, str, dict[str, Any], type[BootcartError], str, str]] = [
    # Subnets.
    ("subnets", "the same", RACK, ConflictError, "name", "already a subnet rack7"),
    ("subnets", "name in other case", _subnet(name="RACK7"), ConflictError, "name", "already a subnet rack7"),
    (
        "subnets",
        "inside another",
        _subnet(cidr="10.7.0.128/25", ranges=[]),
        ConflictError,
        "cidr",
        "overlaps subnet rack7",
    ),
    (
        "subnets",
        "around another",
        _subnet(cidr="10.0.0.0/8", ranges=[]),
        ConflictError,
        "cidr",
        "overlaps subnet rack7",
    ),
    ("subnets", "host bits", _subnet(cidr="10.8.0.7/24"), InvalidError, "cidr", "write 10.8.0.0/24"),
    ("subnets", "no network", _subnet(cidr="rack"), InvalidError, "cidr", "like 10.7.0.0/24"),
    ("subnets", "IPv6", _subnet(cidr="fd00::/64"), InvalidError, "ranges.0.start", "10.8.0.100"),
    ("subnets", "no range", _subnet(ranges=[]), InvalidError, "ranges", "for example 10.8.0.102-10.8.0.204"),
    ("subnets", "router in range", _subnet(router="10.8.0.150"), InvalidError, "ranges.0", "the router 10.8.0.150"),
    ("subnets", "router elsewhere", _subnet(router="10.9.0.1"), InvalidError, "router", "not in 10.8.0.0/24"),
    ("subnets", "router is broadcast", _subnet(router="10.8.0.255"), InvalidError, "router", "broadcast"),
    ("subnets", "range elsewhere", _subnet(ranges=["10.9.0.1-10.9.0.2"]), InvalidError, "ranges.0.start", "not in"),
    (
        "subnets",
        "range to broadcast",
        _subnet(ranges=["10.8.0.1-10.8.0.255"]),
        InvalidError,
        "ranges.0.end",
        "broadcast",
    ),
    ("subnets", "range backwards", _subnet(ranges=["10.8.0.9-10.8.0.1"]), InvalidError, "ranges.0", "ends"),
    ("subnets", "range unreadable", _subnet(ranges=["10.8.0.9"]), InvalidError, "ranges.0", "10.7.0.100-10.7.0.200"),
    (
        "subnets",
        "ranges overlap",
        _subnet(ranges=["10.8.0.1-10.8.0.9", "10.8.0.9-10.8.0.11"]),
        InvalidError,
        "ranges.1",
        "overlaps",
    ),
    ("subnets", "loopback", _subnet(cidr="127.1.0.0/16", ranges=[]), InvalidError, "cidr", "private one"),
    ("subnets", "multicast", _subnet(cidr="224.1.0.0/16", ranges=[]), InvalidError, "cidr", "private one"),
    ("subnets", "too small", _subnet(cidr="10.8.0.0/31", ranges=[]), InvalidError, "cidr", "/30 is the least"),
    ("subnets", "too large", _subnet(cidr="0.0.0.0/0", ranges=[]), InvalidError, "cidr", ""),
    ("subnets", "short lease", _subnet(lease_time=5), InvalidError, "lease_time", "from 60"),
    ("subnets", "unknown mode", _subnet(mode="sometimes"), InvalidError, "mode", "authoritative, proxy"),
    ("subnets", "nobody's boot server", _subnet(next_server="255.255.255.255"), InvalidError, "next_server", "a host"),
    ("subnets", "nobody's name server", _subnet(dns=["10.8.0.1", "224.0.0.5"]), InvalidError, "dns.1", "a host"),
    ("subnets", "no domain", _subnet(domain="a b;c"), InvalidError, "domain", "letters, digits"),
    ("subnets", "a domain too long", _subnet(domain="x" * 64), InvalidError, "domain", "letters, digits"),
    (
        "subnets",
        "ranges overlap, what to do",
        _subnet(ranges=["10.8.0.1-10.8.0.9", "10.8.0.9-10.8.0.11"]),
        InvalidError,
        "ranges.1",
        "make one of the two",
    ),
    ("subnets", "more kept than there is", _subnet(kept_for_known=102), InvalidError, "kept_for_known", "(101)"),
    ("subnets", "misspelt field", _subnet(rnages=[]), InvalidError, "rnages", "did you mean ranges?"),
    ("subnets", "no name", {"cidr": "10.8.0.0/24"}, InvalidError, "name", "letters"),
    ("subnets", "bad name", _subnet(name="../x"), InvalidError, "name", "letters"),
    ("subnets", "several faults", _subnet(lease_time=5, router="x"), InvalidError, "router", "also lease_time"),
    # Reservations.
    (
        "reservations",
        "same address",
        {**KEPT, "mac": "52:54:00:00:00:51"},
        ConflictError,
        "address",
        "already reserved for",
    ),
    (
        "reservations",
        "same MAC",
        {**KEPT, "address": "10.7.0.51"},
        ConflictError,
        "mac",
        "already has the reservation 10.7.0.50",
    ),
    (
        "reservations",
        "broadcast",
        {"address": "10.7.0.255", "mac": "52:54:00:00:00:51"},
        InvalidError,
        "address",
        "broadcast",
    ),
    (
        "reservations",
        "network",
        {"address": "10.7.0.0", "mac": "52:54:00:00:00:51"},
        InvalidError,
        "address",
        "network address",
    ),
    ("reservations", "router", {"address": "10.7.0.1", "mac": "52:54:00:00:00:51"}, InvalidError, "address", "router"),
    (
        "reservations",
        "leased",
        {"address": "10.7.0.120", "mac": "52:54:00:00:00:51"},
        ConflictError,
        "address",
        "another 1 h 0 min",
    ),
    (
        "reservations",
        "multicast",
        {"address": "224.0.0.1", "mac": "52:54:00:00:00:51"},
        InvalidError,
        "address",
        "cannot be",
    ),
    (
        "reservations",
        "broadcast MAC",
        {"address": "10.7.0.51", "mac": "ff:ff:ff:ff:ff:ff"},
        InvalidError,
        "mac",
        "52:54:00:00:00:07",
    ),
    (
        "reservations",
        "host name",
        {"address": "10.7.0.51", "mac": "52:54:00:00:00:51", "hostname": "a b"},
        InvalidError,
        "hostname",
        "letters",
    ),
    # Machines.
    ("machines", "same name", {"name": "Node-07"}, ConflictError, "name", "taken by machine"),
    (
        "machines",
        "same MAC",
        {"name": "n", "macs": ["52-54-00-00-00-08"]},
        ConflictError,
        "macs",
        "belongs to machine node-07",
    ),
    ("machines", "same address", {"name": "n", "address": "10.7.0.7"}, ConflictError, "address", "of machine node-07"),
    ("machines", "reserved address", {"name": "n", "address": "10.7.0.50"}, ConflictError, "address", "reserved for"),
    ("machines", "MAC twice", {"name": "n", "macs": ["52:54:00:00:00:11"] * 2}, InvalidError, "macs", "once"),
    ("machines", "bad MAC", {"name": "n", "macs": ["nonsense"]}, InvalidError, "macs.0", "52:54:00:00:00:07"),
    (
        "machines",
        "no bootenv",
        {"name": "n", "bootenv": "debian12"},
        InvalidError,
        "bootenv",
        "did you mean debian-12?",
    ),
    (
        "machines",
        "for unknown",
        {"name": "n", "bootenv": "discovery"},
        InvalidError,
        "bootenv",
        "prefs set unknown-bootenv",
    ),
    ("machines", "unavailable", {"name": "n", "bootenv": "broken"}, InvalidError, "bootenv", "boot.ipxe.j2 is missing"),
    (
        "machines",
        "other processor",
        {"name": "n", "bootenv": "debian-12", "architecture": "arm64"},
        InvalidError,
        "bootenv",
        "amd64",
    ),
    ("machines", "read-only", {"name": "n", "heartbeat": 5.0}, InvalidError, "heartbeat", "leave it out"),
    ("machines", "bad id", {"name": "n", "id": "7"}, InvalidError, "id", "UUID"),
    ("machines", "no name, no MAC", {}, InvalidError, "name", ""),
    # What cannot be made.
    ("prefs", "created", {"name": "x"}, InvalidError, "", "prefs set"),
    ("leases", "created", {}, InvalidError, "", ""),
    ("nonsense", "unknown noun", {}, InvalidError, "", ""),
]


@pytest.mark.parametrize(
    ("noun", "_why", "body", "error", "field", "words"), REFUSED, ids=[f"{r[0]}-{r[1]}" for r in REFUSED]
)
def test_creating_is_refused(
    world: CommandLayer, noun: str, _why: str, body: dict[str, Any], error: type[BootcartError], field: str, words: str
) -> None:
    before = _everything(world)

    with pytest.raises(error) as caught:
        world.create("op", noun, body)

    assert caught.value.field == field
    assert words in str(caught.value)
    assert caught.value.hint or error is not InvalidError or not field
    assert _everything(world) == before


UPDATES: list[tuple[str, str, dict[str, Any], type[BootcartError], str, str]] = [
    ("subnets", "rack7", {"name": "rack8"}, InvalidError, "name", "cannot be changed"),
    ("subnets", "rack7", {"ranges": None}, InvalidError, "ranges", "needs a range"),
    ("subnets", "rack7", {"cidr": "10.9.0.0/24"}, InvalidError, "ranges.0.start", "not in 10.9.0.0/24"),
    (
        "subnets",
        "rack7",
        {"cidr": "10.7.0.64/26", "ranges": ["10.7.0.100-10.7.0.110"], "router": None},
        ConflictError,
        "cidr",
        "10.7.0.50",
    ),
    ("subnets", "rack7", {"router": "10.7.0.50"}, ConflictError, "router", "reserved for 52:54:00:00:00:50"),
    ("subnets", "rack7", {"colour": None}, InvalidError, "colour", "no field"),
    ("reservations", "10.7.0.50", {"address": "10.7.0.120"}, ConflictError, "address", "leased to"),
    ("reservations", "10.7.0.50", {"address": "10.7.0.255"}, InvalidError, "address", "broadcast"),
    ("reservations", "10.7.0.50", {"address": None}, InvalidError, "address", "missing"),
    ("reservations", "10.7.0.50", {"address": "ten"}, InvalidError, "address", ""),
    ("reservations", "10.7.0.50", {"mac": None}, InvalidError, "mac", "missing"),
    ("machines", "node-07", {"id": "6b1f7e0a-6d0b-5f0c-9a35-0b007ca27000"}, InvalidError, "id", "cannot be changed"),
    ("machines", "node-07", {"inventory": {"kernel": "x"}}, InvalidError, "inventory", "engine alone"),
    ("machines", "node-07", {"bootenv": "windows"}, InvalidError, "bootenv", "known are"),
    ("machines", "node-99", {"bootenv": "local"}, NotFoundError, "", "did you mean node-07?"),
    ("leases", "10.7.0.120", {"mac": "52:54:00:00:00:01"}, InvalidError, "", "delete it instead"),
    ("bootenvs", "local", {"title": "x"}, InvalidError, "", "content"),
    ("prefs", "unknown-botenv", {"value": "local"}, NotFoundError, "", "did you mean unknown-bootenv?"),
    ("prefs", "unknown-bootenv", {"value": "nonsense"}, InvalidError, "value", "known are"),
    ("prefs", "unknown-bootenv", {"value": "broken"}, InvalidError, "value", "missing"),
    ("prefs", "default-bootenv", {"value": "discovery"}, InvalidError, "value", "may be assigned"),
    ("prefs", "loader-bios", {"value": "lilo"}, InvalidError, "value", "undionly.kpxe, ipxe.pxe"),
    ("prefs", "known-token-timeout", {"value": "1"}, InvalidError, "value", "from 30"),
    ("prefs", "known-token-timeout", {"value": "an hour"}, InvalidError, "value", "from 30"),
    ("prefs", "known-token-timeout", {"value": "٣٠٠"}, InvalidError, "value", "from 30"),
    ("prefs", "debian-mirror", {"value": "ftp.debian.org"}, InvalidError, "value", "http://"),
    ("prefs", "debian-mirror", {"value": "http://x/ y"}, InvalidError, "value", "http://"),
    ("prefs", "log-level", {"value": "dhcp=loud"}, InvalidError, "value", "one of debug"),
    ("prefs", "serve-until", {"value": "2 hours"}, InvalidError, "value", "2h"),
    ("prefs", "serve-until", {"value": "0h"}, InvalidError, "value", "2h"),
    ("prefs", "serve-until", {"value": "31d"}, InvalidError, "value", "2h"),
    ("prefs", "serve-until", {"value": "9999999d"}, InvalidError, "value", "2h"),
    ("prefs", "serve-until", {"value": "2001-02-03T04:05:06Z"}, InvalidError, "value", "2h"),
    ("prefs", "log-level", {"value": "ftp=debug"}, InvalidError, "value", "one of dhcp"),
    ("prefs", "discovery-ssh-keys", {"value": "secret"}, InvalidError, "value", ".pub files"),
    ("prefs", "debian-mirror", {"value": ["a"]}, InvalidError, "value", "quotes"),
    ("prefs", "debian-mirror", {"default": "x", "value": "y"}, InvalidError, "default", "cannot be changed"),
    ("prefs", "debian-mirror", {}, InvalidError, "value", "no value"),
    ("prefs", ".holding", {"value": "yes"}, NotFoundError, "", ""),
]


@pytest.mark.parametrize(("noun", "key", "changes", "error", "field", "words"), UPDATES)
def test_changing_is_refused(
    world: CommandLayer,
    noun: str,
    key: str,
    changes: dict[str, Any],
    error: type[BootcartError],
    field: str,
    words: str,
) -> None:
    before = _everything(world)

    with pytest.raises(error) as caught:
        world.update("op", noun, key, changes)

    assert caught.value.field == field
    assert words in str(caught.value)
    assert _everything(world) == before


@pytest.mark.parametrize(
    ("noun", "key", "error", "words"),
    [
        ("subnets", "rack7", ConflictError, "in use by the reservation 10.7.0.50 (52:54:00:00:00:50)"),
        ("prefs", "unknown-bootenv", InvalidError, "default"),
        ("bootenvs", "local", InvalidError, "content"),
        ("leases", "10.7.0.99", NotFoundError, "leases list"),
    ],
)
def test_deleting_is_refused(world: CommandLayer, noun: str, key: str, error: type[BootcartError], words: str) -> None:
    before = _everything(world)

    with pytest.raises(error) as caught:
        world.delete("op", noun, key)

    assert words in str(caught.value)
    assert _everything(world) == before


ALLOWED: list[tuple[str, dict[str, Any]]] = [
    ("subnets", _subnet(mode="proxy", ranges=[])),
    ("subnets", _subnet(mode="off", ranges=[])),
    ("subnets", _subnet(reservations_only=True, ranges=[])),
    ("subnets", _subnet(cidr="10.8.0.0/30", ranges=["10.8.0.2-10.8.0.2"])),
    ("subnets", _subnet(cidr="10.7.1.0/24", ranges=["10.7.1.1-10.7.1.254"])),
    ("reservations", {"address": "192.168.200.5", "mac": "52:54:00:00:00:51", "hostname": "n.example.org"}),
    ("reservations", {"address": "10.7.0.120", "mac": "52:54:00:00:00:78"}),
    ("reservations", {"address": "10.7.0.121", "mac": "52:54:00:00:00:51"}),
    ("machines", {"name": "n", "bootenv": "debian-12", "architecture": "amd64"}),
    ("machines", {"macs": ["52:54:00:00:00:50"], "address": "10.7.0.50", "bootenv": "local"}),
]


@pytest.mark.parametrize(("noun", "body"), ALLOWED)
def test_creating_is_allowed(world: CommandLayer, noun: str, body: dict[str, Any]) -> None:
    made = world.create("op", noun, body)

    assert made in world.listing(noun)


@pytest.mark.parametrize("preference", PREFERENCES, ids=lambda each: each.name)
def test_every_preference_takes_its_own_default(world: CommandLayer, preference: Any) -> None:
    found = world.update("op", "prefs", preference.name, {"value": preference.default})

    assert found.model_dump()["value"] == preference.default


@pytest.mark.parametrize("name", ["unknown-bootenv", "default-bootenv"])
def test_what_wipes_disks_is_nobodys_default(world: CommandLayer, name: str) -> None:
    with pytest.raises(InvalidError, match="every machine that is switched on here would be wiped") as caught:
        world.update("op", "prefs", name, {"value": "wipes"})
    assert caught.value.field == "value"


@pytest.mark.parametrize(
    ("name", "good", "bad"),
    [
        ("install-locale", ["de_DE.UTF-8", "C.UTF-8", "de_DE@euro", "eo"], ["", "en US", "en_US\nd-i x", "$(reboot)"]),
        ("install-keyboard", ["de", "us-intl"], ["", "d e", "de\nx"]),
        ("install-time-zone", ["UTC", "Europe/Berlin", "America/Argentina/Buenos_Aires"], ["", "../x", "a b", "a/"]),
    ],
)
def test_values_of_answer_files_are_words(world: CommandLayer, name: str, good: list[str], bad: list[str]) -> None:
    for value in good:
        assert world.update("op", "prefs", name, {"value": value}).model_dump()["value"] == value
    for value in bad:
        with pytest.raises(InvalidError):
            world.update("op", "prefs", name, {"value": value})


@pytest.mark.parametrize("name", ["loader-ia32", "loader-arm32", "loader-riscv64", "loader-loong64"])
def test_a_loader_is_a_path_that_dhcp_can_name(world: CommandLayer, name: str) -> None:
    for value, kept in (("ipxe.efi", "ipxe.efi"), ("/boot//x.efi", "boot/x.efi"), ("a\\b.efi", "a/b.efi"), ("", "")):
        assert world.update("op", "prefs", name, {"value": value}).model_dump()["value"] == kept
    for value in ("../x.efi", "a b.efi", "ä.efi", "x" * 128, "x\ny", "C:\\x.efi"):
        with pytest.raises(InvalidError, match="cannot be a boot file") as caught:
            world.update("op", "prefs", name, {"value": value})
        assert caught.value.field == "value"


def test_a_proposed_range_is_one_that_is_taken(layer: CommandLayer) -> None:
    for prefix in range(8, 31):
        for router in (None, "10.0.0.2", "10.0.0.1"):
            body: dict[str, Any] = {"name": "s", "cidr": f"10.0.0.0/{prefix}", "router": router}
            with pytest.raises(InvalidError, match="needs a range") as caught:
                layer.create("op", "subnets", body)
            span = caught.value.hint.split(" ")[2].rstrip(",")
            layer.create("op", "subnets", {**body, "ranges": [span]})
            layer.delete("op", "subnets", "s")


def _everything(layer: CommandLayer) -> list[object]:
    nouns = ("machines", "subnets", "reservations", "leases", "prefs")
    return [*(layer.listing(noun) for noun in nouns), layer.commands()]
