"""Where everything lies, relative to the checkout; dvc.yaml names the same places."""

from pathlib import Path

DATA = Path("data")
JOURNALS = Path("models/journals")
POPULATION = Path("models/population")
LOGS = Path("models/logs")  # what one's own scripts print; no stage's output
POLICIES = Path("models/policies")
FOUND_SETTINGS = Path("models/settings.json")
SEARCHES = Path("models/search.json")
RETRAIN_JOURNAL = Path("models/retrain.jsonl")
RETRAINED = Path("models/retrain.json")
WEIGHTS = Path("models/weights")
ARMS = Path("models/arms")
ORIGINALS = Path("models/originals.jsonl")
REPORTS = Path("reports")
