"""A training as a value: what its key depends on, and that it is the same training however it came to its end."""

from dataclasses import replace
from pathlib import Path

import pytest

from augsearch.job import Bench, Work, run
from augsearch.outcome import Failure, Result
from augsearch.policy import Chain, Operation, Policy, SubPolicy
from augsearch.settings import override
from augsearch.training import training as module
from augsearch.training.training import Training, as_one
from augsearch.workspace import Workspace
from tests.workspaces import digits_workspace, quick

POLICY = Policy((SubPolicy((Operation("Rotate", 0.5, 0.5),)),))


def a_training(data: str = "data", **changes: object) -> Training:
    settings = quick()
    training = Training(data, settings.network, settings.train, POLICY, 0, settings.train.epochs, "cpu")
    return replace(training, **changes)  # type: ignore[arg-type]  # the tests' own names


@pytest.fixture
def workspace(tmp_path: Path) -> Workspace:
    return digits_workspace(tmp_path)


def fingerprint_of(workspace: Workspace) -> str:
    from augsearch.data.prepared import load_info

    return load_info(workspace.info).fingerprint


CHANGES = {
    "data": "other",
    "network": override(quick(), {"network.width": 5}).network,
    "recipe": override(quick(), {"train.lr": 0.1}).train,
    "augmentation": None,
    "seed": 1,
    "epochs": 2,
    "platform": "cuda",
    "resume": "key",
    "validation": 100,
    "model": ("a", "b", "0"),
}


def test_every_field_that_decides_numbers_is_in_the_key() -> None:
    keys = {a_training().key} | {a_training(**{name: value}).key for name, value in CHANGES.items()}
    assert len(keys) == 1 + len(CHANGES)
    assert set(CHANGES) | {"keeps"} == set(Training.__dataclass_fields__)


def test_names_and_looks_are_not_in_the_key() -> None:
    settings = quick()
    same = settings.train.model_copy(update={"recipe": "tuun", "evaluate_every": 7})
    assert a_training(recipe=same).key == a_training(keeps="weights").key == a_training().key


def test_the_users_code_is_in_the_key(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """An operation of an arm's policy file too, whatever the search may choose from."""
    monkeypatch.syspath_prepend(str(tmp_path))
    file = tmp_path / "their_ops.py"
    file.write_text("def darken(images, magnitude):\n    return images // 2\n")
    own = Policy((SubPolicy((Operation("their_ops:darken", 0.5, 0.5),)),))
    before = a_training(augmentation=Chain((POLICY, own))).key
    assert before == a_training(augmentation=Chain((POLICY, own))).key
    file.write_text("def darken(images, magnitude):\n    return images // 3\n")
    assert before != a_training(augmentation=Chain((POLICY, own))).key


def test_trainings_as_one_model_have_keys_of_their_own() -> None:
    alone = [a_training(seed=k) for k in (0, 1, 1)]
    together = as_one(alone)
    assert len({t.key for t in (*alone, *together)}) == 5  # of the twins alone, one
    assert as_one(alone[:1]) == tuple(alone[:1])


def outcome(training: Training, bench: Bench) -> Result | Failure:
    (only,) = run(Work("one", (training,)), bench)
    return only


def test_a_training_out_of_time_may_be_tried_again_with_more(workspace: Workspace, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "_CHECKPOINT_SECONDS", 0.0)
    settings = quick({"train": {"epochs": 6}})
    training = a_training(fingerprint_of(workspace), recipe=settings.train, epochs=6)
    whole = outcome(training, Bench(workspace))
    assert isinstance(whole, Result)
    assert len(whole.curve) == 6
    files = Bench(workspace).files
    assert not list(files.iterdir())

    cut = outcome(training, Bench(workspace, timeout=1e-9))
    assert isinstance(cut, Failure)
    assert (cut.kind, cut.limit, cut.epochs) == ("out of time", 1e-9, 1)
    assert not cut.stands(None)
    assert not cut.stands(1.0)
    assert cut.stands(1e-9)
    again = outcome(training, Bench(workspace))
    assert isinstance(again, Result)
    assert (again.curve, again.recall) == (whole.curve, whole.recall)


def test_a_killed_training_goes_on_to_the_same_end(workspace: Workspace, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "_CHECKPOINT_SECONDS", 0.0)
    settings = quick({"train": {"epochs": 5}})
    training = a_training(fingerprint_of(workspace), recipe=settings.train, epochs=5)
    whole = outcome(training, Bench(workspace))
    real = module.Checkpoint.save

    def killed_after_three(self: module.Checkpoint, path: Path) -> None:
        real(self, path)
        if self.epoch == 3:
            raise KeyboardInterrupt

    monkeypatch.setattr(module.Checkpoint, "save", killed_after_three)
    with pytest.raises(KeyboardInterrupt):
        outcome(training, Bench(workspace))
    monkeypatch.setattr(module.Checkpoint, "save", real)
    epochs = []
    step = module.train

    def counted(*arguments: object, **named: object) -> object:
        trained = step(*arguments, **named)  # type: ignore[arg-type]  # passed on
        epochs.append(len(trained.losses))
        return trained

    monkeypatch.setattr(module, "train", counted)
    again = outcome(training, Bench(workspace))
    assert epochs == [2]
    assert isinstance(whole, Result)
    assert isinstance(again, Result)
    assert (again.curve, again.recall) == (whole.curve, whole.recall)
    assert not list(Bench(workspace).files.iterdir())


def test_a_training_that_diverges_has_failed_and_says_how(workspace: Workspace) -> None:
    recipe = override(quick(), {"train.lr": 1e30}).train
    failed = outcome(a_training(fingerprint_of(workspace), recipe=recipe), Bench(workspace))
    assert isinstance(failed, Failure)
    assert failed.kind == "diverged"
    assert "NotFiniteError: the loss is" in failed.message


def test_other_data_in_the_folder_are_refused(workspace: Workspace) -> None:
    from augsearch.errors import DataError

    with pytest.raises(DataError, match="holds data set .*, not other"):
        outcome(a_training("other"), Bench(workspace))
