"""Which engine a command speaks to."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from app.client import endpoint
from app.client.endpoint import choose, socket_path
from app.errors import InvalidError

ALL = {"BOOTCART_ENDPOINT": "unix:/e/s", "BOOTCART_API_SOCKET": "/a/s", "BOOTCART_DATA_DIR": "/d"}


@pytest.fixture(autouse=True)
def places(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Path:
    """A host without any engine."""
    monkeypatch.setattr(endpoint, "SYSTEM_SOCKET", tmp_path / "system")
    monkeypatch.setattr(endpoint, "SYSTEM_CONFIG", tmp_path / "none.toml")
    return tmp_path


@pytest.mark.parametrize(
    ("flag", "data_dir", "environment", "wanted"),
    [
        ("unix:/f/s", "/x", ALL, "unix:/f/s"),
        ("/f/s", "", ALL, "unix:/f/s"),
        ("", "/x", ALL, "unix:/x/api.sock"),
        ("", "", ALL, "unix:/e/s"),
        ("", "", {k: v for k, v in ALL.items() if k != "BOOTCART_ENDPOINT"}, "unix:/a/s"),
        ("", "", {"BOOTCART_DATA_DIR": "/d"}, "unix:/d/api.sock"),
        ("", "/var/lib/bootcart/data", {}, "unix:/run/bootcart/api.sock"),
    ],
)
def test_the_order(flag: str, data_dir: str, environment: dict[str, str], wanted: str) -> None:
    assert choose(flag, data_dir, environment) == wanted


def test_the_systems_socket_comes_before_the_users(places: Path) -> None:
    environment = {"XDG_RUNTIME_DIR": str(places)}
    assert choose(environment=environment) == f"unix:{places / 'system'}"

    (places / "bootcart").mkdir()
    (places / "bootcart" / "api.sock").touch()
    assert choose(environment=environment) == f"unix:{places / 'bootcart' / 'api.sock'}"

    (places / "system").touch()
    assert choose(environment=environment) == f"unix:{places / 'system'}"


def test_a_relative_data_directory_is_taken_from_here(monkeypatch: pytest.MonkeyPatch, places: Path) -> None:
    monkeypatch.chdir(places)
    assert choose(data_dir="d", environment={}) == f"unix:{places}/d/api.sock"


def test_without_a_runtime_directory_the_users_is_guessed() -> None:
    assert endpoint.user_socket({}) == Path(f"/run/user/{os.getuid()}/bootcart/api.sock")


@pytest.mark.parametrize("text", ["", "unix:", "unix:relative", "http://host", "ssh:x", "/a\0b", "/" + "x" * 107])
def test_what_is_no_endpoint_is_refused(text: str) -> None:
    with pytest.raises(InvalidError) as caught:
        socket_path(text)

    assert caught.value.field == "endpoint"
    assert caught.value.hint
