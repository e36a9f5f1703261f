"""Files of boot environments out of Debian packages: whole or not at all, listed, brought once."""

from __future__ import annotations

import json
import subprocess
import sys
import textwrap
from pathlib import Path

import pytest

from app import fetch
from app.errors import BootcartError, UnavailableError
from app.model.bootenv import BootEnv, BootFiles, PackageFiles
from app.services.content import packages

FILES = {"linux": "usr/lib/rescue/linux", "initrd.gz": "usr/lib/rescue/initrd.gz"}
BOTH = PackageFiles(package="rescue-boot", suite="trixie", files=FILES)
FOLDER = "bootenvs/rescue/amd64"
RESCUE = BootEnv(
    name="rescue",
    architectures={"amd64": BootFiles(kernel=f"{FOLDER}/linux", packages=(BOTH,)), "arm64": BootFiles(kernel="x")},
)
(ONE,) = packages.wanted(RESCUE)


class Mirror:
    """A stand-in for `packaging/debs`, whose package this test makes; `calls` are the arguments it got."""

    def __init__(self, folder: Path) -> None:
        self.tree = folder / "tree"
        self.program = folder / "debs"
        (self.tree / "DEBIAN").mkdir(parents=True)
        (self.tree / "usr/lib/rescue").mkdir(parents=True)
        self.put("linux", b"kernel" * 1000)
        self.put("initrd.gz", b"initrd" * 1000)
        (self.tree / "usr/lib/rescue/link").symlink_to("linux")
        self.version("1.0-1")
        self.calls = folder / "calls"
        self.program.write_text(
            textwrap.dedent(f"""\
            import hashlib, pathlib, subprocess, sys
            with open({str(self.calls)!r}, "a") as calls:
                calls.write(" ".join(sys.argv[1:]) + chr(10))
            if pathlib.Path({str(folder / "down")!r}).exists():
                sys.exit(1)
            dest = pathlib.Path(sys.argv[sys.argv.index("--dest") + 1]) / "rescue-boot.deb"
            subprocess.run(["dpkg-deb", "-b", "-Znone", {str(self.tree)!r}, str(dest)], check=True, capture_output=True)
            version = subprocess.check_output(["dpkg-deb", "-f", str(dest), "Version"], text=True).strip()
            if pathlib.Path({str(folder / "damaged")!r}).exists():
                dest.write_bytes(b"half a package")
            print("rescue-boot", version, "all", hashlib.sha256(dest.read_bytes()).hexdigest(), dest, sep=chr(9))
            """)
        )
        self.down = folder / "down"
        self.damaged = folder / "damaged"

    def put(self, name: str, content: bytes) -> None:
        (self.tree / "usr/lib/rescue" / name).write_bytes(content)

    def version(self, version: str) -> None:
        control = f"Package: rescue-boot\nVersion: {version}\nArchitecture: all\nMaintainer: a <a@b>\nDescription: x\n"
        (self.tree / "DEBIAN/control").write_text(control)

    def asked(self) -> list[str]:
        return self.calls.read_text().splitlines() if self.calls.exists() else []


