# SPDX-License-Identifier: Apache-2.0
"""Reading measured files: layouts, units, what is refused and how it is worded."""

from __future__ import annotations

import contextlib
import importlib.util
import io
from pathlib import Path

import numpy as np
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from engine.errors import OhmscapeError
from explorer.fitting import MAX_BYTES, Measured, MeasuredDataError, check_size, fit, read_measured
from explorer.fitting import source as source_module
from explorer.fitting.formats import all_formats
from explorer.fitting.trace import Trace, pulse_trace

SAMPLES = Path(__file__).parents[1] / "data" / "measured"
HEADER = "device_id,cycle,index,direction,value"
CURRENT = {"unit": "A", "read_voltage_v": 0.1}


def long_text(n: int = 20, header: str = HEADER, more: str = "") -> str:
    """Return a valid long file: n up, then n down pulses of one device."""
    rows = [f"1,1,{i},{1 if i <= n else -1},{0.01 * min(i, 2 * n + 1 - i):.3f}{more}" for i in range(1, 2 * n + 1)]
    return "\n".join([header, *rows]) + "\n"


def read_text(text: str, **options) -> Measured:
    return read_measured(text.encode(), "up.csv", **options)


def replaced(text: str, row: int, new: str) -> str:
    """Return text with one line replaced; ``row`` counts from 1."""
    lines = text.split("\n")
    lines[row - 1] = new
    return "\n".join(lines)


def assert_same(a: Measured, b: Measured) -> None:
    assert a.unit == b.unit
    assert [(t.device_id, t.cycle) for t in a.traces] == [(t.device_id, t.cycle) for t in b.traces]
    for x, y in zip(a.traces, b.traces, strict=True):
        for name in ("index", "direction", "value", "n_pulses"):
            np.testing.assert_array_equal(getattr(x, name), getattr(y, name), err_msg=name)
        assert {*x.extras} == {*y.extras}
        for name in x.extras:
            np.testing.assert_array_equal(x.extras[name], y.extras[name], err_msg=name)


# ---------------------------------------------------------------------------------------------- layouts


def test_samples_match_their_generator():
    spec = importlib.util.spec_from_file_location("make_measured_samples", SAMPLES / "make.py")
    make = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(make)
    for name, text in make.files().items():
        assert (SAMPLES / name).read_bytes() == text.encode(), name


@pytest.mark.parametrize(
    ("name", "options", "summary"),
    [
        ("long.csv", {}, "2 devices, 2 cycles, 164 readings after 80 up and 80 down pulses, 27.2 to 113 uS"),
        ("sequence.csv", {}, "1 device, 1 cycle, 80 readings after 40 up and 40 down pulses, 23.38 to 116.6 uS"),
        ("two_column.csv", {}, "1 device, 1 cycle, 120 readings after 60 up and 60 down pulses, -0.9872 to 0.9872"),
        ("set_ramps.csv", CURRENT, "1 device, 4 cycles, 114 readings after 114 up and 0 down pulses, 32.6 to 112.2 uS"),
        (
            "reset_ramps.csv",
            CURRENT,
            "1 device, 4 cycles, 102 readings after 0 up and 102 down pulses, 29.68 to 107.4 uS",
        ),
        (
            "wide.csv",
            {"unit": "S"},
            "3 devices, 1 cycle, 120 readings after 60 up and 60 down pulses, 32.6 to 104 uS",
        ),
    ],
)
def test_sample_of_each_layout_has_its_sizes_and_range(name, options, summary):
    assert str(read_measured(SAMPLES / name, **options).summary()) == summary


def test_layouts_each_recognised_by_one_sample():
    names = ("long.csv", "two_column.csv", "set_ramps.csv", "wide.csv", "sequence.csv")
    found = {read_measured(SAMPLES / name).format_name for name in names}
    assert found == {layout.title for layout in all_formats()}


def test_long_decimal_comma_bom_crlf_equals_plain_file():
    assert_same(read_measured(SAMPLES / "long_decimal_comma.csv"), read_measured(SAMPLES / "long.csv"))


