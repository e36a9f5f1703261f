"""Puts kernel, modules, firmware, programs and our own files together into the two files a machine boots."""

from __future__ import annotations

import fnmatch
import lzma
import posixpath
import subprocess
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from pathlib import Path

from discovery_image import contents, cpio, elf, kmod, packages
from discovery_image.cpio import Entry
from discovery_image.errors import BuildError, say
from discovery_image.packages import Deb

ROOT = Path(__file__).resolve().parent.parent / "root"

_SKELETON = {
    "bin": cpio.link("usr/bin"),
    "sbin": cpio.link("usr/sbin"),
    "lib": cpio.link("usr/lib"),
    "lib64": cpio.link("usr/lib64"),
    "dev": cpio.directory(),
    # The kernel opens the console before anything can mount devtmpfs.
    "dev/console": cpio.device(5, 1),
    "dev/null": cpio.device(1, 3, 0o666),
    "proc": cpio.directory(0o555),
    "sys": cpio.directory(0o555),
    "run": cpio.directory(),
    "root": cpio.directory(0o700),
    "tmp": cpio.directory(0o1777),
    "mnt": cpio.directory(),
    "etc/passwd": cpio.file(b"root:x:0:0:root:/root:/bin/sh\n"),
    "etc/group": cpio.file(b"root:x:0:\n"),
    "etc/hosts": cpio.file(b"127.0.0.1 localhost\n"),
    "etc/mtab": cpio.link("../proc/self/mounts"),
}


@dataclass(slots=True)
class Image:
    """What was built, and what there is to say about it."""

    release: str
    vmlinuz: bytes
    initrd: bytes
    modules: list[str]
    firmware: list[str]
    missing_firmware: list[str]
    warnings: list[str] = field(default_factory=list)


@dataclass(frozen=True, slots=True)
class Drivers:
    """The part of the image that depends on the kernel; `files` by path in the image."""

    files: dict[str, Entry]
    modules: dict[str, kmod.Module]
    warnings: list[str]


def own_files(release: str) -> dict[str, Entry]:
    """Our init and agent; `release` is what the agent says of itself."""
    found: dict[str, Entry] = {"etc/bootcart-release": cpio.file(f"{release}\n".encode())}
    for path in sorted(ROOT.rglob("*")):
        if path.is_file():
            executable = 0o755 if path.stat().st_mode & 0o100 else 0o644
            found[path.relative_to(ROOT).as_posix()] = cpio.file(path.read_bytes(), executable)
    return found


def drivers(shipped: Mapping[str, Entry]) -> Drivers:
    """The modules to keep, as shipped, and their indexes; `shipped` is the kernel package. Raises BuildError."""
    base = next((name for name in sorted(shipped) if name.endswith("/modules.order")), "").removesuffix("modules.order")
    if not base:
        raise BuildError("the kernel package has no modules.order", "choose another suite with --suite")
    paths = {kmod.name_of(n): n.removeprefix(base) for n in shipped if n.startswith(base) and ".ko" in n}
    builtin = {kmod.name_of(line) for line in shipped[base + "modules.builtin"].data.decode().split()}
    modules: dict[str, kmod.Module] = {}
    todo = sorted(name for name, path in paths.items() if contents.wanted(path.removeprefix("kernel/")))
    while todo:
        name = todo.pop()
        if name in paths and name not in modules:
            modules[name] = kmod.read(paths[name], shipped[base + paths[name]].data)
            todo += [*modules[name].depends, *modules[name].before]
    known = {*modules, *builtin, *(alias for module in modules.values() for alias in module.aliases)}
    lacking = sorted({(m.name, need) for m in modules.values() for need in m.depends if need not in known})
    if lacking:
        raise BuildError(f"module {lacking[0][0]} needs {lacking[0][1]}, which the kernel package does not have")
    soft = sorted({(m.name, need) for m in modules.values() for need in m.before if need not in known})
    unsigned = sorted(module.name for module in modules.values() if not module.signed)
    warnings = [f"module {name} would like {need} first; no such module" for name, need in soft]
    warnings += [f"modules without a signature: {', '.join(unsigned)}"] if unsigned else []
    files = {base + module.path: shipped[base + module.path] for module in modules.values()}
    order = shipped[base + "modules.order"].data.decode().split()
    rank = {kmod.name_of(line): index for index, line in enumerate(order)}
    ordered = sorted(modules.values(), key=lambda module: rank.get(module.name, len(rank)))
    groups = {module.name: contents.group(module.path.removeprefix("kernel/")) for module in ordered}
    files[base + "modules.dep"] = cpio.file(kmod.dep_index(modules).encode())
    files[base + "modules.alias"] = cpio.file(kmod.alias_index(ordered).encode())
    for bus, table in kmod.device_maps(ordered, groups).items():
        files[f"{base}map/{bus}"] = cpio.file(table.encode())
    return Drivers(files, modules, warnings)


