"""What is answered: every firmware, every reason to give nothing."""

from __future__ import annotations

from ipaddress import IPv4Address
from typing import Any

import pytest

from app.model.bootenv import BootTemplate
from app.model.machine import LoaderChoice
from app.model.subnet import Reservation, SubnetMode
from app.netboot.decide import Decision, Withheld, decide
from app.netboot.firmware import classify
from app.netboot.wire import options as opt
from app.netboot.wire.pxe import LOCAL_BOOT, PXE_CLIENT, RASPBERRY_PI_OPTIONS, USE_THIS_FILE
from tests.netboot.dhcpworld import MAC, SERVER, World, ipxe, machine, pxe, request, subnet

SCRIPT = "http://10.7.0.1:8090/boot/52-54-00-00-00-07.ipxe"
PI = "dc:a6:32:00:00:07"


def answer(options: dict[int, bytes], world: World | None = None, mac: str = MAC, **changes: Any) -> Decision:
    world = world or World()
    return decide(classify(request(mac=mac, options=options)), mac, world, world.nets[0], SERVER, 8090, **changes)


FILES = [
    ("P01 BIOS", pxe(0), "undionly.kpxe", b""),
    ("P02 UEFI x64", pxe(7), "ipxe.efi", b""),
    ("P03 UEFI x64 as EBC", pxe(9), "ipxe.efi", b""),
    ("P04 UEFI arm64", pxe(11), "ipxe-arm64.efi", b""),
    ("P07 HTTP x64", pxe(16, kind="HTTPClient"), "http://10.7.0.1:8090/ipxe.efi", b"HTTPClient"),
    ("P08 HTTP arm64", pxe(19, kind="HTTPClient"), "http://10.7.0.1:8090/ipxe-arm64.efi", b"HTTPClient"),
    ("P11 iPXE on BIOS", ipxe(0), SCRIPT, b""),
    ("P11 iPXE on UEFI", ipxe(7), SCRIPT, b""),
    ("P11 iPXE on unknown firmware", ipxe(0xFF), SCRIPT, b""),
    ("P12 iPXE length-prefixed", ipxe(7, user_class=b"\x04iPXE"), SCRIPT, b""),
    ("iPXE without its feature list", ipxe(7, features=b""), SCRIPT, b""),
    ("iPXE in HTTP firmware", {**ipxe(16), opt.VENDOR_CLASS: b"HTTPClient:Arch:00016"}, SCRIPT, b"HTTPClient"),
    ("iPXE that cannot do HTTP", ipxe(0, features=b"\x15\x01\x01"), "undionly.kpxe", b""),
    ("P14 no architecture", pxe(None), "undionly.kpxe", b""),
    ("P15 several types", {**pxe(7), opt.ARCHITECTURE: b"\x00\x06\x00\x09"}, "ipxe.efi", b""),
]


@pytest.mark.parametrize(("name", "options", "bootfile", "vendor_class"), FILES, ids=[case[0] for case in FILES])
def test_boot_files(name: str, options: dict[int, bytes], bootfile: str, vendor_class: bytes) -> None:
    found = answer(options)

    assert (found.bootfile, found.vendor_class, found.vendor_options) == (bootfile, vendor_class, b"")
    assert (found.next_server, found.reason, found.bootenv) == (SERVER, Withheld.NONE, "discovery")
    assert found.why


@pytest.mark.parametrize("arch", [1, 6, 10, 12, 15, 18, 23, 25, 31, 33, 37, 0xFF])
def test_p05_p06_p16_others_are_named_and_left_alone(arch: int) -> None:
    found = answer(pxe(arch))

    assert (found.bootfile, found.reason) == ("", Withheld.UNSUPPORTED_ARCH)
    assert "no boot loader for" in found.why


def test_http_firmware_that_names_no_type_gets_no_bios_file() -> None:
    assert answer(pxe(None, kind="HTTPClient")).reason is Withheld.UNSUPPORTED_ARCH
    assert answer(pxe(0, kind="HTTPClient")).reason is Withheld.UNSUPPORTED_ARCH


LOCAL = machine(bootenv="local")
SENT_HOME: list[tuple[str, World, Withheld, str]] = [
    ("assigned local", World(machines=[LOCAL]), Withheld.LOCAL, "assigned"),
    ("known machine, default is local", World(machines=[machine()]), Withheld.LOCAL, "default"),
    ("unknown machines get local", World(prefs={"unknown-bootenv": "local"}), Withheld.LOCAL, "nobody has named"),
]
REASONS: list[tuple[str, World, Withheld, str]] = [
    ("ignore", World(machines=[machine(bootenv="ignore")]), Withheld.IGNORE, "assigned"),
    ("held", World(machines=[machine(bootenv="debian-12", held=True)]), Withheld.HELD, "node-07 is held"),
    ("unknown machines get nothing", World(prefs={"unknown-bootenv": ""}), Withheld.NO_BOOTENV, "nothing"),
    ("holding", World(hold=True), Withheld.HOLDING, "on hold"),
    ("unmanaged", World(nets=[subnet(mode=SubnetMode.UNMANAGED)]), Withheld.UNMANAGED, "addresses only"),
    ("off", World(nets=[subnet(mode=SubnetMode.OFF)]), Withheld.SUBNET_OFF, "off"),
    ("disabled", World(nets=[subnet(enabled=False)]), Withheld.SUBNET_OFF, "off"),
    (
        "never boot",
        World(reserved=[Reservation(address=IPv4Address("10.7.0.50"), mac=MAC, never_boot=True)]),
        Withheld.NEVER_BOOT,
        "never",
    ),
]


