# $BOX_LIB: assertions for boxes in POSIX sh. Use it as
#
#     . "$BOX_LIB"
#     ok locked-after-5 test "$(status)" = 423
#     is greeting "$(./greet)" "hello"
#
# Every assertion is written to $BOX_REPORT and told on standard output; a red one does not stop the box, which exits 1 at
# its end. No process is started per assertion. Names that begin with _box are the library's own.

_box_failed=0
_box_count=0
_box_lost=

# _box_quote TEXT: sets _box_quoted to TEXT as a JSON string.
_box_quote() {
    _box_rest=$1
    _box_quoted=
    case $_box_rest in
    *[\"\\[:cntrl:]]*) ;;
    *)
        _box_quoted=\"$_box_rest\"
        return 0
        ;;
    esac
    while [ -n "$_box_rest" ]; do
        _box_plain=${_box_rest%%[\"\\[:cntrl:]]*}
        _box_quoted=$_box_quoted$_box_plain
        _box_rest=${_box_rest#"$_box_plain"}
        [ -n "$_box_rest" ] || break
        _box_tail=${_box_rest#?}
        _box_char=${_box_rest%"$_box_tail"}
        _box_rest=$_box_tail
        case $_box_char in
        \") _box_quoted=$_box_quoted\\\" ;;
        \\) _box_quoted=$_box_quoted\\\\ ;;
        "$_box_newline") _box_quoted=$_box_quoted\\n ;;
        "$_box_tab") _box_quoted=$_box_quoted\\t ;;
        *) _box_quoted=$_box_quoted\\ufffd ;;
        esac
    done
    _box_quoted=\"$_box_quoted\"
}
_box_newline='
'
_box_tab='	'

# _box_record ID true|false [MESSAGE]
_box_record() {
    _box_count=$((_box_count + 1))
    _box_quote "$1"
    _box_line="{\"type\":\"assertion\",\"id\":$_box_quoted,\"ok\":$2"
    if [ "$2" = false ]; then
        _box_failed=$((_box_failed + 1))
        _box_quote "${3-}"
        _box_line="$_box_line,\"message\":$_box_quoted"
        printf 'not ok %s - %s\n' "$1" "${3-}" >&2
    else
        printf 'ok %s\n' "$1" >&2
    fi
    _box_write "$_box_line}"
}

# _box_write LINE: adds to the report. What cannot be written was not asserted: then the box is no judge.
_box_write() {
    printf '%s\n' "$1" >>"$BOX_REPORT" || _box_lost=yes
}

# ok ID COMMAND…: the command succeeds.
ok() {
    _box_id=$1
    shift
    if "$@"; then
        _box_record "$_box_id" true
    else
        _box_record "$_box_id" false "exit $?: $*"
    fi
    return 0
}

# not_ok ID [MESSAGE]: something did not hold.
not_ok() {
    _box_record "$1" false "${2:-failed}"
    return 0
}

# is ID GOT WANT: two texts are the same.
is() {
    if [ "$2" = "$3" ]; then
        _box_record "$1" true
    else
        _box_record "$1" false "got '$2', want '$3'"
    fi
    return 0
}

# contains ID TEXT PART: a text contains another.
contains() {
    case $2 in
    *"$3"*) _box_record "$1" true ;;
    *) _box_record "$1" false "'$3' is not in '$2'" ;;
    esac
    return 0
}

# metric NAME VALUE [UNIT]: a number that is worth keeping.
metric() {
    case $2 in
    '' | *[!0-9.eE+-]*)
        not_ok "metric $1" "'$2' is not a number"
        return 0
        ;;
    esac
    _box_quote "$1"
    _box_line="{\"type\":\"metric\",\"name\":$_box_quoted,\"value\":$2"
    _box_quote "${3-}"
    _box_write "$_box_line,\"unit\":$_box_quoted}"
}

# attach PATH [TITLE]: keep a file with the box's artifacts.
attach() {
    if [ ! -f "$1" ]; then
        not_ok "attach ${1##*/}" "there is no file $1"
        return 0
    fi
    _box_name=${1##*/}
    [ "$1" = "$BOX_ARTIFACTS/$_box_name" ] || cp -- "$1" "$BOX_ARTIFACTS/$_box_name"
    _box_quote "$_box_name"
    _box_line="{\"type\":\"attachment\",\"path\":$_box_quoted"
    _box_quote "${2:-$_box_name}"
    _box_write "$_box_line,\"title\":$_box_quoted}"
}

# fault SERVICE FAULT…: hurt a service that the box needs, until the next one or `up`: fault redis latency 200ms.
# The one verb that starts a process (curl, or python3 where that is missing); it returns when the fault is in force.
fault() {
    _box_service=$1
    shift
    if [ -z "${BOX_FAULTS-}" ]; then
        not_ok "fault $_box_service" "the box declares no needs, so there is nothing to hurt"
        return 0
    fi
    if command -v curl >/dev/null 2>&1; then
        _box_said=$(curl -sS --noproxy '*' -X PUT --data "$*" -w '%{http_code}' "$BOX_FAULTS/$_box_service" 2>&1)
    else
        _box_said=$(python3 -I -S -c "$_box_put" "$BOX_FAULTS/$_box_service" "$*" 2>&1)
    fi
    case $_box_said in
    *200) ;;
    *) not_ok "fault $_box_service" "$* is not in force: ${_box_said:-no answer}" ;;
    esac
    return 0
}
_box_put='
import http.client, sys, urllib.parse
url = urllib.parse.urlsplit(sys.argv[1])
there = http.client.HTTPConnection(url.netloc)
there.request("PUT", url.path, sys.argv[2])
answer = there.getresponse()
print(answer.read().decode() + str(answer.status))
'

# skip WHY: the box cannot judge here; it ends as skipped, unless something was red before.
skip() {
    printf 'skipped: %s\n' "$1"
    [ "$_box_failed" -eq 0 ] || exit 1
    exit 77
}

# finish: end the box here; the same happens at its end by itself.
finish() {
    exit 0
}

# A red assertion lowers exit 0, and so does a report that could not be written; any other exit code stays the box's own.
_box_end() {
    _box_code=$?
    trap - EXIT
    if [ "$_box_code" -eq 0 ] && [ "$_box_failed" -gt 0 ]; then
        printf '%s of %s assertions failed\n' "$_box_failed" "$_box_count" >&2
        exit 1
    fi
    if [ "$_box_code" -eq 0 ] && [ -n "$_box_lost" ]; then
        printf 'the report could not be written: %s\n' "$BOX_REPORT" >&2
        exit 99
    fi
    exit "$_box_code"
}
trap _box_end EXIT
