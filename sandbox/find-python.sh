#!/bin/sh
# Prints the path of a working CPython 3.13: from PATH, or else from pyenv's versions folder. Without one: a hint and status 1.
# Runs each candidate, because a pyenv shim on PATH has the name even if its version is not enabled.
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
