"""Trainings side by side, by Prefect."""

import subprocess
import sys
from pathlib import Path

from tests.conftest import ROOT

MEETING = '''
"""Work that ends only once three of it run at the same time."""
import sys
import time
from pathlib import Path


class Meeting:
    def __init__(self, name):
        self.name = name

    @classmethod
    def run(cls, jobs, bench):
        folder = bench.workspace.root / "present"
        (folder / jobs[0].name).touch()
        end = time.monotonic() + 120
        while len(list(folder.iterdir())) < 3:
            if time.monotonic() > end:
                raise OSError("the others did not come")
            time.sleep(0.05)
        return [bench.device]


if __name__ == "__main__":
    from meeting import Meeting
    from prefect import flow

    from augsearch.devices import workers
    from augsearch.job import Bench, Work
    from augsearch.settings import WorkerSettings
    from augsearch.workspace import Workspace
    from tasks.executor import PrefectExecutor

    @flow
    def meet():
        devices = workers(WorkerSettings(per_device=3, devices=("cpu",)))
        with PrefectExecutor(devices, Bench(Workspace(Path.cwd()))) as executor:
            for name in "abcd":
                executor.submit(Work(name, (Meeting(name),)))
            print("free", executor.free)
            return sorted(f"{work.name} {outcomes[0]}" for work, outcomes in executor.completed())

    print(meet())
'''


def test_as_many_run_at_a_time_as_there_are_workers(tmp_path: Path, environment: dict[str, str], server: str) -> None:
    """Whatever number of cores there is: each would wait for the others for ever."""
    (tmp_path / "meeting.py").write_text(MEETING)
    (tmp_path / "present").mkdir()
    where = environment | {"PREFECT_API_URL": server, "PYTHONPATH": f"{ROOT}:{tmp_path}"}
    command = [sys.executable, "meeting.py"]
    done = subprocess.run(command, cwd=tmp_path, env=where, capture_output=True, text=True, timeout=200)
    assert done.returncode == 0, done.stderr[-3000:]
    assert done.stdout.splitlines() == ["free 0", "['a cpu', 'b cpu', 'c cpu', 'd cpu']"]
