# Which modules the devices of this machine ask for, one "group module" per line, each once, in the order drivers link.
# Input: modalias lines; -v maps=DIRECTORY of the per-bus tables that the image was built with.

# The tables hold shell globs; sets ([0-9]) are the same in both languages.
function matches(text, pattern) {
    gsub(/[.+^$(){}|\\]/, "\\\\&", pattern)
    gsub(/\*/, ".*", pattern)
    gsub(/\?/, ".", pattern)
    return text ~ ("^" pattern "$")
}

function load(bus,    path, line, part, n) {
    known[bus] = 1
    path = maps "/" bus
    if ((getline line < path) <= 0) return
    lengths[bus] = line
    while ((getline line < path) > 0) {
        split(line, part, "\t")
        n = ++count[part[1]]
        glob[part[1], n] = part[2]
        module[part[1], n] = part[3]
        group[part[3]] = part[4]
    }
    close(path)
}

{
    if ($0 in seen) next
    seen[$0] = 1
    bus = $0
    sub(/:.*/, "", bus)
    if (!(bus in known)) load(bus)
    tries = split(lengths[bus], length_, " ")
    for (t = 1; t <= tries; t++) {
        prefix = substr($0, 1, length_[t])
        for (i = 1; i <= count[prefix]; i++)
            if (!(module[prefix, i] in done) && matches($0, glob[prefix, i])) {
                done[module[prefix, i]] = 1
                print group[module[prefix, i]], module[prefix, i]
            }
    }
}
