"""The search itself, in this process: resumed, extended, cut and replayed, it is always the same search."""

from pathlib import Path
from typing import Any

import pytest

from augsearch.errors import SearchError
from augsearch.execute import Evaluator, SerialExecutor
from augsearch.job import Bench
from augsearch.outcome import Failure
from augsearch.policy import Schedule
from augsearch.search.loop import SearchOutcome
from augsearch.search.methods import run_search
from augsearch.search.record import save_searches
from augsearch.store import Store
from augsearch.workspace import Workspace
from tests.workspaces import POPULATION, Counting, Watching, digits_workspace, evaluator_of, quick, searched


@pytest.fixture
def workspace(tmp_path: Path) -> Workspace:
    return digits_workspace(tmp_path / "one")


def essence(outcome: SearchOutcome) -> Any:
    """What must not depend on interruptions."""
    trials = [(e.trial.id, e.trial.params, e.trial.seed, e.score) for e in outcome.trials]
    return outcome.chosen, outcome.augmentation, outcome.settings, trials, outcome.confirmations


def with_population(**changes: object) -> dict[str, Any]:
    pba = {**POPULATION["search"]["pba"], **changes}  # type: ignore[dict-item]  # a nested section
    return {**POPULATION, "search": {"methods": ["pba"], "pba": pba}}


ASYNC = {"search": {"mode": "async", "space": {"train.lr": {"_type": "loguniform", "_value": [0.01, 0.2]}}}}
SEARCHES = {
    "tuun": ("tuun", {}),
    "random": ("random", {"search": {"methods": ["random"]}, "retrain": {"arms": ["none"]}}),
    "async": ("tuun", ASYNC),
    "pba": ("pba", POPULATION),
    "pba as one": ("pba", with_population(members_per_model=2)),
}


@pytest.mark.parametrize("name", SEARCHES)
def test_a_killed_search_goes_on_to_the_same_end(workspace: Workspace, tmp_path: Path, name: str) -> None:
    method, changes = SEARCHES[name]
    settings = quick(changes)
    undisturbed, all_keys = searched(digits_workspace(tmp_path / "two"), settings, method)
    ran: list[str] = []
    for after in (1, 4):
        with evaluator_of(workspace) as evaluator, pytest.raises(KeyboardInterrupt):
            run_search(method, settings, workspace, evaluator, [Watching(stop_after=after)])
        assert isinstance(evaluator.executor, Counting)
        ran += evaluator.executor.ran
    outcome, rest = searched(workspace, settings, method)
    assert essence(outcome) == essence(undisturbed)
    assert set(rest) < set(all_keys)
    assert set(rest) | set(ran) == set(all_keys)


@pytest.mark.parametrize("name", SEARCHES)
def test_a_finished_search_runs_nothing_again(workspace: Workspace, name: str) -> None:
    method, changes = SEARCHES[name]
    first, ran = searched(workspace, quick(changes), method)
    again, nothing = searched(workspace, quick(changes), method)
    assert ran
    assert nothing == []
    assert essence(again) == essence(first)
    assert not list((workspace.store / "files").glob("*.checkpoint.pt"))
    if method == "pba":
        assert isinstance(again.augmentation, Schedule)


@pytest.mark.parametrize("mode", ["batch", "async"])
def test_more_trials_and_fewer_again(workspace: Workspace, tmp_path: Path, mode: str) -> None:
    """12 -> 18 trains six and confirmations; -> 12 trains nothing, and is the first search to the last digit."""
    few, many = (quick({"search": {"mode": mode, "trials": n}}) for n in (12, 18))
    first, _ = searched(workspace, few, "tuun")
    extended, ran = searched(workspace, many, "tuun")
    assert len(extended.trials) == 18
    assert 6 <= len(ran) <= 6 + 2
    if mode == "batch":
        undisturbed, _ = searched(digits_workspace(tmp_path / "two"), many, "tuun")
        assert essence(extended) == essence(undisturbed)
    back, nothing = searched(workspace, few, "tuun")
    assert nothing == []
    assert essence(back) == essence(first)


@pytest.mark.parametrize(
    "change", [{"kappa": 1.0}, {"acq_func": "EI"}, {"n_initial_points": 6}, {"max_consecutive_failures": 3}]
)
def test_what_a_search_does_not_depend_on_reruns_nothing(workspace: Workspace, change: dict[str, object]) -> None:
    random = {"methods": ["random"], "trials": 5}
    searched(workspace, quick({"search": random, "retrain": {"arms": ["none"]}}), "random")
    _, ran = searched(workspace, quick({"search": random | change, "retrain": {"arms": ["none"]}}), "random")
    assert ran == []


