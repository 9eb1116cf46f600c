# What a person types here. `make` alone lists the targets.
# A bare machine needs Python 3.11 to 3.13, make and a package registry; nothing has to be activated.

SHELL := /bin/sh
VENV ?= .venv
PY := $(VENV)/bin/python
OUT ?= out
# More flags for pip, e.g. PIP_ARGS="--extra-index-url https://download.pytorch.org/whl/cpu"
PIP_ARGS ?=
PYTEST_ARGS ?=
# Where a SLURM cluster of this machine keeps everything of itself.
SLURM_DIR ?= $(OUT)/slurm
BENCH_ARGS ?=
# E.g. PARITY_ARGS="--only llava"
PARITY_ARGS ?=
# E.g. CARD_ARGS="-m path/to/bundle --out card.md"
CARD_ARGS ?=

# Leaves with 0 under a Python that rsccli supports and that can make environments.
SUPPORTED := import sys, venv, ensurepip; sys.exit(not (3, 11) <= sys.version_info[:2] < (3, 14))

INSTALL = $(PY) -m pip install -qq --disable-pip-version-check -c constraints.txt $(PIP_ARGS)

.DEFAULT_GOAL := help
.PHONY: help demo finetune-demo install install-dev test test-slow lint docs picture clean bench bench-page model-card parity parity-real families probes evaluation vendor report-picture fuzz audit faults soak slurm-local slurm-stop test-slurm timeline-picture qgis-picture

help:  ## List what can be made
	@grep -hE '^[a-z-]+:.*##' $(MAKEFILE_LIST) | awk -F ':.*## *' '{printf "  make %-17s %s\n", $$1, $$2}'

# ---- environment: stamps tell what is installed, so a second call installs nothing ----

$(VENV)/.made:
	@if $(PY) -c '$(SUPPORTED)' >/dev/null 2>&1; then touch $@; \
	elif $(PY) -c 'import sys' >/dev/null 2>&1; then \
		echo "$(VENV) holds $$($(PY) --version), which rsccli does not support." >&2; \
		echo "Remove it, or keep it and name another: make $(MAKECMDGOALS) VENV=.venv311" >&2; exit 1; \
	else \
		found=; for name in $(PYTHON) python3.11 python3.12 python3.13 python3 python; do \
			if "$$name" -c '$(SUPPORTED)' >/dev/null 2>&1; then found="$$name"; break; fi; done; \
		if [ -z "$$found" ]; then \
			echo "rsccli needs Python 3.11, 3.12 or 3.13 with venv; none is on PATH." >&2; \
			echo "Debian, Ubuntu: apt install python3 python3-venv." >&2; \
			echo "Or name one: make $(MAKECMDGOALS) PYTHON=/path/to/python3.11" >&2; exit 1; fi; \
		echo "Making $(VENV) with $$("$$found" --version)" >&2; \
		"$$found" -m venv $(VENV) && touch $@; \
	fi

$(VENV)/.installed: $(VENV)/.made pyproject.toml constraints.txt
	@echo "Installing rsccli into $(VENV) (the first time: some minutes)" >&2
	@$(INSTALL) -e . && touch $@

$(VENV)/.installed-dev: $(VENV)/.made pyproject.toml constraints.txt
	@echo "Installing rsccli with its development tools into $(VENV) (the first time: some minutes)" >&2
	@$(INSTALL) -e '.[dev]' && touch $@ $(VENV)/.installed

$(VENV)/.installed-bench: $(VENV)/.installed-dev
	@$(INSTALL) -e '.[dev,bench]' && touch $@

install: $(VENV)/.installed  ## Make the environment and install rsccli into it
install-dev: $(VENV)/.installed-dev  ## The same with the development tools

# ---- what a new user runs ----

