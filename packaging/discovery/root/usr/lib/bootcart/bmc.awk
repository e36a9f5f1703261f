# What `ipmitool mc info` and `ipmitool lan print` say of the management controller, as a line of JSON.
# Follows json.awk.

{
    at = index($0, ":")
    key = trimmed(substr($0, 1, at - 1))
    said = trimmed(substr($0, at + 1))
}
at && !(key in fact) { fact[key] = said }

END {
    if (!("Device ID" in fact)) exit
    if (fact["IP Address"] == "0.0.0.0") fact["IP Address"] = ""
    source = tolower(fact["IP Address Source"])
    if (source ~ /dhcp/) source = "dhcp"
    else if (source ~ /static/) source = "static"
    printf "{\"address\": %s, \"mac\": %s, ", quoted(fact["IP Address"]), quoted(tolower(fact["MAC Address"]))
    printf "\"source\": %s, \"gateway\": %s, ", quoted(source), quoted(fact["Default Gateway IP"])
    printf "\"vlan\": %d, \"version\": %s}\n", fact["802.1q VLAN ID"], quoted(fact["Firmware Revision"])
}
