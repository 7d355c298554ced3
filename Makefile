# Two commands matter: `make demo` and `make test`. Both start from a fresh clone with Python and make.
PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
# What the package needs to run, and what its development needs beside that.
INSTALLED := $(VENV)/.installed
DEVELOPED := $(VENV)/.developed

LOWEST := .venv-lowest
# Folders that are installed within the package clipnav.
FOLDERS := agents connectivity encoders envs storage training viewer vl_tasks

# Container images often forbid the cache of compiled modules. Without it, each of the many processes
# of the tests compiles all packages again, and pytest all tests.
export PYTHONDONTWRITEBYTECODE :=

.PHONY: install names demo sample digests results pictures test test-long run-tests test-lowest docs lint style types format clean

install: $(DEVELOPED) names

# Links in the places where the packages are installed, for tools that read sources: the type checker,
# editors and the documentation site.
names:
	@mkdir -p .names/clipnav
	@ln -sfn $(addprefix ../../,$(wildcard clipnav/*) $(FOLDERS)) .names/clipnav/

$(INSTALLED): pyproject.toml
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' \
	  || { echo "clipnav needs Python >= 3.11: make PYTHON=/path/to/python3.11"; exit 1; }
	$(PYTHON) -m venv $(VENV)
	$(BIN)/python -m pip install --quiet --upgrade pip
	$(BIN)/python -m pip install --quiet --editable .
	@touch $@

$(DEVELOPED): $(INSTALLED)
	$(BIN)/python -m pip install --quiet --editable ".[dev]"
	@touch $@

demo: $(INSTALLED)
	$(BIN)/python scripts/demo.py

# The trained run that `clipnav visualise --sample` shows: the demo, in float16, with its model card.
SAMPLE := agents/sample_run
sample: install
	$(BIN)/clipnav demo --output runs/sample
	rm -rf $(SAMPLE)
	$(BIN)/clipnav push runs/sample file:$(SAMPLE) --half

# The digests of the bench: of the data of its suites, and of the suites themselves. Run it after a
# change of graphs or episodes of the houses, or of a suite.
digests: install
	$(BIN)/python -m clipnav.bench.suites

# The short experiments behind the tables of docs/. EXPERIMENTS="demo rewards" chooses others, which
# `clipnav reproduce --list` lists with their budgets.
EXPERIMENTS ?= first-iterations map-agent-speed captioning-speed page-server-speed
results: install
	$(BIN)/clipnav reproduce $(EXPERIMENTS)

# The pictures of README and docs/; RUN="--run runs/demo" shows a trained agent instead of the expert,
# PICTURES="--names walk" chooses some.
pictures: install
	$(BIN)/python docs/pictures.py $(RUN) $(PICTURES)

# Types are checked beside the tests, which cannot use all cores all the time.
test: style
	@$(MAKE) --no-print-directory --jobs=2 run-tests types

# All tests, with more kills and damaged files; `make test` leaves out those that are marked "long".
test-long: style
	@CLIPNAV_KILLS=2 CLIPNAV_FUZZ=40 \
	  $(MAKE) --no-print-directory --jobs=2 run-tests types SELECTION=

# A process per core, at most four, with one thread each; a file's tests stay in one process, and the
# longest files come first. A process that hangs or crashes ends the run, which names its test.
SELECTION = -m "not long"
run-tests: install
	OMP_NUM_THREADS=1 $(BIN)/python -m pytest --numprocesses=auto --maxprocesses=4 --dist=loadfile \
	  --no-loadscope-reorder --max-worker-restart=0 $(SELECTION)

# The tests with the lowest versions that pyproject.toml admits, which uv finds; torch from PyPI, so
# that this takes about 7 GB. PYTEST=tests/storage chooses tests.
test-lowest: install
	$(BIN)/python -m pip install --quiet uv
	$(BIN)/uv venv --quiet --clear --python $(BIN)/python $(LOWEST)
	$(BIN)/uv pip install --quiet --python $(LOWEST)/bin/python --resolution lowest-direct \
	  --editable ".[dev]"
	$(LOWEST)/bin/python -m pytest $(PYTEST)

# The documentation site, in site/; links and anchors are checked.
docs: install
	NO_MKDOCS_2_WARNING=1 $(BIN)/python -m mkdocs build --strict

lint: style types

style: install
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .

types: install
	$(BIN)/pyright

format: install
	$(BIN)/ruff check --fix .
	$(BIN)/ruff format .

clean:
	rm -rf $(VENV) $(LOWEST) build site .pytest_cache .ruff_cache
