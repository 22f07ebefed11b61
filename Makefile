# make setup | run | test | test-all | check | clean
PYTHON ?= python3
VENV := .venv
export PATH := $(CURDIR)/$(VENV)/bin:$(PATH)
export DVC_NO_ANALYTICS := 1
# files of tests side by side; each process has a Prefect server of its own
PARALLEL := -n auto --maxprocesses 4 --dist loadfile

.PHONY: setup run test test-all check clean

setup: $(VENV)/.installed

$(VENV)/.installed: pyproject.toml constraints.txt
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11) and "Python 3.11 or newer is needed, this is " + sys.version.split()[0] + "; try make PYTHON=python3.12")'
	$(PYTHON) -m venv $(VENV)
	$(VENV)/bin/python -m pip install --quiet --no-compile --constraint constraints.txt --editable '.[dev]'
	@# pip compiles on one core; packages also hold files that no Python can compile, which is no failure
	-@$(VENV)/bin/python -m compileall -q -j 0 $(VENV)/lib >/dev/null 2>&1 || true
	touch $@

run: setup
	@# a download without git's folder: DVC then works without versions of its own files
	@test -e .git || dvc config --local core.no_scm true
	dvc repro

test: setup
	OMP_NUM_THREADS=1 python -m pytest -q $(PARALLEL)

test-all: setup
	OMP_NUM_THREADS=1 python -m pytest -q $(PARALLEL) -m 'slow or not slow'

check: setup  # lint, format, types
	ruff check .
	ruff format --check .
	mypy

clean:
	rm -rf $(VENV) .pytest_cache .mypy_cache .ruff_cache
