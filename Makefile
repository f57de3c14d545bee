# From a bare machine (Python >= 3.10, git, make) to a result.
#   make demo   a small study on bundled exchange rates, a few minutes on a laptop
#   make test   every test
PYTHON ?= python3
BIN := .venv/bin

.PHONY: demo test clean

demo: .venv/.installed
	$(BIN)/poe optuna-demo

test: .venv/.installed-dev
	$(BIN)/poe test

.venv/bin/python:
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 10))' \
		|| { echo "FxAI needs Python 3.10 or newer: make PYTHON=/path/to/python3"; exit 2; }
	$(PYTHON) -m venv .venv

.venv/.installed: .venv/bin/python pyproject.toml constraints.txt
	$(BIN)/python -m pip install --quiet -c constraints.txt -e .
	@touch $@

.venv/.installed-dev: .venv/.installed
	$(BIN)/python -m pip install --quiet -c constraints.txt -e ".[dev]"
	@touch $@

clean:
	rm -rf .venv
