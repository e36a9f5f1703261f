# shellcheck shell=sh
# The engine around the program: its directories, preflight, start, stop, and the interface on top. Sourced by the
# launcher, after setup.sh, when called as root.
: "${HERE:?}" "${STATE:?}" "${RUN:?}" "${CACHE:?}" "${DERIVED?}" "${LOGS:?}" "${DATA:?}" "${SOCKET:?}" "${ARTEFACTS:?}" "${USER_:?}"
. "$HERE/packaging/service.sh"

# Seconds an engine has to answer on its socket.
ANSWER_WITHIN=10
CAPABILITIES="-all,+net_bind_service,+net_raw"
UI_APPLY=75
UI_STOP=76
BOOTCART_ENGINE_STARTED=""

# as_service COMMAND...: run as the service user, without any privilege.
as_service() {
    setpriv --reuid "$USER_" --regid "$USER_" --init-groups --inh-caps=-all --ambient-caps=-all --bounding-set=-all --no-new-privs -- "$@"
}

# Of the caller's session nothing belongs into a service that outlives it.
service_environment() {
    program_environment
    unset XDG_RUNTIME_DIR XDG_CONFIG_HOME XDG_CACHE_HOME XDG_DATA_HOME XDG_STATE_HOME SSH_AUTH_SOCK SSH_CONNECTION \
        DBUS_SESSION_BUS_ADDRESS DISPLAY XAUTHORITY TMUX TMUX_PANE
    HOME=$STATE/home LOGNAME=$USER_ USER=$USER_ SHELL=/bin/sh
    export HOME LOGNAME USER SHELL
}

# own DIRECTORY MODE: a directory of the service user.
own() {
    { mkdir -p "$1" && chown "$USER_:$USER_" "$1" && chmod "$2" "$1"; } || fail "$1 cannot be made" "check the disk, then call again"
}

make_directories() {
    # Sticky and root's: the engine may put its socket here, and cannot touch what root keeps here.
    { mkdir -p "$RUN" && chown "root:$USER_" "$RUN" && chmod 1775 "$RUN"; } || fail "$RUN cannot be made" "check the disk, then call again"
    if [ "$DATA" = "$STATE/data" ]; then own "$DATA" 750; fi
    own "$STATE/home" 700
    own "$LOGS" 750
}

# --- boot loaders and discovery image --------------------------------------------------------------------------------

# discovery_architectures_ ARCH...: those every installation has, those built before, and these; one word each.
discovery_architectures_() {
    for arch_ in amd64 "$@" $(find "$ARTEFACTS/discovery" -mindepth 1 -maxdepth 1 -type d ! -name '.*' -printf '%f ' 2>/dev/null); do echo "$arch_"; done |
        LC_ALL=C sort -u | tr '\n' ' '
}

