# Everything runs in a virtual environment of the project; `make help` lists the commands.
PYTHON ?= python3
VENV := .venv
PY := $(VENV)/bin/python
ARGS ?=

.DEFAULT_GOAL := help
.PHONY: help run test lint format lock bench compile clean

help: ## List the commands
	@grep -E '^[a-z]+:.*##' $(MAKEFILE_LIST) | sed -E 's/^([a-z]+):.*## (.*)/  make \1\t\2/' | expand -t 18

run: $(VENV)/.run ## Run the whole pipeline on this machine; ARGS="--config FILE --param NAME=VALUE"
	@$(PY) pipeline/compile_and_run_pipeline.py --local $(ARGS)

test: $(VENV)/.test ## Lint, check types and run the tests
	@$(MAKE) --no-print-directory lint
	$(PY) -m pytest $(ARGS)

lint: $(VENV)/.test ## Lint and check types
	$(VENV)/bin/ruff check
	$(VENV)/bin/ruff format --check
	$(VENV)/bin/mypy

format: $(VENV)/.test ## Format the code
	$(VENV)/bin/ruff check --fix
	$(VENV)/bin/ruff format

lock: ## Lock the dependencies anew and export them for pip (needs poetry with its export plugin)
	poetry lock
	poetry export --without-hashes | grep -Ev '^(nvidia-|cuda-|triton)' > requirements.txt
	poetry export --without-hashes --only dev > tests/requirements.txt

bench: $(VENV)/.test ## Measure every stage; ARGS="--rows 100000"
	$(PY) benchmarks/run.py $(ARGS)

compile: $(VENV)/.run ## Write the pipeline's YAML for the Kubeflow UI
	$(PY) pipeline/compile_and_run_pipeline.py --compile-only $(ARGS)

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
