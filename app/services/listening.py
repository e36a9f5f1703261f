"""Why a port cannot be listened on, in words, with what to do."""

from __future__ import annotations

import errno

from app.errors import BootcartError, ConflictError, ForbiddenError, UnavailableError


def cannot_listen(error: OSError, protocol: str, address: str, port: int, flag: str) -> BootcartError:
    """What to raise for an error of bind(2) or listen(2). `protocol`: TCP or UDP; `flag` chooses another port."""
    where, field = f"{protocol} port {port} on {address}", flag.removeprefix("--").replace("-", "_")
    if error.errno == errno.EADDRINUSE:
        look = f"ss -l{protocol[0].lower()}np 'sport = :{port}'"
        hint = f"stop the other program ({look} names it), or choose another {flag}"
        return ConflictError(f"{where} is taken by another program", hint=hint, field=field)
    if error.errno in (errno.EACCES, errno.EPERM):
        hint = f"run as root or with CAP_NET_BIND_SERVICE, or choose {flag} above 1023"
        return ForbiddenError(f"{where} may not be used by this user", hint=hint, field=field)
    hint = "check that the address is this host's"
    return UnavailableError(f"{where} cannot be used: {error.strerror}", hint=hint, field=field)