@pytest.mark.parametrize(
    "options", [pxe(0), pxe(7), pxe(16, kind="HTTPClient"), ipxe(7)], ids=["bios", "uefi", "http", "ipxe"]
)
@pytest.mark.parametrize(("name", "world", "reason", "words"), REASONS, ids=[case[0] for case in REASONS])
def test_reasons_to_give_nothing(
    name: str, world: World, reason: Withheld, words: str, options: dict[int, bytes]
) -> None:
    found = answer(options, world)

    # UEFI firmware that is to boot its disk is told so in a menu; everything else hears nothing.
    menu = options == pxe(7) and reason in (Withheld.HELD, Withheld.NEVER_BOOT)
    assert (found.bootfile, found.reason) == ("", reason)
    assert (found.vendor_class, found.vendor_options) == ((PXE_CLIENT, LOCAL_BOOT) if menu else (b"", b""))
    assert words in found.why


@pytest.mark.parametrize(
    ("options", "menu"), [(pxe(0), b""), (pxe(7), LOCAL_BOOT), (ipxe(0), b"")], ids=["bios", "uefi", "ipxe"]
)
@pytest.mark.parametrize(("name", "world", "reason", "words"), SENT_HOME, ids=[case[0] for case in SENT_HOME])
def test_local_withholds_the_boot_file(
    name: str, world: World, reason: Withheld, words: str, options: dict[int, bytes], menu: bytes
) -> None:
    found = answer(options, world)

    assert (found.bootfile, found.reason, found.vendor_options) == ("", reason, menu), name
    assert words in found.why


@pytest.mark.parametrize("options", [pxe(16, kind="HTTPClient"), ipxe(7)], ids=["http", "ipxe"])
def test_local_under_uefi_is_a_script_where_silence_would_be_asked_again(options: dict[int, bytes]) -> None:
    found = answer(options, World(machines=[LOCAL]))

    assert (found.bootenv, found.reason) == ("local", Withheld.NONE)
    assert found.bootfile.startswith("http://")


def test_p13_an_operating_system_gets_no_boot_information() -> None:
    assert answer({opt.VENDOR_CLASS: b"udhcp 1.35.0"}) == Decision(
        "it asks for an address, not for something to boot", reason=Withheld.NOT_BOOTING
    )


@pytest.mark.parametrize(
    ("name", "world", "bootenv"),
    [
        ("assigned", World(machines=[machine(bootenv="debian-12")]), "debian-12"),
        ("seen only", World(machines=[machine(registered=False)]), "discovery"),
        ("seen only, assigned", World(machines=[machine(registered=False, bootenv="debian-12")]), "debian-12"),
        ("default", World(machines=[machine()], prefs={"default-bootenv": "debian-12"}), "debian-12"),
        ("one that is gone: the script says so", World(machines=[machine(bootenv="gone")]), "gone"),
    ],
)
def test_which_boot_environment(name: str, world: World, bootenv: str) -> None:
    found = answer(pxe(7), world)

    assert (found.bootenv, found.bootfile) == (bootenv, "ipxe.efi")


def test_preferences_choose_the_loader() -> None:
    world = World(prefs={"loader-bios": "ipxe.pxe", "loader-uefi": "snponly.efi"})

    assert answer(pxe(0), world).bootfile == "ipxe.pxe"
    assert answer(pxe(7), world).bootfile == "snponly.efi"
    shim = World(prefs={"loader-uefi": "shimx64.efi"})
    assert answer(pxe(7), shim).bootfile == "shimx64.efi"
    assert answer(pxe(16, kind="HTTPClient"), shim).bootfile == "http://10.7.0.1:8090/shimx64.efi"
    assert answer(ipxe(7), shim).bootfile == SCRIPT
    assert answer(pxe(16, kind="HTTPClient"), world).bootfile == "http://10.7.0.1:8090/snponly.efi"


def test_p05_32_bit_uefi_gets_a_loader_once_one_is_named() -> None:
    assert answer(pxe(6)).reason is Withheld.UNSUPPORTED_ARCH
    world = World(prefs={"loader-ia32": "ipxe-ia32.efi"})

    assert answer(pxe(6), world).bootfile == "ipxe-ia32.efi"
    assert answer(pxe(15, kind="HTTPClient"), world).bootfile == "http://10.7.0.1:8090/ipxe-ia32.efi"


