#!/bin/sh
# /// box
# title = "A link that nobody made is not found"
# min_asserts = 3
# [control]
# edit = {file = "shorty/web.py", find = "self._answer(404, \"<p>There is no such link", replace = "self._answer(200, \"<p>There is no such link"}
# expect = "/zzz is not found"
# ///
. "$BOX_LIB"

status() {
    python3 -c 'import sys; from support.server import running
with running() as shorty: print(*(shorty.get(path).status for path in sys.argv[1:]))' "$@"
}

set -- /zzz /0OIl /static/none.css
statuses=$(status "$@")
for path; do
    is "$path is not found" "${statuses%% *}" 404
    statuses=${statuses#* }
done
