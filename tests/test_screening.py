"""Which trials are promoted, and what a shortened training is."""

import pytest

from augsearch.screening import promoted, screening_seed, shortened
from augsearch.search.searcher import Trial
from augsearch.settings import SearchSettings, Settings, TrainSettings


@pytest.mark.parametrize(
    ("scores", "share", "best"),
    [
        ({0: 0.1, 1: 0.4, 2: 0.3, 3: 0.2}, 0.5, {1, 2}),
        ({4: 0.1, 5: 0.1, 6: 0.1}, 0.1, {4}),  # at least one; of equals the first
        ({7: None, 8: 0.1, 9: None}, 1.0, {8}),  # a failed one never is
        ({7: None}, 1.0, set()),
    ],
)
def test_the_best_share_of_a_batch(scores: dict[int, float | None], share: float, best: set[int]) -> None:
    assert promoted(scores, share) == best


def test_a_shortened_schedule_is_complete() -> None:
    train = TrainSettings(epochs=160, schedule="step", milestones=(80, 120))
    settings = Settings(train=train, search=SearchSettings.model_validate({"screen": {"epochs": 40}}))
    assert shortened(settings).train == train.model_copy(update={"epochs": 40, "milestones": (20, 30)})


def test_a_screening_has_a_seed_of_its_own() -> None:
    seeds = [screening_seed(Trial(i, {}, seed=i)) for i in range(3)]
    assert len({*seeds, 0, 1, 2}) == 6
