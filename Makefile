# `make` alone explains itself. Everything runs in .venv, which `make setup` creates.
SHELL := bash
.SHELLFLAGS := -eu -o pipefail -c
.DEFAULT_GOAL := help
.DELETE_ON_ERROR:
MAKEFLAGS += --no-print-directory

PYTHON ?= python3
BIN := .venv/bin
STAMP := .venv/installed
NIGHT := work/nightly
# Stages call `python`: it must be the one of .venv.
export PATH := $(CURDIR)/$(BIN):$(PATH)
export VIRTUAL_ENV := $(CURDIR)/.venv
# Tests and stages start Python some hundred times; where compiled modules aren't kept, each start compiles them again.
unexport PYTHONDONTWRITEBYTECODE

.PHONY: help
help: ## print this list
	@grep -hE '^[a-z-]+:.*## ' $(MAKEFILE_LIST) | awk -F ':.*## ' '{printf "make %-15s %s\n", $$1, $$2}'

.PHONY: setup
setup: $(STAMP) ## create .venv with the locked versions (once; 1 GB to download, on Linux more, with CUDA)
	@echo "Ready: source .venv/bin/activate"

$(STAMP): pyproject.toml requirements.lock
	@$(PYTHON) -c 'import sys; sys.exit("Python 3.11 or newer is needed, this is %d.%d; try: make setup PYTHON=python3.12" \
	  % sys.version_info[:2] if sys.version_info < (3, 11) else 0)'
	@echo "Installing into .venv; the first time takes some minutes ..."
	@$(PYTHON) -m venv .venv
	@$(BIN)/python -m pip install --quiet --disable-pip-version-check -c requirements.lock -e '.[dev]'
	@touch $@

.PHONY: repro
repro: $(STAMP) ## `dvc repro` of the demo, stages side by side: tables, figures, page (2 CPU cores: 45 minutes)
	@$(BIN)/python -m bench launch --on local $(if $(JOBS),--jobs $(JOBS))
	@$(MAKE) where PROFILE=demo

.PHONY: smoke
smoke: $(STAMP) ## every stage of the same pipeline at its smallest (minutes)
	@$(BIN)/python -m bench --params profiles/smoke/params.yaml plan
	@$(BIN)/dvc repro profiles/smoke/dvc.yaml

.PHONY: smoke-again
smoke-again: $(STAMP) ## the smoke pipeline once more: no stage may run
	@mkdir -p $(NIGHT)
	@$(BIN)/dvc repro profiles/smoke/dvc.yaml 2>&1 | tee $(NIGHT)/smoke-again.txt
	@! grep 'Running stage' $(NIGHT)/smoke-again.txt || { echo 'error: the second run executed these stages' >&2; exit 1; }

.PHONY: study
study: $(STAMP) ## the demo's data with more seeds and controls (CPU, hours)
	@$(BIN)/python -m bench --params profiles/$@/params.yaml plan
	@$(BIN)/dvc repro profiles/$@/dvc.yaml
	@$(MAKE) where PROFILE=$@

# On all GPUs of this machine, several trainings side by side on each as its memory allows (PER_GPU=1: one). Stop it at
# any time; the same command goes on.
launch = $(BIN)/python -m bench --params profiles/$1/params.yaml launch --per-gpu $(or $(PER_GPU),auto)
ORDER := 2,3,1

.PHONY: lab day paper
lab: $(STAMP) ## published widths and all three tables on the demo's engine (one H100: 2.1-3 h in fp32, 43-49 min in bf16)
	@$(call launch,$@)
	@$(MAKE) where PROFILE=$@
day: PROFILE = day$(addprefix -,$(filter-out kalantari,$(DATASET)))
day: $(STAMP) ## all three tables on real data, on one schedule; SEEDS=2, DATASET=hu, TABLES=2,3 (one H100: 51-71 h in fp32, 19-21 h in bf16)
	@test -d profiles/$(PROFILE) || \
	  $(BIN)/python -m bench new profile $(PROFILE) --like day --dataset $(DATASET)
	@$(BIN)/python -m bench --params profiles/$(PROFILE)/params.yaml plan
	@$(BIN)/python -m bench doctor --profile $(PROFILE) || true
	@$(call launch,$(PROFILE)) --tables $(or $(TABLES),$(ORDER)) --seeds $(or $(SEEDS),1) --partial
