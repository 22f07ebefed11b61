"""Operations as a user would write them: what test_own_operations.py names by import path."""

import torch
from torch import Tensor

from augsearch.policy.ops import Call, Floats, Op


def darken(images: Tensor, magnitude: Tensor) -> Tensor:
    """A plain function: pixels times 1 - magnitude."""
    return (images.double() * (1 - magnitude)[:, None, None, None]).to(torch.uint8)


def _shift(images: Tensor, magnitude: Floats, call: Call) -> Tensor:
    up = torch.from_numpy(magnitude > 0).to(images.device).view(-1, 1, 1, 1)
    return torch.where(up, images.roll(1, 2), images.roll(-1, 2))


Shift = Op("Shift", _shift, magnitude=True, signed=("tuun",))


def shrink(images: Tensor, magnitude: Tensor) -> Tensor:
    return images[..., :-1]


nothing = 3
