# SPDX-License-Identifier: Apache-2.0
"""How everything looks: colours, page, cards, boxes, plots. The only importer of panel_material_ui."""

from __future__ import annotations

import io
from collections.abc import Callable, Iterable, Sequence
from html import escape
from pathlib import Path
from typing import Any

import panel as pn
import panel_material_ui as pmui
from bokeh.models import BasicTickFormatter
from bokeh.models.annotations import Legend
from bokeh.plotting import figure as bokeh_figure
from panel.util import edit_readonly
from panel.viewable import Viewable

from explorer.palette import (  # noqa: F401  (views take their colours from here)
    BAND_ALPHA,
    BASELINE,
    DOWN,
    MEASURED,
    MODEL,
    NEUTRAL,
    NOMINAL,
    PINNED,
    SERIES,
    TRACE_ALPHA,
    UP,
)
from explorer.views.icons import svg
from explorer.views.live import undelayed
from explorer.views.server_state import keeps_state

GAP = 16
"""Pixels between cards and inside them."""

Button, Chip, IconButton = (keeps_state(cls) for cls in (pmui.Button, pmui.Chip, pmui.IconButton))
_SHARED = {
    "shape": {"borderRadius": 8},
    "chart_style": "minimal",  # in a notebook too, where the kit would draw frames
    "typography": {
        "fontFamily": "Roboto, 'Helvetica Neue', Helvetica, Arial, sans-serif",  # as in theme.css
        "h6": {"fontSize": "0.95rem", "fontWeight": 600},
    },
}
_LIGHT = {
    "palette": {
        "primary": {"main": "#0B66A6", "contrastText": "#FFFFFF"},
        "background": {"default": "#F3F5F8", "paper": "#FFFFFF"},
    }
}
# The header is painted with contrastText (see page), hence the surface colour.
_DARK = {
    "palette": {
        "primary": {"main": "#56B4E9", "contrastText": "#161C24"},
        "background": {"default": "#0E1319", "paper": "#161C24"},
    }
}
THEME_CONFIG = {"light": _SHARED | _LIGHT, "dark": _SHARED | _DARK}

_PAGE_SX = {
    # A quiet header: this pair also tells the page not to invert the colours of what stands in it.
    ".MuiAppBar-root": {"bgcolor": "primary.contrastText", "color": "primary.main"},
    "& .MuiAppBar-root": {"boxShadow": "none", "borderBottom": "1px solid", "borderColor": "divider",
                          "backgroundImage": "none"},
    "& .MuiAppBar-root .title": {"color": "text.primary", "fontSize": "1.2rem", "fontWeight": 600},
    "& .main": {"backgroundColor": "background.default"},
    "& .main-content": {"p": f"{GAP}px"},
    # Panel limits everything to the height of what it stands in, here the window: the rest would be painted over.
    "& .main-content .child-wrapper > *": {"maxHeight": "none"},
}  # fmt: skip
_HTML_CSS = Path(__file__).with_suffix(".css").read_text(encoding="utf-8")
# For screen readers only: what an input is for stands beside it.
_HIDDEN_LABEL = {
    "& .MuiInputLabel-root": {"position": "absolute", "width": "1px", "height": "1px", "overflow": "hidden",
                              "clipPath": "inset(50%)"},
    "& fieldset": {"top": 0},
    "& legend": {"display": "none"},
}  # fmt: skip
_TOOLTIP_CSS = Path(__file__).with_name("tooltips.css").read_text(encoding="utf-8")
_CARD_SX = {"p": f"{GAP}px", "boxSizing": "border-box", "backgroundImage": "none"}


def page(title: str, *, main: list, sidebar: Sequence = (), header: Sequence = ()) -> pmui.Page:
    """Return the served page: header with theme toggle, sidebar, main area."""
    made = pmui.Page(
        title=title,
        main=list(main),
        sidebar=list(sidebar),
        header=list(header),
        sidebar_width=400,
        sidebar_resizable=True,
        theme_config=THEME_CONFIG,
        busy_indicator=None,  # a bar that flashes with every slider move tells nothing
        sx=_PAGE_SX,
    )
    pn.config.raw_css = [*(css for css in pn.config.raw_css if css != _TOOLTIP_CSS), _TOOLTIP_CSS]
    with edit_readonly(made):
        made.busy = False  # it followed Panel's busy flag: two updates of the whole page for each move of a slider
    return made


def root(*objects: Any, **layout: Any) -> pmui.Column:
    """Return a column that carries our colours where there is no page: a notebook cell."""
    return pmui.Column(*objects, theme_config=THEME_CONFIG, **{"sizing_mode": "stretch_width"} | layout)


