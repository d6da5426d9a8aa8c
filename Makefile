# The developers' door. Users need two of these: `make demo` and `make test`.
PYTHON ?= python3
BIN := .venv/bin
ENVS := .interlock/envs
COMPILE := $(BIN)/uv pip compile -q --universal --python-version 3.11 --generate-hashes --no-emit-index-url \
	--no-emit-find-links --no-header -c requirements/constraints.txt

.PHONY: help demo test test-peers test-long bench-ingest bench-monitor bench-serve bench-console check format docs setup setup-test up down build pins clean

help: ## Show what there is
	@grep -hE '^[a-z-]+:.*## ' $(MAKEFILE_LIST) | awk -F':.*## ' '{printf "  make %-12s %s\n", $$1, $$2}'

demo: setup ## Set everything up, start the local cloud and run a model's whole life on it
	@$(BIN)/interlock demo

test: setup-test check ## Set everything up and pass every check and test
	@$(BIN)/python -m pytest tests/local tests/infra tests/unit -n 3

test-peers: setup-test $(ENVS)/.peers ## Hold the monitor against Evidently and NannyML (2 GB of them, several minutes)
	@$(BIN)/python -m pytest tests/peers

bench-monitor: setup-test $(ENVS)/.peers ## What a check costs, how exact it is, how often it cries wolf
	@PYTHONPATH=.:functions:layers/core $(BIN)/python -m tests.performance.monitor.bench .interlock/bench/monitor

test-long: setup-test ## Look ten times as long for a table that ingest judges wrongly
	@INTERLOCK_LONG=1 $(BIN)/python -m pytest tests/unit/ingest/test_oracle.py -n 2 --timeout 3600

check: setup-test ## Lint, types, layers of imports
	@$(BIN)/ruff check --quiet . && $(BIN)/ruff format --check --quiet .
	@$(BIN)/mypy --no-error-summary infra cli localcloud jobs functions/* layers/core/interlock
	@$(BIN)/lint-imports --no-cache > .interlock/import-linter.log || (cat .interlock/import-linter.log; false)

format: setup-test ## Format and mend what can be mended
	@$(BIN)/ruff check --quiet --fix . ; $(BIN)/ruff format --quiet .

docs: setup ## Write the pages that are made from the code
	@$(BIN)/python -m cli.contracts.documenting
	@$(BIN)/python -m interlock.openapi models > docs/openapi.json

setup: $(ENVS)/.app ## Install the command, the emulator and the training job's environment
setup-test: $(ENVS)/.test $(ENVS)/.kserve

bench-ingest: setup-test $(ENVS)/.bench-ingest ## Time ingest beside its peers, on two cores that have nothing else to do
	@$(BIN)/python -m tests.performance.bench_ingest

bench-serve: setup-test $(ENVS)/.bench $(ENVS)/.bench-peers ## Measure what a prediction costs above the model itself
	@$(BIN)/python -m tests.performance.bench_serve

bench-console: setup-test ## Time the console's pages of a model with 1,000 windows and 100 versions
	@PYTHONPATH=.:functions:layers/core $(BIN)/python -m tests.performance.bench_console

build: setup ## Build the layers for AWS
	@$(BIN)/python -m infra.build --target aws

up: setup ## Start the local cloud
	@$(BIN)/interlock up

down: ## Stop the local cloud
	@$(BIN)/interlock down

clean: down ## Remove everything that was made here
	rm -rf .venv .interlock build cdk.out

$(BIN)/uv: requirements/uv.txt
	@echo "setting up (once): Python environment"
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11) and "Interlock needs Python 3.11 or later")'
	@$(PYTHON) -m venv .venv
	@$(BIN)/python -m pip install --quiet --disable-pip-version-check --require-hashes -r requirements/uv.txt
	@touch $@

$(ENVS)/.app: $(BIN)/uv requirements/app.txt requirements/emulator.txt requirements/lambda-runtime.txt jobs/train/requirements.txt pyproject.toml
	@echo "setting up (once): the command, the emulator, the training job"
	@mkdir -p $(ENVS)
	@VIRTUAL_ENV=.venv $(BIN)/uv pip install --quiet --require-hashes -r requirements/app.txt
	@VIRTUAL_ENV=.venv $(BIN)/uv pip install --quiet --no-deps --no-build-isolation -e .
	@$(call environment,emulator,requirements/emulator.txt)
	@$(call environment,lambda-runtime,requirements/lambda-runtime.txt)
	@$(call environment,job,jobs/train/requirements.txt)
	@touch $@

$(ENVS)/.test: $(ENVS)/.app requirements/test.txt requirements/datacontract.txt
	@echo "setting up (once): what the tests need"
	@VIRTUAL_ENV=.venv $(BIN)/uv pip install --quiet --require-hashes -r requirements/test.txt
	@$(call environment,datacontract,requirements/datacontract.txt)
	@touch $@

$(ENVS)/.kserve: $(ENVS)/.app requirements/kserve.txt
	@echo "setting up (once): the protocol's own client"
	@$(call environment,kserve,requirements/kserve.txt)
	@touch $@

$(ENVS)/.peers: $(ENVS)/.test requirements/peers.txt
	@echo "setting up (once): the peers that judge the monitor"
	@$(call environment,peers,requirements/peers.txt)
	@touch $@

$(ENVS)/.bench-ingest: $(ENVS)/.test requirements/bench-ingest.txt
	@echo "setting up (once): the peers of ingest's benchmark"
	@$(call environment,bench-ingest,requirements/bench-ingest.txt)
	@touch $@

$(ENVS)/.bench: $(ENVS)/.app requirements/bench.txt
	@echo "setting up (once): AWS's runtime emulator"
	@$(call environment,bench,requirements/bench.txt --no-deps)
	@touch $@

$(ENVS)/.bench-peers: $(ENVS)/.app requirements/bench-peers.txt
	@echo "setting up (once): the servers that the exported one is measured beside"
	@$(call environment,bench-peers,requirements/bench-peers.txt)
	@touch $@

define environment
	$(BIN)/uv venv --quiet --clear --python $(BIN)/python $(ENVS)/$(1) && \
	VIRTUAL_ENV=$(ENVS)/$(1) $(BIN)/uv pip install --quiet --require-hashes -r $(2)
endef

pins: $(BIN)/uv ## Compile the hash-pinned requirements anew
	@for f in requirements/uv requirements/app requirements/test requirements/emulator requirements/lambda-runtime requirements/server \
		requirements/datacontract requirements/kserve requirements/peers requirements/bench-ingest requirements/bench-peers layers/core/requirements layers/numeric/requirements layers/tabular/requirements jobs/train/requirements; do \
		$(COMPILE) --upgrade $$f.in -o $$f.txt; done
	@for f in layers/onnx/requirements requirements/bench; do $(COMPILE) --upgrade --no-deps $$f.in -o $$f.txt; done