@pytest.mark.parametrize("separator", [";", "\t"])
def test_long_other_separator_equals_comma(separator):
    text = (SAMPLES / "long.csv").read_text()
    assert_same(read_text(text.replace(",", separator)), read_text(text))


def test_long_comments_and_blank_rows_are_skipped_and_told():
    text = long_text()
    measured = read_text("# made by hand\nsep=,\n" + text.replace("\n1,1,5,", "\n\n1,1,5,"))
    assert_same(measured, read_text(text))
    assert "1 blank row was skipped" in measured.warnings


@pytest.mark.parametrize("kind", ["path", "str", "bytes", "bytearray", "binary file", "text file"])
def test_read_measured_any_source_gives_the_same(kind):
    path = SAMPLES / "long.csv"
    data = path.read_bytes()
    source = {
        "path": path,
        "str": str(path),
        "bytes": data,
        "bytearray": bytearray(data),
        "binary file": io.BytesIO(data),
        "text file": io.StringIO(data.decode()),
    }[kind]
    measured = read_measured(source)
    assert_same(measured, read_measured(path))
    assert measured.source_name == ("long.csv" if kind in ("path", "str") else "upload")


def test_long_interleaved_devices_are_sorted_into_traces():
    rows = [HEADER]
    for i in range(1, 6):
        rows += [f"{d},{c},{i},1,{0.1 * i + c}" for d in ("a", "b") for c in (1, 2)]
    measured = read_text("\n".join(rows))
    assert [(t.device_id, t.cycle) for t in measured.traces] == [("a", 1), ("a", 2), ("b", 1), ("b", 2)]
    np.testing.assert_array_equal(measured.traces[3].value, [0.1 * i + 2 for i in range(1, 6)])


def test_long_pulse_counts_and_repeated_reads_count_each_pulse_once():
    rows = [HEADER + ",n_pulses,read_index"]
    rows += [f"1,1,{i},1,{0.1 * i + 0.001 * r},5,{r}" for i in range(1, 5) for r in (0, 1)]
    trace = read_text("\n".join(rows)).traces[0]
    np.testing.assert_array_equal(trace.n_pulses, [5, 0] * 4)
    assert trace.pulses(1) == 20
    np.testing.assert_array_equal(trace.extras["read_index"], [0, 1] * 4)


def test_long_read_only_row_applies_no_pulse():
    trace = read_measured(SAMPLES / "long.csv").traces[0]
    assert trace.direction[0] == 0
    assert trace.n_pulses[0] == 0


def test_ramp_columns_direction_follows_name_over_trend():
    text = "up 1,reset_1,LTP2\n" + "\n".join(f"{i},{10 - i},{i + 1}" for i in range(6))
    measured = read_text(text)
    assert [t.cycle for t in measured.traces] == [1, 2]
    np.testing.assert_array_equal(measured.traces[0].direction, [1] * 6 + [-1] * 6)
    np.testing.assert_array_equal(measured.traces[1].direction, [1] * 6)


def test_two_column_swapped_needs_directions():
    text = (SAMPLES / "two_column.csv").read_text()
    swapped = "\n".join(",".join(reversed(row.split(","))) for row in text.split())
    with pytest.raises(MeasuredDataError, match=r"the readings run down.*Swap the columns"):
        read_text(swapped)
    assert_same(read_text(swapped, directions=(-1, 1)), read_text(text))


def test_wide_without_header_numbers_the_devices():
    text = (SAMPLES / "wide.csv").read_text().split("\n", 1)[1]
    measured = read_text(text, unit="S")
    assert [t.device_id for t in measured.traces] == ["1", "2", "3"]
    np.testing.assert_array_equal(measured.traces[2].value, read_measured(SAMPLES / "wide.csv").traces[2].value)


# ------------------------------------------------------------------------------------- units and merging


@pytest.mark.parametrize(
    ("unit", "factor"), [("S", 1), ("mS", 1e-3), ("uS", 1e-6), ("µS", 1e-6), ("μS", 1e-6), ("nS", 1e-9)]
)
def test_unit_column_converts_to_siemens(unit, factor):
    measured = read_text(long_text(header=HEADER + ",unit", more="," + unit))
    plain = read_text(long_text())
    assert measured.unit == "S"
    np.testing.assert_array_equal(measured.traces[0].value, plain.traces[0].value * factor)


