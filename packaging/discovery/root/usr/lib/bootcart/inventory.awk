# Builds the JSON of `inventory` from its facts and the files below SYS and PROC (names of the fields: Bootcart's
# Inventory model). Follows json.awk.

function first(path,    line) {
    line = ""
    if ((getline line < path) <= 0) line = ""
    close(path)
    return trimmed(line)
}

function id(name) {
    return first(ENVIRON["SYS"] "/class/dmi/id/" name)
}

function setting(path, key,    line, found) {
    found = ""
    while ((getline line < path) > 0)
        if (index(line, key "=") == 1) found = substr(line, length(key) + 2)
    close(path)
    return trimmed(found)
}

# A fact that a probe has found, JSON already; empty where it did not, or not yet.
function probed(name) {
    return first(ENVIRON["PROBES"] "/" name)
}

function comma(list, item) {
    return list == "" ? item : list ", " item
}

function joined(a, b) {
    return a == "" || b == "" || index(b, a) == 1 ? (b == "" ? a : b) : a " " b
}

# value, text: an object's members so far and one more; the value is JSON already, the text is quoted here.
function value(members, name, json) {
    return comma(members, "\"" name "\": " json)
}

function text(members, name, raw) {
    return value(members, name, quoted(raw))
}

function optional(members, name, json) {
    return json == "" ? members : value(members, name, json)
}

# SMBIOS 3.7, table 17 (type 3, offset 05h); the top bit is the lock.
function chassis(number,    names, words, word) {
    if (number !~ /^[0-9]+$/) return ""
    names = "other unknown desktop low-profile-desktop pizza-box mini-tower tower portable laptop notebook hand-held" \
        " docking-station all-in-one sub-notebook space-saving lunch-box main-server expansion sub-chassis" \
        " bus-expansion peripheral raid rack-mount sealed-case multi-system compact-pci advanced-tca blade" \
        " blade-enclosure tablet convertible detachable iot-gateway embedded mini stick"
    split(names, words, " ")
    word = words[number % 128]
    gsub(/-/, " ", word)
    return word
}

function system_(    tree, members) {
    tree = ENVIRON["SYS"] "/firmware/devicetree/base/"
    product = id("product_name")
    serial = id("product_serial")
    # Boards without SMBIOS describe themselves in the device tree.
    if (product == "") product = first(tree "model")
    if (serial == "") serial = first(tree "serial-number")
    members = text("", "manufacturer", id("sys_vendor"))
    members = text(members, "product", product)
    members = text(members, "serial", serial)
    members = text(members, "uuid", tolower(id("product_uuid")))
    members = text(members, "board", joined(id("board_vendor"), id("board_name")))
    members = text(members, "chassis", chassis(id("chassis_type")))
    members = text(members, "bios_vendor", id("bios_vendor"))
    members = text(members, "bios_version", id("bios_version"))
    members = text(members, "bios_date", id("bios_date"))
    return "{" members "}"
}

# Management controllers show a USB interface whose address is the same in every machine of a model: it identifies only
# a machine that booted from it.
function identifies(mac, base, boot) {
    if (mac == "" || mac == "00:00:00:00:00:00") return 0
    return boot || setting(base "device/uevent", "DEVTYPE") != "usb_interface"
}

function nic(name,    base, mac, speed, pci, model, boot, members) {
    base = ENVIRON["SYS"] "/class/net/" name "/"
    mac = first(base "address")
    # A virtio device hangs below its PCI function; other devices are it.
    pci = setting(base "device/uevent", "PCI_SLOT_NAME")
    if (pci == "") pci = setting(base "device/../uevent", "PCI_SLOT_NAME")
    model = setting(base "device/uevent", "PCI_ID")
    if (model == "") model = setting(base "device/../uevent", "PCI_ID")
    speed = first(base "speed")
    if (speed !~ /^[0-9]+$/ || speed > 4000000) speed = 0
    boot = mac != "" && tolower(mac) == tolower(ENVIRON["BOOT_MAC"])
    if (identifies(mac, base, boot)) {
        macs = comma(macs, quoted(mac))
        if (boot || boot_mac == "") boot_mac = mac
    }
    members = text("", "name", name)
    members = text(members, "mac", mac)
    members = text(members, "driver", setting(base "device/uevent", "DRIVER"))
    members = value(members, "link", first(base "carrier") == "1" ? "true" : "false")
    members = value(members, "speed", speed)
    members = text(members, "address", address[name])
    members = text(members, "pci", pci)
    members = optional(members, "model", model == "" ? "" : quoted(tolower(model)))
    members = value(members, "boot", boot ? "true" : "false")
    members = optional(members, "neighbour", probed("lldp." name))
    return "{" members "}"
}

