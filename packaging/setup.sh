# shellcheck shell=sh
# Set-up shared by the launcher and the test command: Debian packages, the virtual environment, words. Sourced, never run.
#
# Every function is free of side effects until it is called. Names that end in an underscore are theirs.

say() { printf '%s\n' "$*" >&2; }

# fail WHAT [HINT]: end with words; 75 (EX_TEMPFAIL) is never used, the launcher gives it another meaning.
fail() {
    say "bootcart: $1"
    [ -z "${2-}" ] || say "  $2"
    exit 1
}

have() { command -v "$1" >/dev/null 2>&1; }

is_root() { [ "$(id -u)" = 0 ]; }

# --- steps: "[2/4] Python packages … 12 s" ---------------------------------------------------------------------------

STEP_=0
STEPS_=0
STEP_LOG=""

# steps N LOGFILE: how many steps follow, and where their output goes.
steps() {
    STEPS_=$1
    STEP_=0
    STEP_LOG=$2
    : >"$STEP_LOG"
}

# step TEXT COMMAND...: run a command with its output in the log, showing seconds while it runs; returns its exit code.
step() {
    STEP_=$((STEP_ + 1))
    text_="[$STEP_/$STEPS_] $1"
    shift
    started_=$(date +%s)
    printf '%s …' "$text_" >&2
    printf '\n== %s\n' "$text_" >>"$STEP_LOG"
    # Asynchronous lists ignore SIGINT in a shell without job control, so an interrupt is passed on by hand.
    "$@" >>"$STEP_LOG" 2>&1 </dev/null &
    child_=$!
    trap 'kill "$child_" 2>/dev/null; wait "$child_" 2>/dev/null; echo >&2; say "interrupted; the next call goes on from here"; exit 130' INT TERM HUP
    if [ -t 2 ]; then
        while kill -0 "$child_" 2>/dev/null; do
            printf '\r%s … %s s' "$text_" "$(($(date +%s) - started_))" >&2
            sleep 0.2 2>/dev/null || sleep 1
        done
    fi
    code_=0
    wait "$child_" || code_=$?
    trap - INT TERM HUP
    seconds_=$(($(date +%s) - started_))
    if [ -t 2 ]; then printf '\r%s … %s s' "$text_" "$seconds_" >&2; else printf ' %s s' "$seconds_" >&2; fi
    if [ "$code_" = 0 ]; then say ""; else say " failed"; fi
    return "$code_"
}

# step_failed WHAT HINT: the end of a failed step's output, then words.
step_failed() {
    tail -n 6 "$STEP_LOG" | cut -c 1-160 | sed 's/^/    /' >&2
    say "  (all of it: $STEP_LOG)"
    fail "$1" "${2-}"
}

# why_failed LOGFILE: the usual reasons in words, read from what the tools said.
why_failed() {
    if grep -qiE 'no space left on device|disk quota exceeded' "$1"; then
        echo "the disk is full: free some space (df -h), then call again"
    elif grep -qiE 'name resolution|could not resolve|network is unreachable|connection (refused|timed out)|failed to (connect|fetch)|dns error|no route to host|max retries|no matching distribution' "$1"; then
        echo "the network or the package mirror cannot be reached: check the link, the proxy (http_proxy, https_proxy) and pip's index settings, then call again"
    elif grep -qiE 'certificate' "$1"; then
        echo "a TLS certificate is not trusted: install the site's CA under /usr/local/share/ca-certificates and run update-ca-certificates"
    elif grep -qiE 'hash(es)? (mismatch|do not match)|THESE PACKAGES DO NOT MATCH' "$1"; then
        echo "a package differs from the lock: the index served something else; nothing of it was installed"
    else
        echo "call again once what it complains of is mended; finished parts are kept"
    fi
}

# --- Debian packages -------------------------------------------------------------------------------------------------

WANTED_=""   # lines "test package"

