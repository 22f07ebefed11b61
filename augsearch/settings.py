"""params.yaml -> frozen, validated settings: the only place where a setting is read.

    settings = load("params.yaml")        # raises SettingsError, one line, before anything is touched
    settings.search.trials

Every setting of params.yaml is a field below, with its meaning under it; unknown keys, wrong types and
impossible values are refused with the key, the value and what is allowed.
"""

from __future__ import annotations

import difflib
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Literal, get_args

import yaml
from pydantic import BaseModel, ConfigDict, Field, ValidationError, field_validator, model_validator

from augsearch import plugins
from augsearch.data.folder import MIN_SIDE
from augsearch.data.prepare import DATASETS
from augsearch.errors import PolicyError, SettingsError
from augsearch.evidence.arms import check as check_arm
from augsearch.policy.ops import OPS, PBA_OPERATIONS, find
from augsearch.script import command
from augsearch.training import networks
from augsearch.training.recipes import RECIPES

Method = Literal["tuun", "random", "pba"]
METHODS: tuple[Method, ...] = get_args(Method)
TUUN_OPERATIONS = tuple(name for name in OPS if name not in ("Cutout", "Identity", "SamplePairing"))


class Section(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True, strict=True)


class DatasetSettings(Section):
    """Which images. Exactly one of `name`, `npz` and `folder`."""

    name: str | None = None
    """A built-in data set, such as digits or cifar10, or a function of your own, `my_module:my_function`."""
    npz: str | None = None
    """A file in MedMNIST's layout, relative to `root` (or an absolute path)."""
    folder: str | None = None
    """A folder of pictures, relative to `root` (or an absolute path): train, val and test folders of class folders,
    or class folders alone."""
    root: str = "data/raw"
    """The folder of your own data. DVC watches it: a change there makes `prepare` run again."""
    download: bool = False
    """Let torchvision fetch a published data set into `root`."""
    size: tuple[int, int] | None = None
    """Height and width in pixels (one number: both) that images are resized to; null: as they are."""
    fit: Literal["crop", "stretch"] = "crop"
    """How an image of other proportions is resized: its centre, or all of it squeezed."""
    grayscale: bool | None = None
    """Of a folder: one channel (true), three (false); null: one where every picture is grey."""
    bad_files: Literal["refuse", "skip"] = "refuse"
    """Of a folder, files that cannot be used: stop and name them all, or go on without them and note them."""
    duplicates: Literal["report", "drop", "refuse"] = "report"
    """Images of train or val that are in test too, pixel for pixel."""
    val_fraction: float = Field(0.2, gt=0, lt=1)
    """What part of train becomes the validation part where the source has none."""
    test_fraction: float = Field(0.2, gt=0, lt=1)
    """What part of the whole becomes the test part where the source has none."""
    val_size: int | None = Field(None, ge=1)
    """Images in the validation part, in place of `val_fraction`; of a source that has one, so many of it."""
    train_size: int | None = Field(None, ge=1)
    """Images in the training part, the same proportions of classes."""
    imbalance: float | None = Field(None, ge=1)
    """A long tail: the training part has this many times as many images of the first class as of the last."""
    counts: dict[str, int] | None = None
    """Images of the classes named in the training part."""
    seed: int = Field(0, ge=0)
    """Of every split and subset."""

    @field_validator("size", mode="before")
    @classmethod
    def _both_sides(cls, size: Any) -> Any:
        if isinstance(size, int) and not isinstance(size, bool):
            return (size, size)
        return tuple(size) if isinstance(size, list) else size

    @field_validator("size")
    @classmethod
    def _large_enough(cls, size: tuple[int, int] | None) -> tuple[int, int] | None:
        if size is not None and (min(size) < MIN_SIDE or max(size) > 1024):
            raise ValueError(f"must be from {MIN_SIDE} to 1024 pixels each way")
        return size

    @field_validator("counts", mode="before")
    @classmethod
    def _class_names(cls, counts: Any) -> Any:
        return {str(name): count for name, count in counts.items()} if isinstance(counts, dict) else counts

    @field_validator("counts")
    @classmethod
    def _some_of_each(cls, counts: dict[str, int] | None) -> dict[str, int] | None:
        for name, count in (counts or {}).items():
            if count < 1:
                raise ValueError(f"class {name!r} has {count}; must be at least 1")
        return counts

    @model_validator(mode="after")
    def _one_source(self) -> DatasetSettings:
        sources = {"name": self.name, "npz": self.npz, "folder": self.folder}
        if sum(value is not None for value in sources.values()) != 1:
            found = ", ".join(f"{key} is {value!r}" for key, value in sources.items())
            raise ValueError(f"{found}; set exactly one of them, the others null")
        smaller = [key for key in ("train_size", "imbalance", "counts") if getattr(self, key) is not None]
        if len(smaller) > 1:
            raise ValueError(f"{' and '.join(smaller)} are set; set at most one of train_size, imbalance and counts")
        return self

    @field_validator("name")
    @classmethod
    def _known(cls, name: str | None) -> str | None:
        if name is not None and name not in DATASETS and not plugins.is_import_path(name):
            raise ValueError(
                f"must be one of {', '.join(DATASETS)}, or module:function, or null with npz or folder set"
                f"{_nearest(name, DATASETS)}"
            )
        return name


