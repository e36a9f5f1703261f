"""Boot environments as data: what is wrong with one is told, and stops being told when it is mended."""

from __future__ import annotations

import asyncio
import textwrap
from collections.abc import Sequence
from pathlib import Path

import pytest

from app.model.bootenv import BootEnv, BootKind
from app.services.content import ContentService, shipped

GOOD = """
    name: rescue
    kind: kernel
    architectures:
      amd64: {kernel: r/vmlinuz, initrds: [r/initrd.img]}
    arguments: "quiet {{ mac }}"
    templates:
      - {name: boot, path: boot.ipxe, source: boot.ipxe.j2}
"""


class World:
    """A layer, the files that are there, and what was published."""

    def __init__(self, layer: Path) -> None:
        self.layer = layer
        self.files = {"r/vmlinuz", "r/initrd.img"}
        self.published: list[tuple[BootEnv, ...]] = []
        self.content = ContentService([layer], there=self.files.__contains__, publish=self.publish, look_every=0.01)

    def publish(self, bootenvs: Sequence[BootEnv]) -> None:
        self.published.append(tuple(bootenvs))

    def write(self, definition: str = GOOD, template: str = "#!ipxe\necho {{ mac }}\n", name: str = "rescue") -> None:
        folder = self.layer / name
        folder.mkdir(parents=True, exist_ok=True)
        (folder / "bootenv.yaml").write_text(textwrap.dedent(definition))
        (folder / "boot.ipxe.j2").write_text(template)

    def errors(self, name: str = "rescue") -> str:
        self.content.load()
        found = self.content.bootenv(name)
        assert found is not None
        return "; ".join(found.errors)


@pytest.fixture
def world(tmp_path: Path) -> World:
    return World(tmp_path / "bootenvs")


def test_a_good_one(world: World) -> None:
    world.write()
    assert world.errors() == ""
    assert world.content.templates("rescue") == {"boot": "#!ipxe\necho {{ mac }}\n", "arguments": "quiet {{ mac }}"}
    assert [[each.name for each in step] for step in world.published] == [["rescue"]]
    assert world.content.counters == {"bootenvs": 1, "unusable": 0}


BROKEN = [
    ("no YAML", "{", "bootenv.yaml: "),
    ("a list", "[a]", "not a table"),
    ("unknown field", GOOD + "    colour: red\n", "colour: Extra inputs"),
    ("bad kind", GOOD.replace("kind: kernel", "kind: magic"), "kind: Input should be"),
    ("bad name", GOOD.replace("name: rescue", "name: a/b", 1), "name: String should match"),
    ("other name", GOOD.replace("name: rescue", "name: other", 1), "make them the same"),
    ("python object", "!!python/object/apply:os.system [id]", "could not determine a constructor"),
    ("laughs", "a: &a [x, x]\nb: [*a, *a]", "aliases"),
    (
        "missing template",
        GOOD.replace("source: boot.ipxe.j2", "source: gone.j2"),
        "gone.j2 cannot be read",
    ),
    ("template outside", GOOD.replace("source: boot.ipxe.j2", "source: ../../x"), "is outside its folder"),
    ("no boot template", GOOD.replace("name: boot,", "name: other,"), "no template named boot"),
    ("bad arguments", GOOD.replace("{{ mac }}", "{{ mac"), "arguments: "),
    ("harmless installer", GOOD + "    installs: true\n", "an installer writes to disks: say destructive"),
    ("no architecture", GOOD.replace("amd64: {kernel: r/vmlinuz, initrds: [r/initrd.img]}", "{}"), "no architecture"),
]


PACKAGED = """
    name: rescue
    architectures:
      amd64:
        kernel: bootenvs/rescue/amd64/linux
        kernels: {uefi: bootenvs/rescue/amd64/linux.efi}
        initrds: [bootenvs/rescue/amd64/initrd.gz]
        packages:
          - package: rescue-boot
            suite: trixie
            files: {linux: usr/lib/rescue/linux, linux.efi: usr/lib/rescue/linux.efi}
          - {package: rescue-initrd, suite: trixie, files: {initrd.gz: usr/lib/rescue/initrd.gz}}
    templates:
      - {name: boot, path: boot.ipxe, source: boot.ipxe.j2}
"""
BROKEN += [
    ("climbing", PACKAGED.replace("usr/lib/rescue/linux,", "usr/../etc/shadow,"), "is no path inside a package"),
    ("absolute", PACKAGED.replace("usr/lib/rescue/linux,", "/boot/linux,"), "is no path inside a package"),
    ("odd file", PACKAGED.replace("linux.efi: usr", "../x: usr"), "files.../x.[key]: String should match"),
    ("odd package", PACKAGED.replace("rescue-boot", "--help"), "packages.0.package: String should match"),
    ("odd suite", PACKAGED.replace("suite: trixie", "suite: 'a b'", 1), "packages.0.suite: String should match"),
    ("odd firmware", PACKAGED.replace("uefi: boot", "coreboot: boot"), "coreboot"),
    (
        "unbrought",
        PACKAGED.replace("{initrd.gz:", "{initrd.xz:"),
        "amd64: bootenvs/rescue/amd64/initrd.gz is brought by none of its packages",
    ),
    (
        "brought twice",
        PACKAGED.replace("{initrd.gz:", "{linux: x, initrd.gz:"),
        "amd64: two packages bring bootenvs/rescue/amd64/linux",
    ),
]