paper: $(STAMP) ## the paper's settings on the real data sets, once you accept their licences; TABLES=2,3 (one H100: 436-634 h in fp32, 136-160 h in bf16)
	@$(call launch,$@) --tables $(or $(TABLES),$(ORDER)) --partial

.PHONY: stress
stress: $(STAMP) ## where does each method break? with the demo's weights, so after `make repro` (2 CPU cores: 20 minutes)
	@ls work/demo/weights/*.safetensors > /dev/null 2>&1 || \
	  { echo 'error: the demo has no weights here; make them with: make repro' >&2; exit 2; }
	@mkdir -p weights/demo && cp work/demo/weights/*.safetensors work/demo/weights/*.json weights/demo/
	@$(BIN)/python -m bench --params profiles/stress/params.yaml launch --on local $(if $(JOBS),--jobs $(JOBS))
	@printf '\nTable:  reports/stress/tables/stress.{csv,md,tex}\nPage:   reports/stress/index.html\n'

.PHONY: paper-rehearsal day-rehearsal
paper-rehearsal: PROFILE = rehearsal
paper-rehearsal: $(STAMP) ## all that `make paper` does, downloads included, on synthetic archives (minutes)
day-rehearsal: PROFILE = day-rehearsal
day-rehearsal: $(STAMP) ## the same of `make day`, with a kill in the middle and a second seed (minutes)
paper-rehearsal day-rehearsal:
	@$(BIN)/python -m bench --params profiles/$(PROFILE)/params.yaml rehearse
	@$(MAKE) where PROFILE=$(PROFILE)

.PHONY: where
where:
	@echo
	@echo "Tables: reports/$(PROFILE)/tables/table{1,2,3}.{csv,md,tex}"
	@echo "Page:   reports/$(PROFILE)/index.html"

# Memory that arrays leave is kept for the next ones: to give each back and ask for it anew is a twentieth of the time.
.PHONY: test
test: export MALLOC_MMAP_THRESHOLD_ := 67108864
test: export MALLOC_TRIM_THRESHOLD_ := 536870912
test: $(STAMP) ## run the tests
	@OMP_NUM_THREADS=1 $(BIN)/python -m pytest --numprocesses 2 --dist loadfile --no-loadscope-reorder

.PHONY: test-slow
test-slow: $(STAMP) ## kill the pipeline and delete its files at random: does it recover to the byte? (minutes)
	@$(BIN)/python -m pytest tests/slow --ignore tests/slow/test_compiled.py

.PHONY: test-compiled
test-compiled: $(STAMP) ## compile a step of every method and preset: is it the eager one? (an hour or two; DEVICE=cuda: half an hour)
	@$(BIN)/python -m pytest tests/slow/test_compiled.py tests/train/test_precision.py -k $(or $(DEVICE),cpu)

.PHONY: test-slurm
test-slurm: $(STAMP) ## run the tests on a real Slurm of two nodes (as root, with slurm-wlm and munge)
	@$(BIN)/python -m pytest tests/slurm -rs

.PHONY: fuzz
fuzz: $(STAMP) ## N (1000) mutated files for every reader: is each read, or refused in one sentence? (minutes)
	@$(BIN)/python tests/fuzz/attack.py --count $(or $(N),1000)

.PHONY: deps
deps: $(STAMP) ## write into dvc.yaml which code each stage depends on, from the imports
	@PYTHONPATH=. $(BIN)/python tests/pipeline_deps.py

.PHONY: readme
readme: $(STAMP) ## put the demo's results, metrics and protocols into docs/
	@$(BIN)/python tests/readme_block.py

.PHONY: costs
costs: $(STAMP) ## count what networks cost, where code or profiles changed; hours into docs/ and this list (minutes)
	@$(BIN)/python -m bench cost count
	@PYTHONPATH=. $(BIN)/python tests/cost_blocks.py

.PHONY: benchmark
benchmark: $(STAMP) ## time the hot spots, and assert their ratios to reference kernels (a quiet machine, half an hour)
	@$(BIN)/python -m pytest tests/benchmarks --benchmark-enable

.PHONY: wheel
wheel: $(STAMP) ## the metrics alone as a package, `hdr_metrics`, which needs torch and NumPy: work/wheel (seconds)
	@rm -rf packaging/build work/wheel
	@$(BIN)/python -m pip wheel --quiet --no-deps --no-build-isolation --wheel-dir work/wheel ./packaging
	@ls work/wheel/*.whl

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

.PHONY: frozen
frozen: $(STAMP) ## do stored predictions still get the scores they had? (seconds)
	@mkdir -p $(NIGHT)
	@$(BIN)/python -m bench frozen --md $(NIGHT)/$@.md

.PHONY: ratios
ratios: $(STAMP) ## are hot spots as many times as fast as reference kernels as accepted? (minutes, quiet machine)
	@mkdir -p $(NIGHT) && rm -f $(NIGHT)/ratios.xml
	@$(BIN)/python -m pytest tests/benchmarks -m timed --benchmark-enable --junitxml=$(NIGHT)/ratios.xml || true
	@$(BIN)/python tests/benchmarks/ratios.py $(NIGHT)/ratios.xml | tee $(NIGHT)/ratios.md

# $(call compare,PARAMETER FILE,ACCEPTED SCORES,SCORES)
compare = mkdir -p $(NIGHT) && $(BIN)/python -m bench --params $1 compare $2 $3 --kind retrained --md $(NIGHT)/$@.md

.PHONY: compare-smoke
compare-smoke: $(STAMP) ## after `make smoke`: are its scores those of tests/baselines, but for rounding?
	@$(call compare,profiles/smoke/params.yaml,tests/baselines/smoke,reports/smoke)

.PHONY: compare-demo compare-lab compare-paper
compare-demo: $(STAMP) ## after `make repro`: are its scores those of the last commit, but for rounding?
compare-lab compare-paper: $(STAMP)
compare-demo compare-lab compare-paper: compare-%:
	@if git cat-file -e HEAD:reports/$*/scores.csv 2>/dev/null; then \
	  $(call compare,$(if $(filter demo,$*),params.yaml,profiles/$*/params.yaml),HEAD:reports/$*,reports/$*); \
	else echo 'nothing to compare with: commit reports/$* to accept these scores'; fi

