"""Our own files are given without looking for them anew, as long as nothing has changed."""

from __future__ import annotations

import os
from ipaddress import IPv4Address, IPv6Address

import pytest

from app.netboot.bootpath import Role
from app.services.bootfs import roots
from tests.services.bootfs.world import HERE, MAC, NOBODY, World

KERNEL = "discovery/amd64/vmlinuz"


def test_a_file_that_was_found_is_at_hand(world: World) -> None:
    tree = world.tree
    assert tree.file_at_hand(KERNEL, HERE) is None
    found = world.ask(KERNEL)
    assert tree.file_at_hand(KERNEL, HERE) == (found, MAC)
    assert tree.file_at_hand("discovery/amd64/initrd.img", HERE) is None
    world.ask("ipxe.efi")
    served = tree.file_at_hand("ipxe.efi", HERE)
    assert served is not None
    assert served[0].role is Role.LOADER


@pytest.mark.parametrize("peer", [NOBODY, IPv6Address("fe80::1")])
def test_who_has_no_lease_is_looked_at_in_a_thread(world: World, peer: IPv4Address | IPv6Address) -> None:
    world.ask(KERNEL)
    assert world.tree.file_at_hand(KERNEL, peer) is None


def test_another_file_under_its_name_is_found_anew(world: World) -> None:
    world.ask("ipxe.efi")
    loader = world.artefacts / "loaders/ipxe.efi"
    other = loader.with_name("other")
    other.write_bytes(b"MZ LOADER")
    os.replace(other, loader)
    assert world.tree.file_at_hand("ipxe.efi", HERE) is None
    world.ask("ipxe.efi")
    loader.unlink()
    assert world.tree.file_at_hand("ipxe.efi", HERE) is None
    assert world.ask("ipxe.efi") is None


def test_a_set_whose_manifest_is_gone_is_not_at_hand(world: World) -> None:
    world.ask(KERNEL)
    (world.artefacts / "discovery/amd64/manifest.json").unlink()
    assert world.tree.file_at_hand(KERNEL, HERE) is None
    assert world.ask(KERNEL) is None


def test_it_is_looked_for_again_after_a_moment(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    world.ask(KERNEL)
    monkeypatch.setattr(roots, "RECENT_SECONDS", -1.0)
    assert world.tree.file_at_hand(KERNEL, HERE) is None


def test_the_operators_files_may_lie_far_away(world: World) -> None:
    (world.root / "big.iso").write_bytes(b"x")
    assert world.ask("big.iso") is not None
    assert world.tree.file_at_hand("big.iso", HERE) is None
