# SPDX-License-Identifier: Apache-2.0
"""What the live product shows, as plain columns: made in a thread, drawn by `product`."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any

import numpy as np
import xarray as xr

from engine.errors import ParameterError, say
from engine.tiles import IOParameters
from engine.tiles.reference import step_of
from explorer.experiments.mvm_error import MvmError
from explorer.views.numbers import NONE, fixed, percent

Columns = dict[str, Any]

LIVE_PRODUCTS = 500_000_000
"""Multiplications that stay live; beyond this a move of a slider takes longer than a tenth of a second."""
LIVE_NUMBERS = 5_000_000
"""Weights, inputs or outputs that stay live."""
MAX_POINTS = 2500
"""Outputs drawn as points; more become a picture of their density."""
PIXELS = 96
"""Of that picture, in each direction."""
_ERROR_BINS, _WEIGHT_BINS, _CODE_BARS, _CURVE = 61, 61, 129, 121
_FAINTEST = 0.18  # opacity of a pixel with a single output


@dataclass(frozen=True)
class Ends:
    """What is drawn of one converter: its codes and those at its ends that were clipped.

    Attributes
    ----------
    bars, clipped : Columns
        ``left``, ``right``, ``count``; empty where the converter is off.
    limit : float
        Codes from zero to the end of the axis.
    why : str
        Why there is nothing to draw; empty where there is.
    """

    bars: Columns
    clipped: Columns
    limit: float = 1.0
    why: str = ""


@dataclass(frozen=True)
class Product:
    """Columns for the plots and tiles for the headline.

    Attributes
    ----------
    tiles : list
        ``(label, value, unit, explanation)``.
    points, density, reach : Columns, Columns, float
        Analog against ideal outputs, as points or as a picture; both axes go from -reach to reach, output units.
    errors, curve : Columns
        Histogram of the error, and the gaussian of the same mean and spread; empty without error.
    error_std : float
        Output units.
    rounds, weights, targets : Columns
        Histograms; ``targets`` of the weights asked for, empty where all were stored as asked.
    shares : list
        ``(source, share of the measured error power, ratio it alone would allow in dB)``.
    """

    experiment: MvmError
    tiles: list[tuple[str, str, str, str]]
    points: Columns
    density: Columns
    reach: float
    errors: Columns
    curve: Columns
    error_std: float
    dac: Ends
    adc: Ends
    rounds: Columns
    weights: Columns
    targets: Columns
    shares: list[tuple[str, float, float]]


def check_live_size(experiment: MvmError) -> None:
    """Raise `ParameterError` where a product is too large to follow a slider."""
    rows, columns = experiment.shape
    vectors = int(experiment.n_vectors)
    products, numbers = rows * columns * vectors, max(rows * columns, rows * vectors, columns * vectors)
    if products > LIVE_PRODUCTS or numbers > LIVE_NUMBERS:
        most = min(LIVE_PRODUCTS // (rows * columns), LIVE_NUMBERS // max(rows, columns))
        allowed = f"at most {most} for {rows} x {columns}" if most else f"a tile of {LIVE_NUMBERS} weights"
        remedy = "Take fewer vectors or a smaller tile, or run the experiment in a script."
        raise ParameterError(say("n_vectors", vectors, "are too many to be live", allowed, remedy, unit="vectors"))


def multiply(experiment: MvmError) -> Product:
    """Run the experiment and arrange what it found.

    Raises
    ------
    ParameterError
        Where it is too large to be live.
    """
    check_live_size(experiment)
    ds = experiment.run()
    ideal, analog, error = (ds[n].values.ravel() for n in ("ideal", "analog", "error"))
    reach = float(max(np.abs(ideal).max(), np.abs(analog).max())) or 1.0
    many = ideal.size > MAX_POINTS
    io, digital = experiment.forward, experiment.forward.mv_type == "pos_neg_separate_digital_sum"
    return Product(
        experiment=experiment,
        tiles=tiles(ds),
        points={"ideal": [], "analog": []} if many else _short({"ideal": ideal, "analog": analog}),
        density=_density(ideal, analog, reach) if many else {"image": [], "low": [], "size": []},
        reach=reach,
        errors=_histogram(error, *_around(error), _ERROR_BINS) if error.any() else _no_bars(),
        curve=_gaussian(error) if error.any() else {"error": [], "count": []},
        error_std=float(error.std(dtype=float)),
        dac=_ends(ds["dac_code"].values, ds["dac_clipped"].values, io.inp_bound, io.inp_res, io, phases=1),
        adc=_ends(ds["adc_code"].values, _adc_clipped(ds), io.out_bound, io.out_res, io, phases=2 if digital else 1),
        rounds=_rounds(ds["rounds"].values),
        **_weights(ds["stored_weights"].values.ravel(), ds["target_weights"].values.ravel()),
        shares=_shares(ds),
    )


def tiles(ds: xr.Dataset) -> list[tuple[str, str, str, str]]:
    """Return the headline: label, value, unit, explanation."""
    measured, predicted = float(ds.snr), float(ds.snr_predicted)
    bits, rounds = float(ds.input_bits.mean()), ds.rounds.values.astype(float)
    return [
        ("SNR measured", fixed(measured), "dB", "Power of the exact outputs over that of the error, all vectors."),
        ("SNR predicted", fixed(predicted), "dB",
         "The same from converters and noise alone: clipping, wires and bent outputs are not in it."),
        ("Output bits", fixed(float(ds.enob)), "ENOB",
         "Effective number of bits: an ideal converter with this ratio, (SNR - 1.76 dB) / 6.02 dB."),
        ("Input bits", NONE if math.isinf(bits) else fixed(bits), "1" if math.isinf(bits) else "bit",
         "Codes from zero to full scale that inputs still have after bound management, log2(n/r), mean over vectors."),
        ("Clipped in / out", f"{percent(float(ds.share_dac_clipped))} / {percent(float(ds.share_adc_clipped))}", "%",
         "Inputs beyond the DAC's end codes; outputs at or beyond the ADC's, where bounds are not managed."),
        ("Rounds", fixed(float(rounds.mean()), 2), "mean",
         f"Products made for a vector until no output lay beyond the bound; {int(rounds.max())} at most here."),
    ]  # fmt: skip


def _short(columns: dict[str, np.ndarray]) -> Columns:
    """Return short columns as lists: an array would cost two messages of its own."""
    return {name: column.tolist() for name, column in columns.items()}


def _no_bars() -> Columns:
    return {"left": [], "right": [], "count": []}


def _density(ideal: np.ndarray, analog: np.ndarray, reach: float) -> Columns:
    """Return a picture in one colour whose opacity grows with the logarithm of the number of outputs."""
    edges = np.linspace(-reach, reach, PIXELS + 1)
    counts = np.histogram2d(analog, ideal, bins=(edges, edges))[0]  # rows are the vertical axis
    strength = np.log1p(counts) / np.log1p(counts.max())
    alpha = np.where(counts > 0, _FAINTEST + (1 - _FAINTEST) * strength, 0.0)
    return {"image": [alpha], "low": [-reach], "size": [2 * reach]}


def _around(values: np.ndarray) -> tuple[float, float]:
    low, high = float(values.min()), float(values.max())
    return (low, high) if high - low > 1e-12 * max(abs(low), abs(high)) else (low - 0.5, high + 0.5)


def _histogram(values: np.ndarray, low: float, high: float, bins: int) -> Columns:
    counts, edges = np.histogram(values, bins=bins, range=(low, high))
    return _short({"left": edges[:-1], "right": edges[1:], "count": counts})


def _gaussian(error: np.ndarray) -> Columns:
    """Return the counts that a gaussian of the same mean and spread would have in the histogram's bins."""
    low, high = _around(error)
    mean, std = float(error.mean(dtype=float)), float(error.std(dtype=float))
    if std == 0:
        return {"error": [], "count": []}
    at = np.linspace(low, high, _CURVE)
    height = error.size * (high - low) / _ERROR_BINS / (std * math.sqrt(2 * math.pi))
    return _short({"error": at, "count": height * np.exp(-0.5 * ((at - mean) / std) ** 2)})


