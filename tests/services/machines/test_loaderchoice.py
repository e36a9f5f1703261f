"""What fails is followed by the next loader, what works is remembered, and an operator's word goes before both."""

from __future__ import annotations

from typing import Any

import pytest

from app.model.engine import PREFERENCES
from app.model.event import EVENT_KINDS, Event, EventDraft, Level
from app.model.inventory import Inventory, Nic
from app.model.machine import LoaderChoice, Machine, machine_id_for
from app.netboot.cycle import FILES
from app.services.machines.loaderchoice import LoaderChoices, World
from app.store.loader_rows import Kept
from tests.store.stores import SetClock

MAC, TWIN, STRANGE = "52:54:00:00:00:07", "52:54:00:00:00:08", "3c:fd:fe:00:00:01"
AUTO, SNPONLY, IPXE, SHIM, GRUB = LoaderChoice


class Rows(dict[str, Kept]):
    """What is kept, without a disk."""

    def load(self) -> dict[str, Kept]:
        return dict(self)

    def keep(self, subject: str, kept: Kept | None) -> None:
        if kept is None:
            self.pop(subject, None)
        else:
            self[subject] = kept


class Watched:
    """Choices that are told what a test says."""

    def __init__(self) -> None:
        self.said: list[EventDraft] = []
        self.machines: dict[str, Machine] = {}
        self.files = {name for files in FILES.values() for name in files.values()}
        self.grub = True
        self.preferences = {one.name: one.default for one in PREFERENCES if one.name.startswith("loader-")}
        self.clock = SetClock(1000.0)
        self.rows = Rows()
        self.count = 0
        self.choices = self.started()

    def started(self) -> LoaderChoices:
        """As after a restart of the engine."""
        world = World(
            self.machines.get,
            self.files.__contains__,
            lambda _: self.grub,
            self.preferences.__getitem__,
            self.said.append,
        )
        return LoaderChoices(world, self.rows, self.clock)

    def known(self, mac: str = MAC, **changes: Any) -> Machine:
        """It is on record."""
        machine = Machine(id=machine_id_for(mac), name="web1", macs=(mac,), firmware="uefi", architecture="amd64")
        self.machines[mac] = machine.model_copy(update=changes)
        return self.machines[mac]

    def hear(self, kind: str, mac: str = MAC, **data: Any) -> None:
        self.count += 1
        event = Event(id=self.count, time=self.clock.now(), kind=kind, message="", mac=mac, data=data)
        self.choices.observe(event)

    def asks(self, arch: int = 7, stage: str = "rom", mac: str = MAC, after: float = 1.0) -> LoaderChoice:
        """Asks for an address; gives what it is answered, which is made before the event is stored."""
        self.clock.time += after
        answered = self.choices.suited(mac, arch)
        self.hear("dhcp.discover", mac, stage=stage, arch=arch)
        if stage == "rom":
            assert self.choices.suited(mac, arch) is answered
        return answered

    def loads(self, name: str = "ipxe.efi", kind: str = "tftp", mac: str = MAC) -> None:
        self.hear(f"{kind}.started", mac, role="loader", file=name)
        self.hear(f"{kind}.sent", mac, role="loader", **{"file" if kind == "tftp" else "path": name})

    def hangs(self, name: str = "ipxe.efi") -> LoaderChoice:
        """It is loaded, starts, and hangs until somebody switches the machine off and on."""
        self.loads(name)
        if name == "shimx64.efi":
            self.loads("grubx64.efi")
        elif name != "grubx64.efi":
            self.hear("tftp.missing", file="autoexec.ipxe")
        return self.asks(after=90)

    def script(self, mac: str = MAC) -> None:
        self.hear("http.sent", mac, role="script", path=f"boot/{mac.replace(':', '-')}.ipxe")


@pytest.fixture
def watched() -> Watched:
    return Watched()


