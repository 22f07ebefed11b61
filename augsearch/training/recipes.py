"""RECIPES: how the published results were trained, by name (`train.recipe`). What else `train` sets overrides them.

A recipe is the optimisation alone: the network is `network.name`, what is done to the images an arm or a policy.
All are SGD with Nesterov momentum .9. Published at half precision, Tuun's runs in bfloat16 here.
"""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType
from typing import Any


def _recipe(epochs: int, lr: float, weight_decay: float, **more: Any) -> Mapping[str, Any]:
    common = {"schedule": "cosine", "batch_size": 128, "momentum": 0.9}
    return MappingProxyType({"epochs": epochs, "lr": lr, "weight_decay": weight_decay} | common | more)


RECIPES: Mapping[str, Mapping[str, Any]] = {
    # petuum/tuun, its data augmentation example: a one-cycle of 50 epochs and 10 more
    "tuun": _recipe(60, 0.1, 5e-4, schedule="one-cycle", precision="bfloat16"),
    # Ho et al.: Population based augmentation (ICML 2019)
    "cifar-wrn-28-10": _recipe(200, 0.1, 5e-4),
    "reduced-cifar10-wrn-28-10": _recipe(200, 0.05, 5e-3),
    # the tenth is this project's choice: the published figures say when, not how far
    "reduced-svhn-wrn-28-10": _recipe(160, 0.05, 0.01, schedule="step", milestones=(80, 120), decay=0.1),
    "cifar-shake-shake": _recipe(1800, 0.01, 1e-3),
    "cifar-pyramidnet-shakedrop": _recipe(1800, 0.05, 5e-5, batch_size=64),
    # the same paper's searches, with wrn-40-2
    "pba-search-reduced-cifar10": _recipe(200, 0.1, 5e-4),
    "pba-search-reduced-svhn": _recipe(160, 0.1, 5e-3),
}
