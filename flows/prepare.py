"""Stage 1: the data set that params.yaml names, packed, split and fingerprinted, into data/."""

from prefect import flow, get_run_logger

from augsearch.data.prepare import prepare as prepare_data
from augsearch.data.prepared import save
from tasks.errors import mendable
from tasks.inputs import read


@flow(name="prepare")
@mendable
def prepare(params: str = "params.yaml") -> None:
    """Write data/."""
    settings, workspace = read(params)
    splits, info = prepare_data(settings.dataset, workspace.root)
    save(splits, info, workspace.data)
    for note in info.notes:
        get_run_logger().warning(f"{info.name}: {note}")
    get_run_logger().info(str(info))
