# SPDX-License-Identifier: Apache-2.0
"""Train a network on devices drawn from a fit: the accuracy's error from the measurement, and that from the chip."""

from __future__ import annotations

import json

import numpy as np
import param
import xarray as xr

from engine.errors import ParameterError, say
from engine.quantity import Choice, Quantity
from engine.rng import derive_seed
from explorer import networks
from explorer.experiments.base import Experiment, Progress
from explorer.experiments.fit_response import FitResponse
from explorer.experiments.training import Training
from explorer.fitting import ResponseFit


class PosteriorTraining(Experiment):
    """Train a network on several parameter sets drawn from the posterior of a fit, several chips each.

    Without a fit it takes that of a simulated example.

    Notes
    -----
    The accuracy's variance is taken apart by a one-way random-effects analysis: between parameter sets, beyond what
    chips alone explain, is what the measurement leaves open; within sets is what differs from chip to chip.

    Examples
    --------
    >>> ds = PosteriorTraining(n_draws=2, n_chips=1, epochs=1).run()
    >>> ds.accuracy.dims
    ('draw', 'chip')
    """

    # fmt: off
    fit = param.String("", doc="A fit as JSON text (ResponseFit.to_json); blank fits an example.")
    network = Choice("mlp-digits", networks.names(), source="assumed", doc="Network and data.")
    n_draws = Quantity(8, bounds=(2, 1000), softbounds=(2, 30), integer=True, unit="sets", source="assumed",
                       doc="Parameter sets drawn from the posterior.")
    n_chips = Quantity(2, bounds=(1, 100), softbounds=(1, 5), integer=True, unit="chips", source="assumed",
                       doc="Chips, that is seeds, for each of them.")
    epochs = Quantity(10, bounds=(1, 10_000), softbounds=(1, 50), integer=True, unit="epochs", source="assumed",
                      doc="Passes over the training data.")
    batch_size = Quantity(8, bounds=(1, 10_000), softbounds=(1, 128), integer=True, unit="samples", source="assumed",
                          doc="Samples between two updates; within a batch each sample is one pulsed update.")
    lr = Quantity(0.1, bounds=(0, None), softbounds=(0.001, 1), log=True, source="assumed",
                  doc="Learning rate of plain stochastic gradient descent.")
    # fmt: on

    def check(self) -> None:
        """Raise `ParameterError` if the fit is no fit."""
        super().check()
        if self.fit:
            self.response_fit()

    def response_fit(self) -> ResponseFit:
        """Return the fit that parameters are drawn from.

        Raises
        ------
        ParameterError
            If the text is no fit.
        """
        if not self.fit:
            return FitResponse.fit_of(FitResponse(model="soft_bounds", n_simulated=2, held_out=False).run())
        try:
            return ResponseFit.from_json(self.fit)
        except (ValueError, KeyError, TypeError) as error:
            shown = f"{self.fit[:30]}…"
            raise ParameterError(
                say("PosteriorTraining.fit", shown, f"is no fit ({error})"[:90], "ResponseFit.to_json()", "Fit again.")
            ) from error

    def compute(self, progress: Progress) -> xr.Dataset:
        """Return the accuracy of each chip of each parameter set, the parameters, and where the spread comes from."""
        fit = self.response_fit()
        sets = fit.draw(int(self.n_draws), derive_seed(self.seed, "posterior"))
        accuracy, digital = np.full((len(sets), int(self.n_chips)), np.nan), np.nan
        for k, values in enumerate(sets):

            def told(fraction: float, message: str = "", k: int = k, **payload) -> None:
                progress((k + fraction) / len(sets), f"set {k + 1} of {len(sets)}: {message}", done=k,
                         accuracy=accuracy[:k].mean(1).tolist())  # fmt: skip

            training = Training(
                device=fit.device(values), network=self.network, epochs=self.epochs, lr=self.lr, n_seeds=self.n_chips,
                batch_size=self.batch_size, baseline=k == 0, seed=derive_seed(self.seed, "chips", k) % 2**31,
            )  # fmt: skip
            found = training.compute(told)["accuracy"].isel(epoch=-1)
            accuracy[k] = found.sel(kind="analog").values
            digital = float(found.sel(kind="baseline").mean()) if k == 0 else digital
        return _dataset(fit, sets, accuracy, digital)


def parts(accuracy: np.ndarray) -> dict[str, float]:
    """Return mean accuracy, its spread from the measurement, from the chip, and both together.

    Parameters
    ----------
    accuracy : array, (draw, chip)
        With one chip for each set the two cannot be told apart, and both parts are NaN.
    """
    means = accuracy.mean(1)
    total = float(accuracy.std(ddof=1)) if accuracy.size > 1 else float("nan")
    if accuracy.shape[1] < 2:
        return {"mean": float(means.mean()), "measurement": float("nan"), "chip": float("nan"), "both": total}
    within = float(accuracy.var(1, ddof=1).mean())
    between = max(float(means.var(ddof=1)) - within / accuracy.shape[1], 0.0)
    return {"mean": float(means.mean()), "measurement": between**0.5, "chip": within**0.5,
            "both": (between + within) ** 0.5}  # fmt: skip


def _dataset(fit: ResponseFit, sets: list[dict[str, float]], accuracy: np.ndarray, digital: float) -> xr.Dataset:
    names = list(fit.parameters)
    values = np.array([[s[n] for n in names] for s in sets])
    told = {"units": "1", "long_name": "Share of test samples right after the last epoch"}
    return xr.Dataset(
        {
            "accuracy": xr.Variable(("draw", "chip"), accuracy, told),
            "value": xr.Variable(("draw", "parameter"), values,
                                 {"units": "1", "long_name": "Drawn parameter, in its own unit"}),
        },
        coords={"parameter": names},
        attrs={"model": fit.model, "data_hash": fit.data_hash, "digital_accuracy": digital,
               "parts": json.dumps(parts(accuracy))},
    )  # fmt: skip
