# All commands run in the virtual environment .venv; `make help` lists them.
PYTHON ?= python3
VENV := .venv
PY := $(VENV)/bin/python
PIP_INSTALL := $(PY) -m pip install --quiet --disable-pip-version-check
ARGS ?=
# Tests run in half as many processes again as the machine has cores, since many wait; PROCESSES=0 runs them in one, for
# a debugger.
PROCESSES ?= $(shell expr $$(getconf _NPROCESSORS_ONLN) \* 3 / 2)
# Without bytecode, each process would compile all modules again.
PYTEST = env -u PYTHONDONTWRITEBYTECODE $(PY) -m pytest --numprocesses $(PROCESSES) --maxprocesses 8 --dist loadfile --no-loadscope-reorder

# Example: make image TORCH=cpu IMAGE=registry/name TAG=1.0 ENGINE="podman --runtime runc" BUILD_OPTIONS="--secret id=ca,src=…"
# The environment variable CONTAINER_OPTIONS adds options to `docker run` and its equivalents.
IMAGE ?= columbus-eclss-ad
TAG ?= $(shell git rev-parse --short=8 HEAD)
BASE_IMAGE ?=
TORCH ?= cuda
TORCH_CPU_INDEX ?=
BASE = $(or $(BASE_IMAGE),$(shell sed -n 's/^ARG BASE_IMAGE=//p' Dockerfile))
VERSION = $(shell sed -n 's/^version = "\(.*\)"/\1/p' pyproject.toml)
REVISION ?= $(shell git describe --always --exclude '*' --abbrev=40 --dirty)
ENGINE ?= $(firstword $(foreach name,docker podman buildah,$(if $(shell $(name) info >/dev/null 2>&1 && echo works),$(name))))
BUILD_OPTIONS ?=
OCI := org.opencontainers.image
NO_ENGINE = $(error docker, podman or buildah not found; install one, or set ENGINE)
AUDIT_TOOLS := pip-audit==2.10.1 cyclonedx-bom==7.5.0
JUPYTER := jupyterlab==4.6.6

.DEFAULT_GOAL := help
.PHONY: help run run-containers runs serve console notebook test test-fast test-cluster lint format lock reference bench compile image check-image audit sbom clean

help: ## List the commands
	@awk -F ':.*## ' '/^##@ / { printf "\n%s:\n", substr($$0, 5) } \
		/^[a-z-]+:.*## / { printf "  make %-17s%s\n", $$1, $$2 }' $(MAKEFILE_LIST)

##@ Run

run: $(VENV)/.run ## Run the pipeline on this machine; options: ARGS="--config FILE --param NAME=VALUE"
	@$(PY) pipeline/compile_and_run_pipeline.py --local $(ARGS)

run-containers: $(VENV)/.run ## Run the pipeline with each step in a container of the built image
	@CONTAINER_ENGINE="$(filter-out buildah,$(ENGINE))" $(PY) pipeline/compile_and_run_pipeline.py --local --containers $(ARGS)

##@ Look

runs: $(VENV)/.run ## List the runs of this machine; options: ARGS="--compare ID ID", ARGS="--remote" for a cluster
	@$(PY) -m pipeline.runs $(ARGS)

serve: $(VENV)/.run ## Serve the model of the last run on this machine until Ctrl-C; options: ARGS="--port 9090"
	@$(PY) -m pipeline.serve_last_model $(ARGS)

console: $(VENV)/.run ## Open the operator's console on the last run until Ctrl-C; options: ARGS="--port 9091"
	@$(PY) -m pipeline.console_of_last_run $(ARGS)

notebook: $(VENV)/.jupyter ## Install Jupyter and open the notebooks in a browser; options: ARGS="--no-browser"
	$(VENV)/jupyter/bin/jupyter lab $(ARGS) notebooks

##@ Develop

# Test processes share the cores: each computes in one thread.
test test-fast: export OMP_NUM_THREADS := 1
# Property tests try fewer examples than in `make test`.
test-fast: export HYPOTHESIS_PROFILE ?= fast

# Most of lint is mypy, in one process: it runs beside the tests, and what it says comes after theirs.
LINT = $(MAKE) --no-print-directory lint
test: $(VENV)/.test ## Lint, check types and run the tests; ARGS="-k NAME"
	@said=$$(mktemp); $(LINT) > "$$said" 2>&1 & lint=$$!; \
	trap 'kill $$lint 2> /dev/null; rm -f "$$said"' EXIT; trap 'exit 130' INT; \
	$(PYTEST) $(ARGS); tests=$$?; \
	wait $$lint; linted=$$?; cat "$$said"; exit $$((tests | linted))

test-fast: $(VENV)/.test ## Run the tests that start no whole step, service, pipeline or notebook
	$(PYTEST) -m "not slow" $(ARGS)

lint: $(VENV)/.test ## Lint and check types
	$(VENV)/bin/ruff check
	$(VENV)/bin/ruff format --check
	$(VENV)/bin/mypy
	$(VENV)/bin/lint-imports --no-logo --no-cache
	$(VENV)/bin/check-jsonschema --builtin-schema vendor.gitlab-ci --data-transform gitlab-ci .gitlab-ci.yml
	$(VENV)/bin/check-jsonschema --builtin-schema vendor.github-workflows .github/workflows/ci.yml

