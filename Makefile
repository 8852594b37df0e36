# Every command of the project in one place: `make help` lists them.
# Needed: make, and Python 3.11 to 3.13. Everything else comes from the lock into $(VENV).

SCALE  ?= laptop
CORES  ?= all
# Processes that share the tests; each takes up to 3 GB.
WORKERS ?= 2
LOCK   ?= requirements.lock
VENV   ?= .venv
PYTHON ?=
ARGS   ?=
IMAGE  ?= emergence
KILLS  ?= 50
# Arms that `make audit SEED=...` draws.
JOBS   ?= 3
# Shipped weights that `make verify` evaluates where nothing was run here; named, it evaluates them anyway.
TRAINED ?= weights/$(SCALE)

.DEFAULT_GOAL := help
.DELETE_ON_ERROR:

BIN   := $(VENV)/bin
# A rule of the workflow calls `emergence`, so the environment comes first on the PATH.
WITH  := PATH="$(if $(filter /%,$(VENV)),$(BIN),$(CURDIR)/$(BIN)):$$PATH"
RUN   := $(WITH) SCALE="$(SCALE)"
# One stamp per lock: written when the environment holds all of it, so a second call costs nothing.
STAMP := $(VENV)/.installed-$(notdir $(LOCK))

is_supported = import ensurepip, sys; sys.exit(not (3, 11) <= sys.version_info[:2] <= (3, 13))
is_usable    = import pip, sys; sys.exit(not (3, 11) <= sys.version_info[:2] <= (3, 13))

candidates   = $(or $(PYTHON),python3 python3.13 python3.12 python3.11 python)

# Sets $$python, or says in one sentence that there is none.
define find_python
python=; \
for candidate in $(candidates); do \
  if "$$candidate" -c '$(is_supported)' >/dev/null 2>&1; then python="$$candidate"; break; fi; \
done; \
if [ -z "$$python" ]; then \
  echo "emergence: No Python 3.11, 3.12 or 3.13 with its venv module was found (tried: $(candidates)); install one (Debian and Ubuntu: apt install python3 python3-venv) or name it with 'make PYTHON=/path/to/python3'." >&2; \
  exit 2; \
fi
endef

.PHONY: help
help: ## List the targets.
	@echo "usage: make TARGET [SCALE=smoke|laptop|paper] [CORES=N] [ARGS='more arguments']"
	@echo
	@awk -F ':.*## ' '/^[a-z-]+:.*## / {printf "  %-20s %s\n", $$1, $$2}' $(firstword $(MAKEFILE_LIST))
	@echo
	@echo "SCALE=$(SCALE) CORES=$(CORES) LOCK=$(LOCK) VENV=$(VENV)"

# --- what a reviewer needs ---------------------------------------------------------------------

.PHONY: reproduce
reproduce: check-scale $(STAMP) ## Regenerate every figure and decide every claim.
	@$(RUN) $(BIN)/snakemake --cores $(CORES) $(ARGS)

