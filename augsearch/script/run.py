"""One run of a user's own training script: a value with a key, and a process of its own to compute its outcome.

Whatever the script does, crash, hang, fill its output with garbage, is a failed trial and not the end of the search;
whatever happens to the search, the script does not outlive it (`augsearch.script.guard`).
"""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any, Self

from augsearch import trial
from augsearch.environment import environment
from augsearch.fingerprint import fingerprint
from augsearch.job import Bench, Outcome
from augsearch.outcome import Failure, FailureKind, Result
from augsearch.policy import ALGORITHM_VERSION as POLICY_VERSION
from augsearch.policy import Policy, to_dict
from augsearch.script import command, guard

_LAST_LINES = 10
_WIDEST = 200


@dataclass(frozen=True)
class ScriptRun:
    """One run of a user's script: its parameters, policy and seed."""

    objective: str
    """The function or command, as `search.objective` has it."""
    params: str
    """JSON of the searched settings by name."""
    policy: Policy | None
    seed: int
    platform: str
    """The kind of device, "cpu" or "cuda"."""

    @cached_property
    def key(self) -> str:
        """SHA-256 over the fields, the files that the objective names, and how policies are applied."""
        return fingerprint(**self.describe())

    @property
    def required(self) -> None:
        """A script keeps its own files."""

    @property
    def continues(self) -> None:
        """A script begins at the beginning."""

    def describe(self) -> dict[str, Any]:
        """Describe it for people who look into the store."""
        return {
            "kind": "script",
            "objective": self.objective,
            "sources": command.sources(self.objective),
            "params": self.params,
            "policy": self.policy and to_dict(self.policy),
            "seed": self.seed,
            "platform": self.platform,
            "versions": {"policy": POLICY_VERSION},
        }

    @classmethod
    def read(cls, data: Mapping[str, Any]) -> Result:
        """The result that the store holds."""
        return Result.read(data)

    @classmethod
    def run(cls, jobs: Sequence[Self], bench: Bench) -> list[Outcome]:
        """Run the script once for each job, in the workspace's folder."""
        return [_run(job, bench) for job in jobs]


def log_of(logs: Path, key: str) -> Path:
    """The path of a run's output.

    Beside it comes the file that AUGSEARCH_TRIAL names, by which the run can be repeated by hand, and the file with the scores.
    """
    return logs / f"{key[:16]}.log"


def _run(job: ScriptRun, bench: Bench) -> Outcome:
    started, clock = time.time(), time.perf_counter()
    log = log_of(bench.workspace.logs, job.key)
    log.parent.mkdir(parents=True, exist_ok=True)
    asked = log.with_suffix(".json")
    device, shown = _own_gpu(bench.device)
    scores_file = trial.describe(
        asked, json.loads(job.params), None if job.policy is None else to_dict(job.policy), job.seed, device
    )
    variables = command.environment() | shown | {trial.VARIABLE: str(asked)}
    kind, reason = _end_of(command.command(job.objective), variables, log, bench)
    scores, final = _read(scores_file)
    seconds = time.perf_counter() - clock
    if reason is None and final is None:
        reason = "ended without a call of finish(score)"
    if reason is None:
        curve = tuple(enumerate(scores, 1))
        return Result(curve, seconds, started, environment(bench.device), epochs=len(scores), score=final)
    output = last_lines(log)
    message = f"{': '.join([reason, *output[-1:]])} ({os.path.relpath(log, bench.workspace.root)})"
    return Failure(kind, message, seconds, started, environment(bench.device), len(scores), bench.timeout, output)


def _own_gpu(device: str) -> tuple[str, dict[str, str]]:
    """The device as the script will see it, and the environment that hides all other GPUs from it."""
    kind, _, index = device.partition(":")
    if kind != "cuda" or not index:
        return device, {}
    visible = os.environ.get("CUDA_VISIBLE_DEVICES", "")
    return "cuda:0", {"CUDA_VISIBLE_DEVICES": visible.split(",")[int(index)] if visible else index}


def _end_of(words: list[str], variables: dict[str, str], log: Path, bench: Bench) -> tuple[FailureKind, str | None]:
    """Why it failed, None if it did not. Its whole process group has ended then."""
    guarded = [sys.executable, "-I", "-S", guard.__file__, *words]
    with (
        log.open("wb") as output,
        subprocess.Popen(
            guarded,
            stdin=subprocess.PIPE,
            stdout=output,
            stderr=output,
            env=variables,
            cwd=bench.workspace.root,
            start_new_session=True,
        ) as process,  # on leaving, its standard input closes, and it is waited for
    ):
        try:
            return "script", _ended_with(process.wait(bench.timeout))
        except subprocess.TimeoutExpired:
            return "out of time", f"longer than search.trial_timeout ({bench.timeout:g})"


def _ended_with(code: int) -> str | None:
    if code == 0:
        return None
    try:
        return f"exit code {code} ({signal.Signals(code - 128).name})"
    except ValueError:
        return f"exit code {code}"


def _read(scores_file: Path) -> tuple[tuple[float, ...], float | None]:
    """The reported scores in their order, and the final one; None if none came."""
    scores: list[float] = []
    final: float | None = None
    for line in scores_file.read_text().splitlines() if scores_file.exists() else ():
        try:
            record = json.loads(line)
        except ValueError:  # killed while it wrote
            break
        if "final" in record:
            final = record["final"]
        else:
            scores.append(record["score"])
    return tuple(scores), final


def last_lines(log: Path) -> tuple[str, ...]:
    """The last lines of an output that may be anything: those that are not empty, fit to be printed."""
    with log.open("rb") as file:
        file.seek(max(file.seek(0, os.SEEK_END) - 20 * _WIDEST * _LAST_LINES, 0))
        text = file.read().decode(errors="replace")
    plain = ("".join(c if c.isprintable() else " " for c in line).rstrip()[:_WIDEST] for line in text.splitlines())
    return tuple(line for line in plain if line)[-_LAST_LINES:]
