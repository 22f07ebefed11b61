# For torchvision: from this_module import Augment; transforms.v2.Compose([Augment(), transforms.v2.ToImage(), ...])

from __future__ import annotations

from typing import Any

import numpy as np
import torch
from PIL import Image
from torchvision import tv_tensors
from torchvision.transforms import v2

from augsearch.policy.exchange.standalone import Step, applied, moving, on_array, steps, unmatched


class Augment(v2.Transform):
    """The policy as a transform; draws from torch's generator.

    Images are Pillow's (`applied` says which modes), or tensors (..., C, H, W) with C 1 or 3, uint8 or floats in [0, 1],
    which are rounded to 8 bits (`on_array`). Each image of a batch draws for itself; all frames of a `tv_tensors.Video`,
    and all images of one sample, get the same. For a schedule set `epoch`, counted from 0, before each pass over the
    loader: workers see it, persistent ones as well.

    Masks, boxes and key points never change. Where the policy moves pixels they would no longer match: that is an error,
    unless `allow_unmatched` is set.
    """

    def __init__(self, *, allow_unmatched: bool = False) -> None:
        super().__init__()
        self.allow_unmatched = allow_unmatched
        # In shared memory, as persistent workers would not see a plain number change.
        self._epoch = torch.zeros((), dtype=torch.int64).share_memory_()  # type: ignore[no-untyped-call]  # untyped in torch

    @property
    def epoch(self) -> int:
        """The epoch of the next images, from 0."""
        return int(self._epoch)

    @epoch.setter
    def epoch(self, epoch: int) -> None:
        self._epoch.share_memory_().fill_(epoch)  # a deep copy is no longer shared

    def check_inputs(self, flat_inputs: list[Any]) -> None:
        """Refuse a sample without an image, with pictures that may be masks, or with annotations that would not match."""
        images = self._images(flat_inputs)
        if not images:
            given = ", ".join(sorted({type(x).__name__ for x in flat_inputs})) or "nothing"
            raise TypeError(f"no image among {given}; must hold a Pillow image or a tensor (..., C, H, W)")
        modes = sorted({x.mode for x in images if isinstance(x, Image.Image)})
        if len(modes) > 1:
            raise TypeError(
                f"pictures of modes {' and '.join(modes)} in one sample; convert images to one mode, make masks tv_tensors.Mask"
            )
        others = [x for x in flat_inputs if not any(x is image for image in images)]
        sizes = {_size(image) for image in images} - {None}
        annotations = {type(x).__name__ for x in others if _is_annotation(x)}
        annotations |= {
            f"another {type(x).__name__} of its size" for x in others if not _is_annotation(x) and _size(x) in sizes
        }
        if annotations and moving() and not self.allow_unmatched:
            raise TypeError(unmatched(" and ".join(sorted(annotations))))

    def make_params(self, flat_inputs: list[Any]) -> dict[str, Any]:
        """Draw for as many images as the largest batch of the sample has."""
        count = max(_draws(x) for x in self._images(flat_inputs))
        return {"drawn": [steps(uniform, self.epoch) for _ in range(count)]}

    def transform(self, inpt: Any, params: dict[str, Any]) -> Any:
        """Apply what is drawn to an image; anything else is left as it is."""
        if isinstance(inpt, Image.Image):
            return applied(inpt, params["drawn"][0])
        return inpt if _is_annotation(inpt) else _on_tensor(inpt, params["drawn"])

    @staticmethod
    def _images(inputs: list[Any]) -> list[Any]:
        """What torchvision takes for images: marked ones, or else the first tensor."""
        marked = [x for x in inputs if isinstance(x, Image.Image | tv_tensors.Image | tv_tensors.Video)]
        return marked or [x for x in inputs if isinstance(x, torch.Tensor) and not _is_annotation(x)][:1]


def uniform() -> float:
    """A number in [0, 1) of torch's generator, which differs between a DataLoader's workers and epochs."""
    return float(torch.rand((), dtype=torch.float64))


def _is_annotation(x: Any) -> bool:
    return isinstance(x, tv_tensors.TVTensor) and not isinstance(x, tv_tensors.Image | tv_tensors.Video)


def _size(x: Any) -> tuple[int, ...] | None:
    """Height and width of what may be an image or a mask."""
    if isinstance(x, Image.Image):
        return (x.height, x.width)
    if isinstance(x, np.ndarray) and x.ndim >= 2:
        return tuple(x.shape[:2])
    return tuple(x.shape[-2:]) if isinstance(x, torch.Tensor) and x.ndim >= 2 else None


def _draws(x: Any) -> int:
    """How many images draw for themselves: those of a batch, but not a video's frames."""
    if isinstance(x, Image.Image) or x.ndim < 3:
        return 1
    return int(np.prod(x.shape[: -4 if isinstance(x, tv_tensors.Video) else -3]))


def _on_tensor(images: torch.Tensor, drawn: list[list[Step]]) -> torch.Tensor:
    if images.ndim < 3 or not (images.dtype == torch.uint8 or images.is_floating_point()):
        raise ValueError(
            f"a tensor {tuple(images.shape)} of {images.dtype}; must be (..., C, H, W), uint8 or floats from 0 to 1"
        )
    if not images.numel():
        return images
    plain = images.detach().as_subclass(torch.Tensor).cpu()
    plain = plain.double() if images.is_floating_point() else plain  # numpy has no bfloat16
    arrays = plain.flatten(0, -4).movedim(-3, -1).numpy() if images.ndim > 3 else plain.movedim(-3, -1)[None].numpy()
    each = len(arrays) // _draws(images)
    out = torch.from_numpy(np.stack([on_array(array, drawn[i // each]) for i, array in enumerate(arrays)]))
    out = out.movedim(-1, -3).reshape(images.shape).contiguous().to(images.device, images.dtype)
    return tv_tensors.wrap(out, like=images) if isinstance(images, tv_tensors.TVTensor) else out
