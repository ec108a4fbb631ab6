# SPDX-License-Identifier: Apache-2.0
"""Run long commands quietly: one line of progress on the screen, everything in a log, the log's end on failure."""

from __future__ import annotations

import re
import subprocess
import sys
import time
from pathlib import Path
from typing import TextIO

# What pip, apt and ninja print when they start on the next thing; the rest goes to the log only.
NEWS = re.compile(
    r"^\s*(Collecting \S+|Downloading \S+|Installing collected packages|Building \S.*|Get:\S+ .*|"
    r"Unpacking \S+|Setting up \S+|\[\d+/\d+\] .*)"
)
# The cause of a failure often stands far above the last lines.
CAUSE = re.compile(r"\berror\b:", re.IGNORECASE)
CAUSE_LINES, TAIL_LINES = 5, 12


class Failed(Exception):
    """A step that cannot go on; the text is for the user."""


class Log:
    """A log file and the numbered steps shown on the screen."""

    def __init__(self, path: Path) -> None:
        self.path, self.steps = path, 0
        self._started = time.monotonic()
        self._file: TextIO | None = None

    def __enter__(self) -> Log:
        return self

    def __exit__(self, *_: object) -> None:
        if self._file:
            self._file.close()

    def step(self, text: str) -> None:
        """Announce the next step with the time since the start."""
        self.steps += 1
        self.write(f"== {text}\n")
        print(f"[{time.monotonic() - self._started:4.0f} s] {text} ...", flush=True)

    def write(self, text: str) -> None:
        """Append to the log, which is created with the first line."""
        if self._file is None:
            self.path.parent.mkdir(parents=True, exist_ok=True)
            self._file = self.path.open("w", encoding="utf-8")
        self._file.write(text)
        self._file.flush()


def run_logged(command: list[str], log: Log, *, quiet: bool = False) -> None:
    """Run a command; on a terminal show what it is busy with, unless ``quiet``.

    Raises
    ------
    Failed
        The command did not succeed; carries the end of its output and the path of the log.
    """
    log.write(f"$ {' '.join(command)}\n")
    lines: list[str] = []
    on_terminal = sys.stdout.isatty() and not quiet
    with subprocess.Popen(
        command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, errors="replace"
    ) as process:
        for line in process.stdout or ():
            log.write(line)
            lines.append(line.rstrip())
            news = NEWS.match(line)
            if on_terminal and news:
                print(f"\r\033[K         {news.group(1)[:100]}", end="", flush=True)
    if on_terminal:
        print("\r\033[K", end="", flush=True)
    if process.returncode:
        causes = [line for line in lines[:-TAIL_LINES] if CAUSE.search(line)][:CAUSE_LINES]
        shown = "\n".join([*causes, "...", *lines[-TAIL_LINES:]])
        raise Failed(f"'{' '.join(command[:5])} ...' failed (whole output: {log.path}).\n{shown}")
