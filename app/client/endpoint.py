"""Which engine to speak to: the flag, the environment, the system's socket, the user's."""

from __future__ import annotations

import os
from collections.abc import Mapping
from pathlib import Path

from app.config import SOCKET_PATH_MAX, SYSTEM_CONFIG, SYSTEM_SOCKET, Settings, load
from app.errors import InvalidError

SCHEME = "unix:"


def user_socket(environment: Mapping[str, str]) -> Path:
    """Where an engine of the calling user listens by default."""
    runtime = environment.get("XDG_RUNTIME_DIR") or f"/run/user/{os.getuid()}"
    return Path(runtime) / "bootcart" / "api.sock"


def socket_path(endpoint: str) -> Path:
    """The path in `unix:/path`; a bare absolute path is one too. Raises InvalidError for anything else."""
    text = endpoint.removeprefix(SCHEME)
    if not text.startswith("/") or "\0" in text:
        raise InvalidError(
            f"{endpoint!r} is not an endpoint", hint="write it like unix:/run/bootcart/api.sock", field="endpoint"
        )
    if len(os.fsencode(text)) > SOCKET_PATH_MAX:
        raise InvalidError(
            f"the socket path {text} is longer than {SOCKET_PATH_MAX} bytes",
            hint="reach it by a shorter path, a symbolic link for example",
            field="endpoint",
        )
    return Path(text)


def choose(endpoint: str = "", data_dir: str = "", environment: Mapping[str, str] | None = None) -> str:
    """The endpoint to use, as `unix:/path`.

    In this order: the flag `--endpoint`, the flag `--data-dir`, `BOOTCART_ENDPOINT`, `BOOTCART_API_SOCKET`,
    `BOOTCART_DATA_DIR`, the system's socket where it exists, the user's where it exists, the system's.
    Raises InvalidError for an endpoint that cannot be one.
    """
    environment = os.environ if environment is None else environment
    if endpoint:
        return _named(endpoint)
    if data_dir:
        return _of_directory(data_dir)
    if told := environment.get("BOOTCART_ENDPOINT"):
        return _named(told)
    if told := environment.get("BOOTCART_API_SOCKET"):
        return _named(str(Path(told).expanduser().absolute()))
    if told := environment.get("BOOTCART_DATA_DIR"):
        return _of_directory(told)
    system = _system_socket()
    for path in (system, user_socket(environment)):
        if os.path.exists(path):
            return _named(str(path))
    return _named(str(system))


def _named(endpoint: str) -> str:
    return f"{SCHEME}{socket_path(endpoint)}"


def _of_directory(data_dir: str) -> str:
    return _named(str(Settings(data_dir=Path(data_dir).expanduser().absolute()).socket))


def _system_socket() -> Path:
    """The system engine's socket, as the settings file says where this user may read it."""
    if os.access(SYSTEM_CONFIG, os.R_OK):
        return load({}, {}).socket
    return SYSTEM_SOCKET