# need COMMAND-OR-FILE PACKAGE: note PACKAGE as missing unless the command (or a file of that absolute path) is there.
need() {
    case $1 in
    /*) [ -e "$1" ] ;;
    *) have "$1" ;;
    esac && return 0
    WANTED_="$WANTED_$1 $2
"
}

# missing_packages: the Debian packages noted by need() whose command is still not there, on one line.
missing_packages() {
    printf '%s' "$WANTED_" | while read -r test_ package_; do
        case $test_ in
        /*) [ -e "$test_" ] ;;
        *) have "$test_" ;;
        esac || echo "$package_"
    done | sort -u | tr '\n' ' '
}

apt_get() {
    DEBIAN_FRONTEND=noninteractive LC_ALL=C.UTF-8 apt-get -o Dpkg::Use-Pty=0 -o DPkg::Lock::Timeout=300 -o Acquire::Retries=2 "$@"
}

# A package must not start its server (isc-dhcp-relay would take port 67) while its client program is installed for us.
quiet_services_() {
    policy_=/usr/sbin/policy-rc.d
    if [ -e "$policy_" ] && ! grep -q 'placed by bootcart' "$policy_"; then return 0; fi
    printf '#!/bin/sh\n# placed by bootcart while it installs packages\nexit 101\n' >"$policy_"
    chmod 755 "$policy_"
}

loud_services_() {
    if grep -q 'placed by bootcart' /usr/sbin/policy-rc.d 2>/dev/null; then rm -f /usr/sbin/policy-rc.d; fi
}

# apt_install PACKAGE...: install what the distribution knows of these; names it does not know are said and skipped.
apt_install() {
    # A failed refresh alone is no failure: the lists may still be good.
    apt_get update || say "bootcart: apt-get update failed; trying with the package lists at hand"
    known_=""
    for package_ in "$@"; do
        if apt-cache show "$package_" 2>/dev/null | grep -q '^Package:'; then
            known_="$known_ $package_"
        else
            say "bootcart: this distribution has no package $package_; skipped"
        fi
    done
    [ -n "$known_" ] || return 1
    quiet_services_
    install_=0
    # shellcheck disable=SC2086 # a list of package names
    apt_get install -y --no-install-recommends $known_ || install_=$?
    loud_services_
    return "$install_"
}

# --- Python ----------------------------------------------------------------------------------------------------------

python_ok_() { "$1" -c 'import sys; sys.exit(sys.version_info < (3, 11))' >/dev/null 2>&1; }

# find_python: set PYTHON to the system's own interpreter; to another only where that one is too old, with words.
find_python() {
    PYTHON=/usr/bin/python3
    if python_ok_ "$PYTHON"; then return 0; fi
    for name_ in python3.13 python3.12 python3.11 python3.14 python3; do
        PYTHON=$(command -v "$name_") || continue
        if python_ok_ "$PYTHON"; then
            say "bootcart: /usr/bin/python3 is missing or older than 3.11; using $PYTHON"
            return 0
        fi
    done
    PYTHON=""
    return 1
}

# python_has_venv: the chosen interpreter can make virtual environments (Debian packs that apart).
python_has_venv() { "$PYTHON" -c 'import venv, ensurepip' >/dev/null 2>&1; }

# lock_block NAME LOCK: one package with its hashes, as pip reads it.
lock_block() {
    awk -v name="$1==" 'index($0, name) == 1 { on = 1; print; next } on && /^[^ ]/ { exit } on && /^ *--hash/ { print }' "$2" |
        awk '{ line[NR] = $0 } END { for (i = 1; i <= NR; i++) { if (i == NR) sub(/ *\\$/, "", line[i]); print line[i] } }'
}

# pip_setting NAME: one of the settings pip is configured with, from a listing of them all on standard input.
pip_setting_() { sed -n "s/^\(:env:\|global\|install\)\.$1='\(.*\)'\$/\2/p" | tail -n 1; }

# fill_venv VENV LOCK: install exactly the lock into a virtual environment, every file checked against its hash.
fill_venv() {
    fill_uv_version_=$(sed -n 's/^uv==\([^ ]*\).*/\1/p' "$2")
    if [ "$("$1/bin/uv" --version 2>/dev/null | cut -d' ' -f2)" != "$fill_uv_version_" ]; then
        lock_block uv "$2" >"$1/uv.lock"
        # An environment filled from the lock has no pip of its own any more.
        "$1/bin/python" -m pip --version || "$1/bin/python" -m ensurepip || return 1
        "$1/bin/python" -m pip install --disable-pip-version-check --no-input --no-deps --require-hashes -r "$1/uv.lock" || return 1
    fi
    (
        # uv trusts the same authorities and asks the same index as pip and the rest of the host.
        settings_=$("$1/bin/python" -m pip config list 2>/dev/null || "$PYTHON" -m pip config list 2>/dev/null)
        index_=$(printf '%s\n' "$settings_" | pip_setting_ index-url)
        cert_=$(printf '%s\n' "$settings_" | pip_setting_ cert)
        if [ -n "$index_" ] && [ -z "${UV_DEFAULT_INDEX-}${UV_INDEX_URL-}" ]; then export UV_DEFAULT_INDEX="$index_"; fi
        if [ -f "$cert_" ] && [ -z "${SSL_CERT_FILE-}" ]; then export SSL_CERT_FILE="$cert_"; fi
        export UV_SYSTEM_CERTS="${UV_SYSTEM_CERTS-1}" UV_NO_CONFIG=1 UV_NO_PROGRESS=1 UV_LINK_MODE="${UV_LINK_MODE-copy}" UV_PYTHON_DOWNLOADS=never
        "$1/bin/uv" pip sync --require-hashes --python "$1/bin/python" "$2"
    ) || {
        say "uv could not; pip tries the same lock"
        "$1/bin/python" -m pip install --disable-pip-version-check --no-input --require-hashes -r "$2"
    }
}

# hash_of FILE...: one short name for their contents.
hash_of() { cat "$@" | sha256sum | cut -c1-16; }
