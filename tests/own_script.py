"""A training script as a user may have it, with everything that can go wrong; test_own_script.py runs it."""

import os
import subprocess
import sys
import time
from pathlib import Path

from augsearch import trial


def train(trial: trial.RunningTrial) -> float:
    mood = trial.params.get("mood", "fine")
    print("feeling", mood)
    if mood == "crash":
        raise RuntimeError("out of luck")
    if mood == "abort":
        os.abort()
    if mood == "hang":  # with children of its own, one of which has left its process group
        for apart in (False, True):
            child = subprocess.Popen([sys.executable, "-c", "import time; time.sleep(600)"], start_new_session=apart)
            with Path("children.txt").open("a") as file:
                file.write(f"{child.pid}\n")
        time.sleep(600)
    if mood == "nan":
        trial.report(0, float("nan"))
    if mood == "garbage":
        os.write(1, bytes(range(256)) * 1000)
    trial.report(0, 0.25)
    trial.report(1, 0.5)
    return 10 * trial.params.get("lr", 0) - trial.seed % 2


if __name__ == "__main__":
    own = trial.current()
    score = train(own)
    if own.params.get("mood") != "silent":
        trial.finish(score)