class NetworkSettings(Section):
    name: str = "small"
    """small, preact-resnet18, resnet9, wrn-40-2 and any other wrn-depth-width, shake-shake-26-2x96d,
    pyramidnet-272-200, torchvision:resnet50 and any other of its classifiers, or a class of your own, `my_module:MyNet`."""
    width: int | None = Field(None, ge=1)
    """Channels of the first convolution of small, resnet9 and preact-resnet18; null: the network's own."""
    options: dict[str, bool | int | float | str] = {}
    """What else the network takes, such as dropout of a wrn."""

    def arguments(self) -> dict[str, bool | int | float | str]:
        """The options of `augsearch.training.networks.build`."""
        return self.options if self.width is None else {"width": self.width} | self.options

    @model_validator(mode="after")
    def _buildable(self) -> NetworkSettings:
        try:
            networks.check(self.name, self.arguments())
        except SettingsError as error:
            raise ValueError(str(error).removeprefix("network.")) from None
        return self


class TrainSettings(Section):
    """How one model is trained: SGD with Nesterov momentum."""

    recipe: str | None = None
    """Published settings by name (`augsearch.training.recipes`); the fields given beside it override it."""
    epochs: int = Field(40, ge=1)
    batch_size: int = Field(50, ge=2)
    schedule: Literal["one-cycle", "cosine", "step"] = "one-cycle"
    lr: float = Field(0.05, gt=0)
    """The highest learning rate."""
    warmup_fraction: float = Field(0.25, ge=0, lt=1)
    """One-cycle: the part of training before the highest learning rate."""
    milestones: tuple[int, ...] = ()
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
    """Epochs from one look at the validation part to the next; the last epoch is always judged."""

    @model_validator(mode="before")
    @classmethod
    def _from_recipe(cls, data: Any) -> Any:
        if not isinstance(data, dict) or data.get("recipe") is None:
            return data
        name = data["recipe"]
        if name not in RECIPES:
            raise ValueError(f"recipe: {name!r} is unknown{_nearest(str(name), RECIPES)}; there are {', '.join(RECIPES)}")
        if all(field in data for field in RECIPES[name]):
            raise ValueError(
                f"recipe: {name!r} decides nothing, as {', '.join(RECIPES[name])} are all set beside it; "
                "take out those it shall decide"
            )
        return {**RECIPES[name], **data}

    @field_validator("milestones", mode="before")
    @classmethod
    def _as_tuple(cls, value: Any) -> Any:
        return tuple(value) if isinstance(value, list) else value

    @model_validator(mode="after")
    def _steps_down(self) -> TrainSettings:
        ordered = list(self.milestones) == sorted(set(self.milestones)) and all(m >= 1 for m in self.milestones)
        if self.schedule == "step" and not (self.milestones and ordered):
            raise ValueError(f"milestones: {list(self.milestones)}; schedule step needs rising epochs, such as [80, 120]")
        return self


class ConfirmSettings(Section):
    """How one policy is chosen from the trials: the top few are trained again on fresh seeds."""

    top: int = Field(4, ge=1)
    seeds: int = Field(3, ge=0)
    """0 takes the best trial as it is."""


