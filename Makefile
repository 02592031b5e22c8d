# make demo runs the demonstration study; make help lists the other targets.
# Python 3.11 or newer, by its own name where the system has it.
PYTHON ?= $(shell command -v python3.11 || command -v python3)
BIN := .venv/bin
SHELL := /bin/bash
export PATH := $(CURDIR)/$(BIN):$(PATH)
# Bytecode is kept, whatever the environment says: hundreds of short processes import the same modules.
export PYTHONDONTWRITEBYTECODE :=

.PHONY: help demo pretrained world docs test test-slow test-docs test-pythons test-studies test-slurm test-slurm-training chaos test-browser test-packaging mutants lint format lock schema clean clean-results
.DELETE_ON_ERROR:

help:  ## list the targets
	@grep -hE '^[a-z0-9-]+:.*##' $(MAKEFILE_LIST) | sed -E 's/^([a-z0-9-]+):[^#]*## (.*)/\1|\2/' | \
	while IFS='|' read -r target text; do printf '%-20s %s\n' "$$target" "$$text"; done

demo: .venv/complete  ## run the demonstration and print what it found
	@start=$$SECONDS; snakemake --profile profiles/demo && \
	{ posologie findings --configfile config/demo.yaml || test $$? = 1; } && echo "Done in $$((SECONDS - start)) s."

pretrained: .venv/complete  ## run every stage on a pretrained model
	@start=$$SECONDS; snakemake --profile profiles/demo --configfile config/smollm2.yaml && \
	echo "Done in $$((SECONDS - start)) s. The report: $(CURDIR)/results/smollm2/report/index.html"

# A study whose best mix is known, on models trained from scratch; its figure is that of the README.
world: .venv/complete  ## run the world with a known answer, and draw its figure for the README
	snakemake --configfile config/world.yaml --cores 2
	cp results/world/figures/surface.svg docs/world.svg

# Most tests write small files and wait for the disk to have each: with 6 GB free, /dev/shm holds them instead.
IN_MEMORY := $(shell test -w /dev/shm && test "$$(df --output=avail -k /dev/shm | tail -n 1)" -gt 6000000 && echo TMPDIR=/dev/shm)

test: .venv/complete  ## run the tests that need neither root nor a GPU; those of whole studies are in test-slow
	$(IN_MEMORY) pytest -n 2 -m "not slow"

test-slow: .venv/complete  ## run the tests of whole studies, of the documentation, and those longer than five seconds
	$(IN_MEMORY) pytest -n 2 -m slow

# The tests start a real SLURM cluster on this machine: they need root and Debian's munge, slurmctld, slurmd and
# slurm-client. Without these packages they fail; POSOLOGIE_MAY_SKIP=slurm skips them.
test-slurm: .venv/complete  ## run the tests on a private SLURM cluster (root)
	@python tests/slurm/cluster.py start >/dev/null || true; \
	pytest -n 2 tests/slurm -rs; status=$$?; \
	python tests/slurm/cluster.py stop; exit $$status

# The report in Debian's Chromium (packages chromium and chromium-driver). axe, which checks accessibility, comes in a Python
# package whose own code is not used. Without them the tests fail; POSOLOGIE_MAY_SKIP="browser axe" skips them.
AXE := axe-playwright-python==0.1.8
test-browser: .venv/complete  ## run the tests of the report in Chromium
	@test -d tests/.cache/axe || pip install --quiet --disable-pip-version-check --no-deps --target tests/.cache/axe $(AXE) || \
	  echo "make test-browser: axe could not be installed" >&2; \
	pytest tests/browser -rs

# The small Spanish and Chinese studies, from public data to the report: minutes. The data are in ../shared/data, or in the
# folder in POSOLOGIE_REAL_DATA; without them the tests are skipped.
test-studies: .venv/complete  ## run the small shipped studies on public data, where they are there
	pytest tests/shipped_studies -rs

# It installs all packages anew, unless POSOLOGIE_LOCKED=1 takes those of .venv.
test-packaging: .venv/complete  ## install a wheel in a clean environment, deploy with snakedeploy
	pytest tests/packaging

test-docs: .venv/complete  ## run what test-slow runs of the documentation: its commands, and the tutorial with a small model
	$(IN_MEMORY) pytest -n 2 tests/documentation -rs

# Each version has an environment of its own, .venv/pythons/VERSION, from the same lock but without torch. A version
# that this machine lacks fails; POSOLOGIE_MAY_SKIP="python3.12 python3.13" skips them.
PYTHONS ?= 3.12 3.13
test-pythons: .venv/complete  ## run the tests that need no torch on the other supported versions of Python
	$(IN_MEMORY) python tests/pythons/other_pythons.py $(PYTHONS)

