"""Stage 2: each search method proposes policies, and its trials are mapped onto the workers."""

from prefect import flow

from augsearch.evidence.arms import Sources
from augsearch.search.loop import SearchOutcome
from augsearch.search.methods import run_search
from augsearch.search.record import save_searches
from tasks.errors import mendable
from tasks.observers import search_observers
from tasks.stage import open_stage


@flow(name="search")
@mendable
def search(params: str = "params.yaml") -> None:
    """Write models/search.json and models/policies/."""
    with open_stage(params, limited=True) as stage:
        expert = Sources(stage.workspace, stage.settings).expert()
        outcomes: dict[str, SearchOutcome] = {}
        for method in stage.settings.search.methods:
            with search_observers(method, stage) as observers:
                outcomes[method] = run_search(method, stage.settings, stage.workspace, stage.evaluator, observers, expert)
        save_searches(outcomes, stage.workspace)
