"""The data set, prepared."""

from prefect import get_run_logger, task
from prefect.cache_policies import NO_CACHE

from augsearch import datasets
from augsearch.config import DatasetSettings
from augsearch.datasets import Card
from tasks import paths


@task(cache_policy=NO_CACHE)
def prepare_data(settings: DatasetSettings) -> Card:
    parts, card = datasets.prepare(settings)
    datasets.save(parts, card, paths.DATA)
    for note in card.notes:
        get_run_logger().warning(f"{card.name}: {note}")
    return card
