# The neighbour that a network interface hears (IEEE 802.1AB-2016) as a line of JSON in the file OUT, each time it
# changes. Input: what `socat -x` says of frames: a header line, then one line of octets in hexadecimal.
# Follows json.awk.

function octet(at) {
    return NUMBER[byte[at]]
}

function words(at, count,    said, i) {
    said = ""
    for (i = 0; i < count; i++) if (octet(at + i)) said = said sprintf("%c", octet(at + i))
    return trimmed(said)
}

function hexadecimal(at, count,    said, i) {
    said = byte[at]
    for (i = 1; i < count; i++) said = said ":" byte[at + i]
    return said
}

# An address of a family of IANA's: 1 is IPv4, 2 is IPv6, 6 is a MAC address.
function address(family, at, count,    said, i) {
    if (family == 1 && count == 4) return octet(at) "." octet(at + 1) "." octet(at + 2) "." octet(at + 3)
    if (family != 2 || count != 16) return hexadecimal(at, count)
    for (i = 0; i < 16; i += 2) said = said (i ? ":" : "") sprintf("%x", octet(at + i) * 256 + octet(at + i + 1))
    return said
}

# Chassis and port ids begin with what they are; `mac` and `network` are those subtypes' numbers (8.5.2.2, 8.5.3.2).
function name_of(at, count, mac, network) {
    if (octet(at) == mac) return hexadecimal(at + 1, count - 1)
    if (octet(at) == network) return address(octet(at + 1), at + 2, count - 2)
    return words(at + 1, count - 1)
}

function member(name, said) {
    return ", \"" name "\": " said
}

# The neighbour as JSON, empty where it says goodbye (a time to live of 0); "-" where this is no whole frame.
function neighbour(    at, kind, length_, chassis, port, title, system_, about, where, vlan, alive, ended) {
    if (byte[13] byte[14] != "88cc") return "-"
    alive = -1
    for (at = 15; at + 1 <= count && !ended; at += 2 + length_) {
        kind = int(octet(at) / 2)
        length_ = octet(at) % 2 * 256 + octet(at + 1)
        if (at + 1 + length_ > count) return "-"
        if (kind == 0) ended = 1
        else if (kind == 1 && length_ > 1) chassis = name_of(at + 2, length_, 4, 5)
        else if (kind == 2 && length_ > 1) port = name_of(at + 2, length_, 3, 4)
        else if (kind == 3 && length_ > 1) alive = octet(at + 2) * 256 + octet(at + 3)
        else if (kind == 4) title = words(at + 2, length_)
        else if (kind == 5) system_ = words(at + 2, length_)
        else if (kind == 6) about = words(at + 2, length_)
        else if (kind == 8 && where == "" && octet(at + 2) > 1)
            where = address(octet(at + 3), at + 4, octet(at + 2) - 1)
        # The port's own VLAN (IEEE 802.1Q-2018 D.2.1).
        else if (kind == 127 && length_ == 6 && hexadecimal(at + 2, 4) == "00:80:c2:01")
            vlan = octet(at + 6) * 256 + octet(at + 7)
    }
    if (chassis == "" || port == "" || alive < 0) return "-"
    if (alive == 0) return ""
    return "{\"switch\": " quoted(system_ == "" ? chassis : system_) member("chassis", quoted(chassis)) \
        member("port", quoted(port)) member("port_description", quoted(title)) \
        member("description", quoted(about)) member("vlan", vlan + 0) member("address", quoted(where)) "}"
}

BEGIN {
    for (n = 0; n < 256; n++) NUMBER[sprintf("%02x", n)] = n
}

/^ / {
    count = split($0, byte, " ")
    said = neighbour()
    if (said == "-" || said == last) next
    last = said
    print said >(OUT ".new")
    close(OUT ".new")
    system("mv " OUT ".new " OUT " && printf . >>" NEWS)
}
