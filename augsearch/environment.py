"""The environment of a result: the commit, the versions, the hardware, the device."""

from __future__ import annotations

import os
import platform
import subprocess
from dataclasses import dataclass
from functools import cache
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path

_PACKAGES = ("augsearch", "torch", "numpy", "scipy", "scikit-optimize")


@dataclass(frozen=True)
class Environment:
    """The environment in which a result was made: with the settings and the data, enough to make it again."""

    commit: str
    versions: str
    hardware: str
    device: str


@cache
def environment(device: str) -> Environment:
    """This process's, for a training on `device`."""
    return Environment(commit(), versions(), hardware(device), device.partition(":")[0])


@cache
def commit() -> str:
    """The commit of the code that runs, and whether its files differ from it; "not in a git checkout" for a package."""
    root = Path(__file__).parent.parent

    def git(*words: str) -> str:
        return subprocess.run(["git", "-C", str(root), *words], capture_output=True, text=True, check=True).stdout.strip()

    try:
        code = ("augsearch", "tasks", "flows")
        if not git("ls-files", "--", *code):
            return "not in a git checkout"
        changed = git("status", "--porcelain", "--untracked-files=no", "--", *code)
        return git("rev-parse", "--short=12", "HEAD") + (" with uncommitted changes" if changed else "")
    except (OSError, subprocess.CalledProcessError):
        return "not in a git checkout"


def versions() -> str:
    """Python's and the packages' that decide numbers."""
    return f"Python {platform.python_version()}, " + ", ".join(f"{name} {_version(name)}" for name in _PACKAGES)


def _version(name: str) -> str:
    try:
        return version(name)
    except PackageNotFoundError:
        return "absent"


def hardware(device: str = "cpu") -> str:
    """The GPU's name, or the number of cores and the processor's name."""
    if device.startswith("cuda"):
        import torch

        return torch.cuda.get_device_name(device) if torch.cuda.is_available() else f"{device}, seen by the script alone"
    return f"{cores()} cores, {processor()}"


def cores() -> int:
    """Cores that this process may use: its affinity, and the CPU limit of its container."""
    count = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
    limit = cgroup_limit()
    return count if limit is None else max(min(count, int(limit)), 1)


def cgroup_limit(mounted: Path = Path("/sys/fs/cgroup"), own: Path = Path("/proc/self/cgroup")) -> float | None:
    """CPUs by the quotas of this process's control group and of those around it, version 2 or 1; None without one.

    Args:
        own: its lines are HIERARCHY:CONTROLLERS:PATH, with no controllers in version 2. Inside a container the path may be
            the host's, which is not mounted there: the mounted root is the container's own group then.
    """
    try:
        lines = [line.split(":", 2) for line in own.read_text().splitlines()]
    except OSError:
        lines = []
    groups = [(mounted, ""), (mounted / "cpu", "")]
    for _, controllers, path in (line for line in lines if len(line) == 3):
        if not controllers or "cpu" in controllers.split(","):
            groups += [
                (mounted / folder, path.strip("/")) for folder in {controllers, "cpu" if controllers else "unified"} | {""}
            ]
    around = {root / group for root, path in groups for group in (Path(path), *Path(path).parents)}
    return min(filter(None, map(_quota, around)), default=None)


def _quota(folder: Path) -> float | None:
    """CPUs that one control group may use."""
    for files in (("cpu.max",), ("cpu.cfs_quota_us", "cpu.cfs_period_us")):
        try:
            quota, period = " ".join((folder / file).read_text() for file in files).split()
            if int(quota) > 0:  # -1: no limit
                return int(quota) / int(period)
        except (OSError, ValueError, ZeroDivisionError):  # not this version, or "max": no limit
            continue
    return None


@cache
def processor() -> str:
    """The processor's name."""
    try:
        lines = Path("/proc/cpuinfo").read_text().splitlines()
    except OSError:
        return platform.processor() or platform.machine()
    return next((line.partition(":")[2].strip() for line in lines if line.startswith("model name")), platform.machine())