def test_ipxes_own_shim_vouches_for_the_ipxe_that_runs(watched: Watched) -> None:
    watched.preferences["loader-signed"] = "ipxe"
    watched.grub = False  # it needs no script for GRUB
    folder = "signed-ipxe/amd64"
    watched.files |= {f"{folder}/ipxe-shimx64.efi", f"{folder}/ipxe.efi"}
    watched.loads()
    assert watched.asks() is SHIM
    assert watched.said[-1].data["loader"] == f"{folder}/ipxe-shimx64.efi"
    for _ in range(2):
        watched.loads(f"/{folder}/ipxe-shimx64.efi", "http")
        watched.loads(f"/{folder}/ipxe.efi", "http")
        watched.asks(stage="ipxe")
        watched.script()
        # It is not taken for one that starts what is not signed.
        assert watched.asks(after=600.0) is SHIM
    assert [event.kind for event in watched.said].count("machine.loader") == len(watched.said)


@pytest.mark.parametrize(("kind", "arch"), [("tftp", 7), ("http", 16)])
def test_firmware_that_asks_anew_at_once_gets_the_signed_loader(watched: Watched, kind: str, arch: int) -> None:
    assert watched.asks(arch) is AUTO
    watched.loads(kind=kind)
    assert watched.asks(arch) is SHIM
    assert watched.asks(arch) is SHIM

    assert watched.choices.suited(TWIN, arch) is AUTO
    (event,) = watched.said
    assert (event.kind in EVENT_KINDS, event.level) == (True, Level.WARNING)
    assert event.message == (
        "d52-54-00-00-00-07 did not start ipxe.efi and asks anew: it is given shimx64.efi from now on"
    )
    assert event.data == {
        "refused": "ipxe.efi", "evidence": "refused", "tried": "ipxe", "loader": "shimx64.efi", "spent": False,
    }  # fmt: skip
    assert event.data.keys() <= {*EVENT_KINDS["machine.loader"].split(", ")}


SIGNS = [
    ("dhcp.discover", {"stage": "ipxe", "arch": 7}),
    ("dhcp.discover", {"stage": "os"}),
    ("tftp.missing", {"file": "autoexec.ipxe"}),
    ("http.sent", {"role": "script", "path": "boot/x.ipxe"}),
    ("agent.registered", {}),
]


@pytest.mark.parametrize(("kind", "data"), SIGNS, ids=[kind for kind, _ in SIGNS])
def test_a_loader_that_was_heard_of_was_not_refused(watched: Watched, kind: str, data: dict[str, Any]) -> None:
    watched.asks()
    watched.loads()
    watched.hear(kind, **data)

    assert watched.asks() is AUTO
    assert watched.said == []


def test_a_driver_that_hangs_gets_the_other_ipxe_and_what_works_is_its_cards(watched: Watched) -> None:
    watched.asks()
    assert watched.hangs() is SNPONLY
    watched.loads("snponly.efi")
    watched.asks(stage="ipxe")
    watched.script()

    assert [event.message for event in watched.said] == [
        "d52-54-00-00-00-07 did not start ipxe.efi and hung: it is given snponly.efi from now on",
        "snponly works on d52-54-00-00-00-07: others with its network card (52:54:00) begin with it",
    ]
    assert watched.rows == {
        f"mac {MAC}": Kept("snponly", ("ipxe",), works=True),
        "card uefi-amd64 52:54:00": Kept("snponly"),
    }
    for choices in (watched.choices, watched.started()):
        assert choices.suited(MAC, 7) is SNPONLY
        assert (choices.suited(TWIN, 7), choices.suited(TWIN, 16)) == (SNPONLY, SNPONLY)
        # Another kind of firmware, another maker of cards.
        assert (choices.suited(TWIN, 0), choices.suited(TWIN, 11), choices.suited(STRANGE, 7)) == (AUTO, AUTO, AUTO)


def test_an_inventory_tells_the_model_of_the_card(watched: Watched) -> None:
    card = Inventory(nics=(Nic(name="eno1", mac=MAC, model="8086:1528"),))
    watched.known(inventory=card)
    watched.known(STRANGE, inventory=card.model_copy(update={"nics": (Nic(name="e", mac=STRANGE, model="8086:1528"),)}))
    watched.asks()
    watched.hangs()
    watched.loads("snponly.efi")
    watched.script()

    assert watched.rows["card uefi-amd64 8086:1528"] == Kept("snponly")
    assert watched.choices.suited(STRANGE, 7) is SNPONLY
    assert watched.choices.suited(TWIN, 7) is AUTO
    assert watched.choices.told(watched.machines[STRANGE]) == "snponly (works on its network card)"


