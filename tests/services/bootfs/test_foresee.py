"""What a machine's script would be: the served one but for its token, and nothing comes of looking."""

from __future__ import annotations

import hashlib
import json

from app.model.bootenv import BootEnv, BootTemplate
from tests.services.bootfs.world import HERE, LOCAL, MAC, WEB1, World


def test_it_is_what_is_served_with_the_token_masked(world: World) -> None:
    found, answers = world.tree.foresee(MAC, str(HERE), LOCAL)
    served = world.script()
    token = served.partition("t=")[2].split()[0]
    assert found.text == served.replace(token, "********")
    assert found.error is None
    assert answers == ()


def test_a_failing_template_is_told_and_the_same_script_is_seen_but_no_event_is_emitted(world: World) -> None:
    world.content.template("rescue", "#!ipxe\n{{ machine.name }}\n{{ nothing_here }}\n")
    found, _ = world.tree.foresee(MAC, str(HERE), LOCAL)
    assert world.events == []
    assert found.error is not None
    assert (found.error.template, found.error.line, found.error.why) == ("boot", 3, "'nothing_here' is undefined")
    assert found.text == world.script()
    assert [event.kind for event in world.events] == ["render.failed"]


def test_what_is_to_be_left_alone_is_given_nothing(world: World) -> None:
    world.view.prefs["unknown-bootenv"] = "ignore"
    found, _ = world.tree.foresee(MAC, str(HERE), LOCAL)
    assert (found.text, found.left_alone) == ("", True)


INSTALLER = BootEnv(
    name="installer",
    installs=True,
    templates=(
        BootTemplate(name="boot", path="boot.ipxe", source="boot.ipxe.j2"),
        BootTemplate(name="preseed", path="preseed.cfg", source="preseed.cfg.j2"),
    ),
)


def test_answer_files_a_script_leads_to_are_rendered_too(world: World) -> None:
    boot = "#!ipxe\nkernel linux url={{ answer_url('preseed.cfg') }}\n"
    world.content.found["installer"] = (INSTALLER, {"boot": boot, "preseed": "d-i\n{{ report_url('done') }}\n"})
    world.view.machines[MAC] = WEB1.model_copy(update={"bootenv": "installer"})
    found, answers = world.tree.foresee(MAC, str(HERE), LOCAL)
    assert "/answers/********/preseed.cfg" in found.text
    assert [(each.path, each.error) for each in answers] == [("answers/preseed.cfg", None)]
    assert answers[0].size == len("d-i\nhttp://10.7.0.1:8090/reports/********/done\n")

    world.content.found["installer"] = (INSTALLER, {"boot": boot, "preseed": "d-i\n{{ nothing_here }}\n"})
    _, answers = world.tree.foresee(MAC, str(HERE), LOCAL)
    error = answers[0].error
    assert error is not None
    assert (error.template, error.line, answers[0].size) == ("preseed", 2, None)
    assert world.events == []

    # A machine nobody has registered is given none.
    world.content.found["installer"] = (INSTALLER, {"boot": boot, "preseed": "d-i\n"})
    world.view.machines[MAC] = WEB1.model_copy(update={"bootenv": "installer", "registered": False})
    assert [each.size for each in world.tree.foresee(MAC, str(HERE), LOCAL)[1]] == [None]


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
