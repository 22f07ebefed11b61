"""params.yaml -> frozen, validated settings: the packages' sections, composed.

    settings = load("params.yaml")        # raises SettingsError, one line, before anything is touched
    settings.search.trials

Every setting of params.yaml is a field of a section, with its meaning under it; unknown keys, wrong types and impossible
values are refused with the key, the value and what is allowed. Nothing heavy is imported here: names that need a package
to be known (networks, operations, data sets, arms) are resolved by `augsearch.check`.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from pathlib import Path
from typing import Annotated, Any, get_args

from pydantic import BaseModel, Field, ValidationError, model_validator

from augsearch.data.settings import DatasetSettings
from augsearch.errors import SettingsError
from augsearch.evidence.settings import RetrainSettings, TableSettings, split
from augsearch.search.settings import METHODS, SearchSettings
from augsearch.section import FromList, Names, Section, nearest
from augsearch.training.settings import NetworkSettings, TrainSettings
from augsearch.yaml_files import read_yaml

__all__ = ["DatasetSettings", "NetworkSettings", "SearchSettings", "Settings", "TrainSettings", "load", "override"]

_DEVICE = re.compile(r"cpu|mps|(?:cuda|xpu)(?::\d+)?")


class WorkerSettings(Section):
    """Devices for trainings. With `search.mode: batch`, on devices of one kind, it changes no result: DVC does not watch it."""

    devices: Annotated[tuple[str, ...] | None, FromList] = None
    """Devices, such as [cuda:0, cuda:1] or [cpu]; null: every GPU, or else the CPU."""
    per_device: int | None = Field(None, ge=1)
    """Trainings at a time on one device; null: 1 on a GPU, one for each core on the CPU."""

    @model_validator(mode="after")
    def _one_kind(self) -> WorkerSettings:
        for device in self.devices or ():
            if not _DEVICE.fullmatch(device):
                raise ValueError(f"devices: {device!r}; must be cpu, cuda:0, cuda:1 and so on")
        if len({device.partition(":")[0] for device in self.devices or ()}) > 1:
            raise ValueError(
                f"devices: {list(self.devices or ())}; must be of one kind: a CPU and a GPU give different last bits, and a "
                "search compares their scores"
            )
        return self


class Settings(Section):
    """All of params.yaml."""

    seed: int = Field(0, ge=0)
    """Seed of everything that is drawn."""
    expert_policy: str | None = None
    """A policy file to use as the expert policy (ETP) instead of the data set's own; DVC watches the folder policies/."""
    dataset: DatasetSettings = DatasetSettings(name="digits")
    network: NetworkSettings = NetworkSettings()
    train: TrainSettings = TrainSettings()
    search: SearchSettings = SearchSettings()
    retrain: RetrainSettings = RetrainSettings()
    table: TableSettings = TableSettings()
    workers: WorkerSettings = WorkerSettings()
    experiments: Names = ()
    """Files of experiments/, without the ending, such as [tuun_blog]: DVC has a stage for each, `dvc repro experiment@NAME`."""

    @property
    def population_network(self) -> NetworkSettings:
        """The network of a population's members."""
        return self.search.pba.network or self.network

    @property
    def population_train(self) -> TrainSettings:
        """The recipe of a population's members."""
        return self.search.pba.trained(self.train)

    @model_validator(mode="after")
    def _searched(self) -> Settings:
        if "pba" in self.search.methods:
            self._fits_population()
        if self.search.own_script:
            self._fits_own_script()
        for arm in self.retrain.arms:
            for part in split(arm):
                method = part.partition(":")[0]
                if method in METHODS and method not in self.search.methods:
                    raise ValueError(
                        f"retrain.arms: {arm!r} needs {method!r} in search.methods, which has {list(self.search.methods)}"
                    )
        return self

    @model_validator(mode="after")
    def _population(self) -> Settings:
        try:
            _ = self.population_train
        except ValidationError as error:
            raise ValueError(explain(error, TrainSettings, "search.pba.train.")) from None
        return self

    def _fits_population(self) -> None:
        pba = self.search.pba
        try:
            train = self.population_train
        except ValidationError:
            return  # `_population` says why
        if pba.members_per_model > 1 and train.clip_grad_norm is not None:
            raise ValueError(
                f"search.pba.members_per_model: {pba.members_per_model}; must be 1 where gradients are clipped "
                "(train.clip_grad_norm)"
            )
        if pba.perturbation_interval >= train.epochs:
            raise ValueError(
                f"search.pba.perturbation_interval: {pba.perturbation_interval}; must be less than the population's epochs "
                f"({train.epochs}), or no policy ever changes"
            )

    def _fits_own_script(self) -> None:
        if "pba" in self.search.methods:
            raise ValueError("search.methods: pba trains its population itself; it cannot with an objective of your own")
        for arm in self.retrain.arms:
            for part in split(arm):
                if part not in ("none", "etp", *METHODS) and not part.startswith("file:"):
                    raise ValueError(f"retrain.arms: {arm!r}: {part} needs the trainer of this project")


