#!/bin/sh
# SPDX-License-Identifier: Apache-2.0
# Prints the Python that builds the environment: $PYTHON if set, else the one of an existing environment, else the
# first suitable one on PATH. Everything after this line of defence is written in Python itself (environment.py).
venv=${1:-.venv}

suitable() {
    "$1" -c 'import sys; sys.exit(not (3, 11) <= sys.version_info[:2] <= (3, 13))' >/dev/null 2>&1
}

if [ -n "$PYTHON" ]; then
    suitable "$PYTHON" && { echo "$PYTHON"; exit 0; }
    echo "PYTHON = $PYTHON: not found, or not Python 3.11, 3.12 or 3.13. Give the path of one that is." >&2
    exit 1
fi
for candidate in "$venv/bin/python" python3 python3.13 python3.12 python3.11 python; do
    suitable "$candidate" && { echo "$candidate"; exit 0; }
done
echo "No Python 3.11, 3.12 or 3.13 found. Install one (Debian 12 or newer, Ubuntu 24.04 or newer: apt-get install" \
     "python3 python3-venv python3-dev; Fedora: dnf install python3.13-devel; macOS: brew install python@3.13), or" \
     "name it: PYTHON=/path/to/python make ..." >&2
exit 1