def test_current_with_read_voltage_column_equals_argument():
    volts = "read_voltage_v"
    by_column = read_text(long_text(header=f"{HEADER},unit,{volts}", more=",A,0.2"))
    by_argument = read_text(long_text(), unit="A", read_voltage_v=0.2)
    assert_same(by_column, by_argument)
    np.testing.assert_allclose(by_column.traces[0].value[0], 0.05, rtol=1e-15)  # 0.01 A / 0.2 V


def test_no_unit_is_a_plain_number_with_a_warning():
    measured = read_text(long_text())
    assert measured.unit == "1"
    assert any("names no unit" in w for w in measured.warnings)
    assert not any("names no unit" in w for w in read_text(long_text(), unit="1").warnings)


def test_merge_set_and_reset_makes_full_cycles():
    sets = read_measured(SAMPLES / "set_ramps.csv", **CURRENT)
    resets = read_measured(SAMPLES / "reset_ramps.csv", **CURRENT)
    merged = sets.merge(resets)
    assert str(merged.summary()).startswith("1 device, 4 cycles, 216 readings after 114 up and 102 down pulses")
    assert merged.source_name == "set_ramps.csv + reset_ramps.csv"
    for whole, first, second in zip(merged.traces, sets.traces, resets.traces, strict=True):
        np.testing.assert_array_equal(whole.value, [*first.value, *second.value])
        assert (np.diff(whole.index) > 0).all()


def test_merge_refuses_other_unit_and_same_ramps():
    sets = read_measured(SAMPLES / "set_ramps.csv", **CURRENT)
    with pytest.raises(MeasuredDataError, match=r"unit of reset_ramps.csv = '1'.*set_ramps.csv is in S"):
        sets.merge(read_measured(SAMPLES / "reset_ramps.csv"))
    with pytest.raises(MeasuredDataError, match=r"'device 1 cycle 1'.*pulsed in the same direction"):
        sets.merge(sets)


def test_merge_keeps_only_shared_extra_columns_and_says_so():
    timed = read_text(long_text(header=HEADER + ",t_s", more=",1.5"))
    other = read_text(long_text().replace("\n1,", "\n2,"))
    merged = timed.merge(other)
    assert all(not t.extras for t in merged.traces)
    assert any(w.startswith("t_s is not in every merged file") for w in merged.warnings)


# ---------------------------------------------------------------------------------- normalising, exporting


def test_normalise_given_ends_follows_the_formula():
    measured = read_measured(SAMPLES / "long.csv")
    normalised = measured.normalise(w_lo=-0.5, w_hi=1.5, g_lo=20e-6, g_hi=120e-6)
    value = measured.traces[0].value
    expected = -0.5 + (value - 20e-6) * (1.5 + 0.5) / (120e-6 - 20e-6)
    np.testing.assert_allclose(normalised.traces[0].value, expected, rtol=1e-12)  # rounding of one product
    np.testing.assert_allclose(normalised.to_value(normalised.traces[0].value), value, rtol=1e-12)
    assert normalised.mapping() == {
        "w_lo": -0.5,
        "w_hi": 1.5,
        "g_lo": 20e-6,
        "g_hi": 120e-6,
        "rule": "g_lo and g_hi given by the caller",
        "unit": "S",
        "source": "long.csv",
    }


def test_normalise_default_ends_ignore_a_wild_ramp():
    clean = read_measured(SAMPLES / "set_ramps.csv", **CURRENT)
    wild = clean.traces[0].with_values(clean.traces[0].value * 50)
    normal = clean.normalise()
    shifted = Measured((*clean.traces, wild), "S", "wild").normalise()
    # the median of five ends is one of the four ends there were, which span less than a tenth of the range
    assert abs(shifted.g_hi - normal.g_hi) < 0.1 * (normal.g_hi - normal.g_lo)
    assert normal.rule == "median start and end of 4 ramps"


