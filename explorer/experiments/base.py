# SPDX-License-Identifier: Apache-2.0
"""What every experiment is: parameters in, labelled data out, with progress in between.

An experiment has no GUI and no threads in it, so the same object runs in a script, a notebook, an
app and a worker process. It travels and is stored as JSON, never as a pickle.
"""

from __future__ import annotations

import hashlib
import json
import math
import warnings
from typing import Any, ClassVar, Protocol

import xarray as xr

from engine.errors import OhmscapeError, ParameterError, near_miss, say
from engine.quantity import Model, Quantity
from explorer.experiments import codec
from explorer.experiments.provenance import Clock, package_version


class Cancelled(OhmscapeError):
    """The user has asked the running experiment to stop; an experiment lets it pass."""


class Progress(Protocol):
    """What an experiment reports to."""

    def __call__(self, fraction: float, message: str = "", **payload: Any) -> None:
        """Report that ``fraction`` (0 to 1) of the work is done.

        Parameters
        ----------
        fraction : float
            Share of the work done, 0 to 1.
        message : str
            A few words for the user, such as ``"epoch 3 of 20"``.
        **payload
            Small plain numbers and lists for live views.

        Raises
        ------
        Cancelled
            When the user has asked the experiment to stop.
        ParameterError
            When ``fraction`` is not in 0 to 1.
        """


def check_fraction(fraction: float) -> float:
    """Return ``fraction`` as a float, or raise `ParameterError` when it is not in 0 to 1."""
    value = float(fraction)
    if math.isnan(value) or not 0.0 <= value <= 1.0:
        raise ParameterError(
            say("progress.fraction", value, "is not a share of the work", "[0, 1]", "Report done / total.")
        )
    return value


class NoProgress:
    """Progress that nobody looks at; checks the fraction as the real one does."""

    def __call__(self, fraction: float, message: str = "", **payload: Any) -> None:
        check_fraction(fraction)