# Nothing was run at this scale, or weights are named: they are evaluated, if they are there.
evaluates = $(if $(filter-out file undefined,$(origin TRAINED)),$(TRAINED),$(if $(wildcard results/$(SCALE)/*/measurements.json),,$(wildcard $(TRAINED)/manifest.json)))

.PHONY: verify
verify: check-scale $(STAMP) ## Compare the claims with the ledger: of a run, of shipped weights (TRAINED=; ANEW=1 draws their chains again), of what fits in BUDGET=30m, or both.
ifneq ($(and $(BUDGET),$(if $(evaluates),,yes)),)
	@$(RUN) $(BIN)/emergence plan --budget "$(BUDGET)" --scale $(SCALE) $(if $(filter-out all,$(CORES)),--cores $(CORES))
	@$(RUN) $(BIN)/snakemake --cores $(CORES) --config settings=results/budget/settings.yaml -- $$(cat results/budget/targets.txt)
	@$(RUN) $(BIN)/emergence verify --scale budget --judged-as $(SCALE) --plan results/budget/plan.json $(ARGS)
else ifneq ($(evaluates),)
	@$(RUN) $(BIN)/emergence plan --trained "$(TRAINED)" $(if $(filter-out 0,$(ANEW)),--anew) --scale $(SCALE) $(if $(BUDGET),--budget "$(BUDGET)") $(if $(filter-out all,$(CORES)),--cores $(CORES))
	@$(RUN) $(BIN)/snakemake --cores $(CORES) --config settings=results/verify/settings.yaml trained="$(TRAINED)" $(if $(filter-out 0,$(ANEW)),anew=1) -- $$(cat results/verify/targets.txt)
	@$(RUN) $(BIN)/emergence agreement --scale verify --trained "$(TRAINED)"
	@$(RUN) $(BIN)/emergence verify --scale verify --judged-as $(SCALE) --plan results/verify/plan.json $(ARGS); status=$$?; \
	$(RUN) $(BIN)/emergence report --scale verify --figures-of $(SCALE) && exit $$status
else
	@$(RUN) $(BIN)/emergence verify --scale $(SCALE) $(ARGS)
endif

.PHONY: audit
audit: check-scale $(STAMP) ## Run a random sample of the trainings again with your SEED and compare (JOBS=3, BUDGET=30m; ANEW=1: of what is shipped too).
	@case "$(SEED)" in ''|*[!0-9]*) \
	  echo "emergence: SEED is '$(SEED)' but must be a whole number of your own, as in 'make audit SEED=7'." >&2; \
	  exit 2;; esac
	@$(RUN) $(BIN)/emergence audit plan --seed $(SEED) --scale $(SCALE) --jobs $(JOBS) $(if $(filter-out 0,$(ANEW)),--anew) $(if $(BUDGET),--budget "$(BUDGET)") $(if $(filter-out all,$(CORES)),--cores $(CORES))
	@$(RUN) $(BIN)/snakemake --cores $(CORES) --config settings=results/audit-$(SEED)/settings.yaml -- $$(cat results/audit-$(SEED)/targets.txt)
	@$(RUN) $(BIN)/emergence audit judge --seed $(SEED) --scale $(SCALE) $(ARGS)

.PHONY: drift
drift: check-scale $(STAMP) ## Measure how much each number moves over seeds (BUDGET=2h), threads, precision, compilation (FAST=1: in minutes; SAMPLED=1: the chains and bulks that this leaves out).
	@$(RUN) $(BIN)/emergence drift plan --scale $(SCALE) --trained "$(TRAINED)" $(if $(FAST),--fast) $(if $(SAMPLED),--sampled) $(if $(BUDGET),--budget "$(BUDGET)") $(if $(filter-out all,$(CORES)),--cores $(CORES)) $(ARGS)
	@while read -r name options; do \
	  $(RUN) $(BIN)/snakemake --cores $(CORES) --config settings=results/$$name/settings.yaml $$options -- $$(cat results/$$name/targets.txt) </dev/null || exit 1; \
	done < results/drift/runs.txt
	@$(RUN) $(BIN)/emergence drift measure --scale $(SCALE) --trained "$(TRAINED)"

.PHONY: doctor
doctor: $(STAMP) ## Check this machine: environment, memory, disk, GPU; what each scale will cost here.
	@$(RUN) $(BIN)/emergence doctor $(ARGS)

.PHONY: report
report: check-scale $(STAMP) ## Pack the figures, rules and costs of a finished run as Snakemake's own report (results/$(SCALE)/snakemake.html).
	@$(RUN) $(BIN)/snakemake --report results/$(SCALE)/snakemake.html $(ARGS)

.PHONY: crate
crate: check-scale $(STAMP) ## Pack the run, what it read and what came of it, as a Workflow Run RO-Crate.
	@$(RUN) $(BIN)/snakemake --cores $(CORES) $(ARGS) -- crate

.PHONY: sabotage
sabotage: check-scale $(STAMP) ## Break the physics on purpose; fail where a claim stays green.
	@$(RUN) $(BIN)/snakemake --cores $(CORES) $(ARGS) -- sabotage

.PHONY: test
test: $(STAMP) ## Run all tests: units, the workflow's lint and dry runs, the smoke workflow.
	@$(WITH) $(BIN)/python -m pytest -n $(WORKERS) --dist loadfile $(ARGS)

.PHONY: chaos
chaos: $(STAMP) ## Kill a smoke run fifty times at random moments; every number must end the same.
	@$(WITH) CHAOS_SCALE=smoke CHAOS_KILLS=$(KILLS) CHAOS_RECORD=results/chaos.json $(BIN)/python -m pytest -s tests/workflow/test_chaos.py $(ARGS)

.PHONY: bench
bench: check-scale $(STAMP) ## Time what should be fast (after `make peers`: against other people's methods).
	@$(RUN) $(BIN)/emergence bench $(ARGS)

.PHONY: rehearse
rehearse: SCALE := $(if $(filter file,$(origin SCALE)),paper,$(SCALE))
rehearse: check-scale $(STAMP) ## Train a few steps of every flow: what a scale costs here (by default the paper's).
	@$(RUN) $(BIN)/emergence rehearse --scale $(SCALE) $(ARGS)

# --- the environment ---------------------------------------------------------------------------

.PHONY: env
env: $(STAMP) ## Make the environment from the lock (LOCK=requirements-gpu.lock: with CUDA).

# An environment that works is kept and brought up to the lock; a broken one is made anew.
$(STAMP): $(LOCK) pyproject.toml
	@if ! $(BIN)/python -c '$(is_usable)' >/dev/null 2>&1; then \
	  $(find_python); \
	  echo "Making the environment $(VENV) with $$("$$python" --version)."; \
	  "$$python" -m venv --clear $(VENV); \
	fi
	@$(BIN)/python -m pip install --disable-pip-version-check --require-hashes -r $(LOCK)
	@$(BIN)/python -m pip install --disable-pip-version-check --quiet --no-deps --no-build-isolation -e .
	@touch $@

.PHONY: peers
peers: ## Add the methods that `make bench` races against.
	@$(MAKE) --no-print-directory env LOCK=requirements-peers.lock

.PHONY: container
container: ## Build the container image for processors alone.
	@$(call build_image,$(IMAGE):cpu,requirements.lock,--build-arg BASE_IMAGE=ubuntu:24.04)

.PHONY: container-cuda
container-cuda: ## Build the container image for NVIDIA GPUs.
	@$(call build_image,$(IMAGE):cuda,requirements-gpu.lock)

.PHONY: container-test
container-test: $(STAMP) ## Build the image and run the whole smoke workflow in it, offline (as root).
	@$(call test_image,cpu)

.PHONY: container-cuda-test
container-cuda-test: $(STAMP) ## The same with the CUDA libraries, on the processors alone.
	@$(call test_image,cuda)

.PHONY: cluster-test
cluster-test: $(STAMP) ## Run the smoke workflow on a SLURM cluster of one node, started for it (as root).
	@$(WITH) EMERGENCE_DAEMONS=1 CLUSTER_TARGET=all $(BIN)/python -m pytest tests/workflow/cluster $(ARGS)

# test_image(variant): with a container engine of the tests' own.
test_image = $(WITH) EMERGENCE_DAEMONS=1 CONTAINER_VARIANT=$(1) \
  $(BIN)/python -m pytest -rA tests/workflow/container $(ARGS)

# build_image(tag, lock, further arguments); ARGS reaches `docker build`, BASE_IMAGE included.
build_image = docker build --tag $(1) --build-arg LOCK=$(2) $(3) \
  --build-arg REVISION="$$(git describe --always --abbrev=40 --match= --dirty 2>/dev/null || echo unknown)" \
  --build-arg LOCK_SHA256="$$({ sha256sum $(2) 2>/dev/null || shasum -a 256 $(2); } | cut -d ' ' -f 1)" $(ARGS) .

# --- for those who change the code -------------------------------------------------------------

.PHONY: lint
lint: $(STAMP) ## Check the code, the workflow and the Dockerfile.
	@$(BIN)/ruff check .
	@$(BIN)/ruff format --check .
	@$(BIN)/snakefmt --check Snakefile workflow
	@$(RUN) $(BIN)/snakemake --lint
	@$(BIN)/hadolint Dockerfile

.PHONY: format
format: $(STAMP) ## Format the code and the workflow.
	@$(BIN)/ruff check --fix .
	@$(BIN)/ruff format .
	@$(BIN)/snakefmt Snakefile workflow

# Existing pins are kept where they still fit; delete a lock first to get the newest of everything.
# The other locks are held to the pins of requirements.lock.
compile = uv pip compile pyproject.toml --quiet --universal --python-version 3.11 \
  --fork-strategy fewest --generate-hashes --no-emit-index-url \
  --custom-compile-command "make lock" --extra dev --extra cluster

.PHONY: readme
readme: $(STAMP) ## Write the README's tables from the committed verdicts and costs.
	@$(RUN) $(BIN)/emergence readme

.PHONY: lock
lock: ## Write the locks anew after a change of the dependencies (needs uv).
	@command -v uv >/dev/null || { echo "emergence: 'make lock' needs uv; install it with 'pipx install uv'." >&2; exit 2; }
	$(compile) -o requirements.lock
	$(compile) --extra gpu -c requirements.lock -o requirements-gpu.lock
	$(compile) --extra peers -c requirements.lock -o requirements-peers.lock

.PHONY: figures-clean
figures-clean: check-scale ## Delete the figures of SCALE, so that the next run draws them again; certificates stay.
	rm -rf figures/$(SCALE)/*/
	@rmdir figures/$(SCALE) 2>/dev/null || true

.PHONY: clean
clean: ## Delete the environment and the caches of the tools; results and figures stay.
	rm -rf $(VENV) .pytest_cache .ruff_cache .hypothesis
	find src tests -name __pycache__ -type d -prune -exec rm -rf {} +

.PHONY: check-scale
check-scale:
	@case "$(SCALE)" in smoke|laptop|paper) ;; *) \
	  echo "emergence: SCALE is '$(SCALE)' but must be smoke, laptop or paper; give one of them, as in 'make reproduce SCALE=smoke'." >&2; \
	  exit 2;; esac
