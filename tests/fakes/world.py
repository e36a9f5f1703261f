"""A believable day at the provisioning desk, as data: what the fake engine starts with."""

from __future__ import annotations

from collections.abc import Sequence
from ipaddress import IPv4Address, IPv4Interface, IPv4Network
from typing import Any

from app.model.bootenv import BootEnv, BootFiles, BootKind, BootTemplate
from app.model.diagnosis import Diagnosis, Finding
from app.model.engine import ForeignServer, Interface, Service, ServiceState
from app.model.event import EventDraft, Level
from app.model.inventory import Cpu, Disk, Inventory, Memory, Nic, System
from app.model.machine import Machine, MachineState, MachineStatus, machine_id_for, machine_name_for
from app.model.profile import Profile
from app.model.subnet import Lease, LeaseState, Range, Reservation, Subnet, SubnetMode
from app.model.timeline import Hop, HopState, Timeline

NOW = 1_800_000_000.0
"""The moment the world was drawn; everything in it happened before."""

HOPS = (
    ("discover", "DISCOVER"),
    ("offer", "OFFER"),
    ("request", "REQUEST"),
    ("ack", "ACK"),
    ("loader", "Loader"),
    ("ipxe", "iPXE's DHCP"),
    ("script", "Script"),
    ("kernel", "Kernel"),
    ("initrd", "Initrd"),
    ("agent", "Agent"),
    ("inventory", "Inventory"),
)


def mac(number: int) -> str:
    """The MAC address of the machine with this number."""
    return f"52:54:00:00:00:{number:02x}"


def inventory(number: int, firmware: str = "uefi") -> Inventory:
    """What the discovery system reported of a two-socket server."""
    return Inventory(
        reported=NOW - 600,
        system=System(
            manufacturer="Dell Inc.",
            product="PowerEdge R640",
            serial=f"7XK{number:04d}",
            uuid=f"4c4c4544-0000-2010-8020-80c04f20{number:04x}",
            board="0H28RR",
            chassis="Rack Mount Chassis",
            bios_vendor="Dell Inc.",
            bios_version="2.21.2",
            bios_date="02/19/2024",
        ),
        cpu=Cpu(
            model="Intel(R) Xeon(R) Gold 6230 CPU @ 2.10GHz", architecture="x86_64", sockets=2, cores=40, threads=80
        ),
        memory=Memory(total=192 * 2**30, modules=tuple(f"A{slot}: 16 GiB DDR4 2933 MT/s" for slot in range(1, 13))),
        disks=(
            Disk(
                name="nvme0n1",
                size=960_197_124_096,
                model="SAMSUNG MZ7L3960",
                serial=f"S5{number:06d}",
                transport="nvme",
            ),
            Disk(
                name="sda",
                size=4_000_787_030_016,
                model="ST4000NM000B",
                serial=f"ZC{number:06d}",
                transport="sas",
                rotational=True,
            ),
        ),
        nics=(
            Nic(
                name="eno1",
                mac=mac(number),
                driver="ixgbe",
                link=True,
                speed=10_000,
                address=f"10.7.0.{100 + number}",
                pci="8086:1528",
                boot=True,
            ),
            Nic(name="eno2", mac=mac(number + 128), driver="ixgbe", pci="8086:1528"),
        ),
        firmware=firmware,
        secure_boot="enabled" if firmware == "uefi" else "unsupported",
        kernel="6.12.48+deb13-amd64",
        agent="0.1.0",
    )


def _machine(number: int, name: str, state: MachineState, **fields: Any) -> Machine:
    status: dict[str, Any] = {"since": NOW - 60 * number, "seen": NOW - 5 * number}
    status["boots"] = fields.get("bootenv") or ("local" if fields.get("registered", True) else "discovery")
    status.update({key: fields.pop(key) for key in ("hop", "waiting_for", "reason", "diagnosis") if key in fields})
    shown = {
        "architecture": "amd64",
        "firmware": "uefi",
        "created": NOW - 86_400,
        "address": IPv4Address(f"10.7.0.{100 + number}"),
    }
    return Machine(
        id=machine_id_for(mac(number)),
        name=name or machine_name_for(mac(number)),
        macs=(mac(number),),
        status=MachineStatus(state=state, **status),
        **{**shown, **fields},
    )


