"""Stage 4: the sealed test part is read, once, and the table made."""

import sys

from prefect import flow, get_run_logger
from prefect.task_runners import ProcessPoolTaskRunner

from augsearch.settings import load
from flows.interrupts import follow_the_flow
from tasks.errors import mendable
from tasks.originals import claims
from tasks.report import report
from tasks.script_table import publish_script
from tasks.slots import free_slots
from tasks.tabulate import evaluate, publish


@flow(name="tabulate", task_runner=ProcessPoolTaskRunner(initializer=follow_the_flow))  # type: ignore[arg-type]  # its future type is invariant
@mendable
def tabulate(params: str = "params.yaml") -> None:
    settings = load(params)
    if settings.search.own_script:
        table = publish_script(settings)
    else:
        originals = claims(settings, free_slots(settings.workers)) if settings.table.originals_rule else {}
        table = publish(evaluate(settings), originals, settings)
        report(table, settings, params)
    get_run_logger().info(f"the table, with its report in reports/index.html:\n{table}")


if __name__ == "__main__":  # the same as `python -m flows tabulate`, which starts its slots a little faster
    from flows.__main__ import main

    sys.exit(main(["tabulate", *sys.argv[1:]]))
