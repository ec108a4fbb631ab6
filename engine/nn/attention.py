# SPDX-License-Identifier: Apache-2.0
"""Multi-head attention whose projections are on analog tiles."""

from __future__ import annotations

import math

import torch
from torch.nn import functional

from engine.errors import ParameterError, ShapeError, say
from engine.nn.linear import AnalogLinear
from engine.rng import derive_seed
from engine.tiles import TileConfig


class AnalogMultiheadAttention(torch.nn.Module):
    """Attention with analog projections ``q_proj``, ``k_proj``, ``v_proj``, ``out_proj``; scores are digital.

    Parameters
    ----------
    embed_dim, num_heads : int
        Features, and heads that share them.
    dropout : float
        Probability with which attention weights are zeroed in training.
    bias : bool
        All projections have a bias.
    kdim, vdim : int, optional
        Features of key and value; ``embed_dim`` if not given.
    batch_first : bool
        Sequences are ``(batch, time, features)`` instead of ``(time, batch, features)``.
    config : TileConfig
    seed : int
        Fixes every draw of the tiles and the initial weights.

    Notes
    -----
    Arguments and results of the call are those of ``torch.nn.MultiheadAttention``; ``add_bias_kv`` and
    ``add_zero_attn`` do not exist. The vectors of a sample go to the tiles step by step, samples in order.

    Examples
    --------
    >>> layer = AnalogMultiheadAttention(8, 2, batch_first=True, config=TileConfig("idealized_symmetric"))
    >>> x = torch.zeros(3, 5, 8)
    >>> y, weights = layer(x, x, x)
    >>> y.shape, weights.shape
    (torch.Size([3, 5, 8]), torch.Size([3, 5, 5]))
    """

    in_proj_bias = None  # torch's encoder layers look for it: without, they call this module as it stands
    _qkv_same_embed_dim = False

    def __init__(
        self,
        embed_dim: int,
        num_heads: int,
        dropout: float = 0.0,
        bias: bool = True,
        kdim: int | None = None,
        vdim: int | None = None,
        batch_first: bool = False,
        *,
        config: TileConfig,
        seed: int = 0,
    ):
        super().__init__()
        if num_heads < 1 or embed_dim % num_heads:
            field, allowed = "AnalogMultiheadAttention.num_heads", f"a divisor of embed_dim = {embed_dim}"
            raise ParameterError(say(field, num_heads, "does not divide the features", allowed, "Change either."))
        self.embed_dim, self.num_heads, self.dropout, self.batch_first = embed_dim, num_heads, dropout, batch_first
        self.kdim, self.vdim = kdim or embed_dim, vdim or embed_dim
        widths = {"q_proj": embed_dim, "k_proj": self.kdim, "v_proj": self.vdim, "out_proj": embed_dim}
        for name, width in widths.items():
            layer = AnalogLinear(width, embed_dim, bias, config=config, seed=derive_seed(seed, name))
            self.add_module(name, layer)

    def forward(
        self,
        query: torch.Tensor,
        key: torch.Tensor,
        value: torch.Tensor,
        key_padding_mask: torch.Tensor | None = None,
        need_weights: bool = True,
        attn_mask: torch.Tensor | None = None,
        average_attn_weights: bool = True,
        is_causal: bool = False,
    ) -> tuple[torch.Tensor, torch.Tensor | None]:
        """Return the attended values, and the attention weights if they are wanted.

        Parameters
        ----------
        query, key, value : torch.Tensor
            ``(time, batch, features)``, with ``batch_first`` ``(batch, time, features)``, or ``(time, features)``.
        key_padding_mask : torch.Tensor, optional
            ``(batch, source)``: True, or a number added to the scores, where a key is to be ignored.
        need_weights, average_attn_weights : bool
            Return the weights ``(batch, target, source)``, or those of each head ``(batch, heads, target, source)``.
        attn_mask : torch.Tensor, optional
            ``(target, source)`` or ``(batch * heads, target, source)``: True, or a number added to the scores.
        is_causal : bool
            Says that ``attn_mask`` is the causal one, which has to be given.
        """
        if is_causal and attn_mask is None:
            raise ParameterError(
                "AnalogMultiheadAttention.is_causal = True: needs the mask itself (allowed: with attn_mask). "
                "Give torch.nn.Transformer.generate_square_subsequent_mask(time)."
            )
        if query.dim() == 2:
            return self._without_batch(
                query, key, value, key_padding_mask, need_weights, attn_mask, average_attn_weights
            )
        if not self.batch_first:
            query, key, value = (v.transpose(0, 1) for v in (query, key, value))
        self._check(query, key, value)
        q, k, v = (self._heads(p) for p in (self.q_proj(query), self.k_proj(key), self.v_proj(value)))
        scores = q @ k.transpose(2, 3) / math.sqrt(q.shape[3])
        for mask in self._masks(attn_mask, key_padding_mask, scores):
            scores = scores + mask
        weights = functional.dropout(scores.softmax(3), self.dropout, self.training)
        y = self.out_proj((weights @ v).transpose(1, 2).flatten(2))
        shown = (weights.mean(1) if average_attn_weights else weights) if need_weights else None
        return (y if self.batch_first else y.transpose(0, 1)), shown

    def _without_batch(self, query, key, value, padding, need_weights, mask, average):
        axis = 0 if self.batch_first else 1
        lifted = (v.unsqueeze(axis) for v in (query, key, value))
        padding = None if padding is None else padding[None]
        y, weights = self.forward(*lifted, padding, need_weights, mask, average)
        return y.squeeze(axis), None if weights is None else weights[0]

    def _check(self, query: torch.Tensor, key: torch.Tensor, value: torch.Tensor) -> None:
        widths = {"query": (query, self.embed_dim), "key": (key, self.kdim), "value": (value, self.vdim)}
        for name, (given, width) in widths.items():
            if given.dim() != 3 or given.shape[0] != query.shape[0] or given.shape[2] != width:
                raise ShapeError(
                    f"AnalogMultiheadAttention, {name}: got (batch, time, features) = {tuple(given.shape)}, expected "
                    f"(batch={query.shape[0]}, time=any, features={width}). Check the axes' order."
                )

    def _heads(self, projected: torch.Tensor) -> torch.Tensor:
        """Return ``(batch, heads, time, features of one head)``."""
        return projected.unflatten(2, (self.num_heads, -1)).transpose(1, 2)

    def _masks(self, attn: torch.Tensor | None, padding: torch.Tensor | None, scores: torch.Tensor):
        """Yield what is added to the scores ``(batch, heads, target, source)``."""
        batch, heads, target, source = scores.shape
        if attn is not None:
            shape = (target, source) if attn.dim() == 2 else (batch * heads, target, source)
            _check_mask("attn_mask", attn, shape)
            yield _added(attn if attn.dim() == 2 else attn.reshape(scores.shape), scores)
        if padding is not None:
            _check_mask("key_padding_mask", padding, (batch, source))
            yield _added(padding, scores)[:, None, None]


def _check_mask(name: str, mask: torch.Tensor, shape: tuple[int, ...]) -> None:
    if tuple(mask.shape) != shape:
        raise ShapeError(
            f"AnalogMultiheadAttention, {name}: got shape {tuple(mask.shape)}, expected {shape}. Check the axes' order."
        )


def _added(mask: torch.Tensor, scores: torch.Tensor) -> torch.Tensor:
    if mask.dtype != torch.bool:
        return mask.to(scores.dtype)
    return torch.zeros_like(mask, dtype=scores.dtype).masked_fill(mask, -math.inf)