def test_normalise_says_why_readings_that_never_change_have_no_range():
    flat = pulse_trace("1", 1, np.array([0, 1, 1, 1]), np.full(4, 2e-6))
    measured = Measured((flat,), "S", "flat.csv")
    told = r"readings of flat.csv = 2e-06 S.*every reading is the same.*g_lo and g_hi"
    with pytest.raises(MeasuredDataError, match=told):
        measured.normalise()
    assert measured.normalise(g_lo=1e-6, g_hi=3e-6).traces[0].value == pytest.approx(0.0, abs=1e-12)


def test_normalise_alternating_pulses_uses_percentiles():
    rows = [f"1,1,{i},{(-1) ** i},{0.5 + 0.1 * (-1) ** i + 0.001 * (i % 7)}" for i in range(40)]
    normalised = read_text("\n".join([HEADER, *rows])).normalise()
    assert normalised.rule == "1st and 99th percentile of the readings"


@pytest.mark.parametrize(
    ("options", "part"),
    [
        ({"w_lo": 1.0, "w_hi": -1.0}, "normalise w_hi = -1: must be above w_lo = 1"),
        ({"g_lo": 1.0, "g_hi": 1.0}, "normalise g_hi = 1: must be above g_lo = 1 S"),
        ({"g_hi": float("nan")}, "normalise g_hi = nan: must be finite"),
        ({"g_lo": 0.0, "g_hi": 1e-14}, "too close to g_lo"),
    ],
)
def test_normalise_bad_ends_are_refused(options, part):
    with pytest.raises(MeasuredDataError, match=part):
        read_measured(SAMPLES / "long.csv").normalise(**options)


def test_normalise_inverted_polarity_is_refused_with_remedy():
    with pytest.raises(MeasuredDataError, match=r"normalise g_hi.*swap \+1 and -1"):
        read_measured(SAMPLES / "set_ramps.csv", directions=-1).normalise()


@pytest.mark.parametrize("name", ["long.csv", "two_column.csv", "set_ramps.csv", "wide.csv"])
def test_to_csv_read_again_gives_the_same_numbers(name):
    measured = read_measured(SAMPLES / name)
    assert_same(read_text(measured.to_csv()), measured)


def test_to_xarray_has_units_and_padding():
    measured = read_measured(SAMPLES / "set_ramps.csv", **CURRENT)
    dataset = measured.to_xarray()
    assert dataset["value"].dims == ("trace", "reading")
    assert dataset["value"].attrs["units"] == "S"
    assert dataset["length"].values.tolist() == [30, 29, 28, 27]
    for i, trace in enumerate(measured.traces):
        np.testing.assert_array_equal(dataset["value"][i, : len(trace)], trace.value)
        assert np.isnan(dataset["value"][i, len(trace) :]).all()


def test_stuck_trace_is_a_warning_with_its_share():
    text = "up 1,up 2,up 3,up 4\n" + "\n".join(f"{i},{i},7,{i}" for i in range(8))
    measured = read_text(text)
    assert any("1 of 4 traces (25.0%) never change" in w and "cycle 3" in w for w in measured.warnings)
    assert measured.summary().n_stuck == 1
    assert len(measured.good_traces) == 3


# ---------------------------------------------------------------------------------------- refused files

