# The commands of the README. Everything lives in .venv; delete it to start afresh.
PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin

.PHONY: help install demo app test check label-studio bench clean

help:            ## Show the commands
	@grep -E '^[a-z-]+: .*##|^[a-z-]+:  *##' $(MAKEFILE_LIST) | sed 's/:.*##/\t/'

$(BIN)/.installed: pyproject.toml constraints.txt
	$(PYTHON) -m venv $(VENV)
	$(BIN)/python -m pip install --quiet --upgrade pip
	$(BIN)/python -m pip install --quiet -c constraints.txt -e '.[dev]'
	touch $@

install: $(BIN)/.installed   ## Create .venv and install the project

demo: install    ## Run the whole line on the bundled example, with no network
	$(BIN)/weaklight demo demo

app: install     ## Open the review app on the demo project
	$(BIN)/weaklight review --project demo

test: install    ## Run the tests, on two cores
	$(BIN)/python -m pytest -n 2 --dist loadfile

check: install   ## Everything CI runs: format, lint, types, layers, spelling, tests
	$(BIN)/ruff format --check .
	$(BIN)/ruff check .
	$(BIN)/mypy
	$(BIN)/lint-imports
	$(BIN)/codespell
	$(BIN)/python -m pytest -n 2 --dist loadfile

label-studio: install   ## Give Label Studio's reader, which wants an older NumPy, a place for its test
	$(PYTHON) -m venv $(VENV)/label-studio
	$(VENV)/label-studio/bin/python -m pip install --quiet 'label-studio-sdk>=2,<3'

bench: install   ## Measure the demo: one JSON object as the last line
	$(BIN)/python -m benchmarks.demo

clean:           ## Remove the environment and the demo project
	rm -rf $(VENV) demo