function transport(name, path) {
    if (name ~ /^nvme/) return "nvme"
    if (name ~ /^mmcblk/) return "mmc"
    if (path ~ /\/usb[0-9]/) return "usb"
    if (path ~ /\/ata[0-9]/) return "sata"
    if (path ~ /\/end_device-/) return "sas"
    if (path ~ /\/rport-/) return "fc"
    if (path ~ /\/session[0-9]/) return "iscsi"
    if (path ~ /\/virtio[0-9]/) return "virtio"
    if (path ~ /\/vbd-/ || name ~ /^xvd/) return "xen"
    return path ~ /\/target[0-9]/ ? "scsi" : ""
}

function disk(name, path, serial,    base, kind, size, model, vendor, wwn, members) {
    base = ENVIRON["SYS"] "/block/" name "/"
    kind = transport(name, path)
    size = first(base "size")
    if (first(base "hidden") == "1" || (size + 0 == 0 && first(base "removable") == "1")) return ""
    model = first(base "device/model")
    if (model == "") model = first(base "device/name")
    vendor = first(base "device/vendor")
    if (vendor != "ATA" && vendor !~ /^0x/) model = joined(vendor, model)
    if (serial == "") serial = first(base "device/serial")
    if (serial == "") serial = first(base "serial")
    # A stick's number is its USB device's, which is above the interface (1-2:1.0).
    if (serial == "" && sub(/\/[0-9]+-[0-9.]+:[0-9.]+\/.*/, "", path)) serial = first(path "/serial")
    wwn = first(base "wwid")
    if (wwn == "") wwn = first(base "device/wwid")
    if (wwn ~ /^naa\./) wwn = "0x" substr(wwn, 5)
    else if (wwn !~ /^eui\./) wwn = ""
    members = text("", "name", name)
    members = value(members, "size", sprintf("%.0f", size * 512))
    members = text(members, "model", model)
    members = text(members, "serial", trimmed(serial))
    members = text(members, "transport", kind)
    members = value(members, "rotational", first(base "queue/rotational") == "1" ? "true" : "false")
    members = text(members, "wwn", wwn)
    members = optional(members, "health", probed("smart." name))
    return "{" members "}"
}

# One slot of dmidecode's memory devices: known once the next begins.
function slot(    said, bytes, part, words, count, w, word) {
    if (dimm["Size"] ~ /^[0-9]+ [MGT]i?B$/) {
        split(dimm["Size"], part, " ")
        bytes = part[1] * 1048576
        if (part[2] ~ /^G/) bytes *= 1024
        if (part[2] ~ /^T/) bytes *= 1048576
        installed += bytes
        said = dimm["Locator"] ": " dimm["Size"]
        count = split("Type Speed Manufacturer Part_Number", words, " ")
        for (w = 1; w <= count; w++) {
            word = dimm[words[w]]
            if (word != "" && word !~ /^(Unknown|Not Specified|None|Other|NO DIMM|<OUT OF SPEC>)$/) said = said " " word
        }
        memory_modules = comma(memory_modules, quoted(said))
    }
    split("", dimm)
}

function memory(    line, part, total) {
    slot()
    while ((getline line < (ENVIRON["PROC"] "/meminfo")) > 0)
        if (line ~ /^MemTotal:/) {
            split(line, part, " ")
            total = part[2] * 1024
        }
    # The kernel counts what it can use; the slots say what is there, unless the firmware's table is nonsense.
    if (installed >= total && installed <= total * 2 + 268435456) total = installed
    return "{\"total\": " sprintf("%.0f", total) ", \"modules\": [" memory_modules "]}"
}

function cpu(    line, at, key, said, model, flags, n, i, part, list, members) {
    while ((getline line < (ENVIRON["PROC"] "/cpuinfo")) > 0) {
        at = index(line, ":")
        key = trimmed(substr(line, 1, at - 1))
        said = trimmed(substr(line, at + 1))
        if (key == "processor") counted++
        else if (key == "model name" && model == "") model = said
        else if (key == "CPU implementer") implementer = said
        else if (key == "CPU part") core_type = said
        else if ((key == "flags" || key == "Features") && flags == "") flags = said
    }
    n = split(flags, part, " ")
    for (i = 1; i <= n; i++) list = comma(list, quoted(part[i]))
    if (threads == 0) threads = counted
    if (cores == 0) cores = threads
    if (sockets == 0) sockets = threads > 0
    # An arm64 kernel gives no name: SMBIOS may know the product, the processor itself knows whose design its cores are.
    if (model == "") model = processor_version
    if (model == "") model = arm_core(implementer, core_type)
    gsub(/[ \t]+/, " ", model)
    members = text("", "model", model)
    members = text(members, "architecture", architecture())
    members = value(members, "sockets", sockets + 0)
    members = value(members, "cores", cores + 0)
    members = value(members, "threads", threads + 0)
    members = value(members, "flags", "[" list "]")
    return "{" members "}"
}

