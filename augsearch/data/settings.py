"""The section `dataset`: which images, and how they are split."""

from __future__ import annotations

import re
from typing import Any, Literal

from pydantic import Field, field_validator, model_validator

from augsearch.section import Section

MIN_SIDE = 4
"""The smallest height and width of an image, in pixels."""
BY_FOLDER = "folder"
"""The rule `groups` by sub-folder; every other is a regular expression."""


class DatasetSettings(Section):
    """Which images, and how they are split. Exactly one of `name`, `npz` and `folder` is set."""

    name: str | None = None
    """A built-in data set, such as digits or cifar10, or a function of your own, `my_module:my_function`."""
    npz: str | None = None
    """A file in MedMNIST's layout, relative to `root` (or an absolute path)."""
    folder: str | None = None
    """A folder of pictures, relative to `root` (or an absolute path): train, val and test folders of class folders,
    or class folders alone."""
    layout: Literal["auto", "classes", "splits"] = "auto"
    """Outermost folders in `folder`: classes, or splits with the classes inside; auto: as their names tell, and refused
    where they do not."""
    root: str = "data/raw"
    """The folder of your own data, relative to the workspace. DVC watches it: a change there makes `prepare` run again."""
    download: bool = False
    """Let torchvision fetch a published data set into `root`."""
    size: tuple[int, int] | None = None
    """Height and width in pixels (one number: both) that images are resized to; null: as they are."""
    fit: Literal["crop", "stretch"] = "crop"
    """Resizing of an image with other proportions: its center, or all of it squeezed."""
    grayscale: bool | None = None
    """Channels of a folder's pictures: one (true), three (false); null: one where every picture is gray."""
    depth: Literal["refuse", "bits", "range"] = "refuse"
    """Pixel values of more than 8 bits, and fractions. refuse: stop, and say what there is. bits: the highest number of as
    many bits as train needs becomes 255 (4095 if its highest value is 4000). range: train's lowest value becomes 0 and its
    highest 255."""
    bad_files: Literal["refuse", "skip"] = "refuse"
    """Files of a folder that cannot be used: stop and name them all, or go on without them and note them."""
    duplicates: Literal["report", "drop", "refuse"] = "report"
    """The same picture, pixel for pixel, in two splits or under two classes. drop: val and train are left without what is in
    test, train without what is in val, both without what stands under two classes."""
    groups: str | None = None
    """What a folder's pictures show, such as patients or parts, if there are several of each: images of one group stay in one
    split. "folder": the folder inside the class's folder; else a regular expression that finds the group's name in the path
    (what its parentheses match, or all of the match). Arrays bring their own, train_groups."""
    val_fraction: float = Field(0.2, gt=0, lt=1)
    """Fraction of train that becomes the validation split where the source has none."""
    test_fraction: float = Field(0.2, gt=0, lt=1)
    """Fraction of the whole that becomes the test split where the source has none."""
    val_size: int | None = Field(None, ge=1)
    """Images in the validation split, in place of `val_fraction`; a source's own validation split is reduced to it."""
    train_size: int | None = Field(None, ge=1)
    """Images in the training split, in the same proportions of classes."""
    imbalance: float | None = Field(None, ge=1)
    """Long tail: the training split has this many times as many images of the first class as of the last."""
    counts: dict[str, int] | None = None
    """Images in the training split, for the classes named."""
    seed: int = Field(0, ge=0)
    """Seed of every split and subset."""

    @field_validator("size", mode="before")
    @classmethod
    def _both_sides(cls, size: Any) -> Any:
        if isinstance(size, int) and not isinstance(size, bool):
            return (size, size)
        return tuple(size) if isinstance(size, list) else size

    @field_validator("size")
    @classmethod
    def _large_enough(cls, size: tuple[int, int] | None) -> tuple[int, int] | None:
        if size is not None and (min(size) < MIN_SIDE or max(size) > 1024):
            raise ValueError(f"must be from {MIN_SIDE} to 1024 pixels each way")
        return size

    @field_validator("counts", mode="before")
    @classmethod
    def _class_names(cls, counts: Any) -> Any:
        if not isinstance(counts, dict):
            return counts
        for name in counts:
            if isinstance(name, bool) or not isinstance(name, str | int):
                raise ValueError(f"{name!r} is a {type(name).__name__}; must be a class's name as text, such as 'no'")
        if len({str(name) for name in counts}) < len(counts):
            raise ValueError("names a class twice, as text and as a number")
        return {str(name): count for name, count in counts.items()}

    @field_validator("counts")
    @classmethod
    def _some_of_each(cls, counts: dict[str, int] | None) -> dict[str, int] | None:
        for name, count in (counts or {}).items():
            if count < 1:
                raise ValueError(f"class {name!r} has {count}; must be at least 1")
        return counts

    @field_validator("groups")
    @classmethod
    def _is_expression(cls, groups: str | None) -> str | None:
        try:
            re.compile(groups or "")
        except re.error as error:
            raise ValueError(f"must be folder or a regular expression ({error})") from None
        return groups

    @model_validator(mode="after")
    def _one_source(self) -> DatasetSettings:
        sources = {"name": self.name, "npz": self.npz, "folder": self.folder}
        if sum(value is not None for value in sources.values()) != 1:
            listed = ", ".join(f"{key} is {value!r}" for key, value in sources.items())
            raise ValueError(f"{listed}; set exactly one of them, the others null")
        if self.groups is not None and self.folder is None:
            raise ValueError("groups: for a folder alone; arrays bring theirs as train_groups, val_groups, test_groups")
        smaller = [key for key in ("train_size", "imbalance", "counts") if getattr(self, key) is not None]
        if len(smaller) > 1:
            raise ValueError(f"{' and '.join(smaller)} are set; set at most one of train_size, imbalance and counts")
        return self
