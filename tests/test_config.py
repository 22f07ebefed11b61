"""params.yaml: what ships is valid; what cannot be right stops with one line that names key, value and choices."""

from pathlib import Path

import pytest
import yaml

from augsearch.config import Settings, load
from augsearch.errors import SettingsError

SHIPPED = Path(__file__).parent.parent / "params.yaml"


def write(tmp_path: Path, dotted: str, value: object) -> Path:
    data = yaml.safe_load(SHIPPED.read_text())
    *sections, key = dotted.split(".")
    place = data
    for section in sections:
        place = place[section]
    place[key] = value
    path = tmp_path / "params.yaml"
    path.write_text(yaml.safe_dump(data))
    return path


def test_what_ships_is_what_the_defaults_say() -> None:
    assert load(SHIPPED) == Settings()


@pytest.mark.parametrize(
    ("key", "value", "words"),
    [
        ("search.trails", 60, "search.trails: unknown setting, did you mean 'trials'\\?"),
        ("serach", {}, "serach: unknown setting, did you mean 'search'\\?"),
        ("search.trials", 0, "search.trials: 0; must be greater than or equal to 1"),
        ("search.trials", "sixty", "search.trials: 'sixty'; must be a valid integer"),
        ("search.trials", 5, "search: batch: 8; must be at most trials \\(5\\)"),
        ("search.operations", ["Rotate", "Colour"], "'Colour' is unknown, did you mean 'Color'\\?"),
        ("search.methods", ["tunn"], "must be 'tuun' or 'random'"),
        ("table.confidence", 1.2, "table.confidence: 1.2; must be less than 1"),
        ("retrain.arms", ["none", "autoaugment"], "'autoaugment'; must be none, etp"),
        ("search.methods", ["random"], "'tuun' needs 'tuun' in search.methods"),
        ("dataset.name", "mnist", "dataset.name: 'mnist': must be one of digits"),
        ("dataset.npz", "own.npz", "dataset: name is 'digits' and npz is 'own.npz'; set exactly one"),
        ("train.lr", float("nan"), "train.lr: nan; must be"),
    ],
)
def test_one_line_says_what_is_wrong(tmp_path: Path, key: str, value: object, words: str) -> None:
    with pytest.raises(SettingsError, match=words) as caught:
        load(write(tmp_path, key, value))
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize(("text", "words"), [("a: [", "not YAML"), ("- 1", "holds a list"), (None, "no such file")])
def test_not_a_params_file(tmp_path: Path, text: str | None, words: str) -> None:
    path = tmp_path / "params.yaml"
    if text is not None:
        path.write_text(text)
    with pytest.raises(SettingsError, match=words):
        load(path)
