"""Operations named by import path take part in everything as the built-in ones do."""

from pathlib import Path

import numpy as np
import pytest
import torch

from augsearch.check import check
from augsearch.errors import PolicyError, SettingsError
from augsearch.policy import Operation, Policy, SubPolicy, load_policy, save
from augsearch.policy.augment import Augment
from augsearch.policy.ops import OPS, apply
from augsearch.policy.pictures import example_images, policy_grid
from augsearch.search.settings import SearchSettings
from augsearch.search.space import policy_space
from augsearch.settings import settings_from

DARKEN, SHIFT = "tests.own_operations:darken", "tests.own_operations:Shift"


def test_a_function(tmp_path: Path) -> None:
    policy = Policy((SubPolicy((Operation(DARKEN, 1.0, 0.5), Operation("Invert", 1.0, 0.0))),))
    save(policy, tmp_path / "policy.json")
    images = torch.full((5, 1, 4, 4), 100, dtype=torch.uint8)
    out = Augment(load_policy(tmp_path / "policy.json"))(images)
    assert out.unique().tolist() == [205]
    assert policy_grid(policy, example_images(2), columns=2).width > 2 * 64


def test_an_op_with_a_direction() -> None:
    images = torch.arange(3, dtype=torch.uint8).view(1, 1, 3, 1).expand(200, 1, 3, 1)
    out = Augment(Policy((SubPolicy((Operation(SHIFT, 1.0, 1.0),)),)), seed=0)(images)
    tops, counts = out[:, 0, 0, 0].unique(return_counts=True)
    assert tops.tolist() == [1, 2]  # moved up, moved down
    assert counts.min() > 60  # a fair coin: five standard deviations


def test_in_a_search() -> None:
    settings = SearchSettings(operations=(DARKEN, "Rotate"))
    space = policy_space(settings.operations, 2, 2)
    policies = [space.decode(row)["policy"] for row in space.sample(20, np.random.default_rng(0))]
    names = {operation.name for policy in policies for sub_policy in policy.sub_policies for operation in sub_policy.operations}
    assert names == {DARKEN, "Rotate"}


@pytest.mark.parametrize(
    ("name", "words"),
    [
        ("no_such_module:thing", "'no_such_module:thing' cannot be imported"),
        ("tests.own_operations:gone", "cannot be imported"),
        ("tests.own_operations:nothing", "is a int; must be an augsearch.policy.ops.Op or a function"),
        ("tests.own_operations:shrink", r"gave \(2, 1, 4, 3\) torch.uint8; must give \(2, 1, 4, 4\) torch.uint8"),
    ],
)
def test_says_what_is_wrong(name: str, words: str) -> None:
    with pytest.raises(PolicyError, match=words):
        apply(torch.zeros(2, 1, 4, 4, dtype=torch.uint8), name, 0.5)


def test_settings_name_the_field() -> None:
    with pytest.raises(SettingsError, match="params.yaml: search.operations: .* cannot be imported"):
        check(settings_from({"search": {"operations": ["tests.own_operations:gone"]}}, "params.yaml"), "params.yaml")
    assert np.all([":" not in name for name in OPS])  # or an import path could hide a built-in
