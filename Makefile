# Every number in results/ has a target here. `make help` lists them.
SCALE   ?= small
SEEDS   ?= 3
WORKERS ?=
LAUNCH  ?=
STORE   ?= store
RESULTS ?= results
PLAN    ?=
AGAINST ?=
ARGS    ?=

PYTHON  ?= python3
VENV    := .venv
BIN     := $(VENV)/bin
RUN     := $(BIN)/python -m
READY   := $(VENV)/ready-$(shell cksum < requirements.lock | cut -d ' ' -f 1)
SAY      = @echo "$@: tables under $(RESULTS)/, artifacts in $(STORE)/; the first line of progress follows in seconds" >&2
PLANNED  = $(filter-out 0 false no,$(PLAN))
DIALS    = --scale "$(SCALE)" --seeds "$(SEEDS)" $(if $(WORKERS),--workers "$(WORKERS)") \
           $(if $(LAUNCH),--launch "$(LAUNCH)") \
           --store "$(STORE)" --results "$(RESULTS)" $(if $(PLANNED),--plan true) $(ARGS)
TEST    := OMP_NUM_THREADS=1 $(RUN) pytest -n 2 --dist loadfile --no-loadscope-reorder
TABLES  := table1 table2 table3 table4 ablation-threshold ablation-ordering ablation-schedules \
           ablation-selection ablation-sampling ablation-init ablation-router ablation-text ablation-ratio \
           ablation-objectives ablation-join ablation-alignment ablation-weights ablation-readings \
           ablation-sharpness ablation-adaln ablation-times ablation-guidance \
           ablation-solver ablation-k distill ablation-assignment ablation-trajectories tuning figures
VIDEO   := paris2-table1 paris2-switching paris2-specialization paris2-router paris2-i2v

SAID    := $(foreach v,$(.VARIABLES),$(if $(filter command,$(origin $v)),$(if $(findstring -,$v),,$v)))
KNOWN   := SCALE SEEDS WORKERS LAUNCH STORE RESULTS PLAN AGAINST ARGS PYTHON SHELL MAKEFLAGS MAKEOVERRIDES
ifneq ($(filter-out $(KNOWN),$(SAID)),)
$(error there is no variable $(filter-out $(KNOWN),$(SAID)): $(filter-out SHELL MAKE%,$(KNOWN)))
endif

# What a verb reads; where nothing is said here, what a table does.
READ_table     := SCALE SEEDS WORKERS LAUNCH STORE RESULTS PLAN ARGS
READ_smoke     := WORKERS LAUNCH STORE RESULTS PLAN ARGS
READ_claims    := SCALE RESULTS ARGS
READ_report    := SCALE RESULTS AGAINST ARGS
READ_denoising := SCALE STORE RESULTS ARGS
READ_clips     := SCALE STORE RESULTS ARGS
READ_bench     := RESULTS ARGS
READ_store     := STORE ARGS
READ_clean     := STORE
READ_bench-served := $(READ_bench)
$(foreach v,help env readme docs lock test-report lint format test test-all test-faults,$(eval READ_$v := PYTHON))
READ    := $(foreach g,$(or $(MAKECMDGOALS),help),$(or $(READ_$g),$(READ_table)))
ifneq ($(filter-out $(READ) PYTHON SHELL MAKE%,$(SAID)),)
$(error make $(or $(MAKECMDGOALS),help) does not read $(filter-out $(READ) PYTHON SHELL MAKE%,$(SAID)))
endif

.DEFAULT_GOAL := help
.PHONY: help env readme docs lock lint format test test-all test-faults store all claims report denoising clips test-report smoke clustering bench bench-served gpu paris2 clean $(TABLES) $(VIDEO)

help: ## list the verbs
	@awk -F ':.*## ' '/^[a-z0-9-]+:.*## / {printf "  make %-19s %s\n", $$1, $$2}' $(MAKEFILE_LIST)
	@echo "Dials: SCALE=smoke|small|scenes|emoji|medium|paper SEEDS=3 WORKERS=cores LAUNCH=local|ray|slurm STORE=store RESULTS=results PLAN=1 ARGS='--scale.train.steps 3000'"

