"""Stage 1: the data set that params.yaml names, packed, split and fingerprinted, into data/."""

import sys

from prefect import flow, get_run_logger

from augsearch.settings import load
from tasks.errors import mendable
from tasks.prepare import prepare_data


@flow(name="prepare")
@mendable
def prepare(params: str = "params.yaml") -> None:
    info = prepare_data(load(params).dataset)
    get_run_logger().info(str(info))


if __name__ == "__main__":  # the same as `python -m flows prepare`, which starts its slots a little faster
    from flows.__main__ import main

    sys.exit(main(["prepare", *sys.argv[1:]]))
