"""Which kernel modules and firmware the image carries, and that the cold plug finds them for real devices' ids."""

from __future__ import annotations

import fnmatch
import lzma
import subprocess
from collections.abc import Sequence

import pytest

from tests.packaging import discovery_image
from tests.packaging.discovery_image import LIB, Unpacked

kmod = discovery_image.module("kmod")
contents = discovery_image.module("contents")


def pci(ids: str, kind: str, subsystem: str = "0000:0000") -> str:
    """A PCI device's modalias: `ids` is vendor:device, `kind` class, subclass and interface."""
    vendor, device = ids.upper().split(":")
    sub_vendor, sub_device = subsystem.upper().split(":")
    base, sub, interface = kind[:2].upper(), kind[2:4].upper(), kind[4:].upper()
    return f"pci:v0000{vendor}d0000{device}sv0000{sub_vendor}sd0000{sub_device}bc{base}sc{sub}i{interface}"


ETHERNET, SCSI, IDE, RAID, SATA, SAS, NVME = "020000", "010000", "01018A", "010400", "010601", "010700", "010802"

# device as pci.ids names it, PCI id, class, module
PHYSICAL = (
    ("Intel 82599ES 10-Gigabit SFI/SFP+", "8086:10fb", ETHERNET, "ixgbe"),
    ("Intel X550", "8086:1563", ETHERNET, "ixgbe"),
    ("Intel X710 for 10GbE SFP+", "8086:1572", ETHERNET, "i40e"),
    ("Intel XL710 for 40GbE QSFP+", "8086:1583", ETHERNET, "i40e"),
    ("Intel E810-C for QSFP", "8086:1592", ETHERNET, "ice"),
    ("Intel E810-XXV for SFP", "8086:159b", ETHERNET, "ice"),
    ("Intel I350", "8086:1521", ETHERNET, "igb"),
    ("Intel I210", "8086:1533", ETHERNET, "igb"),
    ("Intel I225-LM", "8086:15f2", ETHERNET, "igc"),
    ("Intel I226-V", "8086:125c", ETHERNET, "igc"),
    ("Intel 82574L", "8086:10d3", ETHERNET, "e1000e"),
    ("Intel I219-LM", "8086:156f", ETHERNET, "e1000e"),
    ("Intel 82540EM", "8086:100e", ETHERNET, "e1000"),
    ("Intel 82559 (8255x)", "8086:1229", ETHERNET, "e100"),
    ("Realtek RTL8111/8168/8211/8411", "10ec:8168", ETHERNET, "r8169"),
    ("Realtek RTL8125 2.5GbE", "10ec:8125", ETHERNET, "r8169"),
    ("Realtek RTL-8139", "10ec:8139", ETHERNET, "8139too"),
    ("Broadcom BCM57810 10 Gigabit", "14e4:168e", ETHERNET, "bnx2x"),
    ("Broadcom BCM5709 Gigabit", "14e4:1639", ETHERNET, "bnx2"),
    ("Broadcom BCM57416 NetXtreme-E", "14e4:16d8", ETHERNET, "bnxt_en"),
    ("Broadcom BCM57508 NetXtreme-E 100Gb", "14e4:1750", ETHERNET, "bnxt_en"),
    ("Broadcom BCM5720 Gigabit", "14e4:165f", ETHERNET, "tg3"),
    ("Broadcom BCM5719 Gigabit", "14e4:1657", ETHERNET, "tg3"),
    ("Mellanox ConnectX-3", "15b3:1003", ETHERNET, "mlx4_core"),
    ("Mellanox ConnectX-4", "15b3:1013", ETHERNET, "mlx5_core"),
    ("Mellanox ConnectX-4 Lx", "15b3:1015", ETHERNET, "mlx5_core"),
    ("Mellanox ConnectX-5", "15b3:1017", ETHERNET, "mlx5_core"),
    ("Mellanox ConnectX-6 Dx", "15b3:101d", ETHERNET, "mlx5_core"),
    ("Amazon ENA", "1d0f:ec20", ETHERNET, "ena"),
    ("Chelsio T520-CR", "1425:5401", ETHERNET, "cxgb4"),
    ("QLogic FastLinQ QL45000", "1077:1656", ETHERNET, "qede"),
    ("QLogic FastLinQ QL41000", "1077:8070", ETHERNET, "qede"),
    ("Solarflare SFC9220", "1924:0a03", ETHERNET, "sfc"),
    ("Aquantia AQC107", "1d6a:07b1", ETHERNET, "atlantic"),
    ("Emulex OneConnect (Skyhawk)", "10df:0720", ETHERNET, "be2net"),
    ("Cisco VIC Ethernet NIC", "1137:0043", ETHERNET, "enic"),
    ("Huawei Hi1822", "19e5:1822", ETHERNET, "hinic"),
    ("Marvell Yukon 88E8053", "11ab:4362", ETHERNET, "sky2"),
    ("Qualcomm Atheros Killer E220x", "1969:e091", ETHERNET, "alx"),
    ("Pensando DSC Ethernet", "1dd8:1002", ETHERNET, "ionic"),
    ("VMware VMXNET3", "15ad:07b0", ETHERNET, "vmxnet3"),
    ("Broadcom MegaRAID SAS-3 3108", "1000:005d", RAID, "megaraid_sas"),
    ("Broadcom MegaRAID 9560", "1000:10e2", RAID, "megaraid_sas"),
    ("Broadcom SAS3008 Fusion-MPT", "1000:0097", SAS, "mpt3sas"),
    ("Broadcom SAS2308 Fusion-MPT", "1000:0087", SAS, "mpt3sas"),
    ("Broadcom SAS4116 (9600)", "1000:00a5", SAS, "mpi3mr"),
    ("LSI SAS1068E", "1000:0058", SCSI, "mptsas"),
    ("LSI 53c1030 (VMware LSI Logic Parallel)", "1000:0030", SCSI, "mptspi"),
    ("Intel C610 AHCI (any AHCI controller)", "8086:8d02", SATA, "ahci"),
    ("an AHCI controller nobody has listed", "1234:5678", SATA, "ahci"),
    ("Intel 82371SB PIIX3", "8086:7010", "010180", "ata_piix"),
    ("Samsung PM983 (any NVMe controller)", "144d:a808", NVME, "nvme"),
    ("Microchip Smart Array P408i", "9005:028f", RAID, "smartpqi"),
    ("Adaptec AAC-RAID", "9005:0285", RAID, "aacraid"),
    ("Areca ARC-1880", "17d3:1880", RAID, "arcmsr"),
    ("QLogic ISP2532 8Gb Fibre Channel", "1077:2532", "0c0400", "qla2xxx"),
    ("Emulex LPe31000 Fibre Channel", "10df:e300", "0c0400", "lpfc"),
    ("VMware PVSCSI", "15ad:07c0", SCSI, "vmw_pvscsi"),
    ("Intel Volume Management Device", "8086:201d", "010400", "vmd"),
    ("any xHCI USB controller", "8086:a12f", "0c0330", "xhci_pci"),
)

