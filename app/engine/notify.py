"""Tells the service manager where the engine stands (sd_notify(3))."""

from __future__ import annotations

import logging
import os
import socket

log = logging.getLogger(__name__)


def notify(*lines: str, environment: dict[str, str] | None = None) -> bool:
    """Send lines such as `READY=1` or `STATUS=…` to `NOTIFY_SOCKET`; false when no service manager listens."""
    path = (os.environ if environment is None else environment).get("NOTIFY_SOCKET", "")
    if not path:
        return False
    # A leading @ names a socket in the abstract namespace.
    address = "\0" + path[1:] if path.startswith("@") else path
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM | socket.SOCK_CLOEXEC) as sock:
        try:
            # A manager that does not read must not hold up the loop.
            sock.sendto("\n".join(lines).encode(), socket.MSG_DONTWAIT, address)
        except OSError as error:
            # Signs of life come again and again; where one that mattered is lost, that is said.
            log.log(
                logging.DEBUG if lines == ("WATCHDOG=1",) else logging.WARNING, "cannot tell the manager: %s", error
            )
            return False
    return True
