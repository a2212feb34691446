# Everything runs in a virtual environment of the project; `make help` lists the commands.
PYTHON ?= python3
VENV := .venv
PY := $(VENV)/bin/python
ARGS ?=
# Tests run in as many processes as the machine has logical cores; PROCESSES=0 runs them in one, for a debugger.
PROCESSES ?= logical
PYTEST = $(PY) -m pytest --numprocesses $(PROCESSES) --maxprocesses 8 --dist loadfile --no-loadscope-reorder

# The image: make image IMAGE=registry/name TAG=1.0 ENGINE="podman --runtime runc" BUILD_OPTIONS="--secret id=ca,src=…"
# CONTAINER_OPTIONS, from the environment, are of `run`.
IMAGE ?= columbus-eclss-ad
TAG ?= $(shell git rev-parse --short=8 HEAD)
BASE_IMAGE ?= python:3.11-slim
VERSION = $(shell sed -n 's/^version = "\(.*\)"/\1/p' pyproject.toml)
REVISION ?= $(shell git describe --always --exclude '*' --abbrev=40 --dirty)
ENGINE ?= $(firstword $(foreach name,docker podman buildah,$(if $(shell $(name) info >/dev/null 2>&1 && echo works),$(name))))
BUILD_OPTIONS ?=
OCI := org.opencontainers.image
NO_ENGINE = $(error no docker, podman or buildah: install one, or name it in ENGINE)
AUDIT_TOOLS := pip-audit==2.10.1 cyclonedx-bom==7.5.0

.DEFAULT_GOAL := help
.PHONY: help run run-containers test test-fast test-cluster lint format lock bench compile image check-image audit sbom clean

help: ## List the commands
	@grep -E '^[a-z-]+:.*##' $(MAKEFILE_LIST) | sed -E 's/^([a-z-]+):.*## (.*)/  make \1\t\2/' | expand -t 24

run: $(VENV)/.run ## Run the whole pipeline on this machine; ARGS="--config FILE --param NAME=VALUE"
	@$(PY) pipeline/compile_and_run_pipeline.py --local $(ARGS)

run-containers: $(VENV)/.run ## The same with every step in a container of the image that `make image` built
	@CONTAINER_ENGINE="$(filter-out buildah,$(ENGINE))" $(PY) pipeline/compile_and_run_pipeline.py --local --containers $(ARGS)

# Test processes share the cores: each computes in one thread.
test test-fast: export OMP_NUM_THREADS := 1

test: $(VENV)/.test ## Lint, check types and run the tests; ARGS="-k NAME"
	@$(MAKE) --no-print-directory lint
	$(PYTEST) $(ARGS)

test-fast: $(VENV)/.test ## Run the tests that start no whole step, pipeline or notebook
	$(PYTEST) -m "not slow" $(ARGS)

test-cluster: $(VENV)/.test ## Run the launching steps, and faults, on a real cluster; see docs/cluster.md
	TEST_CLUSTER=yes $(PY) -m pytest tests/cluster/live $(ARGS)

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

lock: ## Lock the dependencies and export them for pip (needs poetry with its export plugin); ARGS=--regenerate upgrades all
	poetry lock $(ARGS)
	poetry export --without-hashes | grep -Ev '^(nvidia-|cuda-|triton)' > requirements.txt
	poetry export --without-hashes --only submit > requirements-submit.txt
	poetry export --without-hashes --only dev > tests/requirements.txt

bench: $(VENV)/.test ## Measure every stage; ARGS="--rows 100000"
	$(PY) benchmarks/run.py $(ARGS)

compile: $(VENV)/.run ## Write the pipeline's YAML for the Kubeflow UI
	$(PY) pipeline/compile_and_run_pipeline.py --compile-only $(ARGS)

image: ## Build the container image with docker, podman or buildah
	$(or $(ENGINE),$(NO_ENGINE)) build $(BUILD_OPTIONS) --build-arg BASE_IMAGE=$(BASE_IMAGE) \
		--label $(OCI).version=$(VERSION) --label $(OCI).revision=$(REVISION) --label $(OCI).base.name=$(BASE_IMAGE) \
		--tag $(IMAGE):$(TAG) --tag $(IMAGE):latest .

check-image: ## Look whether the image is as pods need it: no root, no writing, no build tools, every command answers
	$(or $(ENGINE),$(NO_ENGINE)) run --rm --interactive --read-only --tmpfs /tmp --cap-drop ALL --network none \
		--security-opt no-new-privileges $(CONTAINER_OPTIONS) $(IMAGE):$(TAG) python - < deploy/check_image.py

audit: $(VENV)/.audit ## Look the locked dependencies up among the known vulnerabilities; fails if one cannot be looked up
	$(VENV)/audit/bin/pip-audit --strict --requirement requirements.txt --no-deps --disable-pip

sbom: $(VENV)/.audit ## Write the software bill of materials, sbom.json (CycloneDX)
	$(VENV)/audit/bin/cyclonedx-py requirements --output-reproducible \
		--output-file sbom.json requirements.txt

clean: ## Delete outputs, caches and the virtual environment; archives of your own stay
	rm -rf $(VENV) .mypy_cache .pytest_cache .ruff_cache .hypothesis
	rm -rf local_data/example local_data/outputs local_data/cache local_data/last_run local_data/*.yaml

# A stamp is made when its requirements are installed, so an interrupted installation is taken up again.
$(VENV)/.run: requirements.txt
	$(PYTHON) -c 'import sys; sys.exit(not (3, 11) <= sys.version_info[:2] <= (3, 13) and "Python 3.11, 3.12 or 3.13 is needed: name one, as in make run PYTHON=python3.11")'
	$(PYTHON) -m venv $(VENV)
	$(PY) -m pip install --quiet --disable-pip-version-check -r requirements.txt
	@touch $@

$(VENV)/.test: $(VENV)/.run tests/requirements.txt
	$(PY) -m pip install --quiet --disable-pip-version-check -r tests/requirements.txt
	@touch $@

$(VENV)/.audit: Makefile
	$(PYTHON) -m venv $(VENV)/audit
	$(VENV)/audit/bin/pip install --quiet --disable-pip-version-check $(AUDIT_TOOLS)
	@touch $@