def machines() -> list[Machine]:
    """One or more machines in every state."""
    return [
        _machine(1, "", MachineState.NEW, registered=False, hop="initrd", waiting_for="initrd from 10.7.0.101"),
        _machine(2, "", MachineState.NEW, registered=False, firmware="bios", hop="offer", waiting_for="REQUEST"),
        _machine(3, "node-03", MachineState.READY, inventory=inventory(3), heartbeat=NOW - 4),
        _machine(4, "node-04", MachineState.READY, inventory=inventory(4, "bios"), firmware="bios", heartbeat=NOW - 8),
        _machine(
            5, "node-05", MachineState.BOOT, bootenv="debian-12", hop="kernel", waiting_for="kernel from 10.7.0.105"
        ),
        _machine(6, "node-06", MachineState.INSTALL, bootenv="debian-12", inventory=inventory(6)),
        _machine(
            7,
            "node-07",
            MachineState.DONE,
            bootenv="local",
            inventory=inventory(7),
            description="build host, rack 7 U12",
        ),
        _machine(
            8,
            "node-08",
            MachineState.FAIL,
            bootenv="debian-12",
            hop="kernel",
            reason="kernel: file not found: /debian-12/amd64/vmlinuz",
            diagnosis="D18 debian-12/amd64/vmlinuz is missing",
        ),
        _machine(
            9,
            "node-09",
            MachineState.STALE,
            inventory=inventory(9),
            heartbeat=NOW - 7200,
            reason="agent silent for 2 h",
        ),
        _machine(10, "node-10", MachineState.OFF, inventory=inventory(10), bootenv="local"),
        _machine(
            11,
            "node-11",
            MachineState.HELD,
            held=True,
            reason="held by user:root",
            description="RAM replaced on Friday",
        ),
        _machine(12, "arm-01", MachineState.READY, architecture="arm64", inventory=inventory(12), heartbeat=NOW - 2),
    ]


def subnets() -> list[Subnet]:
    """Authoritative, proxy, held and off."""
    return [
        Subnet(
            name="rack7",
            cidr=IPv4Network("10.7.0.0/24"),
            ranges=(Range(start=IPv4Address("10.7.0.100"), end=IPv4Address("10.7.0.200")),),
            router=IPv4Address("10.7.0.1"),
            dns=(IPv4Address("10.7.0.1"),),
            domain="rack7.example.net",
            interface="eth1",
        ),
        Subnet(
            name="office",
            cidr=IPv4Network("192.168.1.0/24"),
            mode=SubnetMode.PROXY,
            description="the building's own DHCP serves here",
        ),
        Subnet(
            name="rack8",
            cidr=IPv4Network("10.8.0.0/24"),
            ranges=(Range(start=IPv4Address("10.8.0.100"), end=IPv4Address("10.8.0.120")),),
            hold="another DHCP server answers on eth2: 10.8.0.1",
        ),
        Subnet(name="old-lab", cidr=IPv4Network("172.16.4.0/28"), mode=SubnetMode.OFF, enabled=False),
    ]


def profiles() -> list[Profile]:
    """What some machines have in common."""
    return [
        Profile(name="storage", options={"interface-mtu": "9000"}, description="jumbo frames"),
        Profile(name="berlin", options={"ntp-servers": "10.7.0.9", "domain-name": "berlin.example"}),
    ]


def reservations() -> list[Reservation]:
    return [
        Reservation(
            address=IPv4Address("10.7.0.50"),
            mac="52:54:00:00:00:50",
            hostname="switch-7a",
            never_boot=True,
            description="top-of-rack switch",
        ),
        Reservation(address=IPv4Address("10.7.0.107"), mac=mac(7), hostname="node-07"),
    ]


def leases() -> list[Lease]:
    """A lease for each machine, one expired, one released, one address quarantined."""
    bound = [
        Lease(
            address=IPv4Address(f"10.7.0.{100 + n}"),
            mac=mac(n),
            subnet="rack7",
            since=NOW - 60 * n,
            expires=NOW + 3600 - 60 * n,
            interface="eth1",
        )
        for n in range(1, 13)
    ]
    return [
        *bound,
        Lease(
            address=IPv4Address("10.7.0.150"),
            mac="52:54:00:00:01:50",
            subnet="rack7",
            state=LeaseState.EXPIRED,
            since=NOW - 9000,
            expires=NOW - 5400,
            hostname="laptop",
        ),
        Lease(
            address=IPv4Address("10.7.0.151"),
            mac="52:54:00:00:01:51",
            subnet="rack7",
            state=LeaseState.RELEASED,
            since=NOW - 8000,
            expires=NOW - 7000,
        ),
        Lease(
            address=IPv4Address("10.7.0.152"),
            mac="52:54:00:00:01:52",
            subnet="rack7",
            state=LeaseState.DECLINED,
            since=NOW - 300,
            expires=NOW + 3300,
        ),
    ]


