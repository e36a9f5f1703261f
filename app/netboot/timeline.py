"""A machine's boot, hop by hop, as a pure function of the events its services emitted."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field

from app.model.event import Event
from app.model.timeline import Hop, HopState, Timeline
from app.netboot.menu import MENU_FOLDER

HOPS: dict[str, tuple[str, str]] = {
    "discover": ("DISCOVER", "its DISCOVER"),
    "offer": ("OFFER", "an OFFER from us"),
    "request": ("REQUEST", "its REQUEST"),
    "ack": ("ACK", "our ACK"),
    "loader": ("loader", "it to fetch the boot loader"),
    "grub": ("GRUB", "shim to fetch GRUB"),
    "ipxe": ("iPXE DHCP", "iPXE to ask for an address"),
    "script": ("script", "iPXE to fetch its script"),
    "kernel": ("kernel", "iPXE to fetch the kernel"),
    "initrd": ("initrd", "iPXE to fetch the initrd"),
    "agent": ("agent", "the discovery system to register"),
    "inventory": ("inventory", "its inventory"),
    "answer": ("answer file", "its installer to fetch its answers"),
    "installer": ("installer", "the installer to report that it runs"),
    "installed": ("installed", "the installer to report that it is done"),
    "local": ("local disk", "its answer"),
}
"""Every hop in order: its title, and what a boot that stands before it waits for."""

_ADDRESS_HOPS = ("discover", "offer", "request", "ack")
_ROLE_HOPS = ("loader", "script", "kernel", "initrd", "answer")
INSTALLER = "installer"
"""What `boots` says of a script that leads to an installer."""
_PAYLOAD_HOPS = ("script", "kernel", "initrd", "agent", "inventory")
# A loader that was fetched and an iPXE that asks belong to one boot when no more than this lies between (seconds).
_HANDOVER = 180.0
# Decisions that give no boot file on purpose, and those that could not find one to give.
_WITHHELD = frozenset({"local", "ignore", "held", "never-boot", "no-bootenv", "unsupported-arch"})
_NOTHING_TO_GIVE = frozenset({"no-bootenv", "unsupported-arch"})


@dataclass(slots=True)
class _Facts:
    """What is known of one hop."""

    began: float | None = None
    ended: float | None = None
    failed: bool = False
    detail: str = ""
    events: list[int] = field(default_factory=list[int])

    def saw(self, event: Event, detail: str = "", *, done: bool = False, failed: bool = False) -> None:
        self.events.append(event.id)
        self.began = event.time if self.began is None else self.began
        if done and self.ended is None:
            self.ended = event.time
        if done or failed:
            self.failed = failed
        if failed:
            self.ended = None
        self.detail = detail or self.detail


@dataclass(slots=True)
class _Boot:
    """One boot while it is put together."""

    rom: bool
    """Its firmware asked first; false: iPXE in the card did, so no loader is needed."""
    started: float
    facts: dict[str, _Facts] = field(default_factory=dict[str, _Facts])
    firmware: str = ""
    http: bool = False
    proxy: bool = False
    shim: bool = False
    """It goes by shim and GRUB, not by iPXE."""
    menu: bool = False
    """Its firmware starts the kernel itself, as a menu says."""
    no_file: str = ""
    """Why no boot file is given, in words."""
    reason: str = ""
    """The same as the code of the decision."""
    bootenv: str = ""
    boots: str = ""
    loads: str = ""
    """What its script loads: `kernel`, or `kernel initrd`; empty where the event does not say."""
    retries: int = 0
    last_dhcp: float = 0.0

    def hop(self, name: str) -> _Facts:
        return self.facts.setdefault(name, _Facts())

    @property
    def progressed(self) -> bool:
        """It got beyond asking for an address, or has taken one that came without a boot file."""
        return (bool(self.no_file) and "ack" in self.facts) or any(name not in _ADDRESS_HOPS for name in self.facts)


def _size(count: float) -> str:
    for unit in ("B", "kB", "MB"):
        if count < 1000:
            return f"{count:.0f} {unit}" if unit == "B" else f"{count:.1f} {unit}"
        count /= 1000
    return f"{count:.1f} GB"


def transfer_words(name: str, sent: int, seconds: float) -> str:
    """A finished transfer in words: `ipxe.efi 1.0 MB in 0.9 s, 1.1 MB/s`."""
    rate = f", {_size(sent / seconds)}/s" if seconds > 0 else ""
    return f"{name} {_size(sent)} in {seconds:.1f} s{rate}"


def _begins(boot: _Boot | None, event: Event, stage: str) -> bool:
    """Does this DHCP event of firmware or iPXE belong to a new boot?"""
    if boot is None:
        return True
    if event.kind != "dhcp.discover":
        return False
    if event.time - boot.last_dhcp > _HANDOVER and not (boot.rom and stage == "ipxe"):
        return True
    if stage == "rom":
        return boot.progressed or not boot.rom
    if boot.rom:
        # iPXE asks after the loader it came in; a machine that starts with firmware does so every time.
        return event.time - boot.last_dhcp > _HANDOVER and "script" in boot.facts
    return boot.progressed


def _dhcp(boot: _Boot, event: Event, stage: str) -> None:
    kind, data = event.kind, event.data
    boot.last_dhcp = event.time
    if stage == "ipxe" and boot.rom:
        # Beside another server, taking its address is the last that is heard of it: the ACK is not for our ears.
        taken = boot.proxy and kind == "dhcp.request"
        words = _taken(boot, event) if taken else f"{event.address or data.get('address', '')}".strip()
        boot.hop("ipxe").saw(event, words, done=taken or kind.endswith(".ack"))
        _withheld(boot, event)
        return
    if kind == "dhcp.discover":
        known = boot.facts.get("discover")
        boot.retries += 1 if known and known.ended is not None else 0
        boot.firmware = str(data.get("firmware", "")) or boot.firmware
        boot.http = boot.http or str(data.get("vendor_class", "")).startswith("HTTPClient")
        words = str(data.get("arch_name", "")) + (" iPXE" if stage == "ipxe" else "")
        boot.hop("discover").saw(event, words, done=True)
    elif kind in ("dhcp.offer", "proxy.offer"):
        boot.proxy = boot.proxy or kind == "proxy.offer"
        boot.hop("offer").saw(event, _offered(event), done=True)
        _withheld(boot, event)
    elif kind == "dhcp.request":
        boot.hop("request").saw(event, _taken(boot, event), done=True)
    elif kind in ("dhcp.ack", "proxy.ack"):
        boot.hop("ack").saw(event, _offered(event), done=True)
        _withheld(boot, event)
    elif kind == "dhcp.silent" and data.get("reason") in _WITHHELD:
        # ProxyDHCP withholds a boot file by saying nothing; the address is another server's to give.
        boot.proxy = True
        boot.hop("offer").saw(event, str(data.get("why", "")), done=True)
        boot.no_file, boot.reason = str(data.get("why", "")), str(data["reason"])
    elif kind in ("dhcp.silent", "dhcp.nak"):
        boot.hop("offer" if kind == "dhcp.silent" else "ack").saw(event, str(data.get("why", "")), failed=True)


def _taken(boot: _Boot, event: Event) -> str:
    """The address a client takes, and whose it is where it is not ours."""
    address, server = str(event.data.get("requested", "")), str(event.data.get("server", ""))
    return f"{address} from {server}" if boot.proxy and address and server else address


def _offered(event: Event) -> str:
    address, bootfile = str(event.data.get("address", "")), str(event.data.get("bootfile", ""))
    return " ".join(part for part in (address, f"file {bootfile}" if bootfile else "") if part)


def _withheld(boot: _Boot, event: Event) -> None:
    if event.kind.rpartition(".")[2] in ("offer", "ack"):
        boot.menu = _named(event.data.get("bootfile")) == MENU_FOLDER
        boot.shim = boot.shim or _named(event.data.get("bootfile")).startswith("shim")
        boot.no_file = "" if event.data.get("bootfile") else str(event.data.get("why", "")) or "no boot file"
        boot.reason = "" if event.data.get("bootfile") else str(event.data.get("reason", ""))


def _named(path: object) -> str:
    """The last part of a path or URL."""
    return str(path or "").rpartition("/")[2].lower()


def _transfer(boot: _Boot, event: Event, role: str) -> None:
    verb, data = event.kind.rpartition(".")[2], event.data
    name = str(data.get("file") or data.get("path") or "").lstrip("/")
    if role == "loader" and _named(name).startswith("grub"):
        role, boot.shim = "grub", True
    if verb == "started":
        boot.hop(role).saw(event, f"{name} {_size(int(data.get('size') or 0))}")
    elif verb == "sent":
        words = transfer_words(name, int(data.get("bytes") or 0), float(data.get("seconds") or 0))
        boot.hop(role).saw(event, words, done=True)
    elif not data.get("probe"):
        agent = boot.facts.get("agent")
        # Who runs what was sent has had it; a loader that starts a kernel leaves its connection lying, and the kernel
        # knows nothing of it.
        if role in ("kernel", "initrd") and agent is not None and agent.ended is not None:
            hop = boot.hop(role)
            hop.saw(event, done=True)
            hop.ended = min(event.time, agent.began or agent.ended)
        else:
            boot.hop(role).saw(event, event.message, failed=True)
    if role == "script":
        boot.bootenv = str(data.get("bootenv") or boot.bootenv)
        boot.boots = str(data.get("boots") or boot.boots)
        boot.loads = str(data.get("loads") or boot.loads)


def _agent(boot: _Boot, event: Event) -> None:
    if event.kind in ("agent.started", "agent.registered"):
        boot.hop("agent").saw(event, event.message, done=event.kind == "agent.registered")
    elif event.kind == "agent.inventory":
        boot.hop("inventory").saw(event, str(event.data.get("summary", "")), done=True)
    elif event.kind == "agent.failed":
        registered = boot.facts.get("agent")
        name = "inventory" if registered and registered.ended is not None else "agent"
        boot.hop(name).saw(event, _last_words(event), failed=True)


def _install(boot: _Boot, event: Event) -> None:
    words = str(event.data.get("words", ""))
    if event.kind == "install.started":
        boot.hop("installer").saw(event, words, done=True)
    elif event.kind == "install.finished":
        boot.hop("installed").saw(event, words, done=True)
    else:
        name = "installed" if "installer" in boot.facts else "installer"
        boot.hop(name).saw(event, words or event.message, failed=True)


def boots(events: Sequence[Event]) -> tuple[tuple[Event, ...], ...]:
    """The events of each boot, oldest first; what came before the first DISCOVER is of none."""
    begins = [index for index, _ in _boots(events)]
    ends = [*begins[1:], len(events)][: len(begins)]
    return tuple(tuple(events[begin:end]) for begin, end in zip(begins, ends, strict=True))


def _boots(events: Sequence[Event]) -> list[tuple[int, _Boot]]:
    """Each boot and where among the events it begins."""
    found: list[tuple[int, _Boot]] = []
    boot: _Boot | None = None
    for index, event in enumerate(events):
        family = event.kind.partition(".")[0]
        stage, role = str(event.data.get("stage", "")), str(event.data.get("role", ""))
        if family in ("dhcp", "proxy"):
            if stage not in ("rom", "ipxe"):
                continue
            if _begins(boot, event, stage):
                boot = _Boot(rom=stage == "rom", started=event.time)
                found.append((index, boot))
            assert boot is not None  # noqa: S101 - _begins(None, …) is always true
            _dhcp(boot, event, stage)
        elif boot is None:
            continue
        elif family in ("tftp", "http") and role in _ROLE_HOPS:
            _transfer(boot, event, role)
        elif event.kind == "render.failed":
            boot.hop("script").saw(event, event.message, failed=True)
        elif family == "agent":
            _agent(boot, event)
        elif family == "install":
            _install(boot, event)
    return found


def _expected(boot: _Boot) -> tuple[list[str], set[str]]:
    """The hops of this boot, and those among them that are not on its path."""
    skipped: set[str] = set()
    if boot.no_file:
        # An EFI client given no boot file often does not even take the offer.
        skipped.update(name for name in ("request", "ack") if name not in boot.facts)
        started = [name for name in ("loader", "grub", "ipxe") if name in boot.facts]
        return [*_ADDRESS_HOPS, *started, "local"], skipped
    if boot.proxy:
        skipped.update(name for name in ("request", "ack") if name not in boot.facts)
    if not boot.rom:
        skipped.update(("loader", "ipxe"))
    by_loader = () if boot.menu else ("loader", "grub" if boot.shim else "ipxe")
    names = [*_ADDRESS_HOPS, *by_loader, "script"]
    if boot.boots in ("local", "ignore"):
        return [*names, "local"], skipped
    names += ["kernel"] if boot.loads == "kernel" else ["kernel", "initrd"]
    if boot.boots == INSTALLER:
        names += ["answer", "installer", "installed"]
    elif boot.bootenv in ("", "discovery"):
        names += ["agent", "inventory"]
    return names, skipped


def _path(boot: _Boot) -> str:
    how = "http" if boot.http else "pxe" if boot.rom else "ipxe"
    return f"{boot.firmware or 'unknown'}-{how}"


def timeline(events: Sequence[Event], now: float) -> Timeline:
    """The newest boot in `events` (one machine's, oldest first) as it stands at `now` (epoch seconds).

    A hop is done only when its own event is there; nothing is inferred from later hops.
    """
    found = _boots(events)
    if not found:
        return Timeline()
    _, boot = found[-1]
    names, skipped = _expected(boot)
    if names[-1] == "local" and (boot.no_file or "script" in boot.facts):
        source = boot.facts.get("script") or boot.facts.get("ack") or boot.facts.get("offer") or boot.facts["discover"]
        if source.ended is not None:
            words = boot.no_file or "told to boot its disk"
            ended = None if boot.reason in _NOTHING_TO_GIVE else source.ended
            boot.facts["local"] = _Facts(
                began=source.ended, ended=ended, failed=ended is None, detail=words, events=source.events[-1:]
            )
    furthest = max((i for i, name in enumerate(names) if name in boot.facts), default=-1)
    hops: list[Hop] = []
    at, before = "", None
    for index, name in enumerate(names):
        facts = boot.facts.get(name, _Facts())
        state = _state(facts, name in skipped)
        if not at and state not in (HopState.DONE, HopState.SKIPPED) and index >= furthest:
            at = name
        title, waiting = HOPS[name]
        if name == "local" and boot.reason not in ("", "local"):
            title = "no boot file"
        delta = facts.ended - before if facts.ended is not None and before is not None else None
        before = facts.ended if facts.ended is not None else before
        hops.append(
            Hop(
                name=name,
                title=title,
                state=state,
                began=facts.began,
                ended=facts.ended,
                delta=delta,
                detail=facts.detail,
                waiting_for=_waits(boot, waiting) if at == name and state is HopState.WAITING else "",
                events=tuple(facts.events),
            )
        )
    complete = all(hop.state in (HopState.DONE, HopState.SKIPPED) for hop in hops)
    return Timeline(
        started=boot.started,
        path=_path(boot),
        bootenv=boot.bootenv,
        hops=tuple(hops),
        at="" if complete else at,
        complete=complete,
        retries=boot.retries,
    )


def _waits(boot: _Boot, words: str) -> str:
    """What is waited for, by the loader that is to bring it."""
    return words.replace("iPXE", "its firmware" if boot.menu else "GRUB" if boot.shim else "iPXE")


def _state(facts: _Facts, skipped: bool) -> HopState:
    if skipped:
        return HopState.SKIPPED
    if facts.failed:
        return HopState.FAILED
    if facts.ended is not None:
        return HopState.DONE
    return HopState.ACTIVE if facts.began is not None else HopState.WAITING


def _last_words(event: Event) -> str:
    """What failed at an agent's step: the last line it wrote."""
    lines = str(event.data.get("output", "")).splitlines()
    return f"{event.data.get('step', '')}: {lines[-1] if lines else ''}"
