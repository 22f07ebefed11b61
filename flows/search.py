"""Stage 2: each search method proposes policies, and its trials are mapped onto the slots."""

import sys

from prefect import flow
from prefect.task_runners import ProcessPoolTaskRunner

from augsearch.settings import load
from flows.interrupts import follow_the_flow
from tasks.errors import mendable
from tasks.outcomes import Outcome, save_searches
from tasks.population import METHOD as PBA
from tasks.population import open_population
from tasks.search import open_search
from tasks.slots import free_slots, warn_of_slow_precision


@flow(name="search", task_runner=ProcessPoolTaskRunner(initializer=follow_the_flow))  # type: ignore[arg-type]  # its future type is invariant
@mendable
def search(params: str = "params.yaml") -> None:
    settings = load(params)
    slots = free_slots(settings.workers)
    warn_of_slow_precision(settings, slots)
    outcomes: dict[str, Outcome] = {}
    for method in settings.search.methods:
        opened = open_population(settings, slots) if method == PBA else open_search(method, settings, slots)
        with opened as running:
            running.run()
            outcomes[method] = running.choose()
    save_searches(outcomes)


if __name__ == "__main__":  # the same as `python -m flows search`, which starts its slots a little faster
    from flows.__main__ import main

    sys.exit(main(["search", *sys.argv[1:]]))
