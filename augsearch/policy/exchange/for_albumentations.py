# For albumentations: from this_module import Augment; albumentations.Compose([Augment(), ...])

from typing import Any

import albumentations
import numpy as np
from PIL import Image

from augsearch.policy.exchange.standalone import augment


class Augment(albumentations.ImageOnlyTransform):
    """The policy as a transform of 8-bit images, (H, W), (H, W, 1) or (H, W, 3); draws from the pipeline's generator.

    Set `epoch` where POLICY is a schedule. Boxes and masks pass unchanged.
    """

    epoch = 0

    def __init__(self, p: float = 1.0) -> None:
        super().__init__(p=p)

    def apply(self, img: Any, **params: Any) -> Any:
        image = Image.fromarray(np.ascontiguousarray(img.squeeze(-1) if img.shape[-1:] == (1,) else img))
        return np.asarray(augment(image, self.py_random.random, self.epoch)).reshape(img.shape)
