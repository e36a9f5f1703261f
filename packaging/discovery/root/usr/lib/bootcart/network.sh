# shellcheck shell=sh
# An address for this machine, on the interface it booted from where that can be. Sourced by the agent after common.sh.

# How long the boot interface may take to appear, and its link to come up, before others are tried (seconds).
DRIVER_PATIENCE=30
LINK_PATIENCE=45

# interfaces: NAMES of the network interfaces that are devices.
interfaces() {
    NAMES=
    for path_ in "$SYS"/class/net/*; do
        [ ! -e "$path_/device" ] || NAMES="$NAMES ${path_##*/}"
    done
}

# interface_with MAC: NIC, the name of the interface with this address; fails where none has it.
interface_with() {
    for path_ in "$SYS"/class/net/*; do
        if [ -e "$path_/device" ] && read -r mac_ <"$path_/address" && [ "$mac_" = "$1" ]; then
            NIC=${path_##*/}
            return 0
        fi
    done 2>/dev/null
    return 1
}

# described NIC: TEXT, an interface as a person knows it.
described() {
    mac_=unknown
    speed_=
    read -r mac_ <"$SYS/class/net/$1/address"
    { read -r speed_ <"$SYS/class/net/$1/speed"; } 2>/dev/null || speed_=
    case $speed_ in
    '' | -*) TEXT="$1 ($mac_)" ;;
    *) TEXT="$1 ($mac_, $speed_ Mb/s)" ;;
    esac
}

has_link() {
    carrier_=
    { read -r carrier_ <"$SYS/class/net/$1/carrier"; } 2>/dev/null
    [ "$carrier_" = 1 ]
}

# driverless: TEXT, the PCI ids of network devices (class 02) that no driver took.
driverless() {
    TEXT=
    for path_ in "$SYS"/bus/pci/devices/*; do
        class_=
        { read -r class_ <"$path_/class"; } 2>/dev/null
        case $class_ in
        0x02*) ;;
        *) continue ;;
        esac
        [ ! -e "$path_/driver" ] || continue
        read -r vendor_ <"$path_/vendor"
        read -r device_ <"$path_/device"
        TEXT="$TEXT ${vendor_#0x}:${device_#0x}"
    done
}

# find_interface: waits for the boot interface and its link; NICS, those to ask on, best first.
find_interface() {
    now
    began_=$UP
    NICS=
    while [ -z "$NICS" ]; do
        now
        waited_=$((UP - began_))
        if [ -n "$MAC" ] && interface_with "$MAC"; then
            up_once "$NIC"
            if has_link "$NIC"; then
                NICS=$NIC
                return
            fi
            described "$NIC"
            [ "$waited_" -lt 6 ] ||
                state "No link on $TEXT, which this machine booted from: check its cable and the switch port"
            [ "$waited_" -ge "$LINK_PATIENCE" ] && others
        elif [ -z "$MAC" ] || [ "$waited_" -ge "$DRIVER_PATIENCE" ] ||
            { [ -e "$RUN/drivers.all" ] && [ "$waited_" -ge 5 ]; }; then
            others
            if [ -n "$MAC" ] && [ -n "$NICS" ]; then
                say "No interface has the address $MAC this machine booted from; asking on$NICS instead"
            fi
            if [ -z "$NICS" ] && [ -e "$RUN/drivers.all" ]; then
                nothing_found
            fi
        fi
        [ -n "$NICS" ] || sleep 0.1
    done
}

# others: NICS, every interface that has a link.
others() {
    interfaces
    for nic_ in $NAMES; do
        up_once "$nic_"
        ! has_link "$nic_" || NICS="$NICS $nic_"
    done
}

nothing_found() {
    interfaces
    if [ -n "$NAMES" ]; then
        state "No network interface has a link ($NAMES ): check the cables and the switch port"
    else
        driverless
        if [ -n "$TEXT" ]; then
            state "No driver here knows this machine's network devices (PCI$TEXT): they cannot be used"
        else
            state "This machine has no network device that the kernel sees: check whether the firmware disables it"
        fi
    fi
    sleep 2
}

UPPED=" "
up_once() {
    case $UPPED in
    *" $1 "*) return ;;
    esac
    ip link set "$1" up 2>>"$RUN/errors"
    UPPED="$UPPED$1 "
}

# get_address: does not return before the machine has one; $RUN/lease then says "NIC ADDRESS/BITS ROUTER SERVER".
get_address() {
    [ -s "$RUN/lease" ] && return
    if [ -r "$RUN/udhcpc.pid" ]; then
        say "The address is lost; asking anew"
        note address 'none: lost'
        read -r pid_ <"$RUN/udhcpc.pid"
        kill "$pid_" 2>/dev/null
        rm -f "$RUN/udhcpc.pid"
    fi
    round_=1
    pause_=2
    while :; do
        find_interface
        for NIC in $NICS; do
            described "$NIC"
            nic_text_=$TEXT
            state "Asking for an address on $nic_text_, round $round_"
            # It stays behind to renew the lease; what it cannot renew it gives up, and the agent calls again.
            if udhcpc -i "$NIC" -s /usr/lib/bootcart/udhcpc -t 4 -T 2 -n -V bootcart-discovery \
                -p "$RUN/udhcpc.pid" >"$RUN/udhcpc" 2>&1 && [ -s "$RUN/lease" ]; then
                read -r _ address_ router_ server_ <"$RUN/lease"
                note address "$address_ on $nic_text_"
                say "Address $address_ on $NIC from $server_ (router $router_)"
                return
            fi
            state "No DHCP answer on $nic_text_ in round $round_: check that Bootcart serves this segment and that" \
                "the switch port forwards at once (PortFast)"
        done
        sleep "$pause_"
        round_=$((round_ + 1))
        [ "$pause_" -ge 15 ] || pause_=$((pause_ * 2))
    done
}
