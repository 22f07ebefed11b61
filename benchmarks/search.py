"""Which search finds how much: ours against random search, scikit-optimize and Optuna, on the same seeds.

    OMP_NUM_THREADS=1 python -m benchmarks.search                                # 20 seeds of all but the slowest
    OMP_NUM_THREADS=1 python -m benchmarks.search --methods "skopt GP" --seeds 5   # goes on where it was

Every finished search is a line of benchmarks/search.jsonl; benchmarks/search.md is made from them, and each
of its rows says how many seeds it has. The last table times the surrogate.

Policy surfaces are made up, each seed another one, of four structures, only the first two of which resemble what
our features see: `additive` (each operation has a gain, a best magnitude, and saturates), `pairs` (what counts is
which two operations share a sub-policy, and in what order), `damage` (helpful families saturate; the worst
sub-policy hurts), `forest` (a random forest fitted to noise over the raw slots). Scores have noise of 0.4 of the
spread of random policies; gains are noiseless, in that spread, over the best of 60 random policies. `worth` is the
number of random trials with the same mean on the same seeds. General functions are noiseless and minimised; the best
value counts.
"""

from __future__ import annotations

import argparse
import platform
import sys
import time
from collections.abc import Callable
from functools import cache
from importlib.metadata import version
from pathlib import Path
from typing import Any

import numpy as np
from scipy import stats

from augsearch.environment import commit, processor
from augsearch.files import write_text
from augsearch.search import ALGORITHM_VERSION
from augsearch.search.bayesian import BayesianSearcher
from augsearch.search.random import RandomSearcher
from augsearch.search.settings import TUUN_OPERATIONS
from augsearch.search.space import Number, PolicyBlock, Space, read_space
from augsearch.search.space_searcher import SpaceSearcher
from augsearch.search.study import usual_acquisition
from benchmarks import records
from benchmarks.records import Record

KINDS = len(TUUN_OPERATIONS)
NOISE = 0.4
FIRST = 1000  # from here on, seeds that nobody tuned on
ASKS = 20
Rows = np.ndarray
BLOCK = PolicyBlock(TUUN_OPERATIONS)


# --- policy surfaces: rows (N, 30) -> values (N,), higher is better --------------------------------------------


def slots(rows: Rows) -> tuple[Rows, Rows, Rows]:
    """Operation index, probability, magnitude, each (N, 10)."""
    table = rows.reshape(len(rows), 10, 3)
    return np.minimum((table[..., 0] * KINDS).astype(int), KINDS - 1), table[..., 1], table[..., 2]


def additive(seed: int) -> Callable[[Rows], Rows]:
    rng = np.random.default_rng([seed, 1])
    gain, best, width, cap = (
        rng.normal(size=KINDS),
        rng.uniform(0.1, 0.9, KINDS),
        rng.uniform(0.2, 0.6, KINDS),
        rng.uniform(0.2, 1.5, KINDS),
    )

    def value(rows: Rows) -> Rows:
        o, p, m = slots(rows)
        out = np.zeros(len(rows))
        for k in range(KINDS):
            here = o == k
            fitting = (p * here * np.exp(-(((m - best[k]) / width[k]) ** 2))).sum(1)
            out += gain[k] * (1 - np.exp(-fitting / cap[k])) if gain[k] > 0 else gain[k] * (p * here * m).sum(1)
        return out

    return value


def pairs(seed: int) -> Callable[[Rows], Rows]:
    rng = np.random.default_rng([seed, 2])
    pair, single, best = rng.normal(size=(KINDS, KINDS)), rng.normal(size=KINDS), rng.uniform(size=KINDS)

    def value(rows: Rows) -> Rows:
        o, p, m = (x.reshape(len(rows), 5, 2) for x in slots(rows))
        alone = (p * single[o] * (1 - 2 * np.abs(m - best[o]))).sum(2)
        return (alone + 2 * pair[o[..., 0], o[..., 1]] * p[..., 0] * p[..., 1]).mean(1)

    return value


def damage(seed: int) -> Callable[[Rows], Rows]:
    rng = np.random.default_rng([seed, 3])
    good, help_, hurt, most = (
        rng.random(KINDS) < 0.4,
        rng.uniform(0.3, 1, KINDS),
        rng.uniform(0.3, 2, KINDS),
        rng.uniform(0.2, 0.8, KINDS),
    )

    def value(rows: Rows) -> Rows:
        o, p, m = slots(rows)
        helped = sum(
            help_[k] * np.minimum(1, (p * (o == k) * np.minimum(m / most[k], 1)).sum(1)) for k in range(KINDS) if good[k]
        )
        harm = (p * np.where(good[o], np.maximum(m - most[o] - 0.2, 0), m) * hurt[o]).reshape(len(rows), 5, 2).sum(2)
        return 3 * np.tanh(helped) - harm.mean(1) - harm.max(1)

    return value


