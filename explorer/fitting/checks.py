# SPDX-License-Identifier: Apache-2.0
"""Checks on traces that do not depend on the layout of the file they came from."""

from __future__ import annotations

from collections import defaultdict

from .errors import place, refusal
from .trace import DIRECTION_NAMES, DOWN, UP, Trace

MIN_READINGS = 3
"""Readings per direction below which no curve can be told."""

NAMED = 5
"""Traces a warning names before it says how many more there are."""


def check_traces(traces: list[Trace], source: str) -> list[str]:
    """Refuse traces that cannot be used; return warnings about those that can be, with care.

    Raises
    ------
    MeasuredDataError
        If no pulse was applied at all, a device has fewer than `MIN_READINGS` readings in a direction it
        was pulsed in, or every trace is stuck.
    """
    counts: dict[str, dict[int, int]] = defaultdict(lambda: {UP: 0, DOWN: 0})
    for trace in traces:
        for direction in (UP, DOWN):
            counts[trace.device_id][direction] += int((trace.direction == direction).sum())
    for device, found in counts.items():
        _check_counts(device, found, source)
    return _stuck_warning(traces, source)


def _check_counts(device: str, found: dict[int, int], source: str) -> None:
    subject = f"readings of device {device} in {place(source)}"
    allowed = f"at least {MIN_READINGS} readings after pulses of one direction"
    if not any(found.values()):
        rule = "there is no pulse among them, direction is always 0"
        raise refusal(subject, 0, rule, allowed, "Give direction +1 or -1 to readings after a pulse.")
    for direction, n in found.items():
        if 0 < n < MIN_READINGS:
            rule = f"too few after {DIRECTION_NAMES[direction]} pulses"
            remedy = "Measure more pulses, or delete these readings."
            raise refusal(subject, n, rule, allowed, remedy)


def _stuck_warning(traces: list[Trace], source: str) -> list[str]:
    stuck = [trace for trace in traces if trace.stuck]
    if len(stuck) == len(traces):
        rule = "every trace is constant, the device is stuck"
        remedy = "Check the column that was exported and the range of the instrument."
        value = float(traces[0].value[0])
        raise refusal(f"readings in {source}", value, rule, "readings that change with pulses", remedy)
    if not stuck:
        return []
    names = ", ".join(trace.label for trace in stuck[:NAMED])
    more = f" and {len(stuck) - NAMED} more" if len(stuck) > NAMED else ""
    share = len(stuck) / len(traces)
    return [
        f"{len(stuck)} of {len(traces)} traces ({share:.1%}) never change and count as stuck: {names}{more}. "
        "Fits leave them out."
    ]
