# shellcheck shell=sh
# What every part of the discovery system shares: where things are, and how a person is told. Sourced, never run.
#
# Shell built-ins are preferred to programs throughout: on a slow machine each program costs more than what it does.

RUN=${BOOTCART_RUN:-/run/bootcart}
SYS=${BOOTCART_SYS:-/sys}
PROC=${BOOTCART_PROC:-/proc}
SERIALS=${SERIALS-}

# now: UP, the seconds since the kernel started.
now() {
    read -r UP _ <"$PROC/uptime"
    UP=${UP%.*}
}

# say TEXT: one line for the log, the status screen and the serial consoles.
say() {
    read -r up_ _ <"$PROC/uptime"
    printf '[%7s s] %s\n' "$up_" "$*" >>"$RUN/log"
    for serial_ in $SERIALS; do
        # A shell is open there: its user is not talked over.
        [ -e "$RUN/shell.$serial_" ] || printf '[%7s s] %s\r\n' "$up_" "$*" >"/dev/$serial_" 2>/dev/null || :
    done
}

# drain: wait until the serial lines have sent what was said; one whose other side stops it is not waited for long.
drain() {
    for serial_ in $SERIALS; do
        # Changing a setting waits for the output first (TCSADRAIN).
        timeout 3 stty -F "/dev/$serial_" -ignbrk 2>/dev/null || :
    done
}

# note NAME TEXT: a fact of the status screen (machine, address, state).
note() {
    printf '%s\n' "$2" >"$RUN/$1"
}

# state TEXT...: what the machine does or waits for now; said once, shown until it changes.
state() {
    [ "$*" = "${STATE_-}" ] && return
    STATE_=$*
    note state "$STATE_"
    say "$STATE_"
}

# argument NAME: VALUE, what the kernel command line says of NAME (the last one counts), empty where it is not there.
argument() {
    VALUE=
    read -r line_ <"$PROC/cmdline" || :
    set -f
    for word_ in $line_; do
        case $word_ in
        "$1="*) VALUE=${word_#*=} ;;
        esac
    done
    set +f
}

# find_consoles: SERIALS, the serial lines somebody may read: those the kernel was told of, else a first port that is
# there.
find_consoles() {
    SERIALS=
    read -r active_ <"$SYS/class/tty/console/active" || active_=
    for console_ in $active_; do
        case $console_ in
        tty[0-9]*) ;;
        *) SERIALS="$SERIALS $console_" ;;
        esac
    done
    if [ -z "$SERIALS" ] && grep -q '^0: uart:[^u]' "$PROC/tty/driver/serial" 2>/dev/null; then
        stty -F /dev/ttyS0 115200 2>/dev/null && SERIALS=ttyS0
    fi
    export SERIALS
}

# shellcheck disable=SC2034 # VALUE is the answer
# json_field NAME: VALUE, a string or number of the flat object in ANSWER, empty where it is not there.
json_field() {
    VALUE=
    case $ANSWER in
    *"\"$1\""*) ;;
    *) return ;;
    esac
    rest_=${ANSWER#*"\"$1\""}
    rest_=${rest_#*:}
    while :; do
        case $rest_ in
        [[:space:]]*) rest_=${rest_#?} ;;
        *) break ;;
        esac
    done
    case $rest_ in
    '"'*)
        rest_=${rest_#?}
        VALUE=${rest_%%\"*}
        ;;
    *)
        VALUE=${rest_%%[!0-9.]*}
        ;;
    esac
}
