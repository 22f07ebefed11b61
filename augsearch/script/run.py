"""One trial of one's own training script: a process of its own, from what is asked to what came of it.

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
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from augsearch import trial
from augsearch.journal import code_version, fingerprint
from augsearch.policy import Policy, to_dict
from augsearch.script import command, guard
from augsearch.settings import Settings
from augsearch.training.training import TrialResult

_LAST_LINES = 10
_WIDEST = 200


def run_script(
    policy: Policy | None, params: Mapping[str, Any], seed: int, settings: Settings, log: Path, device: str
) -> TrialResult:
    """Run the script of `search.objective` once.

    log: where its output goes. Beside it comes the file that AUGSEARCH_TRIAL names, by which the trial can be run again
    by hand, and the file with the scores.
    """
    started, clock = time.time(), time.perf_counter()
    log.parent.mkdir(parents=True, exist_ok=True)
    asked = log.with_suffix(".json")
    device, shown = _own_gpu(device)
    told = trial.describe(asked, params, None if policy is None else to_dict(policy), seed, device)
    environment = command.environment() | shown | {trial.VARIABLE: str(asked.resolve())}
    failure = _run(command.command(settings.search.objective), environment, log, settings.search.trial_timeout)
    scores, final = _read(told)
    seconds = time.perf_counter() - clock
    if failure is None and final is None:
        failure = "ended without a call of finish(score)"
    if failure is None:
        return TrialResult(final, scores, seconds, started, epochs=len(scores))
    output = last_lines(log)
    reason = ": ".join([failure, *output[-1:]])
    return TrialResult(None, scores, seconds, started, f"{reason} ({log})", epochs=len(scores), output=output)


def script_fingerprint(settings: Settings, **more: object) -> str:
    """Of everything that a script's outcome depends on, as far as it is known: the files it names, seed, code."""
    return fingerprint(
        objective=settings.search.objective,
        sources=command.sources(settings.search.objective),
        seed=settings.seed,
        code=code_version(),
        **more,
    )


def _own_gpu(device: str) -> tuple[str, dict[str, str]]:
    """The device as the script will see it, and the environment that hides all other GPUs from it."""
    kind, _, index = device.partition(":")
    if kind != "cuda" or not index:
        return device, {}
    visible = os.environ.get("CUDA_VISIBLE_DEVICES", "")
    return "cuda:0", {"CUDA_VISIBLE_DEVICES": visible.split(",")[int(index)] if visible else index}


def _run(command: list[str], environment: dict[str, str], log: Path, limit: float | None) -> str | None:
    """Why it failed, None if it did not. Its whole process group has ended then."""
    guarded = [sys.executable, "-I", "-S", guard.__file__, *command]
    with (
        log.open("wb") as output,
        subprocess.Popen(
            guarded, stdin=subprocess.PIPE, stdout=output, stderr=output, env=environment, start_new_session=True
        ) as process,  # on leaving, its standard input closes, and it is waited for
    ):
        try:
            return _said(process.wait(limit))
        except subprocess.TimeoutExpired:
            return f"longer than search.trial_timeout ({limit:g})"


def _said(code: int) -> str | None:
    if code == 0:
        return None
    try:
        return f"exit code {code} ({signal.Signals(code - 128).name})"
    except ValueError:
        return f"exit code {code}"


def _read(told: Path) -> tuple[tuple[float, ...], float | None]:
    """The score after each epoch, in the order reported, and the final one; None if none came."""
    scores: list[float] = []
    final: float | None = None
    for line in told.read_text().splitlines() if told.exists() else ():
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
    """Of an output that may be anything: the last lines that are not empty, fit to be printed."""
    with log.open("rb") as file:
        file.seek(max(file.seek(0, os.SEEK_END) - 20 * _WIDEST * _LAST_LINES, 0))
        text = file.read().decode(errors="replace")
    plain = ("".join(c if c.isprintable() else " " for c in line).rstrip()[:_WIDEST] for line in text.splitlines())
    return tuple(line for line in plain if line)[-_LAST_LINES:]
