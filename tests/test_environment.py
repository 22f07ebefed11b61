"""The cores that a container's limit leaves."""

from pathlib import Path

import pytest

from augsearch import environment


@pytest.mark.parametrize(
    ("own", "files", "cpus"),
    [
        ("0::/", {"cpu.max": "200000 100000"}, 2),
        ("0::/", {"cpu.max": "max 100000"}, None),
        ("0::/", {"cpu.max": "50000 100000"}, 0.5),
        ("0::/", {}, None),
        ("0::/a/b", {"a/b/cpu.max": "max 100000", "a/cpu.max": "300000 100000"}, 3),  # the group around it limits, too
        ("0::/a/b", {"a/b/cpu.max": "400000 100000", "a/cpu.max": "150000 100000"}, 1.5),
        ("0::/a", {"b/cpu.max": "100000 100000"}, None),  # another's
        ("0::/host/path", {"cpu.max": "100000 50000"}, 2),  # a path of the host's, seen from inside
        ("0::/../../x", {"cpu.max": "100000 100000"}, 1),
        ("4:cpu,cpuacct:/", {"cpu,cpuacct/cpu.cfs_quota_us": "250000", "cpu,cpuacct/cpu.cfs_period_us": "100000"}, 2.5),
        ("4:cpu:/a", {"cpu/a/cpu.cfs_quota_us": "100000", "cpu/a/cpu.cfs_period_us": "100000"}, 1),
        ("4:cpu,cpuacct:/a", {"cpu/cpu.cfs_quota_us": "-1", "cpu/cpu.cfs_period_us": "100000"}, None),
        ("4:cpuset:/a", {"cpu/a/cpu.cfs_quota_us": "100000", "cpu/a/cpu.cfs_period_us": "100000"}, None),
        ("1:cpu:/\n0::/u", {"unified/u/cpu.max": "700000 100000"}, 7),
        ("0::/", {"cpu.max": ""}, None),
        ("0::/", {"cpu.max": "100000 0"}, None),
        ("nonsense", {"cpu.max": "100000 100000"}, 1),
        (None, {"cpu.max": "100000 100000"}, 1),
    ],
)
def test_quota_of_the_control_groups(own: str | None, files: dict[str, str], cpus: float | None, tmp_path: Path) -> None:
    mounted = tmp_path / "cgroup"
    for name, text in files.items():
        (mounted / name).parent.mkdir(parents=True, exist_ok=True)
        (mounted / name).write_text(f"{text}\n")
    if own is not None:
        (tmp_path / "own").write_text(f"{own}\n")
    assert environment.cgroup_limit(mounted, tmp_path / "own") == cpus


@pytest.mark.parametrize(("limit", "cores"), [(None, 8), (0.5, 1), (2.7, 2), (64, 8)])
def test_cores_are_whole_and_at_least_one(limit: float | None, cores: int, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(environment.os, "sched_getaffinity", lambda pid: set(range(8)))
    monkeypatch.setattr(environment, "cgroup_limit", lambda: limit)
    assert environment.cores() == cores
