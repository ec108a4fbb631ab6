# SPDX-License-Identifier: Apache-2.0
"""The measured panel on the server side: what is dropped is read, mapped, drawn, fitted, or refused in one line."""

from types import SimpleNamespace

import numpy as np
import pytest

from explorer.fitting import MAX_BYTES, read_measured
from explorer.labs.state import DeviceState
from explorer.views.mapping import display_unit
from explorer.views.measured_files import FileSet, NotOneMeasurement, accepted, example_csv
from explorer.views.measured_panel import LIMIT_MB, MeasuredPanel
from explorer.views.measured_plot import MAX_POINTS, MAX_RAMPS, drawing
from explorer.views.upload import Upload

UP_DOWN = "\n".join(f"{0.01 * k},{1 - 0.01 * k}" for k in range(1, 100)).encode()


@pytest.fixture
def state():
    return DeviceState("reram_softbounds_hfo2_2018")


@pytest.fixture
def panel(state):
    return MeasuredPanel(state)


@pytest.fixture
def loaded(panel):
    panel.take("example.csv", example_csv().encode())
    return panel


def ramps(unit: str, directions: str, n: int = 20, device: str = "a") -> bytes:
    """A long file of one device and cycle, one up or down ramp (or both) of ``n`` pulses."""
    rows = ["device_id,cycle,index,direction,value,unit"]
    values = {"up": np.linspace(1, 2, n), "down": np.linspace(2, 1, n)}
    readings = [(1 if way == "up" else -1, v) for way in directions.split("+") for v in values[way]]
    rows += [f"{device},1,{k},{way},{value:.6f},{unit}" for k, (way, value) in enumerate(readings, 1)]
    return "\n".join(rows).encode()


# reading


def test_panel_starts_with_formats_limit_and_an_example(panel):
    text = str([pane.object for pane in panel.hint.objects if hasattr(pane, "object")])
    assert f"{LIMIT_MB} MB" in text
    assert all(title[1:] in text for title in accepted())
    assert panel.shown.objects == [panel.hint]
    assert panel.state.measured is None


def test_example_file_is_read_without_a_warning_and_fitted_near_its_truth(loaded):
    assert loaded.files.measured.warnings == ()
    loaded.fits.fit("soft_bounds")
    w_max = loaded.fits.result.parameters["w_max"]
    # devices spread by 10 % about w_max = 1 in a unit that is 8 uS wide, here mapped to the ends of the ramps
    assert w_max.value == pytest.approx(1.1, abs=0.2)
    assert w_max.determined


def test_dropped_file_is_summed_up_and_handed_to_the_response_view(loaded, state):
    assert loaded.shown.objects == [loaded.loaded]
    assert "3 devices, 1 cycle, 723 readings" in loaded.summary.object
    assert state.measured.measured is loaded.files.measured
    assert not loaded.problem.visible


def test_set_and_reset_files_become_one_measurement(panel, state):
    panel.take("set.csv", ramps("uS", "up"))
    panel.take("reset.csv", ramps("uS", "down"))
    assert list(panel.files.contents) == ["set.csv", "reset.csv"]
    assert state.measured.measured.summary().n_down_pulses == 20
    panel.remove("set.csv")
    assert state.measured.measured.summary().n_up_pulses == 0


def test_file_that_does_not_fit_the_others_is_refused_or_shown_alone(panel, state):
    panel.take("one.csv", ramps("uS", "up"))
    panel.take("other.csv", ramps("uS", "up", n=30))
    assert "same direction" in panel.problem.object
    assert panel.replace.visible
    assert list(panel.files.contents) == ["one.csv"]
    panel._replace()
    assert list(panel.files.contents) == ["other.csv"]
    assert not panel.problem.visible
    assert not panel.replace.visible
    assert state.measured.measured.summary().n_readings == 30


def test_file_of_the_same_name_replaces_the_old_one(panel):
    panel.take("data.csv", ramps("uS", "up"))
    panel.take("data.csv", ramps("uS", "up", n=30))
    assert panel.files.measured.summary().n_readings == 30


def test_remove_all_goes_back_to_the_start(loaded, state):
    loaded.remove_all()
    assert loaded.shown.objects == [loaded.hint]
    assert state.measured is None
    assert loaded.files.measured is None


def test_text_in_row_700_is_named_and_what_was_there_stays(loaded, state):
    kept = state.measured
    rows = ramps("uS", "up+down", n=400).decode().split("\n")
    cells = rows[699].split(",")
    rows[699] = ",".join([*cells[:4], "broken", cells[5]])
    loaded.take("bad.csv", "\n".join(rows).encode())
    assert "bad.csv row 700" in loaded.problem.object
    assert "broken" in loaded.problem.object
    assert state.measured is kept


