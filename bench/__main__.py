# SPDX-License-Identifier: Apache-2.0
"""The command ``python -m bench``; docs/benchmarks.md explains it."""

from __future__ import annotations

import argparse
import datetime
import json
import sys
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import torch

from bench import machine, operations
from bench.agreement import Z_LIMIT
from bench.cases import Case
from bench.operation import WrongAnswer
from bench.peer import PYTHON, SERVER, Peer, PeerError, installed
from bench.table import table
from engine.errors import OhmscapeError

RESULTS = Path(__file__).resolve().parent / "results"
FEWEST_REPEATS = 4  # below, the neglected correlation in `bench.agreement.variances` is no longer small


def parsed(arguments: list[str] | None = None) -> argparse.Namespace:
    """Return the command line's options."""
    parser = argparse.ArgumentParser(prog="python -m bench", description="Time ours, the peer and torch in one run.")
    parser.add_argument("--op", nargs="+", default=operations.names(), help="operations (default: all)")
    parser.add_argument("--device", nargs="+", type=str, help="device classes or presets")
    parser.add_argument("--shape", nargs=2, type=int, metavar=("OUT", "IN"), help="tile size")
    parser.add_argument("--batch", type=int, help="samples of a call; pulses of a response")
    parser.add_argument("--bl", type=int, help="longest pulse train")
    parser.add_argument("--threads", nargs="+", type=int, help="threads of either side")
    parser.add_argument("--variant", nargs="+", help="density of an update, periphery and direction of a product")
    parser.add_argument("--repeats", type=int, default=10, help=f"calls of each side, at least {FEWEST_REPEATS}")
    parser.add_argument("--peer", action=argparse.BooleanOptionalAction,
                        help="compare with the peer (default: if `make bench-peer` has installed it)")  # fmt: skip
    parser.add_argument("--peer-python", type=Path, default=PYTHON, help="the peer's Python")
    parser.add_argument("--json", type=Path, help="write the records there")
    parser.add_argument("--keep", action="store_true", help="write the records into bench/results/")
    options = parser.parse_args(arguments)
    if options.repeats < FEWEST_REPEATS:
        parser.error(f"--repeats = {options.repeats}: too few for a variance (at least {FEWEST_REPEATS}).")
    there = installed() if options.peer_python == PYTHON else options.peer_python.exists()
    if options.peer is None:
        options.peer = there
    if options.peer and not there:
        parser.error(f"--peer: {options.peer_python} is not ready. Run `make bench-peer`, or give --peer-python.")
    return options


def cases(op: str, options: argparse.Namespace) -> list[Case]:
    """Return an operation's rows, narrowed down as asked."""
    names = ("device", "shape", "batch", "bl", "threads", "variant")
    asked = {name: getattr(options, name) for name in names}
    lists = {name: tuple(value) if isinstance(value, list) else value for name, value in asked.items()}
    return operations.get(op).rows.narrowed(**lists).cases(op)


class Run:
    """All rows of one command, with the peer's processes, one for each number of threads."""

    def __init__(self, options: argparse.Namespace, processes: ExitStack):
        self.options, self._processes = options, processes
        self._peers: dict[int, Peer] = {}
        self.machine = machine.machine()

    def peer(self, threads: int) -> Peer | None:
        """Return the peer's process on so many threads, started when first needed; None without a peer."""
        if self.options.peer and threads not in self._peers:
            started = Peer(threads, (str(self.options.peer_python), *SERVER))
            self._peers[threads] = self._processes.enter_context(started)
        return self._peers.get(threads)

    def record(self, case: Case) -> dict[str, Any]:
        """Run one row and return its record."""
        torch.set_num_threads(case.threads)
        peer = self.peer(case.threads)
        before = machine.load()
        measured = operations.get(case.op)(case).measure(peer, self.options.repeats)
        around = {"load_before": before, "load_after": machine.load(), "machine": self.machine}
        return case.record() | measured | around | {"peer": peer.description if peer else None}

    @staticmethod
    def show(text: str) -> None:
        """Say on a terminal what is running."""
        if sys.stderr.isatty():
            print(f"\r\033[K{text}", end="", file=sys.stderr, flush=True)

    def records(self, op: str) -> list[dict[str, Any]]:
        """Check an operation's answers, run its rows, print its table."""
        operations.get(op).verify()
        done = []
        for case in cases(op, self.options):
            self.show(f"{op}: {case.device}, {case.variant}, {case.threads} threads")
            done.append(self.record(case))
        self.show("")
        print(f"\n{op}, {done[0]['shape'][0]} x {done[0]['shape'][1]}, batch {done[0]['batch']}\n{table(done)}")
        return done


def disagreeing(records: list[dict[str, Any]]) -> list[str]:
    """Return the rows whose answer is wrong."""
    checks = ("mean_agrees", "variance_agrees", "formula_agrees")
    return [
        f"{r['op']} {r['device']} {r['variant']} {r['threads']} threads: {check} is false"
        for r in records
        for check in checks
        if r.get(check) is False
    ]


def write(records: list[dict[str, Any]], options: argparse.Namespace) -> None:
    """Write the records where the options say."""
    paths = [options.json] if options.json else []
    if options.keep:
        today = datetime.datetime.now(datetime.UTC).strftime("%Y-%m-%d-%H%M")
        paths.append(RESULTS / f"{today}_{machine.file_stem()}.json")
    for path in paths:
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(json.dumps(records, indent=1) + "\n", encoding="utf-8")
        print(f"written: {path}")


def main() -> None:
    """Run what was asked for; the exit status is 1 if an answer is wrong."""
    options = parsed()
    records: list[dict[str, Any]] = []
    try:
        with ExitStack() as processes:
            run = Run(options, processes)
            for op in options.op:
                records += run.records(op)
    except (OhmscapeError, PeerError, WrongAnswer, ValueError) as problem:
        sys.exit(f"error: {problem}")
    finally:
        if records:
            write(records, options)
    wrong = disagreeing(records)
    print(f"ours and the peer agree where means lie within {Z_LIMIT} standard errors: {len(wrong)} rows disagree")
    if wrong:
        sys.exit("\n".join(wrong))


if __name__ == "__main__":
    main()
