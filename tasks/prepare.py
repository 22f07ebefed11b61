"""The data set, prepared."""

from prefect import get_run_logger, task
from prefect.cache_policies import NO_CACHE

from augsearch import datasets
from augsearch.config import DatasetSettings
from tasks import paths


@task(cache_policy=NO_CACHE)
def prepare_data(settings: DatasetSettings) -> None:
    parts, card = datasets.prepare(settings)
    datasets.save(parts, card, paths.DATA)
    sizes = ", ".join(f"{len(part)} {split}" for split, part in parts.items())
    shape = f"{card.channels}x{card.height}x{card.width}"
    get_run_logger().info(f"{card.name}: {sizes}; {len(card.classes)} classes, {shape}; {card.fingerprint[:12]}")