class Experiment(Model):
    """Base of every experiment: declare parameters, write `compute`, get everything else.

    A subclass in any module of ``explorer.experiments`` is found by itself, as is one in a package
    that names its module in the entry point group ``ohmscape.experiments``.

    Examples
    --------
    >>> import xarray as xr
    >>> from engine.quantity import Quantity
    >>> class Ramp(Experiment):
    ...     points = Quantity(3, bounds=(1, 1000), integer=True, doc="Number of points.")
    ...     def compute(self, progress):
    ...         progress(0.5, "half way")
    ...         return xr.Dataset({"w": ("point", list(range(self.points)), {"units": "w"})})
    >>> ds = Ramp(points=4).run()
    >>> ds.sizes["point"], ds.w.attrs["units"], ds.attrs["seed"]
    (4, 'w', 0)
    """

    schema: ClassVar[int] = 1
    """Version of the written form; raise it when old files need a conversion."""

    seed = Quantity(
        0,
        bounds=(0, 2**53 - 1),
        softbounds=(0, 9999),
        integer=True,
        source="assumed",
        doc="Seed of every random number in the experiment; whole numbers up to 2^53-1 survive JSON exactly.",
    )

    def __init_subclass__(cls, **kw):
        super().__init_subclass__(**kw)
        if "run" in vars(cls):
            raise TypeError(f"{cls.__name__}.run: override compute(progress); run adds the provenance.")

    @classmethod
    def prepare(cls) -> None:
        """Load what the first run would wait for (imports, data); called once in each worker process."""

    def compute(self, progress: Progress) -> xr.Dataset:
        """Do the work; subclasses write this.

        Parameters
        ----------
        progress : Progress
            Call it some times a second with the share of the work done; what it raises passes through.

        Returns
        -------
        xarray.Dataset
            Data with named axes; every variable has ``attrs["units"]`` (``"1"`` for pure numbers).
        """
        raise NotImplementedError(f"{type(self).__name__}.compute: an experiment must define it.")

    def run(self, progress: Progress | None = None) -> xr.Dataset:
        """Do the work and return the data with its provenance in the attributes.

        Parameters
        ----------
        progress : Progress, optional
            Told how far the work is; may raise `Cancelled`. Without it nobody is told.

        Returns
        -------
        xarray.Dataset
            What `compute` returned, with the attributes of `provenance.Clock.provenance` added.

        Raises
        ------
        Cancelled
            When ``progress`` raised it.
        ParameterError
            When parameters do not fit together.
        """
        self.check()
        report = NoProgress() if progress is None else progress
        clock = Clock()
        report(0.0, "starting")
        ds = self.compute(report)
        self._warn_missing_units(ds)
        ds = ds.assign_attrs(clock.provenance(self))
        report(1.0, "finished")
        return ds

    def _warn_missing_units(self, ds: xr.Dataset) -> None:
        bare = [str(n) for n in ds.data_vars if "units" not in ds[n].attrs]
        if bare:
            warnings.warn(
                f"{type(self).__name__}.compute: no attrs['units'] in {', '.join(bare)} "
                "(allowed: any unit, '1' for a pure number). Set it where the variable is made.",
                stacklevel=3,
            )

    @classmethod
    def parameters(cls) -> list[str]:
        """Return the names of all parameters, nested models included, in order of definition."""
        return [n for n in cls.param if n != "name" and not n.startswith("_")]

    @classmethod
    def _unknown(cls, name: str) -> None:
        known = cls.parameters()
        hint = near_miss(name, known) or f" Known: {', '.join(known)}."
        raise ParameterError(f"{cls.__name__}.{name}: there is no such parameter.{hint}")

    def state(self) -> dict[str, Any]:
        """Return ``name -> value`` of all parameters, nested models included (not copied)."""
        return {n: getattr(self, n) for n in self.parameters()}

    def copy(self, **changes):
        """Return an independent copy with some parameters changed."""
        kept = {n: v for n, v in self.state().items() if n not in changes}
        return type(self)(**{n: v.copy() if isinstance(v, Model) else v for n, v in kept.items()}, **changes)

    def __eq__(self, other):
        return type(self) is type(other) and self.state() == other.state()

    __hash__ = None

    def to_dict(self) -> dict[str, Any]:
        """Return a JSON-ready dict: schema version, class name and every parameter.

        Raises
        ------
        ParameterError
            When a parameter holds something JSON cannot carry.
        """
        cls = type(self)
        values = {n: codec.encode(cls.param[n], v, f"{cls.__name__}.{n}") for n, v in self.state().items()}
        return {"schema": cls.schema, "class": cls.__name__, "parameters": values}

    @classmethod
    def from_dict(cls, written: dict[str, Any]) -> Experiment:
        """Rebuild an experiment from what `to_dict` returned.

        A parameter that is absent takes its default, as in the constructor.

        Parameters
        ----------
        written : dict
            Called on `Experiment` the class name is looked up in the registry; called on a subclass
            the name must be its own.

        Raises
        ------
        ParameterError
            On an unknown class (near misses are named), an unknown parameter, a value against its
            rule, a newer schema, or a dict that is not an experiment.
        """
        target = cls._class_of(written)
        values = {}
        for name, value in written["parameters"].items():
            if name not in target.parameters():
                target._unknown(name)
            values[name] = codec.decode(target.param[name], value)
        return target(**values)

    @classmethod
    def _class_of(cls, written: dict[str, Any]) -> type[Experiment]:
        if not isinstance(written, dict) or not {"schema", "class", "parameters"} <= set(written):
            raise ParameterError(
                "Experiment.from_dict: this is no experiment (allowed: a dict with schema, class and "
                "parameters). Write one with to_dict()."
            )
        name = str(written["class"])
        if cls is Experiment:
            from explorer.experiments import get

            target = get(name)
        elif name == cls.__name__:
            target = cls
        else:
            raise ParameterError(
                say(f"{cls.__name__}.from_dict.class", name, "is another experiment", cls.__name__,
                    "Use Experiment.from_dict.")
            )  # fmt: skip
        if written["schema"] != target.schema:
            raise ParameterError(
                say(f"{name}.schema", written["schema"], "was written by another version of ohmscape",
                    str(target.schema), "Install the version that wrote it, or run the experiment again.")
            )  # fmt: skip
        if not isinstance(written["parameters"], dict):
            raise ParameterError(f"{name}.parameters: must be a dict of name and value. Write it with to_dict().")
        return target

    @property
    def content_id(self) -> str:
        """64 hexadecimal digits that are equal for equal experiments of one package version."""
        text = codec.canonical({"experiment": self.to_dict(), "version": package_version()})
        return hashlib.sha256(text.encode()).hexdigest()

    def to_json(self) -> str:
        """Return `to_dict` as one line of JSON."""
        return json.dumps(self.to_dict(), allow_nan=False)
