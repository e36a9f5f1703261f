"""Settings of one engine run: flags over `BOOTCART_*` over the TOML file over defaults.

Everything else lives in the store and is managed through the API.
"""

from __future__ import annotations

import os
import tomllib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, fields, replace
from ipaddress import IPv4Address
from pathlib import Path
from typing import Any, cast

from app.errors import InvalidError

SYSTEM_DATA_DIR = Path("/var/lib/bootcart/data")
SYSTEM_SOCKET = Path("/run/bootcart/api.sock")
SYSTEM_ARTEFACTS = Path("/var/cache/bootcart")
SYSTEM_CONFIG = Path("/etc/bootcart/bootcart.toml")

# A Unix socket's path must fit sockaddr_un.sun_path with its NUL (unix(7)).
SOCKET_PATH_MAX = 107

PROBE_MAX = 3600
DHCP_CEILINGS = ("authoritative", "proxy", "off")
LOG_LEVELS = ("debug", "info", "warning", "error")
LOG_SUBSYSTEMS: dict[str, tuple[str, ...]] = {
    "dhcp": ("app.services.dhcp", "app.netboot"),
    "dhcp6": ("app.services.dhcp6", "app.netboot.dhcp6"),
    "tftp": ("app.services.tftp",),
    "http": ("app.services.boothttp", "app.services.bootfs"),
    "probe": ("app.services.probe", "app.services.gate"),
    "router": ("app.services.router",),
    "interfaces": ("app.services.interfaces",),
    "content": ("app.services.content",),
    "machines": ("app.services.machines",),
    "commands": ("app.services.commands",),
    "services": ("app.services.registry",),
    "store": ("app.store",),
    "api": ("app.api",),
    "engine": ("app.engine",),
}
"""The parts whose log has a level of its own, and the loggers of each."""
SERVICE_NAMES = ("dhcp", "proxydhcp", "dhcp6", "tftp", "http", "https", "probe", "router")


@dataclass(frozen=True, slots=True)
class Settings:
    """What an engine run is told; each field is a flag `--name`, a variable `BOOTCART_NAME` and a TOML key."""

    data_dir: Path = field(default=SYSTEM_DATA_DIR, metadata={"doc": "where state lives: database, keys, socket"})
    interface: tuple[str, ...] = field(default=(), metadata={"doc": "serve on these interfaces only; none given: all"})
    dhcp: str = field(
        default="authoritative", metadata={"doc": "the most this run may do: authoritative, proxy or off"}
    )
    take_over: bool = field(default=False, metadata={"doc": "serve authoritatively where another server answers"})
    dhcp6: bool = field(default=False, metadata={"doc": "serve DHCPv6 on the subnets of IPv6"})
    dhcp_port: int = field(default=67, metadata={"doc": "UDP port of DHCP"})
    dhcp6_port: int = field(default=547, metadata={"doc": "UDP port of DHCPv6"})
    pxe_port: int = field(default=4011, metadata={"doc": "UDP port of ProxyDHCP boot requests"})
    tftp_port: int = field(default=69, metadata={"doc": "UDP port of TFTP"})
    http_port: int = field(default=8090, metadata={"doc": "TCP port of boot HTTP"})
    https_port: int = field(default=0, metadata={"doc": "TCP port of boot HTTPS; 0: machines are not served by it"})
    api_socket: Path | None = field(default=None, metadata={"doc": "path of the API's Unix socket"})
    address: IPv4Address | None = field(default=None, metadata={"doc": "fixed address for the URLs machines are given"})
    file_root: tuple[Path, ...] = field(default=(), metadata={"doc": "a read-only tree laid under the virtual tree"})
    artefacts: Path = field(
        default=SYSTEM_ARTEFACTS, metadata={"doc": "where boot loaders and discovery images are kept"}
    )
    database_url: str = field(default="", metadata={"doc": "SQLAlchemy URL; none: SQLite in the data directory"})
    log_level: str = field(
        default="info", metadata={"doc": "debug, info, warning or error; also by part: info,dhcp=debug"}
    )
    disable: tuple[str, ...] = field(default=(), metadata={"doc": "services that do not start (repeatable)"})
    probe_seconds: int = field(
        default=45,
        metadata={"doc": "seconds between two looks for other DHCP servers where machines are served; 0: none"},
    )

    @property
    def socket(self) -> Path:
        """The API socket: the one given, else `api.sock` in the data directory (system directory: `/run/bootcart`)."""
        if self.api_socket is not None:
            return self.api_socket
        return SYSTEM_SOCKET if self.data_dir == SYSTEM_DATA_DIR else self.data_dir / "api.sock"


_LISTS = {"interface", "file_root", "disable"}
_PATHS = {"data_dir", "api_socket", "file_root", "artefacts"}
_MAY_BE_OFF = {"https_port"}
_LEVELS_LIKE = "for example info,dhcp=debug,tftp=warning"
_SWITCH = {"1": True, "true": True, "yes": True, "on": True, "0": False, "false": False, "no": False, "off": False}


