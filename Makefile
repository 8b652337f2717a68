# Every target does its own set-up: `make demo` and `make test` work on a fresh machine.

PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
HOME_DIR ?= $(or $(HEADRACE_HOME),$(CURDIR)/.headrace)
export TORCH_EXTENSIONS_DIR ?= $(HOME_DIR)/cache/torch_extensions

INSTALLED := $(VENV)/.installed

.PHONY: setup browser demo up test test-slow check bench clean

setup: $(INSTALLED)
	@$(BIN)/python -m headrace.serving.installation --home "$(HOME_DIR)"

# torch first and alone: a failure shows early, and nothing later can choose another build.
$(INSTALLED): pyproject.toml constraints.txt
	test -x $(BIN)/python || $(PYTHON) -m venv $(VENV)
	$(BIN)/python -m pip install --quiet -c constraints.txt "torch==2.13.0"
	$(BIN)/python -m pip install --quiet -c constraints.txt -e ".[dev]"
	touch $@

# The tests of Prefect's UI drive a real browser; Debian's package, where no other is there.
browser:
	@command -v chromium || command -v chromium-browser || command -v google-chrome \
	  || (apt-get update -qq && apt-get install -y -qq --no-install-recommends chromium) \
	  || echo "no browser: tests of the UI are skipped (in CI they fail); install Chromium by hand"

up: setup
	$(BIN)/headrace up --home "$(HOME_DIR)"

demo: setup
	$(BIN)/headrace run pretrain_wikipedia --home "$(HOME_DIR)" --config deployments/parameters/pretrain_wikipedia.demo.yaml

check: $(INSTALLED)
	$(BIN)/ruff format --check .
	$(BIN)/ruff check .
	$(BIN)/mypy --strict src tasks
	$(BIN)/python -m pytest -q tests/test_layering.py

test: setup browser
	HEADRACE_TEST_HOME="$(HOME_DIR)" $(BIN)/python -m pytest -q -m "not slow and not gpu" --durations=15

test-slow: setup browser
	HEADRACE_TEST_HOME="$(HOME_DIR)" $(BIN)/python -m pytest -q -m "slow and not gpu"

bench: setup
	$(BIN)/python -m bench.run

clean:
	rm -rf $(VENV) .mypy_cache .ruff_cache .pytest_cache
