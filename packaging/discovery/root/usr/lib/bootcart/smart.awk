# What `smartctl -H -A` says of a disk, as a line of JSON; nothing where it says nothing. Follows json.awk.

function number(text) {
    gsub(/,/, "", text)
    return text ~ /^[0-9]+/ ? text + 0 : ""
}

# The value behind the colon.
function said() {
    return trimmed(substr($0, index($0, ":") + 1))
}

function take(name, value) {
    if (value != "" && !(name in fact)) fact[name] = value
}

/^SMART overall-health self-assessment test result:/ { status = said() == "PASSED" ? "passed" : "failed" }
/^SMART Health Status:/ { status = said() == "OK" ? "passed" : "failed" }

# ATA: ID NAME FLAG VALUE WORST THRESH TYPE UPDATED WHEN_FAILED RAW.
$1 ~ /^[0-9]+$/ && $3 ~ /^0x/ && NF >= 10 {
    if ($1 == 5) take("reallocated", number($10))
    else if ($1 == 9) take("hours", number($10))
    else if ($1 == 190 || $1 == 194) take("temperature", number($10))
    else if ($1 == 197) take("pending", number($10))
    else if ($1 == 198) take("uncorrectable", number($10))
    # Wear of solid disks counts down from 100, under a number that differs by maker.
    else if ($1 == 177 || $1 == 202 || $1 == 231 || $1 == 233) take("used", 100 - number($4))
}

# NVMe.
/^Temperature:/ { take("temperature", number(said())) }
/^Available Spare:/ { take("spare", number(said())) }
/^Percentage Used:/ { take("used", number(said())) }
/^Power On Hours:/ { take("hours", number(said())) }
/^Media and Data Integrity Errors:/ { take("media_errors", number(said())) }

# SCSI.
/^Current Drive Temperature:/ { take("temperature", number(said())) }
/^Elements in grown defect list:/ { take("reallocated", number(said())) }
/^Percentage used endurance indicator:/ { take("used", number(said())) }
/^ *Accumulated power on time, hours:minutes / { take("hours", number($NF)) }

END {
    for (name in fact) any = 1
    if (status == "" && !any) exit
    printf "{\"status\": %s", quoted(status)
    count = split("temperature hours reallocated pending uncorrectable media_errors used spare", order, " ")
    for (i = 1; i <= count; i++)
        if (order[i] in fact && fact[order[i]] >= 0) printf ", \"%s\": %.0f", order[i], fact[order[i]]
    print "}"
}
