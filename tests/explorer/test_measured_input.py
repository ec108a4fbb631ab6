# SPDX-License-Identifier: Apache-2.0
"""Measured files as they come from an instrument, from Excel, from a clipboard: layouts, units, rejected rows, size."""

from __future__ import annotations

import io
from pathlib import Path

import h5py
import numpy as np
import pytest

from explorer.fitting import MeasuredDataError, cells, read_columns, read_measured, roles, source
from explorer.fitting.formats.turning import turning
from explorer.fitting.units import split_name

SAMPLES = Path(__file__).parents[1] / "data" / "measured"
HEADER = "device_id,cycle,index,direction,value"
UP, DOWN = np.linspace(1, 4, 20), np.linspace(4, 1, 20)


def rows(header: str = HEADER) -> list[str]:
    """Return the lines of a long file: 20 up, then 20 down pulses."""
    value = np.concatenate([UP, DOWN])
    return [header, *(f"1,1,{i + 1},{1 if i < 20 else -1},{v:.6g}" for i, v in enumerate(value))]


def read(text: str | list[str], **options):
    text = text if isinstance(text, str) else "\n".join(text) + "\n"
    return read_measured(text.encode(), "m.csv", **options)


# ------------------------------------------------------------------------------------------------ layouts


@pytest.mark.parametrize(
    "header",
    ["Device;Cycle;Pulse #;Polarity;G [µS]", "cell;loop;No.;dir;conductance (uS)", "device_id;cycle;idx;type;G/uS"],
)
def test_names_of_other_labs_are_understood(header):
    text = "\n".join([header, *(row.replace(",", ";") for row in rows()[1:])])
    measured = read(text)
    assert measured.unit == "S"
    assert "columns were taken by their names" in measured.warnings[0]
    np.testing.assert_allclose(measured.traces[0].value[:20], UP * 1e-6, rtol=1e-5)  # six digits in the file


@pytest.mark.parametrize(("up", "down"), [("up", "down"), ("LTP", "LTD"), ("SET", "RESET"), ("pot", "dep")])
def test_direction_may_be_a_word(up, down):
    text = [row.replace(",-1,", f",{down},") if i > 20 else row.replace(",1,1", ",1,1") for i, row in enumerate(rows())]
    text = [text[0], *(r if down in r else ",".join([*r.split(",")[:3], up, r.split(",")[4]]) for r in text[1:])]
    assert read(text).traces[0].direction.tolist() == [1] * 20 + [-1] * 20


def test_pulse_and_conductance_alone_turn_where_the_readings_turn():
    text = ["Pulse,G (mS)", *(f"{i},{v:.5f}" for i, v in enumerate([*UP, *DOWN, *UP]))]
    measured = read(text)
    assert measured.unit == "S"
    assert np.flatnonzero(np.diff(measured.traces[0].direction)).tolist() == [19, 39]


@pytest.mark.parametrize("noise", [0.0, 0.05, 0.15])
def test_turning_finds_ltp_and_ltd_jumps_and_turns(noise):
    """Noise of one reading up to 0.15 of the range, seed 0; a turn may be off by the width of the running median, 9."""
    rng = np.random.default_rng(0)
    up = 1 - np.exp(-np.arange(1, 301) / 100)
    y = np.concatenate([up, up[::-1], up, 0.3 + 0.7 * up]) + noise * rng.standard_normal(1200)
    direction = turning(y, "readings")
    found = np.flatnonzero(np.diff(direction)) + 1
    assert found.size == 2
    assert np.abs(found - [300, 600]).max() <= (15 if noise else 1)


def test_paste_of_blank_separated_columns_is_read():
    text = "\n".join(f"  {u:.4f}   {d:.4f}" for u, d in zip(UP, DOWN, strict=True))
    assert read(text).format_name.startswith("two columns")


def test_counter_before_ramp_columns_is_left_out():
    text = ["pulse,LTP,LTD", *(f"{i},{u:.4f},{d:.4f}" for i, (u, d) in enumerate(zip(UP, DOWN, strict=True), 1))]
    measured = read(text)
    assert len(measured.traces) == 1
    assert measured.summary().n_up_pulses == measured.summary().n_down_pulses == 20
    assert any("counts the readings" in w for w in measured.warnings)


