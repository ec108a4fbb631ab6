# SPDX-License-Identifier: Apache-2.0
"""Program a trained network on many chips and score it from seconds to years later.

NETWORK is a network of the gallery, or file.py:name with a network of your own (a subclass of
explorer.networks.ScoredNetwork). Times are numbers with s, min, h, d, w, mo (30 days) or y. Scores are means over
chips with their 95 % interval (Student's t); several values of --compensation are compared on the same chips.
"""

from __future__ import annotations

import argparse
import math
from pathlib import Path
from typing import TYPE_CHECKING, Any

from explorer.cli import output

if TYPE_CHECKING:
    import xarray as xr

    from engine.inference import NoiseModel
    from explorer.experiments.drift_accuracy import DriftAccuracy
    from explorer.experiments.scenario import Scenario

SUMMARY = "accuracy of a network on chips that drift, seconds to years (table, PNG, JSON)"


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Network, devices, compensation, converters, chips, times."""
    from engine.inference import compensation, converters, noise
    from engine.tiles import periphery_presets
    from explorer import networks
    from explorer.experiments.robust import TRAININGS
    from explorer.experiments.scenario import PERIPHERY, RANGES

    known = ", ".join(networks.scored_names())
    parser.add_argument("network", metavar="NETWORK", help=f"a network ({known}), or file.py:name")
    parser.add_argument("--noise", default="pcm", metavar="MODEL",
                        help=f"statistics of the devices: {', '.join(noise.names())} (default: pcm), or a file that "
                             "ohmscape retention --noise wrote (.toml)")  # fmt: skip
    parser.add_argument("--converter", metavar="KIND", help="from weights to conductances: "
                        f"{', '.join(converters.names())} (default: the noise model's)")  # fmt: skip
    parser.add_argument("--compensation", default="global", metavar="KIND,...", help="what is done against drift, "
                        f"one or several: {', '.join(compensation.names())} (default: global)")  # fmt: skip
    parser.add_argument("--periphery", default=PERIPHERY, metavar="PRESET",
                        help=f"converters and noise of products: {', '.join(periphery_presets.names())} "
                             f"(default: {PERIPHERY})")  # fmt: skip
    for name, what in (("dac", "DAC"), ("adc", "ADC")):
        parser.add_argument(f"--{name}-bits", type=int, metavar="N", help=f"bits of the {what}; 0 for no quantisation")
    text = "the network as it was trained, or fine-tuned through a model of the hardware first"
    parser.add_argument("--training", default=TRAININGS[0], choices=TRAININGS, help=text)
    parser.add_argument("--input-range", default=RANGES[0], choices=RANGES, help="how inputs are scaled")
    parser.add_argument("--chips", type=int, default=25, metavar="N", help="chips that are programmed (default: 25)")
    parser.add_argument("--reads", type=int, default=1, metavar="N", help="reads of each chip and time (default: 1)")
    parser.add_argument("--samples", type=int, default=0, metavar="N", help="test samples; 0 takes all (default)")
    parser.add_argument("--times", default="0,1s,1h,1d,1mo,1y", metavar="T,T,...",
                        help="times after the reference read (default: 0,1s,1h,1d,1mo,1y)")  # fmt: skip
    text = "change one parameter of the devices, or forward.NAME=VALUE of the periphery; may be repeated"
    parser.add_argument("--set", action="append", default=[], metavar="NAME=VALUE", help=text)
    parser.add_argument("--png", metavar="FILE", help="draw accuracy over time; .svg draws that")
    parser.add_argument("--save", action="store_true", help="keep the run where the apps find it")


def run(options: argparse.Namespace) -> int:
    """Run the experiment here, print its table, draw it if asked to."""
    from explorer import networks
    from explorer.cli import progress

    experiment = _experiment(options)
    with progress.Bar() as bar:
        ds = experiment.run(bar)
    if options.png:
        _draw(ds, experiment, networks.find(experiment.network), Path(options.png))
    options.preset = options.network  # what a stored run is labelled with
    result = _result(ds) | output.provenance(ds) | output.save(ds, experiment, options)
    output.deliver(result, _text(ds, options), options.json)
    return 0


def _experiment(options: argparse.Namespace) -> DriftAccuracy:
    from explorer import durations
    from explorer.experiments.drift_accuracy import DriftAccuracy, absolute

    return DriftAccuracy(
        network=absolute(options.network), n_chips=options.chips, n_read=options.reads, samples=options.samples,
        times=durations.several(options.times, "--times"), seed=options.seed, scenarios=_scenarios(options),
    )  # fmt: skip


def _scenarios(options: argparse.Namespace) -> list[Scenario]:
    from engine.inference import converters
    from engine.tiles import periphery_presets
    from explorer.cli import parameters
    from explorer.experiments.scenario import Scenario

    changes: dict[str, dict[str, Any]] = {"device": {}, "forward": {}}
    for text in options.set:
        part, name, value = parameters.assignment(text, list(changes))
        changes[part][name] = value
    devices = _devices(options.noise).copy(**changes["device"])
    converter = None if options.converter is None else converters.get(options.converter)(g_max=devices.g_max)
    given = (("inp_res", "--dac-bits", options.dac_bits), ("out_res", "--adc-bits", options.adc_bits))
    bits = {name: _resolution(number, flag) for name, flag, number in given if number is not None}
    forward = periphery_presets.load(options.periphery).copy(**bits | changes["forward"])
    kinds = [kind.strip() for kind in options.compensation.split(",")]
    title = Path(options.noise).stem
    return [
        Scenario(title=title if len(kinds) == 1 else f"{title}, {kind}", noise=devices,
                 converter=converter, compensation=kind, forward=forward, input_range=options.input_range,
                 training=options.training)
        for kind in kinds
    ]  # fmt: skip


def _devices(named: str) -> NoiseModel:
    """Return the noise model of a name, or of a file that a fit wrote."""
    from engine.inference import noise

    if not named.endswith(".toml"):
        return noise.get(named)()
    from explorer.fitting.retention import noise_file

    return noise_file.read(Path(named).read_text(encoding="utf-8", errors="replace"), named)


def _resolution(bits: int, flag: str) -> float:
    from engine.errors import ParameterError, say

    if bits != 0 and not 2 <= bits <= 32:
        raise ParameterError(say(flag, bits, "is no converter", "2 to 32 bits; 0 for none", "Choose one of these."))
    return 1 / (2.0**bits - 2) if bits else 0.0


def _draw(ds: xr.Dataset, experiment: DriftAccuracy, network: Any, path: Path) -> None:
    from explorer import figures
    from explorer.views.drift_data import curves

    figure = figures.drift_accuracy(curves(ds, experiment, full=True), network.title, network.measure)
    output.write_bytes(path, figures.svg(figure) if path.suffix == ".svg" else figures.png(figure))


def _result(ds: xr.Dataset) -> dict[str, Any]:
    names = ("accuracy_mean", "accuracy_half_width", "accuracy_std", "accuracy_low", "accuracy_high")
    numbers = ("alpha", "slope", "dispersion", "error")
    return {
        "measure": ds.attrs["measure"],
        "digital_accuracy": float(ds.digital_accuracy),
        "n_chips": ds.sizes["chip"],
        "time_s": ds.time.values.tolist(),
        "scenarios": {
            str(title): {n: ds[n].sel(scenario=title).values.tolist() for n in names}
            | {n: ds[n].sel(scenario=title).mean("chip").values.tolist() for n in numbers}
            | {"accuracy": ds.accuracy.sel(scenario=title).mean("read").values.tolist()}
            for title in ds.scenario.values
        },
    }


def _text(ds: xr.Dataset, options: argparse.Namespace) -> str:
    from explorer import durations

    head = ("scenario", "time", "mean [%]", "± 95 %", "sd", "10 %", "90 %", "alpha", "slope", "dispersion")
    rows = []
    for title in ds.scenario.values:
        one = ds.sel(scenario=title)
        for k, t in enumerate(ds.time.values.tolist()):
            at = one.isel(time=k)
            percent = [_rounded(100 * float(at[f"accuracy_{n}"])) for n in ("mean", "half_width", "std", "low", "high")]
            told = [_rounded(float(at[n].mean()), 3) for n in ("alpha", "slope", "dispersion")]
            rows.append([str(title), durations.worded(t), *percent, *told])
    lines = [
        f"{ds.attrs['measure']} of {options.network} on {ds.sizes['chip']} chips, seed {options.seed}; floating point "
        f"{100 * float(ds.digital_accuracy):.2f} %",
        output.table(head, rows),
        "± 95 %: half of the interval of the mean, Student's t over chips; 10 %, 90 %: quantiles over chips",
    ]
    if bool(ds.accuracy_mean.isnull().any()):
        lines.append("-: the noise model has no statistics at that time")
    return "\n".join([*lines, *([f"drawn: {options.png}"] if options.png else [])])


def _rounded(value: float, digits: int = 2) -> float | None:
    return None if math.isnan(value) else round(value, digits)  # one chip has no spread