def _one(name: str, raw: Any) -> Any:
    if name in ("take_over", "dhcp6"):
        chosen = _SWITCH.get(str(raw).lower())
        if chosen is None:
            raise InvalidError(f"{raw!r} is neither yes nor no", hint="give true or false", field=name)
        return chosen
    if name.endswith("_port"):
        # A truth is a number to Python, and a fraction can be made one; neither is meant.
        port = int(raw) if type(raw) is int or (isinstance(raw, str) and raw.isdecimal()) else -1
        if not (name not in _MAY_BE_OFF) <= port < 65536:
            raise InvalidError(f"{raw!r} is not a port", hint="give a number from 1 to 65535", field=name)
        return port
    if name == "probe_seconds":
        seconds = int(raw) if type(raw) is int or (isinstance(raw, str) and raw.isdecimal()) else -1
        if not 0 <= seconds <= PROBE_MAX:
            raise InvalidError(f"{raw!r} is no such time", hint=f"give 0 to {PROBE_MAX} seconds", field=name)
        return seconds
    if not isinstance(raw, (str, Path)):
        raise InvalidError(f"{raw!r} is not text", hint="write it in quotes", field=name)
    if name in _PATHS:
        if not str(raw).strip() or "\0" in str(raw):
            raise InvalidError(f"{str(raw)!r} is not a path", hint="give a directory or file", field=name)
        try:
            return Path(raw).expanduser().absolute()
        except RuntimeError:
            raise InvalidError(f"{str(raw)!r}: there is no such user", hint="write it without ~", field=name) from None
    if name == "address":
        try:
            return IPv4Address(str(raw))
        except ValueError:
            raise InvalidError(f"{raw!r} is not an IPv4 address", hint="for example 10.7.0.1", field=name) from None
    return str(raw)


def _value(name: str, raw: Any) -> Any:
    if name in _LISTS:
        if isinstance(raw, str):
            return tuple(_one(name, item.strip()) for item in raw.split(",") if item.strip())
        if not isinstance(raw, (list, tuple)):
            raise InvalidError(f"{raw!r} is not a list", hint='write it like ["eth1", "eth2"]', field=name)
        return tuple(_one(name, item) for item in cast("Sequence[Any]", raw))
    return _one(name, raw)


def log_levels(text: str) -> tuple[str, dict[str, str]]:
    """The default level and the level of each part that `text` names, for example `info,dhcp=debug,tftp=warning`.

    Raises InvalidError that says which word is wrong.
    """
    default, named = "", dict[str, str]()
    for word in (part.strip() for part in text.lower().split(",")):
        name, equals, level = (piece.strip() for piece in word.partition("="))
        if not equals:
            name, level = "", name
        elif not name:
            raise InvalidError(f"{word!r} gives no part", hint=_LEVELS_LIKE, field="log_level")
        if level not in LOG_LEVELS:
            raise InvalidError(
                f"{level!r} is not a level", hint=f"one of {', '.join(LOG_LEVELS)}; {_LEVELS_LIKE}", field="log_level"
            )
        if name and name not in LOG_SUBSYSTEMS:
            raise InvalidError(
                f"{name!r} has no level of its own", hint="one of " + ", ".join(LOG_SUBSYSTEMS), field="log_level"
            )
        if named.get(name, level) != level or (not name and default not in ("", level)):
            raise InvalidError(f"{text!r} gives two levels for one thing", hint=_LEVELS_LIKE, field="log_level")
        if name:
            named[name] = level
        else:
            default = level
    return default or "info", named


def _check(settings: Settings) -> Settings:
    if settings.dhcp not in DHCP_CEILINGS:
        raise InvalidError(f"{settings.dhcp!r} is not known", hint="one of " + ", ".join(DHCP_CEILINGS), field="dhcp")
    log_levels(settings.log_level)
    for name in settings.disable:
        if name not in SERVICE_NAMES:
            raise InvalidError(f"no service {name!r}", hint="one of " + ", ".join(SERVICE_NAMES), field="disable")
    if len(os.fsencode(settings.socket)) > SOCKET_PATH_MAX:
        raise InvalidError(
            f"the socket path {settings.socket} is longer than {SOCKET_PATH_MAX} bytes",
            hint="give a shorter --data-dir or --api-socket",
            field="api_socket",
        )
    return settings


def load(
    flags: Mapping[str, Any] | None = None,
    environment: Mapping[str, str] | None = None,
    config_file: Path | None = None,
) -> Settings:
    """Merge the four sources into `Settings`.

    `flags` holds the flags that were given (underscored names, None = not given). `config_file` defaults to
    `BOOTCART_CONFIG`, else `/etc/bootcart/bootcart.toml` where it exists. Raises InvalidError naming the field.
    """
    environment = os.environ if environment is None else environment
    names = {f.name for f in fields(Settings)}
    chosen: dict[str, Any] = {}
    path = config_file or (
        Path(environment["BOOTCART_CONFIG"]) if environment.get("BOOTCART_CONFIG") else SYSTEM_CONFIG
    )
    if path != SYSTEM_CONFIG or path.is_file():
        chosen.update(_from_toml(path, names))
    for name in names:
        raw = environment.get(f"BOOTCART_{name.upper()}")
        if raw:
            chosen[name] = _value(name, raw)
    for name, raw in (flags or {}).items():
        if raw is not None and raw != () and raw != []:
            chosen[name] = _value(name, raw)
    return _check(replace(Settings(), **chosen))


def _from_toml(path: Path, names: set[str]) -> dict[str, Any]:
    try:
        table = tomllib.loads(path.read_text())
    except OSError as error:
        raise InvalidError(f"cannot read {path}: {error.strerror}", hint="check the path and its mode") from error
    except tomllib.TOMLDecodeError as error:
        raise InvalidError(f"{path}: {error}", hint="mend the file") from error
    except UnicodeDecodeError as error:
        raise InvalidError(
            f"{path} is not UTF-8: {error.reason} at byte {error.start}", hint="mend the file"
        ) from error
    chosen: dict[str, Any] = {}
    for key, raw in table.items():
        name = key.replace("-", "_")
        if name not in names:
            raise InvalidError(f"{path}: unknown setting {key!r}", hint="see docs/reference/settings.md", field=key)
        chosen[name] = _value(name, raw)
    return chosen
