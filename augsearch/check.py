"""Settings whose names are known: every entry to the program calls `checked_settings` before it does anything."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from augsearch import plugins
from augsearch.data.prepare import DATASETS
from augsearch.errors import AugsearchError, SettingsError
from augsearch.evidence import arms
from augsearch.policy.ops import OPS, find
from augsearch.search.methods import space_of
from augsearch.search.settings import METHODS
from augsearch.section import nearest
from augsearch.settings import NetworkSettings, Settings, load, override
from augsearch.training import networks


def checked_settings(path: str | Path = "params.yaml") -> Settings:
    """Read a params file and check all of it.

    Raises:
        SettingsError: one line with the file, the key, the value and what is allowed.
    """
    settings = load(path)
    check(settings, str(path))
    return settings


def check(settings: Settings, source: str) -> None:
    """Resolve every name in the settings; a SettingsError begins with `source`."""
    try:
        _check_dataset(settings.dataset.name)
        _check_network(settings.network, "")
        if settings.search.pba.network is not None:
            _check_network(settings.search.pba.network, "search.pba.")
        _check_operations(settings.search.operations, "search.operations")
        _check_operations(settings.search.pba.operations, "search.pba.operations")
        for arm in settings.retrain.arms:
            _within("retrain.arms", arms.check, arm, METHODS)
        _check_milestones(settings)
        _check_space(settings)
    except SettingsError as error:
        raise SettingsError(f"{source}: {error}") from None


def _within(key: str, function: object, *arguments: object) -> None:
    assert callable(function)
    try:
        function(*arguments)
    except AugsearchError as error:
        raise SettingsError(f"{key}: {error}") from None


def _check_dataset(name: str | None) -> None:
    if name is not None and name not in DATASETS and not plugins.is_import_path(name):
        raise SettingsError(
            f"dataset.name: {name!r}: must be one of {', '.join(DATASETS)}, or module:function, or null with npz or folder set"
            f"{nearest(name, DATASETS)}"
        )


def _check_network(network: NetworkSettings, prefix: str) -> None:
    try:
        networks.check(network.name, network.arguments())
    except SettingsError as error:
        raise SettingsError(f"{prefix}{error}") from None


def _check_operations(names: tuple[str, ...], key: str) -> None:
    for name in names:
        if name not in OPS and ":" not in name:
            raise SettingsError(f"{key}: {name!r} is unknown{nearest(name, OPS)}; there are {', '.join(OPS)}, or module:name")
        _within(key, find, name)


def _check_milestones(settings: Settings) -> None:
    for key, train in {"train": settings.train, "search.pba.train": settings.population_train}.items():
        if train.schedule == "step" and train.milestones[-1] >= train.epochs:
            raise SettingsError(
                f"{key}.milestones: {list(train.milestones)}; must be less than {key}.epochs ({train.epochs}), or the rate "
                "does not fall"
            )


def _check_space(settings: Settings) -> None:
    """Validate 32 sampled configurations. Skipped for user scripts, which accept any parameter."""
    if not settings.search.methods or (settings.search.sub_policies and not settings.search.space):
        return
    space, rng = space_of(settings.search), np.random.default_rng(0)
    if settings.search.own_script:
        return
    for row in [np.zeros(space.columns), np.ones(space.columns), *space.sample(30, rng)]:
        values = {name: value for name, value in space.decode(row).items() if name != "policy"}
        tried = override(settings, values)
        _within("search.space", networks.check, tried.network.name, tried.network.arguments())
