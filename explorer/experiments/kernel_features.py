# SPDX-License-Identifier: Apache-2.0
"""Kernel ridge regression with random features that are computed on programmed chips."""

from __future__ import annotations

import numpy as np
import param
import torch
import xarray as xr

from engine.inference import compensation as compensations
from engine.inference import noise as noises
from engine.inference import program
from engine.nn import calibrate
from engine.nn.random_features import KERNELS, SAMPLINGS, RandomFeatures, exact_kernel
from engine.quantity import Choice, Quantity, Table
from engine.recipes import load
from engine.rng import derive_seed
from engine.tiles import InputRangeParameters, IOParameters, MappingParameters, TileConfig
from explorer import networks
from explorer.experiments.base import Experiment, Progress
from explorer.experiments.chip_scores import TIMES
from explorer.experiments.threads import torch_threads

_CHIP = load("standard_aimc").config
_LEAST_SPREAD = 0.5 / 16  # pixels of 0..1: those that hardly change are not blown up
_FLAT = ("mlp-digits", "mlp-digits-deep")


class KernelFeatures(Experiment):
    r"""Classify by ridge regression on random features: weights from digital features, test features from chips.

    Inputs are standardised by the training data. The error is :math:`\|K - Z Z^T\|_F / \|K\|_F` on the test inputs.
    Kernel approximation using analog in-memory computing, Nature Machine Intelligence 2024.
    """

    # fmt: off
    network = Choice("mlp-digits-deep", _FLAT, source="assumed", doc="Whose data are classified.")
    kernel = Choice("rbf", KERNELS, group="Kernel", source="Nature Machine Intelligence 2024",
                    doc="Gaussian, arc-cosine of order 0, or softmax.")
    sampling = Choice("orf", SAMPLINGS, group="Kernel", source="Nature Machine Intelligence 2024",
                      doc="Independent, orthogonal, or structured orthogonal random rows.")
    features = Quantity(256, bounds=(1, 1_000_000), softbounds=(16, 1024), integer=True, unit="rows", group="Kernel",
                        source="assumed", doc="Random rows, each an output of the tile.")
    gamma = Quantity(0.005, bounds=(0, None), inclusive_bounds=(False, True), softbounds=(1e-4, 1), log=True,
                     group="Kernel", source="assumed", doc="Width of the Gaussian, one over squared input units.")
    ridge = Quantity(0.5, bounds=(0, None), inclusive_bounds=(False, True), softbounds=(1e-3, 10), log=True,
                     group="Kernel", source="Nature Machine Intelligence 2024, code: 0.5",
                     doc="Penalty on the weights of the regression.")
    n_seeds = Quantity(10, bounds=(1, 1000), softbounds=(1, 20), integer=True, unit="draws", source="assumed",
                       doc="Draws of the random rows.")
    n_chips = Quantity(1, bounds=(1, 1000), softbounds=(1, 25), integer=True, unit="chips", group="Chips",
                       source="assumed", doc="Chips for each draw.")
    noise = Choice("pcm", noises.names(), group="Chips", source="assumed", doc="Statistics of the devices.")
    compensation = Choice("global", compensations.names(), group="Chips", source="assumed",
                          doc="What is done against drift.")
    times = Table(list(TIMES), unit="s", lowest=0, group="Chips", source="assumed",
                  doc="Times after the reference read.")
    quantile = Quantity(0.999, bounds=(0, 1), inclusive_bounds=(False, True), softbounds=(0.9, 1), group="Chips",
                        source="assumed", doc="The input range is this quantile of absolute training inputs.")
    forward = param.ClassSelector(class_=IOParameters, default=_CHIP.forward, instantiate=True,
                                  doc="Periphery of the product.")
    mapping = param.ClassSelector(class_=MappingParameters, default=_CHIP.mapping, instantiate=True,
                                  doc="How the rows are laid out on tiles.")
    input_range = param.ClassSelector(class_=InputRangeParameters, default=_CHIP.input_range, instantiate=True,
                                      doc="Range of a tile's inputs.")
    # fmt: on

    def compute(self, progress: Progress) -> xr.Dataset:
        """Return error and accuracy of digital features and of those from chips, and of the exact kernel."""
        x_train, y_train, x_test, y_test = self._data()
        kernel = exact_kernel(x_test, x_test, self.kernel, gamma=self.gamma)
        shape = int(self.n_seeds), len(self.times), int(self.n_chips)
        error, accuracy = np.empty(shape), np.empty(shape)
        digital_error, digital_accuracy = np.empty(shape[0]), np.empty(shape[0])
        with torch_threads(1):
            for k in range(int(self.n_seeds)):
                digital, analog = self._features(k, None), self._features(k, self.config())
                if self.input_range.enable:
                    calibrate(analog, x_train[:640].split(64), "cache_quantile", quantile=self.quantile)
                z_train, z_test = digital(x_train), digital(x_test)
                weights = _ridge(z_train, y_train, self.ridge)
                digital_error[k], digital_accuracy[k] = _judged(z_test, kernel, weights, y_test)
                seed = derive_seed(int(self.seed), "chips", k)
                chips = program(analog, self.noise, None, self.compensation, chips=int(self.n_chips), seed=seed)
                for t, time in enumerate(self.times):
                    found = [_judged(z, kernel, weights, y_test) for z in chips.drift_to(time)(x_test)]
                    error[k, t], accuracy[k, t] = zip(*found, strict=True)
                progress((k + 1) / int(self.n_seeds), f"draw {k + 1} of {int(self.n_seeds)}")
        exact = _exact_accuracy(x_train, y_train, x_test, y_test, self)
        return self._dataset(error, accuracy, digital_error, digital_accuracy, exact)

    def config(self) -> TileConfig:
        """Return the configuration of the tiles that hold the random rows."""
        return TileConfig(_CHIP.device, self.forward, _CHIP.backward, _CHIP.update, self.mapping, self.input_range)

    def _features(self, k: int, config: TileConfig | None) -> RandomFeatures:
        inputs = networks.get(self.network).data().x_train.shape[1]
        settings = {"gamma": self.gamma, "config": config, "seed": derive_seed(int(self.seed), "draw", k)}
        return RandomFeatures(inputs, int(self.features), self.kernel, self.sampling, **settings).eval()

    def _data(self) -> tuple[torch.Tensor, ...]:
        split = networks.get(self.network).data()
        mean, spread = split.x_train.mean(0), split.x_train.std(0).clamp(min=_LEAST_SPREAD)
        return (split.x_train - mean) / spread, split.y_train, (split.x_test - mean) / spread, split.y_test

    def _dataset(self, error, accuracy, digital_error, digital_accuracy, exact) -> xr.Dataset:
        dims = ("draw", "time", "chip")
        told = {
            "kernel_error": (dims, error, "Relative error of the test kernel, features from chips"),
            "accuracy": (dims, accuracy, "Share of test samples right, features from chips"),
            "digital_kernel_error": ("draw", digital_error, "Relative error of the test kernel, digital features"),
            "digital_accuracy": ("draw", digital_accuracy, "Share of test samples right, digital features"),
            "exact_accuracy": ((), exact, "Share of test samples right by ridge regression with the exact kernel"),
        }
        data = {name: (d, v, {"units": "1", "long_name": text}) for name, (d, v, text) in told.items()}
        time = ("time", list(self.times), {"units": "s", "long_name": "Time after the reference read"})
        return xr.Dataset(data, {"time": time, "draw": np.arange(len(digital_error))})


def _one_hot(y: torch.Tensor) -> torch.Tensor:
    return torch.nn.functional.one_hot(y, int(y.max()) + 1).double()


def _ridge(z: torch.Tensor, y: torch.Tensor, penalty: float) -> torch.Tensor:
    z = z.double()
    return torch.linalg.solve(z.T @ z + penalty * torch.eye(z.shape[1]).double(), z.T @ _one_hot(y))


def _judged(z: torch.Tensor, kernel: torch.Tensor, weights: torch.Tensor, y: torch.Tensor) -> tuple[float, float]:
    """Return the error of the kernel and the share right of features ``(samples, features)``."""
    error = (kernel - z @ z.T).norm() / kernel.norm()
    return float(error), float(((z.double() @ weights).argmax(1) == y).double().mean())


def _exact_accuracy(x_train, y_train, x_test, y_test, own: KernelFeatures) -> float:
    inner = exact_kernel(x_train, x_train, own.kernel, gamma=own.gamma).double()
    outer = exact_kernel(x_test, x_train, own.kernel, gamma=own.gamma).double()
    weights = torch.linalg.solve(inner + own.ridge * torch.eye(len(inner)).double(), _one_hot(y_train))
    return float(((outer @ weights).argmax(1) == y_test).double().mean())