def forest(seed: int) -> Callable[[Rows], Rows]:
    from sklearn.ensemble import ExtraTreesRegressor

    rng = np.random.default_rng([seed, 4])

    def raw(rows: Rows) -> Rows:
        o, p, m = slots(rows)
        return np.hstack([np.eye(KINDS)[o].reshape(len(rows), -1), p, m])

    trees = ExtraTreesRegressor(60, max_depth=14, random_state=seed, n_jobs=1).fit(
        raw(rng.random((800, 30))), rng.normal(size=800)
    )
    return lambda rows: np.asarray(trees.predict(raw(rows)))


SURFACES = {"additive": additive, "pairs": pairs, "damage": damage, "forest": forest}


# --- general functions: parameters -> value, lower is better ------------------------------------------------------


def hartmann6(p: dict[str, Any]) -> float:
    a = np.array([[10, 3, 17, 3.5, 1.7, 8], [0.05, 10, 17, 0.1, 8, 14], [3, 3.5, 1.7, 10, 17, 8], [17, 8, 0.05, 10, 0.1, 14]])
    c = 1e-4 * np.array(
        [
            [1312, 1696, 5569, 124, 8283, 5886],
            [2329, 4135, 8307, 3736, 1004, 9991],
            [2348, 1451, 3522, 2883, 3047, 6650],
            [4047, 8828, 8732, 5743, 1091, 381],
        ]
    )
    x = np.array([p[f"x{i}"] for i in range(6)])
    return float(-(np.array([1, 1.2, 3, 3.2]) * np.exp(-(a * (x - c) ** 2).sum(1))).sum())


def branin(p: dict[str, Any]) -> float:
    x, y = 15 * p["x0"] - 5, 15 * p["x1"]
    return float((y - 5.1 / (4 * np.pi**2) * x * x + 5 / np.pi * x - 6) ** 2 + 10 * (1 - 1 / (8 * np.pi)) * np.cos(x) + 10)


def mixed(p: dict[str, Any]) -> float:
    """Ten training settings, two of them choices that move the optimum of the others."""
    kind = {"sgd": 0.0, "adam": 1.0, "rms": 0.6}[p["optimizer"]]
    loss = (np.log10(p["lr"]) + 1.5 + kind) ** 2 + 0.5 * (np.log10(p["decay"]) + 3.5) ** 2 + 0.1 * abs(p["depth"] - 6)
    loss += 0.8 * (p["dropout"] - 0.2 - 0.1 * (p["act"] == "relu")) ** 2 + 0.3 * (p["momentum"] - 0.9) ** 2 * (kind == 0) * 10
    loss += 0.2 * abs(np.log2(p["width"]) - 6) + 0.5 * (p["warmup"] - 0.3) ** 2 + 0.4 * (p["smoothing"] - 0.1) ** 2
    return float(loss + {"relu": 0.1, "gelu": 0.0, "tanh": 0.5}[p["act"]])


def unit(n: int) -> dict[str, Any]:
    return {f"x{i}": {"_type": "uniform", "_value": [0, 1]} for i in range(n)}


MIXED_SPACE = {
    "optimizer": {"_type": "choice", "_value": ["sgd", "adam", "rms"]},
    "act": {"_type": "choice", "_value": ["relu", "gelu", "tanh"]},
    "lr": {"_type": "loguniform", "_value": [1e-5, 1]},
    "decay": {"_type": "loguniform", "_value": [1e-6, 0.1]},
    "depth": {"_type": "randint", "_value": [1, 13]},
    "width": {"_type": "loguniform", "_value": [8, 512]},
    "dropout": {"_type": "uniform", "_value": [0, 0.8]},
    "momentum": {"_type": "uniform", "_value": [0, 1]},
    "warmup": {"_type": "uniform", "_value": [0, 1]},
    "smoothing": {"_type": "uniform", "_value": [0, 0.5]},
}
FUNCTIONS = {
    "Hartmann-6": (hartmann6, unit(6)),
    "Branin": (branin, unit(2)),
    "Branin-40": (branin, unit(40)),
    "mixed-10": (mixed, MIXED_SPACE),
}


# --- methods: (space, score of a row, seed, trials, batch) -> rows in the order of trials ----------------------------

Score = Callable[[Rows], float]
Method = Callable[[Space, Score, int, int, int], tuple[Rows, float]]


