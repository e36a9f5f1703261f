"""Tells the service manager where the engine stands (sd_notify(3))."""

from __future__ import annotations

import logging
import os
import socket
from array import array
from collections.abc import Sequence

log = logging.getLogger(__name__)


def keep(sock: socket.socket, name: str, environment: dict[str, str] | None = None) -> None:
    """Have the service manager hold a socket for the next engine, in place of what it held under this name.

    It is handed over with the next start (sd_pid_notify_with_fds(3), FDSTORE=1), and let go of when the service stops.
    """
    if notify("FDSTOREREMOVE=1", f"FDNAME={name}", environment=environment):
        notify("FDSTORE=1", f"FDNAME={name}", environment=environment, sockets=(sock,))


def notify(*lines: str, environment: dict[str, str] | None = None, sockets: Sequence[socket.socket] = ()) -> bool:
    """Send lines such as `READY=1` or `STATUS=…` to `NOTIFY_SOCKET`; false when no service manager listens."""
    path = (os.environ if environment is None else environment).get("NOTIFY_SOCKET", "")
    if not path:
        return False
    # A leading @ names a socket in the abstract namespace.
    address = "\0" + path[1:] if path.startswith("@") else path
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM | socket.SOCK_CLOEXEC) as sock:
        try:
            # A manager that does not read must not hold up the loop.
            rights = array("i", [each.fileno() for each in sockets])
            more = [(socket.SOL_SOCKET, socket.SCM_RIGHTS, rights)] if sockets else []
            sock.sendmsg(["\n".join(lines).encode()], more, socket.MSG_DONTWAIT, address)
        except OSError as error:
            # Signs of life come again and again; where one that mattered is lost, that is said.
            log.log(
                logging.DEBUG if lines == ("WATCHDOG=1",) else logging.WARNING, "cannot tell the manager: %s", error
            )
            return False
    return True