demo: $(VENV)/.installed  ## Caption the real pair in examples/ and say where map and report are
	@mkdir -p $(OUT)
	@$(VENV)/bin/rsccli caption examples/prairie_2012-07-31.tif examples/prairie_2014-07-20.tif \
		-o $(OUT)/demo.geojson --overwrite
	@echo
	@echo "Map (QGIS, geojson.io):   $(OUT)/demo.geojson"
	@echo "Report (any browser):     $(OUT)/demo.report.html"

test: $(VENV)/.installed-dev  ## Run the whole test suite
	@$(PY) -m pytest $(PYTEST_ARGS)

test-slow: $(VENV)/.installed-dev  ## Run the tests that take minutes
	@$(PY) -m pytest -m slow $(PYTEST_ARGS)

# The real scheduler on this machine, for tests: needs Debian's slurm-wlm and munge, nothing else; see docs/hpc.md.
slurm-local:  ## Start a SLURM cluster on this machine, and say how to use it
	@python3 tests/slurm/local_slurm.py start $(SLURM_DIR)

slurm-stop:  ## Stop it and remove it
	@python3 tests/slurm/local_slurm.py stop $(SLURM_DIR)

test-slurm: $(VENV)/.installed-dev  ## Run jobs under the real scheduler (starts its own cluster; skips where it cannot)
	@$(PY) -m pytest -n 0 -m slow tests/slurm $(PYTEST_ARGS)

faults: $(VENV)/.installed-dev  ## Every fault at every place, once (a quarter of an hour)
	@OMP_NUM_THREADS=1 $(PY) -m pytest -n 0 -m "slow or not slow" tests/faults $(PYTEST_ARGS)

# E.g. make soak SOAK_MINUTES=5 SOAK_SEED=1
soak: $(VENV)/.installed-dev  ## A random mixture of faults for SOAK_MINUTES (30); the table goes to stdout
	@OMP_NUM_THREADS=1 $(PY) tests/faults/soak.py

$(VENV)/.installed-fuzz: $(VENV)/.installed-dev
	@$(INSTALL) -e '.[dev,fuzz]' && touch $@

# E.g. make fuzz FUZZ_SECONDS=3600 FUZZ_TARGETS=journal,output
FUZZ_SECONDS ?= 300
FUZZ_TARGETS ?=
fuzz: $(VENV)/.installed-fuzz  ## Look for files that a reader does not expect, for FUZZ_SECONDS (300); finds go to out/fuzz
	@OMP_NUM_THREADS=1 $(PY) tests/fuzz/fuzz.py --seconds $(FUZZ_SECONDS) --targets "$(FUZZ_TARGETS)" --out $(OUT)/fuzz

# pip-audit has an environment of its own: what it needs is nothing that rsccli needs.
$(VENV)-audit/bin/pip-audit: $(VENV)/.made
	@$(PY) -m venv $(VENV)-audit && $(VENV)-audit/bin/python -m pip install -qq --disable-pip-version-check pip-audit

audit: $(VENV)-audit/bin/pip-audit  ## Ask for known holes in the packages of constraints.txt and write docs/audit.md (needs a network)
	@$(PY) docs/make_audit.py --pip-audit $(VENV)-audit/bin/pip-audit

lint: $(VENV)/.installed-dev  ## ruff, formatting, mypy --strict
	@$(PY) -m ruff check .
	@$(PY) -m ruff format --check .
	@$(PY) -m mypy

docs: $(VENV)/.installed  ## Write docs/cli.md again from what the command line says
	@$(PY) docs/make_cli_reference.py

picture: $(VENV)/.installed  ## Draw the README's picture again from a run on examples/
	@$(PY) docs/make_picture.py

# ---- measurements: each prints a Markdown table; docs/benchmarks.md keeps them ----

BENCHES := start raster caption detect memory output captioner models report prefill evaluate search scale

bench: $(addprefix bench-,$(BENCHES))  ## Every benchmark, one after another; tables also go to out/bench/

