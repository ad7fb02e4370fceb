# Every number in results/ has a target here. `make help` lists them.
SCALE   ?= small
SEEDS   ?= 3
WORKERS ?=
STORE   ?= store
RESULTS ?= results
ARGS    ?=

PYTHON  ?= python3
VENV    := .venv
BIN     := $(VENV)/bin
RUN     := $(BIN)/python -m
DIALS    = --scale "$(SCALE)" --seeds "$(SEEDS)" $(if $(WORKERS),--workers "$(WORKERS)") \
           --store "$(STORE)" --results "$(RESULTS)" $(ARGS)
TABLES  := table1

.DEFAULT_GOAL := help
.PHONY: help env readme lock lint format test smoke clean $(TABLES)

help: ## list the verbs
	@awk -F ':.*## ' '/^[a-z0-9-]+:.*## / {printf "  make %-10s %s\n", $$1, $$2}' $(MAKEFILE_LIST)
	@echo "Dials: SCALE=smoke|small|paper SEEDS=3 WORKERS=cores STORE=store RESULTS=results ARGS='--scale.steps 3000'"

env: $(VENV)/ready ## create .venv from requirements.lock

$(VENV)/ready: requirements.lock
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' \
		|| { echo "Python 3.11 or newer is needed; say make PYTHON=python3.11" >&2; exit 1; }
	@$(PYTHON) -m venv $(VENV)
	@$(RUN) pip install --quiet --disable-pip-version-check \
		"$$(sed -n 's/^\(uv==[^ ]*\).*/\1/p' requirements.lock)"
	$(BIN)/uv pip install --quiet --python $(BIN)/python --require-hashes -r requirements.lock
	@touch $@

readme: env ## copy the committed tables into the README
	@$(RUN) experiments.readme

lock: env ## pin requirements.in again
	$(BIN)/uv pip compile --quiet --universal --generate-hashes --no-header --python-version 3.11 \
		requirements.in -o requirements.lock

table1: env ## HDDM Table 1: monolithic against Top-1, Top-2, Full
	@$(RUN) experiments.hddm.table1 $(DIALS)

smoke: env ## every table at scale smoke, in minutes: the plumbing, not the values
	@$(MAKE) --no-print-directory $(TABLES) SCALE=smoke SEEDS=2

lint: env ## ruff and mypy
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy

format: env ## ruff's fixes and formatting
	$(BIN)/ruff check --fix .
	$(BIN)/ruff format .

test: lint ## lint and every test
	OMP_NUM_THREADS=1 $(RUN) pytest -n 2 --dist loadfile

clean: ## delete the environment and the store; results stay
	rm -rf $(VENV) $(STORE)
