"""The four stages as one flow: what a deployment runs. DVC is told afterwards what they made."""

import sys

from prefect import flow

from flows.prepare import prepare
from flows.retrain import retrain
from flows.search import search
from flows.tabulate import tabulate
from tasks.errors import mendable
from tasks.versioning import record


@flow(name="pipeline")
@mendable
def pipeline(params: str = "params.yaml") -> None:
    prepare(params)
    search(params)
    retrain(params)
    tabulate(params)
    record()


if __name__ == "__main__":  # the same as `python -m flows pipeline`, which starts its slots a little faster
    from flows.__main__ import main

    sys.exit(main(["pipeline", *sys.argv[1:]]))
