# Targets for people and for CI; `make help` lists them.

PYTHON ?= python3
TORCH_INDEX ?=
VENV := .venv
BIN := $(VENV)/bin
READY := $(VENV)/.ready
CHROMIUM_READY := $(VENV)/.chromium

.DEFAULT_GOAL := help
.PHONY: help setup grade test lint bench messages handout clean

help:  ## list the targets
	@grep -hE '^[a-z]+:.*##' $(MAKEFILE_LIST) | sed -E 's/^([a-z]+):.*## */  \1\t/'

$(READY): pyproject.toml constraints.txt
	$(PYTHON) -m venv $(VENV)
	$(BIN)/python -m pip install --quiet --disable-pip-version-check \
		$(if $(TORCH_INDEX),--extra-index-url $(TORCH_INDEX)) \
		--constraint constraints.txt --editable '.[dev]'
	touch $@

setup: $(READY)  ## make .venv and install everything into it

$(CHROMIUM_READY): $(READY)
	@command -v chromium >/dev/null || command -v chromium-browser >/dev/null || \
		{ [ "$$(id -u)" = 0 ] && command -v apt-get >/dev/null && \
		apt-get update -qq && apt-get install -y -qq --no-install-recommends chromium >/dev/null; } || \
		echo "no Chromium here and no right to install it: the page tests will be skipped"
	@touch $@

grade: $(READY)  ## grade submissions/ into reports/
	$(BIN)/grader grade submissions --out reports

test: $(READY) $(CHROMIUM_READY) lint  ## run all checks and tests
	$(BIN)/python -m pytest -n 2 --dist loadgroup

lint: $(READY)  ## ruff, mypy, import-linter, the message catalogues
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy
	$(BIN)/lint-imports
	$(BIN)/python tools/messages.py --check

bench: $(READY)  ## run the benchmarks and print their figures
	@for script in benchmarks/*.py; do echo "== $$script"; $(BIN)/python $$script; done

messages: $(READY)  ## compile the message catalogues
	$(BIN)/python tools/messages.py

handout: $(READY)  ## make the handout notebooks from the solution
	$(BIN)/python tools/handout.py

clean:  ## remove what the other targets made
	rm -rf $(VENV) reports build dist .pytest_cache .mypy_cache .ruff_cache .hypothesis
