"""Inside one's own training script: what the search asks of this training, and how to report its score.

    from augsearch import trial

    params = {"lr": 0.1} | trial.params()
    torch.manual_seed(trial.seed())
    loader = DataLoader(ImageFolder("train", Compose([trial.transform(), ToTensor()])))
    ...
    trial.report(epoch, accuracy)
    trial.finish(accuracy)

A search starts the script with the file that describes the trial named in AUGSEARCH_TRIAL. Without one, as when the
script is run by hand, there are no params and no policy, and reports are ignored: the script works as
before. Nothing heavy is imported before `policy` or `transform` is asked for.

`python -m augsearch.trial my_module:train` is how a search calls a function: it gets the `RunningTrial`, and what it
returns is the score.
"""

from __future__ import annotations

import json
import math
import os
import sys
from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING, Any

from augsearch.errors import SearchError

if TYPE_CHECKING:
    from augsearch.policy import Policy
    from augsearch.policy.transform import Transform

VARIABLE = "AUGSEARCH_TRIAL"


@dataclass(frozen=True)
class RunningTrial:
    """One training that a search asks for."""

    params: dict[str, Any] = field(default_factory=dict)
    """Values by the names of `search.space`; empty for the script's own defaults."""
    seed: int = 0
    device: str = "cpu"
    """Device to train on, such as cpu or cuda:0. A trial sees only its own GPU."""
    _policy: Mapping[str, Any] | None = None
    _scores: Path | None = None

    @property
    def policy(self) -> Policy | None:
        """The augmentation to train with; None for none."""
        if self._policy is None:
            return None
        from augsearch.policy import Policy, from_dict

        policy = from_dict(self._policy)
        assert isinstance(policy, Policy)  # what `describe` wrote
        return policy

    def transform(self) -> Transform:
        """The policy as a transform of one image, Pillow's or uint8 (C, H, W); without a policy, no change."""
        from augsearch.policy.transform import Transform

        return Transform(self.policy, seed=self.seed)

    def report(self, epoch: int, score: float) -> None:
        """Report the score after an epoch, higher is better.

        Raises:
            ValueError: the score is NaN or infinite.
        """
        self._tell({"epoch": int(epoch), "score": _finite(score, f"epoch {epoch}")})

    def finish(self, score: float) -> None:
        """Report the trial's score, higher is better.

        Raises:
            ValueError: the score is NaN or infinite.
        """
        self._tell({"final": _finite(score, "final")})

    def _tell(self, record: dict[str, float]) -> None:
        if self._scores is not None:
            with self._scores.open("a") as file:
                file.write(json.dumps(record) + "\n")


def _finite(score: Any, which: str) -> float:
    """The score as a float, whatever number of numpy or torch it is."""
    try:
        value = float(score)
    except (TypeError, ValueError):
        raise ValueError(f"{which} score: {score!r}; must be a number") from None
    if not math.isfinite(value):
        raise ValueError(f"{which} score: {value}; must be finite")
    return value


def describe(file: Path, params: Mapping[str, Any], policy: Mapping[str, Any] | None, seed: int, device: str) -> Path:
    """Write the file that a script's process reads; return the path of the file for its scores."""
    scores = _scores_of(file)
    scores.unlink(missing_ok=True)
    file.write_text(json.dumps({"params": dict(params), "policy": policy, "seed": seed, "device": device}, indent=1) + "\n")
    return scores


def _scores_of(file: Path) -> Path:
    return file.with_suffix(".scores.jsonl")


@cache
def current() -> RunningTrial:
    """The trial that this process was started for.

    Raises:
        SearchError: AUGSEARCH_TRIAL names no file of a trial.
    """
    name = os.environ.get(VARIABLE)
    if name is None:
        return RunningTrial(device=_own_device())
    file = Path(name)
    try:
        asked = json.loads(file.read_text())
        return RunningTrial(asked["params"], asked["seed"], asked["device"], asked["policy"], _scores_of(file))
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise SearchError(f"{VARIABLE}: {name!r}: not the file of a trial ({type(error).__name__}: {error})") from None


def _own_device() -> str:
    """Outside of a search: the GPU, if the script has loaded torch and there is one."""
    torch = sys.modules.get("torch")
    return "cuda" if torch is not None and torch.cuda.is_available() else "cpu"


def params() -> dict[str, Any]:
    """The values that the search chose, by the names of `search.space`; empty for the script's own defaults."""
    return dict(current().params)


def policy() -> Policy | None:
    """The augmentation to train with; None for none."""
    return current().policy


def transform() -> Transform:
    """The policy as a transform of one image; see `RunningTrial.transform`."""
    return current().transform()


def seed() -> int:
    """The seed of this training: the search trains its best trials again on other seeds."""
    return current().seed


def device() -> str:
    """The device to train on, such as cpu or cuda:0."""
    return current().device


def report(epoch: int, score: float) -> None:
    """Report the score after an epoch, higher is better; a ValueError if it is not finite."""
    current().report(epoch, score)


def finish(score: float) -> None:
    """Report the trial's score, higher is better; a ValueError if it is not finite."""
    current().finish(score)


def _call(name: str) -> None:
    from augsearch import plugins

    function = plugins.load(name, "search.objective")
    trial = current()
    trial.finish(function(trial))


if __name__ == "__main__":
    _call(sys.argv[1])