.PHONY: accept-smoke accept-ratios
accept-smoke: ## after `make smoke`: its scores are right; commit tests/baselines with the reason
	@mkdir -p tests/baselines/smoke
	@cp reports/smoke/scores.csv profiles/smoke/dvc.lock tests/baselines/smoke/
accept-ratios: $(STAMP) ## after `make ratios`: these speeds are right; commit tests/benchmarks/accepted.json
	@$(BIN)/python tests/benchmarks/ratios.py $(NIGHT)/ratios.xml --accept

.PHONY: rescore
rescore: $(STAMP) ## score anew what the pull request in work/submitted adds to the log of submissions
	@$(BIN)/python .ci/rescore.py work/submitted/reports/submissions

# .github/workflows/nightly.yml has the same steps in the same order; tests/test_workflows.py compares them.
nightly-steps := setup test frozen smoke smoke-again compare-smoke ratios
weekly-steps := setup repro check-demo compare-demo paper-rehearsal day-rehearsal fuzz benchmark
.PHONY: nightly weekly
nightly: ## what runs every night: goes on after a failure and ends with a summary
weekly: ## what runs on Sundays as well: the demo from nothing, the paper's rehearsal, mutants, all timings
nightly weekly:
	@for step in $($@-steps); do .ci/step make $$step || [[ $$? != 130 ]]; done
	@.ci/summary | tee $(NIGHT)/summary.md

.PHONY: clean
clean: ## remove scenes, weights and checkpoints of all profiles; .venv, reports and DVC's cache stay
	@rm -rf work runs .pytest_cache .mypy_cache .ruff_cache .import_linter_cache .hypothesis .benchmarks
