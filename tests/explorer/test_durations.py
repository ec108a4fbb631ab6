# SPDX-License-Identifier: Apache-2.0
"""Times as text: every unit, every refusal, and back."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from engine.errors import ParameterError
from explorer import durations


@pytest.mark.parametrize(
    ("text", "seconds"),
    [("1s", 1), ("20 s", 20), ("1 min", 60), ("1h", 3600), ("1 day", 86400), ("1w", 604800), ("1mo", 2.592e6),
     ("1 Year", 3.1536e7), ("10y", 3.1536e8), ("2.5 h", 9000), (".5s", 0.5), ("1e3 s", 1000), ("0", 0), ("0s", 0)],
)  # fmt: skip
def test_time_with_unit_is_seconds(text, seconds):
    assert durations.seconds(text) == seconds


@pytest.mark.parametrize(
    ("text", "words"),
    [("soon", "is no time"), ("", "is no time"), ("-1s", "is no time"), ("12", "Write 12s for seconds"),
     ("5m", "minutes or months"), ("3 yeras", "years"), ("200y", "1 ms to 100 y"), ("1e-6s", "1 ms to 100 y"),
     ("1 h 5", "is no time"), ("nan s", "is no time")],
)  # fmt: skip
def test_time_nonsense_is_refused_with_what_to_write(text, words):
    with pytest.raises(ParameterError, match=words):
        durations.seconds(text)


def test_times_come_in_ascending_order_and_once():
    assert durations.several("1y, 1s,1d, 0") == [0, 1, 86400, 3.1536e7]
    with pytest.raises(ParameterError, match=r"1 min.*given twice"):
        durations.several("60s,1min")
    with pytest.raises(ParameterError, match="holds no time"):
        durations.several(" , ")


@given(st.floats(1e-3, 3.1e9))
def test_time_worded_is_the_same_time_again(value):
    assert durations.seconds(durations.worded(value)) == pytest.approx(value, rel=1e-9)  # what `worded` takes for exact
