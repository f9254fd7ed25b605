#!/bin/sh
# Copyright (c) 2026, The RSL-RL Independent Authors
# SPDX-License-Identifier: BSD-3-Clause

# Brings .venv into the state that pyproject.toml and constraints.txt describe; instant when it is already there.
# With the argument "train" only what the default task needs, without EnvPool, test tools and the clients of logging
# services; with "docs" also what builds the documentation.
# With the argument "clients" it is .venv-clients and the files of clients/: other people's programs, with this package in
# place of the rsl-rl-lib they ask for; with "torch" it is .venv-torch-$TORCH, like .venv but with the release of torch that
# the variable TORCH names. With PYTHON set, the environment is made with that interpreter.

set -eu
cd "$(dirname "$0")/.."

LEVEL=${1:-dev}
SOURCES="pyproject.toml constraints.txt scripts/install.sh"
case "$LEVEL" in
    dev) VENV=.venv EXTRAS=dev ;;
    train) VENV=.venv EXTRAS=envs,plot,video,viewer,sweep ;;
    docs) VENV=.venv EXTRAS=envs,plot,video,viewer,sweep,docs ;;
    clients) VENV=.venv-clients SOURCES="pyproject.toml clients/requirements.txt clients/constraints.txt scripts/install.sh" ;;
    torch) VENV=.venv-torch-${TORCH:?names a release, as in TORCH=2.6.0} EXTRAS=dev ;;
    *) echo "usage: sh scripts/install.sh [train | docs | clients | torch]" >&2 && exit 2 ;;
esac
# Written last, removed first: an installation without it was interrupted.
STAMP=$VENV/.installed

# Settings meant for other environments must not leak into this one.
unset PYTHONPATH PYTHONHOME PIP_TARGET PIP_PREFIX
export PIP_USER=0 PIP_DISABLE_PIP_VERSION_CHECK=1

fail() {
    printf '%s\n' "$@" >&2
    exit 1
}

is_recent() { # Asked by running it: version managers leave commands that only print an error.
    "$1" -c 'import sys; sys.exit(sys.version_info < (3, 10))' >/dev/null 2>&1
}

find_python() { # Sets $python.
    if [ -n "${PYTHON:-}" ]; then
        set -- "$PYTHON"
    else # The tested version first; 3.10 late, because EnvPool needs 3.11.
        set -- python3.11 python3.12 python3.13 python3.14 python3.10 python3
    fi
    incomplete=
    for python in "$@"; do
        is_recent "$python" || continue
        if "$python" -c 'import ensurepip, venv' >/dev/null 2>&1; then
            # With .venv activated, $python is the one in it, which goes away before the new one is made.
            python=$("$python" -c 'import sys; print(sys._base_executable)')
            return
        fi
        incomplete=${incomplete:-$python}
    done
    if [ -n "$incomplete" ]; then
        version=$("$incomplete" -c 'import sys; print("%d.%d" % sys.version_info[:2])')
        fail "$incomplete cannot make virtual environments: its modules 'venv' and 'ensurepip' are not installed." \
            "On Debian and Ubuntu: sudo apt install python$version-venv"
    fi
    fail "No Python 3.10 or newer found. Tried: $*" "To name yours: make PYTHON=/path/to/python3 <target>"
}

version_of() { "$1" -c 'import platform; print(platform.python_version())' 2>/dev/null; }

# shellcheck disable=SC2086 # a list of files
requirements() { cat $SOURCES | cksum; }

is_current() { # Each of train, docs and dev holds what the ones before it hold.
    case "$LEVEL $(sed -n '$p' "$STAMP")" in
        "$LEVEL $(requirements) $LEVEL" | *" $(requirements) dev" | "train $(requirements) docs") return 0 ;;
        *) return 1 ;;
    esac
}

identity() { # A moved clone, or a Python that was replaced or removed, changes this.
    "$VENV/bin/python" -c 'import sys; print(sys.prefix)' 2>/dev/null && version_of "$VENV/bin/python"
}

is_sound() {
    [ -f "$STAMP" ] && [ "$(identity)" = "$(sed '$d' "$STAMP")" ] || return 1
    [ -z "${PYTHON:-}" ] || [ "$(version_of "$PYTHON")" = "$(version_of "$VENV/bin/python")" ]
}

pip_install() { "$VENV/bin/python" -m pip install "$@"; }

install() {
    rm -f "$STAMP"
    # Metadata of an earlier installation would shadow the new one.
    rm -rf ./*.egg-info
    # The build backend comes first, so that it is the pinned one as well.
    if [ "$VENV" = .venv ]; then
        pip_install --constraint constraints.txt setuptools
        pip_install --constraint constraints.txt --no-build-isolation --editable ".[$EXTRAS]"
    elif [ "$LEVEL" = torch ]; then
        # What belongs to one release of torch is left to pip.
        grep -Ev '^(torch|tensordict|sympy|triton|nvidia-[a-z0-9-]*|cuda-[a-z0-9-]*)==' constraints.txt >"$VENV/constraints.txt"
        echo "torch==$TORCH" >>"$VENV/constraints.txt"
        pip_install --constraint "$VENV/constraints.txt" setuptools
        pip_install --constraint "$VENV/constraints.txt" --no-build-isolation --editable ".[$EXTRAS]"
    else
        pip_install --constraint clients/constraints.txt setuptools
        pip_install --constraint clients/constraints.txt --no-build-isolation --editable . \
            --requirement clients/requirements.txt
        # Without their dependencies: each asks for one release of rsl-rl-lib. Isaac Lab also asks for Python 3.12, which
        # only its simulator needs.
        pip_install --constraint clients/constraints.txt --no-deps --ignore-requires-python isaaclab mjlab
    fi
    identity >"$STAMP.part"
    echo "$(requirements) $LEVEL" >>"$STAMP.part"
    mv "$STAMP.part" "$STAMP"
}

if ! is_sound; then
    find_python
    if [ -e "$VENV" ]; then echo "$VENV is unfinished, was moved, or is not from here: it is replaced."; fi
    echo "Making $VENV with $python ($(version_of "$python"))."
    echo "This downloads PyTorch (several GB where it comes with CUDA's libraries) and may take minutes."
    rm -rf "$VENV"
    "$python" -m venv "$VENV"
    install
elif ! is_current; then
    echo "$VENV lacks something, or what it is made from changed: updating it."
    install
fi