# prepare_artefacts [ARCH...]: build the loaders, and discovery images for amd64 and these processors; what was built once
# is kept up to date. Built by the service user; what it costs to miss them is a machine that cannot boot, not an operator
# without a screen.
prepare_artefacts() {
    architectures_=$(discovery_architectures_ "$@")
    key_=$(find "$APP/packaging/loaders" "$APP/packaging/debs" "$APP/packaging/discovery" -name __pycache__ -prune -o -type f -print0 2>/dev/null |
        LC_ALL=C sort -z | xargs -0 cat | sha256sum)
    key_="$(printf %.16s "$key_") $architectures_"
    if [ -f "$ARTEFACTS/loaders/manifest.json" ] && [ "$(cat "$ARTEFACTS/.bootcart-complete" 2>/dev/null)" = "$key_" ]; then return 0; fi
    own_artefacts_
    # shellcheck disable=SC2086 # a list of names
    set -- $architectures_
    steps $((1 + $#)) "$STATE/artefacts.log"
    done_=yes
    build_artefact "boot loaders" "$APP/packaging/loaders" || done_=""
    for arch_ in "$@"; do
        build_artefact "discovery image for $arch_ (some minutes the first time)" "$APP/packaging/discovery/build" --arch "$arch_" || done_=""
    done
    # shellcheck disable=SC2016 # expanded by the inner shell, which runs as the service user
    if [ -n "$done_" ]; then as_service sh -c 'printf "%s\n" "$1" >"$2"' sh "$key_" "$ARTEFACTS/.bootcart-complete"; fi
}

own_artefacts_() {
    own "$STATE/home" 700
    mkdir -p "$ARTEFACTS" || fail "$ARTEFACTS cannot be made" "check the disk, then call again"
    # Files with a second name are left alone: it could be one that the service user made of a file of root's. From within
    # each folder: on the way to it, a folder of the service user's may have become a link by now.
    PATH=/usr/sbin:/usr/bin:/sbin:/bin find "$ARTEFACTS" -xdev ! -user "$USER_" \( -type d -o -links 1 \) -execdir chown -h "$USER_:$USER_" {} +
}

# fetch_files fetch [BOOTENV...]: files of boot environments, brought by the service user, who keeps the artefacts.
fetch_files() {
    own_artefacts_
    service_environment
    cd / || exit 1
    as_service "$VENV/bin/python" -P -m app "$@"
}

run_builder_() (
    service_environment
    # Builders are programs of their own, which import what lies beside them.
    unset PYTHONPATH PYTHONSAFEPATH
    cd / || exit 1
    as_service "$@"
)

# build_artefact WORDS PROGRAM [ARGUMENT...]
build_artefact() {
    what_=$1 builder_=$2
    shift 2
    if [ ! -x "$builder_" ]; then
        say "bootcart: $builder_ is not part of this installation; no $what_"
        return 1
    fi
    step "$what_" run_builder_ "$builder_" "$ARTEFACTS" "$@" && return 0
    tail -n 4 "$STEP_LOG" | sed 's/^/    /' >&2
    say "  no $what_ now: $(why_failed "$STEP_LOG")"
    say "  Bootcart goes on without; the next start tries again"
    return 1
}

# --- preflight -------------------------------------------------------------------------------------------------------

# owner_of udp|tcp PORT: who listens there, one line for each.
owner_of() {
    if [ "$1" = udp ]; then kind_=-u; else kind_=-t; fi
    ss -Hlnp "$kind_" "sport = :$2" 2>/dev/null | tr -cd '[:print:]\n' |
        sed -n 's/.*users:(("\([^"]*\)",pid=\([0-9]*\).*/\1 (process \2)/p; t
                s/.*/another program/p' | sort -u
}

# preflight DHCP PXE TFTP HTTP: say who is in the way, and leave it in BOOTCART_PORT_OWNERS for the engine's own words,
# as `udp/67=dnsmasq (process 812);…`.
preflight() {
    BOOTCART_PORT_OWNERS=""
    for port_ in "udp $1 DHCP" "udp $2 ProxyDHCP" "udp $3 TFTP" "tcp $4 HTTP"; do
        # shellcheck disable=SC2086 # three words
        set -- $port_
        who_=$(owner_of "$1" "$2" | paste -sd, - | sed 's/,/, /g')
        [ -n "$who_" ] || continue
        say "bootcart: $1 port $2 ($3) is taken by $who_: that service waits until the port is free"
        BOOTCART_PORT_OWNERS="$BOOTCART_PORT_OWNERS${BOOTCART_PORT_OWNERS:+;}$1/$2=$who_"
    done
    export BOOTCART_PORT_OWNERS
}

# --- start and stop --------------------------------------------------------------------------------------------------

engine_answers() { [ -S "$SOCKET" ] && [ -n "$(ss -xlH src "$SOCKET" 2>/dev/null)" ]; }

# The supervisor holds this lock as long as it lives; asked as the service user, who owns it.
supervisor_runs() { [ -e "$DATA/engine.lock" ] && ! as_service flock -n "$DATA/engine.lock" true; }

# Also while nobody has collected it.
ended() { [ ! -e "/proc/$1" ] || grep -qs '^State:.Z' "/proc/$1/status"; }

# Says the process id of what it started.
start_supervisor() (
    service_environment
    cd / || exit 1
    exec setsid setpriv --reuid "$USER_" --regid "$USER_" --init-groups --inh-caps="$CAPABILITIES" --ambient-caps="$CAPABILITIES" \
        --bounding-set="$CAPABILITIES" --no-new-privs -- \
        "$VENV/bin/python" -I -S "$APP/app/services/supervisor.py" --state "$DATA/supervisor.json" --log "$LOGS/engine.log" \
        --lock "$DATA/engine.lock" -- "$VENV/bin/python" -P -m app serve </dev/null >"$STATE/start.log" 2>&1 9>&- &
    echo $!
)

not_answering() {
    say "bootcart: the engine does not answer after $ANSWER_WITHIN s"
    if is_service; then
        journalctl -u bootcart.service -n 12 --no-pager -o cat | sed 's/^/    /' >&2
        say "  it is a service of this host: systemctl status bootcart"
        exit 6
    fi
    cat "$STATE/start.log" >&2
    if [ -f "$LOGS/engine.log" ]; then tail -n 12 "$LOGS/engine.log" | sed 's/^/    /' >&2; fi
    if supervisor_runs; then
        say "  it is being started again and again; all of its words: $LOGS/engine.log; end it with: $0 stop"
    else
        say "  it has given up; all of its words: $LOGS/engine.log"
    fi
    exit 6
}

start_engine() {
    if is_service; then
        systemctl start bootcart.service || fail "the engine did not start" "journalctl -u bootcart -n 50"
        started_=""
    elif supervisor_runs; then
        started_=""
    else
        # The interface asks before it leaves an engine that was started for it.
        BOOTCART_ENGINE_STARTED=1
        preflight "${BOOTCART_DHCP_PORT:-67}" "${BOOTCART_PXE_PORT:-4011}" "${BOOTCART_TFTP_PORT:-69}" "${BOOTCART_HTTP_PORT:-8090}"
        started_=$(start_supervisor)
    fi
    printf 'bootcart: starting the engine …' >&2
    tries=$((ANSWER_WITHIN * 10))
    while ! engine_answers; do
        tries=$((tries - 1))
        # Gone without an answer: no need to wait for the rest.
        if [ "$tries" -le 0 ] || { [ -n "$started_" ] && ended "$started_"; }; then
            say ""
            not_answering
        fi
        sleep 0.1 2>/dev/null || sleep 1
    done
    say " it answers"
}

stop_engine() {
    if supervisor_runs; then
        pid_=$(sed -n 's/^ *"supervisor": *\([0-9]*\),*$/\1/p' "$DATA/supervisor.json" 2>/dev/null)
        # Sent as the service user: the file is the service's, and must not choose whom root signals.
        [ -z "$pid_" ] || as_service kill -TERM "$pid_" 2>/dev/null
        if as_service flock -w 8 "$DATA/engine.lock" true; then
            say "bootcart: the engine has stopped"
        else
            engine_=$(sed -n 's/^ *"pid": *\([0-9]*\),*$/\1/p' "$DATA/supervisor.json" 2>/dev/null)
            for pid_ in $pid_ $engine_; do as_service kill -KILL "$pid_" 2>/dev/null; done
            say "bootcart: the engine did not stop within 8 s and was killed"
        fi
        return 0
    fi
    if ! engine_answers; then
        say "bootcart: no engine runs"
        return 0
    fi
    # One that no supervisor of ours keeps: a unit, a foreground `serve`, or left behind by a killed supervisor.
    pid_=$(ss -xlHp src "$SOCKET" | sed -n 's/.*pid=\([0-9]*\).*/\1/p' | head -n 1)
    if grep -qs '/bootcart\.service' "/proc/$pid_/cgroup" && have systemctl; then
        systemctl stop bootcart.service
    else
        [ -z "$pid_" ] || as_service kill -TERM "$pid_"
    fi
    tries=80
    while engine_answers && [ "$tries" -gt 0 ]; do
        tries=$((tries - 1))
        sleep 0.1 2>/dev/null || sleep 1
    done
    if engine_answers; then say "bootcart: the engine (process $pid_) is still there"; else say "bootcart: the engine has stopped"; fi
}

# --- what root does to the host, agreed to by the operator -----------------------------------------------------------

host() (
    program_environment
    cd / || exit 1
    BOOTCART_STATE_ROOT=$STATE exec "$VENV/bin/python" -P -m app.host "$@"
)

revert_host() {
    if [ -f "$STATE/host-state.json" ]; then host revert; fi
}

apply_plan() {
    if [ ! -e "$1" ]; then
        say "bootcart: the interface left no plan for this host; nothing is changed"
        return 0
    fi
    host apply "$1" --owner "$UI_UID" && return 0
    say "bootcart: the host is not prepared; press Enter to go back to the interface"
    read -r _ </dev/tty
}

# --- the interface ---------------------------------------------------------------------------------------------------

# Whom the interface runs as: who called sudo, else the service user. Never root.
choose_operator() {
    UI_UID=$(id -u "$USER_") UI_NAME=$USER_ UI_HOME=$STATE/home UI_GROUPS=$(id -g "$USER_")
    case ${SUDO_UID:-0} in *[!0-9]* | 0) return 0 ;; esac
    entry_=$(getent passwd "$SUDO_UID") || return 0
    UI_UID=$SUDO_UID
    UI_NAME=${entry_%%:*}
    UI_HOME=$(printf '%s' "$entry_" | cut -d: -f6)
    UI_GROUPS=$(id -G "$UI_NAME" | tr ' ' ,)
}

# Its group is the service's: the engine lets members of that group in, and sudo vouches for this one.
run_interface() (
    program_environment
    HOME=$UI_HOME LOGNAME=$UI_NAME USER=$UI_NAME
    export HOME LOGNAME USER BOOTCART_HOST_PLAN="$plan_dir/plan.json" BOOTCART_HOST_RESULT="$STATE/host-result.json"
    export BOOTCART_ENGINE_STARTED
    exec setpriv --reuid "$UI_UID" --regid "$USER_" --groups "$UI_GROUPS" --inh-caps=-all --ambient-caps=-all --bounding-set=-all \
        --no-new-privs -- "$VENV/bin/python" -P -m app
)

open_interface() {
    choose_operator
    make_directories
    engine_answers || start_engine
    plan_dir=""
    # The interface has the terminal in raw mode; an interrupt or a lost line is its business, tidying up is ours.
    trap ':' INT QUIT
    trap 'rm -rf "$plan_dir"; exit 129' HUP TERM
    while :; do
        { plan_dir=$(mktemp -d "$RUN/plan.XXXXXX") && chown "$UI_UID" "$plan_dir"; } || fail "$RUN is not writable" "check the disk, then call again"
        code=0
        run_interface || code=$?
        case $code in
        "$UI_APPLY") apply_plan "$plan_dir/plan.json" ;;
        "$UI_STOP")
            rm -rf "$plan_dir"
            stop_engine
            revert_host
            exit 0
            ;;
        *)
            rm -rf "$plan_dir"
            exit "$code"
            ;;
        esac
        rm -rf "$plan_dir"
    done
}

