"""Paths: many ways to write a name, none to climb."""

from __future__ import annotations

import posixpath

import pytest
from hypothesis import given
from hypothesis import strategies as st

from app.model.bootenv import BootEnv, BootFiles
from app.netboot.bootpath import BadPathError, Role, hopeful, normalise, role_of, script_mac, script_path, secret_path

GOOD = [
    ("ipxe.efi", "ipxe.efi"),
    ("/ipxe.efi", "ipxe.efi"),
    ("//grubx64.efi", "grubx64.efi"),
    ("boot\\x64\\wds.bin", "boot/x64/wds.bin"),
    ("\\boot\\\\x64\\wds.bin", "boot/x64/wds.bin"),
    ("./a/./b/", "a/b"),
    ("", ""),
    ("/", ""),
    ("a..b/...", "a..b/..."),
    ("größe", "größe"),
    ("a b%20c", "a b%20c"),
]


@pytest.mark.parametrize(("raw", "path"), GOOD)
def test_ways_to_write_a_name(raw: str, path: str) -> None:
    assert normalise(raw) == path
    assert normalise(raw.encode()) == path


@pytest.mark.parametrize(
    ("raw", "path"),
    [
        ("/a%20b", "a b"),
        ("/%2566", "%66"),
        ("/a%2fb", "a/b"),
        ("/%", "%"),
        ("/%zz", "%zz"),
        ("/%252e%252e/x", "%2e%2e/x"),
    ],
)
def test_http_paths_are_decoded_once(raw: str, path: str) -> None:
    assert normalise(raw, percent=True) == path


@pytest.mark.parametrize(
    ("raw", "percent"),
    [
        ("../etc/passwd", False), ("a/../b", False), ("a\\..\\b", False), ("..", False), ("/..", False),
        ("%2e%2e/x", True), ("..%2fx", True), ("a%5c..%5cb", True), ("%2e%2e%5cx", True),
        (b"\xc0\xae\xc0\xae/x", False), ("%c0%ae%c0%ae/x", True), ("%ff", True), (b"\xff", False),
        ("a\0b", False), ("a%00b", True), ("a\r\nb", False), ("a%0d%0ab", True), ("\x1b[2J", False), ("a\x7f", False),
        ("a\x9b31mb", False), ("a\u202eb", False), ("a%e2%80%aeb", True), ("a\u200bb", False), ("a\u2028b", False),
        ("C:\\x", False), ("c:/x", False), ("x" * 2000, False), ("a/" + "x" * 300, False), ("\udc80", False),
    ],
    ids=repr,
)  # fmt: skip
def test_what_climbs_or_lies_is_refused(raw: bytes | str, percent: bool) -> None:
    with pytest.raises(BadPathError):
        normalise(raw, percent=percent)


@given(st.one_of(st.binary(max_size=80), st.text(alphabet="./\\%2eEfF5cC:a\0", max_size=40)), st.booleans())
def test_the_result_always_stays_inside_the_root(raw: bytes | str, percent: bool) -> None:
    try:
        path = normalise(raw, percent=percent)
    except BadPathError:
        return
    joined = posixpath.normpath(posixpath.join("/root", path))
    assert joined == "/root" or joined.startswith("/root/")
    assert normalise(path) == path


def test_script_paths() -> None:
    assert script_path("52:54:00:00:00:07") == "boot/52-54-00-00-00-07.ipxe"
    assert script_mac("boot/52-54-00-00-00-07.ipxe") == "52:54:00:00:00:07"
    assert script_mac("boot/52:54:00:00:00:0A.ipxe") == "52:54:00:00:00:0a"
    for other in ("boot/x.ipxe", "boot/52-54-00-00-00.ipxe", "boot/ff-ff-ff-ff-ff-ff.ipxe", "52-54-00-00-00-07.ipxe"):
        assert script_mac(other) is None


@pytest.mark.parametrize(
    ("path", "parts"),
    [
        ("answers/T/preseed.cfg", ("answers", "T", "preseed.cfg")),
        ("reports/T/started", ("reports", "T", "started")),
        ("answers/T", ("answers", "T", "")),
        ("answers/T/d-i/bookworm/preseed.cfg", ("answers", "T", "d-i/bookworm/preseed.cfg")),
        ("answers", None),
        ("boot/T/preseed.cfg", None),
    ],
)
def test_whatever_lies_below_a_token_is_told_apart_from_it(path: str, parts: tuple[str, str, str] | None) -> None:
    assert secret_path(path) == parts


def test_roles() -> None:
    listed = BootEnv(name="x", architectures={"amd64": BootFiles(kernel="odd/image", initrds=("odd/one", "odd/two"))})
    table = {
        "odd/image": Role.KERNEL,
        "odd/two": Role.INITRD,
        "discovery/amd64/vmlinuz": Role.KERNEL,
        "a/initrd.img": Role.INITRD,
        "undionly.kpxe": Role.LOADER,
        "ipxe.efi": Role.LOADER,
        "x/pxelinux.0": Role.LOADER,
        "x.ipxe": Role.SCRIPT,
        "x.txt": Role.FILE,
    }
    assert {path: role_of(path, [listed]) for path in table} == table


def test_misses_that_are_no_news() -> None:
    assert all(
        hopeful(path) for path in ("autoexec.ipxe", "revocations_sku.efi", "x/pxelinux.cfg/C0A8", "a/autoexec.ipxe")
    )
    assert not any(hopeful(path) for path in ("ipxe.efi", "autoexec.ipxe.bak", "discovery/amd64/vmlinuz"))
