# `make` alone explains itself. Everything runs in .venv, which `make setup` creates.
SHELL := bash
.SHELLFLAGS := -eu -o pipefail -c
.DEFAULT_GOAL := help
.DELETE_ON_ERROR:
MAKEFLAGS += --no-print-directory

PYTHON ?= python3
BIN := .venv/bin
STAMP := .venv/installed
# Stages call `python`: it must be the one of .venv.
export PATH := $(CURDIR)/$(BIN):$(PATH)
export VIRTUAL_ENV := $(CURDIR)/.venv

.PHONY: help
help: ## print this list
	@grep -hE '^[a-z-]+:.*## ' $(MAKEFILE_LIST) | awk -F ':.*## ' '{printf "make %-15s %s\n", $$1, $$2}'

.PHONY: setup
setup: $(STAMP) ## create .venv with the locked versions (once; about 1 GB to download)
	@echo "Ready: source .venv/bin/activate"

$(STAMP): pyproject.toml requirements.lock
	@$(PYTHON) -c 'import sys; sys.exit("Python 3.11 or newer is needed, this is %d.%d; try: make setup PYTHON=python3.12" \
	  % sys.version_info[:2] if sys.version_info < (3, 11) else 0)'
	@echo "Installing into .venv; the first time takes some minutes ..."
	@$(PYTHON) -m venv .venv
	@$(BIN)/python -m pip install --quiet --disable-pip-version-check -c requirements.lock -e '.[dev]'
	@touch $@

.PHONY: repro
repro: $(STAMP) ## tables, figures and page of the demo profile, from nothing (2 CPU cores: up to 45 minutes)
	@$(BIN)/dvc repro
	@$(MAKE) where PROFILE=demo

.PHONY: smoke
smoke: $(STAMP) ## every stage of the same pipeline at its smallest (minutes)
	@$(BIN)/dvc repro profiles/smoke/dvc.yaml

.PHONY: study lab paper
study: $(STAMP) ## the demo's data with more seeds and controls (CPU, hours)
lab: $(STAMP) ## larger networks on the demo's engine (one GPU, about an hour)
paper: $(STAMP) ## the paper's settings on the real data sets, downloaded once you accept their licences (GPUs, days)
study lab paper:
	@$(BIN)/dvc repro profiles/$@/dvc.yaml
	@$(MAKE) where PROFILE=$@

.PHONY: paper-rehearsal
paper-rehearsal: $(STAMP) ## the paper profile's pipeline, downloads included, on synthetic archives (minutes)
	@$(BIN)/python -m bench --params profiles/rehearsal/params.yaml rehearse
	@$(MAKE) where PROFILE=rehearsal

.PHONY: where
where:
	@echo
	@echo "Tables: reports/$(PROFILE)/tables/table{1,2,3}.{csv,md,tex}"
	@echo "Page:   reports/$(PROFILE)/index.html"

.PHONY: test
test: $(STAMP) ## run the tests
	@OMP_NUM_THREADS=1 $(BIN)/python -m pytest --numprocesses 2

.PHONY: readme
readme: $(STAMP) ## put the demo's results into README.md
	@$(BIN)/python tests/readme_block.py

.PHONY: benchmark
benchmark: $(STAMP) ## time the hot spots, and assert their ratios to reference kernels (a quiet machine, half an hour)
	@$(BIN)/python -m pytest tests/benchmarks --benchmark-enable

.PHONY: lint
lint: $(STAMP) ## ruff: rules and format
	@$(BIN)/ruff check
	@$(BIN)/ruff format --check

.PHONY: format
format: $(STAMP) ## ruff: mend what can be mended
	@$(BIN)/ruff check --fix
	@$(BIN)/ruff format

.PHONY: types
types: $(STAMP) ## mypy, strict
	@$(BIN)/mypy

.PHONY: contracts
contracts: $(STAMP) ## import-linter: who may import whom
	@$(BIN)/lint-imports

.PHONY: check
check: lint types contracts ## everything that reads the code without running it

.PHONY: check-demo
check-demo: $(STAMP) ## after `make repro`: do the trained parts do their work?
	@$(BIN)/python -m bench check

.PHONY: clean
clean: ## remove scenes, weights and checkpoints of all profiles; .venv, reports and DVC's cache stay
	@rm -rf work runs .pytest_cache .mypy_cache .ruff_cache .import_linter_cache .hypothesis .benchmarks
