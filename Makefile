# Each target sets up what it needs: on a bare machine with Python 3.11 or later, `make up` is all there is to type.

PYTHON ?= $(shell for p in python3.11 python3.12 python3.13 python3 python; do \
	"$$p" -c 'import sys; sys.exit(sys.version_info < (3, 11))' 2>/dev/null && command -v "$$p" && break; done)
VENV := .venv
PY := $(VENV)/bin/python
VAR_DIR ?= $(CURDIR)/var
READY := $(VENV)/requirements.stamp
READY_DEV := $(VENV)/requirements-dev.stamp
VENV_PARITY := .venv-parity
READY_PARITY := $(VENV_PARITY)/requirements.stamp
PIP := $(PY) -m pip install --disable-pip-version-check --progress-bar off --no-compile -q
NO_SERVERS := PORTCULLIS_NO_SERVERS=1
FROM ?= 2011-01-03
TO ?= 2013-03-01
N ?= 200
SEED ?= 7
SOAK := tests/faults/test_lost_answers.py tests/faults/test_slicing_races.py tests/faults/test_killed_anywhere.py tests/faults/test_tasks_killed.py tests/simulator/test_simulator.py
SOAK += tests/faults/test_processes_killed.py
SOAK += tests/faults/test_same_order_over_sockets.py tests/faults/test_limit_races.py tests/faults/test_database_restarts.py
SOAK += tests/faults/test_redis_away.py tests/faults/test_held_locks.py tests/faults/test_stop_at_full_speed.py
SOAK += tests/faults/test_stream_failures.py tests/simulator/test_any_order.py

export PYTHONUNBUFFERED := 1

.DEFAULT_GOAL := help
.PHONY: help setup up paper-run test status bench soak lint parity ci-local clean

help: ## list the targets
	@grep -hE '^[a-z-]+:.*## ' $(MAKEFILE_LIST) | sed 's/:.*## /\t/' | expand -t 14

$(VENV)/bin/python:
	@if [ -z "$(PYTHON)" ]; then echo "Portcullis needs Python 3.11 or later; none was found (PYTHON=/path/to/python3 names one)" >&2; exit 2; fi
	@"$(PYTHON)" -m venv $(VENV) || { rm -rf $(VENV); echo "$(PYTHON) cannot make virtual environments (on Debian: apt-get install python3-venv)" >&2; exit 2; }

$(READY): requirements.txt | $(VENV)/bin/python
	@echo "installing the pinned packages into $(VENV) (once, about a minute)"
	@$(PIP) -r requirements.txt
	@touch $@

$(READY_DEV): requirements-dev.txt $(READY)
	@echo "installing ruff, mypy and type stubs into $(VENV) (once)"
	@$(PIP) -r requirements-dev.txt
	@touch $@

$(VENV_PARITY)/bin/python: | $(VENV)/bin/python
	@$(PY) -m venv $(VENV_PARITY) || { rm -rf $(VENV_PARITY); exit 2; }

$(READY_PARITY): requirements-parity.txt | $(VENV_PARITY)/bin/python
	@echo "installing Qlib and vectorbt into $(VENV_PARITY) (once, under a minute)"
	@$(VENV_PARITY)/bin/python -m pip install --disable-pip-version-check --progress-bar off --no-compile -q --no-deps -r requirements-parity.txt
	@touch $@

setup: $(READY) ## the virtual environment with the pinned packages

up: $(READY) ## everything: servers, console, replay, trading; PORT=8000, ARGS="--speed 60"
	@$(PY) manage.py up $(if $(PORT),--port $(PORT)) $(ARGS)

paper-run: $(READY) ## trade through the sample and print the result; FROM=, TO=, ARGS=
	@$(PY) manage.py migrate --verbosity 0
	@$(PY) manage.py paper_run --from $(FROM) --to $(TO) $(ARGS)

test: $(READY) ## all tests, with the coverage of risk and execution; ARGS=
	@$(PY) -m pytest -n 2 --dist worksteal --cov --cov-report=term:skip-covered $(ARGS)

status: $(READY) ## services, kill switch, positions, P&L; exit code 0 healthy, 3 halted, 4 degraded
	@$(PY) manage.py status $(ARGS)

bench: $(READY) ## measure speed, as JSON with ratios within one run; ARGS="--only orders --quick"
	@$(PY) -m tests.bench $(ARGS)

lint: $(READY_DEV) ## ruff, its formatter, mypy
	@$(VENV)/bin/ruff check .
	@$(VENV)/bin/ruff format --check .
	@$(NO_SERVERS) $(VENV)/bin/mypy .

soak: $(READY) ## the fault proofs many times over, N=200 of each kind or as many as each wants at most; SEED=, ARGS=
	@SOAK_N=$(N) SOAK_SEED=$(SEED) $(PY) -m pytest --show-capture=no $(SOAK) $(ARGS)

parity: $(READY) $(READY_PARITY) ## every feature beside Qlib's own value, worst difference each; ARGS=--write-reference
	@$(NO_SERVERS) $(PY) -m tests.parity $(ARGS)

ci-local: ## what continuous integration runs
	@.ci/run

clean: ## stop embedded servers; remove the virtual environment, caches and test data; the desk's data stay
	@if [ -x $(PY) ]; then for d in "$(VAR_DIR)" "$(VAR_DIR)/test"; do $(PY) -m trading.embedded stop "$$d" 2>/dev/null || true; done; fi
	@rm -rf $(VENV) $(VENV_PARITY) .mypy_cache .ruff_cache .pytest_cache .hypothesis .coverage .coverage.* "$(VAR_DIR)/test"
