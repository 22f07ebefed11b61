# For torchvision: from this_module import Augment; transforms.v2.Compose([Augment(), transforms.v2.ToImage(), ...])

from typing import Any

import torch
from PIL import Image
from torchvision.transforms import v2
from torchvision.transforms.v2 import functional

from augsearch.policy.exchange.standalone import augment


class Augment(v2.Transform):
    """The policy as a transform of 8-bit images, Pillow's or (C, H, W) tensors; draws from torch's generator.

    Set `epoch` where POLICY is a schedule. Boxes and masks pass unchanged.
    """

    epoch = 0

    def transform(self, inpt: Any, params: dict[str, Any]) -> Any:
        if isinstance(inpt, Image.Image):
            return augment(inpt, self.uniform, self.epoch)
        if isinstance(inpt, torch.Tensor) and inpt.dtype == torch.uint8 and inpt.ndim == 3:
            image = augment(functional.to_pil_image(inpt), self.uniform, self.epoch)
            return functional.pil_to_tensor(image).to(inpt.device)
        return inpt

    @staticmethod
    def uniform() -> float:
        return float(torch.rand((), dtype=torch.float64))