def test_mapping_of_columns_goes_before_names():
    text = ["t,who,what,amount", *(f"{i},d{i % 2},{1 if i < 20 else -1},{v:.4f}" for i, v in enumerate([*UP, *DOWN]))]
    measured = read(text, columns={"device_id": "who", "direction": 3, "value": "amount"})
    assert [t.device_id for t in measured.traces] == ["d0", "d1"]
    assert measured.traces[0].index.tolist() == list(range(1, 21))


@pytest.mark.parametrize(
    ("columns", "part"),
    [
        ({"value": "G"}, "there is no such column"),
        ({"valeu": 1}, "there is no such role"),
        ({"value": 5, "direction": 5}, "is the column of value and of direction"),
        ({"direction": 4}, "is missing"),
        ({"value": 9}, "1 .. 5" if False else "there is no such column"),
    ],
)
def test_bad_mapping_is_refused(columns, part):
    with pytest.raises(MeasuredDataError, match=part):
        read(rows(), columns=columns)


def test_guess_of_columns_is_that_of_the_names():
    table = read_columns("\n".join(rows("dev,sweep,pulse,dir,I (uA)")).encode())
    assert roles.guess(table) == {"device_id": 0, "cycle": 1, "index": 2, "direction": 3, "value": 4}
    assert split_name("I (uA)") == ("I", "uA")


# ------------------------------------------------------------------------------------------------ units, encodings


@pytest.mark.parametrize(
    ("unit", "volts", "siemens"),
    [("uA", 0.1, 1e-5), ("nA", 0.5, 2e-9), ("mA", 1.0, 1e-3), ("µS", None, 1e-6), ("normalised", None, 1.0)],
)
def test_units_become_siemens(unit, volts, siemens):
    measured = read(rows(), unit=unit, read_voltage_v=volts)
    np.testing.assert_allclose(measured.traces[0].value[:20], UP * siemens, rtol=1e-5)


@pytest.mark.parametrize(("unit", "ohm"), [("ohm", 1.0), ("kΩ", 1e3), ("Mohm", 1e6)])
def test_resistances_become_conductances(unit, ohm):
    value = read(rows(), unit=unit).traces[0].value
    np.testing.assert_allclose(value[:20], 1 / (UP * ohm), rtol=1e-5)


def test_resistance_of_zero_is_refused():
    with pytest.raises(MeasuredDataError, match="no finite conductance"):
        read([*rows(), "1,1,41,-1,0"], unit="ohm")


def test_comment_may_name_unit_and_read_voltage():
    measured = read(["# unit: uA", "# read_voltage_v = 0.2", *rows()])
    np.testing.assert_allclose(measured.traces[0].value[0], 1e-6 / 0.2)


@pytest.mark.parametrize(("encoding", "note"), [("utf-16", "UTF-16"), ("cp1252", "Windows-1252"), ("utf-8-sig", "")])
def test_excel_encodings_give_the_same_readings(encoding, note):
    text = "\n".join(rows("device;cycle;index;direction;G (µS)")).replace(",", ";").replace(".", ",")
    measured = read_measured(("sep=;\r\n" + text).encode(encoding), "excel.csv")
    assert measured.unit == "S"
    assert any(note in w for w in measured.warnings)
    np.testing.assert_allclose(measured.traces[0].value[:20], UP * 1e-6, rtol=1e-5)


# ------------------------------------------------------------------------------------------------ arrays


def as_npz(**arrays) -> bytes:
    file = io.BytesIO()
    np.savez_compressed(file, **arrays)
    return file.getvalue()


def as_hdf5(units: str = "", **arrays) -> bytes:
    file = io.BytesIO()
    with h5py.File(file, "w") as h5:
        for name, array in arrays.items():
            h5[f"run/{name}"] = array
        if units:
            h5["run/value"].attrs["units"] = units
    return file.getvalue()


FLAT = {"direction": np.repeat([1, -1], 20), "value": np.concatenate([UP, DOWN])}


@pytest.mark.parametrize("write", [as_npz, as_hdf5])
def test_arrays_of_one_length_are_columns(write):
    measured = read_measured(write(**FLAT), "m.bin", unit="uS")
    np.testing.assert_allclose(measured.traces[0].value, FLAT["value"] * 1e-6)


