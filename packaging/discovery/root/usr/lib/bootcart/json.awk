# Strings in JSON (RFC 8259 section 7) from bytes that may be anything: what is not ASCII is read as Latin-1.

BEGIN {
    for (code_ = 1; code_ < 256; code_++) ORD[sprintf("%c", code_)] = code_
}

function quoted(text,    out, i, char, n) {
    # Nothing to escape: nearly always, and much faster.
    if (text !~ /[^ -~]/ && !index(text, "\"") && !index(text, "\\")) return "\"" text "\""
    out = ""
    n = length(text)
    for (i = 1; i <= n; i++) {
        char = substr(text, i, 1)
        if (char == "\"" || char == "\\") out = out "\\" char
        else if (char >= " " && char <= "~") out = out char
        else out = out sprintf("\\u%04x", ORD[char])
    }
    return "\"" out "\""
}

function trimmed(text) {
    sub(/^[ \t\r\n]+/, "", text)
    sub(/[ \t\r\n]+$/, "", text)
    return text
}
