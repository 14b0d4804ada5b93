# The user's verbs. `make help` lists them; every verb is one line.
SCALE ?= laptop
JOBS ?= $(shell getconf _NPROCESSORS_ONLN 2>/dev/null || echo 2)
CORPUS ?=
SYSTEMS ?=
SEEDS ?=
STAGE ?= finetune
ARM ?= base
SEED ?= 0

# Without bytecode every process compiles every library again (12 s); spinning OpenMP threads are 8 to 17 times slower on
# busy cores; the thread count is part of a result, so it never depends on the machine.
export PYTHONDONTWRITEBYTECODE :=
export OMP_NUM_THREADS ?= 1
export OMP_WAIT_POLICY ?= passive

PY := .venv/bin/python
PYTHON ?= $(firstword $(foreach v,python3.11 python3.12 python3.13 python3,$(shell command -v $(v) 2>/dev/null)))
REPRODUCE = $(PY) -m lib.flow.reproduce --scale $(SCALE) --jobs $(JOBS) $(if $(CORPUS),--corpus $(CORPUS)) $(if $(SYSTEMS),--systems $(subst $(space),$(comma),$(SYSTEMS))) $(if $(SEEDS),--seeds $(SEEDS)) $(if $(KEEP_GOING),--keep-going)
comma := ,
empty :=
space := $(empty) $(empty)

.PHONY: help setup reproduce plan run ablation ensemble report lab test check format bench lock clean
help: ## list the verbs
	@grep -hE '^[a-z]+:.*## ' $(MAKEFILE_LIST) | sed -E 's/:.*## /\t/' | expand -t 12

setup: .venv/.done ## make .venv from the lock
.venv/.done: requirements.lock pyproject.toml
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' || { echo "error: Python 3.11 or newer is needed; name one with PYTHON=..."; exit 1; }
	@$(PYTHON) -c 'import ensurepip' || { echo "error: this Python has no ensurepip (on Debian: install python3-venv)"; exit 1; }
	test -x $(PY) || $(PYTHON) -m venv .venv
	$(PY) -m pip install -q uv==0.13.8
	$(PY) -m uv pip install -q --python $(PY) --require-hashes -r requirements.lock || $(PY) -m pip install -q --require-hashes -r requirements.lock
	$(PY) -m uv pip install -q --python $(PY) --no-deps --no-build-isolation -e . || $(PY) -m pip install -q --no-deps --no-build-isolation -e .
	touch $@

reproduce: .venv/.done ## everything from corpora to report [SCALE= CORPUS= SYSTEMS= SEEDS= JOBS= KEEP_GOING=1]
	@$(REPRODUCE)
plan: .venv/.done ## what reproduce would run and for how long
	@$(REPRODUCE) --dry-run
run: .venv/.done ## one job and its parents: RECIPE= [STAGE= ARM= SEED=]
	@$(REPRODUCE) --job $(RECIPE) $(STAGE) $(ARM) $(SEED)
ablation: .venv/.done ## one question: NAME=
	@$(REPRODUCE) ablation/$(NAME)
ensemble: .venv/.done ## one ensemble: NAME=
	@$(REPRODUCE) ensemble/$(NAME)
report: .venv/.done ## the report and what it still lacks
	@$(REPRODUCE) report
lab: .venv/.done ## JupyterLab on the notebooks
	.venv/bin/jupyter lab notebooks
test: .venv/.done ## the whole suite
	$(PY) -m pytest -n $(JOBS) -q
check: .venv/.done ## style, types, floors, notebooks, params
	$(PY) -m ruff check lib tests benchmarks
	.venv/bin/lint-imports
	.venv/bin/nbstripout --verify --keep-id notebooks/*.ipynb
	$(PY) -m lib.stages.validate
format: .venv/.done ## write what check can fix
	$(PY) -m ruff check --fix -q lib tests benchmarks
	.venv/bin/nbstripout --keep-id notebooks/*.ipynb
bench: .venv/.done ## speed, as ratios against a naive mode
	$(PY) -m benchmarks.loader
	$(PY) -m benchmarks.training
	$(PY) -m benchmarks.published
lock: .venv/.done ## resolve versions again
	.venv/bin/uv pip compile pyproject.toml --group dev --universal --python-version 3.11 --generate-hashes --no-emit-index-url --no-emit-find-links --no-annotate --no-header -q -o requirements.lock
clean: ## remove what was generated (data, runs), not .venv and not reports
	rm -rf data runs .snakemake logs