def _play(searcher: SpaceSearcher, score: Score, trials: int, batch: int) -> tuple[Rows, float]:
    rows: list[Rows] = []
    spent = 0.0
    while len(rows) < trials:
        started = time.perf_counter()
        new = searcher.ask(min(batch, trials - len(rows)))
        spent += time.perf_counter() - started
        for trial, row in zip(new, searcher.rows[-len(new) :], strict=True):
            searcher.tell(trial.id, score(row))
            rows.append(row)
    return np.array(rows), spent


def ours(space: Space, score: Score, seed: int, trials: int, batch: int) -> tuple[Rows, float]:
    n_initial_points = 20 if any(isinstance(block, PolicyBlock) for block in space.blocks) else 10
    searcher = BayesianSearcher(space, seed, n_initial_points=n_initial_points, acq_func=usual_acquisition(space))
    return _play(searcher, score, trials, batch)


def at_random(space: Space, score: Score, seed: int, trials: int, batch: int) -> tuple[Rows, float]:
    return _play(RandomSearcher(space, seed), score, trials, batch)


def _columns(space: Space) -> list[tuple[str, int]]:
    """For each column of a row: ("choice", count) or ("number", 0)."""
    kinds: list[tuple[str, int]] = []
    for block in space.blocks:
        if isinstance(block, PolicyBlock):
            kinds += [("choice", KINDS), ("number", 0), ("number", 0)] * block.slots
        else:
            kinds.append(("number", 0) if isinstance(block, Number) else ("choice", len(block.options)))  # type: ignore[attr-defined]
    return kinds


def _as_row(values: list[Any], kinds: list[tuple[str, int]]) -> Rows:
    return np.array([(int(v) + 0.5) / n if kind == "choice" else float(v) for v, (kind, n) in zip(values, kinds, strict=True)])


def optuna_tpe(space: Space, score: Score, seed: int, trials: int, batch: int) -> tuple[Rows, float]:
    import optuna

    optuna.logging.set_verbosity(optuna.logging.ERROR)
    kinds = _columns(space)
    study = optuna.create_study(
        direction="maximize",
        sampler=optuna.samplers.TPESampler(seed=seed, multivariate=True, constant_liar=True, n_startup_trials=10),
    )
    rows: list[Rows] = []
    spent = 0.0
    while len(rows) < trials:
        started = time.perf_counter()
        new = []
        for _ in range(min(batch, trials - len(rows))):
            trial = study.ask()
            values = [
                trial.suggest_categorical(f"c{i}", list(range(n))) if kind == "choice" else trial.suggest_float(f"c{i}", 0, 1)
                for i, (kind, n) in enumerate(kinds)
            ]
            new.append((trial, _as_row(values, kinds)))
        spent += time.perf_counter() - started
        for trial, row in new:
            study.tell(trial, score(row))
            rows.append(row)
    return np.array(rows), spent


def _skopt(kind: str) -> Method:
    def method(space: Space, score: Score, seed: int, trials: int, batch: int) -> tuple[Rows, float]:
        from skopt import Optimizer
        from skopt.space import Categorical, Real

        kinds = _columns(space)
        dimensions = [Categorical([str(i) for i in range(n)]) if k == "choice" else Real(0.0, 1.0) for k, n in kinds]
        optimizer = Optimizer(
            dimensions,
            kind,
            n_initial_points=10,
            acq_func="EI",
            acq_optimizer="sampling",
            random_state=seed,
            model_queue_size=1,
        )
        rows: list[Rows] = []
        spent = 0.0
        while len(rows) < trials:
            started = time.perf_counter()
            new = optimizer.ask(min(batch, trials - len(rows)))
            found = [_as_row(x, kinds) for x in new]
            spent += time.perf_counter() - started
            losses = [-score(row) for row in found]
            started = time.perf_counter()
            optimizer.tell(new, losses)
            spent += time.perf_counter() - started
            rows += found
        return np.array(rows), spent

    return method


METHODS: dict[str, Method] = {
    "ours": ours,
    "random": at_random,
    "Optuna TPE": optuna_tpe,
    "skopt extra trees": _skopt("ET"),
    "skopt GP": _skopt("GP"),
}


# --- one search -----------------------------------------------------------------------------------------------------

RUNGS = (60, 120, 240, 480, 1000, 2000)


