"""The table, shown in Prefect and MLflow."""

from __future__ import annotations

import base64

from prefect import get_run_logger
from prefect.artifacts import create_image_artifact, create_markdown_artifact, create_table_artifact

from augsearch.evidence.tabulation import Published
from tasks.stage import Stage
from tasks.tracking import track_table


def show_table(published: Published, stage: Stage) -> None:
    """Artifacts in Prefect, and a run in MLflow with every file of reports/."""
    page = stage.workspace.reports / "index.html"
    create_table_artifact(key="results", table=published.summary, description="Score of each arm")
    points = "\n".join(f"- {point}" for point in published.points)
    create_markdown_artifact(f"{published.lead}\n\n{published.table}\n\n{points}\n", key="report", description=str(page))
    for file in published.files:
        if file.parent.name == "figures":
            kind = "svg+xml" if file.suffix == ".svg" else "png"
            uri = f"data:image/{kind};base64,{base64.b64encode(file.read_bytes()).decode()}"
            key = "figure-" + "".join(c if c.isalnum() else "-" for c in file.stem.lower())
            create_image_artifact(uri, key=key, description=str(file))
    track_table(stage.workspace, stage.objective.name, published.key, published.files, published.metrics)
    get_run_logger().info(f"the table, with its report in {page}:\n{published.table}")
