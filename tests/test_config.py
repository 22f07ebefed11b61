"""params.yaml: what ships is valid; what cannot be right stops with one line that names key, value and choices."""

import subprocess
import sys
from pathlib import Path

import pytest
import yaml

from augsearch.check import checked_settings
from augsearch.errors import SettingsError
from augsearch.settings import Settings, load, override, settings_from
from augsearch.training.recipes import RECIPES
from augsearch.training.settings import TrainSettings

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
    """But for the population search, which is off by default, and how often the example looks at the validation part."""
    shipped, default = load(SHIPPED).model_dump(), Settings().model_dump()
    for data in (shipped, default):
        for section, key in (
            ("search", "methods"),
            ("search", "pba"),
            ("search", "n_initial_points"),
            ("retrain", "arms"),
            ("train", "evaluate_every"),
        ):
            del data[section][key]
    assert shipped == default


@pytest.mark.parametrize(
    ("key", "value", "words"),
    [
        ("search.trails", 60, "search.trails: unknown setting, did you mean 'trials'\\?"),
        ("serach", {}, "serach: unknown setting, did you mean 'search'\\?"),
        ("experiments", "tuun_blog", "experiments: 'tuun_blog'; must be a valid tuple"),
        ("search.trials", 0, "search.trials: 0; must be greater than or equal to 1"),
        ("search.trials", "sixty", "search.trials: 'sixty'; must be a valid integer"),
        ("search.trials", 5, "search: batch: 8; must be at most trials \\(5\\)"),
        ("search.operations", ["Rotate", "Colour"], "'Colour' is unknown, did you mean 'Color'\\?"),
        ("search.methods", ["tunn"], "must be 'tuun', 'random' or 'pba'"),
        ("table.confidence", 1.2, "table.confidence: 1.2; must be less than 1"),
        (
            "retrain.arms",
            ["none", "autoagument"],
            "'autoagument' is unknown, did you mean 'autoaugment'\\?; there are none, etp",
        ),
        ("retrain.arms", ["published:pba-cifar"], "did you mean 'published:pba-cifar10'\\?"),
        ("retrain.arms", ["randaugment-9-2"], "'randaugment-9-2': .*must be N,M with N from 1 to 3 and M from 0 to 30"),
        ("retrain.arms", ["file:none.json"], "'file:none.json': none.json: no such file"),
        ("retrain.arms", ["etp+none"], "'etp\\+none'; none stands alone"),
        ("retrain.arms", ["tuun+etp+tuun"], "'tuun\\+etp\\+tuun'; must not name a part twice"),
        ("search.methods", ["random"], "'tuun' needs 'tuun' in search.methods"),
        ("dataset.name", "cifar", "dataset.name: 'cifar': must be one of digits, .*, did you mean 'cifar10'\\?"),
        ("dataset.npz", "own.npz", "dataset: name is 'digits', npz is 'own.npz', folder is None; set exactly one"),
        ("dataset", {"folder": "a", "train_size": 9, "imbalance": 2.0}, "train_size and imbalance are set; set at most one"),
        ("dataset.size", [2, 64], "dataset.size: \\[2, 64\\]: must be from 4 to 1024 pixels"),
        ("dataset.counts", {"cat": 0}, "class 'cat' has 0; must be at least 1"),
        ("network.name", "wrn-40", "network.name: 'wrn-40' is unknown, did you mean 'wrn-40-2'"),
        ("network.name", "nets:Mine", "network.name: 'nets:Mine' cannot be imported: No module named 'nets'"),
        ("network", {"name": "wrn-40-2", "width": 8}, "network.width: wrn-40-2 takes no width; it takes dropout"),
        ("train.schedule", "step", "milestones: \\[\\]; schedule step needs rising epochs"),
        ("train.recipe", "tunn", "train: recipe: 'tunn' is unknown, did you mean 'tuun'\\?"),
        ("train.recipe", "tuun", "train: recipe: 'tuun' decides nothing, as epochs, .* are all set beside it"),
        ("search.objective", "f1", "search.objective: 'f1': must be one of accuracy, .*, or module:function, or a command"),
        ("search.objective", "nothing:train", "search.objective: 'nothing:train': no module named 'nothing'"),
        ("search.objective", "tests.own_script:trian", "module 'tests.own_script' has no 'trian'"),
        ("search.objective", "python trian.py", "'python trian.py': no file 'trian.py'; paths are relative"),
        ("search.objective", "pyhton train.py", "'pyhton train.py': no program 'pyhton'"),
        ("search.objective", "python 'train.py", "not a command: No closing quotation"),
        ("search.space", {"policy": {"_type": "choice", "_value": [1]}}, "space: policy is what the search calls"),
        ("train.lr", float("nan"), "train.lr: nan; must be"),
        (
            "search.trials",
            16,
            "search: n_initial_points: 20; must be less than trials \\(16\\), or all of tuun's trials would be",
        ),
        ("search.pba.train", {"epoch": 10}, "search.pba.train.epoch: unknown setting, did you mean 'epochs'\\?"),
        ("search.pba.network", {"nam": "small"}, "search.pba.network.nam: unknown setting, did you mean 'name'\\?"),
        ("search.pba.network", {"name": "wrn-40"}, "search.pba.network.name: 'wrn-40' is unknown"),
        ("search.pba.perturbation_interval", 120, "perturbation_interval: 120; must be less than the population's epochs"),
        ("search.pba.train", {"clip_grad_norm": 1.0}, "members_per_model: 8; must be 1 where gradients are clipped"),
        (
            "train",
            {"schedule": "step", "milestones": [80, 120]},
            "train.milestones: \\[80, 120\\]; must be less than train.epochs",
        ),
        ("workers.devices", ["gpu"], "workers: devices: 'gpu'; must be cpu, cuda:0"),
        ("workers.devices", ["cpu", "cuda:0"], "workers: devices: .*; must be of one kind"),
        (
            "search.space",
            {"train.lrr": {"_type": "uniform", "_value": [0, 1]}},
            "train.lrr: unknown, did you mean 'train.lr'\\?",
        ),
        ("search.space", {"train.lr": {"_type": "uniform", "_value": [-1, 0]}}, "train.lr: -1.0; must be greater than 0"),
    ],
)
def test_one_line_says_what_is_wrong(tmp_path: Path, key: str, value: object, words: str) -> None:
    with pytest.raises(SettingsError, match=words) as caught:
        checked_settings(write(tmp_path, key, value))
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize(("text", "words"), [("a: [", "not YAML"), ("- 1", "holds a list"), (None, "no such file")])
def test_not_a_params_file(tmp_path: Path, text: str | None, words: str) -> None:
    path = tmp_path / "params.yaml"
    if text is not None:
        path.write_text(text)
    with pytest.raises(SettingsError, match=words):
        load(path)


