"""Stage 4: the held-out test split is read, once, and the table made."""

from augsearch.evidence.tabulation import tabulate as tabulate_models
from prefect import flow

from augsearch.evidence.testing import confusions_of_models
from tasks.errors import mendable
from tasks.showing import show_table
from tasks.stage import open_stage


@flow(name="tabulate")
@mendable
def tabulate(params: str = "params.yaml") -> None:
    """Write reports/, and show it in Prefect and MLflow."""
    with open_stage(params) as stage:
        confusions = confusions_of_models(stage.settings, stage.workspace, stage.evaluator)
        show_table(tabulate_models(stage.settings, params, stage.workspace, confusions), stage)
