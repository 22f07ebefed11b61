# For albumentations: from this_module import Augment; albumentations.Compose([Augment(), ...])

from __future__ import annotations

from typing import Any

import albumentations

from augsearch.policy.exchange.standalone import Step, moving, on_array, steps, unmatched

ANNOTATIONS = {"mask", "masks", "mask3d", "masks3d", "bboxes", "keypoints"}


class Augment(albumentations.ImageOnlyTransform):
    """The policy as a transform; draws from the pipeline's generator.

    Images are (H, W), (H, W, 1) or (H, W, 3), uint8 or floats in [0, 1], which are rounded to 8 bits (`on_array`); all
    images of one sample get the same. For a schedule set `epoch`, counted from 0, before each pass over a loader; persistent
    workers do not see it.

    Masks, boxes and key points never change. Where the policy moves pixels they would no longer match: that is an error,
    unless `allow_unmatched` is set.
    """

    epoch = 0

    def __init__(self, p: float = 1.0, allow_unmatched: bool = False) -> None:
        super().__init__(p=p)
        self.allow_unmatched = allow_unmatched
        self._annotations = set(ANNOTATIONS)

    def add_targets(self, additional_targets: dict[str, str]) -> None:
        """Note which of a pipeline's further targets are annotations."""
        super().add_targets(additional_targets)
        self._annotations |= {name for name, kind in additional_targets.items() if kind in ANNOTATIONS}

    def __call__(self, *args: Any, force_apply: bool = False, **kwargs: Any) -> Any:
        """Apply the policy to the images of a sample.

        Raises:
            TypeError: the sample has annotations that would no longer match.
        """
        present = sorted(name for name in self._annotations if kwargs.get(name) is not None)
        if present and moving() and not self.allow_unmatched:
            raise TypeError(unmatched(" and ".join(present)))
        return super().__call__(*args, force_apply=force_apply, **kwargs)

    def get_params(self) -> dict[str, Any]:
        """Draw for the images of a sample."""
        return {"drawn": steps(self.py_random.random, self.epoch)}

    def apply(self, img: Any, drawn: list[Step], **params: Any) -> Any:
        """Apply what is drawn to one image."""
        return on_array(img, drawn)

    def get_transform_init_args_names(self) -> tuple[str, ...]:
        """The names by which albumentations prints and saves the transform."""
        return ("allow_unmatched",)