def test_a_comment_in_the_code_discards_nothing() -> None:
    """Keys hold versions of the algorithms, and no hash of this project's own sources."""
    source = (Path(__file__).parent.parent / "augsearch/training/training.py").read_text()
    assert "ALGORITHM_VERSION" in source
    assert "__file__" not in source


def test_trials_out_of_time_are_tried_again_with_more(workspace: Workspace) -> None:
    settings = quick({"search": {"max_consecutive_failures": 20}})
    with pytest.raises(SearchError, match="all 12 trials failed; the first: TimeLimitError: longer than search.trial_timeout"):
        searched(workspace, settings, "tuun", timeout=1e-9)
    with pytest.raises(SearchError, match="all 12 trials failed"), evaluator_of(workspace, timeout=1e-10) as evaluator:
        run_search("tuun", settings, workspace, evaluator)
    assert isinstance(evaluator.executor, Counting)
    assert evaluator.executor.ran == []  # with less time they would fail all the same
    outcome, _ = searched(workspace, settings, "tuun", timeout=100.0)
    assert all(e.score is not None for e in outcome.trials)


def test_failures_in_a_row_stop_the_search_and_still_count_when_it_is_resumed(workspace: Workspace) -> None:
    settings = quick({"train": {"lr": 1e30}, "search": {"max_consecutive_failures": 3}})
    for _ in range(2):
        with (
            pytest.raises(SearchError, match=r"tuun: stopped after 3 failed trials in a row .*; the last: NotFiniteError"),
            evaluator_of(workspace) as evaluator,
        ):
            run_search("tuun", settings, workspace, evaluator)
        with evaluator_of(workspace) as evaluator:
            assert len(evaluator.store) == 3


def test_a_failed_trial_is_told_as_failed(workspace: Workspace) -> None:
    space = {"train.lr": {"_type": "choice", "_value": [0.05, 1e30]}}
    outcome, _ = searched(workspace, quick({"search": {"space": space, "max_consecutive_failures": 12}}), "tuun")
    failed = [e for e in outcome.trials if e.score is None]
    assert failed
    assert all(e.trial.settings["train.lr"] == 1e30 for e in failed)
    assert all(isinstance(e.outcome, Failure) and e.outcome.kind == "diverged" for e in failed)
    assert outcome.settings["train.lr"] == 0.05


def test_a_checkpoint_that_is_gone_is_made_again(workspace: Workspace, tmp_path: Path) -> None:
    """A population goes on although somebody deleted the files of its weights."""
    undisturbed, _ = searched(digits_workspace(tmp_path / "two"), quick(POPULATION), "pba")
    with evaluator_of(workspace) as evaluator, pytest.raises(KeyboardInterrupt):
        run_search("pba", quick(POPULATION), workspace, evaluator, [Watching(stop_after=9)])
    for file in (workspace.store / "files").glob("*.checkpoint.pt"):
        file.unlink()
    outcome, _ = searched(workspace, quick(POPULATION), "pba")
    assert essence(outcome) == essence(undisturbed)


def test_a_population_that_fails_altogether_stops(workspace: Workspace) -> None:
    broken = {**POPULATION, "train": {"lr": 1e30}}
    with pytest.raises(SearchError, match="pba: stopped after 4 failed trials in a row .*NotFiniteError: the loss is"):
        searched(workspace, quick(broken), "pba")


def test_a_search_begins_with_the_best_of_an_earlier_one(workspace: Workspace) -> None:
    first, _ = searched(workspace, quick(), "tuun")
    save_searches({"tuun": first}, workspace)
    workspace.searches.rename(workspace.root / "earlier.json")
    warm = {"search": "earlier.json", "top": 2, "stack": True}
    second, _ = searched(workspace, quick({"seed": 1, "search": {"warm_start": warm}}), "tuun")
    best = sorted(first.trials, key=lambda e: -(e.score or 0.0))[:2]
    scores = {str(e.trial.policy): e.score for e in first.trials}
    assert [scores.get(str(e.trial.policy)) for e in second.trials[:2]] == [e.score for e in best]


def test_an_infrastructure_fault_is_no_result(workspace: Workspace) -> None:
    """What others finished is stored, and the faulty trial runs again."""

    class Breaking(SerialExecutor):
        def completed(self) -> Any:
            from augsearch.errors import WorkerError

            for k, (work, outcomes) in enumerate(super().completed()):
                yield work, WorkerError("the worker was lost") if k == 1 else outcomes

    from augsearch.errors import WorkerError

    with Store.open(workspace.store) as store:
        evaluator = Evaluator(store, Breaking(Bench(workspace)))
        with pytest.raises(WorkerError, match="the worker was lost"):
            run_search("tuun", quick(), workspace, evaluator)
        assert len(store) == 3  # of the batch of four, one is missing
    outcome, _ = searched(workspace, quick(), "tuun")
    assert all(e.score is not None for e in outcome.trials)
