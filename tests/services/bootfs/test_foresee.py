"""What a machine's script would be: the served one but for its token, and nothing comes of looking."""

from __future__ import annotations

import hashlib
import json

from tests.services.bootfs.world import HERE, LOCAL, MAC, World


def test_it_is_what_is_served_with_the_token_masked(world: World) -> None:
    found = world.tree.foresee(MAC, str(HERE), LOCAL)
    served = world.script()
    token = served.partition("t=")[2].split()[0]
    assert found.text == served.replace(token, "********")
    assert found.error is None


def test_a_failing_template_is_told_and_the_same_script_is_seen_but_no_event_is_emitted(world: World) -> None:
    world.content.template("rescue", "#!ipxe\n{{ machine.name }}\n{{ nothing_here }}\n")
    found = world.tree.foresee(MAC, str(HERE), LOCAL)
    assert world.events == []
    assert found.error is not None
    assert (found.error.template, found.error.line, found.error.why) == ("boot", 3, "'nothing_here' is undefined")
    assert found.text == world.script()
    assert [event.kind for event in world.events] == ["render.failed"]


def test_what_is_to_be_left_alone_is_given_nothing(world: World) -> None:
    world.view.prefs["unknown-bootenv"] = "ignore"
    found = world.tree.foresee(MAC, str(HERE), LOCAL)
    assert (found.text, found.left_alone) == ("", True)


def test_a_files_size_and_sum(world: World) -> None:
    loader = world.artefacts / "loaders/ipxe.efi"
    sha256 = hashlib.sha256(loader.read_bytes()).hexdigest()
    manifest = world.artefacts / "loaders/manifest.json"
    assert world.tree.file("ipxe.efi") == (9, "")
    manifest.write_text(json.dumps({"files": {"ipxe.efi": {"sha256": sha256, "size": 9}}}))
    assert world.tree.file("ipxe.efi") == (9, sha256)
    # Another file than the manifest was written for.
    loader.write_bytes(b"MZ another one")
    assert world.tree.file("ipxe.efi") == (14, "")
    for broken in ("", "[]", '{"files": 1}', "{"):
        manifest.write_text(broken)
        assert world.tree.file("ipxe.efi") == (14, "")
    assert world.tree.file("no-such-file") == (None, "")