def card(title: str, *objects: Any, subtitle: str = "", actions: Sequence = (), **layout: Any) -> pmui.Paper:
    """Return a framed section: title, optional one-line subtitle and buttons at the right, then the contents."""
    head = heading(title, subtitle)
    top = pn.Row(head, *actions, sizing_mode="stretch_width", margin=(0, 0, 8, 0)) if actions else head
    return pmui.Paper(
        top,
        *objects,
        elevation=0,
        variant="outlined",
        sx=_CARD_SX,
        margin=0,
        **{"sizing_mode": "stretch_width"} | layout,
    )


def heading(title: str, subtitle: str = "") -> pn.pane.HTML:
    """Return the heading of a section."""
    below = f'<div class="sub">{escape(subtitle)}</div>' if subtitle else ""
    return html(f'<div class="title" role="heading" aria-level="2">{escape(title)}</div>{below}')


def html(markup: str = "", **layout: Any) -> pn.pane.HTML:
    """Return a pane of trusted HTML in our typography; escape what comes from outside before."""
    return pn.pane.HTML(markup, stylesheets=[_HTML_CSS], **{"sizing_mode": "stretch_width", "margin": 0} | layout)


def caption(text: str, **layout: Any) -> pn.pane.HTML:
    """Return small secondary text."""
    return html(caption_markup(text), **layout)


def caption_markup(text: str) -> str:
    """Return the HTML of `caption`, to change its text."""
    return f'<div class="sub">{escape(text)}</div>'


def metrics_markup(tiles: list[tuple[str, str, str, str]]) -> str:
    """Return the HTML of a row of numbers, each ``(label, value, unit, explanation shown on hover)``."""
    parts = [
        f'<div class="tile" title="{escape(explanation, quote=True)}"><div class="label">{escape(label)}</div>'
        f'<div class="value">{escape(value)}<span class="unit">{escape("" if unit == "1" else unit)}</span></div></div>'
        for label, value, unit, explanation in tiles
    ]
    return f'<div class="tiles">{"".join(parts)}</div>'


def pair_markup(title: str, detail: str) -> str:
    """Return the HTML of a line with a smaller one below it."""
    return f'<div class="pair">{escape(title)}<div class="sub">{escape(detail)}</div></div>'


def list_markup(lines: Iterable[str]) -> str:
    """Return the HTML of a small list."""
    return f'<ul class="notes">{"".join(f"<li>{escape(line)}</li>" for line in lines)}</ul>'


def table_markup(columns: list[tuple[str, str]], rows: list[list[str]], look: str = "") -> str:
    """Return a small table; columns are ``(heading, explanation)``; ``look`` is ``words`` if the last one is text."""
    head = "".join(f'<th scope="col" title="{escape(tip, quote=True)}">{escape(name)}</th>' for name, tip in columns)
    body = "".join(f"<tr>{''.join(f'<td>{escape(cell)}</td>' for cell in row)}</tr>" for row in rows)
    return f'<div class="scroll {look}"><table><thead><tr>{head}</tr></thead><tbody>{body}</tbody></table></div>'


def error_box(message: str = "", title: str = "", **layout: Any) -> pn.pane.HTML:
    """Return a box that says what went wrong and what to do; set its text later with `say_error`."""
    return html(_box("error", title, message), **layout)


def info_box(message: str = "", title: str = "", **layout: Any) -> pn.pane.HTML:
    """Return a box with something good to know."""
    return html(_box("info", title, message), **layout)


def warning_box(message: str = "", title: str = "", **layout: Any) -> pn.pane.HTML:
    """Return a box with something that needs attention, such as a stale result."""
    return html(_box("warning", title, message), **layout)


def say_error(pane: pn.pane.HTML, message: str, title: str = "", kind: str = "error") -> None:
    """Show ``message`` in a pane made by `error_box`, or by the box of another ``kind``; hide it when there is none."""
    pane.param.update(object=_box(kind, title, message), visible=bool(message))


def say_warning(pane: pn.pane.HTML, message: str, title: str = "") -> None:
    """Show ``message`` in a pane made by `warning_box`; hide the pane when there is none."""
    pane.param.update(object=_box("warning", title, message), visible=bool(message))


def empty_box(title: str, hint: str, **layout: Any) -> pn.pane.HTML:
    """Return what stands where there is nothing to show yet: a title and what to do."""
    return html(empty_markup(title, hint), **{"margin": (10, 0, 0, 0)} | layout)


def empty_markup(title: str, hint: str) -> str:
    """Return the HTML of `empty_box`, to change its text."""
    inner = f'<div class="title">{escape(title)}</div><div class="sub">{escape(hint)}</div>'
    return f'<div class="empty" role="note">{inner}</div>'


def busy_box(message: str, **layout: Any) -> pn.pane.HTML:
    """Return what stands where something is on its way."""
    inner = f'<span class="spinner" aria-hidden="true"></span><span class="sub">{escape(message)}</span>'
    return html(f'<div class="busy" role="status">{inner}</div>', **layout)