@pytest.mark.parametrize(
    ("content", "words"),
    [
        (b"\x89PNG\r\n\x1a\n" + bytes(100), "PNG image"),
        (bytes(range(256)) * 4, "binary file"),
        (b"", "empty"),
        (UP_DOWN.replace(b"0.5,", b"nan,"), "must be a finite number"),
        (UP_DOWN.replace(b"0.5,", b"inf,"), "must be a finite number"),
        (b"hello\nworld\n", ""),
        (b"a" * 100_000, ""),
    ],
)
def test_file_that_cannot_be_used_gives_one_line_and_the_next_one_works(panel, content, words):
    panel.take("bad.csv", content)
    assert panel.problem.visible
    assert words in panel.problem.object
    assert "Traceback" not in panel.problem.object
    assert panel.state.measured is None
    panel.take("good.csv", UP_DOWN)
    assert not panel.problem.visible
    assert panel.state.measured is not None


def test_files_too_large_together_are_refused():
    held = FileSet(contents={"old.csv": bytes(MAX_BYTES - 10)})
    with pytest.raises(Exception, match="too large together") as refused:
        held.added("new.csv", bytes(11))
    assert not isinstance(refused.value, NotOneMeasurement)


def test_current_becomes_a_conductance_with_the_read_voltage(panel):
    panel.take(
        "set.csv", b"rmp1,rmp2\n" + b"\n".join(b"%.5fe-4,%.5fe-4" % (1 + 0.01 * k, 1.01 + 0.01 * k) for k in range(20))
    )
    assert panel.files.measured.unit == "1"
    assert "names no unit" in panel.warnings.object
    panel.unit.value = "A"
    assert panel.voltage.box.visible
    assert panel.files.measured.unit == "S"
    assert panel.files.measured.summary().low == pytest.approx(1e-4 / 0.1, rel=1e-6)  # 5 digits in the file
    panel.voltage.box.value = "0.2"
    assert panel.files.measured.summary().low == pytest.approx(1e-4 / 0.2, rel=1e-6)
    panel.voltage.box.value = "0"
    assert "read_voltage_v" in panel.problem.object
    panel.voltage.box.value = "0.1"
    panel.unit.value = "uA"  # a smaller unit of current needs the voltage too
    assert panel.voltage.box.visible
    assert panel.files.measured.summary().low == pytest.approx(1e-10 / 0.1, rel=1e-6)
    panel.unit.value = "uS"
    assert not panel.voltage.box.visible


def test_model_can_be_given_as_many_pulses_as_were_measured(panel, state):
    panel.take("both.csv", ramps("uS", "up+down"))
    assert panel.simulate.label == "Simulate 40 pulses"
    state.n_pulses = panel._pulses()
    assert not panel.simulate.visible


# mapping


def test_mapping_shows_readings_in_a_handy_unit(loaded):
    assert loaded.mapping.unit == "µS"
    assert "(µS)" in loaded.mapping.boxes["g_lo"].box.label
    assert loaded.mapping.boxes["g_lo"].value == pytest.approx(loaded.state.measured.g_lo * 1e6)


@pytest.mark.parametrize(("largest", "unit"), [(2e-3, "mS"), (2e-6, "µS"), (2e-9, "nS"), (2e-12, "nS"), (2.0, "S")])
def test_display_unit_suits_the_largest_reading(largest, unit):
    text = "\n".join(f"{largest * k / 20},{largest * (20 - k) / 20}" for k in range(1, 20))
    assert display_unit(read_measured(text.encode(), unit="S"))[1] == unit


def test_mapping_changed_by_hand_moves_the_weights_and_drops_the_fit(loaded, state):
    loaded.fits.fit("linear_step")
    assert loaded.fits.report.visible
    loaded.mapping.boxes["w_hi"].box.value = "0.5"
    assert state.measured.w_hi == 0.5
    assert loaded.fits.result is None
    assert not loaded.fits.report.visible
    assert "median start and end" in loaded.mapping.rule.object
    loaded.mapping.boxes["g_hi"].box.value = "20"
    assert "set by hand" in loaded.mapping.rule.object


@pytest.mark.parametrize(("name", "text"), [("w_hi", "-2"), ("g_hi", "0"), ("g_lo", "nan"), ("w_lo", "")])
def test_mapping_that_makes_no_sense_is_refused_and_the_last_one_stays(loaded, state, name, text):
    kept = state.measured
    loaded.mapping.boxes[name].box.value = text
    assert loaded.map_problem.visible
    assert state.measured is kept


def test_mapping_to_the_range_of_the_device_and_as_read(panel, state):
    panel.take("updown.csv", UP_DOWN)
    panel._map_to_device()
    assert (state.measured.w_lo, state.measured.w_hi) == pytest.approx(state.device.range)
    panel.mapping.set_as_read()
    trace, read = state.measured.traces[0], panel.files.measured.traces[0]
    np.testing.assert_allclose(trace.value, read.value, atol=1e-6)  # the ends are rounded to six digits


def test_mapping_to_a_device_without_bounds_says_why_not(panel, state):
    panel.take("updown.csv", UP_DOWN)
    state.load_class("ideal")
    panel._map_to_device()
    assert "no bounds" in panel.map_problem.object


# drawing


def test_drawing_puts_down_ramps_after_the_longest_up_ramp(panel, state):
    panel.take("both.csv", ramps("uS", "up+down"))
    drawn = drawing(state.measured)
    assert drawn.turn == 20
    assert np.nanmax(drawn.singles["pulse"]) == 40
    assert drawn.means["pulse"].size == 0


