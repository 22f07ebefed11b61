"""Stage 4: the sealed test part is read, once, and the table made."""

from prefect import flow

from augsearch.config import load
from flows import stage
from tasks.tabulate import evaluate, publish


@flow(name="tabulate")
def tabulate(params: str = "params.yaml") -> None:
    settings = load(params)
    publish(evaluate(settings), settings)


if __name__ == "__main__":
    stage.run(tabulate)