def firmware(offered: Mapping[str, Entry], modules: Iterable[kmod.Module]) -> tuple[dict[str, Entry], list[str]]:
    """The files the modules ask for, xz-compressed as the kernel's loader takes them, and the names nobody offers."""
    found: dict[str, Entry] = {}
    absent: list[str] = []
    base = "usr/lib/firmware/"

    def take(path: str) -> bool:
        entry = offered.get(path)
        if entry is None:
            return False
        if cpio.is_link(entry):
            target = entry.data.decode()
            found[path + ".xz"] = cpio.link(target + ".xz")
            return take(posixpath.normpath(posixpath.join(posixpath.dirname(path), target)))
        # The kernel's decoder knows CRC32 alone (Documentation/staging/xz.rst).
        found[path + ".xz"] = cpio.file(lzma.compress(entry.data, check=lzma.CHECK_CRC32, preset=9))
        return True

    for wanted in sorted({name for module in modules for name in module.firmware}):
        names = fnmatch.filter(offered, base + wanted) if any(c in wanted for c in "*?[") else [base + wanted]
        # Each is taken, even after one was absent.
        if not [name for name in names if take(name)]:
            absent.append(wanted)
    return found, absent


def programs(offered: Mapping[str, Entry], arch: str) -> dict[str, Entry]:
    """busybox, the programs and every library they need. Raises BuildError naming what no package has."""
    found = {"usr/bin/busybox": offered["usr/bin/busybox"]} if "usr/bin/busybox" in offered else {}
    for applet in contents.APPLETS:
        found[f"usr/bin/{applet}"] = cpio.link("busybox")
    libraries = {posixpath.basename(path): path for path in sorted(offered) if path.startswith("usr/lib")}
    todo = ["usr/bin/busybox", *contents.PROGRAMS, *(libraries[name] for name in contents.OPENED if name in libraries)]
    while todo:
        path = todo.pop()
        entry = offered.get(path)
        if entry is None:
            raise BuildError(f"no package has {path}", "choose another suite with --suite")
        found[path] = entry
        if cpio.is_link(entry):
            target = posixpath.normpath(posixpath.join("/", posixpath.dirname(path), entry.data.decode()))
            todo.append(packages.merged(target.lstrip("/")))
            continue
        if not elf.is_elf(entry.data):
            continue
        needs = elf.needs(entry.data)
        if needs.machine != elf.MACHINES[arch]:
            raise BuildError(f"{path} is not for {arch}", "delete the downloaded packages and run this again")
        wanted = [libraries.get(name, f"usr/lib/{name}") for name in needs.libraries]
        if needs.interpreter:
            wanted.append(packages.merged(needs.interpreter.lstrip("/")))
        todo += [name for name in wanted if name not in found]
    return found


def zstd(data: bytes) -> bytes:
    """Compressed as small as the kernel can take it."""
    done = subprocess.run(["zstd", "-19", "-T2", "-q", "-c"], input=data, capture_output=True, check=False)
    if done.returncode:
        raise BuildError(f"zstd failed: {done.stderr.decode(errors='replace').strip()}", "free some memory or disk")
    return done.stdout


def build(arch: str, debs: Iterable[Deb], release: str) -> Image:
    """The image of these packages and our own files. Raises BuildError."""
    debs = sorted(debs, key=lambda deb: deb.name)
    kernels = [deb for deb in debs if deb.name.startswith("linux-image-")]
    say(22, f"Reading {kernels[0].name} {kernels[0].version}")
    shipped = packages.read(kernels[0].path, lambda name: name.startswith(("boot/vmlinuz-", "usr/lib/modules/")))
    (image,) = [name for name in shipped if name.startswith("boot/vmlinuz-")]
    say(40, "Choosing kernel modules")
    kept = drivers(shipped)
    say(50, "Choosing firmware")
    offered: dict[str, Entry] = {}
    for deb in debs:
        if deb.name.startswith("firmware-"):
            offered |= packages.read(deb.path, lambda name: name.startswith("usr/lib/firmware/"))
    blobs, absent = firmware(offered, kept.modules.values())
    say(65, "Collecting programs and libraries")
    offered = {}
    for deb in debs:
        if not deb.name.startswith(("firmware-", "linux-image-")):
            offered |= packages.read(deb.path, _is_program_or_library)
    userland = {**_SKELETON, **programs(offered, arch), **own_files(release)}
    # What is compressed already is stored as it is: the machine unpacks only the modules and firmware that it loads.
    whole = {**kept.files, **blobs, **userland}
    stored = cpio.with_parents({name: entry for name, entry in whole.items() if name.endswith((".xz", ".zst"))})
    say(75, "Compressing the userland")
    rest = cpio.with_parents({name: entry for name, entry in whole.items() if name not in stored})
    initrd = cpio.archive(stored)
    initrd += b"\0" * (-len(initrd) % 512) + zstd(cpio.archive(rest, first_inode=len(stored) + 1))
    return Image(
        release=image.removeprefix("boot/vmlinuz-"),
        vmlinuz=shipped[image].data,
        initrd=initrd,
        modules=sorted(module.path for module in kept.modules.values()),
        firmware=sorted(name.removeprefix("usr/lib/firmware/") for name in blobs),
        missing_firmware=absent,
        warnings=kept.warnings,
    )


def _is_program_or_library(name: str) -> bool:
    # All programs: one that is kept may be a link to one with another name.
    return name.startswith(("usr/bin/", "usr/sbin/")) or (
        name.startswith(("usr/lib/", "usr/lib64/")) and ".so" in posixpath.basename(name)
    )
