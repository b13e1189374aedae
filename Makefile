# make test    all that CI checks
# make mutants puts faults into a copy of the code, one at a time, and shows which no test notices: some minutes
# make demo    the picture book model draws, reads, edits and talks
# Each sets up what it needs in .venv first. PYTHON=python3.12 chooses another interpreter.

PYTHON ?= python3
BIN := .venv/bin
INSTALLED := .venv/.installed

.PHONY: test mutants demo

test: $(INSTALLED)
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/pyright
	$(BIN)/lint-imports
	OMP_NUM_THREADS=1 $(BIN)/python -m pytest -n 2

mutants: $(INSTALLED)
	$(BIN)/python scripts/mutants.py

demo: $(INSTALLED)
	$(BIN)/blip3o demo

$(INSTALLED): pyproject.toml constraints.txt | $(BIN)/python
	$(BIN)/python -m pip install -e ".[dev]" -c constraints.txt
	touch $@

$(BIN)/python:
	$(PYTHON) -m venv .venv