OTHER_BUSES = (
    ("virtio network", "virtio:d00000001v00001AF4", "virtio_net"),
    ("virtio disk", "virtio:d00000002v00001AF4", "virtio_blk"),
    ("virtio SCSI", "virtio:d00000008v00001AF4", "virtio_scsi"),
    ("Hyper-V network", "vmbus:635161f83edfc546913ff2d2f965ed0e", "hv_netvsc"),
    ("Hyper-V storage", "vmbus:d96361baa104294db60572e2ffb1dc7f", "hv_storvsc"),
    ("Xen network", "xen:vif", "xen_netfront"),
    ("Xen disk", "xen:vbd", "xen_blkfront"),
    ("a SCSI disk", "scsi:t-0x00", "sd_mod"),
    ("a management controller", "platform:dmi-ipmi-si", "ipmi_si"),
    ("Realtek USB Ethernet", "usb:v0BDAp8153d3000dc00dsc00dp00icFFiscFFip00in00", "r8152"),
    ("a USB Ethernet of a management controller", "usb:v046Bp0000d0001dcEFdsc02dp01ic02isc06ip00in00", "cdc_ether"),
    ("a USB stick", "usb:v0781p5581d0100dc00dsc00dp00ic08isc06ip50in00", "usb_storage"),
    ("a USB keyboard", "usb:v046DpC31Cd4920dc00dsc00dp00ic03isc01ip01in00", "usbhid"),
)

