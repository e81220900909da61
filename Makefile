# Everything a developer does. `make` alone lists it. Nothing has to be installed first but Python 3.11 and make:
# tools/bootstrap brings the rest.

SEEDS ?= 200
WORKERS ?= 2
ARGS ?=

PY := .venv/bin/python
# Most tests wait for the world, so several files run at once. The simulator computes: it gets what they leave over, and
# needs more patience for one test then.
AT_ONCE = -n $(WORKERS) --dist loadfile --max-worker-restart 0
LEFT_OVER = $(if $(shell chrt --idle 0 true 2>/dev/null && echo can),chrt --idle 0,nice -n 19)
SIMULATED = .cache/simulators.log
# pytest ends with 5 when it has run nothing, which is right only where ARGS chose tests of the other part.
NONE_CHOSEN = test $$? -eq 5 -a -n "$(ARGS)"
# Folders with Python in them. Some may not be there yet; a tool that is given an empty one fails.
CODE := $(strip $(foreach dir,src tests bench,$(if $(shell find $(dir) -name '*.py' -print -quit 2>/dev/null),$(dir))))

.DEFAULT_GOAL := help
.PHONY: help demo test worldly simulators check sim sim-night lab bench format lock bootstrap venv clean

help: ## list what can be made
	@echo "holdfast: make TARGET"
	@awk -F ':.*## ' '/^[a-z]+:.*## / { printf "  %-10s %s\n", $$1, $$2 }' $(MAKEFILE_LIST)

demo: ## start a real service, break it on purpose, watch it recover (ARGS="..." for options)
	@tools/bootstrap demo
	@.venv/bin/holdfast demo $(ARGS)

test: bootstrap check ## everything that must hold: the checks, then all tests (ARGS="-k name" to choose; WORKERS=2: files at once)
	@$(MAKE) --no-print-directory --keep-going --jobs 2 worldly simulators

worldly:
	@$(PY) -m pytest $(AT_ONCE) -m "not long" --ignore tests/sim $(ARGS) || $(NONE_CHOSEN)

simulators:
	@mkdir -p .cache
	@$(LEFT_OVER) $(PY) -m pytest $(AT_ONCE) -o timeout=900 -o cache_dir=.cache/simulators tests/sim $(ARGS) > $(SIMULATED) 2>&1 \
		|| $(NONE_CHOSEN); ended=$$?; cat $(SIMULATED); exit $$ended

check: venv ## lint, format, types, floors; changes nothing
	@.venv/bin/ruff check --quiet .
	@.venv/bin/ruff format --quiet --check . || { echo "not formatted: run 'make format'" >&2; exit 1; }
	@.venv/bin/mypy --strict --no-error-summary $(CODE)
	@said=$$(.venv/bin/lint-imports --no-logo 2>&1) || { echo "$$said" >&2; exit 1; }
	@echo "check: ok ($(CODE))"

sim: venv ## simulate faults on virtual time (SEEDS=200: how many seeds; ARGS="..." for options)
	@$(PY) -m holdfast.sim --seeds $(SEEDS) $(ARGS)

sim-night: venv ## a million schedules of several hosts: some hours on two cores (SEEDS=..., ARGS="--first 1000000" for others)
	@$(PY) -m holdfast.sim --cluster --seeds $(if $(filter 200,$(SEEDS)),1000000,$(SEEDS)) --jobs $$(nproc) $(ARGS)

lab: bootstrap ## the long tests of hosts, and thirty random sequences of faults on each kind of service (HOLDFAST_LAB_SEEDS=17 plays one again)
	@$(if $(HOLDFAST_LAB_SEEDS),,$(PY) -m pytest -q -m long -o session_timeout=7200 tests/lab)
	@HOLDFAST_LAB_SEEDS=$${HOLDFAST_LAB_SEEDS:-$$(seq -s, 30)} $(PY) -m pytest -q -o session_timeout=7200 \
		tests/lab/test_random_*.py $(ARGS)

bench: venv ## measure: runs each bench/*.py, side by side with what it is compared with
	@for file in bench/*.py; do echo "== $$file"; $(PY) $$file $(ARGS) || exit 1; done

format: venv ## format the code and fix what the linter can fix
	@.venv/bin/ruff check --fix --quiet . || true
	@.venv/bin/ruff format .

lock: ## write requirements/*.lock from pyproject.toml (ARGS=--upgrade for the newest of everything)
	@tools/lock $(ARGS)

bootstrap: ## install what is missing: haproxy, etcd, ZooKeeper, fence and resource agents and PostgreSQL through apt, .venv from the lock
	@tools/bootstrap

venv: ## make .venv from the lock, nothing else
	@tools/bootstrap venv

clean: ## remove .venv, caches and what was built
	@rm -rf .venv .venv.lock .cache .hypothesis .import_linter_cache .mypy_cache .pytest_cache .ruff_cache build dist
	@find . -name __pycache__ -type d -prune -exec rm -rf {} +
