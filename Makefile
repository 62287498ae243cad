# Every target prepares what it needs: on a bare Debian or Ubuntu with Python >= 3.11, git and make, `make test` is enough.
# ARGS reaches the command: make test ARGS="-k gates".

SHELL := /bin/sh
.DEFAULT_GOAL := help
MAKEFLAGS += --no-print-directory
export PATH := $(CURDIR)/.venv/bin:$(PATH)
export PYTHON
ARGS ?=

.PHONY: help setup packages demo test check fix docs attacks tape bench boxes proofs snapshots lock

help: ## list the targets
	@awk -F ':.*## ' '/^[a-z]+:.*## / {printf "make %-10s %s\n", $$1, $$2}' $(MAKEFILE_LIST)

setup: ## create .venv with everything (instant when it is there)
	@tools/setup.sh

packages: ## install the system packages that tests want, where that needs no question
	@tools/packages.sh

demo: setup ## a pull request from red to green, on this machine, with no account
	@interlock demo $(ARGS)

test: setup packages ## every test
	@python -m pytest -n auto $(ARGS)

check: setup ## formatting, lint, types, import contracts, spelling, workflows
	ruff format --check .
	ruff check .
	mypy
	lint-imports
	codespell
	check-jsonschema --builtin-schema vendor.github-actions action.yml
	check-jsonschema --builtin-schema vendor.github-workflows .github/workflows/*.yml
	check-jsonschema --builtin-schema vendor.dependabot .github/dependabot.yml
	actionlint
	zizmor --offline .

fix: setup ## format and mend what can be mended without a decision
	ruff check --fix-only .
	ruff format .
	codespell --write-changes

docs: setup ## run every command and follow every link of the documentation
	@python -m pytest tests/docs $(ARGS)

attacks: setup packages ## try on the sandbox what a hostile box would try, and print the table
	@python -m tests.runner.sandbox.attack_table $(ARGS)

tape: setup packages ## live through what GitHub may do on a bad day, and print the table
	@python -m pytest -n auto tests/scenarios/test_fault_tape.py tests/scenarios/test_any_order.py $(ARGS)
	@python -m tests.fakes.tape

bench: setup packages ## measure what is promised as a number
	@held=0; for file in $$(grep -l '^if __name__' bench/*.py); do \
		echo "== $$file"; python "$$file" $(ARGS) || held=1; \
	done; exit $$held

boxes: setup packages ## our own boxes, and the proof that each can turn red
	runner run $(ARGS)
	runner falsify --strict $(ARGS)

proofs: setup packages ## our own boxes, healthy and under their sabotage; what is red in either is told
	runner falsify --strict $(ARGS)

snapshots: setup ## accept what people read as it is now; look at the diff before you commit it
	python -m pytest --inline-snapshot=create,fix $(ARGS)

UV_LOCK = uv pip compile --quiet --universal --python-version 3.11 --generate-hashes --no-strip-extras --no-header \
	--no-emit-package interlock --no-emit-index-url --no-emit-find-links

lock: setup ## resolve requirements.lock anew from pyproject.toml, and from it what the image and the action hold
	$(UV_LOCK) pyproject.toml --all-extras --output-file requirements.lock $(ARGS)
	$(UV_LOCK) pyproject.toml --extra bot --constraint requirements.lock --no-annotate --output-file deploy/image.lock
	printf 'hatchling\neditables\n' | \
		$(UV_LOCK) - --constraint requirements.lock --no-annotate --output-file deploy/build.lock
	python tools/cut_requirements.py >action/requirements.txt
