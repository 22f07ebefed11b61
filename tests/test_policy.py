"""Policy files: round trips, and errors that name the place."""

import json
import math
from pathlib import Path

import pytest

from augsearch.errors import PolicyError
from augsearch.policy import (
    Augmentation,
    Chain,
    Operation,
    Policy,
    Schedule,
    Segment,
    SubPolicy,
    from_dict,
    joined,
    load_policy,
    save,
    to_dict,
)


def policy(probability: float = 0.5, name: str = "Rotate") -> Policy:
    return Policy((SubPolicy((Operation(name, probability, 0.25), Operation("Invert", 1.0, 0.0))),))


SCHEDULE = Schedule((Segment(3, policy()), Segment(2, policy(0.1))))


@pytest.mark.parametrize("item", [policy(), SCHEDULE, Chain((policy(), SCHEDULE))])
def test_round_trip(tmp_path: Path, item: Augmentation) -> None:
    save(item, tmp_path / "item.json")
    assert load_policy(tmp_path / "item.json") == item


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({"version": 2}, "version: 2; this release reads version 1"),
        ({"kind": "plan"}, "kind: 'plan'; must be 'policy', 'schedule' or 'chain'"),
        ({"dialect": "latin"}, "dialect: 'latin'; must be one of tuun"),
        ({"extra": 1}, "extra: unknown"),
        ({"sub_policies": []}, "sub_policies: none"),
        (
            {"sub_policies": [[{"operation": "Twist", "probability": 1, "magnitude": 0}]]},
            r"\[0\]\[0\].operation: 'Twist' is unknown",
        ),
        (
            {"sub_policies": [[{"operation": "Rotate", "probability": 1.2, "magnitude": 0}]]},
            r"\[0\]\[0\].probability: 1.2; must be",
        ),
        (
            {"sub_policies": [[{"operation": "Rotate", "probability": math.nan, "magnitude": 0}]]},
            "probability: nan; must be a number",
        ),
        ({"sub_policies": [[{"operation": "Rotate", "probability": 1}]]}, r"\[0\]\[0\].magnitude: missing"),
        (
            {"sub_policies": [[{"operation": "Rotate", "probability": 1, "magnitude": 1.5}]]},
            "magnitude: 1.5; must be from 0 to 1",
        ),
    ],
)
def test_strict(change: dict[str, object], words: str) -> None:
    with pytest.raises(PolicyError, match=words):
        from_dict(to_dict(policy()) | change)


def test_a_chain_holds_no_chains() -> None:
    data = to_dict(Chain((policy(), SCHEDULE)))
    data["parts"][1]["kind"] = "chain"
    with pytest.raises(PolicyError, match=r"^parts\[1\]\.kind: 'chain'; must be 'policy' or 'schedule'"):
        from_dict(data)


def test_file_errors_name_the_file(tmp_path: Path) -> None:
    (tmp_path / "torn.json").write_text(json.dumps(to_dict(policy()))[:-5])
    with pytest.raises(PolicyError, match="torn.json: not JSON"):
        load_policy(tmp_path / "torn.json")
    with pytest.raises(PolicyError, match="none.json: no such file"):
        load_policy(tmp_path / "none.json")


def test_then_is_every_pair_in_order() -> None:
    other = Policy((SubPolicy((Operation("Color", 0.1, 0.2),)), SubPolicy((Operation("Equalize", 0.3, 0.0),))))
    both = policy().then(other)
    names = [[o.name for o in sub_policy.operations] for sub_policy in both.sub_policies]
    assert names == [["Rotate", "Invert", "Color"], ["Rotate", "Invert", "Equalize"]]


def test_joined_is_one_policy_where_one_can_say_it() -> None:
    per_image = Policy(policy().sub_policies, "tuun", "image")
    assert joined([]) is None
    assert joined([policy(), policy(0.1)]) == policy().then(policy(0.1))
    assert joined([policy(), policy(0.1), per_image, SCHEDULE]) == Chain((policy().then(policy(0.1)), per_image, SCHEDULE))


def test_joined_does_not_multiply_without_end() -> None:
    many = Policy(policy().sub_policies * 400)
    assert joined([many, many]) == Chain((many, many))


def test_schedule_by_epoch() -> None:
    first, second = policy(0.1), policy(0.2)
    schedule = Schedule((Segment(2, first), Segment(1, second)))
    assert [schedule.at(epoch) for epoch in range(5)] == [first, first, second, second, second]