def _adc_clipped(ds: xr.Dataset) -> np.ndarray:
    return ds["adc_clipped"].values if "adc_clipped" in ds else np.zeros(ds["adc_code"].shape, bool)


def _ends(codes: np.ndarray, clipped: np.ndarray, bound: float, res: float, io: IOParameters, *, phases: int) -> Ends:
    step = step_of(bound, res)
    if io.is_perfect or step == 0:
        why = "The product is perfect." if io.is_perfect else "It has no bound." if bound == 0 else "Its bits are off."
        return Ends(_no_bars(), _no_bars(), why=why)
    limit = phases * bound / step
    codes_made = 2 * math.floor(limit) + 1
    width = 2 * math.ceil((codes_made / _CODE_BARS - 1) / 2) + 1  # odd, as the bars: code 0 in the middle of one
    bars = 2 * math.ceil((codes_made / width - 1) / 2) + 1
    low, high = -0.5 * bars * width, 0.5 * bars * width
    return Ends(
        _histogram(codes, low, high, bars),
        _histogram(codes[clipped], low, high, bars) if clipped.any() else _no_bars(),
        high,
    )


def _rounds(rounds: np.ndarray) -> Columns:
    made, counts = np.unique(rounds, return_counts=True)
    return _short({"left": made - 0.4, "right": made + 0.4, "count": counts})


def _weights(stored: np.ndarray, target: np.ndarray) -> dict[str, Columns]:
    same = np.array_equal(stored, target)
    low, high = _around(stored if same else np.concatenate([stored, target]))
    return {
        "weights": _histogram(stored, low, high, _WEIGHT_BINS),
        "targets": _no_bars() if same else _histogram(target, low, high, _WEIGHT_BINS),
    }


def _shares(ds: xr.Dataset) -> list[tuple[str, float, float]]:
    """Return each source's share of the measured error and the ratio it alone would allow; the rest comes last."""
    measured = float(ds.error_power)
    signal = float(np.square(ds.ideal.values, dtype=np.float64).mean())
    powers = dict(zip(ds.source.values.tolist(), ds.predicted_power.values.tolist(), strict=True))
    powers["beyond the estimate"] = max(0.0, measured - sum(powers.values()))
    total = max(measured, sum(powers.values()))
    found = [(name, power / total, _ratio(signal, power)) for name, power in powers.items() if total > 0 and power > 0]
    return sorted(found, key=lambda row: -row[1])


def _ratio(signal: float, power: float) -> float:
    return 10 * math.log10(signal / power) if signal > 0 else -math.inf
