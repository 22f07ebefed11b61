"""params.yaml -> frozen, validated settings: the only place where a setting is read.

    settings = load("params.yaml")        # raises SettingsError, one line, before anything is touched
    settings.search.trials

Every setting of params.yaml is a field below, with its meaning under it; unknown keys, wrong types and
impossible values are refused with the key, the value and what is allowed.
"""

from __future__ import annotations

import difflib
from pathlib import Path
from typing import Any, Literal, get_args

import yaml
from pydantic import BaseModel, ConfigDict, Field, ValidationError, field_validator, model_validator

from augsearch.errors import PolicyError, SettingsError
from augsearch.ops import OPS, find

Method = Literal["tuun", "random"]
METHODS: tuple[Method, ...] = get_args(Method)
TUUN_OPERATIONS = tuple(name for name in OPS if name not in ("Cutout", "Identity", "SamplePairing"))


class Section(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True, strict=True)


class DatasetSettings(Section):
    """Which images. Exactly one of `name` and `npz`."""

    name: str | None = None
    """A built-in data set: digits."""
    npz: str | None = None
    """A file in MedMNIST's layout, relative to `root` (or an absolute path)."""
    root: str = "data/raw"
    """The folder of your own data. DVC watches it: a change there makes `prepare` run again."""
    val_fraction: float = Field(0.2, gt=0, lt=1)
    """What part of train becomes the validation part where the source has none."""

    @model_validator(mode="after")
    def _one_source(self) -> DatasetSettings:
        if (self.name is None) == (self.npz is None):
            raise ValueError(f"name is {self.name!r} and npz is {self.npz!r}; set exactly one of them, the other null")
        return self

    @field_validator("name")
    @classmethod
    def _known(cls, name: str | None) -> str | None:
        if name is not None and name not in ("digits",):
            raise ValueError("must be one of digits, or null with npz set")
        return name


class NetworkSettings(Section):
    name: Literal["small"] = "small"
    width: int = Field(16, ge=1)
    """Channels of the first convolution."""


class TrainSettings(Section):
    """How one model is trained: SGD with Nesterov momentum, one-cycle."""

    epochs: int = Field(40, ge=1)
    batch_size: int = Field(50, ge=2)
    lr: float = Field(0.05, gt=0)
    """The highest of the cycle."""
    warmup: float = Field(0.25, ge=0, lt=1)
    """The part of training before the highest learning rate."""
    momentum: float = Field(0.9, gt=0, lt=1)
    weight_decay: float = Field(5e-4, ge=0)
    label_smoothing: float = Field(0.0, ge=0, lt=1)
    precision: Literal["float32", "bfloat16"] = "float32"
    """bfloat16 is faster on GPUs and on CPUs with AVX512-bf16, slow on others."""


class ConfirmSettings(Section):
    """How one policy is chosen from the trials: the top few are trained again on fresh seeds."""

    top: int = Field(4, ge=1)
    seeds: int = Field(3, ge=0)
    """0 takes the best trial as it is."""


class SearchSettings(Section):
    methods: tuple[Method, ...] = METHODS
    trials: int = Field(60, ge=1)
    batch: int = Field(8, ge=1)
    """Trials proposed together."""
    initial: int = Field(20, ge=1)
    """Random trials before the surrogate proposes."""
    sub_policies: int = Field(5, ge=1)
    operations_each: int = Field(2, ge=1)
    operations: tuple[str, ...] = TUUN_OPERATIONS
    """What the search may choose from: names of `augsearch.ops.OPS`, or your own as module:name."""
    draw: Literal["batch", "image"] = "batch"
    acquisition: Literal["LCB", "EI", "PI"] = "LCB"
    kappa: float = Field(1.96, ge=0)
    """LCB's weight of the uncertainty."""
    confirm: ConfirmSettings = ConfirmSettings()

    @field_validator("methods", "operations", mode="before")
    @classmethod
    def _as_tuple(cls, value: Any) -> Any:
        return tuple(value) if isinstance(value, list) else value

    @field_validator("methods", "operations")
    @classmethod
    def _not_empty(cls, value: tuple[str, ...]) -> tuple[str, ...]:
        if not value or len(set(value)) < len(value):
            raise ValueError("must be a list of different names, at least one")
        return value

    @field_validator("operations")
    @classmethod
    def _known(cls, names: tuple[str, ...]) -> tuple[str, ...]:
        for name in names:
            if name not in OPS and ":" not in name:
                raise ValueError(f"{name!r} is unknown{_nearest(name, OPS)}; there are {', '.join(OPS)}, or module:name")
            try:
                find(name)
            except PolicyError as error:
                raise ValueError(str(error)) from None
        return names

    @model_validator(mode="after")
    def _fits(self) -> SearchSettings:
        if self.batch > self.trials:
            raise ValueError(f"batch: {self.batch}; must be at most trials ({self.trials})")
        return self


