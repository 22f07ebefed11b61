"""A policy on images, a strip for each sub-policy: pixels as a data URI, words as text, for a page to set."""

from __future__ import annotations

import base64
import io
from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
import torch
from PIL import Image

from augsearch.policy import Policy, Schedule
from augsearch.policy.augment import Augment
from augsearch.policy.pictures import Images, as_picture, describe_sub_policy

_LARGEST = 96  # pixels; larger images are shown as small as this
_MOST = 30  # strips of one policy
_EPOCHS = 6  # of a schedule


@dataclass(frozen=True)
class Strip:
    """A row of images."""

    label: tuple[str, ...]
    """The sub-policy's operations, or the epoch."""
    uri: str
    """The images in a row, a data URI."""


def strips(item: Policy | Schedule, images: Images, seed: int = 0) -> tuple[Strip, ...]:
    """The images as they are, then each sub-policy (at most 30, evenly spaced), or six epochs of a schedule.

    images: (N, C, H, W) uint8.
    """
    drawn = [Strip(("original",), _data_uri(images))]
    for label, augment, epoch in _augments(item, seed):
        drawn.append(Strip(label, _data_uri(augment(torch.from_numpy(images), epoch=epoch).numpy())))
    return tuple(drawn)


def _augments(item: Policy | Schedule, seed: int) -> Iterator[tuple[tuple[str, ...], Augment, int]]:
    """A label, what augments the images, and at which epoch."""
    if isinstance(item, Schedule):
        for epoch in _spread(item.epochs, _EPOCHS):
            yield (f"epoch {epoch}",), Augment(item, seed=seed), epoch
        return
    for i in _spread(len(item.sub_policies), _MOST):
        alone = Policy((item.sub_policies[i],), item.dialect, item.draw)
        yield tuple(describe_sub_policy(item.sub_policies[i]).split(" + ")), Augment(alone, seed=seed + i), 0


def _spread(count: int, most: int) -> list[int]:
    return [int(i) for i in np.linspace(0, count - 1, min(count, most)).round()]


def _data_uri(row: Images) -> str:
    """(N, C, H, W) images side by side with a transparent pixel between them, as PNG."""
    shown = [as_picture(image, min(image.shape[-1], _LARGEST)) for image in row]
    sheet = Image.new("RGBA", (sum(image.width + 1 for image in shown) - 1, shown[0].height))
    for i, image in enumerate(shown):
        sheet.paste(image, (i * (image.width + 1), 0))
    with io.BytesIO() as file:
        sheet.save(file, "png", optimize=True)
        return "data:image/png;base64," + base64.b64encode(file.getvalue()).decode()


def examples(images: Images, labels: np.ndarray, columns: int = 8) -> Images:
    """One image of each of some classes, spread over all of them; (columns, C, H, W), or fewer where there are fewer."""
    _, first = np.unique(labels, return_index=True)
    chosen = first[_spread(len(first), columns)]
    more = np.setdiff1d(np.arange(min(len(images), 2 * columns)), chosen)[: columns - len(chosen)]
    return np.ascontiguousarray(images[np.concatenate([chosen, more])])
