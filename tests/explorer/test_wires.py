# SPDX-License-Identifier: Apache-2.0
"""Wires of a small array: what is drawn is what the solvers give, and the verdict keeps to the limits."""

from __future__ import annotations

import numpy as np
import pytest

from engine.tiles import irdrop, nodal
from explorer.experiments.wire_loss import WireLoss, worst_error
from explorer.labs import link
from explorer.labs.tile_state import TileState, WireState
from explorer.views.heat_map import DIVERGING, SEQUENTIAL
from explorer.views.wires import WireView, solve, verdict_markup

SMALL = {"n_rows": 12, "n_columns": 5}


@pytest.fixture
def state() -> WireState:
    return WireState(**SMALL)


@pytest.fixture
def view(state: WireState) -> WireView:
    return WireView(state)


def test_wire_loss_is_what_the_nodal_analysis_gives():
    array = WireLoss(**SMALL, wire_resistance=20.0, row_resistance=5.0, inputs="random")
    ds = array.run()
    g, x = array.operands()
    solved = nodal.nodal(g, x, 20.0, row_resistance=5.0)
    got = solved.row_voltages[0] - solved.column_voltages[0]
    np.testing.assert_allclose(x[0][:, None] - ds.lost_exact, got.T, rtol=0, atol=1e-15)  # double precision
    np.testing.assert_array_equal(ds.exact, solved.currents[0])
    # what a device gets, times its conductance, is its share of the column's current
    shares = (x[0][:, None] - ds.lost_exact.values) * ds.conductance.values
    np.testing.assert_allclose(shares.sum(0), ds.exact, rtol=1e-12)


def test_wire_loss_without_row_resistance_is_the_ladder():
    ds = WireLoss(**SMALL, wire_resistance=50.0, row_resistance=0.0).run()
    np.testing.assert_allclose(ds.exact, ds.exact_columns, rtol=1e-10)  # two solvers in double precision
    assert (ds.exact < ds.ideal).all()


def test_wire_loss_without_wires_is_none():
    ds = WireLoss(**SMALL, wire_resistance=0.0, row_resistance=0.0).run()
    assert (ds.lost_exact == 0).all()
    np.testing.assert_allclose(ds.fast, ds.ideal, rtol=1e-14)


@pytest.mark.parametrize(("inputs", "driven"), [("all_on", 12), ("near_half", 6), ("far_half", 6)])
def test_wire_loss_inputs_drive_their_rows(inputs, driven):
    x = WireLoss(**SMALL, inputs=inputs).operands()[1][0]
    assert x.sum() == driven
    assert x[-1] == (inputs != "near_half")
    assert x[0] == (inputs != "far_half")


def test_far_half_loses_more_than_near_half():
    lost = {}
    for half in ("near_half", "far_half"):
        ds = WireLoss(n_rows=32, n_columns=4, conductances="largest", row_resistance=0.0, inputs=half).run()
        lost[half] = float(1 - ds.exact.sum() / ds.ideal.sum())
    assert lost["far_half"] > 2 * lost["near_half"]


def test_worst_error_names_the_column_and_skips_those_without_current():
    assert worst_error(np.array([1.0, 0.9, 5.0]), np.array([1.0, 1.0, 0.0])) == (pytest.approx(0.1), 1)


def test_maps_drawn_are_the_experiments(state, view):
    state.set(wire_resistance=5.0, n_columns=7)
    ds = state.experiment.run()
    exact, fast = ds.lost_exact.values, ds.lost_fast.values
    np.testing.assert_array_equal(view.exact.source.data["image"][0], exact.astype(np.float32))
    np.testing.assert_array_equal(view.fast.source.data["image"][0], fast.astype(np.float32))
    np.testing.assert_array_equal(view.apart.source.data["image"][0], (fast - exact).astype(np.float32))
    assert view.exact.source.data["width"] == [7]
    assert view.exact.mapper.high == view.fast.mapper.high >= max(exact.max(), fast.max())
    assert -view.apart.mapper.low == view.apart.mapper.high >= np.abs(fast - exact).max()
    lost = (100 * (1 - ds.exact / ds.ideal)).values
    np.testing.assert_allclose(view.losses.source.data["exact"], lost, rtol=1e-12)


@pytest.mark.parametrize(
    ("values", "kind", "words"),
    [
        ({"wire_resistance": 0.01, "row_resistance": 0.01}, "pass", "Inside its validity: a load of"),
        ({"row_resistance": 500.0}, "marginal", "but it has no rows: with ideal rows it is off by"),
        ({"wire_resistance": 200.0, "conductances": "largest"}, "fail", "Outside its validity: a load of"),
    ],
)
def test_verdict_tells_worst_error_and_validity(values, kind, words):
    found = solve(WireLoss(**SMALL, **values))
    markup = verdict_markup(found)
    assert f'class="verdict {kind}"' in markup
    assert words in markup
    assert f"(column {found.worst[1]})" in markup
    assert found.valid == (found.load < irdrop.FAST_LIMIT) == (kind != "fail")


def test_worst_error_shown_is_that_of_the_currents(state, view):
    ds = state.experiment.run()
    relative = (abs(ds.fast - ds.exact) / ds.exact).values
    assert f"{100 * relative.max():.2g} % of a column" in view.verdict.object
    assert f"(column {relative.argmax()})" in view.verdict.object


def test_knobs_set_and_follow(state, view):
    view.fields["g_max"].box.value = "2e-4"
    assert state.experiment.g_max == 2e-4
    view.fields["g_max"].box.value = "-1"
    assert "g_max = -1 S" in view.fields["g_max"].problem.object
    assert state.experiment.g_max == 2e-4
    state.undo()
    assert float(view.fields["g_max"].box.value) == 1e-4


def test_array_without_driven_current_is_drawn(state, view):
    state.set(n_rows=1, inputs="near_half", conductances="random")
    assert not view.problem.visible
    state.set(inputs="far_half")
    assert not view.problem.visible


def test_palettes_are_transparent_where_nothing_is():
    assert SEQUENTIAL[0].endswith("00")
    assert SEQUENTIAL[-1].endswith("FF")
    assert DIVERGING[0].endswith("FF")
    assert DIVERGING[len(DIVERGING) // 2].endswith("00")


def test_link_carries_the_array():
    state, other = TileState(), TileState()
    state.parts["wires"].set(n_rows=9, g_max=3e-5)
    assert link.restore(other, link.encode(state)) == ""
    assert other.parts["wires"].experiment == state.parts["wires"].experiment
    assert link.restore(other, link.encode(TileState())) == ""
    assert other.parts["wires"].experiment == WireLoss()
