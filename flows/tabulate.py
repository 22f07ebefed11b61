"""Stage 4: the sealed test part is read, once, and the table made."""

import sys

from prefect import flow, get_run_logger

from augsearch.config import load
from tasks.errors import mendable
from tasks.report import report
from tasks.tabulate import evaluate, publish


@flow(name="tabulate")
@mendable
def tabulate(params: str = "params.yaml") -> None:
    settings = load(params)
    table = publish(evaluate(settings), settings)
    report(table, settings, params)
    get_run_logger().info(f"the table, with its report in reports/index.html:\n{table}")


if __name__ == "__main__":  # the same as `python -m flows tabulate`, which starts its slots a little faster
    from flows.__main__ import main

    sys.exit(main(["tabulate", *sys.argv[1:]]))
