"""The token key: made once and whole, refused in words when somebody else could have read it."""

from __future__ import annotations

import os
import stat
import threading
from collections.abc import Callable
from pathlib import Path

import pytest

from app.errors import BootcartError
from app.store.secrets import KEY_BYTES, token_key


@pytest.fixture
def home(data_dir: Path) -> Path:
    data_dir.mkdir(mode=0o700)
    return data_dir


def test_it_is_made_once_and_private(home: Path) -> None:
    key = token_key(home)

    assert len(key) == KEY_BYTES
    assert token_key(home) == key
    assert stat.S_IMODE((home / "secrets").stat().st_mode) == 0o700
    assert stat.S_IMODE((home / "secrets" / "token.key").stat().st_mode) == 0o600
    assert [each.name for each in (home / "secrets").iterdir()] == ["token.key"]


def test_another_appliance_has_another(home: Path, tmp_path: Path) -> None:
    other = tmp_path / "other"
    other.mkdir()

    assert token_key(home) != token_key(other)


def test_a_wide_umask_does_not_open_it(home: Path) -> None:
    before = os.umask(0)
    try:
        token_key(home)
    finally:
        os.umask(before)

    assert stat.S_IMODE((home / "secrets" / "token.key").stat().st_mode) == 0o600
    assert stat.S_IMODE((home / "secrets").stat().st_mode) == 0o700


def test_what_a_kill_left_half_made_is_in_nobodys_way(home: Path) -> None:
    (home / "secrets").mkdir(mode=0o700)
    (home / "secrets" / "token.key.0123.new").write_bytes(b"half")

    assert len(token_key(home)) == KEY_BYTES


def _mode(path: Path) -> None:
    path.chmod(0o640)


def _folder_mode(path: Path) -> None:
    path.parent.chmod(0o755)


def _empty(path: Path) -> None:
    path.write_bytes(b"")


def _short(path: Path) -> None:
    path.write_bytes(b"x" * 31)


def _link(path: Path) -> None:
    path.rename(path.with_name("elsewhere"))
    path.symlink_to("elsewhere")


def _directory(path: Path) -> None:
    path.unlink()
    path.mkdir(mode=0o700)


@pytest.mark.parametrize(
    ("spoil", "words"),
    [
        (_mode, "mode 640"),
        (_folder_mode, "mode 755"),
        (_empty, "is empty"),
        (_short, "31 bytes instead of 32"),
        (_link, "symbolic link"),
        (_directory, "cannot be read"),
    ],
)
def test_a_key_that_cannot_be_trusted_is_refused(home: Path, spoil: Callable[[Path], None], words: str) -> None:
    token_key(home)
    spoil(home / "secrets" / "token.key")

    with pytest.raises(BootcartError, match=words) as caught:
        token_key(home)
    assert caught.value.hint


@pytest.mark.root
def test_a_key_of_another_user_is_refused(home: Path) -> None:
    token_key(home)
    os.chown(home / "secrets" / "token.key", 65534, 65534)

    with pytest.raises(BootcartError, match="another user"):
        token_key(home)


def test_two_that_make_it_at_once_have_the_same(home: Path) -> None:
    keys: list[bytes] = []
    threads = [threading.Thread(target=lambda: keys.append(token_key(home))) for _ in range(2)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()

    assert len(set(keys)) == 1
