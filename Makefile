# make demo: the whole study on the embedded default.   make test: all tests that need neither root nor a GPU.
# Python 3.11 or newer, by its own name where the system has it.
PYTHON ?= $(shell command -v python3.11 || command -v python3)
BIN := .venv/bin
SHELL := /bin/bash
export PATH := $(CURDIR)/$(BIN):$(PATH)

.PHONY: demo world test test-slurm test-slurm-training chaos test-browser mutants lint format lock schema clean clean-results
.DELETE_ON_ERROR:

demo: .venv/complete
	@start=$$SECONDS; snakemake --profile profiles/demo && \
	echo "Done in $$((SECONDS - start)) s. The report: $(CURDIR)/results/demo/report/index.html"

# A study whose best mix is known, on models trained from scratch; its figure is that of the README.
world: .venv/complete
	snakemake --configfile config/world.yaml --cores 2
	cp results/world/figures/surface.svg docs/world.svg

test: .venv/complete
	pytest -n 2

# Tests on a real SLURM cluster that they start on this machine: needs root and Debian's munge, slurmctld, slurmd and
# slurm-client. Where these are missing the tests fail; POSOLOGIE_MAY_SKIP=slurm skips them.
test-slurm: .venv/complete
	@python tests/slurm/cluster.py start >/dev/null || true; \
	pytest -n 2 tests/slurm -rs; status=$$?; \
	python tests/slurm/cluster.py stop; exit $$status

# The report in Debian's Chromium (chromium chromium-driver). axe, which checks the accessibility, comes in a Python package
# whose own code is not used. Where they are missing the tests fail; POSOLOGIE_MAY_SKIP="browser axe" skips them.
AXE := axe-playwright-python==0.1.8
test-browser: .venv/complete
	@test -d tests/.cache/axe || pip install --quiet --disable-pip-version-check --no-deps --target tests/.cache/axe $(AXE) || \
	  echo "make test-browser: axe could not be installed" >&2; \
	pytest tests/browser -rs

# Trainings on the test cluster that are cut and doubled: some minutes, by hand.
test-slurm-training: .venv/complete
	POSOLOGIE_BY_HAND=1 pytest tests/slurm/test_slurm_training.py

# The test study on the test cluster, killed a hundred times at random: hours. Seed and pace: python tests/slurm/chaos.py -h
chaos: .venv/complete
	mkdir -p work && python tests/slurm/chaos.py --log work/chaos.jsonl

# Mutation tests of what numbers rest on; one module: make mutants MUTATED=prompting.py
mutants: .venv/complete
	python tests/mutants/run.py $(MUTATED)

lint: .venv/complete
	ruff check .
	ruff format --check .
	mypy
	snakemake --lint

format: .venv/complete
	ruff check --fix .
	ruff format .

# What is generated from the configuration's models.
schema: .venv/complete
	python -m posologie.config.schema

# The environment is made anew when the lock file changes, so that nothing stays that is not in it. torch's own platform
# packages (CUDA on Linux) are pinned by torch and come in the second step; the CPU build has none.
.venv/complete: envs/requirements.lock pyproject.toml
	$(PYTHON) -m venv --clear .venv
	$(BIN)/pip install --quiet --disable-pip-version-check --no-deps -r envs/requirements.lock
	$(BIN)/pip install --quiet --disable-pip-version-check -c envs/requirements.lock torch
	$(BIN)/pip install --quiet --disable-pip-version-check --no-deps --no-build-isolation -e .
	touch $@

lock:
	rm -rf work/lock && $(PYTHON) -m venv work/lock
	work/lock/bin/pip install --quiet -r envs/requirements.in
	work/lock/bin/pip install --quiet --no-deps -r envs/models.in
	work/lock/bin/pip freeze --all | grep -v -i -E '^(pip|wheel|nvidia-[a-z0-9-]*-cu[0-9]+|triton)==' | sed -E 's/\+[A-Za-z0-9.]+$$//' \
	  | sort -f > envs/requirements.lock
	rm -rf work/lock

# The environment and caches. Results, models and data sets stay.
clean:
	rm -rf .venv .snakemake tests/.cache .pytest_cache .mypy_cache .ruff_cache work/lock

# The results of one study, by name and after a question: make clean-results STUDY=demo
clean-results:
	@test -n "$(STUDY)" || { echo "make clean-results: name the study, as in STUDY=demo" >&2; exit 2; }
	@case "$(STUDY)" in */*|.*) echo "make clean-results: '$(STUDY)' is not the name of a study" >&2; exit 2;; esac
	@test -d "results/$(STUDY)" || { echo "make clean-results: no results/$(STUDY)" >&2; exit 2; }
	@read -r -p "Delete results/$(STUDY) ($$(du -sh "results/$(STUDY)" | cut -f1)), trained adapters included? [y/N] " answer; \
	[ "$$answer" = y ] && rm -rf "results/$(STUDY)" && echo "results/$(STUDY) is deleted" || echo "nothing is deleted"
