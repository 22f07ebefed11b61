"""Where a result comes from: the commit, the versions, the hardware, the data."""

from __future__ import annotations

import os
import platform
import subprocess
from importlib.metadata import version
from pathlib import Path

import torch

from augsearch.data.info import DatasetInfo

_PACKAGES = ("torch", "torchvision", "scikit-optimize", "prefect", "mlflow", "dvc")


def provenance(info: DatasetInfo) -> dict[str, str]:
    """One line for each thing that somebody would need to make the result again."""
    return {
        "commit": commit(),
        "hardware": hardware(),
        "versions": f"Python {platform.python_version()}, " + ", ".join(f"{name} {version(name)}" for name in _PACKAGES),
        "data": data_line(info),
    }


def data_line(info: DatasetInfo) -> str:
    return f"{info.name}: {info.source}; SHA-256 {info.fingerprint[:16]}"


def commit() -> str:
    """The checkout's commit, and whether files differ from it."""

    def git(*words: str) -> str:
        return subprocess.run(["git", *words], capture_output=True, text=True, check=True).stdout.strip()

    try:
        # dvc.lock is what a run itself writes
        changed = git("status", "--porcelain", "--untracked-files=no", "--", ".", ":!dvc.lock")
        return git("rev-parse", "--short=12", "HEAD") + (" with uncommitted changes" if changed else "")
    except (OSError, subprocess.CalledProcessError):
        return "not in a git checkout"


def hardware() -> str:
    if torch.cuda.is_available():
        return f"{torch.cuda.device_count()} x {torch.cuda.get_device_name(0)}"
    cores = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count()
    return f"{cores} cores, {processor()}"


def processor() -> str:
    """The processor's name."""
    try:
        lines = Path("/proc/cpuinfo").read_text().splitlines()
    except OSError:
        return platform.processor() or platform.machine()
    return next((line.partition(":")[2].strip() for line in lines if line.startswith("model name")), platform.machine())
