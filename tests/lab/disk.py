"""A disk with a small system on it that starts by itself and asks for an address, as an installed one does."""

from __future__ import annotations

import subprocess
from pathlib import Path

from app.config import SYSTEM_ARTEFACTS

MEBIBYTES = 128
WORDS = "a system from the disk runs"
_INIT = f"""#!/bin/sh
export PATH=/usr/sbin:/usr/bin
mount -t proc proc /proc
mount -t sysfs sysfs /sys
mount -t devtmpfs dev /dev
echo "{WORDS}" >/dev/ttyS0
modprobe -a virtio_pci virtio_net af_packet
ip link set eth0 up
udhcpc -f -i eth0 -s /bin/true
"""
# iPXE is the loader on this disk and reads this beside itself. It starts a kernel only beside an open card; that asks
# nobody for anything.
_AUTOEXEC = """#!ipxe
ifopen net0
kernel file:/vmlinuz initrd=initrd.img console=ttyS0,115200 quiet no_timer_check rdinit=/disk-init
initrd --name initrd.img file:/initrd.img
boot
"""


# As an installed Debian has it, in miniature: its GRUB reads this beside itself on the EFI system partition.
_GRUB = """search --no-floppy --set=root --file /vmlinuz
linux /vmlinuz console=ttyS0,115200 quiet no_timer_check rdinit=/disk-init
initrd /initrd.img
boot
"""


def write(folder: Path, signed_grub: Path | None = None) -> Path:
    """Make a UEFI x64 disk of MEBIBYTES in a new folder, from the discovery system with a first process of its own.

    Where Debian's signed GRUB is given, the disk starts by shim and that, and Secure Boot has nothing against it.
    """
    folder.mkdir()
    image = folder / "disk.raw"
    init = folder / "disk-init"
    init.write_text(_INIT)
    init.chmod(0o755)
    archive = subprocess.run(
        ["cpio", "--quiet", "-o", "-H", "newc"], input=b"disk-init\n", cwd=folder, capture_output=True, check=True
    )
    discovery = SYSTEM_ARTEFACTS / "discovery" / "amd64"
    (folder / "initrd.img").write_bytes(archive.stdout + (discovery / "initrd.img").read_bytes())
    (folder / "autoexec.ipxe").write_text(_AUTOEXEC)
    with image.open("wb") as file:
        file.truncate(MEBIBYTES << 20)
    table = "label: dos\nstart=2048, type=ef\n"
    subprocess.run(["sfdisk", "--quiet", str(image)], input=table, text=True, capture_output=True, check=True)
    place = f"{image}@@{2048 * 512}"
    loaders = SYSTEM_ARTEFACTS / "loaders"
    files: dict[str, Path] = {"vmlinuz": discovery / "vmlinuz", "initrd.img": folder / "initrd.img"}
    if signed_grub is None:
        files |= {"EFI/BOOT/BOOTX64.EFI": loaders / "ipxe.efi", "autoexec.ipxe": folder / "autoexec.ipxe"}
        files["EFI/BOOT/autoexec.ipxe"] = folder / "autoexec.ipxe"
    else:
        (folder / "grub.cfg").write_text(_GRUB)
        files |= {"EFI/BOOT/BOOTX64.EFI": loaders / "shimx64.efi", "EFI/debian/shimx64.efi": loaders / "shimx64.efi"}
        for home in ("EFI/BOOT", "EFI/debian"):
            files |= {f"{home}/grubx64.efi": signed_grub}
        files["EFI/debian/grub.cfg"] = folder / "grub.cfg"
    _tool("mformat", place, "-T", str((MEBIBYTES << 11) - 2048), "-h", "64", "-s", "32", "::")
    _tool("mmd", place, "::/EFI", "::/EFI/BOOT", "::/EFI/debian")
    for path, source in files.items():
        _tool("mcopy", place, str(source), f"::/{path}")
    return image


def _tool(name: str, place: str, *words: str) -> None:
    subprocess.run([name, "-i", place, *words], capture_output=True, check=True)