def _box(kind: str, title: str, message: str) -> str:
    head = f"<strong>{escape(title)}</strong> " if title else ""
    role = "alert" if kind == "error" else "note"
    return f'<div class="box {kind}" role="{role}">{head}{escape(message)}</div>'


def button(label: str, *, icon: str = "", primary: bool = False, **kw: Any) -> pmui.Button:
    """Return a button; one primary button at most in a card."""
    look = {"variant": "contained", "color": "primary"} if primary else {"variant": "outlined", "color": "default"}
    return Button(label=label, icon=svg(icon) if icon else None, size="small", **{"margin": 0} | look | kw)


def icon_button(icon: str, description: str, **kw: Any) -> pmui.IconButton:
    """Return a small button that is only an icon; ``description`` is its tooltip and its name for screen readers."""
    return IconButton(icon=svg(icon), description=description, size="small", **{"margin": 0} | kw)


@undelayed
class Slider(pmui.FloatSlider):
    """A slider without number label (a box stands beside it) and without delay."""

    def __init__(self, **kw: Any):
        look = {"size": "small", "show_value": False, "tooltips": False, "sizing_mode": "stretch_width", "width": None}
        look["sx"] = {".MuiFormLabel-root": {"fontSize": "0.875rem", "color": "text.primary"}}
        super().__init__(**look | {"margin": (2, 0, 2, 4)} | kw)


def number_box(text: str, unit: str, *, label: str, width: int = 124, **kw: Any) -> pmui.TextInput:
    """Return a box for a number of any notation, its unit inside at the right.

    A text box, because the kit's number box drops ``1e-3`` and turns NaN silently into the old value.
    """
    root: dict[str, Any] = {"paddingRight": "8px", "fontVariantNumeric": "tabular-nums", "fontSize": "13.5px"}
    if unit != "1":
        root["&::after"] = {"content": f'"{unit}"', "color": "text.secondary", "fontSize": "12px", "marginLeft": "4px"}
    return pmui.TextInput(
        label=label, value=text, size="small", width=width, margin=(12, 4, 0, 8), **kw,
        sx={"& .MuiOutlinedInput-root": root, "& input": {"padding": "5px 0 5px 8px"}, **_HIDDEN_LABEL},
    )  # fmt: skip


def switch(label: str, **kw: Any) -> pmui.Switch:
    """Return an on/off switch."""
    look = {"& + .MuiFormControlLabel-label": {"fontSize": "0.875rem"}}  # the kit styles the switch, not its label
    return pmui.Switch(
        label=label, size="small", sx=look, **{"sizing_mode": "stretch_width", "margin": (4, 0, 4, 4)} | kw
    )


def select(label: str, **kw: Any) -> pmui.Select:
    """Return a drop-down list."""
    return pmui.Select(
        label=label, size="small", **{"sizing_mode": "stretch_width", "width": None, "margin": (6, 0)} | kw
    )


def chip(label: str = "", color: str = "default") -> pmui.Chip:
    """Return a small label that tells a state; it is no button."""
    return Chip(label=label, color=color, variant="outlined", size="small", margin=(6, 0), sx={"cursor": "default"})


def accordion(*sections: tuple[str, Any]) -> pmui.Accordion:
    """Return titled sections that open and close; what is closed is not rendered."""
    return pmui.Accordion(
        *sections, dynamic=True, title_variant="h6", elevation=0, variant="outlined", disable_gutters=True, square=True,
        margin=0, sizing_mode="stretch_width",
        sx={"backgroundImage": "none", "borderLeft": 0, "borderRight": 0, "& .MuiAccordionSummary-root": {"px": 1}},
    )  # fmt: skip


def tabs(*sections: tuple[str, Any], **kw: Any) -> pmui.Tabs:
    """Return tabs; what is not chosen is not in the page, unless ``dynamic=False``."""
    look = {"& .MuiTab-root": {"textTransform": "none", "fontSize": "0.95rem", "minHeight": "44px"}}
    return pmui.Tabs(*sections, **{"dynamic": True, "margin": 0, "sizing_mode": "stretch_width", "sx": look} | kw)


def axis_label(label: str, unit: str = "1") -> str:
    """Return ``label (unit)``, without the unit of a pure number."""
    return label if unit == "1" else f"{label} ({unit})"


