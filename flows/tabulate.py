"""Stage 4: the sealed test part is read, once, and the table made."""

from prefect import flow, get_run_logger

from augsearch.config import load
from tasks.errors import mendable
from tasks.tabulate import evaluate, publish


@flow(name="tabulate")
@mendable
def tabulate(params: str = "params.yaml") -> None:
    settings = load(params)
    table = publish(evaluate(settings), settings)
    get_run_logger().info(f"the table, with its curves and pictures in reports/:\n{table}")