class ScreenSettings(Section):
    """Cheaper trials: all in a complete schedule of fewer epochs, the best of each batch at full length."""

    epochs: int | None = Field(None, ge=1)
    """Of a screening; null: every trial is trained at full length."""
    promote: float = Field(0.25, gt=0, le=1)
    """What part of a batch goes on to full length, at least one."""


class WarmStartSettings(Section):
    """An earlier search to begin from."""

    journal: str | None = None
    """The journal of an earlier search, such as models/journals/tuun-1a2b3c4d.jsonl."""
    experiment: str | None = None
    """Or the MLflow experiment that tracked it."""
    top: int = Field(5, ge=0)
    """Its best policies are this search's first trials."""
    stack: bool = False
    """Use its scores as observations too, as long as they agree with this search's own."""

    @model_validator(mode="after")
    def _one_source(self) -> WarmStartSettings:
        if self.journal is not None and self.experiment is not None:
            raise ValueError("journal and experiment are both set; set one of them, the other null")
        return self


class PopulationSettings(Section):
    """Population based augmentation (Ho et al., 2019): a population trained side by side, its policies changing as it goes."""

    population_size: int = Field(16, ge=2)
    perturbation_interval: int = Field(3, ge=1)
    """Epochs between exchanges: the worst quarter copies the best quarter's weights and changes its policies."""
    network: NetworkSettings | None = None
    """What the population is of; null: `network`. Fields that are not given are the defaults of `network`'s, not its values."""
    train: TrainSettings | None = None
    """How it is trained; null: as `train` says. `train.evaluate_every` counts for nothing: a round ends with a look."""
    operations: tuple[str, ...] = PBA_OPERATIONS
    """Each stands in a policy twice."""
    explore: Literal["pba", "pb2"] = "pba"
    """How a copied policy is changed: at random, as published; or the most promising of several such changes."""
    expert: bool = False
    """Images go through the expert policy first."""
    members_per_model: int = Field(1, ge=1)
    """Members computed as one network: faster where a network is small (benchmarks/population.md). Another number
    gives other roundings, hence another search."""
    validation: int | None = Field(None, ge=1)
    """Images of the validation part that a round is scored on; null: all."""

    @field_validator("operations", mode="before")
    @classmethod
    def _as_tuple(cls, value: Any) -> Any:
        return tuple(value) if isinstance(value, list) else value

    @field_validator("operations")
    @classmethod
    def _known(cls, names: tuple[str, ...]) -> tuple[str, ...]:
        return _known_operations(names)

    @model_validator(mode="after")
    def _fits(self) -> PopulationSettings:
        if self.members_per_model > self.population_size:
            raise ValueError(
                f"members_per_model: {self.members_per_model}; must be at most population_size ({self.population_size})"
            )
        return self


