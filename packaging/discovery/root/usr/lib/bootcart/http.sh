# shellcheck shell=sh
# Bootcart's agent API over curl. Sourced by the agent after common.sh; URL is set.

# bearer TOKEN: the token of the calls that follow; in a file, because arguments can be read by everybody.
bearer() {
    (
        umask 077
        printf 'Authorization: Bearer %s\nContent-Type: application/json\n' "$1" >"$RUN/headers"
    )
}

# api METHOD PATH [BODYFILE]: STATUS (000: nobody answered), ANSWER, and WHY in words where it is not a success.
api() {
    : >"$RUN/answer"
    STATUS=$(curl -sS --connect-timeout 5 --max-time 30 -X "$1" -H "@$RUN/headers" ${3:+--data-binary "@$3"} \
        -o "$RUN/answer" -w '%{http_code}' "$URL$2" 2>"$RUN/curl.error") || :
    judge "$URL$2"
}

# judge ADDRESS: success, or WHY.
judge() {
    ANSWER=
    while IFS= read -r line_ || [ -n "$line_" ]; do ANSWER="$ANSWER$line_ "; done <"$RUN/answer"
    case $STATUS in
    2??) return 0 ;;
    000 | '')
        STATUS=000
        WHY="no answer"
        read -r WHY <"$RUN/curl.error" || :
        WHY="$1: ${WHY#curl: }. Check that Bootcart runs there and that no firewall is in between"
        ;;
    401) refusal_ "$1" 'the token is not accepted' ' Restart this machine to get a new one' ;;
    403) refusal_ "$1" 'the token is for another machine or address' ' Restart this machine to get a new one' ;;
    404) refusal_ "$1" 'Bootcart does not know this machine' '' ;;
    *) refusal_ "$1" "$(printf '%.200s' "$ANSWER")" '' ;;
    esac
    return 1
}

# refusal_ ADDRESS WORDS ADVICE: WHY, in the server's own words where its answer has any.
refusal_() {
    json_field message
    WHY="$1: ${VALUE:-$2}"
    json_field hint
    WHY="$WHY${VALUE:+ ($VALUE)} (HTTP $STATUS).$3"
}

# event KIND [STEP]: tell Bootcart; output is read from standard input. Never fails: other things are more important.
event() {
    KIND=$1 STEP=${2-} awk -f /usr/lib/bootcart/json.awk -f /usr/lib/bootcart/event.awk >"$RUN/event"
    api POST "/agent/machines/$ID/events" "$RUN/event" || say "Could not report \"$1\": $WHY"
}