@cache
def policy_problem(name: str, seed: int) -> tuple[Callable[[Rows], Rows], float, dict[int, float]]:
    """The surface, its spread over random policies, and the mean best of so many random ones, noiseless."""
    surface = SURFACES[name](seed)
    drawn = surface(np.random.default_rng([seed, 9]).random((4000, 30)))
    best = {
        n: float(np.mean([np.random.default_rng([seed, k]).choice(drawn, n).max() for k in range(200 if n == 60 else 50)]))
        for n in RUNGS
    }
    return surface, float(drawn.std()), best


def on_policies(name: str, method: str, seed: int, trials: int, batch: int) -> Record:
    """`value`: the noiseless gain of the trial with the best score over 60 random ones, in spreads."""
    surface, spread, best = policy_problem(name, seed)
    noise = np.random.default_rng([seed, 7])
    observed: list[float] = []

    def score(row: Rows) -> float:
        observed.append(float(surface(row[None])[0] + NOISE * spread * noise.normal()))
        return observed[-1]

    rows, spent = METHODS[method](Space([BLOCK]), score, seed, trials, batch)
    chosen = rows[int(np.argmax(observed))]
    return {"value": (float(surface(chosen[None])[0]) - best[60]) / spread, "seconds": spent}


def on_function(name: str, method: str, seed: int, trials: int, batch: int) -> Record:
    """`value`: the lowest that was found."""
    f, entries = FUNCTIONS[name]
    space = read_space(entries)
    rows, spent = METHODS[method](space, lambda row: float(-f(space.decode(row))), seed, trials, batch)
    return {"value": min(f(space.decode(row)) for row in rows), "seconds": spent}


def made_by(method: str) -> str:
    """What a method's results depend on: a change of it makes them stale."""
    package = {"ours": None, "random": None, "Optuna TPE": "optuna"}.get(method, "scikit-optimize")
    return f"augsearch.search {ALGORITHM_VERSION}" if package is None else f"{package} {version(package)}"


def run(problems: list[str], methods: list[str], seeds: range, trials: int, batch: int, raw: Path) -> None:
    """Append the searches that `raw` does not have yet."""
    done = {(r["problem"], r["method"], r["seed"], r["by"]) for r in records.read(raw)}
    for problem in problems:
        for method in methods:
            by = made_by(method)
            for seed in (s for s in seeds if (problem, method, s, by) not in done):
                one = on_policies if problem in SURFACES else on_function
                result = one(problem, method, seed, trials, batch)
                records.append(raw, {"problem": problem, "method": method, "seed": seed, "by": by, **result})
            print(f"{problem}, {method}: {len(seeds)} seeds", file=sys.stderr, flush=True)


# --- the tables ---------------------------------------------------------------------------------------------------


def report(raw: Path, trials: int, batch: int) -> str:
    found = current(records.read(raw))
    packages = ", ".join(f"{name} {version(name)}" for name in ("numpy", "scipy"))
    others = sorted({made_by(method) for _, method in found})
    lines = [
        f"{trials} trials, batch {batch}, seeds from {FIRST}; mean [95 % bootstrap interval]; `python -m benchmarks.search`.",
        "Seconds in ask are by the clock, waiting for busy cores included.",
        f"{processor()}, one thread; Python {platform.python_version()}, {packages}, {', '.join(others)}; commit {commit()}.",
        "",
        "| surface | method | seeds | gain over random | worth, random trials | s in ask, median |",
        "|---|---|---|---|---|---|",
        *(policy_row(problem, method, rows) for (problem, method), rows in found.items() if problem in SURFACES),
        *average_rows(found),
        "",
        "| function | method | seeds | best value | s in ask, median |",
        "|---|---|---|---|---|",
        *(function_row(problem, method, rows) for (problem, method), rows in found.items() if problem in FUNCTIONS),
        "",
        f"One `ask({batch})` of ours on a policy, milliseconds of one core, median (highest) of {ASKS}:",
        "",
        "| trials told | ms |",
        "|---|---|",
        *(asking_row(told, batch) for told in (60, 300)),
    ]
    return "\n".join(lines) + "\n"


def current(searches: list[Record]) -> dict[tuple[str, str], list[Record]]:
    """{(problem, method): searches by the method as it is now}, in the order of the tables."""
    order = [(problem, method) for problem in (*SURFACES, *FUNCTIONS) for method in available(list(METHODS))]
    found = {key: [r for r in searches if (r["problem"], r["method"]) == key and r["by"] == made_by(key[1])] for key in order}
    return {key: rows for key, rows in found.items() if rows}


def policy_row(name: str, method: str, rows: list[Record]) -> str:
    values = [r["value"] for r in rows]
    worth_it = worth(float(np.mean(values)), climb(name, [r["seed"] for r in rows]))
    return f"| {name} | {method} | {len(rows)} | {interval(values)} | {worth_it} | {seconds_of(rows)} |"


