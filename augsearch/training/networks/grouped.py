"""Several networks of one kind as one: their channels side by side, their convolutions as groups.

    one = Grouped(networks)
    one(x)        # (B, K * C, H, W), member k's images in channels [k C, (k + 1) C) -> (B, K, classes)

Every member's tensors lie one after the other along the first dimension, so states are joined and split by
concatenation, an elementwise optimizer's state too. Networks as small as the digits example's cost more in calls than in
arithmetic; those gain (benchmarks/population.md). The results agree with separate training up to rounding.
"""

from __future__ import annotations

import copy
from collections.abc import Mapping, Sequence
from typing import Any

import torch
from torch import Tensor, nn

from augsearch.errors import SettingsError


class Grouped(nn.Module):
    """`networks`, whose weights are copied, as one module.

    Raises:
        SettingsError: they cannot be grouped: a kind of layer that mixes channels in its own way.
    """

    def __init__(self, networks: Sequence[nn.Module]) -> None:
        super().__init__()
        self.members = len(networks)
        self.body = _widened(copy.deepcopy(networks[0]), self.members)
        try:
            self.body.load_state_dict(join([network.state_dict() for network in networks]))
            agrees = _agrees(self, networks)
        except (RuntimeError, ValueError):
            agrees = False
        if not agrees:
            raise SettingsError(
                f"search.pba.members_per_model: {self.members}; {type(networks[0]).__name__} "
                "cannot be trained together: must be 1"
            )

    def forward(self, x: Tensor) -> Tensor:
        """Compute all members' logits: (B, K * C, H, W) -> (B, K, classes)."""
        logits: Tensor = self.body(x)
        return logits.view(len(x), self.members, -1)


class GroupedLinear(nn.Linear):
    """K linear layers: (B, K * inputs) -> (B, K * outputs)."""

    def __init__(self, layer: nn.Linear, members: int) -> None:
        super().__init__(layer.in_features, members * layer.out_features, layer.bias is not None)
        self.members = members

    def forward(self, x: Tensor) -> Tensor:
        """Apply each member's layer to its own features."""
        each = x.view(len(x), self.members, -1).transpose(0, 1)  # (K, B, inputs)
        out = each @ self.weight.view(self.members, -1, self.in_features).transpose(1, 2)
        joined = out.transpose(0, 1).reshape(len(x), -1)
        return joined if self.bias is None else joined + self.bias


def _widened(module: nn.Module, members: int) -> nn.Module:
    """The module with every layer that knows its channels replaced by one of K times as many."""
    for name, child in module.named_children():
        setattr(module, name, _widened(child, members))
    if isinstance(module, nn.Conv2d):
        return _convolution(module, members)
    if isinstance(module, nn.BatchNorm2d):
        return nn.BatchNorm2d(
            members * module.num_features, module.eps, module.momentum, module.affine, module.track_running_stats
        )
    if isinstance(module, nn.Linear):
        return GroupedLinear(module, members)
    if any(True for _ in module.parameters(recurse=False)):
        raise SettingsError(
            f"search.pba.members_per_model: {members}; {type(module).__name__} cannot be trained together: must be 1"
        )
    return module


def _convolution(layer: nn.Conv2d, members: int) -> nn.Conv2d:
    same: Any = layer  # to torch's stubs these are tuples of any length, where its constructor wants pairs
    return nn.Conv2d(
        members * layer.in_channels,
        members * layer.out_channels,
        same.kernel_size,
        same.stride,
        same.padding,
        same.dilation,
        members * layer.groups,
        layer.bias is not None,
        layer.padding_mode,
    )


def _agrees(one: Grouped, networks: Sequence[nn.Module]) -> bool:
    """Whether the grouped network computes what its members do, on random input of the size that they meet first."""
    first = next(module for module in networks[0].modules() if isinstance(module, nn.Conv2d))
    x = torch.rand(2, len(networks), first.in_channels, 32, 32, generator=torch.Generator().manual_seed(0))
    modes = [module.training for module in (one, *networks)]
    with torch.inference_mode():
        together = one.eval()(x.flatten(1, 2))
        apart = torch.stack([network.eval()(x[:, k]) for k, network in enumerate(networks)], 1)
    for module, mode in zip((one, *networks), modes, strict=True):
        module.train(mode)
    return together.shape == apart.shape and torch.allclose(together, apart, rtol=1e-3, atol=1e-4, equal_nan=True)


def join(states: Sequence[Mapping[str, Any]]) -> dict[str, Any]:
    """One state, nested as each of them: tensors one after the other, all else as the first has it."""
    return {key: _joined([state[key] for state in states]) for key in states[0]}


def _joined(values: Sequence[Any]) -> Any:
    first = values[0]
    if isinstance(first, Tensor):
        return torch.cat(list(values)) if first.ndim else first
    if isinstance(first, dict):
        return join(values)
    return first


def split(state: Mapping[str, Any], members: int) -> list[dict[str, Any]]:
    """The reverse of `join`; the tensors are copies."""
    return [{key: _part(value, k, members) for key, value in state.items()} for k in range(members)]


def _part(value: Any, k: int, members: int) -> Any:
    if isinstance(value, Tensor):
        return value.chunk(members)[k].clone() if value.ndim else value.clone()
    if isinstance(value, dict):
        return {key: _part(each, k, members) for key, each in value.items()}
    return value
