#!/bin/sh
# Picks the Python and hands over to setup_env.py: what an old Python cannot even parse is said here.
set -eu
here=$(dirname "$0")

is_new_enough() { "$1" -c 'import sys; sys.exit(sys.version_info < (3, 10))' 2>/dev/null; }

if [ -n "${PYTHON:-}" ]; then
    if ! command -v "$PYTHON" >/dev/null 2>&1; then
        echo "error: PYTHON=$PYTHON is not a program that can be run" >&2
        exit 1
    fi
    candidates=$PYTHON
else
    candidates='python3 python3.13 python3.12 python3.11 python3.10 python'
fi

for python in $candidates; do
    if command -v "$python" >/dev/null 2>&1 && is_new_enough "$python"; then
        exec "$python" "$here/setup_env.py" "$@"
    fi
done

found=$("${PYTHON:-python3}" -c 'import platform; print(platform.python_version())' 2>/dev/null) ||
    found='none'
echo "error: Python 3.10 or newer is needed, found $found;" \
    'name another one by: make env PYTHON=/path/to/python3.11' >&2
exit 1