# A quiet machine, please: what runs beside a benchmark is measured with it.
bench-%: $(VENV)/.installed-bench
	@mkdir -p $(OUT)/bench
	@$(PY) tests/bench/bench_$*.py $(BENCH_ARGS) > $(OUT)/bench/$*.md && cat $(OUT)/bench/$*.md && echo

bench-page: $(VENV)/.installed  ## Put the kept tables together as docs/benchmarks.md
	@$(PY) docs/make_benchmarks.py $(OUT)/bench

bench-raster:    ## Raster engine against other ways to read aligned tiles
bench-caption:   ## Whole caption run against a plain script
bench-detect:    ## Whole detect run against a plain script, and its memory by size
bench-memory:    ## Peak memory from 2k to 100k pixels a side
bench-start:     ## Time to --help and to the first caption
bench-output:    ## Writers and readers: features a second and peak memory
bench-captioner: ## The captioner alone, by batch size and threads
bench-prefill:   ## Long prompts read in stretches against at once
bench-evaluate:  ## rsccli evaluate against a plain script with the same libraries
bench-scale:     ## From one worker to many: rate, memory, journals, a merge of a million features, remote reads
bench-search:    ## A million vectors: the index against plain search
bench-report:    ## Report page: size, and how soon a browser can use it (needs Chromium)
bench-models:    ## Large models: bundles against what scripts do with the same checkpoint

# Each checkpoint layout is exported and compared with transformers; the table goes into the package and docs/models.md.
parity: $(VENV)/.installed-dev  ## Compare small checkpoints of every family with generate() (ten minutes)
	@OMP_NUM_THREADS=2 $(PY) tests/large/make_parity.py $(PARITY_ARGS)
	@$(PY) docs/make_families.py

parity-real: $(VENV)/.installed-dev  ## The same at published width with two layers (an hour, 24 GB of memory)
	@OMP_NUM_THREADS=2 $(PY) tests/large/make_parity.py --real $(PARITY_ARGS)
	@$(PY) docs/make_families.py

families: $(VENV)/.installed  ## Write the table of families in docs/models.md again
	@$(PY) docs/make_families.py

# Needs the imagery of ../shared/data; one core, about five minutes.
model-card: $(VENV)/.installed-dev  ## Measure the bundled captioner and write docs/model-card.md
	@OMP_NUM_THREADS=1 OPENBLAS_NUM_THREADS=1 $(PY) tests/bench/model_card.py $(CARD_ARGS)

# Needs the captions of ../shared/data.
evaluation: $(VENV)/.installed-dev  ## Score what is at hand and write docs/evaluation.md
	@$(PY) docs/make_evaluation.py

# Needs the imagery of ../shared/data; one core, about seven minutes.
probes: $(VENV)/.installed-dev  ## Measure the probes and write docs/probes.md
	@OMP_NUM_THREADS=1 $(PY) docs/make_probes.py

finetune-demo: $(VENV)/.installed-dev  ## Adapt the captioner to Harvey pairs and say what held-out places gained
	@$(PY) tests/bench/finetune_harvey.py -o $(OUT)/finetune-harvey $(BENCH_ARGS)

vendor:  ## Fetch Leaflet, which the report page carries, from npm again and check every byte
	@python3 docs/make_vendor.py

report-picture: $(VENV)/.installed-dev  ## Take docs/report.png again (needs Chromium)
	@$(PY) docs/make_report_picture.py

# Needs the imagery of ../shared/data.
timeline-picture: $(VENV)/.installed-dev  ## Take docs/timeline.png again (needs Chromium)
	@$(PY) docs/make_timeline_picture.py

qgis-picture: $(VENV)/.installed  ## Take docs/qgis.png again (needs QGIS and xvfb)
	@$(PY) docs/make_qgis_picture.py

clean:  ## Remove outputs and caches (the environment stays)
	rm -rf $(OUT) build dist .mypy_cache .ruff_cache .pytest_cache .hypothesis
	find . -name __pycache__ -not -path './$(VENV)/*' -type d -prune -exec rm -rf {} +
