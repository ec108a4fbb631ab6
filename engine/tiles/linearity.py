# SPDX-License-Identifier: Apache-2.0
"""How good a converter is: code histogram, DNL and INL curves, effective bits. docs/physics/circuit.md, 3."""

from __future__ import annotations

import numpy as np
from numpy.typing import ArrayLike

from engine.tiles.arrays import real, whole
from engine.tiles.converters import Converter


def code_histogram(converter: Converter, codes: ArrayLike) -> tuple[np.ndarray, np.ndarray]:
    """Return all codes of a converter, and how often each occurs: both int64 ``(codes,)``.

    Examples
    --------
    >>> from engine.tiles.converters import IdealConverter
    >>> code_histogram(IdealConverter(bits=2), [[0, 1, 1]])
    (array([-1,  0,  1]), array([0, 1, 2]))
    """
    every = np.arange(converter.bottom, converter.top + 1)
    found = whole(codes, "codes", converter.top).ravel()
    return every, np.bincount(found - converter.bottom, minlength=len(every))


def linearity(
    converter: Converter, columns: int = 1, *, seed: int = 0, per_code: int = 64
) -> tuple[np.ndarray, np.ndarray]:
    """Return the differential and the integral nonlinearity of each column's converter.

    Measured as in a laboratory: a slow ramp, and how often each code occurs. Both curves are those of the inner codes
    ``bottom + 1 .. top - 1``, and free of gain and offset.

    Parameters
    ----------
    converter : Converter
        Its noise takes part in the measurement.
    columns : int
    seed : int
        Of the converters.
    per_code : int
        Samples for each step: a width is known to 1 / ``per_code`` LSB.

    Returns
    -------
    dnl : numpy.ndarray
        ``(columns, codes - 2)``, LSB: width of a code over the mean width, less 1; a missing code has -1.
    inl : numpy.ndarray
        ``(columns, codes - 2)``, LSB: its sum up to the middle of a code, less the line through both ends.

    References
    ----------
    IEEE Std 1241-2010, code histogram of a ramp, terminal-based line.

    Examples
    --------
    >>> from engine.tiles.converters import IdealConverter
    >>> dnl, inl = linearity(IdealConverter(bits=4))
    >>> float(abs(dnl).max()), float(abs(inl).max())
    (0.0, 0.0)
    """
    widths = _widths(converter, columns, seed, per_code)
    dnl = widths / widths.mean(1, keepdims=True) - 1
    inl = dnl.cumsum(1) - dnl / 2
    share = np.linspace(0, 1, inl.shape[1])
    return dnl, inl - inl[:, :1] * (1 - share) - inl[:, -1:] * share


def _widths(converter: Converter, columns: int, seed: int, per_code: int) -> np.ndarray:
    """Return the widths of the inner codes, ``(columns, codes - 2)``, in steps."""
    span = converter.top - converter.bottom
    margin = span // 4 + 4  # a converter with gain or offset has its first and last codes beyond its range
    ramp = converter.bottom - margin + (np.arange((span + 2 * margin) * per_code) + 0.5) / per_code
    codes = converter.codes(np.repeat(ramp[:, None] * converter.step, columns, 1), seed=seed)
    counts = [code_histogram(converter, codes[:, c])[1] for c in range(columns)]
    return np.stack(counts)[:, 1:-1] / per_code


def enob(converter: Converter, columns: int = 1, *, seed: int = 0, samples: int = 4096) -> np.ndarray:
    r"""Return the effective number of bits of each column's converter, ``(columns,)``.

    .. math:: (\mathrm{SINAD_{dB}} - 1.76) / 6.02

    of a sine over the range, less a sine fitted by least squares: its amplitude and offset do not count.

    Parameters
    ----------
    converter : Converter
    columns : int
    seed : int
        Of the converters.
    samples : int
        Over 127 periods.

    References
    ----------
    IEEE Std 1241-2010, sine-wave test.

    Examples
    --------
    >>> from engine.tiles.converters import IdealConverter
    >>> enob(IdealConverter(bits=8)).round(1)
    array([8.])
    """
    phase = 2 * np.pi * 127 * np.arange(samples) / samples
    middle = (converter.top + converter.bottom) / 2
    wave = middle + (converter.top - middle) * np.sin(phase)
    codes = converter.codes(np.repeat(wave[:, None] * converter.step, columns, 1), seed=seed)
    basis = np.stack([np.sin(phase), np.cos(phase), np.ones(samples)], -1)
    fitted = basis @ np.linalg.lstsq(basis, codes.astype(float), rcond=None)[0]
    sinad = 10 * np.log10(fitted.var(0) / ((codes - fitted) ** 2).mean(0))
    return (sinad - 1.76) / 6.02


def snr(converter: Converter, values: ArrayLike, *, seed: int = 0) -> np.ndarray:
    """Return mean square over mean square error of converted ``values`` ``(samples, columns)``: dB, ``(columns,)``."""
    v = real(values, "values", {"samples": None, "columns": None})
    error = converter.values_of(converter.codes(v, seed=seed)) - v
    return 10 * np.log10((v**2).mean(0) / (error**2).mean(0))
