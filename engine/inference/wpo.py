# SPDX-License-Identifier: Apache-2.0
"""Weight-programming optimisation: conductance tables of pairs that keep weights best over time."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field

import numpy as np
import torch

from engine.errors import ParameterError, StateError, say
from engine.inference.converters import Converter
from engine.inference.converters.custom_pair import CustomPair
from engine.inference.converters.single_pair import SinglePair
from engine.inference.noise.power_law import PowerLawNoise
from engine.quantity import Model, Quantity

_SOURCE = "aihwkit 1.2.0, WeightProgrammingOptimizer"
_NODES = 24  # of the quadrature over one normal draw; its error is far below that of the statistics
_F_LOW, _F_SPAN = 0.1, 4.9  # significances that are searched
_REACH_LOW = 0.05  # smallest share of the pairs' range that the largest weight may take
_LEVELS = 241  # weights at which the expected error is taken


class WpoSettings(Model):
    """The search for a programming scheme.

    References
    ----------
    "Optimised weight programming for analogue memory-based deep neural networks", Nature Communications 13, 3765
    (2022).
    """

    # fmt: off
    pairs = Quantity(2, bounds=(1, 4), softbounds=(1, 3), integer=True, group="Scheme", source=_SOURCE,
                     doc="Pairs of devices of a weight.")
    bins = Quantity(6, bounds=(2, 32), softbounds=(3, 12), integer=True, group="Scheme", source=_SOURCE,
                    doc="Weights from zero to the largest at which conductances are searched; negative ones mirror "
                        "them.")
    margin = Quantity(0.125, bounds=(0, 1), softbounds=(0, 0.5), group="Search", source=_SOURCE,
                      doc="The search ends once the error is smaller than the baseline's by this share.")
    popsize = Quantity(15, bounds=(4, None), softbounds=(4, 100), integer=True, group="Search",
                       source="scipy, differential_evolution (the peer: 100, as its error is sampled)",
                       doc="Candidates of a generation for each unknown.")
    generations = Quantity(200, bounds=(1, None), softbounds=(5, 500), integer=True, group="Search", source=_SOURCE,
                           doc="Most generations of candidates.")
    # fmt: on


@dataclass
class WpoResult:
    """What a search found.

    Attributes
    ----------
    converter : CustomPair
    error, baseline : float
        Time-averaged normalised mean square error of it, and of the converter it was compared with.
    history : list of float
        Best error after each generation.
    evaluations : int
    """

    converter: CustomPair
    error: float
    baseline: float
    history: list[float] = field(default_factory=list)
    evaluations: int = 0

    @property
    def gain(self) -> float:
        """Share by which the error became smaller than the baseline's."""
        return 1 - self.error / self.baseline


def optimise(
    weights: torch.Tensor,
    noise: PowerLawNoise,
    settings: WpoSettings | None = None,
    *,
    times: Sequence[float] = (1.0, 3600.0, 86400.0),
    f_lst: Sequence[float] | None = None,
    baseline: Converter | None = None,
    g_min: float = 0.0,
    seed: int = 100,
    progress: Callable[[float], bool] | None = None,
) -> WpoResult:
    """Search for tables of conductances with the smallest error of the weights over time.

    Parameters
    ----------
    weights : torch.Tensor
        Whose distribution counts, any shape.
    noise : PowerLawNoise
        Programming, drift and read noise with normal draws: PCM and what derives from it.
    settings : WpoSettings, optional
    times : sequence of float
        s; the error is averaged over them.
    f_lst : sequence of float, optional
        Significances of the pairs; searched too if not given.
    baseline : Converter, optional
        What the result has to beat; one pair if not given.
    g_min : float
        Smallest conductance, uS.
    seed : int
        Of the search.
    progress : callable, optional
        Called after each generation with the best error; True ends the search.

    Returns
    -------
    WpoResult

    Raises
    ------
    ParameterError
        No weights, a noise model of another kind, significances that do not fit the pairs.

    Notes
    -----
    The error is `expected_error`, in closed form over the noise: smooth, and no sampling. `scipy` searches by
    differential evolution with a last polish. docs/physics/inference.md, section 6.
    """
    settings = settings or WpoSettings()
    if not isinstance(noise, PowerLawNoise):
        allowed = "a PowerLawNoise: pcm, tabulated, hermes_one, ..."
        raise ParameterError(say("wpo.noise", type(noise).__name__, "has no closed form here", allowed, "Take pcm."))
    if f_lst is not None and len(f_lst) != settings.pairs:
        allowed = f"{settings.pairs} numbers, one for each of WpoSettings.pairs"
        raise ParameterError(say("wpo.f_lst", list(f_lst), "does not fit the pairs", allowed, "Complete it."))
    levels, shares = distribution(weights)
    known = None if f_lst is None else list(f_lst)
    scheme = _Scheme(noise.g_max, g_min, int(settings.pairs), int(settings.bins), known)
    reference = expected_error(baseline or SinglePair(g_max=noise.g_max, g_min=g_min), noise, levels, shares, times)
    start = scheme.filled_in_order(f_lst or getattr(baseline, "f_lst", None))
    result = WpoResult(scheme.converter(start), math.inf, reference)

    def loss(x: np.ndarray) -> float:
        result.evaluations += 1
        return expected_error(scheme.converter(x), noise, levels, shares, times)

    def after_generation(x: np.ndarray, convergence: float = 0.0) -> bool:
        best = loss(x)
        result.history.append(best)
        stop = progress(best) if progress is not None else False
        return bool(stop) or best < (1 - settings.margin) * reference

    with _one_thread():
        found = _searched(loss, after_generation, start, settings, seed)
    result.converter, result.error = scheme.converter(found.x), float(found.fun)
    return result


