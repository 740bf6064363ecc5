# Breakwater. `make run` starts it, `make test` checks everything that gates; the rest: `make help`.

.DEFAULT_GOAL := help
.PHONY: help run test test-full bench check train lock clean install rasa-data

help: ## show what there is to make
	@awk 'BEGIN { FS = ":.*## " } /^[a-z-]+:.*## / { printf "  make %-10s %s\n", $$1, $$2 }' Makefile

run: install ## install what is missing, train if needed, start everything; Ctrl-C ends it
	@.venv/bin/breakwater run

test: install ## everything that gates: checks, Rasa data, conversations, all tests (15 minutes at most)
	@scripts/stage test

test-full: install ## the whole matrices as well: long, for a release
	@scripts/stage test-full

bench: install ## measure this machine against a bot made by `rasa init`
	@.venv/bin/breakwater train
	@.venv/bin/breakwater bench

check: install ## format, lint, types, import law
	@scripts/stage check

train: install ## train the assistant if no model fits the present sources
	@.venv/bin/breakwater train

lock: install ## make requirements.lock anew from pyproject.toml (needs uv)
	@scripts/lock

clean: ## remove what is made: models, logs, caches (not .venv, not conversations)
	@rm -rf models var/logs var/rasa-cache var/rasa-test .pytest_cache .mypy_cache .ruff_cache .hypothesis .import_linter_cache .rasa results
	@echo "Removed models, logs and caches. Conversations stay in var/; remove that folder to delete them."

install: ## install into .venv (the others do it by themselves)
	@scripts/bootstrap