def test_another_boot_server() -> None:
    world = World(nets=[subnet(next_server=IPv4Address("10.9.9.9"))])

    assert answer(pxe(7), world).next_server == IPv4Address("10.9.9.9")
    assert answer(ipxe(7), world).bootfile == "http://10.9.9.9:8090/boot/52-54-00-00-00-07.ipxe"


def test_without_an_ethernet_address_the_script_is_found_by_who_asks() -> None:
    assert answer(ipxe(7), mac="").bootfile == "http://10.7.0.1:8090/autoexec.ipxe"


def grub_world(**changes: Any) -> World:
    world = World(**changes)
    grub = (BootTemplate(name="grub", path="grub.cfg", source="grub.j2"),)
    world.envs["discovery"] = world.envs["discovery"].model_copy(update={"templates": grub})
    return world


LOADERS = [
    ("shim", pxe(7), "shimx64.efi"),
    ("shim", pxe(16, kind="HTTPClient"), "http://10.7.0.1:8090/shimx64.efi"),
    ("shim", pxe(0), "undionly.kpxe"),
    ("shim", ipxe(7), SCRIPT),
    ("snponly", pxe(7), "snponly.efi"),
    ("snponly", pxe(11), "snponly-arm64.efi"),
    ("ipxe", pxe(0), "ipxe.pxe"),
    ("grub", pxe(7), "grubx64.efi"),
    ("auto", pxe(7), "ipxe.efi"),
]


@pytest.mark.parametrize(("choice", "options", "bootfile"), LOADERS)
def test_the_loader_that_suits_and_the_one_that_is_set(choice: str, options: dict[int, bytes], bootfile: str) -> None:
    loader = LoaderChoice(choice)
    found = answer(options, grub_world(), suited=lambda mac, arch: loader)
    own = machine(loader=loader, bootenv="discovery")
    chosen = answer(options, grub_world(machines=[own]), suited=lambda mac, arch: LoaderChoice.GRUB)

    assert found.bootfile == bootfile
    if choice != "auto":
        assert chosen.bootfile == bootfile
        assert (f"{choice} is set for node-07" in chosen.why) is (options != ipxe(7))
    else:
        assert chosen.bootfile == "grubx64.efi"


def test_what_is_found_to_suit_is_not_given_without_a_script_for_grub_but_what_is_set_is() -> None:
    assert answer(pxe(7), suited=lambda mac, arch: LoaderChoice.SHIM).bootfile == "ipxe.efi"
    assert answer(pxe(7), suited=lambda mac, arch: LoaderChoice.SNPONLY).bootfile == "snponly.efi"


def test_where_ipxes_own_shim_is_chosen_no_script_for_grub_is_needed() -> None:
    world = World(prefs={"loader-signed": "ipxe"})

    def signed(arch: int, kind: str = "PXEClient:Arch") -> str:
        return answer(pxe(arch, kind=kind), world, suited=lambda _, __: LoaderChoice.SHIM).bootfile

    assert signed(7) == "signed-ipxe/amd64/ipxe-shimx64.efi"
    assert signed(19, "HTTPClient:Arch") == "http://10.7.0.1:8090/signed-ipxe/arm64/ipxe-shimaa64.efi"
    world.machines = [machine(bootenv="discovery", loader=LoaderChoice.SHIM)]
    assert answer(pxe(11), world).bootfile == "signed-ipxe/arm64/ipxe-shimaa64.efi"
    own = World(machines=[machine(loader=LoaderChoice.SHIM, bootenv="discovery")])
    assert answer(pxe(7), own).bootfile == "shimx64.efi"


def test_what_no_kind_of_firmware_has_is_said() -> None:
    own = World(machines=[machine(loader=LoaderChoice.SHIM, bootenv="discovery")])

    assert "shim is set for node-07 and not made for it" in answer(pxe(0), own).why


@pytest.mark.parametrize("proxy", [False, True])
def test_p19_x15_raspberry_pi(proxy: bool) -> None:
    options = {**pxe(0), opt.VENDOR_CLASS: b"PXEClient:Arch:00000:UNDI:002001"}
    found = answer(options, mac=PI, proxy=proxy)

    assert (found.vendor_class, found.vendor_options) == (b"PXEClient", RASPBERRY_PI_OPTIONS)


@pytest.mark.parametrize(
    ("name", "options", "vendor_class", "vendor_options"),
    [
        ("X04 BIOS", pxe(0), b"PXEClient", USE_THIS_FILE),
        ("X10 UEFI", pxe(7), b"PXEClient", b""),
        ("X11 HTTP", pxe(16, kind="HTTPClient"), b"HTTPClient", b""),
        ("X12 iPXE", ipxe(0), b"PXEClient", b""),
    ],
)
def test_beside_another_server(
    name: str, options: dict[int, bytes], vendor_class: bytes, vendor_options: bytes
) -> None:
    found = answer(options, proxy=True)

    assert (found.vendor_class, found.vendor_options) == (vendor_class, vendor_options)
    assert found.bootfile == answer(options).bootfile
