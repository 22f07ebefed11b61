"""Stage 3: every arm of the table, trained on fresh seeds."""

import sys

from prefect import flow
from prefect.task_runners import ProcessPoolTaskRunner

from augsearch.settings import load
from flows.interrupts import follow_the_flow
from tasks.errors import mendable
from tasks.retrain import open_retraining
from tasks.slots import free_slots, warn_of_slow_precision


@flow(name="retrain", task_runner=ProcessPoolTaskRunner(initializer=follow_the_flow))  # type: ignore[arg-type]  # its future type is invariant
@mendable
def retrain(params: str = "params.yaml") -> None:
    settings = load(params)
    slots = free_slots(settings.workers)
    warn_of_slow_precision(settings, slots)
    with open_retraining(settings, slots) as retraining:
        retraining.run()
        retraining.register_champion()


if __name__ == "__main__":  # the same as `python -m flows retrain`, which starts its slots a little faster
    from flows.__main__ import main

    sys.exit(main(["retrain", *sys.argv[1:]]))
