# Every target sets up what it needs: a bare clone and Python 3.11 are enough.
PYTHON ?= python3
VENV ?= .venv
BIN := $(VENV)/bin
READY := $(VENV)/.ready
DEV := $(VENV)/.dev
# Compiled files are kept: else every process of every test compiles hetsim (3 s) and its tests anew.
export PYTHONDONTWRITEBYTECODE :=

.PHONY: demo test test-all check lint bench docs clean

$(READY): pyproject.toml
	$(PYTHON) -m venv $(VENV)
	$(BIN)/python -m pip install --quiet --upgrade pip
	$(BIN)/python -m pip install --quiet -e .
	touch $(READY)

$(DEV): $(READY)
	$(BIN)/python -m pip install --quiet -e '.[dev,tables,search,cluster,notebooks,docs,calibrate]'
	touch $(DEV)

demo: $(READY)  ## one heterogeneous prefill-decode cluster, simulated
	$(BIN)/hetsim run quickstart

test: $(DEV)  ## quick tests, then a fixed sample of the slow ones
	HYPOTHESIS_PROFILE=ci $(BIN)/python -m pytest -q -n 2 --dist loadfile -m "not slow and not nightly"
	HYPOTHESIS_PROFILE=ci $(BIN)/python -m pytest -q -n 2 --dist loadfile -m "slow and not nightly and not alone"
	HYPOTHESIS_PROFILE=ci $(BIN)/python -m pytest -q -m "alone and slow and not nightly"

test-all: $(DEV)  ## everything, the long explorations included
	HYPOTHESIS_PROFILE=nightly $(BIN)/python -m pytest -q

lint: $(DEV)
	$(BIN)/ruff format --check hetsim tests benchmarks notebooks docs
	$(BIN)/ruff check hetsim tests benchmarks notebooks docs
	$(BIN)/mypy
	$(BIN)/lint-imports

check: lint  ## what every commit must pass
	$(BIN)/python -m pytest -q -n 2 --dist loadfile -m "not slow and not nightly"

bench: $(DEV)  ## cost per request, in bare SimPy timeouts
	$(BIN)/python -m pytest -q benchmarks --benchmark-only

docs: $(READY)  ## the documentation, as a site in site/
	$(BIN)/python -m pip install --quiet -e '.[docs]'
	NO_MKDOCS_2_WARNING=1 $(BIN)/python -m mkdocs build --strict --quiet
	@echo "read it: $(BIN)/python -m http.server --directory site"

clean:
	rm -rf $(VENV) build dist site .mypy_cache .ruff_cache .pytest_cache .hypothesis
