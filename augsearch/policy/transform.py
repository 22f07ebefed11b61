"""A policy as a transform of single images, as torchvision's data sets and DataLoader take them.

transforms.Compose([Transform(load_policy("policy.json"), seed=0), transforms.ToTensor()])
"""

from __future__ import annotations

from dataclasses import replace
from typing import TypeVar

import numpy as np
import torch
from PIL import Image
from torch import Tensor
from torch.utils.data import get_worker_info

from augsearch.errors import PolicyError
from augsearch.policy import Policy
from augsearch.policy.augment import Augment, Plan
from augsearch.policy.exchange import standalone
from augsearch.policy.ops import OPS, apply, find

AnyImage = TypeVar("AnyImage", Image.Image, Tensor)


class Transform:
    """Applies a policy to one image after the other; every image draws its own sub-policy.

    Each operation gives the same pixels as in a batch. Decisions follow from the seed and the count of images so far; in
    a DataLoader's worker from that worker's seed too, so that workers and epochs differ, and `torch.manual_seed` makes
    them the same again. For sub-policies that whole mini-batches share, apply `augsearch.Augment` to batches instead.

    Args:
        policy: None changes nothing.

    Raises:
        PolicyError: an operation mixes in other images, which a transform of one image does not see.
    """

    def __init__(self, policy: Policy | None, *, seed: int = 0) -> None:
        for operation in (o for sub_policy in policy.sub_policies for o in sub_policy.operations) if policy else ():
            if find(operation.name).paired:
                raise PolicyError(f"{operation.name}: mixes in other images; apply augsearch.Augment to batches instead")
        self.policy = replace(policy, draw="image") if policy and policy.draw == "batch" else policy
        self.seed = seed
        self._augment: Augment | None = None
        self._count = 0

    def __call__(self, image: AnyImage) -> AnyImage:
        """An RGB or grey Pillow image, or (C, H, W) uint8, augmented, of the same kind.

        Raises:
            PolicyError: it is something else.
        """
        if isinstance(image, Image.Image):
            if image.mode not in ("RGB", "L"):
                raise PolicyError(f"an image of mode {image.mode!r}; must be RGB or L: image.convert('RGB') makes it so")
            return self._augmented(image)
        if not isinstance(image, Tensor) or image.dtype != torch.uint8 or image.ndim != 3:
            found = f"{tuple(image.shape)} {image.dtype}" if isinstance(image, Tensor) else type(image).__name__
            raise PolicyError(f"{found}; must be a Pillow image or (C, H, W) uint8: put the transform before ToTensor")
        if len(image) not in (1, 3):
            return self._augmented(image)
        return _tensor(self._augmented(_picture(image))).to(image.device).as_subclass(type(image))

    def _augmented(self, image: AnyImage) -> AnyImage:
        """What is decided for the next image, done to it: by Pillow where it can be, which is faster on one image."""
        if self.policy is None:
            return image
        plan = self._next_plan(self.policy)
        dialect = self.policy.dialect
        for k in np.flatnonzero(plan.operation[0] >= 0):
            name, magnitude, noise = plan.names[plan.operation[0, k]], plan.magnitude[:, k], plan.noise[:, k]
            if isinstance(image, Tensor):
                image = apply(image[None].as_subclass(Tensor), name, magnitude, dialect=dialect, noise=noise)[0].as_subclass(
                    type(image)
                )
            elif name in OPS:
                image = standalone.perform(image, name, float(magnitude[0]), dialect, *noise[0])
            else:
                image = _picture(apply(_tensor(image)[None], name, magnitude, dialect=dialect, noise=noise)[0])
        return image

    def _next_plan(self, policy: Policy) -> Plan:
        worker = get_worker_info()
        seed = self.seed if worker is None else (self.seed + worker.seed) % 2**63
        if self._augment is None or self._augment.seed != seed:
            self._augment, self._count = Augment(policy, seed=seed), 0
        self._count += 1
        return self._augment.planned(policy, 1, 0, self._count - 1)


def _picture(image: Tensor) -> Image.Image:
    """(1 or 3, H, W) uint8 -> a grey or RGB picture of the same pixels."""
    pixels = image.cpu().numpy()
    return Image.fromarray(pixels[0] if len(pixels) == 1 else np.ascontiguousarray(pixels.transpose(1, 2, 0)))


def _tensor(picture: Image.Image) -> Tensor:
    """The reverse of `_picture`."""
    pixels = np.array(picture)
    return torch.from_numpy(pixels[None] if pixels.ndim == 2 else np.ascontiguousarray(pixels.transpose(2, 0, 1)))
