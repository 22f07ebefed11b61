"""Runs in a world that is not kind: proxies, kills, full disks, downloads without git, words mistyped."""

import os
import re
import shutil
import signal
import subprocess
import sys
from pathlib import Path

import psutil
import pytest

from augsearch.store import Store
from flows.__main__ import main
from tests.conftest import ROOT, Checkout, new_checkout, wait_for

PREPARE = ("python", "-m", "flows", "prepare")
CLOSED = "http://127.0.0.1:9"  # the port "discard": nobody listens


@pytest.fixture(scope="module")
def checkout(tmp_path_factory: pytest.TempPathFactory, environment: dict[str, str]) -> Checkout:
    """A checkout without a Prefect server: each run starts a temporary one."""
    alone = {name: value for name, value in environment.items() if name != "PREFECT_API_URL"}
    return new_checkout(tmp_path_factory.mktemp("runs"), alone)


def started(checkout: Checkout) -> list[psutil.Process]:
    """Processes that run in the checkout."""

    def here(process: psutil.Process) -> bool:
        try:
            return process.cwd() == str(checkout.root) and process.status() != psutil.STATUS_ZOMBIE
        except psutil.Error:
            return False

    return [process for process in psutil.process_iter() if here(process)]


@pytest.mark.parametrize("sign", [signal.SIGKILL, signal.SIGTERM])
def test_a_temporary_server_ends_with_its_run(checkout: Checkout, sign: signal.Signals) -> None:
    """The run alone is killed, as a batch system or the kernel does it, not its process group."""
    run = checkout.start(*PREPARE, log="killed.log")
    wait_for("the server", lambda: len(started(checkout)) > 1)
    os.kill(run.pid, sign)
    run.wait(10)
    wait_for("the server's end", lambda: not started(checkout), 20)


def test_a_second_run_does_not_race_the_first(checkout: Checkout) -> None:
    """`dvc repro` ended by SIGTERM alone leaves its stage running, with the store open."""
    with Store.open(checkout.root / ".augsearch"):
        done = checkout.run("python", "-m", "flows", "search", ok=False)
    assert done.returncode == 2
    last = done.stderr.splitlines()[-1]
    assert last == f"error: {checkout.root}/.augsearch: in use by another run; wait for it to end, or stop it"
    assert "Traceback" not in done.stderr


def test_proxies_do_not_stand_before_this_machine(checkout: Checkout) -> None:
    """Nor does one that Prefect's client cannot use at all."""
    proxies = {"HTTP_PROXY": CLOSED, "https_proxy": CLOSED, "ALL_PROXY": "socks5://127.0.0.1:9"}
    behind = Checkout(checkout.root, checkout.environment | proxies)
    assert "digits: 200 train" in behind.run(*PREPARE).stderr
    assert not started(checkout)


@pytest.mark.parametrize(
    ("variables", "exempt"),
    [
        ({"HTTP_PROXY": CLOSED}, "127.0.0.1,localhost,::1"),
        ({"http_proxy": CLOSED, "NO_PROXY": ".example.org"}, ".example.org,127.0.0.1,localhost,::1"),
        ({"http_proxy": CLOSED, "NO_PROXY": "upper", "no_proxy": "lower"}, "lower,127.0.0.1,localhost,::1"),
        ({"http_proxy": CLOSED, "no_proxy": "*"}, "*"),
        ({"ALL_PROXY": "socks5h://127.0.0.1:9"}, "127.0.0.1,localhost,::1"),
        ({}, ""),
    ],
)
def test_what_the_user_exempts_from_proxies_stays_exempt(variables: dict[str, str], exempt: str) -> None:
    clean = {name: value for name, value in os.environ.items() if not name.lower().endswith("_proxy")}
    code = "import flows, httpx, urllib.request; httpx.Client(); print(urllib.request.getproxies().get('no', ''))"
    done = subprocess.run([sys.executable, "-c", code], env=clean | variables, cwd=ROOT, capture_output=True, text=True)
    assert (done.stdout.strip(), done.stderr) == (exempt, "")


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["serch"], "error: serch: no such stage, did you mean 'search'?"),
        (["search", "retrian"], "error: retrian: no such stage, did you mean 'retrain'?"),
        (["search", "--trials"], "error: --trials: no such stage\n"),
        (["prepare", "a.yaml", "search"], "usage: "),
        (["experimant", "x.yaml"], "error: experimant: no such stage, did you mean 'experiment'?"),
        (["experiment"], "usage: "),
        ([], "usage: python -m flows STAGE"),
    ],
)
def test_a_wrong_word_is_answered_at_once(arguments: list[str], said: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(arguments) == 2
    assert capsys.readouterr().err.startswith(said)


def test_help_needs_no_torch() -> None:
    code = "import sys; from flows.__main__ import main; code = main(['search', '--help']); print(code, 'torch' in sys.modules)"
    done = subprocess.run([sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True, check=True)
    assert done.stdout.startswith("usage: python -m flows STAGE ... [params.yaml]")
    assert done.stdout.endswith("0 False\n")


def test_a_download_without_git_runs(checkout: Checkout, tmp_path: Path) -> None:
    """By the commands that `make run` has."""
    copy = new_checkout(tmp_path, checkout.environment)
    shutil.rmtree(copy.root / ".git")
    recipe = re.search(r"^run: setup\n((?:\t.*\n)+)", (ROOT / "Makefile").read_text(), re.MULTILINE)
    assert recipe is not None
    commands = [line.strip().removeprefix("@") for line in recipe[1].splitlines()]
    assert commands[-1] == "dvc repro"
    for command in commands[:-1]:
        copy.run("sh", "-c", command)
    copy.run("dvc", "repro", "prepare")
    assert (copy.root / "data/dataset.json").exists()
    assert "Data and pipelines are up to date." in copy.run("dvc", "status", "prepare").stdout


@pytest.mark.slow
def test_one_server_serves_the_run_and_all_its_threads(checkout: Checkout) -> None:
    checkout.set_params({"search": {"methods": ["random"], "trials": 1, "batch": 1}, "retrain": {"arms": ["none"]}})
    checkout.run("python", "-m", "flows", "prepare")
    done = checkout.run("python", "-m", "flows", "search")
    assert "temporary server" not in done.stdout + done.stderr
