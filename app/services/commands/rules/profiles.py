"""Profiles: their names are theirs alone, machines name only those there are, none is taken from a machine."""

from __future__ import annotations

import difflib
from collections.abc import Sequence

from app.errors import ConflictError, InvalidError
from app.model.profile import Profile
from app.store.directory import Directory

LISTED = 5


def check(profile: Profile, before: Profile | None, directory: Directory) -> None:
    """`profile` may be stored in place of `before`. Raises ConflictError."""
    for other in directory.profiles():
        if other != before and other.name.casefold() == profile.name.casefold():
            raise ConflictError(f"there is already a profile {other.name}", hint="choose another name", field="name")


def check_delete(profile: Profile, directory: Directory) -> None:
    """`profile` may be deleted. Raises ConflictError naming the machines that have it."""
    users = sorted(each.name for each in directory.machines() if profile.name in each.profiles)
    if users:
        more = f" and {len(users) - LISTED} more" if len(users) > LISTED else ""
        raise ConflictError(
            f"profile {profile.name} is in use by {', '.join(users[:LISTED])}{more}",
            hint="take it from those machines first",
        )


def check_named(names: Sequence[str], directory: Directory) -> None:
    """A machine may have these profiles. Raises InvalidError."""
    for number, name in enumerate(names):
        if name in names[:number]:
            raise InvalidError(f"{name} is given twice", hint="name each profile once", field="profiles")
        if directory.profile(name) is None:
            known = [each.name for each in directory.profiles()]
            close = difflib.get_close_matches(name, known, n=1)
            listed = "known are " + ", ".join(known) if known else f"make it: bootcart profiles create {name}"
            hint = f"did you mean {close[0]}? {listed}" if close else listed
            raise InvalidError(f"there is no profile {name!r}", hint=hint, field="profiles")