# --- the engine in the foreground, the lab, removal ------------------------------------------------------------------

# serve FLAG...: the engine as the service user in this process; the data directory is made when it does not exist.
serve_in_foreground() {
    dhcp_=${BOOTCART_DHCP_PORT:-67} pxe_=${BOOTCART_PXE_PORT:-4011} tftp_=${BOOTCART_TFTP_PORT:-69} http_=${BOOTCART_HTTP_PORT:-8090}
    directory_=$DATA previous_=""
    for word_ in "$@"; do
        case $word_ in --*=*) flag_=${word_%%=*} value_=${word_#*=} ;; *) flag_=$previous_ value_=$word_ ;; esac
        case $flag_ in
        --data-dir) directory_=$value_ ;;
        --dhcp-port) dhcp_=$value_ ;;
        --pxe-port) pxe_=$value_ ;;
        --tftp-port) tftp_=$value_ ;;
        --http-port) http_=$value_ ;;
        esac
        previous_=$word_
    done
    make_directories
    if [ "$directory_" != "$DATA" ] && [ -n "$DERIVED" ]; then unset BOOTCART_API_SOCKET; fi
    [ -d "$directory_" ] || own "$directory_" 750
    # shellcheck disable=SC2016 # expanded by the inner shell, as the service user
    as_service sh -c 'test -w "$1" && test -x "$1"' sh "$directory_" ||
        fail "the engine runs as the user $USER_, who cannot write to $directory_" "chown -R $USER_: $directory_, and let $USER_ through the directories above it"
    preflight "$dhcp_" "$pxe_" "$tftp_" "$http_"
    service_environment
    exec setpriv --reuid "$USER_" --regid "$USER_" --init-groups --inh-caps="$CAPABILITIES" --ambient-caps="$CAPABILITIES" \
        --bounding-set="$CAPABILITIES" --no-new-privs -- "$VENV/bin/python" -P -m app "$@"
}

