# SPDX-License-Identifier: Apache-2.0
"""How likely measured readings are under a device: a Kalman filter on the hidden weight, in compiled code.

The filter takes the device's own step function, so every device has a likelihood without a line written for it.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from engine import ops
from engine.errors import ParameterError, say


@dataclass(frozen=True, eq=False)
class Readings:
    """The readings of one device, each row after its pulses.

    Attributes
    ----------
    pulses : numpy.ndarray
        ``(rows,)`` int32: pulses since the row before, up positive, down negative.
    reads : numpy.ndarray
        ``(rows,)`` int32: readings taken then, 0 where there was none.
    mean, squares : numpy.ndarray
        ``(rows,)`` float64: their mean in weight units, and the sum of their squared deviations from it.
    start : numpy.ndarray
        ``(rows,)`` int8: 1 where a trace begins. Its pulses are not used, nothing being known before them; its reading
        says where the weight is and does not count in the likelihood.
    counted : numpy.ndarray
        ``(rows,)`` int8: 1 where the row counts in the likelihood.

    Raises
    ------
    ParameterError
        If the arrays differ in length, the first row is no start, a start has no reading, or a number is not finite.
    """

    pulses: np.ndarray
    reads: np.ndarray
    mean: np.ndarray
    squares: np.ndarray
    start: np.ndarray
    counted: np.ndarray

    def __post_init__(self):
        kinds = {"pulses": "i4", "reads": "i4", "mean": "f8", "squares": "f8", "start": "i1", "counted": "i1"}
        for name, kind in kinds.items():
            object.__setattr__(self, name, np.ascontiguousarray(getattr(self, name), kind))
        if len({getattr(self, name).shape for name in kinds}) != 1 or self.mean.ndim != 1:
            shapes = ", ".join(f"{n} {getattr(self, n).shape}" for n in kinds)
            raise ParameterError(f"Readings: {shapes} (allowed: six times (rows,)). Give one entry for each row.")
        seen = self.reads > 0
        if not self.mean.size or not self.start[0] or not seen[self.start == 1].all():
            raise ParameterError(
                "Readings.start: a trace must begin with a reading (allowed: start = 1 in the first row, reads > 0 in "
                "every row that starts one). Leave out rows before the first reading."
            )
        if not np.isfinite(self.mean[seen]).all() or not np.isfinite(self.squares[seen]).all():
            raise ParameterError("Readings.mean: holds NaN or infinity (allowed: finite). Leave such readings out.")

    @property
    def rows(self) -> int:
        """Number of rows."""
        return self.mean.size

    @property
    def transitions(self) -> int:
        """Rows whose reading counts in the likelihood: the sample size of an information criterion."""
        return int(((self.reads > 0) & (self.start == 0) & (self.counted == 1)).sum())

    def addresses(self) -> list[int]:
        """Return where the arrays lie, in the order of the compiled job."""
        arrays = (self.pulses, self.reads, self.mean, self.squares, self.start, self.counted)
        return [a.ctypes.data for a in arrays]


@dataclass(frozen=True, eq=False)
class Filtered:
    """What the filter found, for each set of parameters.

    Attributes
    ----------
    log_likelihood : numpy.ndarray
        ``(sets,)`` natural logarithm of the density of the counted readings, in 1/w each.
    innovation, variance : numpy.ndarray or None
        ``(sets, rows)`` reading less its prediction from all before (w), and the variance of that (w^2); NaN where
        nothing was read, and at a start.
    state, state_var : numpy.ndarray or None
        ``(sets, rows)`` mean (w) and variance (w^2) of the hidden weight given the readings up to that row.
    """

    log_likelihood: np.ndarray
    innovation: np.ndarray | None = None
    variance: np.ndarray | None = None
    state: np.ndarray | None = None
    state_var: np.ndarray | None = None


def filtered(
    stem: str,
    params: np.ndarray,
    write_var: np.ndarray,
    read_var: np.ndarray,
    readings: Readings,
    *,
    innovations: bool = False,
    states: bool = False,
) -> Filtered:
    """Judge readings by one or more sets of parameters of a device.

    Parameters
    ----------
    stem : str
        The device's header.
    params : numpy.ndarray
        ``(sets, n_params)`` float32, each row as `Device.pack` returns it. Spreads over devices are not drawn: leave
        them 0.
    write_var, read_var : numpy.ndarray
        ``(sets,)`` variance (w^2) of the error frozen at a write, and of a single reading about it; their sum is
        positive.
    readings : Readings
    innovations, states : bool
        Also return these.

    Raises
    ------
    ParameterError
        If shapes do not fit, or a variance is negative, or both are zero.

    Notes
    -----
    About 0.03 us per pulse and set for the classes without exponentials. Exact where the mean step is linear in the
    weight and no bound is in reach; near a bound the clipped distribution is exact for one pulse and brought back to a
    normal by its first two moments after it.
    """
    params = np.ascontiguousarray(np.atleast_2d(params), np.float32)
    sets = params.shape[0]
    variances = [np.ascontiguousarray(np.broadcast_to(np.asarray(v, float), (sets,))) for v in (write_var, read_var)]
    _check(stem, params, *variances)
    shape = (sets, readings.rows)
    extra = [np.empty(shape) if wanted else None for wanted in (innovations, innovations, states, states)]
    found = np.empty(sets)
    given = [a.ctypes.data for a in (params, *variances)]
    results = [0 if a is None else a.ctypes.data for a in (found, *extra)]
    ops.run("filter", stem, readings.rows, readings.addresses(), sets, params.shape[1], given, results)
    return Filtered(found, *extra)


def _check(stem: str, params: np.ndarray, write_var: np.ndarray, read_var: np.ndarray) -> None:
    schema = ops.schema(stem)
    least = len(schema["params"]) + 2 * len(schema["tables"])
    if params.ndim != 2 or params.shape[1] < least or (params.shape[1] > least and not schema["tables"]):
        raise ParameterError(
            f"params: got {params.shape}, {stem} expects (sets, {least}) or longer tables. Use pack()."
        )
    for name, values in (("write_var", write_var), ("read_var", read_var)):
        if not (np.isfinite(values).all() and (values >= 0).all()):
            worst = float(values[~((values >= 0) & np.isfinite(values))][0])
            raise ParameterError(say(name, worst, "must be a variance", ">= 0, finite", "Correct it.", unit="w^2"))
    if not (write_var + read_var > 0).all():
        raise ParameterError(
            say("write_var + read_var", 0.0, "readings without any noise have no likelihood", "> 0",
                "Give a small variance, such as (1e-6 of the range)^2.", unit="w^2")
        )  # fmt: skip