@pytest.fixture
def mirror(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Mirror:
    made = Mirror(tmp_path)
    monkeypatch.setattr(packages, "downloader", lambda: made.program)
    return made


@pytest.fixture
def artefacts(tmp_path: Path) -> Path:
    return tmp_path / "artefacts"


def test_files_and_their_manifest(mirror: Mirror, artefacts: Path) -> None:
    said: list[str] = []
    assert not packages.complete(artefacts, ONE)
    packages.fetch(artefacts, ONE, said.append)

    folder = artefacts / FOLDER
    assert sorted(each.name for each in folder.iterdir()) == ["initrd.gz", "linux", "manifest.json"]
    assert (folder / "linux").read_bytes() == b"kernel" * 1000
    assert {each.stat().st_mode & 0o777 for each in folder.iterdir()} == {0o644}
    told = json.loads((folder / "manifest.json").read_text())
    assert (told["bootenv"], told["architecture"]) == ("rescue", "amd64")
    facts = told["files"]["linux"]
    assert (facts["package"], facts["version"], facts["suite"]) == ("rescue-boot", "1.0-1", "trixie")
    assert (facts["source"], facts["size"], len(facts["sha256"])) == (FILES["linux"], 6000, 64)
    assert packages.complete(artefacts, ONE)
    assert said == ["rescue-boot 1.0-1: linux, initrd.gz"]
    (asked,) = mirror.asked()
    assert asked.startswith("--suite trixie --arch amd64 --dest ")
    assert asked.endswith(f"--state {artefacts}/apt rescue-boot")
    # Only what is wanted stays: the package was larger than its two files.
    assert [each.name for each in (artefacts / "bootenvs/rescue").iterdir()] == ["amd64"]


def test_what_is_damaged_or_was_meant_otherwise_is_not_complete(mirror: Mirror, artefacts: Path) -> None:
    packages.fetch(artefacts, ONE, print)
    other = packages.Wanted("rescue", "amd64", (BOTH.model_copy(update={"suite": "bookworm"}),))
    assert not packages.complete(artefacts, other)
    (artefacts / FOLDER / "linux").write_bytes(b"half")
    assert not packages.complete(artefacts, ONE)


def test_a_failed_download_leaves_what_is_there(mirror: Mirror, artefacts: Path) -> None:
    packages.fetch(artefacts, ONE, print)
    mirror.down.touch()
    with pytest.raises(UnavailableError, match="rescue-boot could not be fetched"):
        packages.fetch(artefacts, ONE, print)
    assert packages.complete(artefacts, ONE)


def test_a_package_that_does_not_unpack_is_told_in_words(mirror: Mirror, artefacts: Path) -> None:
    mirror.damaged.touch()
    with pytest.raises(BootcartError, match=r"rescue-boot .* does not unpack"):
        packages.fetch(artefacts, ONE, print)
    assert list((artefacts / FOLDER).iterdir()) == []


@pytest.mark.parametrize("path", ["usr/lib/rescue/gone", "usr/lib/rescue/link"])
def test_a_package_without_the_file_is_refused(mirror: Mirror, artefacts: Path, path: str) -> None:
    wrong = BOTH.model_copy(update={"files": {**FILES, "more": path}})
    with pytest.raises(BootcartError, match=f"does not contain {path}"):
        packages.fetch(artefacts, packages.Wanted("rescue", "amd64", (wrong,)), print)
    assert [each.name for each in (artefacts / "bootenvs/rescue").iterdir()] == ["amd64"]
    assert list((artefacts / FOLDER).iterdir()) == []


@pytest.fixture
def layer(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The command's boot environments: one that takes files from a package, one that does not."""
    made = tmp_path / "bootenvs"
    for name, body in (("rescue", RESCUE.model_dump_json(exclude={"errors"})), ("local", "{name: local, kind: local}")):
        (made / name).mkdir(parents=True)
        (made / name / "bootenv.yaml").write_text(body)
    monkeypatch.setattr(fetch, "shipped", lambda: made)
    return made


def test_the_command_brings_once_and_lists(
    mirror: Mirror, artefacts: Path, layer: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    to = ["--to", str(artefacts)]
    assert fetch.main(to) == 0
    assert capsys.readouterr().out == "rescue           amd64    not there  rescue-boot\n"
    assert fetch.main(["rescue", *to]) == 0
    assert "rescue-boot 1.0-1: linux, initrd.gz" in capsys.readouterr().err
    assert fetch.main(to) == 0
    assert capsys.readouterr().out == "rescue           amd64    complete   rescue-boot\n"
    assert fetch.main(["rescue", *to]) == 0
    assert "is complete in" in capsys.readouterr().err
    assert len(mirror.asked()) == 1
    mirror.version("2.0-1")
    assert fetch.main(["rescue", "--refresh", "--mirror", "http://m/debian", *to]) == 0
    assert "2.0-1" in capsys.readouterr().err
    assert "--mirror http://m/debian" in mirror.asked()[1]


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (["rescu"], "no boot environment 'rescu' takes files from packages (did you mean rescue?)"),
        (["local"], "no boot environment 'local' takes files from packages (there are: rescue)"),
        (["rescue", "--arch", "riscv64"], "rescue has nothing for these architectures (it has amd64, arm64)"),
    ],
)
def test_the_command_says_what_is_wrong(
    layer: Path, artefacts: Path, words: list[str], said: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert fetch.main([*words, "--to", str(artefacts)]) == 2
    assert said in capsys.readouterr().err


def test_the_program_has_the_command() -> None:
    done = subprocess.run(
        [sys.executable, "-m", "app", "fetch", "--help"], capture_output=True, text=True, check=True, cwd="/",
        env={"PYTHONPATH": str(packages.downloader().parents[1]), "PATH": "/usr/bin:/bin"},
    )  # fmt: skip
    assert "bring" in done.stdout
