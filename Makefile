# The user's verbs; `make help` lists them. Needs git, make and Python 3.11 or newer; everything else comes from the lock.
SCALE ?= laptop
DEPTH ?= default
STAGE ?= finetune
ARM ?= base
SEED ?= 0

# Values reach the commands through the environment, as they were typed: neither make nor a shell reads a name as code.
OPTIONS := SCALE CORPUS SYSTEMS QUESTIONS DEPTH SEEDS JOBS PROFILE KEEP_GOING RECIPE STAGE ARM SEED NAME
$(foreach option,$(OPTIONS),$(eval override $(option) := $$(value $(option))))
export $(OPTIONS)

# Without bytecode every process compiles every library again (12 s). Spinning OpenMP threads are 8 to 17 times slower on
# busy cores. The thread count is part of a result, so it never depends on the machine.
export PYTHONDONTWRITEBYTECODE :=
export OMP_NUM_THREADS ?= 1
export OMP_WAIT_POLICY ?= passive

# Where the environment is: .venv, or the active conda environment made from environment.yml. Its commands are run as
# modules: the first line of a script names an interpreter by its whole path, which may hold a space.
ifeq ($(CONDA_DEFAULT_ENV),vidlab)
PY := python
READY := conda
else
PY := .venv/bin/python
READY := .venv/.done
endif

need = $(if $($(1)),,$(error $(1) is missing: make $@ $(1)=...))
REPRODUCE = $(PY) -m lab reproduce --scale="$$SCALE" --corpus="$$CORPUS" --systems="$$SYSTEMS" \
	--questions="$$QUESTIONS" --depth="$$DEPTH" --seeds="$$SEEDS" --jobs="$$JOBS" --profile="$$PROFILE" $(if $(KEEP_GOING),--keep-going)
# Tests side by side: a process each, so no more than four unless asked for.
TEST_JOBS = $${JOBS:-$(shell n=$$(getconf _NPROCESSORS_ONLN 2>/dev/null || echo 2); echo $$((n > 4 ? 4 : n)))}

.PHONY: help setup reproduce real test test-slow test-gpu plan run ablation ensemble report lab bench check format lock clean
help: ## list the verbs
	@sed -nE 's/^([a-z-]+):.*## (.*)/  make \1\t\2/p' $(MAKEFILE_LIST) | expand -t 18

reproduce: $(READY) ## everything, from corpora to the report [SCALE= DEPTH= CORPUS= SYSTEMS= QUESTIONS= SEEDS= JOBS= PROFILE=slurm KEEP_GOING=1]
	@$(REPRODUCE)
test: $(READY) ## the whole suite
	$(PY) -m pytest -q -n "$(TEST_JOBS)" --dist loadfile --no-loadscope-reorder
test-slow: $(READY) ## also the tests that take minutes
	$(PY) -m pytest -q -n "$(TEST_JOBS)" --dist loadfile --no-loadscope-reorder -m "slow or not slow"
test-gpu: $(READY) ## what only a GPU can show
	$(PY) -m pytest -q -m gpu -rs

real: $(READY) ## fetch a real corpus and report on it: emoji, drawn and described by people
	@$(PY) -m lab corpus fetch emoji
	@$(MAKE) --no-print-directory reproduce SCALE=emoji

plan: $(READY) ## what reproduce would run, how long that takes and what it can show
	@$(REPRODUCE) --dry-run
run: $(READY) ## one training job and its parents: RECIPE= [STAGE= ARM= SEED=]
	@$(call need,RECIPE)$(REPRODUCE) --job "$$RECIPE" "$$STAGE" "$$ARM" "$$SEED"
ablation: $(READY) ## one question: NAME=
	@$(call need,NAME)$(REPRODUCE) "ablation/$$NAME"
ensemble: $(READY) ## one ensemble: NAME=
	@$(call need,NAME)$(REPRODUCE) "ensemble/$$NAME"
report: $(READY) ## the pages, from the runs that exist; trains nothing
	@$(REPRODUCE) --existing
