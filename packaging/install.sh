# shellcheck shell=sh
# Setting the program up: packages, service user, virtual environment, a copy the service user can read. Sourced by the
# launcher after setup.sh, when the quick check says that something is missing or has changed.
#
# Whatever moment it is killed at, the next call completes it: each part is complete only once its stamp (environment),
# its final name (program) or the file `current` (everything) is there, and those come last.
: "${HERE:?}" "${STATE:?}" "${PROGRAM:?}" "${USER_:?}" "${ROOT?}"

# MiB of free space a set-up wants: environment, program, boot loaders and the discovery image with its downloads.
SPACE_WANTED=900

# Commands the launcher itself stands on, and the package of each.
need_commands() {
    WANTED_=""
    [ -n "$PYTHON" ] || need "python3.11-or-newer" python3
    if [ -n "$PYTHON" ] && ! python_has_venv; then need "python3-venv-module" python3-venv; fi
    need flock util-linux
    need find findutils
    need tar tar
    need sha256sum coreutils
    [ -n "$ROOT" ] || return 0
    need setpriv util-linux
    need setsid util-linux
    need useradd passwd
    need ip iproute2
    need ss iproute2
    need nft nftables
    need zstd zstd
    need /etc/ssl/certs/ca-certificates.crt ca-certificates
}

say_missing() {
    printf '%s' "$WANTED_" | while read -r what_ package_; do say "  $what_ (Debian package $package_)"; done
}

install_packages() {
    need_commands
    lacking=$(missing_packages)
    [ -n "$lacking" ] || return 0
    if ! have apt-get; then
        say "bootcart: this host is not Debian-like (no apt-get); install what provides these, then call again:"
        say_missing
        exit 1
    fi
    if [ -z "$ROOT" ]; then
        say "bootcart: this host lacks:"
        say_missing
        fail "installing them needs root" "sudo apt-get install $lacking"
    fi
    # shellcheck disable=SC2086 # a list of package names
    step "Debian packages: $lacking" apt_install $lacking ||
        step_failed "Debian packages could not be installed" "$(why_failed "$STEP_LOG"); by hand: apt-get install $lacking"
    find_python || fail "there is no Python 3.11 or newer on this host" "Debian 12, Ubuntu 24.04 and newer have one"
    need_commands
    if [ -n "$(missing_packages)" ]; then
        say "bootcart: still missing after the installation:"
        say_missing
        exit 1
    fi
}

# One set-up at a time. What was killed may have left a child at work; it holds the lock too, and is waited for.
lock_set_up() {
    exec 9>"$1/.lock"
    if ! flock -n 9; then
        say "bootcart: another set-up is at work here; waiting for it"
        flock 9
    fi
}

enough_space() {
    free_=$(df -Pk "$1" | awk 'NR == 2 { print int($4 / 1024) }')
    if [ "${free_:-0}" -lt "$SPACE_WANTED" ]; then
        fail "set-up wants $SPACE_WANTED MiB below $1 and finds $free_ MiB" "free some space there, then call again"
    fi
}

make_user() {
    if ! getent passwd "$USER_" >/dev/null; then
        # A call that was killed may have left the group alone.
        if getent group "$USER_" >/dev/null; then set -- --gid "$USER_"; else set -- --user-group; fi
        useradd --system "$@" --home-dir /var/lib/bootcart --no-create-home --shell /usr/sbin/nologin "$USER_"
    fi
}

# Made anew from nothing: of packages that a killed call half wrote nobody can tell which are whole. What was
# downloaded is kept by pip and uv.
make_environment() {
    "$PYTHON" -m venv --clear "$VENV" || return 1
    fill_venv "$VENV" "$HERE/requirements.lock" || return 1
    # Of a 0700 clone or umask nothing may remain: other users run from here.
    chmod -R u=rwX,go=rX "$VENV" || return 1
    sync -f "$VENV"
    : >"$VENV/bootcart-stamp"
}

environment() {
    lock_hash=$(hash_of "$HERE/requirements.lock")
    VENV=$1/$lock_hash
    if [ ! -f "$VENV/bootcart-stamp" ] || [ ! -x "$VENV/bin/python" ]; then
        rm -f "$VENV/bootcart-stamp"
        enough_space "$1"
        step "Python packages of the lock" make_environment ||
            step_failed "the locked Python packages could not be installed" "$(why_failed "$STEP_LOG")"
    fi
}