def bootenvs() -> list[BootEnv]:
    """Shipped ones, an installer, one that cannot be used, one that destroys."""
    script = BootTemplate(name="boot", path="boot.ipxe", source="boot.ipxe.j2")
    both = {
        arch: BootFiles(kernel=f"discovery/{arch}/vmlinuz", initrds=(f"discovery/{arch}/initrd.img",))
        for arch in ("amd64", "arm64")
    }
    debian = {"amd64": BootFiles(kernel="debian-12/amd64/linux", initrds=("debian-12/amd64/initrd.gz",))}
    return [
        BootEnv(
            name="discovery",
            title="Discovery",
            description="reports what is in the machine",
            architectures=both,
            templates=(script,),
            unknown_only=True,
            memory_mib=512,
        ),
        BootEnv(name="local", title="Local disk", description="boots the machine's own disk", kind=BootKind.LOCAL),
        BootEnv(name="ignore", title="Ignore", description="an address and nothing more", kind=BootKind.IGNORE),
        BootEnv(
            name="debian-12",
            title="Debian 12",
            description="installs Debian 12 (bookworm)",
            architectures=debian,
            arguments="auto=true priority=critical",
            templates=(script, BootTemplate(name="preseed", path="preseed.cfg", source="preseed.cfg.j2")),
            destructive=True,
            memory_mib=780,
        ),
        BootEnv(
            name="debian-13",
            title="Debian 13",
            description="installs Debian 13 (trixie)",
            templates=(script,),
            destructive=True,
            errors=("debian-13/amd64/linux is missing",),
        ),
        BootEnv(name="memtest", title="Memory test", description="memtest86+", templates=(script,)),
    ]


def services() -> list[Service]:
    """Up, failed and disabled."""
    up = {"state": ServiceState.UP, "since": NOW - 7200}
    return [
        Service(
            name="dhcp",
            listening=("udp 0.0.0.0:67 eth1",),
            counters={"discover": 31, "offer": 29, "ack": 27, "malformed": 1},
            **up,
        ),
        Service(
            name="proxydhcp",
            state=ServiceState.FAILED,
            reason="UDP port 4011 is taken by dnsmasq (pid 811)",
            hint="stop dnsmasq, or choose another --pxe-port, then restart the service",
            since=NOW - 7199,
        ),
        Service(name="tftp", listening=("udp 10.7.0.1:69",), counters={"sent": 24, "bytes": 2_400_000}, **up),
        Service(name="http", listening=("tcp 0.0.0.0:8090",), counters={"sent": 96, "bytes": 812_000_000}, **up),
        Service(name="probe", **up),
        Service(name="router", state=ServiceState.DISABLED),
    ]


def interfaces() -> list[Interface]:
    return [
        Interface(
            name="eth0",
            index=2,
            mac="02:00:00:00:00:01",
            addresses=(IPv4Interface("192.168.1.20/24"),),
            up=True,
            link=True,
            speed=1000,
            driver="e1000e",
            kind="ethernet",
            uplink=True,
            subnet="office",
        ),
        Interface(
            name="eth1",
            index=3,
            mac="02:00:00:00:00:02",
            addresses=(IPv4Interface("10.7.0.1/24"),),
            up=True,
            link=True,
            speed=10_000,
            driver="ixgbe",
            kind="ethernet",
            served=True,
            subnet="rack7",
            probed=NOW - 7200,
        ),
        Interface(
            name="eth2",
            index=4,
            mac="02:00:00:00:00:03",
            up=True,
            link=True,
            speed=1000,
            driver="igb",
            kind="ethernet",
            probed=NOW - 30,
            foreign=(
                ForeignServer(
                    server=IPv4Address("10.8.0.1"),
                    mac="02:00:00:00:08:01",
                    offered=IPv4Address("10.8.0.37"),
                    subnet_mask=IPv4Address("255.255.255.0"),
                    heard=NOW - 30,
                ),
            ),
        ),
        Interface(name="wlan0", index=5, mac="02:00:00:00:00:04", driver="iwlwifi", kind="wireless"),
    ]