@pytest.mark.parametrize("write", [as_npz, as_hdf5])
def test_two_dimensional_values_are_traces_that_end_in_nan(write):
    value = np.stack([FLAT["value"]] * 3)
    value[2, 30:] = np.nan
    arrays = {"value": value, "direction": FLAT["direction"], "device": np.array(["a", "b", "c"], dtype="S1")}
    measured = read_measured(write(**arrays), "m.bin")
    assert [(t.device_id, len(t)) for t in measured.traces] == [("a", 40), ("b", 40), ("c", 30)]


def test_npz_scalars_and_hdf5_attribute_name_the_unit():
    told = [as_npz(**FLAT, unit="uA", read_voltage_v=0.1), as_hdf5("mS", **FLAT)]
    for data, siemens in zip(told, (1e-5, 1e-3), strict=True):
        assert read_measured(data, "m.bin").traces[0].value[0] == pytest.approx(siemens)


def test_netcdf_written_here_is_read_again(tmp_path):
    measured = read_measured(SAMPLES / "long.csv")
    measured.to_xarray().to_netcdf(tmp_path / "m.nc", engine="h5netcdf")
    again = read_measured(tmp_path / "m.nc")
    assert str(again.summary()) == str(measured.summary())


@pytest.mark.parametrize(
    ("data", "part"),
    [
        (as_npz(value=np.array([{}], dtype=object)), "Python objects"),
        (as_npz(**FLAT)[:-40], "damaged"),
        (as_hdf5(**FLAT)[:300], "damaged"),
        (as_npz(a=np.zeros((2, 3, 4))), "shapes that do not fit"),
        (as_npz(a=np.zeros(5, complex)), "complex128"),
    ],
)
def test_bad_arrays_are_refused_with_reason(data, part):
    with pytest.raises(MeasuredDataError, match=part):
        read_measured(data, "m.bin")


# ------------------------------------------------------------------------------------------------ rejected rows


def test_rejected_rows_are_listed_with_line_and_reason():
    text = rows()
    text[5], text[9], text[30] = "1,1,5,1,oops", "1,1,9,1,", "1,1,30,-1,2.3,7"
    measured = read(text, bad_rows="list")
    assert [(r.row, r.column) for r in measured.rejected] == [(6, "value"), (10, "value"), (31, 6)]
    assert str(measured.rejected[0]) == "row 6 column 'value' = 'oops': must be a number, this is text"
    assert len(measured.traces[0]) == 37


def test_pulses_of_a_rejected_reading_count_for_the_next_one():
    text = rows()
    text[5], text[6] = "1,1,5,1,NaN", "1,1,6,1,-"
    trace = read(text, bad_rows="list").traces[0]
    assert trace.pulses(1) == 20
    assert (trace.index[4], trace.n_pulses[4]) == (7, 3)


def test_unknown_direction_cuts_the_trace_and_says_so():
    text = rows()
    text[10] = "1,1,10,7,2.4"
    measured = read(text, bad_rows="list")
    assert [t.cycle for t in measured.traces] == [1, 2]
    assert measured.traces[1].direction[0] == 0
    assert any("cut at 1 places" in w for w in measured.warnings)


def test_rejected_last_up_reading_cuts_between_the_directions():
    text = rows()
    text[20] = "1,1,20,1,x"
    measured = read(text, bad_rows="list")
    assert [len(t) for t in measured.traces] == [19, 20]


def test_duplicates_and_unsorted_rows_are_rejected_once_each():
    text = [*rows(), "1,1,40,-1,1.0", "1,1,3,-1,9.0"]
    found = read(text, bad_rows="list").rejected
    assert [r.row for r in found] == [42, 43]
    assert all("duplicate" in r.reason for r in found)


def test_too_many_rejected_rows_refuse_the_file():
    text = [rows()[0], *(r if i % 3 else r + "x" for i, r in enumerate(rows()[1:]))]
    with pytest.raises(MeasuredDataError, match=r"14 of 40 rows are rejected, this is the first"):
        read(text, bad_rows="list")