def test_drawing_of_many_long_ramps_stays_small():
    names = ",".join(f"up{k}" for k in range(50))
    rows = "\n".join(",".join(f"{0.001 * i + 0.01 * k:.4f}" for k in range(50)) for i in range(1, 1500))
    drawn = drawing(read_measured(f"{names}\n{rows}".encode()).normalise())
    assert np.isnan(drawn.singles["w"]).sum() == MAX_RAMPS
    assert drawn.singles["w"].size <= MAX_RAMPS * (MAX_POINTS + 1)
    assert np.isnan(drawn.means["w"]).sum() == 1


def test_drawing_of_alternating_pulses_shows_the_traces():
    rows = ["device_id,cycle,index,direction,value"] + [f"a,1,{k},{(-1) ** k},{0.1 * (-1) ** k}" for k in range(1, 30)]
    drawn = drawing(read_measured("\n".join(rows).encode()).normalise())
    assert drawn.turn == 0
    assert np.isfinite(drawn.singles["w"]).sum() == 29


# fitting


@pytest.mark.parametrize("stem", ["soft_bounds", "linear_step"])
def test_fit_reports_draws_and_loads_its_device(loaded, state, stem):
    loaded.fits.fit(stem)
    found = loaded.fits.result
    assert f"{found.parameters['dw_min'].value:.5g}" in loaded.fits.table.object
    assert np.isfinite(loaded.plot.fitted.data["w"]).any()
    assert not loaded.fits.busy.visible
    loaded.fits._adopt()
    assert state.device.stem() == stem
    assert state.device.dw_min == pytest.approx(found.values["dw_min"])


def test_fit_of_data_against_the_pulses_is_refused_in_one_line(panel):
    rows = ["device_id,cycle,index,direction,value"] + [f"a,1,{k},1,{-0.1 * k:.3f}" for k in range(1, 40)]
    panel.take("down.csv", "\n".join(rows).encode())
    assert "up pulses lower the readings" in panel.mapping.rule.object
    panel.fits.fit("soft_bounds")
    assert "up pulses do not move the reading up" in panel.fits.problem.object
    assert not panel.fits.report.visible


def test_fit_of_alternating_pulses_is_refused_in_one_line(panel):
    rows = ["device_id,cycle,index,direction,value"] + [f"a,1,{k},{(-1) ** k},{0.1 * (-1) ** k}" for k in range(1, 30)]
    panel.take("alternating.csv", "\n".join(rows).encode())
    panel.fits.fit("soft_bounds")
    assert "ramps" in panel.fits.problem.object
    assert panel.fits.result is None


def test_measured_files_of_the_field_are_drawn_and_fitted(panel, state, measured_data):
    panel.take("aihwkit.csv", (measured_data / "aihwkit_reram_pulse_response.csv").read_bytes())
    panel.fits.fit("soft_bounds")
    assert panel.fits.result.n_readings == 2000
    panel.remove_all()
    panel.unit.value = "A"
    for name in ("crosssim_set.csv", "crosssim_reset.csv"):
        panel.take(name, (measured_data / name).read_bytes())
    assert "1.606 to 2.485 mS" in panel.summary.object
    panel.fits.fit("linear_step")
    assert panel.fits.result.n_ramps == 79


# upload


@pytest.fixture
def upload():
    """A field with a limit of 1 MB, and what it has passed on."""
    taken, refused = {}, []
    field = Upload(taken.__setitem__, refused.append, limit_mb=1)
    return field, taken, refused


def send(field, name, chunks, *, total=None):
    for k, data in enumerate(chunks, 1):
        told = {"name": name, "data": data, "chunk": k, "total_chunks": total or len(chunks), "type": "text/csv"}
        field.dropper._process_event(SimpleNamespace(event_name="upload_event", data=told))


def test_upload_in_pieces_arrives_whole_and_as_bytes(upload):
    field, taken, refused = upload
    send(field, "a.csv", [b"1,", b"2\n"])
    assert taken == {"a.csv": b"1,2\n"}
    assert refused == []
    assert field.dropper._file_buffer == {}


def test_upload_that_a_page_should_have_refused_is_cut_off_by_the_server(upload):
    field, taken, refused = upload
    send(field, "big.csv", [bytes(400_000)] * 500)  # 200 MB
    assert taken == {}
    assert len(refused) == 1
    assert "at most 1 MB" in refused[0]
    assert field.dropper._file_buffer == {}
    send(field, "ok.csv", [b"1"])
    assert list(taken) == ["ok.csv"]


def test_upload_pieces_out_of_order_are_dropped(upload):
    field, taken, _ = upload
    told = {"name": "a", "data": b"x", "chunk": 2, "total_chunks": 2, "type": ""}
    field.dropper._process_event(SimpleNamespace(event_name="upload_event", data=told))
    assert taken == {}
    assert field.dropper._file_buffer == {}


def test_upload_tells_the_page_its_limit(panel):
    assert panel.upload.dropper.max_file_size == f"{LIMIT_MB}MB"
    assert panel.upload.dropper.multiple