@pytest.mark.parametrize(("definition", "why"), [row[1:] for row in BROKEN], ids=[row[0] for row in BROKEN])
def test_what_is_wrong_is_told(world: World, definition: str, why: str) -> None:
    world.write(definition)
    assert why in world.errors()
    assert world.content.counters["unusable"] == 1


def test_a_template_that_does_not_parse_is_told_with_its_line(world: World) -> None:
    world.write(template="#!ipxe\n{% if %}\n")
    assert "template boot: boot.ipxe.j2 line 2: Expected an expression" in world.errors()
    world.write()
    assert world.errors() == ""


def test_errors_end_when_the_files_arrive(world: World) -> None:
    world.write()
    world.files.clear()
    assert world.errors() == "amd64: r/vmlinuz is not there; amd64: r/initrd.img is not there"
    world.files.add("r/vmlinuz")
    assert world.errors() == "amd64: r/initrd.img is not there"
    world.files.add("r/initrd.img")
    assert world.errors() == ""


def test_files_of_packages_are_told_with_the_command_that_brings_them(world: World) -> None:
    world.write(PACKAGED)
    how = "not there yet; bring them with: sudo bootcart fetch rescue"
    assert world.errors() == (
        f"amd64: linux and linux.efi of Debian's package rescue-boot {how}; "
        f"amd64: initrd.gz of Debian's package rescue-initrd {how}"
    )
    world.files |= {"bootenvs/rescue/amd64/linux", "bootenvs/rescue/amd64/initrd.gz"}
    assert world.errors() == f"amd64: linux.efi of Debian's package rescue-boot {how}"
    world.files.add("bootenvs/rescue/amd64/linux.efi")
    assert world.errors() == ""


def test_only_whole_architectures_are_offered(world: World) -> None:
    world.write(GOOD.replace("arguments:", "  arm64: {kernel: a/vmlinuz, initrds: [a/initrd.img]}\n    arguments:"))
    assert world.errors() == ""
    found = world.content.bootenv("rescue")
    assert found is not None
    assert list(found.architectures) == ["amd64"]
    world.files |= {"a/vmlinuz", "a/initrd.img"}
    world.content.load()
    assert list(world.content.bootenvs()[0].architectures) == ["amd64", "arm64"]


def test_the_first_layer_wins(tmp_path: Path) -> None:
    above, below = World(tmp_path / "above"), World(tmp_path / "below")
    above.write(GOOD + "    title: mine\n")
    below.write(GOOD + "    title: theirs\n")
    below.write(GOOD.replace("name: rescue", "name: other"), name="other")
    layers = [tmp_path / "none", above.layer, below.layer]
    content = ContentService(layers, there=above.files.__contains__, publish=above.publish)
    content.load()
    assert [(each.name, each.title) for each in content.bootenvs()] == [("other", ""), ("rescue", "mine")]


async def test_the_service_sees_changes_by_itself(world: World) -> None:
    await world.content.start()
    try:
        assert world.published == [()]
        world.write()
        async with asyncio.timeout(10):
            while not world.content.bootenv("rescue"):
                await asyncio.sleep(0.01)
        world.files.clear()
        async with asyncio.timeout(10):
            while not world.published[-1][0].errors:
                await asyncio.sleep(0.01)
    finally:
        await world.content.stop()
    count = len(world.published)
    world.files.update({"r/vmlinuz", "r/initrd.img"})
    await asyncio.sleep(0.05)
    assert len(world.published) == count


def test_what_is_shipped_is_usable_once_its_files_are_there() -> None:
    content = ContentService(
        [shipped()], there=lambda path: path.startswith(("discovery/amd64/", "bootenvs/")), publish=lambda _: None
    )
    content.load()
    kinds = {
        BootKind.LOCAL: {"local"},
        BootKind.IGNORE: {"ignore"},
        BootKind.KERNEL: {"discovery", "memtest86plus", "debian-12", "debian-13"},
    }
    names = set[str]().union(*kinds.values())
    assert {each.name: each.errors for each in content.bootenvs()} == dict.fromkeys(names, ())
    assert all(each.name in kinds[each.kind] for each in content.bootenvs())
