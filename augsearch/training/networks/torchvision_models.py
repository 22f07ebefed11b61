"""Any of torchvision's classifiers, untrained, for any number of classes and channels."""

from __future__ import annotations

import difflib
import inspect

from torch import nn

from augsearch.errors import SettingsError

# Their auxiliary heads would make forward return several outputs; their own initialisation takes minutes.
_PARTICULAR = {
    "googlenet": {"aux_logits": False, "init_weights": False},
    "inception_v3": {"aux_logits": False, "init_weights": False},
}


def torchvision_model(*, classes: int, channels: int = 3, model: str, **options: object) -> nn.Module:
    """torchvision.models' `model` with weights=None; options are its own, such as dropout.

    Raises:
        SettingsError: no such classifier, an option that it refuses, or a first layer that takes no other channels.
    """
    from torchvision import models  # seconds to import, which other networks should not pay

    known = models.list_models(module=models)
    if model not in known:
        near = difflib.get_close_matches(model, known, 3)
        raise SettingsError(
            f"network.name: torchvision has no classifier {model!r}; near: {', '.join(near) or ', '.join(known)}"
        )
    try:
        network: nn.Module = models.get_model(
            model, weights=None, num_classes=classes, **(_PARTICULAR.get(model, {}) | options)
        )
    except (TypeError, ValueError) as error:
        raise SettingsError(f"network.options: torchvision's {model} refuses {options}: {error}") from None
    if channels != 3:
        _take_channels(network, channels, model)
    return network


def _take_channels(network: nn.Module, channels: int, model: str) -> None:
    """Put a first convolution for that many channels in the place of the one for three."""
    for name, module in network.named_modules():
        if isinstance(module, nn.Conv2d):
            if module.in_channels != 3 or module.groups != 1:
                break
            arguments = {key: getattr(module, key) for key in inspect.signature(nn.Conv2d).parameters if hasattr(module, key)}
            arguments |= {"in_channels": channels, "bias": module.bias is not None}
            parent = network.get_submodule(name.rpartition(".")[0])
            setattr(parent, name.rpartition(".")[2], nn.Conv2d(**arguments))
            return
    raise SettingsError(
        f"network.name: torchvision's {model} takes 3 channels, the data have {channels}; set dataset.grayscale: false"
    )