PNG = b"\x89PNG\r\n\x1a\n" + bytes(range(256))
XLSX = b"PK\x03\x04" + b"\x14\0\x06\0" + b"xl/workbook.xml" + b"\0" * 40
TWO = "0.1,0.9\n0.2,0.8\n0.3,0.7\n0.4,0.6\n"
BAD_FILES = {
    "png": (PNG, ["up.csv", "a PNG image", "Save it as CSV"]),
    "xlsx": (XLSX, ["an Excel workbook (.xlsx)", "Save it as CSV"]),
    "zip": (b"PK\x03\x04" + b"\x01" * 99, ["a zip archive"]),
    "utf16": (long_text().encode("utf-16")[:-1], ["broken UTF-16 text", "Save it as CSV (UTF-8)"]),
    "nul": (b"0.1,0.9\n0.2\x00,0.8\n", ["binary file", "NUL byte at position 11"]),
    "bytes of no text": (
        long_text(header=HEADER + ",unit", more=",\x90S").encode("latin1"),
        ["row 2", "0x90", "UTF-8"],
    ),
    "empty": (b"", ["size of up.csv", "the file is empty"]),
    "blank": (b" \r\n \n", ["the file holds no readings"]),
    "comments only": (b"# a\n# b\n", ["the file holds no readings"]),
    "header only": (HEADER, ["there is a header and no reading below it"]),
    "one column of text": ("notes\nfirst\nsecond\nthird\n", ["row 2 column 'notes' = 'first'", "must be a number"]),
    "one column without trend": ("5\n1\n5\n1\n5\n1\n5\n", ["direction of the readings", "Add a direction column"]),
    "blanks in text": ("see the other file\nor ask\n", ["up.csv", "too few to tell a curve"]),
    "text in row 700": (
        replaced(long_text(500), 700, "1,1,699,-1,oops"),
        ["up.csv row 700 column 'value' = 'oops'", "must be a number", "Correct or delete this row"],
    ),
    "text in row 3 of two": (replaced(TWO, 3, "x7,0.7"), ["up.csv row 3 column 1 = 'x7'", "must be a number"]),
    "text in first row of two": (
        replaced(TWO, 1, "0.1,x7"),
        ["up.csv row 1 column 1 = '0.1'", "a number among the names"],
    ),
    "nan": (replaced(long_text(), 9, "1,1,8,1,NaN"), ["row 9 column 'value' = 'NaN'", "must be a finite number"]),
    "inf": (replaced(long_text(), 9, "1,1,8,1,-inf"), ["row 9 column 'value' = '-inf'", "must be a finite number"]),
    "huge": (replaced(long_text(), 9, "1,1,8,1,1e300"), ["row 9", "'1e300'", "larger than any reading"]),
    "underscore": (replaced(long_text(), 9, "1,1,8,1,1_0"), ["row 9", "'1_0'", "must be a number"]),
    "empty cell": (replaced(long_text(), 9, "1,1,8,1,"), ["row 9 column 'value'", "the cell is empty"]),
    "long text": (replaced(long_text(), 9, "1,1,8,1," + "z" * 500), ["row 9", "z" * 40 + "..."]),
    "misspelt column": (
        long_text(header="devise_id,cycle,index,direction,value"),
        ["header of up.csv row 1 = 'device_id'", "missing", "Did you mean 'devise_id'?"],
    ),
    "misspelt name": (long_text(header="device,cycle,idx,direction,valeu"), ["'value'", "missing", "'valeu'"]),
    "misspelt optional": (long_text(header=HEADER + ",n_pulse", more=",1"), ["'n_pulse'", "'n_pulses'"]),
    "doubled column": (long_text(header=HEADER + ",value", more=",1"), ["'value'", "there twice"]),
    "misspelt direction": ("directions,a,b\n1,2,3\n1,3,4\n1,4,5\n", ["'directions'", "direction", "Rename"]),
    "index falls": (replaced(long_text(), 9, "1,1,3.0,1,0.5"), ["row 9 column 'index' = '3.0'", "duplicate of row 4"]),
    "index not sorted": (
        replaced(replaced(long_text(), 8, "1,1,8,1,0.08"), 9, "1,1,7,1,0.07"),
        ["row 9 column 'index' = '7'", "not larger than that of the row before"],
    ),
    "duplicate row": (replaced(long_text(), 9, "1,1,7,1,0.07"), ["row 9", "is a duplicate of row 8"]),
    "index fraction": (replaced(long_text(), 9, "1,1,8.5,1,0.5"), ["row 9 column 'index' = '8.5'", "whole number"]),
    "direction 2": (replaced(long_text(), 9, "1,1,8,2,0.5"), ["row 9 column 'direction' = '2'", "1 up, -1 down"]),
    "no device": (replaced(long_text(), 9, ",1,8,1,0.5"), ["row 9 column 'device_id' = ''", "no name"]),
    "no pulses": (long_text().replace(",1,0", ",0,0").replace(",-1,", ",0,"), ["direction is always 0"]),
    "two readings": (f"{HEADER}\n1,1,1,1,0.1\n1,1,2,1,0.2\n", ["= 2", "too few after up pulses", "at least 3"]),
    "two down readings": (
        replaced(replaced(long_text(3), 7, ""), 6, "1,1,5,-1,0.2"),
        ["= 2", "too few after down pulses"],
    ),
    "zero pulses": (long_text(header=HEADER + ",n_pulses", more=",0"), ["row 2 column 'n_pulses' = '0'", "at least"]),
    "all stuck": ("up 1,up 2\n" + "5,7\n" * 9, ["every trace is constant", "stuck"]),
    "unknown unit": (long_text(header=HEADER + ",unit", more=",siem"), ["up.csv row 2 column 'unit'", "'siem'", "uS"]),
    "unit case": (long_text(header=HEADER + ",unit", more=",us"), ["'us'", "Did you mean 'uS'"]),
    "ampere": (long_text(header=HEADER + ",unit", more=",A"), ["row 2", "'A'", "needs the voltage", "read_voltage_v"]),
    "zero volts": (long_text(header=HEADER + ",unit,read_voltage_v", more=",A,0"), ["read_voltage_v = 0", "not zero"]),
    "mixed units": (
        replaced(long_text(header=HEADER + ",unit", more=",S"), 5, "1,1,4,1,0.5,1"),
        ["row 5 column 'unit' = '1'", "are mixed"],
    ),
    "ragged": (replaced(long_text(), 9, "1,1,8,1,0.5,0.7"), ["row 9 = 6", "more cells than the first line"]),
    "decimal commas": ("0,1,0,9\n0,2,0,8,1\n", ["row 2 = 5", "separate the cells by semicolons"]),
    "thousands": ("a;b\n1,234;2,345\n3,456;4,567\n5,678;6,789\n", ["row 2 column 1 = '1,234'", "group thousands"]),
    "mixed decimals": ("a;b\n1,5;2,5\n2.5;3,5\n3,5;4,5\n", ["row 2 column 1 = '1,5'", "mixed", "row 3 column 1"]),
    "open quote": ('a,"b\n1,2\n2,3\n', ["quote is opened and never closed"]),
    "line in quotes": ('a,"b\nc"\n1,2\n2,3\n3,4\n', ["a quoted cell runs over several lines"]),
    "numbers without header": ("0.1,0.2,0.3\n0.2,0.3,0.4\n0.3,0.4,0.5\n", ["3 columns without a header", "first row"]),
    "counting column": ("0,0.1\n1,0.2\n2,0.3\n3,0.4\n", ["column 1", "only counts", "long format"]),
    "hole in column": ("up 1,up 2\n1,1\n2,\n3,3\n4,4\n", ["row 3 column 'up 2'", "the cell is empty"]),
    "short column": ("up 1,up 2\n1,1\n2,2\n3,\n4,\n", ["column 'up 2' = 2", "too few"]),
    "no trend": ("a,b\n1,1\n5,2\n1,3\n5,4\n1,5\n", ["direction of column 'a'", "directions="]),
    "same name": ("up,up\n1,2\n2,3\n3,4\n", ["row 1 column 2 = 'up'", "used twice, first in column 1"]),
    "no name": ("up,,up2\n1,2,3\n2,3,4\n3,4,5\n", ["row 1 column 2 = ''", "no name"]),
    "one endless line": (b"1," * 30_000, ["columns of up.csv", "too many"]),
}