def test_a_recipe_gives_what_is_not_set_beside_it(tmp_path: Path) -> None:
    train = load(write(tmp_path, "train", {"recipe": "reduced-svhn-wrn-28-10", "epochs": 10, "milestones": [5, 8]})).train
    assert (train.lr, train.weight_decay, train.schedule, train.batch_size) == (0.05, 0.01, "step", 128)
    assert (train.epochs, train.milestones) == (10, (5, 8))


def test_settings_of_a_recipe_can_be_replaced_one_by_one() -> None:
    """As every trial and arm with settings of its own does."""
    settings = Settings(train=TrainSettings.model_validate({"recipe": "tuun"}))
    changed = override(settings, {"train.lr": 0.2}).train
    assert (changed.lr, changed.epochs, changed.precision) == (0.2, 60, "bfloat16")


def test_a_populations_recipe_may_stand_beside_searched_settings() -> None:
    """Every arm, and every trial with settings of its own, replaces some of `train`: the population's recipe is left alone."""
    pba = {"train": {"recipe": "pba-search-reduced-cifar10"}}
    settings = settings_from({"search": {"methods": ["pba"], "pba": pba}, "retrain": {"arms": ["pba"]}}, "test")
    changed = override(settings, {"train.lr": 0.2})
    assert (changed.train.lr, changed.population_train.epochs, changed.population_train.lr) == (0.2, 200, 0.1)
    assert override(settings, {}) == settings.model_copy(update={"train": settings.train})


def test_a_populations_training_differs_only_in_what_is_set(tmp_path: Path) -> None:
    settings = load(write(tmp_path, "train.batch_size", 64))
    assert (settings.population_train.epochs, settings.population_train.lr) == (120, 0.1)
    assert settings.population_train.batch_size == 64


def test_numbers_and_names_as_people_and_dvc_read_them(tmp_path: Path) -> None:
    """YAML 1.1 would read a string, and False."""
    path = tmp_path / "params.yaml"
    path.write_text(
        "dataset: {name: null, folder: own, counts: {no: 20, yes: 30, 00014: 3, 1e3: 4}}\n"
        "train: {weight_decay: 5e-4, lr: 1E-1}\n"
        "search: {space: {train.lr: {_type: loguniform, _value: [1e-4, 1e-1]}}}\n"
    )
    settings = load(path)
    assert (settings.train.weight_decay, settings.train.lr) == (5e-4, 0.1)
    assert settings.search.space["train.lr"]["_value"] == [1e-4, 0.1]
    assert settings.dataset.counts == {"no": 20, "yes": 30, "00014": 3, "1e3": 4}


def test_a_key_that_is_there_twice_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "params.yaml"
    path.write_text("search: {trials: 9, trials: 90}\n")
    with pytest.raises(SettingsError, match="the key 'trials' is there twice"):
        load(path)


def test_reading_settings_loads_no_torch() -> None:
    code = "import sys; from augsearch.settings import load; load('params.yaml'); print({'torch', 'skopt'} & set(sys.modules))"
    done = subprocess.run([sys.executable, "-c", code], cwd=SHIPPED.parent, capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "set()"


@pytest.mark.parametrize("name", RECIPES)
def test_every_recipe_is_valid(name: str) -> None:
    assert TrainSettings.model_validate({"recipe": name}).lr == RECIPES[name]["lr"]
