#!/bin/sh
# Finds a Python that the runner understands and hands over to it. Everything else is in Python.
set -eu
here=$(dirname "$0")

if [ -n "${INPUT_PYTHON:-}" ]; then
    set -- "$INPUT_PYTHON"
    missing="the input \`python\` names no Python 3.11 or newer"
else
    set -- python3 python3.14 python3.13 python3.12 python3.11 python
    missing="there is no Python 3.11 or newer on PATH; run actions/setup-python before, or name one with the input \`python\`"
fi

# -I: nothing of the repository, which is the current directory, and of its environment is imported.
for candidate; do
    if "$candidate" -I -c 'import sys; sys.exit(sys.version_info < (3, 11))' </dev/null >/dev/null 2>&1; then
        exec "$candidate" -I "$here/__main__.py"
    fi
done

printf '::error title=Interlock::%s\n' "$missing"
printf 'conclusion=failure\nreason=no_python\n' >"$GITHUB_OUTPUT"
exit 3
