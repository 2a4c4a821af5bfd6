#!/bin/sh
# Make a virtual environment with a CPython >= 3.11, whatever the machine calls it.
#
#   tools/make_venv.sh .venv
#
# The interpreter is resolved to its real path once: `python3` may be a shim of pyenv or asdf that costs 100 ms
# at every start. On Debian, root gets the missing packages installed; everybody else is told which ones.
set -eu
target=$1

# Prints the real path of interpreter $1 if it will do.
resolve() {
    "$1" - 2>/dev/null <<'PYTHON'
import os, sys
if sys.implementation.name != "cpython" or sys.version_info < (3, 11):
    sys.exit(1)
import ensurepip, venv  # Debian ships them apart from the interpreter
print(os.path.realpath(sys.executable))
PYTHON
}

find_python() {
    if [ -n "${PYTHON:-}" ]; then
        resolve "$PYTHON" || { echo "make_venv: PYTHON=$PYTHON is no CPython >= 3.11 with venv and ensurepip" >&2; exit 1; }
        return
    fi
    for name in python3 python3.14 python3.13 python3.12 python3.11 /usr/bin/python3; do
        if command -v "$name" >/dev/null 2>&1 && resolve "$name"; then
            return
        fi
    done
    return 1
}

if ! python=$(find_python); then
    [ -z "${PYTHON:-}" ] || exit 1
    if [ "$(id -u)" = 0 ] && command -v apt-get >/dev/null 2>&1; then
        echo "make_venv: no CPython >= 3.11 with venv: installing Debian's python3 and python3-venv"
        apt-get update -qq
        DEBIAN_FRONTEND=noninteractive apt-get install -qq -y --no-install-recommends python3 python3-venv >/dev/null
    fi
    if ! python=$(find_python); then
        echo "make_venv: needs CPython >= 3.11 with venv and ensurepip (Debian: apt install python3 python3-venv)," \
             "or PYTHON=/path/to/python" >&2
        exit 1
    fi
fi

echo "make_venv: $target with $python"
"$python" -m venv "$target"
