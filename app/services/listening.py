"""What can be listened on; and why a port cannot be, in words, with what to do."""

from __future__ import annotations

import errno
import socket

from app.errors import BootcartError, ConflictError, ForbiddenError, UnavailableError

# What the kernel answers where IPv6 is not built in, or is switched off for the whole host.
_NO_IPV6 = frozenset({errno.EAFNOSUPPORT, errno.EADDRNOTAVAIL})


def has_ipv6() -> bool:
    """This host can be reached by IPv6 at all."""
    try:
        with socket.socket(socket.AF_INET6, socket.SOCK_DGRAM) as sock:
            sock.bind(("::", 0))
    except OSError as error:
        return error.errno not in _NO_IPV6
    return True


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
