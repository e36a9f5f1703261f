"""The few system calls a lab needs that Python 3.11 does not offer: namespaces, mounts, taps."""

from __future__ import annotations

import ctypes
import fcntl
import os
import struct
import threading
from collections.abc import Callable
from pathlib import Path
from typing import TypeVar

from app.errors import BootcartError

T = TypeVar("T")

NETNS_DIRECTORY = Path("/run/netns")

# linux/sched.h, linux/mount.h, linux/if_tun.h
CLONE_NEWNET = 0x40000000
MS_BIND = 0x1000
MNT_DETACH = 2
TUNSETIFF = 0x400454CA
IFF_TAP, IFF_NO_PI, IFF_VNET_HDR = 0x0002, 0x1000, 0x4000

_libc = ctypes.CDLL(None, use_errno=True)


def _call(what: str, result: int) -> None:
    if result != 0:
        number = ctypes.get_errno()
        hint = "the lab needs root, and network namespaces in the kernel"
        raise BootcartError(f"{what} failed: {os.strerror(number)}", hint=hint)


def _in_thread(work: Callable[[], T]) -> T:
    # A network namespace belongs to a thread: one that ends right after cannot leave the rest of us elsewhere.
    results: list[T] = []
    errors: list[BaseException] = []

    def run() -> None:
        try:
            results.append(work())
        except BaseException as error:  # handed to the caller below, whatever it is
            errors.append(error)

    thread = threading.Thread(target=run, name="netns")
    thread.start()
    thread.join()
    if errors:
        raise errors[0]
    return results[0]


def namespace_path(name: str) -> Path:
    """Where iproute2 and we keep the handle of a network namespace."""
    return NETNS_DIRECTORY / name


def inside(name: str, work: Callable[[], T]) -> T:
    """Run `work` in a thread that has entered the namespace."""

    def run() -> T:
        fd = os.open(namespace_path(name), os.O_RDONLY | os.O_CLOEXEC)
        try:
            _call(f"entering namespace {name}", _libc.setns(fd, CLONE_NEWNET))
        finally:
            os.close(fd)
        return work()

    return _in_thread(run)


def create_namespace(name: str) -> None:
    """A new network namespace that `ip netns` knows too; it forwards nothing.

    Unlike `ip netns add` this does not turn /run/netns into a mount of its own, which nobody would take away again.
    """
    path = namespace_path(name)
    NETNS_DIRECTORY.mkdir(mode=0o755, exist_ok=True)
    path.touch(mode=0o444, exist_ok=False)

    def run() -> None:
        _call("making a network namespace", _libc.unshare(CLONE_NEWNET))
        handle = f"/proc/self/task/{threading.get_native_id()}/ns/net"
        _call(f"mounting {path}", _libc.mount(handle.encode(), os.fsencode(path), b"none", MS_BIND, None))
        # A fresh namespace inherits the host's IPv4 settings, and a host with containers forwards.
        for setting in ("ipv4/ip_forward", "ipv6/conf/all/forwarding"):
            target = Path("/proc/sys/net", setting)
            if target.exists():
                target.write_text("0")

    _in_thread(run)


def delete_namespace(name: str) -> bool:
    """Take the namespace away, half-made ones too; False when there was none."""
    path = namespace_path(name)
    if not path.exists():
        return False
    # A second mount on the same name would outlive the first's removal; EINVAL says that none is left.
    while _libc.umount2(os.fsencode(path), MNT_DETACH) == 0:
        pass
    path.unlink(missing_ok=True)
    return True


def pids_in(name: str) -> list[int]:
    """Every process in the namespace, as `ip netns pids` finds them."""
    try:
        wanted = namespace_path(name).stat()
    except FileNotFoundError:
        return []
    found: list[int] = []
    for entry in os.listdir("/proc"):
        if not entry.isdigit():
            continue
        try:
            here = os.stat(f"/proc/{entry}/ns/net")
        except (FileNotFoundError, ProcessLookupError, PermissionError):
            continue
        if (here.st_dev, here.st_ino) == (wanted.st_dev, wanted.st_ino):
            found.append(int(entry))
    return found


def open_tap(namespace: str, name: str) -> int:
    """A tap in the namespace as an open file; the tap is gone when the last holder of the file is."""

    def run() -> int:
        fd = os.open("/dev/net/tun", os.O_RDWR | os.O_NONBLOCK | os.O_CLOEXEC)
        request = struct.pack("16sH22x", name.encode(), IFF_TAP | IFF_NO_PI | IFF_VNET_HDR)
        try:
            fcntl.ioctl(fd, TUNSETIFF, request)
        except OSError as error:
            os.close(fd)
            hint = "the lab needs root and the tun module"
            raise BootcartError(f"cannot make the tap {name}: {error.strerror}", hint=hint) from error
        return fd

    try:
        return inside(namespace, run)
    except FileNotFoundError as error:
        raise BootcartError(f"{error.filename} is not there", hint="load the tun module: modprobe tun") from error
