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

from augsearch.augment import Augment
from augsearch.errors import PolicyError
from augsearch.ops import find
from augsearch.policy import Policy

AnyImage = TypeVar("AnyImage", Image.Image, Tensor)


class Transform:
    """Applies a policy to one image after the other; every image draws its own sub-policy.

    Decisions follow from the seed and the count of images so far; in a DataLoader's worker from that worker's seed
    too, so that workers and epochs differ, and `torch.manual_seed` makes them the same again. For speed, and for
    sub-policies that whole mini-batches share, apply `augsearch.Augment` to batches instead.

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

    def __call__(self, image: AnyImage) -> AnyImage:
        """An RGB or grey Pillow image, or (C, H, W) uint8, augmented, of the same kind.

        Raises:
            PolicyError: it is something else.
        """
        if isinstance(image, Image.Image):
            if image.mode not in ("RGB", "L"):
                raise PolicyError(f"an image of mode {image.mode!r}; must be RGB or L: image.convert('RGB') makes it so")
            pixels = np.array(image)
            rows = torch.from_numpy(pixels[None] if pixels.ndim == 2 else np.ascontiguousarray(pixels.transpose(2, 0, 1)))
            out = self._augmented(rows).numpy()
            return Image.fromarray(out[0] if pixels.ndim == 2 else np.ascontiguousarray(out.transpose(1, 2, 0)))
        if not isinstance(image, Tensor) or image.dtype != torch.uint8 or image.ndim != 3:
            found = f"{tuple(image.shape)} {image.dtype}" if isinstance(image, Tensor) else type(image).__name__
            raise PolicyError(f"{found}; must be a Pillow image or (C, H, W) uint8: put the transform before ToTensor")
        return self._augmented(image).as_subclass(type(image))

    def _augmented(self, image: Tensor) -> Tensor:
        """(C, H, W) uint8 -> the same."""
        if self.policy is None:
            return image
        worker = get_worker_info()
        seed = self.seed if worker is None else (self.seed + worker.seed) % 2**63
        if self._augment is None or self._augment.seed != seed:
            self._augment = Augment(self.policy, seed=seed)
        return self._augment(image[None].as_subclass(Tensor))[0]
