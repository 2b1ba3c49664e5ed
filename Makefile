# Every target sets up what it needs; the same targets serve people, pre-commit and CI.
PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
STAMP := $(VENV)/.installed
.DEFAULT_GOAL := help

.PHONY: help setup demo test check coverage bench bench-main-job bench-sdist bench-agents bench-unit-tests format docs

help:  ## list the targets
	@grep -hE '^[a-z-]+:.*##' $(MAKEFILE_LIST) | sed -E 's/:.*## /\t/' | expand -t 20

$(STAMP): pyproject.toml
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11) and "greendiff needs Python 3.11 or later")'
	@$(PYTHON) -m venv $(VENV) || { echo "python3-venv is missing: apt-get install python3-venv"; exit 1; }
	@$(BIN)/python -m pip install --quiet --upgrade 'pip>=25.1'
	@$(BIN)/python -m pip install --quiet --editable . --group dev
	@touch $@

setup: $(STAMP)  ## make .venv and install greendiff with its development tools

demo: $(STAMP)  ## repair a real bug in examples/ with the embedded defaults
	@$(BIN)/python examples/demo.py

test: $(STAMP)  ## run the tests (those that need Docker, bubblewrap or the local model say so when skipped)
	@$(BIN)/python -m pytest

check: $(STAMP)  ## types, lint, layers, file sizes
	@$(BIN)/mypy
	@$(BIN)/ruff check .
	@$(BIN)/ruff format --check .
	@$(BIN)/lint-imports
	@$(BIN)/python tests/file_sizes.py

coverage: $(STAMP)  ## run the tests; fail where they reach less than 90 % of the branches of a package
	@$(BIN)/python -m pytest --cov --cov-branch --cov-report=term
	@$(BIN)/python tests/branch_coverage.py

docs: $(STAMP)  ## check that every link in the documents leads somewhere
	@$(BIN)/python tests/doc_links.py

bench-unit-tests: $(STAMP)  ## generated unit tests beside another generator's: coverage, mutants, steadiness, suspected bugs
	@$(BIN)/python -m benchmarks.unit_tests.main

format: $(STAMP)  ## format and fix what can be fixed
	@$(BIN)/ruff format .
	@$(BIN)/ruff check --fix .

bench: bench-main-job bench-sdist  ## run every benchmark

bench-main-job: $(STAMP)  ## single-function bugs: correct and wrong first patches, seconds, candidates a second
	@$(BIN)/python -m benchmarks.main_job

bench-sdist: $(STAMP)  ## real bugs from published source packages (needs ../shared/bench)
	@$(BIN)/python -m benchmarks.sdist

bench-agents: $(STAMP)  ## finding places, the index, and a small local model beside tier 0, one single shot and mini-swe-agent
	@status=0; for one in localisation index main; do $(BIN)/python -m benchmarks.agents.$$one || status=1; done; exit $$status
