# shellcheck shell=sh
# The engine as a service of the host: systemd units, the interface on consoles, the command on everybody's path. Sourced
# by engine.sh.
#
# Whatever is placed is written to `installed` first, one `KIND NAME` a line, and taken back from there; an interrupted
# call is finished, or undone, by the next.
: "${HERE:?}" "${STATE:?}" "${APP?}"

HOST_ROOT=${BOOTCART_HOST_ROOT-}
UNITS=$HOST_ROOT/etc/systemd/system
COMMAND=$HOST_ROOT/usr/local/bin/bootcart
INSTALLED=$STATE/installed

has_systemd() { [ -d "$HOST_ROOT/run/systemd/system" ] && have systemctl; }

recorded() { grep -qsxF "$1 $2" "$INSTALLED"; }

# record KIND NAME: before it is done, so that nothing is done that is not on record.
record() {
    recorded "$1" "$2" || printf '%s %s\n' "$1" "$2" >>"$INSTALLED" || fail "$INSTALLED cannot be written" "check the disk, then call again"
}

# place_unit NAME: a unit file of ours; one that somebody else put there stays.
place_unit() {
    if [ -e "$UNITS/$1" ] && ! recorded unit "$1"; then
        fail "$UNITS/$1 is there and was not made by this command" "move it away, then call again"
    fi
    record unit "$1"
    mkdir -p "$UNITS"
    { sed "s|/var/lib/bootcart|$STATE|g" "$APP/packaging/systemd/$1" >"$UNITS/.$1.new" && chmod 644 "$UNITS/.$1.new" &&
        mv "$UNITS/.$1.new" "$UNITS/$1"; } || fail "$UNITS/$1 cannot be written" "check the disk, then call again"
}

place_command() {
    if [ -e "$COMMAND" ] || [ -L "$COMMAND" ]; then
        [ "$(readlink -f "$COMMAND")" = "$HERE/bootcart" ] || say "bootcart: $COMMAND is something else and stays as it is"
        return 0
    fi
    record link "$COMMAND"
    { mkdir -p "${COMMAND%/*}" && ln -s "$HERE/bootcart" "$COMMAND"; } || say "bootcart: $COMMAND cannot be made; call $HERE/bootcart"
}

# console_of WORD: the name of a terminal device, without /dev/.
console_of() {
    name_=${1#/dev/}
    case $name_ in
    tty[0-9]* | ttyS[0-9]* | ttyAMA[0-9]* | ttyUSB[0-9]* | hvc[0-9]*) ;;
    *) fail "$1 is not a console" "for example --console tty1 or --console ttyS0" ;;
    esac
    case $name_ in *[!A-Za-z0-9]*) fail "$1 is not a console" "for example --console tty1 or --console ttyS0" ;; esac
    printf '%s' "$name_"
}

# The login prompt of a console gives way; a serial one is made anew at every boot, so that only a mask keeps it away.
take_console() {
    case $1 in tty[0-9]*) getty_=getty@$1.service ;; *) getty_=serial-getty@$1.service ;; esac
    if [ "$(systemctl is-enabled "$getty_" 2>/dev/null)" != masked ]; then
        record masked "$getty_"
        systemctl --quiet mask --now "$getty_" || fail "$getty_ could not be put aside" "systemctl mask --now $getty_"
    fi
    record enabled "bootcart-tui@$1.service"
    { systemctl --quiet enable "bootcart-tui@$1.service" && systemctl restart "bootcart-tui@$1.service"; } ||
        fail "the interface could not be opened on $1" "journalctl -u bootcart-tui@$1"
    say "bootcart: the interface is open on /dev/$1; whoever sits there operates this engine"
}

# install_service [--console TTY]...: units, engine, consoles.
install_service() {
    consoles_=""
    while [ $# -gt 0 ]; do
        case $1 in
        --console=*) found_=$(console_of "${1#*=}") || exit 1 ;;
        --console)
            [ $# -gt 1 ] || { say "usage: bootcart install [--console TTY]..."; exit 2; }
            shift
            found_=$(console_of "$1") || exit 1
            ;;
        *) say "usage: bootcart install [--console TTY]..."; exit 2 ;;
        esac
        consoles_="$consoles_ $found_"
        shift
    done
    has_systemd || fail "this host does not run systemd" "sudo $0 starts the engine by hand, $0 serve in the foreground"
    place_unit bootcart.service
    place_unit bootcart-tui@.service
    place_command
    # One that was started by hand would hold the ports.
    if supervisor_runs; then stop_engine; fi
    systemctl daemon-reload || fail "systemd did not read its units anew" "systemctl daemon-reload"
    record enabled bootcart.service
    systemctl --quiet enable bootcart.service || fail "bootcart.service could not be enabled" "systemctl enable bootcart"
    systemctl restart bootcart.service || fail "the engine did not start" "journalctl -u bootcart -n 50"
    say "bootcart: the engine runs as bootcart.service, also after a reboot; its log: journalctl -u bootcart"
    for console_ in $consoles_; do take_console "$console_"; done
}

# The engine is a service here, so that a start by hand is systemd's too.
is_service() { recorded enabled bootcart.service && has_systemd; }

# remove_service: what install_service did, the newest first; what cannot be taken back now stays on record.
remove_service() {
    [ -f "$INSTALLED" ] || return 0
    left_=""
    kept_=$(sed -n '1!G;h;$p' "$INSTALLED")
    while read -r kind_ name_; do
        [ -n "$kind_" ] || continue
        case $kind_ in
        enabled) ! has_systemd || systemctl --quiet disable --now "$name_" || ! systemctl cat "$name_" >/dev/null 2>&1 ;;
        masked)
            if has_systemd; then
                systemctl --quiet unmask "$name_" && systemctl --no-block start "$name_"
            else
                rm -f "$UNITS/$name_"
            fi
            ;;
        unit) rm -f "$UNITS/$name_" ;;
        link) if [ "$(readlink "$name_")" = "$HERE/bootcart" ]; then rm -f "$name_"; fi ;;
        esac || left_="$kind_ $name_
$left_"
    done <<END
$kept_
END
    if has_systemd; then systemctl daemon-reload; fi
    if [ -n "$left_" ]; then
        printf '%s' "$left_" >"$INSTALLED"
        return 1
    fi
    rm -f "$INSTALLED"
}