# Nothing of the program or above it may be changed by anyone but root, and the service user can read all of it.
runs_in_place() {
    above_=$HERE
    while :; do
        [ -n "$(find "$above_" -maxdepth 0 -user 0 ! \( -perm /022 ! -perm -1000 \))" ] || return 1
        [ "$above_" != / ] || break
        above_=$(dirname "$above_")
    done
    # shellcheck disable=SC2086 # a list of names
    odd_=$(cd "$HERE" && find $PROGRAM ! -type l \( ! -user 0 -o -perm /022 -o -type f ! -perm -044 -o -type d ! -perm -055 \) -print -quit 2>&1)
    [ -z "$odd_" ] || return 1
    setpriv --reuid "$USER_" --regid "$USER_" --clear-groups -- test -r "$HERE/app/__main__.py"
}

copy_program() {
    rm -rf "$STATE"/app/.new.*
    new=$STATE/app/.new.$$
    mkdir -p "$new" || return 1
    present=""
    for name_ in $PROGRAM; do
        if [ -e "$HERE/$name_" ]; then present="$present $name_"; fi
    done
    # shellcheck disable=SC2086 # a list of names
    (cd "$HERE" && tar --exclude=__pycache__ --exclude='.*_cache' -cf - $present) >"$new.tar" || return 1
    tar -C "$new" --no-same-owner -xf "$new.tar" || return 1
    rm -f "$new.tar"
    chown -R root:root "$new" && chmod -R u=rwX,go=rX "$new" || return 1
    version=$(sed -n 's/^VERSION = "\(.*\)"$/\1/p' "$new/app/version.py")
    # The copy is what is named, not the checkout, which may change under our hands.
    tree=$(cd "$new" && find . -type f -print0 | LC_ALL=C sort -z | xargs -0 sha256sum | sha256sum)
    APP=$STATE/app/$version-$(printf %.8s "$lock_hash")-$(printf %.12s "$tree")
    if [ -d "$APP" ]; then
        rm -rf "$new"
    else
        "$VENV/bin/python" -m compileall -q -s "$new" -p "$APP" "$new/app" || return 1
        sync -f "$new"
        mv "$new" "$APP" || return 1
    fi
    printf '%s\n' "$APP" >"$STATE/.app"
}

place_program() {
    if runs_in_place; then
        "$VENV/bin/python" -m compileall -q "$HERE/app" || return 1
        printf '%s\n' "$HERE" >"$STATE/.app"
    else
        copy_program
    fi
}

# Older programs and environments go, except those something still runs from.
prune() {
    for old_ in "$STATE"/app/* "$STATE"/venv/*; do
        [ -d "$old_" ] || continue
        case $old_ in "$APP" | "$VENV") continue ;; esac
        if grep -qsF "$old_" /proc/[0-9]*/environ /proc/[0-9]*/cmdline; then continue; fi
        rm -rf "$old_"
    done
}

install_system() {
    mkdir -p "$STATE" && chown root:root "$STATE" && chmod 755 "$STATE" || exit 1
    steps 0 "$STATE/setup.log"
    find_python || PYTHON=""
    need_commands
    count=0
    if [ -n "$(missing_packages)" ]; then count=1; fi
    if [ ! -f "$STATE/venv/$(hash_of "$HERE/requirements.lock")/bootcart-stamp" ]; then count=$((count + 1)); fi
    steps $((count + 1)) "$STATE/setup.log"
    install_packages
    lock_set_up "$STATE"
    # Another call may have done it all while this one waited.
    if is_set_up; then
        exec 9>&-
        return 0
    fi
    mkdir -p "$STATE/app" "$STATE/venv" && chown root:root "$STATE/app" "$STATE/venv" && chmod 755 "$STATE/app" "$STATE/venv" || exit 1
    # Whatever changes after this moment is noticed by the next call.
    : >"$STATE/.began"
    make_user || fail "the system user $USER_ could not be made" "useradd --system --user-group $USER_"
    environment "$STATE/venv"
    step "the program" place_program || step_failed "the program could not be installed" "$(why_failed "$STEP_LOG")"
    read -r APP <"$STATE/.app"
    printf '%s\n%s\n%s\n' "$HERE" "$APP" "$VENV" >"$STATE/current.new" || exit 1
    touch -r "$STATE/.began" "$STATE/current.new"
    mv "$STATE/current.new" "$STATE/current"
    prune
    exec 9>&-
}

install_for_user() {
    [ -n "${XDG_CACHE_HOME:-${HOME-}}" ] || fail "neither HOME nor XDG_CACHE_HOME is set" "set HOME to a directory of yours"
    own=${XDG_CACHE_HOME:-$HOME/.cache}/bootcart
    mkdir -p "$own/venv" || fail "$own cannot be made" "give a writable HOME or XDG_CACHE_HOME"
    find_python || PYTHON=""
    steps 1 "$own/setup.log"
    install_packages
    lock_set_up "$own"
    environment "$own/venv"
    APP=$HERE
    exec 9>&-
}

install_program() {
    if [ -n "$ROOT" ]; then install_system; else install_for_user; fi
}
