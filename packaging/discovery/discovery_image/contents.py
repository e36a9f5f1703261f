"""What goes into the discovery system: programs, kernel modules, firmware packages."""

from __future__ import annotations

import fnmatch

# The generic signed kernel: the cloud flavour has no drivers for real machines.
KERNEL = {"amd64": "linux-image-amd64", "arm64": "linux-image-arm64"}

PACKAGES = (
    "busybox-static", "curl", "dmidecode", "dropbear-bin", "efibootmgr", "ethtool", "fdisk", "gdisk", "ipmitool",
    "iproute2", "kexec-tools", "lshw", "nvme-cli", "smartmontools", "socat", "util-linux", "zstd",
)  # fmt: skip

# A package a mirror does not offer is a warning in the manifest: only machines with that device miss it.
FIRMWARE_PACKAGES = (
    "firmware-bnx2", "firmware-bnx2x", "firmware-cavium", "firmware-intel-misc", "firmware-linux-free",
    "firmware-misc-nonfree", "firmware-myricom", "firmware-netronome", "firmware-netxen", "firmware-qlogic",
    "firmware-realtek",
)  # fmt: skip

PROGRAMS = (
    "usr/bin/curl", "usr/bin/dropbearkey", "usr/bin/efibootmgr", "usr/bin/ip", "usr/bin/ipmitool", "usr/bin/lsblk",
    "usr/bin/lshw", "usr/bin/socat", "usr/bin/zstd", "usr/sbin/blkid", "usr/sbin/dmidecode", "usr/sbin/dropbear",
    "usr/sbin/ethtool", "usr/sbin/kexec", "usr/sbin/nvme", "usr/sbin/sfdisk", "usr/sbin/sgdisk", "usr/sbin/smartctl",
    "usr/sbin/wipefs",
)  # fmt: skip

# Libraries that are opened by name at run time, so that no file lists them as needed.
OPENED = ("libgcc_s.so.1",)

# busybox's own names; a program of PROGRAMS comes first on PATH for what both have.
APPLETS = (
    "[", "ash", "awk", "basename", "blkdiscard", "blockdev", "cat", "chmod", "chroot", "chvt", "clear", "cmp", "cp",
    "cpio", "cttyhack", "cut", "date", "dd", "df", "dirname", "dmesg", "du", "echo", "env", "expr", "false", "fdisk",
    "find", "free", "grep", "gunzip", "gzip", "halt", "head", "hexdump", "hostname", "hwclock", "id", "insmod", "kill",
    "killall", "less", "ln", "login", "losetup", "ls", "lsmod", "md5sum", "mkdir", "mkfifo", "mknod", "mktemp",
    "modinfo", "modprobe", "more", "mount", "mv", "nproc", "nslookup", "od", "partprobe", "pidof", "ping",
    "poweroff", "printf", "ps", "pwd", "readlink", "realpath", "reboot", "renice", "rm", "rmdir", "rmmod", "sed", "seq",
    "setsid", "sh", "sha256sum", "sleep", "sort", "stat", "strings", "stty", "sync", "sysctl", "tail", "tar", "tee",
    "test", "tftp", "time", "timeout", "top", "touch", "tr", "true", "udhcpc", "umount", "uname", "uniq", "uptime",
    "usleep", "vi", "watch", "wc", "wget", "which", "xargs", "xz", "xzcat", "zcat",
)  # fmt: skip

# Which modules are kept, by path below kernel/; what these need comes along. First match decides; "-" leaves out.
MODULES = (
    "-*/mellanox/mlxsw/*", "-*/prestera/*", "-*/pcmcia/*", "-*_cs.ko*", "-*/8390/ne.ko*", "-*/smc91*",
    "drivers/net/ethernet/*", "drivers/net/phy/*", "drivers/net/mdio/*", "drivers/net/pcs/*", "drivers/net/hyperv/*",
    "drivers/net/vmxnet3/*", "drivers/net/virtio_net.ko*", "drivers/net/xen-netfront.ko*",
    "drivers/net/usb/r815*", "drivers/net/usb/cdc_ether.ko*", "drivers/net/usb/cdc_ncm.ko*",
    "drivers/net/usb/rndis_host.ko*", "drivers/net/usb/ax8817*", "drivers/net/usb/asix.ko*",
    "drivers/net/usb/smsc*", "drivers/net/usb/lan78xx.ko*", "drivers/net/usb/aqc111.ko*",
    "-drivers/scsi/scsi_debug.ko*", "-drivers/scsi/fcoe/*", "-drivers/scsi/sg.ko*", "-drivers/scsi/st.ko*",
    "-drivers/scsi/ch.ko*", "-drivers/scsi/osst.ko*", "drivers/scsi/*",
    "-*/pata_isapnp.ko*", "-*/pata_legacy.ko*", "drivers/ata/*", "drivers/message/*",
    "drivers/nvme/host/nvme.ko*", "drivers/block/virtio_blk.ko*", "drivers/block/xen-blkfront.ko*",
    "drivers/block/mtip32xx/*", "drivers/mmc/*",
    "drivers/hv/*", "drivers/virtio/virtio_mmio.ko*", "drivers/virtio/virtio_pci*", "drivers/pci/controller/*",
    "drivers/usb/host/*", "drivers/usb/storage/*", "drivers/usb/dwc*", "drivers/usb/chipidea/*",
    "drivers/hid/usbhid/usbhid.ko*", "drivers/hid/hid-generic.ko*", "drivers/hid/hid-hyperv.ko*",
    "drivers/input/serio/hyperv-keyboard.ko*", "drivers/phy/*",
    "drivers/char/hw_random/virtio-rng.ko*", "fs/efivarfs/*",
    "drivers/char/ipmi/ipmi_si.ko*", "drivers/char/ipmi/ipmi_ssif.ko*", "drivers/char/ipmi/ipmi_devintf.ko*",
    # libcrc32c (bnx2x and others) and t10-pi ask the kernel for these by algorithm, not by module.
    "crypto/crc*",
)  # fmt: skip

# Cold plug loads by group: what other devices hang on, network, storage, management controllers, the rest.
GROUPS = (
    ("bus", ("drivers/hv/hv_vmbus*", "drivers/pci/controller/*", "drivers/virtio/*", "drivers/phy/*")),
    ("net", ("drivers/net/*",)),
    ("disk", tuple(f"drivers/{kind}/*" for kind in ("scsi", "ata", "message", "nvme", "block", "mmc"))),
    ("bmc", ("drivers/char/ipmi/*",)),
)


def wanted(path: str) -> bool:
    """Whether a module (path below `kernel/`) is one we keep for its own sake."""
    for pattern in MODULES:
        if fnmatch.fnmatchcase(path, pattern.removeprefix("-")):
            return not pattern.startswith("-")
    return False


def group(path: str) -> str:
    """The cold plug group of a module (path below `kernel/`)."""
    for name, patterns in GROUPS:
        if any(fnmatch.fnmatchcase(path, pattern) for pattern in patterns):
            return name
    return "rest"