format: $(VENV)/.test ## Format the code
	$(VENV)/bin/ruff check --fix
	$(VENV)/bin/ruff format

lock: ## Lock dependencies and export them for pip; needs poetry and its export plugin; ARGS=--regenerate upgrades
	poetry lock $(ARGS)
	poetry export | awk '/^[^ ]/ {other = !/^(nvidia-|cuda-|triton|torch=)/} other' > requirements.txt
	poetry export --without-hashes | grep '^torch=' > requirements-torch.txt
	poetry export --only submit > requirements-submit.txt
	poetry export --only dev > tests/requirements.txt

reference: $(VENV)/.test ## Write docs/reference.md from the declarations of the commands
	$(PY) -m tests.reference

bench: $(VENV)/.test ## Benchmark every stage; options: ARGS="--rows 100000"
	$(PY) benchmarks/run.py $(ARGS)

clean: ## Delete the virtual environment and caches of tools; ALL=1: also example data and results of runs
	rm -rf $(VENV) .mypy_cache .pytest_cache .ruff_cache .hypothesis local_data/*.yaml sbom.json junit.xml
	$(if $(filter 1,$(ALL)),rm -rf $(addprefix local_data/,example outputs cache runs last_run containers))

##@ Image

image: ## Build the container image with docker, podman or buildah; TORCH=cpu: without CUDA
	$(or $(ENGINE),$(NO_ENGINE)) build $(BUILD_OPTIONS) --build-arg BASE_IMAGE=$(BASE) \
		--build-arg TORCH=$(TORCH) $(if $(TORCH_CPU_INDEX),--build-arg TORCH_CPU_INDEX=$(TORCH_CPU_INDEX)) \
		--label $(OCI).version=$(VERSION) --label $(OCI).revision=$(REVISION) --label $(OCI).base.name=$(BASE) \
		--tag $(IMAGE):$(TAG) --tag $(IMAGE):latest .

check-image: ## Check the image: no root user, no writable files, no build tools, all commands start
	$(or $(ENGINE),$(NO_ENGINE)) run --rm --interactive --read-only --tmpfs /tmp --cap-drop ALL --network none \
		--security-opt no-new-privileges $(CONTAINER_OPTIONS) $(IMAGE):$(TAG) python - < deploy/check_image.py

audit: $(VENV)/.audit ## Check the locked dependencies for known vulnerabilities; fails if one cannot be checked
	$(VENV)/audit/bin/pip-audit --strict --requirement requirements.txt --no-deps --disable-pip
	$(VENV)/audit/bin/pip-audit --strict --requirement requirements-torch.txt --no-deps --disable-pip

sbom: $(VENV)/.audit ## Write the software bill of materials, sbom.json (CycloneDX)
	cat requirements.txt requirements-torch.txt \
		| $(VENV)/audit/bin/cyclonedx-py requirements --output-reproducible --output-file sbom.json -

##@ Cluster

compile: $(VENV)/.run ## Write the pipeline's YAML for the Kubeflow UI
	$(PY) pipeline/compile_and_run_pipeline.py --compile-only $(ARGS)

test-cluster: $(VENV)/.test ## Test launching steps and failures on a real cluster; see docs/cluster.md
	TEST_CLUSTER=yes $(PY) -m pytest tests/cluster/live $(ARGS)

# Stamp files mark complete installations, so that an interrupted one is repeated.
$(VENV)/.run: requirements.txt requirements-torch.txt
	@$(PYTHON) -c 'import sys; sys.exit(not (3, 11) <= sys.version_info[:2] <= (3, 13) and "Python 3.11, 3.12 or 3.13 is required; name one, as in make run PYTHON=python3.11")'
	@echo "installing the libraries into $(VENV), once: one to five minutes"
	@$(PYTHON) -m venv $(VENV) && date +%s > $(VENV)/.began
	@$(PIP_INSTALL) --require-hashes --no-deps -r requirements.txt
	@$(PIP_INSTALL) -r requirements-torch.txt
	@echo "installed in $$(($$(date +%s) - $$(cat $(VENV)/.began))) s"
	@touch $@

$(VENV)/.test: $(VENV)/.run tests/requirements.txt
	$(PIP_INSTALL) --require-hashes --no-deps -r tests/requirements.txt
	@touch $@

# Jupyter has libraries of its own; its kernel is the Python of the project.
$(VENV)/.jupyter: $(VENV)/.test Makefile
	$(PYTHON) -m venv $(VENV)/jupyter
	$(VENV)/jupyter/bin/python -m pip install --quiet --disable-pip-version-check $(JUPYTER)
	@$(PY) -m ipykernel install --prefix $(VENV)/jupyter --name python3 2>/dev/null
	@touch $@

$(VENV)/.audit: Makefile
	$(PYTHON) -m venv $(VENV)/audit
	$(VENV)/audit/bin/pip install --quiet --disable-pip-version-check $(AUDIT_TOOLS)
	@touch $@