def test_once_round_then_it_stops_and_says_so(watched: Watched) -> None:
    given, expected = "ipxe.efi", ["snponly", "shim", "grub", "auto"]
    machine = watched.known()
    for wanted in expected:
        watched.hangs(given)
        assert watched.choices.suited(MAC, 7).value == wanted
        given = FILES["uefi-amd64"].get(LoaderChoice(wanted), "ipxe.efi")
    assert watched.hangs() is AUTO

    *_, last = watched.said
    assert (len(watched.said), last.level, last.data["spent"]) == (4, Level.ERROR, True)
    assert last.message == (
        "no boot loader starts on web1: ipxe, snponly, shim, grub were tried; it is given the standard one again"
    )
    assert watched.choices.told(machine) == "standard (ipxe, snponly, shim, grub failed)"
    watched.choices.reset(machine)
    assert (watched.choices.told(machine), watched.rows) == ("", {})
    assert watched.hangs() is SNPONLY


def test_a_bios_that_is_started_anew_twice_before_anything_is_heard(watched: Watched) -> None:
    for expected in (AUTO, IPXE):
        watched.loads("undionly.kpxe")
        assert watched.asks(0, after=8) is expected


def test_what_an_operator_chose_is_not_changed_and_is_remembered_once_it_works(watched: Watched) -> None:
    machine = watched.known(loader=SHIM)
    watched.loads("shimx64.efi")
    watched.loads("grubx64.efi")
    watched.clock.time += 90
    watched.hear("dhcp.discover", stage="rom", arch=7)
    assert watched.said == []
    watched.loads("shimx64.efi")
    watched.loads("grubx64.efi")
    watched.hear("tftp.sent", role="script", file="grub.cfg")

    assert watched.rows == {"card uefi-amd64 52:54:00": Kept("shim")}
    assert watched.choices.suited(TWIN, 7) is SHIM
    assert watched.choices.told(machine) == "shim (set for it)"
    # A machine that is known to check no signatures needs none.
    watched.known(TWIN, inventory=Inventory(secure_boot="disabled"))
    assert watched.choices.suited(TWIN, 7) is AUTO


def test_without_other_loaders_or_a_script_for_grub_all_stays_as_it_is(watched: Watched) -> None:
    watched.grub = False
    watched.loads()
    assert watched.asks() is SNPONLY
    watched = Watched()
    watched.files = {"ipxe.efi"}
    watched.choices = watched.started()
    watched.loads()

    assert watched.asks() is AUTO
    assert watched.said == []


def test_a_file_of_the_operators_own_is_no_loader_of_ours(watched: Watched) -> None:
    watched.loads("custom.efi")

    assert watched.asks() is AUTO


def test_a_standard_loader_that_works_is_nothing_to_remember(watched: Watched) -> None:
    for _ in range(2):
        watched.asks()
        watched.loads()
        watched.asks(stage="ipxe")
        watched.script()

    assert (watched.rows, watched.said) == ({}, [])


def test_ipxe_that_runs_needs_no_shim(watched: Watched) -> None:
    watched.loads()
    assert watched.asks() is SHIM
    watched.asks(stage="ipxe")

    assert watched.choices.suited(MAC, 7) is AUTO


def test_secure_boot_in_its_inventory(watched: Watched) -> None:
    for state, suited in (("enabled", SHIM), ("disabled", AUTO)):
        machine = watched.known(inventory=Inventory(secure_boot=state))
        assert watched.choices.suited(MAC, 7) is suited
        assert bool(watched.choices.told(machine)) is (state == "enabled")


def test_the_next_one_for_an_operator(watched: Watched) -> None:
    assert watched.choices.following(watched.known()) is SHIM  # after the standard one, iPXE
    assert watched.choices.following(watched.known(loader=SHIM)) is GRUB
    assert watched.choices.following(watched.known(loader=GRUB)) is SNPONLY
    bios = watched.known(firmware="bios")
    assert watched.choices.following(bios) is IPXE