# Smart Array controllers are told apart by their subsystem.
HPSA = pci("103c:3239", RAID, "103c:21c2")

DEVICES = [
    *((name, pci(ids, kind), module) for name, ids, kind, module in PHYSICAL),
    ("HP Smart Array (hpsa)", HPSA, "hpsa"),
    *OTHER_BUSES,
]

# module -> firmware it cannot do without
FIRMWARE = {
    "bnx2": ("bnx2/bnx2-mips-09-6.2.1b.fw", "bnx2/bnx2-rv2p-09-6.0.17.fw"),
    "bnx2x": ("bnx2x/bnx2x-e2-7.13.21.0.fw",),
    "cxgb4": ("cxgb4/t4fw.bin", "cxgb4/t5fw.bin", "cxgb4/t6fw.bin"),
    "ice": ("intel/ice/ddp/ice.pkg",),
    "qed": ("qed/qed_init_values_zipped-8.59.1.0.bin",),
    "qla2xxx": ("ql2500_fw.bin",),
    "r8169": ("rtl_nic/rtl8168h-2.fw", "rtl_nic/rtl8125b-2.fw"),
    "tg3": ("tigon/tg3_tso.bin",),
}


def by_alias(image: Unpacked, modalias: str) -> set[str]:
    """What modules.alias says, matched here: independent of the tables our cold plug reads."""
    found: set[str] = set()
    for line in (image.modules / "modules.alias").read_text().splitlines():
        _, pattern, module = line.split()
        if fnmatch.fnmatchcase(modalias, pattern):
            found.add(module)
    return found


def cold_plug(image: Unpacked, modaliases: Sequence[str]) -> list[tuple[str, str]]:
    """What the image's own cold plug answers under its own busybox: (group, module) in order."""
    done = subprocess.run(
        [str(image.busybox), "awk", "-v", f"maps={image.modules}/map", "-f", str(LIB / "coldplug.awk")],
        input="\n".join(modaliases) + "\n", capture_output=True, text=True, check=True,
    )  # fmt: skip
    return [(group, module) for group, module in (line.split() for line in done.stdout.splitlines())]


@pytest.mark.parametrize(("name", "modalias", "module"), DEVICES, ids=[device[0] for device in DEVICES])
def test_device_finds_its_driver(image: Unpacked, name: str, modalias: str, module: str) -> None:
    assert module in by_alias(image, modalias), name


def test_cold_plug_finds_what_the_aliases_say(image: Unpacked) -> None:
    aliases = [modalias for _, modalias, _ in DEVICES]
    expected = set().union(*(by_alias(image, modalias) for modalias in aliases))
    assert {module for _, module in cold_plug(image, aliases)} == expected


def test_cold_plug_groups(image: Unpacked) -> None:
    groups = {module: group for group, module in cold_plug(image, [modalias for _, modalias, _ in DEVICES])}
    expected = {
        "ixgbe": "net", "virtio_net": "net", "nvme": "disk", "megaraid_sas": "disk", "mptspi": "disk", "vmd": "bus",
        "xhci_pci": "rest", "usbhid": "rest", "ipmi_si": "bmc",
    }  # fmt: skip
    assert {module: groups[module] for module in expected} == expected


@pytest.mark.parametrize("modalias", ["", "pci", "pci:", "nonsense:x", "pci:v0000FFFFd0000FFFFsv0sd0bc00sc00i00"])
def test_unknown_devices_are_left_alone(image: Unpacked, modalias: str) -> None:
    assert cold_plug(image, [modalias]) == []


def test_every_module_is_as_signed_by_debian(image: Unpacked) -> None:
    paths = list(image.modules.rglob("*.ko*"))
    assert len(paths) == len(image.manifest["modules"]) > 350
    for path in paths:
        data = path.read_bytes()
        plain = lzma.decompress(data) if path.suffix == ".xz" else data
        assert plain.endswith(b"~Module signature appended~\n"), path.name
    assert image.manifest["warnings"] == []


