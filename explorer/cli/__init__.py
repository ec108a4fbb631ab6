# SPDX-License-Identifier: Apache-2.0
"""The command ``ohmscape``: what the apps do, from a shell.

Nothing heavy is imported until a command runs, so ``ohmscape --help`` answers at once.
"""

from __future__ import annotations

import argparse
import sys
import traceback
from typing import Any, NoReturn

from explorer.cli import commands, output

SEED_HELP = "seed of every random number [1]; the same seed gives the same result (default: 0)"
SEED_LIMIT = 2**53 - 1  # what an experiment takes; larger ones do not survive JSON exactly
JSON_HELP = "also write the result as JSON to FILE; '-' writes it to standard output instead of the table"


class _Parser(argparse.ArgumentParser):
    """Argument parser without abbreviations (``--seed`` and ``--seeds`` differ), whose errors are one line."""

    def __init__(self, **values: Any) -> None:
        super().__init__(allow_abbrev=False, **values)

    def error(self, message: str) -> NoReturn:
        self.exit(2, f"{self.prog}: {message}. Try: {self.prog} --help\n")


def _seed(text: str) -> int:
    if not text.isdecimal() or int(text) > SEED_LIMIT:
        raise argparse.ArgumentTypeError(f"{text}: must be a whole number from 0 to {SEED_LIMIT}")
    return int(text)


def _version() -> str:
    from importlib import metadata

    return metadata.version("ohmscape")


def _chosen(arguments: list[str]) -> str | None:
    """Return the command that was asked for: only its own arguments are worth the imports they need."""
    return next((word for word in arguments if not word.startswith("-")), None)


def build_parser(arguments: list[str]) -> argparse.ArgumentParser:
    """Return the parser of all commands, with the arguments of the chosen one."""
    parser = _Parser(prog="ohmscape", description="Design-space explorer for analog in-memory computing.")
    parser.add_argument("--version", action="store_true", help="print the version and leave")
    subparsers = parser.add_subparsers(dest="command", metavar="COMMAND", parser_class=_Parser)
    for name, module in commands.found().items():
        sub = subparsers.add_parser(name, help=module.SUMMARY, description=(module.__doc__ or "").partition("\n\n")[0])
        if name == _chosen(arguments):
            module.add_arguments(sub)
            common = sub.add_argument_group("every command")
            common.add_argument("--seed", type=_seed, default=0, metavar="N", help=SEED_HELP)
            common.add_argument("--json", metavar="FILE", help=JSON_HELP)
            common.add_argument("--debug", action="store_true", help="show the traceback of an error")
    return parser


def main(arguments: list[str] | None = None) -> int:
    """Run one command and return its exit status: 0 done, 1 failed, 2 wrong usage, 130 interrupted."""
    given = sys.argv[1:] if arguments is None else list(arguments)
    debug = "--debug" in given
    try:
        parser = build_parser(given)
        options = parser.parse_args(given)
        if options.version:
            print(f"ohmscape {_version()}")
            return 0
        if options.command is None:
            parser.print_help()
            return 2
        return commands.found()[options.command].run(options)
    except KeyboardInterrupt:
        return output.fail("interrupted", status=130)
    except BrokenPipeError:  # the reader of our output has gone (as in "ohmscape presets | head")
        sys.stderr.close()
        return 0
    except Exception as problem:  # the one place where an error becomes a line for the user
        if debug:
            traceback.print_exc()
        return output.fail(output.one_line(problem))
