#!/bin/sh
# A target of one's own: a release is a directory, and `live` is a link to the one that is served.
# Its state lies in $HOME, which is the same for all of these commands.
set -eu
cd "$HOME"

slot_json() { # slot
    if [ -L "$1" ]; then
        printf '"%s": {"release": "%s", "running": true}' "$1" "$(cat "$1.release")"
    else
        printf '"%s": {"running": false}' "$1"
    fi
}

case "$1" in
observe)
    live=$(readlink live 2>/dev/null || true)
    printf '{"slots": {%s, %s}, "weights": {%s}, "address": "%s"}\n' \
        "$(slot_json blue)" "$(slot_json green)" "${live:+\"$live\": 100}" ""
    ;;
start)
    ln -sfn "$INTERLOCK_TREE" "$INTERLOCK_SLOT"
    printf '%s' "$INTERLOCK_RELEASE" >"$INTERLOCK_SLOT.release"
    echo "$INTERLOCK_RELEASE is in $INTERLOCK_SLOT"
    ;;
ready)
    [ -e "$INTERLOCK_SLOT/index.txt" ] || { echo "there is no index.txt"; exit 77; }
    ;;
route)
    # {"blue": 100} is all that this target can do; the rename is what makes it one step.
    case "$INTERLOCK_WEIGHTS" in
    *blue*) ln -sfn blue live.new && mv -T live.new live ;;
    *green*) ln -sfn green live.new && mv -T live.new live ;;
    *) rm -f live ;;
    esac
    ;;
stop) rm -f "$INTERLOCK_SLOT" "$INTERLOCK_SLOT.release" ;;
counts) echo '{"blue": {"answers": 3, "failures": 0}}' ;;
logs) [ ! -e "$INTERLOCK_SLOT.release" ] || cat "$INTERLOCK_SLOT.release" ;;
esac
