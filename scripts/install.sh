#!/bin/sh
# Makes .venv hold exactly what pyproject.toml and constraints.txt say. Does nothing where it already does.
set -eu
cd "$(dirname "$0")/.."

usable() { "$1" -c 'import sys, venv, ensurepip; sys.exit(sys.version_info < (3, 10))' >/dev/null 2>&1; }

key="$(cat pyproject.toml constraints.txt scripts/install.sh | cksum) $(pwd -P)"
stamp=.venv/.installed
if [ -f "$stamp" ] && [ "$(cat "$stamp")" = "$key" ] && .venv/bin/python -c 'import rsl_rl' >/dev/null 2>&1; then
    exit 0
fi

# A .venv that was moved, that another machine made, or whose Python is gone is of no use.
if [ -e .venv ] && { ! usable .venv/bin/python || ! grep -qF "$(pwd -P)/.venv" .venv/bin/activate 2>/dev/null; }; then
    echo "Replacing a .venv that does not work here."
    rm -rf .venv
fi
if [ ! -e .venv ]; then
    python=""
    # EnvPool, which the default task needs, has packages for Python 3.11 and newer.
    for candidate in ${PYTHON:-} python3.11 python3.12 python3.13 python3 python3.10 python; do
        if usable "$candidate"; then
            python=$candidate
            break
        fi
    done
    if [ -z "$python" ]; then
        echo "Python 3.10 or newer with its venv module is needed (Debian, Ubuntu: apt install python3-venv)." >&2
        echo "Name one with: make PYTHON=/path/to/python3 ..." >&2
        exit 1
    fi
    "$python" -m venv .venv
fi
rm -f "$stamp"
echo "Installing into .venv (once; a minute or two) ..."
.venv/bin/python -m pip install --quiet --disable-pip-version-check -c constraints.txt -e '.[dev]'
printf '%s' "$key" > "$stamp"
