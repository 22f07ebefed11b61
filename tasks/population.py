"""A population search in progress: its rounds on the slots, its journal, its tracking.

A line of the journal is what a slot finished: some members in one round, their states on the disk before it. A search that
is resumed asks its searcher the same questions, reads what the journal knows, and runs the rest.
"""

from __future__ import annotations

import shutil
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import Any

import numpy as np
from prefect import get_run_logger

from augsearch import policy
from augsearch.data.info import DatasetInfo
from augsearch.data.prepared import load_info, load_split
from augsearch.errors import SearchError
from augsearch.evidence import arms
from augsearch.journal import Journal
from augsearch.policy.pictures import describe, picture, population_figure
from augsearch.population import Surroundings, member_round
from augsearch.search import methods
from augsearch.search.population import PopulationSearcher, schedule_of
from augsearch.search.searcher import Trial
from augsearch.settings import Settings
from augsearch.training.training import TrialResult, as_record, training_fingerprint
from tasks import paths
from tasks.outcomes import Outcome
from tasks.search import or_failure, read_result
from tasks.slots import Slots
from tasks.tracking import Tracker
from tasks.trials import members_task

METHOD = "pba"


@contextmanager
def open_population(settings: Settings, slots: Sequence[str]) -> Iterator[RunningPopulation]:
    """Continue or begin the population search; on leaving, journal and tracking are closed."""
    info = load_info(paths.DATA / "dataset.json")
    own = settings.population()
    expert = arms.expert_policy(settings.dataset.name, settings.retrain.etp) if own.search.pba.expert else None
    mark = training_fingerprint(
        own, info, method=METHOD, pba=own.search.pba.model_dump(), objective=own.search.objective,
        expert=expert and policy.to_dict(expert),
    )  # fmt: skip
    where = Surroundings(own, () if expert is None else (expert,), paths.DATA, paths.POPULATION / mark[:16])
    with Journal.open(paths.JOURNALS / f"{METHOD}.jsonl", mark, get_run_logger().warning) as journal:
        tracker = Tracker(info.name, f"search {METHOD}", mark, {"method": METHOD, "kind": "search"})
        try:
            yield RunningPopulation(where, info, journal, tracker, slots)
        except BaseException:  # an interruption too is noted, and goes on its way
            tracker.interrupted()
            raise


