# SPDX-License-Identifier: Apache-2.0
"""Parameters of the converters and noise around an array, one set each for forward and backward."""

from __future__ import annotations

import torch

from engine import ops
from engine.errors import BuildError, ParameterError, say
from engine.quantity import Choice, Flag, Model, Quantity

_SOURCE = "aihwkit 1.2.0, default of IOParameters"
_OURS = "assumed (off: our addition)"
_ON = (0, None)

# The position of a word is the number that the kernels know it by.
_WORDS = {
    "mv_type": ("one_pass", "pos_neg_separate", "pos_neg_separate_digital_sum"),
    "noise_management": ("none", "abs_max", "max", "constant", "average_abs_max", "abs_max_np_sum"),
    "bound_management": ("none", "iterative", "iterative_worst_case"),
    "w_noise_type": ("additive_constant", "pcm_read", "power"),
}


class IOParameters(Model):
    r"""Converters and noise of the analog matrix-vector product.

    .. math:: y = s^{-1} f_{adc}(A((W + \sigma_w\xi) (f_{dac}(s x) + \sigma_{inp}\xi)) + \sigma_{out}\xi)

    Weight read noise enters output-referred, for additive noise as :math:`\sigma_w \lVert z \rVert \xi_i`, which is
    exact for noise that is independent from weight to weight. A is the chain of what wires, columns and output stages
    do to a sum. See docs/physics/tile.md.
    """

    # fmt: off
    is_perfect = Flag(False, group="General", source=_SOURCE, doc="Exact product, none of the effects below.")
    mv_type = Choice("one_pass", _WORDS["mv_type"], group="General", source=_SOURCE,
                     doc="All inputs at once, or negative and positive ones in phases of their own, summed before or "
                         "after the ADC.")
    noise_management = Choice("abs_max", _WORDS["noise_management"], group="Input", source=_SOURCE,
                              doc="What each input vector is divided by before the DAC: its largest absolute, its "
                                  "largest value, a constant, a running mean, or a guess of the largest sum.")
    nm_thres = Quantity(0.0, bounds=_ON, softbounds=(0, 10), unit="x", group="Input", source=_SOURCE,
                        doc="Largest divisor of the inputs (the divisor itself for 'constant'); 0 sets no limit.")
    nm_decay = Quantity(1e-3, bounds=(0, 1), inclusive_bounds=(False, True), softbounds=(1e-4, 1), log=True,
                        group="Input", source=_SOURCE, doc="Share of a new batch in the running mean of the inputs.")
    nm_assumed_wmax = Quantity(0.6, bounds=(0, None), inclusive_bounds=(False, True), softbounds=(0.1, 1), unit="w",
                               group="Input", source=_SOURCE,
                               doc="Weight that the guess of the largest output assumes everywhere.")
    inp_bound = Quantity(1.0, bounds=_ON, softbounds=(0.1, 2), unit="in", group="Input", source=_SOURCE,
                         doc="The DAC clips inputs to plus or minus this; 0 means no bound and no quantisation.")
    inp_res = Quantity(1 / 126, bounds=_ON, softbounds=(0, 0.25), group="Input", source=_SOURCE,
                       doc="DAC step as a fraction of the full range, or number of steps if above 1; 0 is off.")
    inp_sto_round = Flag(False, group="Input", source=_SOURCE,
                         doc="The DAC rounds up or down by chance, right on average.")
    inp_noise = Quantity(0.0, bounds=_ON, softbounds=(0, 0.2), unit="in", group="Input", source=_SOURCE,
                         doc="Standard deviation of the noise added to each input after the DAC.")
    inp_noise_before_clip = Flag(False, group="Input", source=_OURS, doc="The bound limits inputs with their noise.")
    inp_asymmetry = Quantity(0.0, bounds=(-1, 1), softbounds=(-0.2, 0.2), group="Input", source=_SOURCE,
                             doc="Negative inputs arrive smaller by this share.")
    bound_management = Choice("iterative", _WORDS["bound_management"], group="Output", source=_SOURCE,
                              doc="Repeat a vector's product with inputs half as large while an output lies beyond "
                                  "out_bound. In the forward product only.")
    max_bm_factor = Quantity(1000, bounds=(1, None), softbounds=(1, 1000), log=True, group="Output", source=_SOURCE,
                             doc="Inputs are not made smaller once they are smaller by more than this factor.")
    max_bm_res = Quantity(0.25, bounds=(0, None), inclusive_bounds=(False, True), softbounds=(0.01, 1), group="Output",
                          source=_SOURCE, doc="Nor once the largest input has less than 1 / this many codes left.")
    bm_test_negative_bound = Flag(True, group="Output", source=_SOURCE,
                                  doc="Negative outputs beyond the bound count too (off before a ReLU).")
    out_bound = Quantity(12.0, bounds=_ON, softbounds=(1, 40), unit="out", group="Output", source=_SOURCE,
                         doc="The ADC clips outputs to plus or minus this; 0 means no bound and no quantisation.")
    out_res = Quantity(1 / 510, bounds=_ON, softbounds=(0, 0.25), group="Output", source=_SOURCE,
                       doc="ADC step as a fraction of the full range, or number of steps if above 1; 0 is off.")
    out_sto_round = Flag(False, group="Output", source=_SOURCE,
                         doc="The ADC rounds up or down by chance, right on average.")
    out_noise = Quantity(0.06, bounds=_ON, softbounds=(0, 0.5), unit="out", group="Output", source=_SOURCE,
                         doc="Standard deviation of the noise added to each output before the ADC.")
    out_noise_std = Quantity(0.0, bounds=_ON, softbounds=(0, 1), group="Output", source=_SOURCE,
                             doc="Relative spread of out_noise from output to output, drawn once.")
    out_asymmetry = Quantity(0.0, bounds=(0, 1), softbounds=(0, 0.2), group="Output", source=_SOURCE,
                             doc="Negative outputs reach the ADC smaller by this share.")
    out_scale = Quantity(1.0, softbounds=(0.1, 10), group="Output", source=_SOURCE,
                         doc="Digital factor on the output, after the ADC.")
    out_nonlinearity = Quantity(0.0, bounds=_ON, softbounds=(0, 2), group="Output stage", source=_SOURCE,
                                doc="How much an output at out_bound is bent: u / (1 + this abs(u) / out_bound).")
    out_nonlinearity_std = Quantity(0.0, bounds=_ON, softbounds=(0, 1), group="Output stage", source=_SOURCE,
                                    doc="Relative spread of out_nonlinearity from output to output, drawn once.")
    slope_calibration = Quantity(0.0, bounds=(0, 1), softbounds=(0, 1), group="Output stage", source=_SOURCE,
                                 doc="Share of out_bound at which a factor makes up for the loss of nonlinear outputs.")
    r_series = Quantity(0.0, bounds=_ON, softbounds=(0, 0.1), unit="1/out", group="Columns", source=_SOURCE,
                        doc="Series resistance of a column times the largest conductance.")
    r_series_max_total = Quantity(0.0, bounds=_ON, softbounds=(0, 1), group="Columns", source=_SOURCE,
                                  doc="Largest relative loss counted for it; 0 sets no limit.")
    v_offset_std = Quantity(0.0, bounds=_ON, softbounds=(0, 0.1), group="Columns", source=_SOURCE,
                            doc="Relative spread of the read voltage from output to output, drawn once.")
    v_offset_w_min = Quantity(-1.0, bounds=(None, 0), softbounds=(-2, 0), unit="w", group="Columns", source=_SOURCE,
                              doc="Minus the reference column's conductance, in weight units; 0 means there is none.")
    ir_drop = Quantity(0.0, bounds=_ON, softbounds=(0, 2), group="Wires", source=_SOURCE,
                       doc="Factor on the simple model of the voltage lost along the wires; 1 is physical, 0 off.")
    ir_drop_g_ratio = Quantity(1 / (0.35 * 5e-6), bounds=(0, None), inclusive_bounds=(False, True),
                               softbounds=(1e3, 1e7), log=True, group="Wires", source=_SOURCE + ": 0.35 ohm, 5 uS",
                               doc="Conductance of a wire between two devices over that of the largest device.")
    w_noise = Quantity(0.0, bounds=_ON, softbounds=(0, 0.2), unit="w", group="Weights", source=_SOURCE,
                       doc="Standard deviation of the read noise of each weight, fresh in every product.")
    w_noise_type = Choice("additive_constant", _WORDS["w_noise_type"], group="Weights", source=_SOURCE,
                          doc="The same for all weights, as the root of the weight, or as a power of it.")
    w_noise_power = Quantity(1.0, bounds=_ON, softbounds=(0, 1), group="Weights", source=_OURS,
                             doc="Exponent of abs(w) for the noise type 'power'.")
    w_read_asymmetry_dtod = Quantity(0.0, bounds=_ON, softbounds=(0, 0.2), group="Weights", source=_SOURCE,
                                     doc="Spread of the factor by which devices read differently in negative phases.")
    # fmt: on

    def check(self) -> None:
        """Raise `ParameterError` where input scaling meets an input bound other than 1."""
        super().check()
        self.check_single_precision()
        if self.noise_management != "none" and self.inp_bound not in (0.0, 1.0) and not self.is_perfect:
            raise ParameterError(
                say(
                    "IOParameters.inp_bound",
                    self.inp_bound,
                    "must be 1 while inputs are scaled to their maximum",
                    "1, or 0 for none",
                    "Set it to 1, or noise_management to 'none'.",
                    unit="in",
                )
            )

    @property
    def input_codes(self) -> float:
        """Codes of the DAC from zero to its bound; infinity where it does not round."""
        if self.is_perfect or self.inp_res == 0 or self.inp_bound == 0:
            return float("inf")
        return (self.inp_res if self.inp_res > 1 else 1 / self.inp_res) / 2

    def moved_average(self, average: float, v: torch.Tensor) -> float:
        """Return the running mean of the largest inputs after one more batch; it starts at its first positive value."""
        new = v.abs().amax(1).cpu().double().mean().item()  # one order of summation wherever v lies
        return new if average <= 0 else (1 - self.nm_decay) * average + self.nm_decay * new

    def pack(self, *, forward: bool = True) -> list[float]:
        """Return the kernel's parameters in compiled order; bounds are managed in the ``forward`` product only."""
        values = self.values() | {name: words.index(getattr(self, name)) for name, words in _WORDS.items()}
        if not forward:
            values["bound_management"] = 0
        return [float(values[n]) for n in ops.periphery_schema()]


if set(ops.periphery_schema()) != set(IOParameters.fields()):
    raise BuildError(
        f"IOParameters: parameters differ from engine/csrc/core/periphery.h "
        f"({sorted(set(ops.periphery_schema()) ^ set(IOParameters.fields()))}). Make them equal and install again."
    )
