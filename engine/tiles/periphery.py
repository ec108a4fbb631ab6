# SPDX-License-Identifier: Apache-2.0
"""Parameters of the converters and noise around an array, one set each for forward and backward."""

from __future__ import annotations

from engine import ops
from engine.errors import BuildError, ParameterError, say
from engine.quantity import Choice, Flag, Model, Quantity

_SOURCE = "aihwkit 1.2.0, default of IOParameters"
_NOISE_MANAGEMENT = {"none": 0.0, "abs_max": 1.0}


class IOParameters(Model):
    r"""Converters and noise of the analog matrix-vector product.

    .. math:: y = s^{-1} f_{adc}((W + \sigma_w\xi) (f_{dac}(s x) + \sigma_{inp}\xi) + \sigma_{out}\xi)

    Weight read noise enters output-referred, :math:`\sigma_w \lVert z \rVert \xi_i`, which is exact for noise that
    is independent from weight to weight. See docs/physics/tile.md.
    """

    # fmt: off
    is_perfect = Flag(False, group="General", source=_SOURCE, doc="Exact product, none of the effects below.")
    noise_management = Choice("abs_max", list(_NOISE_MANAGEMENT), group="Input", source=_SOURCE,
                              doc="Scale each input vector by its largest absolute value (abs_max), or not (none).")
    inp_bound = Quantity(1.0, bounds=(0, None), softbounds=(0.1, 2), unit="in", group="Input", source=_SOURCE,
                         doc="The DAC clips inputs to plus or minus this; 0 means no bound and no quantisation.")
    inp_res = Quantity(1 / 126, bounds=(0, None), softbounds=(0, 0.25), group="Input", source=_SOURCE,
                       doc="DAC step as a fraction of the full range, or number of steps if above 1; 0 is off.")
    inp_noise = Quantity(0.0, bounds=(0, None), softbounds=(0, 0.2), unit="in", group="Input", source=_SOURCE,
                         doc="Standard deviation of the noise added to each input after the DAC.")
    out_bound = Quantity(12.0, bounds=(0, None), softbounds=(1, 40), unit="out", group="Output", source=_SOURCE,
                         doc="The ADC clips outputs to plus or minus this; 0 means no bound and no quantisation.")
    out_res = Quantity(1 / 510, bounds=(0, None), softbounds=(0, 0.25), group="Output", source=_SOURCE,
                       doc="ADC step as a fraction of the full range, or number of steps if above 1; 0 is off.")
    out_noise = Quantity(0.06, bounds=(0, None), softbounds=(0, 0.5), unit="out", group="Output", source=_SOURCE,
                         doc="Standard deviation of the noise added to each output before the ADC.")
    out_scale = Quantity(1.0, softbounds=(0.1, 10), group="Output", source=_SOURCE,
                         doc="Digital factor on the output, after the ADC.")
    w_noise = Quantity(0.0, bounds=(0, None), softbounds=(0, 0.2), unit="w", group="Weights", source=_SOURCE,
                       doc="Standard deviation of the read noise of each weight, fresh in every product.")
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

    def pack(self) -> list[float]:
        """Return the kernel's parameters in compiled order."""
        values = self.values() | {"noise_management": _NOISE_MANAGEMENT[self.noise_management]}
        return [float(values[n]) for n in ops.periphery_schema()]


if set(ops.periphery_schema()) != set(IOParameters.fields()):
    raise BuildError(
        f"IOParameters: parameters differ from engine/csrc/core/periphery.h "
        f"({sorted(set(ops.periphery_schema()) ^ set(IOParameters.fields()))}). Make them equal and install again."
    )
