# shellcheck shell=sh
# Who may come in: root's password for the consoles, keys for ssh. Sourced by the agent after common.sh and http.sh.

# open_access: take what Bootcart gives for this machine; fails where it is worth another try.
open_access() {
    if ! api GET "/agent/machines/$ID/access"; then
        say "No login here yet: $WHY"
        # What is refused is refused again.
        [ "$STATUS" != 000 ] && [ "${STATUS#5}" = "$STATUS" ]
        return
    fi
    json_field password_hash
    if [ -n "$VALUE" ]; then
        (
            umask 077
            printf 'root:%s:20000:0:99999:7:::\n' "$VALUE" >/etc/shadow.new
        )
        mv /etc/shadow.new /etc/shadow
        : >"$RUN/login"
    fi
    json_field ssh_keys
    [ -z "$VALUE" ] || open_ssh "$VALUE"
    return 0
}

# open_ssh KEYS: lines that end with a backslash and an n, as JSON writes them; no key holds a backslash of its own.
open_ssh() {
    (
        umask 077
        mkdir -p /root/.ssh
        printf '%b' "$1" >/root/.ssh/authorized_keys
    )
    if [ ! -e "$RUN/hostkey" ]; then
        dropbearkey -t ed25519 -f "$RUN/hostkey" >>"$RUN/ssh" 2>&1
        # Keys alone (-s), and nobody is led on through this machine (-j, -k).
        dropbear -s -j -k -r "$RUN/hostkey" -P "$RUN/ssh.pid" >>"$RUN/ssh" 2>&1 || {
            say "ssh does not start: $(tail -n 1 "$RUN/ssh")"
            return
        }
    fi
    print_=$(dropbearkey -y -f "$RUN/hostkey" 2>/dev/null | sed -n 's/^Fingerprint: *//p')
    say "ssh listens; its host key is $print_"
    printf '{"host_key": "ssh-ed25519 %s"}' "$print_" >"$RUN/access"
    api PUT "/agent/machines/$ID/access" "$RUN/access" || say "The host key could not be reported: $WHY"
}
