"""Preferences: a closed list, each with its own rule."""

from __future__ import annotations

import difflib
import re
from urllib.parse import urlsplit

from app.config import log_levels
from app.errors import InvalidError, NotFoundError
from app.model.engine import PREFERENCES, Preference
from app.model.options import read_options, write_options
from app.model.serving import SERVE_UNTIL, until
from app.netboot import optionset, sshkeys
from app.netboot.bootpath import BadPathError, normalise
from app.services.commands.rules import bootenvs
from app.store.directory import Directory

TIMEOUT_MIN, TIMEOUT_MAX = 30, 86_400
LOADER_MAX = 127

# They become lines of answer files: what could end a line, or a value, is no part of any of them.
_INSTALL_FORMS = {
    "install-locale": (r"(C|[a-z]{2,3}(_[A-Z]{2})?)(\.UTF-8)?(@[a-z]+)?", "for example en_US.UTF-8"),
    "install-keyboard": (r"[a-z][a-z0-9_-]{1,30}", "for example us, de or gb"),
    "install-time-zone": (r"[A-Za-z][A-Za-z0-9_+-]*(/[A-Za-z0-9_+-]+){0,2}", "for example Etc/UTC or Europe/Berlin"),
}


def find(name: str) -> Preference:
    """The preference of this name. Raises NotFoundError with a suggestion."""
    for preference in PREFERENCES:
        if preference.name == name:
            return preference
    names = [each.name for each in PREFERENCES]
    close = difflib.get_close_matches(name, names, n=1)
    hint = f"did you mean {close[0]}?" if close else "they are " + ", ".join(names)
    raise NotFoundError(f"no preference {name!r}", hint=hint)


def check(preference: Preference, value: str, directory: Directory, now: float) -> str:
    """The value to store. Raises InvalidError."""
    value = value.strip()
    name = preference.name
    if preference.choices and value not in preference.choices:
        raise InvalidError(f"{name} cannot be {value!r}", hint="one of " + ", ".join(preference.choices), field="value")
    if name.endswith("-timeout"):
        if not (value.isascii() and value.isdigit()) or not TIMEOUT_MIN <= int(value) <= TIMEOUT_MAX:
            raise InvalidError(
                f"{name} cannot be {value!r}", hint=f"seconds, from {TIMEOUT_MIN} to {TIMEOUT_MAX}", field="value"
            )
        return str(int(value))
    if name.endswith("-bootenv"):
        _check_bootenv(name, value, directory)
    elif name in _INSTALL_FORMS:
        form, hint = _INSTALL_FORMS[name]
        if not re.fullmatch(form, value):
            raise InvalidError(f"{name} cannot be {value!r}", hint=hint, field="value")
    elif name.endswith("-ssh-keys"):
        try:
            return ", ".join(sshkeys.read(value))
        except ValueError as error:
            raise InvalidError(str(error), hint="the lines of .pub files, parted by commas", field="value") from error
    elif name == "log-level":
        try:
            log_levels(value or "info")
        except InvalidError as error:
            raise InvalidError(error.message, hint=error.hint, field="value") from None
    elif name == optionset.FOR_ALL:
        try:
            return write_options(optionset.checked(read_options(value), "value"))
        except ValueError as error:
            hint = "parted by semicolons, for example ntp-servers=10.7.0.1; interface-mtu=9000"
            raise InvalidError(str(error), hint=hint, field="value") from error
    elif name.startswith("loader-"):
        return _loader(value)
    elif name == SERVE_UNTIL:
        try:
            return until(value, now)
        except ValueError as error:
            hint = "for example 90m, 2h, 1d, or never"
            raise InvalidError(f"{name} cannot be {value!r}", hint=hint, field="value") from error
    elif name == "debian-mirror":
        _check_url(value)
        return value.rstrip("/")
    return value


def _loader(value: str) -> str:
    """A boot file's path, as DHCP can name it: 127 octets of ASCII (RFC 2131 section 2)."""
    try:
        path = normalise(value)
        if len(path.encode("ascii")) > LOADER_MAX or " " in path:
            raise BadPathError(f"it has a space, or is longer than {LOADER_MAX} characters")
    except (BadPathError, UnicodeEncodeError) as error:
        hint = "the path of a file in a tree of --file-root, for example ipxe-ia32.efi"
        raise InvalidError(f"{value!r} cannot be a boot file: {error}", hint=hint, field="value") from error
    return path


def _check_bootenv(name: str, value: str, directory: Directory) -> None:
    bootenv = bootenvs.known(value, directory, "value")
    if name == "default-bootenv" and bootenv.unknown_only:
        raise InvalidError(
            f"{value} is for machines nobody has named", hint="choose one that may be assigned", field="value"
        )
    if bootenv.destructive:
        raise InvalidError(
            f"{value} wipes disks: every machine that is switched on here would be wiped",
            hint=f"assign it to the machines it is for: bootcart machines assign NAME {value}",
            field="value",
        )


def _check_url(value: str) -> None:
    try:
        parts = urlsplit(value)
        good = parts.scheme in ("http", "https") and bool(parts.hostname) and not parts.query and not parts.fragment
    except ValueError:
        good = False
    if not good or not value.isprintable() or " " in value:
        raise InvalidError(
            f"{value!r} is not the address of a mirror", hint="for example http://ftp.debian.org/debian", field="value"
        )
