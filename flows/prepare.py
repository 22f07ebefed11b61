"""Stage 1: the data set that params.yaml names, packed, split and fingerprinted, into data/."""

from prefect import flow

from augsearch.config import load
from flows import stage
from tasks.prepare import prepare_data


@flow(name="prepare")
def prepare(params: str = "params.yaml") -> None:
    prepare_data(load(params).dataset)


if __name__ == "__main__":
    stage.run(prepare)