@pytest.mark.parametrize("name", BAD_FILES)
def test_bad_file_gives_one_clear_error(name):
    content, parts = BAD_FILES[name]
    data = content.encode() if isinstance(content, str) else content
    with pytest.raises(MeasuredDataError) as caught:
        read_measured(data, "up.csv")
    message = str(caught.value)
    for part in parts:
        assert part in message
    assert "\n" not in message
    assert "(allowed: " in message
    assert len(message) < 500
    assert isinstance(caught.value, OhmscapeError)


def test_too_large_file_is_refused_before_it_is_read(tmp_path, monkeypatch):
    path = tmp_path / "big.csv"
    with path.open("wb") as file:
        file.truncate(300_000_000)  # sparse: takes no room on the disk
    monkeypatch.setattr(Path, "read_bytes", lambda self: pytest.fail("the file was read"))
    with pytest.raises(MeasuredDataError, match=r"size of big.csv = '300.0 MB'.*at most 256 MB"):
        read_measured(path)


def test_too_large_stream_is_read_no_further_than_the_limit(monkeypatch):
    monkeypatch.setattr(source_module, "MAX_BYTES", 1000)
    stream = io.BytesIO(b"1,2\n" * 1000)
    with pytest.raises(MeasuredDataError, match="too large"):
        read_measured(stream, "up.csv")
    assert stream.tell() == 1001