def override(settings: Settings, changes: Mapping[str, Any]) -> Settings:
    """The settings with some of `train` and `network` replaced, by dotted key such as "train.lr".

    Raises:
        SettingsError: no such setting, or a value that it cannot have.
    """
    sections: dict[str, dict[str, Any]] = {
        "train": settings.train.model_dump(exclude={"recipe"}),  # what a recipe decided stands in the other fields by now
        "network": settings.network.model_dump(),
    }
    known = [f"{section}.{name}" for section, fields in sections.items() for name in fields]
    for key, value in changes.items():
        if key not in known:
            raise SettingsError(f"search.space: {key}: unknown{nearest(key, known)}; there are {', '.join(known)}")
        section, _, name = key.partition(".")
        sections[section][name] = value
    models: dict[str, type[Section]] = {"train": TrainSettings, "network": NetworkSettings}
    made = {}
    for section, fields in sections.items():
        try:
            made[section] = models[section].model_validate(fields)
        except ValidationError as error:
            raise SettingsError(f"search.space: {explain(error, models[section], section + '.')}") from None
    return settings.model_copy(update=made)


def load(path: str | Path = "params.yaml") -> Settings:
    """Read a params file and check what needs no other package.

    Raises:
        SettingsError: one line with the file, the key, the value and what is allowed.
    """
    return settings_from(read_yaml(path, "; run from the folder that holds it"), str(path))


def settings_from(data: Mapping[str, Any], source: str) -> Settings:
    """Check what a params file holds; a SettingsError begins with `source`."""
    try:
        return Settings.model_validate(data)
    except ValidationError as error:
        raise SettingsError(f"{source}: {explain(error)}") from None


def explain(error: ValidationError, model: type[BaseModel] = Settings, prefix: str = "") -> str:
    """The first of pydantic's complaints in one line: the key, the value, what is allowed."""
    first = error.errors()[0]
    key = prefix + ".".join(str(part) for part in first["loc"])
    key, value = key.rstrip("."), first["input"]
    if first["type"] == "extra_forbidden":
        siblings = _fields(model, first["loc"][:-1])
        return f"{key}: unknown setting{nearest(str(first['loc'][-1]), siblings)}; there are {', '.join(siblings)}"
    if first["type"] == "missing":
        return f"{key}: missing"
    if first["type"] == "value_error":
        message = str(first["ctx"]["error"])
        if not key:
            return message
        return f"{key}: {message}" if isinstance(value, BaseModel | dict) else f"{key}: {value!r}: {message}"
    message = first["msg"].replace("Input should be", "must be")
    return f"{key}: {value!r}; {message}"


def _fields(model: Any, place: tuple[int | str, ...]) -> list[str]:
    for part in place:
        annotation = model.model_fields[part].annotation
        model = next(
            kind for kind in (annotation, *get_args(annotation)) if isinstance(kind, type) and issubclass(kind, BaseModel)
        )
    return list(model.model_fields)
