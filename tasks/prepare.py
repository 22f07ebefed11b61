"""The data set, prepared."""

from prefect import get_run_logger, task
from prefect.cache_policies import NO_CACHE

from augsearch.data.info import DatasetInfo
from augsearch.data.prepare import prepare
from augsearch.data.prepared import save
from augsearch.settings import DatasetSettings
from tasks import paths


@task(cache_policy=NO_CACHE)
def prepare_data(settings: DatasetSettings) -> DatasetInfo:
    parts, info = prepare(settings)
    save(parts, info, paths.DATA)
    for note in info.notes:
        get_run_logger().warning(f"{info.name}: {note}")
    return info
