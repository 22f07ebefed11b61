"""The sections `network` and `train`: what is trained, and how."""

from __future__ import annotations

from typing import Annotated, Any, Literal

from pydantic import Field, model_validator

from augsearch.section import FromList, Section, nearest
from augsearch.training.recipes import RECIPES


class NetworkSettings(Section):
    """Which network is trained, and its options."""

    name: str = "small"
    """small, preact-resnet18, resnet9, wrn-40-2 and any other wrn-depth-width, shake-shake-26-2x96d,
    pyramidnet-272-200, torchvision:resnet50 and any other of its classifiers, or a class of your own, `my_module:MyNet`."""
    width: int | None = Field(None, ge=1)
    """Channels of the first convolution of small, resnet9 and preact-resnet18; null: the network's own."""
    options: dict[str, bool | int | float | str] = Field(default_factory=dict)
    """Further arguments of the network, such as dropout of a wrn."""

    def arguments(self) -> dict[str, bool | int | float | str]:
        """The options of `augsearch.training.networks.build`."""
        return self.options if self.width is None else {"width": self.width} | self.options


class TrainSettings(Section):
    """The recipe of a training: SGD with Nesterov momentum."""

    recipe: str | None = None
    """Published settings by name (`augsearch.training.recipes`); the fields given beside it override it."""
    epochs: int = Field(40, ge=1)
    batch_size: int = Field(50, ge=2)
    schedule: Literal["one-cycle", "cosine", "step"] = "one-cycle"
    lr: float = Field(0.05, gt=0)
    """The highest learning rate."""
    warmup_fraction: float = Field(0.25, ge=0, lt=1)
    """One-cycle: the fraction of training before the highest learning rate."""
    milestones: Annotated[tuple[int, ...], FromList] = ()
    """Step: the epochs after which the learning rate is multiplied by `decay`."""
    decay: float = Field(0.1, gt=0, lt=1)
    momentum: float = Field(0.9, gt=0, lt=1)
    weight_decay: float = Field(5e-4, ge=0)
    label_smoothing: float = Field(0.0, ge=0, lt=1)
    clip_grad_norm: float | None = Field(None, gt=0)
    """The largest norm of all gradients together; null: no clipping."""
    ema_decay: float | None = Field(None, gt=0, lt=1)
    """Decay for each step of the mean of the weights that is evaluated and kept in their place; null: none."""
    precision: Literal["float32", "bfloat16"] = "float32"
    """bfloat16 is faster on GPUs and on CPUs with AVX512-bf16, slow on others."""
    evaluate_every: int = Field(1, ge=1)
    """Epochs between two evaluations on the validation split; the last epoch is always evaluated."""

    @model_validator(mode="before")
    @classmethod
    def _from_recipe(cls, data: Any) -> Any:
        if not isinstance(data, dict) or data.get("recipe") is None:
            return data
        name = data["recipe"]
        if name not in RECIPES:
            raise ValueError(f"recipe: {name!r} is unknown{nearest(str(name), RECIPES)}; there are {', '.join(RECIPES)}")
        if all(field in data for field in RECIPES[name]):
            raise ValueError(
                f"recipe: {name!r} decides nothing, as {', '.join(RECIPES[name])} are all set beside it; "
                "take out those it shall decide"
            )
        return {**RECIPES[name], **data}

    @model_validator(mode="after")
    def _steps_down(self) -> TrainSettings:
        ordered = list(self.milestones) == sorted(set(self.milestones)) and all(m >= 1 for m in self.milestones)
        if self.schedule == "step" and not (self.milestones and ordered):
            raise ValueError(f"milestones: {list(self.milestones)}; schedule step needs rising epochs, such as [80, 120]")
        return self
