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


def write(folder: Path) -> Path:
    """Make a UEFI x64 disk of MEBIBYTES in a new folder, from the discovery system with a first process of its own."""
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
    loader = SYSTEM_ARTEFACTS / "loaders" / "ipxe.efi"
    for words in (
        ["mformat", "-i", place, "-T", str((MEBIBYTES << 11) - 2048), "-h", "64", "-s", "32", "::"],
        ["mmd", "-i", place, "::/EFI", "::/EFI/BOOT"],
        ["mcopy", "-i", place, loader, "::/EFI/BOOT/BOOTX64.EFI"],
        ["mcopy", "-i", place, discovery / "vmlinuz", folder / "initrd.img", folder / "autoexec.ipxe", "::/"],
        ["mcopy", "-i", place, folder / "autoexec.ipxe", "::/EFI/BOOT/"],
    ):
        subprocess.run([str(word) for word in words], capture_output=True, check=True)
    return image