class SearchSettings(Section):
    methods: tuple[Method, ...] = ("tuun", "random")
    objective: str = "accuracy"
    """What a trial's score is, on the validation part: a name of `augsearch.training.metrics.OBJECTIVES`; or your own training
    script, which gives the score: a function, `my_module:train`, or a command, `python train.py` (`augsearch.script`)."""
    trials: int = Field(60, ge=1)
    mode: Literal["batch", "async"] = "batch"
    """batch: proposed together, all judged before the next; async: a new one whenever a slot falls free."""
    batch: int = Field(8, ge=1)
    """Trials proposed together."""
    n_initial_points: int = Field(20, ge=1)
    """Random trials before the surrogate proposes."""
    sub_policies: int = Field(5, ge=0)
    """0 searches settings alone."""
    operations_each: int = Field(2, ge=1)
    operations: tuple[str, ...] = TUUN_OPERATIONS
    """What the search may choose from: names of `augsearch.policy.ops.OPS`, or your own as module:name."""
    draw: Literal["batch", "image"] = "batch"
    acq_func: Literal["LCB", "EI", "PI", "TS"] = "LCB"
    kappa: float = Field(1.96, ge=0)
    """LCB's weight of the uncertainty."""
    space: dict[str, Any] = Field(default_factory=dict)
    """Settings to search together with the policy, by dotted key (train.lr, network.width), as NNI writes spaces; for your
    own training script by any name."""
    screen: ScreenSettings = ScreenSettings()
    confirm: ConfirmSettings = ConfirmSettings()
    warm_start: WarmStartSettings = WarmStartSettings()
    trial_timeout: float | None = Field(None, gt=0)
    """A trial that takes longer has failed; null: no limit. Looked at after each epoch; your own script is ended at once."""
    max_consecutive_failures: int = Field(5, ge=1)
    """As many failed trials in a row stop the search."""
    pba: PopulationSettings = PopulationSettings()

    @field_validator("methods", "operations", mode="before")
    @classmethod
    def _as_tuple(cls, value: Any) -> Any:
        return tuple(value) if isinstance(value, list) else value

    @field_validator("methods")
    @classmethod
    def _different(cls, value: tuple[Method, ...]) -> tuple[Method, ...]:
        if len(set(value)) < len(value):
            raise ValueError("must be a list of different names; empty where no arm needs a search")
        return value

    @field_validator("operations")
    @classmethod
    def _known(cls, names: tuple[str, ...]) -> tuple[str, ...]:
        return _known_operations(names)

    @field_validator("objective")
    @classmethod
    def _known_objective(cls, objective: str) -> str:
        if command.is_script(objective):
            try:
                command.check(objective)
            except SettingsError as error:
                raise ValueError(str(error)) from None
        return objective

    @property
    def own_script(self) -> bool:
        """Whether trials run the user's own training script in place of this project's trainer."""
        return command.is_script(self.objective)

    @property
    def measure(self) -> str:
        """What a trial's score is called where it is tracked: the objective, or "score" of one's own script."""
        return command.MEASURE if self.own_script else self.objective

    @model_validator(mode="after")
    def _fits(self) -> SearchSettings:
        if "policy" in self.space:
            raise ValueError("space: policy is what the search calls the augmentation; give that setting another name")
        if self.batch > self.trials:
            raise ValueError(f"batch: {self.batch}; must be at most trials ({self.trials})")
        return self

    @model_validator(mode="after")
    def _screens(self) -> SearchSettings:
        epochs = self.screen.epochs
        if epochs is not None and self.mode == "async":
            raise ValueError(f"screen.epochs: {epochs}; must be null with mode async, which has no batches to promote from")
        if epochs is not None and "train.epochs" in self.space:
            raise ValueError(f"screen.epochs: {epochs}; must be null where space searches train.epochs")
        return self


def _known_operations(names: tuple[str, ...]) -> tuple[str, ...]:
    if not names or len(set(names)) < len(names):
        raise ValueError("must be a list of different names, at least one")
    for name in names:
        if name not in OPS and ":" not in name:
            raise ValueError(f"{name!r} is unknown{_nearest(name, OPS)}; there are {', '.join(OPS)}, or module:name")
        try:
            find(name)
        except PolicyError as error:
            raise ValueError(str(error)) from None
    return names


class RetrainSettings(Section):
    seeds: int = Field(10, ge=2)
    """How many times each arm is trained, each on a seed that no search has used."""
    arms: tuple[str, ...] = ("none", "etp", "random", "tuun", "tuun+etp")
    """What the table compares, each a name or several joined by +, the expert policy first: see `augsearch.evidence.arms`."""
    etp: str | None = None
    """A policy file to use as the expert policy instead of the data set's own; DVC watches the folder policies/."""

    @field_validator("arms", mode="before")
    @classmethod
    def _as_tuple(cls, value: Any) -> Any:
        return tuple(value) if isinstance(value, list) else value

    @field_validator("arms")
    @classmethod
    def _known(cls, arms: tuple[str, ...]) -> tuple[str, ...]:
        if not arms or len(set(arms)) < len(arms):
            raise ValueError("must be a list of different arms, at least one")
        for arm in arms:
            try:
                check_arm(arm, METHODS)
            except SettingsError as error:
                raise ValueError(str(error)) from None
        return arms


class WorkerSettings(Section):
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
    """Of the intervals; and a difference counts as found below its complement, after Holm's correction."""
    originals_rule: bool = False
    """Train every trial of tuun and random again, judged on test after each epoch: what the originals' rule, the best test
    score over epochs and trials, would have claimed. Costs as much as the searches."""


