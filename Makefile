# Each command does its own set-up; nothing is written outside this directory but what a command says it does.
#
#   make run      run a container on an engine of its own and show what it sees (needs root)
#   make test     the whole test suite (as root it installs the Debian packages that the tests use)
#   make check    format, lint, types, layers, twins, budgets
#   make bench    our figures beside dockerd's (needs root)
#   make clean    remove build/, caches and .venv
#
#   make test PYTHON=/path/to/python3.12      another interpreter
#   make test TESTS="tests/unit -k spool"     some of the tests
#   make bench BENCH="--runs 20 --only exec"  some of the workloads

SHELL := /bin/sh
VENV := .venv
BIN := $(VENV)/bin
PYTHON ?=
TESTS ?=
BENCH ?=

.DELETE_ON_ERROR:
.PHONY: run test check bench format clean

run: $(VENV)/.ready-run
	$(BIN)/python tools/demo.py

test: $(VENV)/.ready-dev
	tools/debian_packages.sh
	$(BIN)/python -m pytest -n auto --maxprocesses 8 --dist loadgroup $(TESTS)

check: $(VENV)/.ready-dev
	$(BIN)/python tools/check.py

bench: $(VENV)/.ready-dev
	tools/debian_packages.sh
	$(BIN)/python -m bench $(BENCH)

format: $(VENV)/.ready-dev
	$(BIN)/ruff format
	$(BIN)/ruff check --fix

# An editable install: a change of the source needs no new one, a change of pyproject.toml does.
$(VENV)/.ready-run: pyproject.toml | $(BIN)/python
	$(BIN)/python -m pip install --quiet --disable-pip-version-check -e '.[all]'
	touch $@

$(VENV)/.ready-dev: pyproject.toml | $(BIN)/python
	$(BIN)/python -m pip install --quiet --disable-pip-version-check -e '.[dev]'
	touch $@ $(VENV)/.ready-run

$(BIN)/python:
	PYTHON="$(PYTHON)" tools/make_venv.sh $(VENV)

clean:
	rm -rf build dist .mypy_cache .ruff_cache .pytest_cache .import_linter_cache .hypothesis $(VENV)
	find src tests bench tools -name __pycache__ -type d -prune -exec rm -rf {} +