def test_check_size_at_the_limit_passes():
    check_size(MAX_BYTES, "a.csv")
    with pytest.raises(MeasuredDataError, match="too large"):
        check_size(MAX_BYTES + 1, "a.csv")


@pytest.mark.parametrize("source", ["no/such/file.csv", "\0.csv", Path("/"), 5, None])
def test_source_that_cannot_be_read_is_refused(source):
    with pytest.raises(MeasuredDataError, match=r"^source = "):
        read_measured(source)


@pytest.mark.parametrize(
    ("options", "part"),
    [
        ({"unit": "ohn"}, "unit = 'ohn'"),
        ({"unit": "A"}, "needs the voltage"),
        ({"unit": "A", "read_voltage_v": float("inf")}, "read_voltage_v = inf"),
        ({"directions": 2}, "directions = 2"),
        ({"directions": (1, 1)}, "of two columns one is up and one is down"),
        ({"directions": (1, -1, 1)}, "has 2 columns"),
    ],
)
def test_bad_option_is_refused(options, part):
    with pytest.raises(MeasuredDataError, match=part):
        read_measured(SAMPLES / "two_column.csv", **options)


def test_unit_argument_against_the_file_is_refused():
    with pytest.raises(MeasuredDataError, match="the caller says nS"):
        read_measured(SAMPLES / "long.csv", unit="nS")


# --------------------------------------------------------------------------------------- any content at all

CELLS = st.sampled_from(
    ["", "0", "1", "-1", "2", "0.5", "1e-6", "1e30", "1e308", "5e-324", "nan", "inf", "x", '"', "#", "A", "1,5", "é"]
)
NAMES = st.sampled_from(
    [*HEADER.split(","), "n_pulses", "read_index", "t_s", "unit", "read_voltage_v", "up", "rmp1", ""]
)


@st.composite
def csv_like(draw):
    """Text that looks like a measured file, right or wrong in many ways."""
    width = draw(st.integers(1, 7))
    rows = draw(st.lists(st.lists(CELLS, min_size=width, max_size=width), max_size=12))
    header = draw(st.sampled_from(["none", "any", "long"]))
    if header == "any":
        rows.insert(0, draw(st.lists(NAMES, min_size=width, max_size=width)))
    elif header == "long":
        rows.insert(0, [*HEADER.split(","), "n_pulses", "read_index"][:width])
    separator, end = draw(st.sampled_from(",;\t")), draw(st.sampled_from(["\n", "\r\n", "\r"]))
    return end.join(separator.join(row) for row in rows)


def assert_read_or_refused(data: bytes) -> None:
    with contextlib.suppress(MeasuredDataError):  # warnings are errors: no other exception, no warning either
        fit(read_measured(data, "any.csv"), "linear_step")


@settings(max_examples=200, deadline=None)
@given(st.binary(max_size=200))
def test_any_bytes_are_read_or_refused(data):
    assert_read_or_refused(data)


@settings(max_examples=200, deadline=None)
@given(st.text(max_size=200))
def test_any_text_is_read_or_refused(text):
    assert_read_or_refused(text.encode("utf-8", "surrogatepass"))


@settings(max_examples=300, deadline=None)
@given(csv_like())
@example("5e-324\n0\n5e-324\n0")  # a range whose slope overflows
def test_text_like_a_measured_file_is_read_or_refused(text):
    assert_read_or_refused(text.encode())


