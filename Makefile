# The two commands of the README are `make demo` and `make test`.
PYTHON ?= python3.11
VENV := .venv
BIN := $(VENV)/bin
export PATH := $(CURDIR)/$(BIN):$(PATH)

.DEFAULT_GOAL := help
.PHONY: help setup demo test check fast format ui verify notebook lock clean

help: ## Say what can be made
	@grep -hE '^[a-z]+:.*##' $(MAKEFILE_LIST) | sed 's/:.*## /\t/' | expand -t 12

$(VENV)/installed: requirements.lock pyproject.toml
	test -x $(BIN)/python || $(PYTHON) -m venv $(VENV)
	$(BIN)/pip install --quiet --disable-pip-version-check -r requirements.lock -e ".[dagster,dev]"
	@touch $@

setup: $(VENV)/installed ## Create .venv with the locked dependencies, and the commit hooks
	@test ! -d .git || $(BIN)/pre-commit install >/dev/null

demo: $(VENV)/installed ## Value 16 datasets for a clinic's help desk, buy three, train, evaluate, report
	@$(BIN)/appraise fetch
	@$(BIN)/python -m appraise.orchestration

test: check ## Format, lint, types and every test: what CI runs

check: $(VENV)/installed
	$(BIN)/ruff format --check .
	$(BIN)/ruff check .
	$(BIN)/mypy
	$(BIN)/appraise fetch
	$(BIN)/pytest -n 2 --dist loadfile

fast: $(VENV)/installed ## The unit tests alone, under three minutes
	$(BIN)/pytest -n 2 --dist loadfile -m "not slow"

format: $(VENV)/installed ## Format, and fix what can be fixed
	$(BIN)/ruff format .
	$(BIN)/ruff check --fix .

ui: $(VENV)/installed ## Dagster on http://127.0.0.1:3000, MLflow on http://127.0.0.1:5000
	@$(BIN)/appraise ui

verify: $(VENV)/installed ## Hash every artifact again and check the chain of evidence
	@$(BIN)/appraise verify

notebook: $(VENV)/installed ## Execute the notebook on the finished run
	cd notebooks && ../$(BIN)/jupyter-execute --inplace read_a_decision.ipynb

lock: ## Write requirements.lock from what is installed
	infra/lock.sh

clean: ## Remove what the demo made (not the downloads, not DVC's cache)
	rm -rf data .dagster .appraise
