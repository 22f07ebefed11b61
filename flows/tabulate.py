"""Stage 4: the held-out test split is read, once, and the table made."""

from prefect import flow

from augsearch.evidence.tabulation import publish
from augsearch.evidence.testing import tested_models
from tasks.errors import mendable
from tasks.showing import show_table
from tasks.stage import open_stage


@flow(name="tabulate")
@mendable
def tabulate(params: str = "params.yaml") -> None:
    """Write reports/, and show it in Prefect and MLflow."""
    with open_stage(params) as stage:
        rows, confusions = tested_models(stage.settings, stage.workspace, stage.evaluator)
        text = stage.workspace.resolve(params).read_text()
        show_table(publish(stage.workspace, stage.settings, text, stage.info, rows, confusions), stage)
