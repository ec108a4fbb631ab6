# SPDX-License-Identifier: Apache-2.0
"""What reports have in common: one page of HTML that needs nothing else, to keep, to print, to mail."""

from __future__ import annotations

import json
from collections.abc import Collection, Mapping
from pathlib import Path
from typing import Any

import xarray as xr
from bokeh.embed import components
from bokeh.plotting import figure as Figure
from bokeh.util.paths import bokehjs_path
from jinja2 import Environment, FileSystemLoader, StrictUndefined

_ATTRIBUTES = ("ohmscape_version", "python_version", "numpy_version", "torch_version", "seed", "started", "machine")


def render(template: str, figures: Mapping[str, Figure], **values: Any) -> str:
    """Return a page.

    Parameters
    ----------
    template : str
        Name of a file of this folder; it extends ``report_page.html``.
    figures : dict of str to Figure
        The template finds their markup in ``plots``, by name.
    **values
        What the template names besides.
    """
    script, plots = components(dict(figures))
    folder = FileSystemLoader(Path(__file__).parent, encoding="utf-8")
    page = Environment(loader=folder, autoescape=True, undefined=StrictUndefined).get_template(template)
    return page.render(plots=plots, script=script, resources=_bokeh(), **values)


def origin(ds: xr.Dataset, data: Mapping[str, str], told: Collection[str] = ()) -> dict[str, str]:
    """Return what one needs to repeat a fit: where the data are from, versions, seed, settings.

    Parameters
    ----------
    ds : Dataset
        What the experiment's ``run`` returned.
    data : dict of str to str
        What there is to say of the data; stands first.
    told : collection of str
        Parameters that say how a file is to be read; left out where the readings themselves were given.
    """
    asked = {n: v for n, v in json.loads(ds.attrs["experiment"])["parameters"].items() if v not in ("", None)}
    if asked.pop("readings", ""):
        asked = {name: value for name, value in asked.items() if name not in told}
    kept = {name.replace("_", " "): str(ds.attrs[name]) for name in _ATTRIBUTES}
    return {**data, **kept, "settings": json.dumps(asked)}


def _bokeh() -> str:
    """Return Bokeh's own script. Its resources name those of Panel too, which only a server has."""
    return f"<script>{(Path(bokehjs_path()) / 'js' / 'bokeh.min.js').read_text(encoding='utf-8')}</script>"
