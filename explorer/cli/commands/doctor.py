# SPDX-License-Identifier: Apache-2.0
"""Say what was built, what is in use, and whether the parts fit together.

Exit status 0 when nothing is wrong, 1 when something needs repair. Run it in the folder where an import goes
wrong: a module of yours named 'engine' or 'explorer' there hides Ohmscape's.
"""

from __future__ import annotations

import argparse
import textwrap

from explorer.cli import output

SUMMARY = "check the installation and name what does not fit"
MARKS = {"ok": "ok", "note": "note", "problem": "PROBLEM"}


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Nothing to choose."""


def run(options: argparse.Namespace) -> int:
    """Print the findings; status 1 when one is a problem."""
    from explorer import diagnosis

    findings = diagnosis.examine()
    problems = [finding for finding in findings if finding.status == "problem"]
    lines = []
    for finding in findings:
        text = f"{finding.topic:<13} {MARKS[finding.status]:<8} {finding.text}"
        lines.append(textwrap.fill(text, 110, subsequent_indent=" " * 23, break_long_words=False))
        if finding.remedy:
            lines.append(f"{' ' * 23}-> {finding.remedy}")
    lines += ["", "Everything fits." if not problems else f"{len(problems)} to repair."]
    result = {"healthy": not problems, "findings": [finding.to_dict() for finding in findings]}
    output.deliver(result, "\n".join(lines), options.json)
    return 1 if problems else 0