class RunningPopulation:
    """A population between its first and its last round. `run` trains it; `choose` ends the search."""

    def __init__(
        self, where: Surroundings, info: DatasetInfo, journal: Journal, tracker: Tracker, slots: Sequence[str]
    ) -> None:
        self.where = where
        self.settings = where.settings
        self.pba = where.settings.search.pba
        self.journal = journal
        self.tracker = tracker
        self.slots = Slots(members_task, slots)
        self._slot_count = len(slots)
        searcher = methods.make(METHOD, self.settings.search, self.settings.seed)
        assert isinstance(searcher, PopulationSearcher)
        self.searcher = searcher
        self.results: dict[int, TrialResult] = {}
        self._recorded = {r["trial"]: read_result(r) for line in journal.records for r in line["trials"]}
        self._examples = load_split(paths.DATA, "train").images[:8]
        self._log = get_run_logger()
        self._clock, self._ran = time.perf_counter(), 0
        if self._recorded:
            done = len(self._recorded) // self.pba.population_size
            self._log.info(f"{METHOD}: {done} of {searcher.rounds} rounds are in the journal and do not run again")

    def run(self) -> None:
        """Every round of the population's training."""
        while trials := self.searcher.ask(self.pba.population_size):
            self._round(trials)
            for trial in trials:
                self.searcher.tell(trial.id, self.results[trial.id].score)
            if all(self.results[trial.id].score is None for trial in trials):
                reason = self.results[trials[0].id].failure
                raise SearchError(f"{METHOD}: every member failed in the round to epoch {trials[0].until}; the first: {reason}")

    def _round(self, trials: Sequence[Trial]) -> None:
        """Members in the journal are read, the others trained."""
        n = self.pba.members_per_model  # neighbours, whatever slots there are: slots change no result
        groups = [trials[i : i + n] for i in range(0, len(trials), n)]
        new = [group for group in groups if not all(trial.id in self._recorded for trial in group)]
        self.results |= {trial.id: self._recorded[trial.id] for trial in trials if trial.id in self._recorded}
        if not new:
            return
        started = time.perf_counter()
        shares = list(_shares(new, self._slot_count))
        for k, share in enumerate(shares):
            rounds = [[member_round(trial, self.searcher.trials) for trial in group] for group in share]
            self.slots.add(k, {"name": f"{METHOD} to epoch {trials[0].until}, {k}", "groups": rounds, "where": self.where})
        for k, ended in self.slots.finished():
            flat = [trial for group in shares[k] for trial in group]
            self._record(flat, ended, time.perf_counter() - started)
        self._ran += 1
        self._forget_states(trials)
        self._report(trials)

    def _record(self, trials: Sequence[Trial], ended: list[TrialResult] | BaseException, seconds: float) -> None:
        if isinstance(ended, BaseException):
            failure = or_failure(ended).failure
            raise SearchError(f"{METHOD}: the round to epoch {trials[0].until} stopped: {failure}; the rounds before are kept")
        lines = [
            {"trial": t.id, "parent": t.parent, "seed": t.seed, **as_record(r), "levels": self.searcher.levels[t.id].tolist()}
            for t, r in zip(trials, ended, strict=True)
        ]
        self.journal.append({"until": trials[0].until, "seconds": seconds, "trials": lines})
        self.results |= {trial.id: result for trial, result in zip(trials, ended, strict=True)}

    def _forget_states(self, trials: Sequence[Trial]) -> None:
        """Keep the states of this round, and of the ancestors that its failed members will go back to."""
        needed = {trial.id for trial in trials} | {t.parent for t in trials if self.results[t.id].score is None}
        for file in self.where.states.glob("[0-9]*.pt"):
            if int(file.stem) not in needed:
                file.unlink()

    def _report(self, trials: Sequence[Trial]) -> None:
        """One line for people, and two points in MLflow."""
        scores = [score for trial in trials if (score := self.results[trial.id].score) is not None]
        until = trials[0].until or 0
        for name, value in (("best", max(scores, default=0.0)), ("mean", float(np.mean(scores or [0.0])))):
            self.tracker.metric(f"{name}_val_{self.settings.search.objective}", value, until)
        done = len(self.searcher.exchanges)
        left = (self.searcher.rounds - done) * (time.perf_counter() - self._clock) / self._ran
        failed = f", {len(trials) - len(scores)} failed" if len(scores) < len(trials) else ""
        self._log.info(
            f"{METHOD} epoch {until}/{self.searcher.epochs}: best {100 * max(scores, default=0.0):.1f} %, mean "
            f"{100 * float(np.mean(scores or [0.0])):.1f} %{failed}; {int(left // 60)}:{int(left % 60):02d} left"
        )

    def choose(self) -> Outcome:
        """The schedule of the member that ended best; the search is then over."""
        chosen = self.searcher.ranking()[0]
        found = schedule_of(self.searcher.lineage(chosen))
        for member in range(self.pba.population_size):
            self._track(member)
        rounds = self._rounds()
        self.tracker.dictionary(policy.to_dict(found), "schedule.json")
        self.tracker.image(picture(found, self._examples, columns=8), "schedule.png")
        self.tracker.figure(population_figure(rounds, self._lineage_members(chosen)), "population.png")
        score = self.results[chosen].score
        assert score is not None  # ranked
        self.tracker.finish(
            params={
                "members": self.pba.population_size,
                "epochs": self.searcher.epochs,
                "chosen_member": chosen % self.pba.population_size,
            },
            metrics={f"val_{self.settings.search.objective}": score},
            tags={"policy": describe(found)},
        )
        self._log.info(
            f"{METHOD}: chose member {chosen % self.pba.population_size}, a schedule of {len(found.segments)} policies"
        )
        shutil.rmtree(self.where.states, ignore_errors=True)
        return Outcome(
            found,
            {},
            chosen % self.pba.population_size,
            [self._summary(m) for m in range(self.pba.population_size)],
            rounds=rounds,
        )

    def _of(self, member: int) -> list[Trial]:
        return self.searcher.trials[member :: self.pba.population_size]

    def _summary(self, member: int) -> dict[str, Any]:
        """What became of a member: its place in the population, not its weights' history."""
        mine = [self.results[trial.id] for trial in self._of(member)]
        seconds = sum(result.seconds for result in mine)
        return {
            "trial": member,
            "score": mine[-1].score,
            "seconds": seconds,
            "epochs": self.searcher.epochs,
            "failure": mine[-1].failure,
        }

    def _rounds(self) -> list[dict[str, Any]]:
        by_round = [
            self.searcher.trials[i : i + self.pba.population_size]
            for i in range(0, len(self.searcher.trials), self.pba.population_size)
        ]
        return [
            {
                "until": trials[0].until,
                "scores": [self.results[trial.id].score for trial in trials],
                "exchanges": {str(loser): source for loser, source in exchanges.items()},
                "seconds": sum(self.results[trial.id].seconds for trial in trials),
            }
            for trials, exchanges in zip(by_round, self.searcher.exchanges, strict=True)
        ]

    def _lineage_members(self, trial_id: int) -> list[int]:
        return [trial.id % self.pba.population_size for trial in self.searcher.lineage(trial_id)]

    def _track(self, member: int) -> None:
        """A child run: the member's scores over the epochs, and the history of the weights that it ended with."""
        mine = self._of(member)
        results = [self.results[trial.id] for trial in mine]
        lineage = self.searcher.lineage(mine[-1].id)
        steps = [{"until": t.until, "member": t.id % self.pba.population_size, "seed": t.seed} for t in lineage]
        scores = {t.until or 0: r.score for t, r in zip(mine, results, strict=True) if r.score is not None}
        failure = results[-1].failure
        found = schedule_of(lineage)
        objective = f"val_{self.settings.search.objective}"
        self.tracker.child(
            f"member {member}",
            name=f"{METHOD} member {member}",
            started=results[0].started,
            seconds=results[-1].started + results[-1].seconds - results[0].started,
            params={
                "member": member,
                "method": METHOD,
                "policy": describe(found.segments[-1].policy),
                "exploits": sum(member in exchanges for exchanges in self.searcher.exchanges),
            },
            metrics={"seconds": sum(r.seconds for r in results)} | ({} if failure else {objective: results[-1].score or 0.0}),
            curves={f"epoch_{objective}": scores},
            tags={"method": METHOD, "kind": "member"} | ({"failure": failure} if failure else {}),
            policy=policy.to_dict(found),
            documents={"lineage.json": {"lineage": steps}},
            picture=picture(found, self._examples, columns=8),
        )


def _shares(groups: Sequence[Sequence[Trial]], slots: int) -> Iterator[Sequence[Sequence[Trial]]]:
    """The groups divided among the slots, as evenly as they can be."""
    count = min(slots, len(groups))
    for k in range(count):
        yield groups[k * len(groups) // count : (k + 1) * len(groups) // count]