env: $(READY) ## create .venv from requirements.lock

$(READY):
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' \
		|| { echo "Python 3.11 or newer is needed; say make PYTHON=python3.11" >&2; exit 1; }
	@echo "making $(VENV): 7 GB, once, in minutes; CUDA's libraries are most of it" >&2
	@$(PYTHON) -m venv $(VENV)
	@$(RUN) pip install --quiet --disable-pip-version-check \
		"$$(sed -n 's/^\(uv==[^ ]*\).*/\1/p' requirements.lock)"
	$(BIN)/uv pip install --quiet --compile-bytecode --python $(BIN)/python --require-hashes -r requirements.lock
	@rm -f $(VENV)/ready*
	@touch $@

readme: env ## copy the committed tables into README.md and docs/performance.md
	@$(RUN) experiments.bench.stage_costs
	@$(RUN) experiments.bench.goals
	@$(RUN) experiments.tables.readme

docs: env ## build the documentation into site/
	@NO_MKDOCS_2_WARNING=1 $(BIN)/mkdocs build --strict --quiet
	@echo "site/index.html"

lock: env ## pin requirements.in again
	$(BIN)/uv pip compile --quiet --universal --generate-hashes --no-header --python-version 3.11 \
		requirements.in -o requirements.lock

table1: ## HDDM Table 1: monolithic against Top-1, Top-2, Full
table2: ## HDDM Table 2: data, compute, memory, FLOPs: computed
table3: ## HDDM Table 3: native, converted and combined experts of one cluster
table4: ## HDDM Table 4: homogeneous against heterogeneous experts
ablation-threshold: ## Fig 4: the threshold between an FM and a DDPM expert
ablation-ordering: ## Fig 13: FM first against DDPM first
ablation-schedules: ## Fig 14: the same schedule for both experts, or each its own
ablation-selection: ## Fig 15: Top-k, thresholds, nuclei, the oracle, against their cost
ablation-sampling: ## the router asked seldom, guidance in an interval of t: quality against cost
ablation-init: ## Fig 3: from scratch against converted from another objective
ablation-router: ## text-free or text-aware, calibrated or not
ablation-text: ## SCALE=scenes: is the missing text what breaks an ensemble? by what captions tell of clusters
ablation-ratio: ## how many of eight experts are DDPM, and which
ablation-objectives: ## x0 and v experts, alone, in pairs, among eight
ablation-join: ## adding and removing an expert without retraining the router
ablation-alignment: ## are the experts asked about what they know?
ablation-weights: ## Prop. 1: weights and errors over t, by objective
ablation-readings: ## readings of the conversion on exact networks: what each errs by
ablation-sharpness: ## Figs 5, 11, 12, 15, measured: fine detail of Full and of mixed objectives
ablation-adaln: ## AdaLN-Single against AdaLN-Zero, as wide and with as many parameters
ablation-times: ## SCALE=scenes: densities of t, and experts of ranges of t, alone and within clusters
ablation-guidance: ## SCALE=scenes: guidance's halves routed together or apart, its scale, its times
ablation-solver: ## SCALE=scenes: Euler, Heun, DDIM, ancestral, DPM-Solver++ and UniPC by evaluations
ablation-k: ## SCALE=scenes: 1 to 16 experts, at equal training and at equal inference
distill: ## SCALE=scenes: an ensemble distilled into one network, beside monoliths of equal FLOPs
ablation-assignment: ## SCALE=scenes: which clusters should be DDPM? a rule, and its regret
ablation-trajectories: ## SCALE=scenes: the router over t: entropy, switches, usage by cluster
tuning: ## steps, learning rate and LAST of small, chosen on digits that no table scores
figures: ## Figs 1, 2, 5-15 as pictures
$(TABLES): env
	$(SAY)
	@$(RUN) experiments.hddm.$(subst -,_,$@) $(DIALS)