test-slurm-training: .venv/complete  ## interrupt trainings on the cluster (minutes, root)
	POSOLOGIE_BY_HAND=1 pytest tests/slurm/test_training.py

# Seed and pace: python tests/slurm/chaos.py -h
chaos: .venv/complete  ## disturb a study on the cluster at random (hours, root)
	mkdir -p work && python tests/slurm/chaos.py --log work/chaos.jsonl

mutants: .venv/complete  ## mutation tests; one module: MUTATED=records/prompting.py
	python tests/mutants/run.py $(MUTATED)

SNAKEFILES := Snakefile workflow/Snakefile workflow/rules
lint: .venv/complete  ## run the linters
	ruff check .
	ruff format --check .
	mypy
	snakefmt --check $(SNAKEFILES)
	snakemake --lint
	lint-imports --no-logo
	codespell *.md Makefile config docs envs profiles results/README.md slurm workflow

format: .venv/complete  ## format the code
	ruff check --fix .
	ruff format .
	snakefmt $(SNAKEFILES)

# The site's packages beside those of .venv, whose versions they share.
DOCS := .venv/docs
$(DOCS)/complete: envs/docs.lock .venv/complete
	rm -rf $(DOCS)
	$(BIN)/pip install --quiet --disable-pip-version-check --no-deps --target $(DOCS) -r envs/docs.lock
	touch $@

docs: .venv/complete $(DOCS)/complete  ## build the documentation site into work/site, strictly
	PYTHONPATH=$(DOCS) NO_MKDOCS_2_WARNING=1 python -m mkdocs build --strict --quiet
	@echo "The site: $(CURDIR)/work/site/index.html"

schema: .venv/complete  ## regenerate the files derived from the configuration models
	python -m posologie.config.schema

# A changed lock file rebuilds the environment, so nothing stays that is not in it. torch's own platform packages
# (CUDA on Linux, several gigabytes) are pinned by torch and come in the second step. The CPU build has none: set
# TORCH_INDEX to the address of its index to install it first.
TORCH_INDEX ?=
# UV=uv makes the same environment with uv, from the same lock.
UV ?=
INSTALL := $(if $(UV),$(UV) pip install --quiet --python $(BIN)/python,$(BIN)/pip install --quiet --disable-pip-version-check --no-compile)
.venv/complete: envs/requirements.lock pyproject.toml
	$(if $(UV),$(UV) venv --quiet --clear --python $(PYTHON) .venv,$(PYTHON) -m venv --clear .venv)
	$(if $(TORCH_INDEX),$(INSTALL) --no-deps --index-url $(TORCH_INDEX) $$(grep '^torch==' envs/requirements.lock))
	$(INSTALL) --no-deps -r envs/requirements.lock
	$(INSTALL) -c envs/requirements.lock torch
	$(INSTALL) --no-deps --no-build-isolation -e .
	touch $@

lock:  ## resolve envs/*.in into the lock files
	rm -rf work/lock && $(PYTHON) -m venv work/lock
	work/lock/bin/pip install --quiet -r envs/requirements.in
	work/lock/bin/pip install --quiet --no-deps -r envs/models.in
	work/lock/bin/pip freeze --all | grep -v -i -E '^(pip|wheel|docopt|nvidia-[a-z0-9-]*-cu[0-9]+|triton)==' | sed -E 's/\+[A-Za-z0-9.]+$$//' \
	  | sort -f > envs/requirements.lock
	work/lock/bin/pip freeze --all | sort > work/lock/before
	work/lock/bin/pip install --quiet -r envs/docs.in
	work/lock/bin/pip freeze --all | sort | comm -13 work/lock/before - | sort -f > envs/docs.lock
	rm -rf work/lock

clean:  ## delete the environment and caches; results, models and data stay
	rm -rf .venv .snakemake tests/.cache .pytest_cache .mypy_cache .ruff_cache work/lock

clean-results:  ## delete the results of one study, after a question: STUDY=demo
	@test -n "$(STUDY)" || { echo "make clean-results: name the study, as in STUDY=demo" >&2; exit 2; }
	@case "$(STUDY)" in */*|.*) echo "make clean-results: '$(STUDY)' is not the name of a study" >&2; exit 2;; esac
	@test -d "results/$(STUDY)" || { echo "make clean-results: no results/$(STUDY)" >&2; exit 2; }
	@read -r -p "Delete results/$(STUDY) ($$(du -sh "results/$(STUDY)" | cut -f1)), trained adapters included? [y/N] " answer; \
	[ "$$answer" = y ] && rm -rf "results/$(STUDY)" && echo "results/$(STUDY) is deleted" || echo "nothing is deleted"
