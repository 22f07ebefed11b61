"""The tasks that run on slots, in processes of their own: no more is imported here than a training needs."""

from __future__ import annotations

import time
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import torch
from prefect import task
from prefect.cache_policies import NO_CACHE

from augsearch.errors import SearchError
from augsearch.evidence import arms
from augsearch.files import replacing
from augsearch.policy import Augmentation, Policy
from augsearch.population import MemberRound, Surroundings, run_round
from augsearch.script.run import run_script
from augsearch.settings import Settings
from augsearch.training.metrics import OBJECTIVES
from augsearch.training.training import TrialResult, run_trial, train_policy
from tasks import paths


@task(name="trial", task_run_name="{name}", cache_policy=NO_CACHE)
def trial_task(
    name: str, policy: Policy | None, seed: int, settings: Settings, params: Mapping[str, Any], log: Path, device: str
) -> TrialResult:
    """One training of one policy on one slot. `params` and `log` are for one's own script alone."""
    if settings.search.own_script:
        return run_script(policy, params, seed, settings, log, device)
    return run_trial(policy, seed, settings, paths.DATA, device)


@task(name="members", task_run_name="{name}", cache_policy=NO_CACHE)
def members_task(name: str, groups: Sequence[Sequence[MemberRound]], where: Surroundings, device: str) -> list[TrialResult]:
    """Some of a population's members, for one round, on one slot."""
    return run_round(groups, where, device)


def weights_file(arm: str, repeat: int) -> Path:
    return paths.WEIGHTS / f"{arms.file_name(arm)}-{repeat}.pt"


def policy_file(arm: str) -> Path:
    return paths.ARMS / f"{arms.file_name(arm)}.json"


@task(name="retraining", task_run_name="{arm} {repeat}", cache_policy=NO_CACHE)
def retrain_script_task(
    arm: str,
    repeat: int,
    policy: Policy | None,
    seed: int,
    settings: Settings,
    params: Mapping[str, Any],
    log: Path,
    device: str,
) -> dict[str, Any]:
    """Run one's own script for one arm once.

    Raises:
        SearchError: it failed; with its reason.
    """
    result = run_script(policy, params, seed, settings, log, device)
    if result.score is None:
        raise SearchError(str(result.failure))
    score = {f"val_{settings.search.measure}": result.score}
    return {**score, "accuracy": result.accuracy, "seconds": result.seconds, "started": result.started}


@task(name="retraining", task_run_name="{arm} {repeat}", cache_policy=NO_CACHE)
def retrain_task(
    arm: str, repeat: int, policy: Augmentation | None, seed: int, settings: Settings, device: str
) -> dict[str, Any]:
    """Train one arm once and keep its weights."""
    started = time.time()
    trained = train_policy(policy, seed, settings, paths.DATA, device)
    state = {name: value.cpu() for name, value in trained.model.state_dict().items()}
    with replacing(weights_file(arm, repeat)) as temporary:
        torch.save(state, temporary)
    last = {f"val_{objective}": round(trained.scores(objective)[-1], 6) for objective in OBJECTIVES}
    accuracy = [round(a, 6) for a in trained.accuracy]
    cost = {"epochs": settings.train.epochs, "seconds": trained.seconds}
    return {**last, "accuracy": accuracy, **cost, "started": started}
