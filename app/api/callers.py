"""Who calls: the peer of a Unix socket, and whether that user may speak to the engine.

unix(7): SO_PEERCRED gives the credentials the peer had when it connected; the kernel vouches for them.
"""

from __future__ import annotations

import grp
import os
import pwd
import socket
import struct
from collections.abc import Collection, Mapping
from dataclasses import dataclass

OPERATORS_GROUP = "bootcart"
EVERYTHING = "*"

_UCRED = struct.Struct("iII")


@dataclass(frozen=True, slots=True)
class Peer:
    """The process at the other end of a connection."""

    pid: int
    uid: int
    gid: int


@dataclass(frozen=True, slots=True)
class Caller:
    """An admitted operator and what they may do."""

    actor: str
    uid: int
    pid: int
    rights: frozenset[str] = frozenset({EVERYTHING})

    def may(self, permission: str) -> bool:
        """They hold this permission, for example `machines.write`."""
        return EVERYTHING in self.rights or permission in self.rights


def peer_of(connection: socket.socket) -> Peer:
    """The credentials of a connected Unix socket's peer. Raises OSError for any other socket."""
    pid, uid, gid = _UCRED.unpack(connection.getsockopt(socket.SOL_SOCKET, socket.SO_PEERCRED, _UCRED.size))
    return Peer(pid=pid, uid=uid, gid=gid)


def user_name(uid: int) -> str:
    """The user's name, or the number where this host knows none."""
    try:
        return pwd.getpwuid(uid).pw_name
    except KeyError:
        return str(uid)


def operators(environment: Mapping[str, str]) -> frozenset[int]:
    """The users an engine was started for, as the launcher or sudo left them in the environment."""
    told = (environment.get(name, "") for name in ("BOOTCART_OPERATOR_UID", "SUDO_UID"))
    return frozenset(int(uid) for uid in told if uid.isdecimal() and len(uid) < 11)


@dataclass(frozen=True, slots=True)
class Admission:
    """The rule: root, the engine's own user, the users named at start, and the members of one group."""

    allowed_uids: frozenset[int]
    group: str = OPERATORS_GROUP

    @classmethod
    def of(cls, allowed_uids: Collection[int] = (), group: str = OPERATORS_GROUP) -> Admission:
        """Root and this process's user besides the ones given."""
        return cls(frozenset({0, os.geteuid(), *allowed_uids}), group)

    def admit(self, peer: Peer) -> Caller | None:
        """The caller behind a peer, None when that user has no business here. Asks the user database; may block."""
        if peer.uid not in self.allowed_uids and not self._in_group(peer):
            return None
        return Caller(actor=f"user:{user_name(peer.uid)}", uid=peer.uid, pid=peer.pid)

    def _in_group(self, peer: Peer) -> bool:
        try:
            wanted = grp.getgrnam(self.group).gr_gid
        except KeyError:
            return False
        if peer.gid == wanted:
            return True
        try:
            user = pwd.getpwuid(peer.uid)
        except KeyError:
            return False
        return wanted in os.getgrouplist(user.pw_name, user.pw_gid)
