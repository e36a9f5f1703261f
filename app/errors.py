"""Every error an operator can meet: what failed, why, and what to do about it."""

from __future__ import annotations

from typing import ClassVar


class BootcartError(Exception):
    """The root of the hierarchy; its text is one line an operator can act on.

    `message` says what failed and why, `hint` what to do, `field` which input was at fault (a JSON path such as
    `ranges.0.end`). `status` is the HTTP status the API answers with, `exit_code` what the command line exits with.
    """

    status: ClassVar[int] = 500
    exit_code: ClassVar[int] = 1
    code: ClassVar[str] = "failed"

    def __init__(self, message: str, *, hint: str = "", field: str = "") -> None:
        super().__init__(message)
        self.message = message
        self.hint = hint
        self.field = field

    def __str__(self) -> str:
        text = f"{self.field}: {self.message}" if self.field else self.message
        return f"{text} ({self.hint})" if self.hint else text


class InvalidError(BootcartError):
    """The input breaks a rule; nothing was saved."""

    status = 422
    exit_code = 2
    code = "invalid"


class NotFoundError(BootcartError):
    """No object has this key."""

    status = 404
    exit_code = 3
    code = "not-found"


class ConflictError(BootcartError):
    """Another object is in the way, or this one is in use."""

    status = 409
    exit_code = 4
    code = "conflict"


class ForbiddenError(BootcartError):
    """The caller may not do this."""

    status = 403
    exit_code = 5
    code = "not-allowed"


class UnreachableError(BootcartError):
    """No engine answers at the endpoint."""

    status = 503
    exit_code = 6
    code = "unreachable"


class TimedOutError(BootcartError):
    """What was waited for did not come in time."""

    status = 504
    exit_code = 7
    code = "timed-out"


class UnavailableError(BootcartError):
    """The engine is there but cannot do this now: the store is full or read-only, a service is down."""

    status = 507
    exit_code = 1
    code = "unavailable"


BY_CODE: dict[str, type[BootcartError]] = {
    kind.code: kind
    for kind in (
        BootcartError,
        InvalidError,
        NotFoundError,
        ConflictError,
        ForbiddenError,
        UnreachableError,
        TimedOutError,
        UnavailableError,
    )
}
