"""Mixing with one random weight on the way forward and another on the way back, as shake-shake and ShakeDrop do."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor


class _Shake(torch.autograd.Function):
    """forward: x * alpha; backward: gradient * beta. Both (B, 1, 1, 1)."""

    @staticmethod
    def forward(ctx: Any, x: Tensor, alpha: Tensor, beta: Tensor) -> Tensor:
        ctx.save_for_backward(beta)
        return x * alpha

    @staticmethod
    def backward(ctx: Any, *gradients: Tensor) -> tuple[Tensor, None, None]:
        (beta,) = ctx.saved_tensors
        return gradients[0] * beta, None, None


def shake(x: Tensor, alpha: Tensor, beta: Tensor) -> Tensor:
    """x (B, C, H, W) times alpha, its gradient times beta; alpha and beta (B, 1, 1, 1)."""
    out: Tensor = _Shake.apply(x, alpha.to(x.dtype), beta.to(x.dtype))  # type: ignore[no-untyped-call]  # torch's own
    return out


def uniform_each(x: Tensor, low: float = 0.0, high: float = 1.0) -> Tensor:
    """(B, 1, 1, 1): one number for each image, from torch's global generator of the device."""
    return torch.rand(len(x), 1, 1, 1, device=x.device) * (high - low) + low