@contextmanager
def _one_thread() -> Iterator[None]:
    """Arrays are small here: a second thread would only spin."""
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    try:
        yield
    finally:
        torch.set_num_threads(before)


def _searched(loss, after_generation, start: np.ndarray, settings: WpoSettings, seed: int):
    from scipy.optimize import differential_evolution

    return differential_evolution(
        loss, [(0.0, 1.0)] * len(start), strategy="best1bin", popsize=int(settings.popsize),
        maxiter=int(settings.generations), tol=0, atol=0, mutation=(0.1, 0.9), recombination=0.3, rng=seed,
        init="latinhypercube", polish=True, callback=after_generation, x0=start,
    )  # fmt: skip


def distribution(weights: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
    """Return levels ``(n,)`` between plus and minus the largest weight, and the share of the weights at each.

    Every weight counts at the two levels beside it by its distance, so the mean is kept.
    """
    w = weights.detach().double().flatten()
    if w.numel() == 0 or not w.any():
        raise ParameterError(
            say("wpo.weights", tuple(weights.shape), "have no size", "weights not all 0", "Give some.")
        )
    largest = w.abs().max()
    place = (w / largest + 1) / 2 * (_LEVELS - 1)
    left = place.floor().clamp(max=_LEVELS - 2)
    shares = torch.zeros(_LEVELS, dtype=torch.float64)
    shares.index_add_(0, left.long(), 1 - (place - left))
    shares.index_add_(0, left.long() + 1, place - left)
    return torch.linspace(-1, 1, _LEVELS, dtype=torch.float64) * largest, shares / len(w)


def expected_error(
    converter: Converter, noise: PowerLawNoise, levels: torch.Tensor, shares: torch.Tensor, times: Sequence[float]
) -> float:
    r"""Return the time-averaged normalised mean square error of compensated weights, expected over the noise.

    .. math:: \frac{1}{T} \sum_t \sum_w p_w \left\langle
              \left(10\,\frac{\alpha_t w(t) - w}{w_{max}}\right)^2 \right\rangle

    with the factor :math:`\alpha_t` of global compensation, the mean magnitude right after programming over that at t,
    magnitudes taken of the mean weight of each level.
    """
    g, scale = converter.to_conductances(levels[None])
    factors = converter.factors(scale)
    if factors is None:
        raise StateError("wpo: the converter has no sum of slices (allowed: converters of pairs). Take SinglePair.")
    f = torch.tensor(factors, dtype=torch.float64)
    statistics = DeviceMoments(noise, g[:, 0])
    total, start = 0.0, None
    for t in (0.0, *times):
        mean, variance = statistics.at(t)
        w_mean, w_variance = f @ mean, f**2 @ variance
        size = (shares * _mean_magnitude(w_mean, w_variance)).sum()
        if start is None:  # the factor refers to what was programmed, without read noise
            mean, variance = statistics.programmed()
            start = (shares * _mean_magnitude(f @ mean, f**2 @ variance)).sum()
            continue
        alpha = start / size
        error = (alpha * w_mean - levels) ** 2 + alpha**2 * w_variance
        total += 100 * (shares * error).sum().item() / levels.abs().max().item() ** 2
    return total / len(times)


def _mean_magnitude(mean: torch.Tensor, variance: torch.Tensor) -> torch.Tensor:
    """Return the mean magnitude of normal numbers."""
    sd = variance.clamp(min=1e-30).sqrt()
    z = mean / sd
    return sd * math.sqrt(2 / math.pi) * torch.exp(-(z**2) / 2) + mean * torch.erf(z / math.sqrt(2))


class DeviceMoments:
    """Mean and variance of single devices over programming, drift and read, by quadrature over two normal draws.

    Parameters
    ----------
    noise : PowerLawNoise
    target : torch.Tensor
        ``(...)`` uS, float64.
    """

    def __init__(self, noise: PowerLawNoise, target: torch.Tensor):
        nodes, weights = np.polynomial.hermite_e.hermegauss(_NODES)
        xi, share = torch.from_numpy(nodes), torch.from_numpy(weights / weights.sum())
        self.noise, self.share = noise, share
        sigma = noise.programming_sigma(target) * noise.prog_noise_scale
        self.held = (target[..., None] + sigma[..., None] * xi).clamp(min=0)  # (..., programming)
        mean, spread = noise.nu_mean(target), noise.nu_std(target)
        self.nu = (mean[..., None] + spread[..., None] * xi).abs() * noise.drift_scale  # (..., exponent)
        self.read = noise.read_share(self.held) * noise.read_noise_scale

    def programmed(self) -> tuple[torch.Tensor, torch.Tensor]:
        """Return mean and variance right after programming, uS and uS^2."""
        mean = self.held @ self.share
        return mean, self.held**2 @ self.share - mean**2

    def at(self, t: float) -> tuple[torch.Tensor, torch.Tensor]:
        """Return mean and variance of a read at time t (s); what the floor at zero takes of a read is left out."""
        decay = torch.exp(-self.nu * self.noise.drift_log(t))
        first, second = decay @ self.share, decay**2 @ self.share
        spread = 1 + (self.read * self.noise.read_growth(t)) ** 2
        mean = (self.held @ self.share) * first
        return mean, ((self.held**2 * spread) @ self.share) * second - mean**2


class _Scheme:
    """From numbers in [0, 1] to a converter: every point is a scheme that can be inverted."""

    def __init__(self, g_max: float, g_min: float, pairs: int, bins: int, f_lst: list[float] | None):
        self.g_max, self.g_min, self.pairs, self.bins, self.f_lst = g_max, g_min, pairs, bins, f_lst
        self.unknowns = bins * (2 * pairs - 1) + (pairs if f_lst is None else 0) + 1

    def converter(self, x: np.ndarray) -> CustomPair:
        """Return the converter of a point."""
        parts = np.split(np.asarray(x, float), [0 if self.f_lst else self.pairs])
        f = self.f_lst or list(_F_LOW + _F_SPAN * parts[0])
        rest = parts[1]
        span = self.g_max - self.g_min
        reach = (_REACH_LOW + (1 - _REACH_LOW) * rest[0]) * sum(f) * span
        place, share = (
            rest[1 : 1 + self.bins * self.pairs].reshape(self.bins, self.pairs),
            rest[1 + self.bins * self.pairs :],
        )
        share = np.concatenate([share.reshape(self.bins, self.pairs - 1), np.ones((self.bins, 1))], 1)
        wanted = np.linspace(0, reach, self.bins)
        half = np.array([self._devices(w, f, p, s) for w, p, s in zip(wanted, place, share, strict=True)])
        mirrored = half[:0:-1].reshape(-1, self.pairs, 2)[:, :, ::-1].reshape(-1, 2 * self.pairs)
        tables = np.clip(np.concatenate([mirrored, half]), self.g_min, self.g_max)
        return CustomPair.of(
            f, tables.T.tolist(), g_max=self.g_max, g_min=self.g_min, invertibility_test=False
        )  # fmt: skip

    def filled_in_order(self, f_lst: Sequence[float] | None) -> np.ndarray:
        """Return the point of the usual scheme: pairs filled one after another, partners at g_min."""
        f = list(f_lst) if f_lst is not None and len(f_lst) == self.pairs else [1.0] * self.pairs
        span = self.g_max - self.g_min
        levels = np.linspace(0, sum(f) * span, self.bins)
        shares = [self._share_of_first(w, f, k, span) for w in levels for k in range(self.pairs - 1)]
        head = [] if self.f_lst else [(f_k - _F_LOW) / _F_SPAN for f_k in f]
        return np.clip([*head, 1.0, *[0.0] * (self.bins * self.pairs), *shares], 0, 1)

    @staticmethod
    def _share_of_first(w: float, f: list[float], k: int, span: float) -> float:
        """Return the share that gives pair k as much of a difference w as it can hold."""
        rest = max(w - sum(f[:k]) * span, 0.0)
        own, after = f[k] * span, sum(f[k + 1 :]) * span
        low, high = max(rest - after, -own), min(rest + after, own)
        return (min(rest, own) - low) / (high - low) if high > low else 1.0

    def _devices(self, w: float, f: list[float], place: np.ndarray, share: np.ndarray) -> list[float]:
        """Return the conductances of all devices for a weighted difference w, uS."""
        span, found, rest = self.g_max - self.g_min, [], w
        for k, (f_k, x_g, x_d) in enumerate(zip(f, place, share, strict=True)):
            own, after = f_k * span, sum(f[k + 1 :]) * span
            low, high = max(rest - after, -own), min(rest + after, own)
            part = low + x_d * (high - low) if k + 1 < self.pairs else rest
            difference = part / f_k
            bottom, top = self.g_min + max(difference, 0.0), self.g_max + min(difference, 0.0)
            positive = bottom + x_g * (top - bottom)
            found += [positive, positive - difference]
            rest -= part
        return found
