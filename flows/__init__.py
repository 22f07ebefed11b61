"""The order of work, and nothing else: one flow for each DVC stage, and `pipeline`, which chains them.

Importing this package sets what has to be in the environment before torch, Prefect and MLflow start; whatever
is set already stays.
"""

import os
import sys
from importlib.util import find_spec
from urllib.request import getproxies

STAGES = ("prepare", "search", "retrain", "tabulate")
"""In their order; dvc.yaml has a stage of each name."""

_DEFAULTS = {
    # Two busy threads on two shared cores cost up to a hundred times; trials run side by side instead.
    "OMP_NUM_THREADS": "1",
    # No telemetry unless somebody asks for it.
    "DO_NOT_TRACK": "1",
    "PREFECT_SERVER_ANALYTICS_ENABLED": "false",
    "MLFLOW_DISABLE_TELEMETRY": "true",
    "DVC_NO_ANALYTICS": "1",
    # A busy machine needs longer than the default 20 seconds to start a temporary server.
    "PREFECT_SERVER_EPHEMERAL_STARTUP_TIMEOUT_SECONDS": "180",
    # Each trial has a line of its own from the flow; two more for each task say nothing new.
    "PREFECT_LOGGING_LOGGERS_PREFECT_TASK_RUNS_LEVEL": "WARNING",
    "PREFECT_LOGGING_LOGGERS_PREFECT_FLOW_RUNS_LEVEL": "INFO",
    "PREFECT_LOGGING_TO_API_WHEN_MISSING_FLOW": "ignore",
}
for _name, _value in _DEFAULTS.items():
    os.environ.setdefault(_name, _value)

_LOOPBACK = "127.0.0.1,localhost,::1"


def _reach_loopback_directly() -> None:
    """A temporary Prefect server listens on this machine: no proxy can pass requests on to it."""
    exempt = getproxies().get("no", "")
    if "*" not in exempt:
        exempt = ",".join(filter(None, [exempt, _LOOPBACK]))
        os.environ.update(no_proxy=exempt, NO_PROXY=exempt)  # the lower-case one decides, where there are both
    if find_spec("socksio") is None:  # httpx, Prefect's client, then refuses to start, whatever it is to reach
        for name in [n for n in os.environ if n.lower().endswith("_proxy") and os.environ[n].startswith("socks")]:
            del os.environ[name]


if any(_kind != "no" for _kind in getproxies()):
    _reach_loopback_directly()

# Prefect puts the folder of an entrypoint on the path, where our `tabulate` would pass for the package of that name.
_HERE = os.path.dirname(os.path.abspath(__file__))
sys.path[:] = [folder for folder in sys.path if os.path.abspath(folder) != _HERE]
