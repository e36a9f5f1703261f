"""The lab's segment: a bridge with taps in one namespace, the engine's interface in another, nothing of the host's."""

from __future__ import annotations

import subprocess

from app.errors import BootcartError
from app.services.lab import kernel
from app.services.lab.plan import CIDR6, ENGINE_INTERFACE, LabPlan

BRIDGE = "lan"
UPLINK = "engine"


def batch(namespace: str, lines: list[str]) -> None:
    """Run several `ip` commands in a namespace; the first that fails stops. Raises BootcartError with its words."""
    done = subprocess.run(
        ["ip", "-n", namespace, "-batch", "-"],
        input="\n".join(lines) + "\n",
        capture_output=True,
        text=True,
        check=False,
    )
    if done.returncode:
        said = done.stderr.strip().splitlines()
        why = said[0] if said else f"exit code {done.returncode}"
        raise BootcartError(f"ip in {namespace}: {why}", hint="see `ip netns` and `ip link`")


def lan_lines(plan: LabPlan) -> list[str]:
    """What `ip` is told in the LAN's namespace."""
    return [
        "link set lo up",
        # Without addresses of its own the bridge is a plain switch: no router solicitation, nothing to talk to.
        f"link add name {BRIDGE} type bridge stp_state 0 forward_delay 0 mcast_snooping 0",
        f"link set dev {BRIDGE} addrgenmode none",
        f"link set dev {BRIDGE} up",
        f"link add name {UPLINK} type veth peer name {ENGINE_INTERFACE} netns {plan.engine_namespace}",
        f"link set dev {UPLINK} addrgenmode none",
        f"link set dev {UPLINK} master {BRIDGE} up",
    ]


def engine_lines(plan: LabPlan) -> list[str]:
    """What `ip` is told in the engine's namespace."""
    return [
        "link set lo up",
        f"addr add {plan.engine_address}/{plan.cidr.prefixlen} brd + dev {ENGINE_INTERFACE}",
        f"link set dev {ENGINE_INTERFACE} up",
        *([f"addr add {CIDR6[1]}/{CIDR6.prefixlen} dev {ENGINE_INTERFACE} nodad"] if 6 in plan.protocols else []),
    ]


def build(plan: LabPlan) -> None:
    """Make both namespaces and what joins them."""
    for name in plan.namespaces:
        kernel.create_namespace(name)
    batch(plan.lan_namespace, lan_lines(plan))
    batch(plan.engine_namespace, engine_lines(plan))


def plug(plan: LabPlan, tap: str) -> int:
    """A tap on the bridge, as an open file for QEMU to inherit."""
    fd = kernel.open_tap(plan.lan_namespace, tap)
    batch(plan.lan_namespace, [f"link set dev {tap} addrgenmode none", f"link set dev {tap} master {BRIDGE} up"])
    return fd
