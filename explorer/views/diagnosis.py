# SPDX-License-Identifier: Apache-2.0
"""Why a device trains badly: its numbers beside the published limits, each with a sign, a word and a sentence."""

from __future__ import annotations

import math
from html import escape

import panel as pn
from panel.viewable import Viewable, Viewer

from explorer.assessment import FAIL, MARGINAL, PASS, Finding, verdict
from explorer.views import theme
from explorer.views.icons import svg

_SIGNS = {PASS: ("check", "within"), MARGINAL: ("warning", "close"), FAIL: ("close", "outside")}
_SUBTITLE = (
    "This device against what plain gradient descent with stochastic pulses asks for (the RPU specification of 2016). "
    "Close: off by less than a factor of two."
)


class DiagnosisView(Viewer):
    """A card with the verdict and one row per limit; `draw` shows findings."""

    def __init__(self):
        super().__init__()
        self.verdict = theme.html(margin=(8, 0, 4, 0))
        self.table = theme.html(margin=(8, 0, 0, 0))
        self.view: Viewable = theme.card("Why does it train badly?", self.verdict, self.table, subtitle=_SUBTITLE)

    def __panel__(self) -> Viewable:
        return pn.Column(self.view, sizing_mode="stretch_width", margin=0)

    def draw(self, findings: list[Finding]) -> None:
        """Show findings."""
        self.verdict.object = _verdict_markup(findings)
        self.table.object = table_markup(findings)


def table_markup(findings: list[Finding]) -> str:
    """Return the findings as HTML, one row each."""
    head = "".join(
        f'<th scope="col">{name}</th>' for name in ("Verdict", "Number", "This device", "Asked for", "What it means")
    )
    body = "".join(_row(f) for f in findings)
    return (
        f'<div class="scroll"><table class="findings"><thead><tr>{head}</tr></thead><tbody>{body}</tbody></table></div>'
    )


def _row(finding: Finding) -> str:
    limit = finding.limit
    asked = f"{'≥' if limit.at_least else '≤'} {amount(limit.value, limit.unit)}"
    return (
        f"<tr><td>{badge(finding.status)}</td>"
        f'<td class="note"><strong>{escape(limit.label)}</strong><div class="sub">{escape(limit.measured)}</div></td>'
        f"<td>{amount(finding.value, limit.unit)}</td><td>{asked}</td>"
        f'<td class="note wide">{escape(finding.words)}<div class="sub">Limit: {escape(limit.origin)}.</div></td></tr>'
    )


def badge(status: str) -> str:
    """Return a sign and a word for a status; the colour only repeats them."""
    icon, word = _SIGNS[status]
    return f'<span class="badge {status}">{svg(icon).replace("#000", "currentColor")}{word}</span>'


def amount(value: float, unit: str) -> str:
    """Return a number with its unit, three digits; a dash where there is none."""
    if math.isnan(value):
        return "–"
    number = "∞" if math.isinf(value) else f"{value:,.0f}" if value >= 100 else f"{float(f'{value:.3g}'):g}"
    return f"{number}&nbsp;%" if unit == "%" else number.replace(",", "\u202f")


def _verdict_markup(findings: list[Finding]) -> str:
    worst = next(s for s in (FAIL, MARGINAL, PASS) if s == PASS or any(f.status == s for f in findings))
    return f'<div class="verdict {worst}">{escape(verdict(findings))}</div>'
