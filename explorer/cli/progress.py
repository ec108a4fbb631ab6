# SPDX-License-Identifier: Apache-2.0
"""A progress bar on the terminal for an experiment that runs in this process."""

from __future__ import annotations

from typing import Any

from tqdm import tqdm

from explorer.experiments.base import check_fraction

_FORMAT = "{percentage:3.0f}% |{bar}| {elapsed}<{remaining} {desc}"


class Bar:
    """Progress shown on standard error; quiet where that is no terminal."""

    def __enter__(self) -> Bar:
        self._bar = tqdm(total=1.0, bar_format=_FORMAT, disable=None, leave=False)
        return self

    def __exit__(self, *_: object) -> None:
        self._bar.close()

    def __call__(self, fraction: float, message: str = "", **payload: Any) -> None:
        """Move the bar to ``fraction`` (0 to 1)."""
        shown = f"{message}, loss {payload['loss']:.3f}" if "loss" in payload else message
        self._bar.set_description_str(shown, refresh=False)
        self._bar.update(check_fraction(fraction) - self._bar.n)
