# SPDX-License-Identifier: Apache-2.0
"""Devices of many chips: draws and reads by the GPU's kernels have the bits of the CPU's."""

import pytest
import torch

from engine import chip_ops


def drawn(where: str) -> list[torch.Tensor]:
    device, generator = torch.device(where), torch.Generator().manual_seed(1)
    mean, spread = (torch.rand(3, 70, generator=generator).to(device) for _ in range(2))
    plain = [chip_ops.device_draws([5, 6], 6, 70, form, device) for form in ("normal", "uniform")]
    shaped = [chip_ops.device_draws([5, 6], 3, 70, f, device, mean, spread) for f in ("plain", "floored", "folded")]
    return [a.cpu() for a in plain + shaped]


def read(where: str) -> list[torch.Tensor]:
    generator = torch.Generator().manual_seed(2)
    arrays = [torch.rand(2, 6, 7, 10, generator=generator).to(where) for _ in range(3)]
    noisy = chip_ops.drifted_read(*arrays, 2.0, 5.0, [5, 6])
    return [a.cpu() for a in (noisy, chip_ops.drifted_read(*arrays, 2.0, 5.0, None))]


@pytest.mark.parametrize("make", [drawn, read])
def test_devices_of_chips_on_a_gpu_have_the_bits_of_the_cpu(make, place):
    ours = make("cpu")
    with place() as where:
        theirs = make(where)
    assert all(torch.equal(a, b) for a, b in zip(ours, theirs, strict=True))


def test_weights_of_slices_on_a_gpu_are_those_of_the_cpu(place):
    """Two pairs; the order of the sum may be another: two units in the last place of the largest term."""
    arrays = [torch.rand(2, 4, 7, 10, generator=torch.Generator().manual_seed(3)) for _ in range(3)]
    factors = [1.0, -1.0, 3.0, -3.0]
    ours = chip_ops.drifted_read(*arrays, 2.0, 5.0, [5, 6], factors)
    with place() as where:
        theirs = chip_ops.drifted_read(*(a.to(where) for a in arrays), 2.0, 5.0, [5, 6], factors).cpu()
    assert (ours - theirs).abs().max() <= 2e-6 * ours.abs().max()