def climb(name: str, seeds: list[int]) -> dict[int, float]:
    """The mean gain of so many random trials."""
    gains = []
    for seed in seeds:
        _, spread, best = policy_problem(name, seed)
        gains.append([(best[n] - best[60]) / spread for n in RUNGS])
    return dict(zip(RUNGS, np.mean(gains, axis=0).tolist(), strict=True))


def average_rows(found: dict[tuple[str, str], list[Record]]) -> list[str]:
    """Each method's mean over the surfaces, seed by seed, where it ran on all of them."""
    lines = []
    for method in dict.fromkeys(method for _, method in found):
        by_surface = {name: {r["seed"]: r for r in found.get((name, method), [])} for name in SURFACES}
        seeds = sorted(set.intersection(*map(set, by_surface.values())))
        if not seeds:
            continue
        values = [float(np.mean([of[seed]["value"] for of in by_surface.values()])) for seed in seeds]
        climbs = [climb(name, seeds) for name in SURFACES]
        worth_it = worth(float(np.mean(values)), {n: float(np.mean([each[n] for each in climbs])) for n in RUNGS})
        spent = seconds_of([of[seed] for of in by_surface.values() for seed in seeds])
        lines.append(f"| mean of all | {method} | {len(seeds)} | {interval(values)} | {worth_it} | {spent} |")
    return lines


def function_row(name: str, method: str, rows: list[Record]) -> str:
    return f"| {name} | {method} | {len(rows)} | {interval([r['value'] for r in rows])} | {seconds_of(rows)} |"


def seconds_of(rows: list[Record]) -> str:
    return f"{np.median([r['seconds'] for r in rows]):.2f}"


def asking_row(told: int, batch: int) -> str:
    """Process time, so that waiting for a busy machine does not count."""
    seconds = []
    for seed in range(ASKS):
        searcher, surface = BayesianSearcher(Space([BLOCK]), seed, n_initial_points=told), policy_problem("additive", FIRST)[0]
        for trial, row in zip(searcher.ask(told), searcher.rows, strict=True):
            searcher.tell(trial.id, float(surface(row[None])[0]))
        started = time.process_time()
        searcher.ask(batch)
        seconds.append(1000 * (time.process_time() - started))
    return f"| {told} | {np.median(seconds):.0f} ({max(seconds):.0f}) |"


def worth(gain: float, climb: dict[int, float]) -> str:
    """The first rung of random trials that is at least as good."""
    return next((f"< {n}" if n == 60 else f"{n}" for n, value in climb.items() if value >= gain), "> 2000")


def interval(values: list[float]) -> str:
    """Mean and 95 % bootstrap interval."""
    if len(values) < 2 or np.ptp(values) == 0:
        return f"{np.mean(values):.2f}"
    low, high = stats.bootstrap((values,), np.mean, random_state=0).confidence_interval
    return f"{np.mean(values):.2f} [{low:.2f}, {high:.2f}]"


def available(methods: list[str]) -> list[str]:
    """Those that can run here; the others are named on stderr with the reason."""
    found = []
    for method in methods:
        if method not in METHODS:
            sys.exit(f"--methods {method!r}: unknown; there are {', '.join(METHODS)}")
        if method.startswith("Optuna"):
            try:
                import optuna  # noqa: F401  (only whether it is there)
            except ImportError:
                print("Optuna TPE: left out, optuna is not installed (pip install optuna)", file=sys.stderr)
                continue
        found.append(method)
    return found


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--seeds", type=int, default=20)
    parser.add_argument("--trials", type=int, default=60)
    parser.add_argument("--batch", type=int, default=8)
    parser.add_argument("--methods", nargs="+", default=[m for m in METHODS if m != "skopt GP"], help=", ".join(METHODS))
    parser.add_argument("--only", choices=["policies", "functions"])
    parser.add_argument("--raw", type=Path, default=Path(__file__).with_suffix(".jsonl"))
    parser.add_argument("--report", action="store_true", help="only make the tables again from the raw file")
    arguments = parser.parse_args()
    problems = {"policies": list(SURFACES), "functions": list(FUNCTIONS)}.get(arguments.only, [*SURFACES, *FUNCTIONS])
    if not arguments.report:
        seeds = range(FIRST, FIRST + arguments.seeds)
        run(problems, available(arguments.methods), seeds, arguments.trials, arguments.batch, arguments.raw)
    write_text(arguments.raw.with_suffix(".md"), report(arguments.raw, arguments.trials, arguments.batch))


if __name__ == "__main__":
    main()