def figure(x: tuple[str, str], y: tuple[str, str], *, height: int = 320, **kw: Any) -> bokeh_figure:
    """Return an empty plot; ``x`` and ``y`` are ``(label, unit)``. The page gives it the colours of its theme.

    Parameters
    ----------
    x, y : (str, str)
        Axis label and unit (``"1"`` for a pure number).
    height : int
        Pixels; the width follows the space there is.
    **kw
        For `bokeh.plotting.figure`.
    """
    plot = bokeh_figure(
        x_axis_label=axis_label(*x),
        y_axis_label=axis_label(*y),
        height=height,
        sizing_mode="stretch_width",
        tools="pan,wheel_zoom,box_zoom,reset,save",
        toolbar_location="right",
        output_backend="canvas",  # software WebGL is several times slower than canvas
        min_border=8,
        **kw,
    )
    plot.toolbar.logo = None
    plot.toolbar.autohide = True
    plot.outline_line_color = None
    for axis in plot.axis:
        axis.formatter = BasicTickFormatter(power_limit_low=-5, power_limit_high=6)  # 0.002 rather than 2.000e-3
    return plot


def legend(plot: bokeh_figure, items: list[tuple[str, list]]) -> Legend:
    """Put a one-line legend above the plot; a click on an entry hides its curves."""
    made = Legend(
        items=items, orientation="horizontal", click_policy="hide", location="top_left", padding=0, margin=4,
        styles={"font-size": "13px"},  # what the em of the page's theme refers to
    )  # fmt: skip
    plot.add_layout(made, "above")
    return made


def legend_markup(entries: list[tuple[str, str, str]]) -> str:
    """Return a one-line legend as HTML, each entry ``(label, colour, kind)``.

    For plots under a slider: Bokeh draws its own legend anew with every change of the data. Kinds are ``band``,
    ``block``, ``line``, ``thin``, ``dashed``, ``dotted``, ``dot``.
    """
    parts = [
        f'<span class="entry"><span class="swatch {kind}" style="--c: {color}"></span>{escape(label)}</span>'
        for label, color, kind in entries
    ]
    return f'<div class="legend">{"".join(parts)}</div>'


def plot_pane(plot: bokeh_figure, **layout: Any) -> pn.pane.Bokeh:
    """Return the plot as something to put into a layout."""
    return pn.pane.Bokeh(plot, **{"sizing_mode": "stretch_width", "margin": 0} | layout)


def grid(*objects: Viewable, columns: int = 2, min_width: int = 380) -> pn.GridBox | pn.FlexBox:
    """Return cards side by side, as many in a row as have ``min_width`` pixels each, at most ``columns``."""
    share = f"calc({100 / columns:.4f}% - {GAP * (columns - 1) / columns:.2f}px)"
    for item in objects:
        item.align = "auto"  # as high as the highest of its row
        item.styles = {**item.styles, "flex": f"1 1 max({min_width}px, {share})", "min-width": "0"}
    return pn.FlexBox(*objects, gap=f"{GAP}px", align_items="stretch", sizing_mode="stretch_width", margin=0)


def row(*objects: Any, **layout: Any) -> pn.FlexBox:
    """Return objects side by side, one gap of 8 pixels between them, in the next line where there is no room."""
    look = {"gap": "8px", "align_items": "center", "sizing_mode": "stretch_width", "margin": 0}
    return pn.FlexBox(*objects, **look | layout)


def text_box(label: str, value: str = "", *, description: str = "", **kw: Any) -> pmui.TextInput:
    """Return a one-line text field; ``description`` is its tooltip."""
    return pmui.TextInput(label=label, value=value, description=description, size="small",
                          **{"margin": 0, "sizing_mode": "stretch_width"} | kw)  # fmt: skip


def text_area(label: str, **kw: Any) -> pmui.TextAreaInput:
    """Return a field for some lines of text."""
    look = {"rows": 4, "auto_grow": False, "max_length": 100_000, "margin": 0, "sizing_mode": "stretch_width"}
    return pmui.TextAreaInput(label=label, size="small", **look | kw)


def tick(label: str, **kw: Any) -> pmui.Checkbox:
    """Return one box to tick."""
    look = {"margin": 0, "sx": {"& + .MuiFormControlLabel-label": {"fontSize": "13px"}}}
    return pmui.Checkbox(label=label, size="small", **look | kw)


def progress_bar(**kw: Any) -> pmui.LinearProgress:
    """Return a bar whose ``value`` goes from 0 to 100; ``variant='indeterminate'`` while nothing is known."""
    return pmui.LinearProgress(value=0, **{"margin": 0, "sizing_mode": "stretch_width"} | kw)


def download(label: str, filename: str, callback: Callable[[], io.IOBase], **kw: Any) -> pmui.FileDownload:
    """Return a button that saves what ``callback`` returns (an open file) under ``filename``."""
    made = pmui.FileDownload(callback=callback, filename=filename, label=label, auto=True, embed=False,
                             **{"margin": 0, "size": "small"} | kw)  # fmt: skip
    made.param.update(color="default", variant="outlined")  # its constructor warns of any colour
    return made