def test_wide_rows_are_rejected_by_device():
    text = (SAMPLES / "wide.csv").read_text().splitlines()
    text[4] = "1,bad," + text[4].split(",", 2)[2]
    measured = read(text, unit="S", bad_rows="list")
    assert [len(t) for t in measured.traces] == [39, 40, 40]
    assert str(measured.rejected[0]).startswith("row 5 column 'left' = 'bad'")


def test_good_file_reads_the_same_in_both_ways():
    strict, lenient = (read_measured(SAMPLES / "long.csv", bad_rows=how) for how in ("refuse", "list"))
    assert strict.to_csv() == lenient.to_csv()
    assert lenient.rejected == ()


# ------------------------------------------------------------------------------------------------ chunks


def test_file_in_many_chunks_reads_as_in_one_and_tells_its_progress(monkeypatch):
    text = "\n".join(rows()).replace("4,", "4,") + "\n"
    whole = read(text)
    for limit in (cells.MAX_DISTINCT, 3):  # few different texts, then numbers
        monkeypatch.setattr(cells, "MAX_DISTINCT", limit)
        monkeypatch.setattr(source, "CHUNK_BYTES", 97)
        heard: list[float] = []
        measured = read(text.replace("\n", "\r\n"), told=heard.append)
        assert measured.to_csv() == whole.to_csv()
        assert heard == sorted(heard)
        assert len(heard) > 5
        assert heard[-1] == 1.0


def test_bad_row_in_a_late_chunk_keeps_its_line_number(monkeypatch):
    monkeypatch.setattr(source, "CHUNK_BYTES", 97)
    monkeypatch.setattr(cells, "MAX_DISTINCT", 3)
    text = rows()
    text[33] = "1,1,33,-1,oops"
    with pytest.raises(MeasuredDataError, match="row 34 column 'value' = 'oops'"):
        read(text)
    text[33] = "1,1,33,-1,1,1"
    with pytest.raises(MeasuredDataError, match="row 34 = 6"):
        read(text)


# ------------------------------------------------------------------------------------------------ ten broken files


def broken(line: int, new: str, header: str = HEADER, more: str = "") -> str:
    """Return the long file with one line replaced; lines count from 1."""
    lines = [header, *(row + more for row in rows()[1:])]
    lines[line - 1] = new
    return "\n".join(lines) + "\n"


TEN = {
    "text for a number": (broken(8, "1,1,7,1,n/a"), "row 8 column 'value'", "Correct or delete this row."),
    "empty reading": (broken(9, "1,1,8,1,"), "row 9 column 'value'", "Fill it in or delete the row."),
    "overflow of the meter": (broken(10, "1,1,9,1,9.9e37"), "row 10 column 'value'", "Correct or delete this row."),
    "direction of no meaning": (broken(11, "1,1,10,5,2"), "row 11 column 'direction'", "Correct or delete this row."),
    "reading twice": (broken(12, "1,1,10,1,2"), "row 12 column 'index'", "Delete one of the rows"),
    "rows out of order": (broken(13, "1,1,3.5,1,2"), "row 13 column 'index'", "Number the readings without fractions."),
    "device without name": (broken(14, ",1,13,1,2"), "row 14 column 'device_id'", "Name the device"),
    "pulses of zero": (
        broken(15, "1,1,14,1,2,0", HEADER + ",n_pulses", ",1"),
        "row 15 column 'n_pulses'",
        "Use direction 0 for a read without a pulse.",
    ),
    "unit of no meaning": (
        broken(16, "1,1,15,1,2,ms", HEADER + ",unit", ",uS"),
        "row 16 column 'unit'",
        "Did you mean 'mS'",
    ),
    "hole in a ramp": ("up 1,up 2\n1,1\n2,2\n3,\n4,4\n5,5\n", "row 4 column 'up 2'", "Fill it in or delete the row."),
}


@pytest.mark.parametrize("name", TEN)
def test_broken_file_gives_one_message_with_line_column_and_remedy(name):
    text, where, remedy = TEN[name]
    with pytest.raises(MeasuredDataError) as caught:
        read(text)
    message = str(caught.value)
    assert message.startswith(f"m.csv {where} = ")
    assert remedy in message
    assert "\n" not in message