lab: $(READY) ## JupyterLab on the notebooks
	$(PY) -m jupyterlab notebooks
bench: $(READY) ## speed, as ratios against a naive mode
	$(PY) -m benchmarks.loader
	$(PY) -m benchmarks.extraction
	$(PY) -m benchmarks.training
	$(PY) -m benchmarks.words
	$(PY) -m benchmarks.published

CODE := lib lab tests benchmarks
check: $(READY) ## style, types, floors, notebooks, params
	$(PY) -m ruff check $(CODE) notebooks
	$(PY) -m ruff format --check $(CODE) notebooks
	$(PY) -m snakefmt.snakefmt --check Snakefile
	$(PY) -c "from importlinter.cli import lint_imports_command as main; main()" --no-logo
	$(PY) -m nbstripout --verify --keep-id notebooks/*.ipynb
	$(PY) -m lab.validate
	$(PY) -m basedpyright
format: $(READY) ## write what check can fix
	$(PY) -m ruff check --fix -q $(CODE) notebooks
	$(PY) -m ruff format -q $(CODE) notebooks
	$(PY) -m snakefmt.snakefmt Snakefile
	$(PY) -m nbstripout --keep-id $(STRIP) notebooks/*.ipynb
STRIP := --extra-keys "metadata.language_info.version metadata.papermill cell.metadata.papermill cell.metadata.execution"
clean: ## remove what was generated (data, runs), but not .venv and not reports
	rm -rf data runs logs .snakemake

# ---- the environment

setup: $(READY) ## .venv from the lock
# The first of these that is new enough and can make environments; PYTHON=... chooses another.
PYTHON ?= $(shell for p in python3.11 python3.12 python3.13 python3.14 python3; do \
	"$$p" -c 'import sys, venv, ensurepip; sys.exit(sys.version_info < (3, 11))' 2>/dev/null && { echo "$$p"; break; }; done)
# .done is the last thing written and the first removed, so an environment without it is unfinished and is made from nothing.
.venv/.done: requirements.lock pyproject.toml
	@test ! -L .venv || { echo "error: .venv is a link to $$(readlink .venv), the environment of another folder, which would then"; \
		echo "use the code of this one. Remove the link (rm .venv) and call make setup for an environment of this folder's own."; exit 1; }
	@test -n "$(PYTHON)" || { echo "error: no Python 3.11 or newer that can make environments (with venv and ensurepip)."; \
		echo "On Debian and Ubuntu: apt install python3-venv. Elsewhere name one: make setup PYTHON=/path/to/python3.12"; exit 1; }
	@echo "Setting up .venv with $$("$(PYTHON)" --version); about a minute, with pip alone five."
	@test -f $@ || "$(PYTHON)" -m venv --clear .venv
	@rm -f $@
	@$(PY) -m pip install -q --disable-pip-version-check uv==0.13.8 || echo "uv cannot be had; going on with pip alone."
	@$(PY) -m uv pip install -q --python $(PY) --require-hashes -r requirements.lock \
		|| $(PY) -m pip install -q --disable-pip-version-check --require-hashes -r requirements.lock
	@$(PY) -m pip install -q --disable-pip-version-check --no-deps --no-build-isolation -e .
	@test ! -d .git || git config diff.jupytext.textconv \
		"$(PY) -m jupytext --from ipynb --to py:percent --opt notebook_metadata_filter=-all -o - --quiet"
	@touch $@
.PHONY: conda
conda:
	@$(PY) -c "import lab.cli" 2>/dev/null || $(PY) -m pip install -q --no-deps --no-build-isolation -e .
lock: $(READY) ## resolve pyproject.toml again; UPGRADE=1 takes newer versions
	$(PY) -m uv pip compile pyproject.toml --group dev --all-extras --universal --python-version 3.11 --generate-hashes \
		--no-strip-extras --no-emit-index-url --no-emit-find-links --no-annotate --no-header -q $(if $(UPGRADE),--upgrade) -o requirements.lock