class RetrainSettings(Section):
    seeds: int = Field(10, ge=2)
    """How many times each arm is trained, each on a seed that no search has used."""
    arms: tuple[str, ...] = ("none", "etp", "random", "tuun", "tuun+etp")
    """none, etp, a search method, or several joined by +, the expert policy first."""
    etp: str | None = None
    """A policy file to use as the expert policy instead of the data set's own."""

    @field_validator("arms", mode="before")
    @classmethod
    def _as_tuple(cls, value: Any) -> Any:
        return tuple(value) if isinstance(value, list) else value

    @field_validator("arms")
    @classmethod
    def _known(cls, arms: tuple[str, ...]) -> tuple[str, ...]:
        if not arms or len(set(arms)) < len(arms):
            raise ValueError("must be a list of different arms, at least one")
        allowed = ("none", "etp", *METHODS)
        for arm in arms:
            parts = arm.split("+")
            if not all(p in allowed for p in parts) or len(set(parts)) < len(parts) or ("none" in parts and len(parts) > 1):
                raise ValueError(f"{arm!r}; must be none, etp, {', '.join(METHODS)}, or some of them joined by +")
        return arms


class SlotSettings(Section):
    """Where trials run. Changes nothing in the results, so DVC does not watch it."""

    devices: tuple[str, ...] | None = None
    """Such as [cuda:0, cuda:1] or [cpu]; null: every GPU, or else the CPU."""
    per_device: int | None = Field(None, ge=1)
    """Trials at a time on one device; null: 1 on a GPU, one for each core on the CPU."""

    @field_validator("devices", mode="before")
    @classmethod
    def _as_tuple(cls, value: Any) -> Any:
        return tuple(value) if isinstance(value, list) else value


class TableSettings(Section):
    confidence: float = Field(0.95, gt=0, lt=1)
    """Of the intervals."""


class Settings(Section):
    seed: int = Field(0, ge=0)
    """Everything that is drawn follows from it."""
    dataset: DatasetSettings = DatasetSettings(name="digits")
    network: NetworkSettings = NetworkSettings()
    train: TrainSettings = TrainSettings()
    search: SearchSettings = SearchSettings()
    retrain: RetrainSettings = RetrainSettings()
    table: TableSettings = TableSettings()
    slots: SlotSettings = SlotSettings()

    @model_validator(mode="after")
    def _searched(self) -> Settings:
        for arm in self.retrain.arms:
            for part in arm.split("+"):
                if part in METHODS and part not in self.search.methods:
                    raise ValueError(
                        f"retrain.arms: {arm!r} needs {part!r} in search.methods, which has {list(self.search.methods)}"
                    )
        return self


def load(path: str | Path = "params.yaml") -> Settings:
    """Read and check a params file.

    Raises:
        SettingsError: one line with the file, the key, the value and what is allowed.
    """
    try:
        data = yaml.safe_load(Path(path).read_text())
    except FileNotFoundError:
        raise SettingsError(f"{path}: no such file; run from the folder that holds it") from None
    except (yaml.YAMLError, UnicodeDecodeError) as error:
        raise SettingsError(f"{path}: not YAML: {' '.join(str(error).split())}") from None
    if not isinstance(data, dict):
        raise SettingsError(f"{path}: holds a {type(data).__name__}; must be sections of settings")
    try:
        return Settings.model_validate(data)
    except ValidationError as error:
        raise SettingsError(f"{path}: {_explain(error)}") from None


def _explain(error: ValidationError) -> str:
    first = error.errors()[0]
    place = ".".join(str(part) for part in first["loc"])
    value = first["input"]
    if first["type"] == "extra_forbidden":
        siblings = _fields(first["loc"][:-1])
        return f"{place}: unknown setting{_nearest(str(first['loc'][-1]), siblings)}; there are {', '.join(siblings)}"
    if first["type"] == "missing":
        return f"{place}: missing"
    if first["type"] == "value_error":
        message = str(first["ctx"]["error"])
        return f"{place}: {message}" if isinstance(value, BaseModel | dict) or place == "" else f"{place}: {value!r}: {message}"
    message = first["msg"].replace("Input should be", "must be")
    return f"{place}: {value!r}; {message}"


def _fields(place: tuple[int | str, ...]) -> list[str]:
    model: Any = Settings
    for part in place:
        model = model.model_fields[part].annotation
    return list(model.model_fields)


def _nearest(name: str, choices: Any) -> str:
    near = difflib.get_close_matches(name, list(choices), 1, 0.5)
    return f", did you mean {near[0]!r}?" if near else ""
