"""The section `search`: which searches run, over what, and for how long."""

from __future__ import annotations

from typing import Annotated, Any, Literal, get_args

from pydantic import Field, field_validator, model_validator

from augsearch.errors import SettingsError
from augsearch.script import command
from augsearch.section import FromList, Names, Section
from augsearch.training.settings import NetworkSettings, TrainSettings

Method = Literal["tuun", "random", "pba"]
METHODS: tuple[Method, ...] = get_args(Method)
# As augsearch.policy.ops has them, which loads torch.
TUUN_OPERATIONS = (
    "ShearX", "ShearY", "TranslateX", "TranslateY", "Rotate", "Color", "Contrast", "Brightness", "Sharpness", "Posterize",
    "Solarize", "AutoContrast", "Equalize", "Invert", "RandomCrop", "HorizontalFlip",
)  # fmt: skip
PBA_OPERATIONS = (
    "Rotate", "TranslateX", "TranslateY", "Brightness", "Color", "Invert", "Sharpness", "Posterize", "ShearX", "Solarize",
    "ShearY", "Equalize", "AutoContrast", "Cutout", "Contrast",
)  # fmt: skip
_MOST_INITIAL = 20


class ConfirmSettings(Section):
    """Confirmation of the choice: the best few trials are trained again on fresh seeds."""

    top: int = Field(4, ge=1)
    seeds: int = Field(3, ge=0)
    """Trainings of each; 0 takes the best trial as it is."""


class WarmStartSettings(Section):
    """An earlier search to begin from."""

    search: str | None = None
    """The models/search.json of an earlier run, kept under another name."""
    method: Method = "tuun"
    """Which of its searches."""
    top: int = Field(5, ge=0)
    """Its best policies are this search's first trials."""
    stack: bool = False
    """Use its scores as observations too, as long as they agree with this search's own."""


class PopulationSettings(Section):
    """Population based augmentation (Ho et al., 2019): a population trained side by side, its policies changing as it goes."""

    population_size: int = Field(16, ge=2)
    perturbation_interval: int = Field(3, ge=1)
    """Epochs between exchanges: the worst quarter copies the best quarter's weights and changes its policies."""
    network: NetworkSettings | None = None
    """The members' network; null: `network`."""
    train: dict[str, Any] | None = None
    """Settings of `train` that differ for the population. `train.evaluate_every` is ignored: members are evaluated at the end
    of each round."""
    operations: Names = PBA_OPERATIONS
    """Each stands in a policy twice."""
    expert: bool = False
    """Images go through the expert policy first."""
    members_per_model: int = Field(1, ge=1)
    """Members computed as one network: faster where a network is small (benchmarks/population.md). Another number
    gives other roundings, hence another search."""
    validation: int | None = Field(None, ge=1)
    """Images of the validation split that a round is scored on; null: all."""

    @field_validator("operations")
    @classmethod
    def _different(cls, names: tuple[str, ...]) -> tuple[str, ...]:
        return _different_names(names)

    @model_validator(mode="after")
    def _fits(self) -> PopulationSettings:
        if self.members_per_model > self.population_size:
            raise ValueError(
                f"members_per_model: {self.members_per_model}; must be at most population_size ({self.population_size})"
            )
        return self

    def trained(self, train: TrainSettings) -> TrainSettings:
        """The population's own `train` section: the given one with what is set here.

        Raises:
            pydantic.ValidationError: a field here that `train` does not have, or a wrong value.
        """
        inherited = {} if self.train and self.train.get("recipe") else train.model_dump(exclude={"recipe"})
        return TrainSettings.model_validate(inherited | (self.train or {}))


class SearchSettings(Section):
    """The searches, their budget, and what they may change."""

    methods: Annotated[tuple[Method, ...], FromList] = ("tuun", "random")
    objective: str = "accuracy"
    """The score of a trial, on the validation split: a name of `augsearch.training.metrics.OBJECTIVES`; or your own
    training script, which gives the score: a function, `my_module:train`, or a command, `python train.py`."""
    trials: int = Field(60, ge=1)
    mode: Literal["batch", "async"] = "batch"
    """batch: proposed together, all evaluated before the next; async: a new trial whenever a worker is free, so that the
    number of workers decides what is known when a trial is proposed."""
    batch: int = Field(8, ge=1)
    """Trials proposed together."""
    n_initial_points: int | None = Field(None, ge=1)
    """Random trials before the surrogate proposes; null: a third of the trials, at most 20."""
    sub_policies: int = Field(5, ge=0)
    """0 searches settings alone."""
    operations_each: int = Field(2, ge=1)
    operations: Names = TUUN_OPERATIONS
    """The operations to choose from: names of `augsearch.policy.ops.OPS`, or your own as module:name."""
    draw: Literal["batch", "image"] = "batch"
    acq_func: Literal["LCB", "EI", "PI", "TS"] = "LCB"
    kappa: float = Field(1.96, ge=0)
    """LCB's weight of the uncertainty."""
    xi: float = Field(0.01, ge=0)
    """By how many standard deviations of the scores EI and PI want the best improved."""
    space: dict[str, Any] = Field(default_factory=dict)
    """Settings to search together with the policy, by dotted key (train.lr, network.width), as NNI writes spaces; for your
    own training script by any name."""
    confirm: ConfirmSettings = ConfirmSettings()
    warm_start: WarmStartSettings = WarmStartSettings()
    trial_timeout: float | None = Field(None, gt=0)
    """Seconds after which a trial has failed; null: no limit. Looked at after each epoch; your own script is ended at once.
    With a higher limit such a trial is tried again."""
    max_consecutive_failures: int = Field(5, ge=1)
    """Number of failed trials in a row that stops the search."""
    pba: PopulationSettings = PopulationSettings()

    @field_validator("methods")
    @classmethod
    def _different_methods(cls, value: tuple[Method, ...]) -> tuple[Method, ...]:
        if len(set(value)) < len(value):
            raise ValueError("must be a list of different names; empty where no arm needs a search")
        return value

    @field_validator("operations")
    @classmethod
    def _different(cls, names: tuple[str, ...]) -> tuple[str, ...]:
        return _different_names(names)

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
        """The score's name where it is tracked: the objective, or "score" for a user's script."""
        return command.MEASURE if self.own_script else self.objective

    @property
    def initial_points(self) -> int:
        """`n_initial_points`, or its default for this number of trials."""
        return self.n_initial_points or min(max(self.trials // 3, 1), _MOST_INITIAL)

    @model_validator(mode="after")
    def _fits(self) -> SearchSettings:
        if "policy" in self.space:
            raise ValueError("space: policy is what the search calls the augmentation; give that setting another name")
        if self.batch > self.trials:
            raise ValueError(f"batch: {self.batch}; must be at most trials ({self.trials})")
        if "tuun" in self.methods and self.initial_points >= self.trials and self.trials > 1:
            raise ValueError(
                f"n_initial_points: {self.n_initial_points}; must be less than trials ({self.trials}), or all of tuun's trials "
                "would be random ones; null chooses"
            )
        return self


def _different_names(names: tuple[str, ...]) -> tuple[str, ...]:
    if not names or len(set(names)) < len(names):
        raise ValueError("must be a list of different names, at least one")
    return names