def test_dependencies_are_there_and_come_first(image: Unpacked) -> None:
    lines = [line.split(":") for line in (image.modules / "modules.dep").read_text().splitlines()]
    needs = {path: files.split() for path, files in lines}
    for path, files in needs.items():
        assert (image.modules / path).is_file()
        # What a dependency needs itself stands behind it: modprobe loads from the end.
        for index, file in enumerate(files):
            assert set(needs[file]) <= set(files[index + 1 :]), path


def test_drivers_that_ask_for_algorithms_find_them(image: Unpacked) -> None:
    """libcrc32c, which bnx2x needs, asks for crc32c by name, which no dependency of a module shows."""
    lines = (image.modules / "modules.dep").read_text().splitlines()
    (line,) = [line for line in lines if "/bnx2x.ko" in line.split(":")[0]]
    assert "crypto/crc32c_generic.ko" in line


@pytest.mark.parametrize("module", sorted(FIRMWARE))
def test_firmware_is_there(image: Unpacked, module: str) -> None:
    assert any(path.endswith(f"/{module}.ko.xz") for path in image.manifest["modules"])
    for name in FIRMWARE[module]:
        # The kernel opens NAME.xz and follows links.
        path = image.tree / "usr/lib/firmware" / (name + ".xz")
        assert path.is_file(), name
        assert lzma.decompress(path.read_bytes())


def test_firmware_the_kernel_cannot_check_is_not_packed(image: Unpacked) -> None:
    """The kernel's decoder reads CRC32 (1) and no other check (xz format 1.2.0, section 2.1.1.2)."""
    for path in (image.tree / "usr/lib/firmware").rglob("*.xz"):
        if not path.is_symlink():
            assert path.read_bytes()[6:8] == b"\x00\x01", path.name


def test_image_stays_small(image: Unpacked) -> None:
    assert image.manifest["files"]["initrd.img"]["size"] <= 45_000_000


def test_tasks_have_their_programs(image: Unpacked) -> None:
    """What is run by name, here or by what Bootcart asks of a machine."""
    wanted = {"dropbear", "efibootmgr", "ipmitool", "kexec", "nvme", "sgdisk", "smartctl", "socat", "wipefs", "zstd"}
    there = {path.name for path in (image.tree / "usr").glob("*bin/*")}
    assert wanted - there == set()


def test_applets_exist_in_this_busybox(image: Unpacked) -> None:
    listed = subprocess.run([str(image.busybox), "--list"], capture_output=True, text=True, check=True).stdout.split()
    assert set(contents.APPLETS) - set(listed) == set()


# --- indexes ---------------------------------------------------------------------------------------------------------


def module(name: str, depends: str = "", before: str = "", aliases: str = "") -> object:
    words = (tuple(text.split()) for text in (depends, before, aliases))
    return kmod.Module(name, f"kernel/{name}.ko", True, *words, ())


def test_dependencies_deepest_last_whatever_the_shape() -> None:
    modules = {
        "a": module("a", "b c"), "b": module("b", "d"), "c": module("c", "d", before="crc"), "d": module("d"),
        "crc_generic": module("crc_generic", aliases="crc"), "loop": module("loop", before="pool"),
        "pool": module("pool", before="loop"),
    }  # fmt: skip
    assert kmod.needed_by(modules, "a") == ["c", "crc_generic", "b", "d"]
    assert kmod.needed_by(modules, "d") == []
    assert kmod.needed_by(modules, "loop") == ["pool"]


def test_device_map_lines() -> None:
    modules = [module("x", aliases="pci:v1d*sv* usb:v2p?d[0-3]* fs-thing"), module("y", aliases="pci:v1d2sv*")]
    assert kmod.device_maps(modules, {"x": "net", "y": "disk"}) == {
        "pci": "7 10\npci:v1d\tpci:v1d*sv*\tx\tnet\npci:v1d2sv\tpci:v1d2sv*\ty\tdisk\n",
        "usb": "7\nusb:v2p\tusb:v2p?d[0-3]*\tx\tnet\n",
    }
