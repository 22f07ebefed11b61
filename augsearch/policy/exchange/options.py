"""Options of an import besides its source."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class Options:
    """The options of the command `augsearch policy import`; an importer takes those that it needs."""

    epochs: int | None = None
    """PBA: how many epochs a schedule is stretched to; as many as the search had when absent."""
    search_epochs: int = 200
    """PBA: how many epochs the search trained for, which a log does not say (CIFAR-10 200, SVHN 160)."""
    trial: str | None = None
    """PBA: the trial whose schedule to follow in a log of all trials."""
    size: tuple[int, int] = (32, 32)
    """Height and width of the images in pixels, where a translation is stated in parts of it."""
