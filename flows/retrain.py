"""Stage 3: every arm of the table, trained on fresh seeds."""

from prefect import flow

from augsearch.evidence.retraining import retrain as retrain_arms
from tasks.errors import mendable
from tasks.observers import model_observer
from tasks.stage import open_stage


@flow(name="retrain")
@mendable
def retrain(params: str = "params.yaml") -> None:
    """Write models/retrain.json, models/weights/ and models/arms/, and register the champion."""
    with open_stage(params) as stage, model_observer(stage) as observer:
        observer.champion(retrain_arms(stage.settings, stage.workspace, stage.evaluator, observer))
