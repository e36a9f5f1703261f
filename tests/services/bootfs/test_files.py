"""Real files of the tree: where they come from, in which order, and what is never given."""

from __future__ import annotations

from ipaddress import IPv4Address
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from app.netboot.bootpath import BadPathError, Role, Served, normalise
from app.services.bootfs.neighbours import parse_arp
from app.services.bootfs.roots import Files, beneath
from tests.artefacts import listed
from tests.services.bootfs.world import World


@pytest.mark.parametrize(
    ("path", "role", "begins"),
    [
        ("ipxe.efi", Role.LOADER, b"MZ"),
        ("discovery/amd64/vmlinuz", Role.KERNEL, b"kernel"),
        ("discovery/amd64/initrd.img", Role.INITRD, b"initrd"),
        ("own/tool.bin", Role.FILE, b"own"),
    ],
)
def test_where_files_come_from(world: World, path: str, role: Role, begins: bytes) -> None:
    (world.root / "own").mkdir()
    (world.root / "own/tool.bin").write_bytes(b"own")
    answer = world.ask(path)
    assert isinstance(answer, Served)
    assert answer.role is role
    assert answer.file is not None
    assert answer.file.read_bytes().startswith(begins)


@pytest.mark.parametrize(
    "path",
    ["", "manifest.json", "loaders/ipxe.efi", "discovery", "discovery/amd64", "discovery/amd64/manifest.json", "apt"],
)
def test_what_is_no_file_of_the_tree(world: World, path: str) -> None:
    (world.artefacts / "apt").write_text("not for machines")
    (world.artefacts / "discovery/amd64/manifest.json").write_text("{}")
    assert world.ask(path) is None


def test_half_a_build_is_not_served(world: World) -> None:
    """What an interrupted build leaves: no manifest, or the one of other files. It heals with the next build."""
    folder, paths = world.artefacts / "discovery/amd64", ("discovery/amd64/vmlinuz", "discovery/amd64/initrd.img")
    files = Files(world.artefacts, [])
    assert all(files.there(path) for path in paths)
    (folder / "manifest.json").unlink()
    assert not any(files.there(path) for path in paths)
    listed(folder)
    (folder / "initrd.img").write_bytes(b"another build's")
    assert [files.there(path) for path in paths] == [True, False]
    for broken in ("", "[]", '{"files": []}', '{"files": {"vmlinuz": 1}}'):
        (folder / "manifest.json").write_text(broken)
        assert not any(files.there(path) for path in paths), broken
    listed(folder)
    assert all(files.there(path) for path in paths)


def test_loaders_come_before_the_operators_trees_and_those_in_their_order(world: World, tmp_path: Path) -> None:
    second = tmp_path / "second"
    second.mkdir()
    for name in ("ipxe.efi", "a", "b"):
        (second / name).write_text("second")
    (world.root / "ipxe.efi").write_text("root")
    (world.root / "a").write_text("root")
    files = Files(world.artefacts, [world.root, second, tmp_path / "none"])
    found = {name: files.find(name) for name in ("ipxe.efi", "a", "b")}
    assert {name: file.parent.name for name, file in found.items() if file} == {
        "ipxe.efi": "loaders",
        "a": "root",
        "b": "second",
    }
    assert files.there("a")
    assert not files.there("c")


def test_t34_links_that_leave_the_root_are_not_followed(tmp_path: Path) -> None:
    root, outside = tmp_path / "root", tmp_path / "outside"
    root.mkdir()
    outside.mkdir()
    (outside / "secret").write_text("x")
    (root / "file").write_text("x")
    (root / "inner").symlink_to("file")
    (root / "out").symlink_to(outside / "secret")
    (root / "outdir").symlink_to(outside)
    (root / "loop").symlink_to("loop")
    (tmp_path / "rooted").symlink_to(root)
    assert beneath(root, "inner") == root / "file"
    assert beneath(tmp_path / "rooted", "file") == root / "file"
    for path in ("out", "outdir/secret", "loop", "missing", "../outside/secret", "/etc/passwd", "file/x", ""):
        assert beneath(root, path) is None, path


@given(st.lists(st.sampled_from(["..", ".", "", "a", "up", "b", "%2e%2e", "\\..", "~"]), max_size=8), st.booleans())
@settings(suppress_health_check=[HealthCheck.function_scoped_fixture], deadline=None)
def test_v05_whatever_is_asked_the_answer_lies_in_the_root(tmp_path: Path, parts: list[str], percent: bool) -> None:
    root = tmp_path / "root"
    (root / "a").mkdir(parents=True, exist_ok=True)
    (root / "a/b").write_text("inside")
    (tmp_path / "b").write_text("outside")
    if not (root / "up").is_symlink():
        (root / "up").symlink_to("..")
    try:
        found = beneath(root, normalise("/".join(parts), percent=percent))
    except BadPathError:
        return
    assert found is None or found.read_text() == "inside"


def test_the_arp_table() -> None:
    table = (
        "IP address       HW type     Flags       HW address            Mask     Device\n"
        "10.7.0.100       0x1         0x2         52:54:00:00:00:07     *        eth1\n"
        "10.7.0.101       0x1         0x0         00:00:00:00:00:00     *        eth1\n"
        "10.7.0.102       0x1         0x6         52:54:00:AA:00:08     *        eth1\n"
    )
    assert parse_arp(table) == {
        IPv4Address("10.7.0.100"): "52:54:00:00:00:07",
        IPv4Address("10.7.0.102"): "52:54:00:aa:00:08",
    }


def test_what_is_like_a_name_that_is_not_there(world: World, tmp_path: Path) -> None:
    own = tmp_path / "own"
    (own / "grub").mkdir(parents=True)
    (own / "grub" / "grubx64.efi").write_bytes(b"x")
    (own / "shimx64.efi").write_bytes(b"x")
    files = Files(world.artefacts, [own])

    assert files.like("iPXE.EFI")[0] == "ipxe.efi"
    assert files.like("grub/grubaa64.efi")[0] == "grub/grubx64.efi"
    assert files.like("shimx64.efi.signed")[0] == "shimx64.efi"
    assert files.like("nothing-like-it.bin") == ()
    assert files.like("../../etc/passwd") == ()
    assert "manifest.json" not in files.like("manifest.jso")
