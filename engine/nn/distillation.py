# SPDX-License-Identifier: Apache-2.0
"""Learning from a digital teacher."""

from __future__ import annotations

import torch
from torch.nn import functional

from engine.errors import ParameterError, say


def distillation_loss(
    student: torch.Tensor,
    teacher: torch.Tensor,
    labels: torch.Tensor | None,
    *,
    temperature: float = 4.0,
    share: float = 0.9,
) -> torch.Tensor:
    r"""Return the loss of a student that learns from labels and from a teacher's outputs.

    .. math:: L = (1 - a)\,CE(z_s, y) + a\,T^2\,KL(\mathrm{softmax}(z_t/T)\,\|\,\mathrm{softmax}(z_s/T))

    Parameters
    ----------
    student, teacher : torch.Tensor
        Outputs before softmax, ``(batch, classes)``; no gradient goes to the teacher.
    labels : torch.Tensor or None
        ``(batch,)`` classes; None where ``share`` is 1.
    temperature : float
        T, above 0.
    share : float
        a, 0 .. 1: 0 are labels only.

    Raises
    ------
    ParameterError
        A temperature or share outside its bounds, or no labels where they count.

    Notes
    -----
    Distilling the knowledge in a neural network (G. Hinton, O. Vinyals, J. Dean, arXiv:1503.02531), section 2. The
    defaults are those of replications of hardware-aware training.

    Examples
    --------
    >>> z = torch.tensor([[2.0, 0.0]])
    >>> distillation_loss(z, z, None, share=1.0).abs().item() < 1e-6
    True
    """
    if not temperature > 0:
        raise ParameterError(say("distillation_loss.temperature", temperature, "must be positive", "above 0", "Give 4."))
    if not 0 <= share <= 1 or (share < 1 and labels is None):
        raise ParameterError(
            say("distillation_loss.share", share, "is no share, or needs labels", "0 .. 1; 1 without labels", "Give 0.9.")
        )
    soft = functional.kl_div(
        (student / temperature).log_softmax(-1), (teacher.detach() / temperature).softmax(-1), reduction="batchmean"
    )
    loss = share * temperature**2 * soft
    return loss if share == 1 else loss + (1 - share) * functional.cross_entropy(student, labels)