paris2-table1: ## Paris 2.0 Table 1 and Fig 2: three experts of video against a monolith
paris2-switching: ## Fig 5: manual schedules over two experts, wins by prompt
paris2-specialization: ## each expert on its own and on others' prompts, the monolith beside
paris2-router: ## does the video router read text or image?
paris2-i2v: ## clips from a caption, or from a caption and a first frame
$(VIDEO): env
	$(SAY)
	@$(RUN) experiments.paris2.$(subst paris2-,,$@) $(DIALS)

paris2: env ## every table of Paris 2.0, experts trained once for all
	$(SAY)
	@$(RUN) experiments.paris2 $(DIALS)

all: env ## every table and figure of HDDM, experts trained once for all, then the claims
	$(SAY)
	@$(RUN) experiments.hddm $(DIALS)
	@$(if $(PLANNED),:,$(RUN) experiments.claims --scale "$(SCALE)" --results "$(RESULTS)" $(ARGS))

claims: env ## each statement of the papers with its verdict, from the tables that are there
	@$(RUN) experiments.claims --scale "$(SCALE)" --results "$(RESULTS)" $(ARGS)

report: env ## results/SCALE/index.html: tables, figures, claims on one page; AGAINST=results/other
	@$(RUN) experiments.report --scale "$(SCALE)" --results "$(RESULTS)" $(if $(AGAINST),--against "$(AGAINST)") $(ARGS)

denoising: env ## pictures at moments of their denoising, for the report's slider
	@$(RUN) experiments.report.denoising --scale "$(SCALE)" --results "$(RESULTS)" --store "$(STORE)" $(ARGS)

clips: env ## clips of Paris 2.0's models, for the report to play
	@$(RUN) experiments.report.clips --scale "$(SCALE)" --results "$(RESULTS)" --store "$(STORE)" $(ARGS)

test-report: env ## the page in a headless Chromium, where there is one
	@OMP_NUM_THREADS=1 $(RUN) pytest tests/experiments/report

smoke: ## everything at scale smoke, in minutes: the plumbing, not the values
	@$(MAKE) --no-print-directory paris2 all SCALE=smoke SEEDS=2

clustering: SEEDS = 1
clustering: WORKERS = 1
clustering: env ## k-means of a million features: seconds, memory, and full k-means beside it
	@$(RUN) experiments.bench.clustering $(DIALS)

bench: env ## ours against peers, as ratios; on a machine where nothing else runs
	@$(RUN) experiments.bench --results "$(RESULTS)" $(ARGS)

bench-served: env ## eight experts in eight processes of little memory: requests a second, beside one process
	@$(RUN) experiments.serve.bench --results "$(RESULTS)" $(ARGS)

gpu: SCALE = medium
gpu: PLAN = $(shell $(BIN)/python -c "import torch; print('' if torch.cuda.is_available() else 1)")
gpu: env ## what waits for a GPU: tests, benchmarks, Table 1 at medium; a dry run without one
	@OMP_NUM_THREADS=1 $(RUN) pytest tests/experiments/bench/gpu
	@$(RUN) experiments.bench.gpu --results "$(RESULTS)"
	@$(RUN) experiments.hddm.table1 $(DIALS)

lint: env ## ruff and mypy
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy

format: env ## ruff's fixes and formatting
	$(BIN)/ruff check --fix .
	$(BIN)/ruff format .

test: lint ## lint and every test but those of minutes
	$(TEST) -m "not longest"

test-all: lint ## lint and every test
	$(TEST)

test-faults: env ## kills, full disks, damage, two runs at once, a server that fails, lost nodes: counts are printed
	OMP_NUM_THREADS=1 $(RUN) pytest -s tests/experiments/pipeline/storage/test_faults_*.py \
		tests/experiments/pipeline/launch/test_ray.py tests/experiments/pipeline/launch/test_slurm.py

store: env ## what lies in STORE, by kind; ARGS=ls, verify, gc or 'show KEY' for more
	@$(RUN) experiments.store $(firstword $(ARGS) du) --store "$(STORE)" $(wordlist 2,99,$(ARGS))

clean: ## delete the environment, the store and the site; results stay
	rm -rf $(VENV) $(STORE) site