# Main ID register (Arm ARM, MIDR_EL1): implementer and part number, as the kernel lists them in cputype.h.
function arm_core(implementer, part,    table, entry, n, i, maker) {
    if (implementer == "") return ""
    maker["0x41"] = "Arm"; maker["0x42"] = "Broadcom"; maker["0x43"] = "Cavium"; maker["0x46"] = "Fujitsu"
    maker["0x48"] = "HiSilicon"; maker["0x4e"] = "NVIDIA"; maker["0x50"] = "Applied Micro"; maker["0x51"] = "Qualcomm"
    maker["0x61"] = "Apple"; maker["0x6d"] = "Microsoft"; maker["0xc0"] = "Ampere"
    table = "0x41/0xd03=Cortex-A53 0x41/0xd04=Cortex-A35 0x41/0xd05=Cortex-A55 0x41/0xd07=Cortex-A57 " \
        "0x41/0xd08=Cortex-A72 0x41/0xd09=Cortex-A73 0x41/0xd0a=Cortex-A75 0x41/0xd0b=Cortex-A76 " \
        "0x41/0xd0c=Neoverse-N1 0x41/0xd0d=Cortex-A77 0x41/0xd40=Neoverse-V1 0x41/0xd41=Cortex-A78 " \
        "0x41/0xd49=Neoverse-N2 0x41/0xd4f=Neoverse-V2 0x43/0x0a1=ThunderX 0x43/0x0af=ThunderX2 " \
        "0x46/0x001=A64FX 0x48/0xd01=TaiShan-v110 0x50/0x000=X-Gene 0xc0/0xac3=Ampere-1 0xc0/0xac4=Ampere-1A"
    n = split(table, entry, " ")
    for (i = 1; i <= n; i++)
        if (index(entry[i], implementer "/" part "=") == 1)
            return joined(maker[implementer], substr(entry[i], index(entry[i], "=") + 1))
    return joined(implementer in maker ? maker[implementer] : "implementer " implementer, "part " part)
}

function architecture() {
    if (ENVIRON["MACHINE"] == "x86_64") return "amd64"
    return ENVIRON["MACHINE"] == "aarch64" ? "arm64" : ENVIRON["MACHINE"]
}

$1 == "nic" { nic_name[++nics] = $2 }
$1 == "address" { sub(/\/.*/, "", $3); if (!($2 in address)) address[$2] = $3 }
$1 == "disk" { item = disk($2, $3, $4); if (item != "") disks = comma(disks, item) }
$1 == "cpu" {
    base = ENVIRON["SYS"] "/devices/system/cpu/" $2 "/topology/"
    package = first(base "physical_package_id")
    core = package "/" first(base "core_id")
    threads++
    if (!(package in package_seen)) { package_seen[package] = 1; sockets++ }
    if (!(core in core_seen)) { core_seen[core] = 1; cores++ }
}
$1 == "dmi" {
    # The rest of the line as it was: fields of a structure are indented by one tab, lists below them by two.
    line = substr($0, 5)
    at = index(line, ": ")
    if (line == "Memory Device" || line == "Processor Information") {
        slot()
        structure = line
    } else if (structure == "Processor Information" && at && line ~ /^\t(Manufacturer|Version): /) {
        said = trimmed(substr(line, at + 2))
        if (line ~ /^\tManufacturer/) processor_maker = said
        # An emulator gives its own version there.
        else if (processor_version == "" && processor_maker != "QEMU" && \
                 said !~ /^(Not Specified|Unknown|None|Other|To Be Filled.*|[0-9.]*)$/) processor_version = said
    } else if (at && line ~ /^\t[^\t]/) {
        key = substr(line, 2, at - 2)
        gsub(/ /, "_", key)
        dimm[key] = trimmed(substr(line, at + 2))
    }
}

function registration(    members) {
    members = value("", "macs", "[" macs "]")
    members = text(members, "boot_mac", boot_mac)
    members = text(members, "uuid", tolower(id("product_uuid")))
    members = text(members, "serial", serial)
    members = text(members, "architecture", architecture())
    return text(members, "firmware", ENVIRON["FIRMWARE"])
}

function report(    members) {
    members = value("", "system", who)
    members = value(members, "cpu", cpu())
    members = value(members, "memory", memory())
    members = value(members, "disks", "[" disks "]")
    members = value(members, "nics", "[" nic_list "]")
    members = text(members, "firmware", ENVIRON["FIRMWARE"])
    members = text(members, "secure_boot", ENVIRON["SECURE_BOOT"])
    members = optional(members, "boot_entries", probed("boot"))
    members = optional(members, "bmc", probed("bmc"))
    members = text(members, "kernel", first(ENVIRON["PROC"] "/sys/kernel/osrelease"))
    return text(members, "agent", ENVIRON["AGENT"])
}

END {
    for (i = 1; i <= nics; i++) nic_list = comma(nic_list, nic(nic_name[i]))
    who = system_()
    print "{" (what == "register" ? registration() : report()) "}"
}
