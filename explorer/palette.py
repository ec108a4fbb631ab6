# SPDX-License-Identifier: Apache-2.0
"""Colours of data, the same on the screen (Bokeh) and in printed figures (matplotlib)."""

from __future__ import annotations

# Data colours after Okabe and Ito's colour-blind-safe set, in the lightness that has a contrast of at least 3:1 on
# both the white and the dark surface (WCAG 2, graphical objects).
MODEL = "#2E8BD0"
NOMINAL = "#D9731A"
MEASURED = "#159A75"
DOWN = "#B5679A"
NEUTRAL = "#808B98"
UP = MODEL
BASELINE = NEUTRAL
SERIES = (MODEL, NOMINAL, MEASURED, DOWN, NEUTRAL)
"""For layers, seeds and other series without a meaning of their own."""

PINNED = (NOMINAL, MEASURED, NEUTRAL, "#9C8100", "#A0644A")
"""For devices kept for comparison beside the one on show."""

BAND_ALPHA = 0.22
TRACE_ALPHA = 0.45
