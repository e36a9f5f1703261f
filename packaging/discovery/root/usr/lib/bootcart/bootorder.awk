# What `efibootmgr -v` says, as a line of JSON: the entries in the order the firmware tries them, then the others.
# Follows json.awk.

/^BootCurrent: / { current = $2 }
/^BootNext: / { following = $2 }
/^BootOrder: / { order = $2 }
/^Boot[0-9A-Fa-f][0-9A-Fa-f][0-9A-Fa-f][0-9A-Fa-f][* ]/ {
    number = substr($0, 5, 4)
    rest = substr($0, 11)
    # The name and the path are parted by a tab; a name may hold anything else.
    at = index(rest, "\t")
    name[number] = trimmed(at ? substr(rest, 1, at - 1) : rest)
    path[number] = at ? trimmed(substr(rest, at + 1)) : ""
    active[number] = substr($0, 9, 1) == "*"
    known = known (known == "" ? "" : ",") number
}

function truth(value) { return value ? "true" : "false" }

END {
    count = split(order "," known, numbers, ",")
    for (i = 1; i <= count; i++) {
        number = numbers[i]
        if (!(number in name) || number in done) continue
        done[number] = 1
        out = out (out == "" ? "" : ", ") "{\"number\": " quoted(number) ", \"name\": " quoted(name[number]) \
            ", \"path\": " quoted(substr(path[number], 1, 300)) ", \"active\": " truth(active[number]) \
            ", \"current\": " truth(number "" == current "") ", \"next\": " truth(number "" == following "") "}"
    }
    if (out != "") print "[" out "]"
}
