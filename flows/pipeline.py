"""The four stages as one flow: what a deployment runs. Their outputs are recorded in DVC at the end."""

from prefect import flow

from flows import STAGES
from flows.prepare import prepare
from flows.retrain import retrain
from flows.search import search
from flows.tabulate import tabulate
from tasks.errors import mendable
from tasks.versioning import record


@flow(name="pipeline")
@mendable
def pipeline(params: str = "params.yaml") -> None:
    """Run the four stages in their order."""
    prepare(params)
    search(params)
    retrain(params)
    tabulate(params)
    record(STAGES)
