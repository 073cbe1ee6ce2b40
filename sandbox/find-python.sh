#!/bin/sh
# Prints the path of a working CPython 3.13: from PATH, else from pyenv's versions folder. Status 1 and a hint when there is none.
# Each candidate is run, because a pyenv shim on PATH answers to its name also where its version is not enabled.
for candidate in python3.13 python3 python "${PYENV_ROOT:-$HOME/.pyenv}"/versions/3.13*/bin/python3.13; do
    if "$candidate" -c 'import sys; sys.exit(sys.version_info[:2] != (3, 13) or sys.implementation.name != "cpython")' 2>/dev/null; then
        "$candidate" -c 'import sys; print(sys.executable)'
        exit 0
    fi
done
cat >&2 <<'HINT'
Python 3.13 is missing: neither on PATH nor among pyenv's versions.
Install it (for example "pyenv install 3.13", or your system's python3.13 with its venv module) and run make again.
HINT
exit 1