class Settings(Section):
    seed: int = Field(0, ge=0)
    """Everything that is drawn follows from it."""
    dataset: DatasetSettings = DatasetSettings(name="digits")
    network: NetworkSettings = NetworkSettings()
    train: TrainSettings = TrainSettings()
    search: SearchSettings = SearchSettings()
    retrain: RetrainSettings = RetrainSettings()
    table: TableSettings = TableSettings()
    workers: WorkerSettings = WorkerSettings()
    experiments: tuple[str, ...] = ()
    """Files of experiments/, without the ending: DVC has a stage for each, `dvc repro experiment@NAME`."""

    @field_validator("experiments", mode="before")
    @classmethod
    def _names(cls, value: Any) -> Any:
        if not isinstance(value, list | tuple) or not all(isinstance(name, str) for name in value):
            raise ValueError("must be a list of files of experiments/, without the ending, such as [tuun_blog]")
        return tuple(value)

    @model_validator(mode="after")
    def _shorter(self) -> Settings:
        screened = self.search.screen.epochs
        if screened is not None and screened >= self.train.epochs:
            raise ValueError(f"search.screen.epochs: {screened}; must be less than train.epochs ({self.train.epochs})")
        return self

    @model_validator(mode="after")
    def _searched(self) -> Settings:
        pba = self.population()
        if "pba" in self.search.methods and pba.search.pba.members_per_model > 1 and pba.train.clip_grad_norm is not None:
            raise ValueError(
                f"search.pba.members_per_model: {pba.search.pba.members_per_model}; must be 1 "
                "where gradients are clipped (train.clip_grad_norm)"
            )
        if self.search.own_script:
            self._fits_own_script()
        for arm in self.retrain.arms:
            for part in arm.split("+"):
                method = part.partition(":")[0]
                if method in METHODS and method not in self.search.methods:
                    raise ValueError(
                        f"retrain.arms: {arm!r} needs {method!r} in search.methods, which has {list(self.search.methods)}"
                    )
        return self

    def _fits_own_script(self) -> None:
        if self.search.screen.epochs is not None:
            raise ValueError("search.screen.epochs: your own objective knows its epochs itself; must be null")
        if "pba" in self.search.methods:
            raise ValueError("search.methods: pba trains its population itself; it cannot with an objective of your own")
        for arm in self.retrain.arms:
            for part in arm.split("+"):
                if part not in ("none", "etp", *METHODS) and not part.startswith("file:"):
                    raise ValueError(f"retrain.arms: {arm!r}: {part} needs the trainer of this project")

    def population(self) -> Settings:
        """What a population is trained with: `network` and `train` are its own, here and in `search.pba`."""
        pba = self.search.pba
        own: dict[str, Any] = {"network": pba.network or self.network, "train": pba.train or self.train}
        search = self.search.model_copy(update={"pba": pba.model_copy(update=own)})
        return self.model_copy(update=own | {"search": search})


def override(settings: Settings, changes: Mapping[str, Any]) -> Settings:
    """The settings with some replaced, by dotted key such as "train.lr"; checked like the file.

    Raises:
        SettingsError: no such setting, or a value that it cannot have.
    """
    data = settings.model_dump()
    data["train"]["recipe"] = None  # what it decided stands in the other fields by now
    for key, value in changes.items():
        section, _, name = key.partition(".")
        if section not in ("train", "network") or name not in data[section]:
            known = [f"{s}.{n}" for s in ("train", "network") for n in data[s]]
            raise SettingsError(f"search.space: {key}: unknown{_nearest(key, known)}; there are {', '.join(known)}")
        data[section][name] = value
    try:
        return Settings.model_validate(data)
    except ValidationError as error:
        raise SettingsError(f"search.space: {_explain(error)}") from None


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
    return settings_from(data, str(path))


def settings_from(data: Mapping[str, Any], source: str) -> Settings:
    """Check what a params file holds; a SettingsError begins with `source`."""
    try:
        return Settings.model_validate(data)
    except ValidationError as error:
        raise SettingsError(f"{source}: {_explain(error)}") from None


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
