# SPDX-License-Identifier: Apache-2.0
"""Experiments for the tests of jobs and results, found as those of any other package are."""

from __future__ import annotations

import multiprocessing
import os
import sys
import time

import numpy as np
import param
import xarray as xr

from engine.quantity import Choice, Flag, Model, Quantity
from explorer.experiments import Experiment


class Inner(Model):
    """A model without a written form of its own."""

    gain = Quantity(1.0, bounds=(0, None), unit="V", source="assumed")
    sharp = Flag(False, source="assumed")


class Counting(Experiment):
    """Counts, reports every step with its process id, returns seeded noise."""

    steps = Quantity(5, bounds=(1, 100_000), integer=True, source="assumed")
    step_s = Quantity(0.0, bounds=(0, 10), unit="s", source="assumed")
    mode = Choice("plain", ["plain", "offset"], source="assumed")
    inner = param.ClassSelector(class_=Inner, default=Inner())
    levels = param.List(default=[1.0, 2.5])
    window = param.Tuple(default=(0, 1))
    note = param.String(default="")

    def compute(self, progress):
        for i in range(self.steps):
            progress(i / self.steps, f"step {i + 1}", step=i, pid=os.getpid(), nice=os.nice(0))
            time.sleep(self.step_s)
        noise = np.random.default_rng(int(self.seed)).normal(size=self.steps).astype(np.float32)
        return xr.Dataset(
            {
                "w": ("step", noise, {"units": "w", "stuck": False}),
                "up": ("step", noise > 0, {"units": "1"}),
                "wait": ((), self.step_s, {"units": "seconds"}),
            },
            coords={"step": np.arange(self.steps), "name": ("step", [f"s{i}" for i in range(self.steps)])},
        )


class Failing(Experiment):
    """Stops with an error after its first report."""

    def compute(self, progress):
        progress(0.5, "about to fail")
        return xr.Dataset({"w": ("n", [1 / int(self.seed * 0)])})


class Refusing(Experiment):
    """Sends a payload that is no plain data."""

    def compute(self, progress):
        progress(0.5, "sending", thing=object())
        return xr.Dataset()


class Deaf(Experiment):
    """Reports its start and then nothing for a long time."""

    def compute(self, progress):
        progress(0.1, "listening to nobody", pid=os.getpid())
        time.sleep(60)
        return xr.Dataset()


class Inside(Experiment):
    """Tells what the worker process looks like from inside."""

    prepared = 0

    @classmethod
    def prepare(cls):
        cls.prepared += 1

    def compute(self, progress):
        before = set(sys.modules)
        import torch

        progress(0.5, "looking", warm="torch" in before, prepared=self.prepared, torch_threads=torch.get_num_threads(),
                 nice=os.nice(0), daemon=multiprocessing.current_process().daemon,
                 method=multiprocessing.get_start_method(allow_none=True) or "")  # fmt: skip
        return xr.Dataset({"n": ((), 1.0, {"units": "1"})})