IDS = st.text(st.characters(codec="utf-8", categories=("L", "N", "P", "S", "Zs")), min_size=1, max_size=8).map(
    lambda s: s.strip() or "x"
)
VALUES = st.floats(-1e30, 1e30, allow_nan=False, allow_infinity=False)


@st.composite
def measurements(draw):
    """Valid measurements: unique devices and cycles, ramps of at least three readings, some extras."""
    keys = draw(st.lists(st.tuples(IDS, st.integers(0, 99)), min_size=1, max_size=4, unique=True))
    timed, traces = draw(st.booleans()), []
    for device, cycle in keys:
        n = draw(st.integers(3, 8))
        direction = np.repeat(draw(st.sampled_from([(1,), (-1,), (1, -1), (1, 0, -1)])), n)
        value = draw(st.lists(VALUES, min_size=direction.size, max_size=direction.size))
        value[0] = 0.0 if value[1] else 1.0  # not stuck
        counts = np.abs(direction) * draw(st.integers(1, 5))
        index = draw(st.integers(-5, 5)) + np.cumsum(np.full(direction.size, draw(st.integers(1, 3))))
        extras = {"t_s": np.linspace(0, 1, direction.size)} if timed else {}
        traces.append(Trace(device, cycle, index, direction, np.array(value), counts, extras))
    return Measured(tuple(traces), draw(st.sampled_from(["S", "1"])), "generated")


@pytest.mark.parametrize("name", ["#", "#7", "  # a"])
def test_device_named_like_a_comment_survives_csv(name):
    trace = pulse_trace(name, 0, np.array([1, 1, 1]), np.array([1.0, 0.5, 0.0]))
    measured = Measured((trace,), "S", "generated")
    assert [t.device_id for t in read_text(measured.to_csv()).traces] == [name.strip()]


@settings(max_examples=100, deadline=None)
@given(measurements())
def test_valid_measurement_survives_csv(measured):
    assert_same(read_text(measured.to_csv()), measured)


@settings(max_examples=100, deadline=None)
@given(measurements(), st.sampled_from(["soft_bounds", "linear_step"]), st.sampled_from(["joint", "average"]))
def test_valid_measurement_is_fitted_or_refused(measured, model, cycles):
    with contextlib.suppress(MeasuredDataError):
        result = fit(measured, model, cycles=cycles)
        assert np.isfinite(result.residual_rms)


# -------------------------------------------------------------------------------------------- real files


def test_real_two_column_file_has_1000_readings_each_way(measured_data):
    measured = read_measured(measured_data / "aihwkit_reram_pulse_response.csv")
    summary = measured.summary()
    assert (summary.n_up_pulses, summary.n_down_pulses, summary.n_readings) == (1000, 1000, 2000)
    up = measured.traces[0].value[:1000]
    # means of the first 10 and last 50 readings as the data's own description gives them, to two digits
    assert up[:10].mean() == pytest.approx(-0.89, abs=0.005)
    assert up[-50:].mean() == pytest.approx(1.02, abs=0.005)


def test_real_ramp_files_have_39_and_40_ramps(measured_data):
    sets = read_measured(measured_data / "crosssim_set.csv", **CURRENT)
    resets = read_measured(measured_data / "crosssim_reset.csv", **CURRENT)
    assert (len(sets.traces), len(resets.traces)) == (39, 40)
    assert {int(t.direction[0]) for t in sets.traces} == {1}
    assert {int(t.direction[0]) for t in resets.traces} == {-1}
    assert [min(map(len, m.traces)) for m in (sets, resets)] == [185, 149]
    assert [max(map(len, m.traces)) for m in (sets, resets)] == [192, 153]
    merged = sets.merge(resets).summary()
    assert (merged.n_cycles, merged.n_readings) == (40, 7362 + 6055)
    # 1.606 to 2.485 mS by the data's own description
    assert (merged.low, merged.high) == (pytest.approx(1.606e-3, abs=5e-7), pytest.approx(2.485e-3, abs=5e-7))