lab_needs_() (
    program_environment
    "$VENV/bin/python" -P -m app lab needs "$@"
)

# prepare_lab lab [WORD...]: for words that boot machines, what these machines boot and what they need of this host, one
# Debian package on each line.
prepare_lab() {
    shift
    case ${1-} in down | list | reset | console | needs | keep) return 0 ;; esac
    case " $* " in *" --help "* | *" -h "*) return 0 ;; esac
    lab_images=$(lab_needs_ --images "$@") || exit "$?"
    # shellcheck disable=SC2086 # a list of processors
    prepare_artefacts $lab_images
    lab_needs=$(lab_needs_ "$@") || exit "$?"
    lab_needs=$(printf '%s' "$lab_needs" | tr '\n' ' ')
    [ -n "$lab_needs" ] || return 0
    have apt-get || fail "the lab needs: $lab_needs" "install what provides them (no apt-get here), then call again"
    steps 1 "$STATE/lab-packages.log"
    # shellcheck disable=SC2086 # a list of package names
    step "Debian packages for the lab: $lab_needs" apt_install $lab_needs ||
        step_failed "Debian packages for the lab could not be installed" "$(why_failed "$STEP_LOG"); by hand: apt-get install $lab_needs"
}

# uninstall [--purge]: everything set-up made; the data stays unless told otherwise. Debian packages stay.
uninstall() {
    case $1 in "" | --purge) ;; *) say "usage: bootcart uninstall [--purge]"; exit 2 ;; esac
    if getent passwd "$USER_" >/dev/null && have setpriv; then stop_engine; fi
    remove_service || fail "the service could not all be removed from this host" "mend what is said above, then call again"
    if [ -f "$STATE/host-state.json" ]; then
        is_set_up || [ -x "$VENV/bin/python" ] || fail "changes made to this host are recorded in $STATE/host-state.json and the program to revert them is not set up" "$0 stop"
        revert_host || fail "the changes made to this host could not all be reverted" "mend what is said above, then call again"
    fi
    rm -rf "$STATE/app" "$STATE/venv" "$STATE/current" "$STATE/.began" "$STATE/.app" "$STATE"/*.log "${STATE:?}/home"
    # A lab that is up keeps its own things here.
    rm -rf "$RUN/api.sock" "${RUN:?}"/plan.*
    rmdir "$RUN" 2>/dev/null
    if [ "$1" = --purge ]; then
        rm -rf "$STATE/data" "$CACHE" "$LOGS" "$STATE/host-result.json" "$STATE/.lock"
        rmdir "$STATE" 2>/dev/null
        if getent passwd "$USER_" >/dev/null; then userdel "$USER_"; fi
        say "bootcart: removed, with its data"
    else
        say "bootcart: removed; the data stays in $STATE/data (uninstall --purge removes it too)"
    fi
}
