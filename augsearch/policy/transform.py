"""A policy, schedule or chain as a transform of single images, as torchvision's data sets and DataLoader take them.

transforms.Compose([Transform(load_policy("policy.json"), seed=0), transforms.ToTensor()])
"""

from __future__ import annotations

from dataclasses import replace
from typing import TypeVar

import numpy as np
import torch
from PIL import Image
from torch import Tensor

from augsearch.errors import PolicyError
from augsearch.policy import Augmentation, Chain, Policy, Schedule, Segment
from augsearch.policy.augment import Augment, Plan
from augsearch.policy.exchange import standalone
from augsearch.policy.ops import OPS, Dialect, apply, find
from augsearch.policy.randomness import Positions, worker_seed

AnyImage = TypeVar("AnyImage", Image.Image, Tensor)


class Transform:
    """A policy, schedule or chain applied to one image after the other; every image draws its own sub-policy.

    Each operation gives the same pixels as in a batch. Decisions follow from the seed, the epoch and the count of images
    in it; in a DataLoader's worker from that worker's seed too, so that workers and epochs differ, and
    `torch.manual_seed` makes them the same again. For sub-policies that whole mini-batches share, apply
    `augsearch.Augment` to batches instead.

    A schedule needs to know the epoch, counted from 0. Set it before each pass over the loader:

        for epoch in range(epochs):
            transform.epoch = epoch
            for images, labels in loader:

    Workers see it too, persistent ones as well.

    Args:
        policy: None changes nothing.

    Raises:
        PolicyError: an operation mixes in other images, which a transform of one image does not see.
    """

    def __init__(self, policy: Augmentation | None, *, seed: int = 0) -> None:
        parts = () if policy is None else policy.parts if isinstance(policy, Chain) else (policy,)
        self.policy = policy
        self.seed = seed
        self._parts = tuple(_for_single_images(part) for part in parts)
        # In shared memory, as persistent workers would not see a plain number change.
        self._epoch = torch.zeros((), dtype=torch.int64).share_memory_()  # type: ignore[no-untyped-call]  # untyped in torch
        self._positions = Positions()
        self._augment = Augment(self._parts, seed=seed)

    @property
    def epoch(self) -> int:
        """The epoch of the next images, from 0: a schedule follows it, and draws differ between epochs."""
        return int(self._epoch)

    @epoch.setter
    def epoch(self, epoch: int) -> None:
        if epoch < 0:
            raise PolicyError(f"epoch: {epoch}; must be at least 0")
        self._epoch.share_memory_().fill_(epoch)  # a deep copy is no longer shared

    def __call__(self, image: AnyImage) -> AnyImage:
        """Augment an RGB or grayscale Pillow image, or (C, H, W) uint8; the result is of the same kind.

        Raises:
            PolicyError: it is something else.
        """
        if isinstance(image, Image.Image):
            if image.mode not in ("RGB", "L"):
                raise PolicyError(f"an image of mode {image.mode!r}; must be RGB or L: image.convert('RGB') makes it so")
            return self._augmented(image)
        if not isinstance(image, Tensor) or image.dtype != torch.uint8 or image.ndim != 3 or _is_annotation(image):
            kind = type(image).__name__
            given = f"{kind} {tuple(image.shape)} {image.dtype}" if isinstance(image, Tensor) else kind
            raise PolicyError(f"{given}; must be a Pillow image or (C, H, W) uint8: put the transform before ToTensor")
        if len(image) not in (1, 3):
            return self._augmented(image)
        return _tensor(self._augmented(_picture(image))).to(image.device).as_subclass(type(image))

    def _augmented(self, image: AnyImage) -> AnyImage:
        """Draw for the next image, and apply what is drawn."""
        for policy, plan in self._next_plans():
            for k in np.flatnonzero(plan.operation[0] >= 0):
                name = plan.names[plan.operation[0, k]]
                image = _performed(image, name, float(plan.magnitude[0, k]), policy.dialect, plan.noise[:, k])
        return image

    def _next_plans(self) -> list[tuple[Policy, Plan]]:
        seed, epoch = worker_seed(self.seed), self.epoch
        if self._augment.seed != seed:
            self._augment = Augment(self._parts, seed=seed)
        position = self._positions.at(seed, epoch)
        self._positions.passed(seed, epoch, position + 1)
        return self._augment.plans(1, epoch, position)


def _for_single_images(part: Policy | Schedule) -> Policy | Schedule:
    """The same, drawn for each image where it is drawn for each mini-batch."""
    if isinstance(part, Schedule):
        return Schedule(tuple(Segment(s.epochs, _drawn_by_image(s.policy)) for s in part.segments))
    return _drawn_by_image(part)


def _drawn_by_image(policy: Policy) -> Policy:
    for operation in (o for sub_policy in policy.sub_policies for o in sub_policy.operations):
        if find(operation.name).paired:
            raise PolicyError(f"{operation.name}: mixes in other images; apply augsearch.Augment to batches instead")
    return replace(policy, draw="image") if policy.draw == "batch" else policy


def _performed(image: AnyImage, name: str, magnitude: float, dialect: Dialect, noise: np.ndarray) -> AnyImage:
    """One operation on one image: by Pillow where it can be, which is faster. noise: (1, 2)."""
    if isinstance(image, Tensor):
        batch = image[None].as_subclass(Tensor)
        return apply(batch, name, magnitude, dialect=dialect, noise=noise)[0].as_subclass(type(image))
    if name in OPS:
        return standalone.perform(image, name, magnitude, dialect, *noise[0])
    return _picture(apply(_tensor(image)[None], name, magnitude, dialect=dialect, noise=noise)[0])


def _is_annotation(image: Tensor) -> bool:
    """Whether it is torchvision's Mask, BoundingBoxes or the like, which no policy may change."""
    if type(image) is Tensor:
        return False
    from torchvision import tv_tensors  # only where one of its tensors is at hand

    return isinstance(image, tv_tensors.TVTensor) and not isinstance(image, tv_tensors.Image)


def _picture(image: Tensor) -> Image.Image:
    """(1 or 3, H, W) uint8 -> a grayscale or RGB picture of the same pixels."""
    pixels = image.cpu().numpy()
    return Image.fromarray(pixels[0] if len(pixels) == 1 else np.ascontiguousarray(pixels.transpose(1, 2, 0)))


def _tensor(picture: Image.Image) -> Tensor:
    """The reverse of `_picture`."""
    pixels = np.array(picture)
    return torch.from_numpy(pixels[None] if pixels.ndim == 2 else np.ascontiguousarray(pixels.transpose(2, 0, 1)))