def events() -> list[EventDraft]:
    """The newest boots, oldest first: every hop of node-05 so far, a failure, an audit entry."""
    drafts = [
        EventDraft(
            time=NOW - 7200,
            kind="engine.started",
            message="Bootcart 0.1.0 started",
            data={"version": "0.1.0", "pid": 4242},
        ),
        EventDraft(
            time=NOW - 7199,
            kind="service.failed",
            message="proxydhcp: UDP port 4011 is taken by dnsmasq (pid 811)",
            level=Level.ERROR,
            data={"service": "proxydhcp", "owner": "dnsmasq"},
        ),
        EventDraft(
            time=NOW - 3000,
            kind="audit.create",
            message="user:root created subnet rack7",
            actor="user:root",
            data={"noun": "subnets", "key": "rack7"},
        ),
    ]
    steps: Sequence[tuple[str, str, dict[str, Any]]] = (
        (
            "dhcp.discover",
            "DISCOVER from 52:54:00:00:00:05: x64 UEFI (7)",
            {"stage": "rom", "arch": 7, "arch_name": "x64 UEFI"},
        ),
        (
            "dhcp.offer",
            "OFFER 10.7.0.105 to 52:54:00:00:00:05, boot file ipxe.efi",
            {"stage": "rom", "address": "10.7.0.105", "bootfile": "ipxe.efi"},
        ),
        ("dhcp.request", "REQUEST 10.7.0.105 from 52:54:00:00:00:05", {"stage": "rom", "requested": "10.7.0.105"}),
        (
            "dhcp.ack",
            "ACK 10.7.0.105 to 52:54:00:00:00:05",
            {"stage": "rom", "address": "10.7.0.105", "bootfile": "ipxe.efi"},
        ),
        (
            "tftp.sent",
            "ipxe.efi to 10.7.0.105: 1.0 MB in 0.9 s",
            {"file": "ipxe.efi", "bytes": 1_048_576, "seconds": 0.9, "role": "loader"},
        ),
        ("dhcp.ack", "ACK 10.7.0.105 to iPXE on 52:54:00:00:00:05", {"stage": "ipxe", "address": "10.7.0.105"}),
        (
            "http.sent",
            "boot script to 10.7.0.105",
            {"path": "/boot/52-54-00-00-00-05.ipxe", "bytes": 412, "seconds": 0.01, "role": "script"},
        ),
        (
            "http.started",
            "kernel to 10.7.0.105",
            {"path": "/debian-12/amd64/linux", "size": 8_200_000, "role": "kernel"},
        ),
    )
    drafts += [
        EventDraft(
            time=NOW - 40 + n * 2,
            kind=kind,
            message=message,
            mac=mac(5),
            machine=machine_id_for(mac(5)),
            address="10.7.0.105",
            interface="eth1",
            data=data,
        )
        for n, (kind, message, data) in enumerate(steps)
    ]
    drafts.append(
        EventDraft(
            time=NOW - 12,
            kind="http.missing",
            message="no file /debian-12/amd64/vmlinuz for 10.7.0.108",
            level=Level.WARNING,
            mac=mac(8),
            machine=machine_id_for(mac(8)),
            address="10.7.0.108",
            data={"path": "/debian-12/amd64/vmlinuz"},
        )
    )
    return drafts


def diagnosis(machine: Machine) -> Diagnosis:
    """What is found about a machine: something where its row says so."""
    status = machine.status or MachineStatus()
    rule, _, brief = status.diagnosis.partition(" ")
    found = Finding(
        id=rule,
        brief=brief,
        seen="debian-12: debian-12/amd64/vmlinuz is missing",
        means="the files of debian-12 are not all in the boot tree",
        do="bring the missing file; the machine asks again by itself",
        action="bootenvs",
        command="bootcart bootenvs list",
        since=NOW - 12,
    )
    return Diagnosis(machine=machine.id, name=machine.name, at=NOW, findings=(found,) if rule else ())


def timeline(machine: Machine) -> Timeline:
    """The newest boot of a machine, as far as its status says it has come."""
    status = machine.status or MachineStatus()
    if not status.seen:
        return Timeline()
    names = [name for name, _ in HOPS]
    complete = status.state in (MachineState.READY, MachineState.DONE, MachineState.INSTALL)
    at = len(HOPS) if complete else names.index(status.hop) if status.hop in names else 0
    failed = status.state is MachineState.FAIL
    began = NOW - 40
    hops = tuple(
        Hop(
            name=name,
            title=title,
            state=HopState.DONE
            if n < at
            else HopState.WAITING
            if n > at
            else HopState.FAILED
            if failed
            else HopState.ACTIVE,
            began=began + 2 * n if n <= at else None,
            ended=began + 2 * n + 1 if n < at else None,
            delta=2.0 if 0 < n < at else None,
            detail=(status.reason if failed else "x64 UEFI") if n == at else "",
            waiting_for=status.waiting_for if n == at and not failed else "",
        )
        for n, (name, title) in enumerate(HOPS)
    )
    return Timeline(
        started=began,
        path="bios-pxe" if machine.firmware == "bios" else "uefi-pxe",
        bootenv=machine.bootenv or "discovery",
        hops=hops,
        at="" if complete else hops[at].name,
        complete=complete,
    )
