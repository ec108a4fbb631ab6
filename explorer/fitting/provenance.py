# SPDX-License-Identifier: Apache-2.0
"""Where readings come from, as text that travels beside them: a job gets the readings anew, not the file."""

from __future__ import annotations

import json
from dataclasses import astuple, replace

from .errors import refusal
from .measured import Measured
from .rejects import Rejected


def provenance(measured: Measured) -> str:
    """Return what a file told besides its readings, as JSON: hash, layout, warnings, rows that were left out."""
    told = {
        "sha256": measured.sha256,
        "format_name": measured.format_name,
        "warnings": list(measured.warnings),
        "rejected": [astuple(row) for row in measured.rejected],
    }
    return json.dumps(told, separators=(",", ":"))


def with_provenance(measured: Measured, text: str) -> Measured:
    """Return the readings with what `provenance` wrote of them.

    Raises
    ------
    MeasuredDataError
        If the text is not of that kind.
    """
    try:
        told = json.loads(text)
        rejected = tuple(Rejected(*row) for row in told["rejected"])
        names = {n: str(told[n]) for n in ("sha256", "format_name")}
        return replace(measured, rejected=rejected, warnings=tuple(map(str, told["warnings"])), **names)
    except (ValueError, TypeError, KeyError) as error:
        allowed = "the text of explorer.fitting.provenance"
        raise refusal("provenance", text, f"cannot be read ({error})", allowed, "Leave it out.") from error
