# One machine needs python3 (3.11 or later, with venv) and make. Everything else goes into .venv and .data.
.DEFAULT_GOAL := help
.PHONY: help setup setup-dev run test bench bench-distribution bench-scale chaos lint format lock clean

# An empty UV= makes setup use python3 and pip although uv is there.
PYTHON ?=
UV ?= $(shell command -v uv 2>/dev/null)
VENV := .venv
BIN := $(VENV)/bin
# A virtual environment does not survive a move: its stamps name the folder that it was made in.
PLACE := $(shell pwd | cksum | cut -d ' ' -f 1)
RUN_STAMP := $(VENV)/.installed-run-$(PLACE)
DEV_STAMP := $(VENV)/.installed-dev-$(PLACE)
PYTEST_ARGS ?=

export PIP_DISABLE_PIP_VERSION_CHECK := 1
# A missing Python is reported with what to install; a download of one would come from somewhere else than the lock.
export UV_PYTHON_DOWNLOADS := never

help: ## Show this list
	@awk -F ':.*## ' '/^[a-z-]+:.*## / { printf "  make %-18s %s\n", $$1, $$2 }' $(firstword $(MAKEFILE_LIST))

setup: $(RUN_STAMP) ## Make .venv and install openchannel from the hash-locked requirements
	@:

setup-dev: $(DEV_STAMP)
	@:

# exec: signals reach openchannel itself, and its exit code is the recipe's.
run: $(RUN_STAMP) ## Run the whole system with a demo desk; RUN_FOR=30 ends it after 30 seconds
	@exec $(BIN)/openchannel demo

test: $(DEV_STAMP) ## Run the whole test suite; PYTEST_ARGS="-k name" picks
	@exec $(BIN)/python -m pytest --numprocesses 2 --dist loadfile --no-loadscope-reorder $(PYTEST_ARGS)

bench: $(DEV_STAMP) ## Compare a naive Celery chain, a plain loop and openchannel; MESSAGES= SEED= SIDES=loop,ours ROUNDS=
	@exec $(BIN)/python -m bench $(if $(MESSAGES),--messages $(MESSAGES)) $(if $(SEED),--seed $(SEED)) \
		$(if $(SIDES),--sides $(SIDES)) $(if $(ROUNDS),--rounds $(ROUNDS)) $(BENCH_ARGS)

bench-distribution: $(DEV_STAMP) ## Measure what a plan costs, by operators and by waiting dialogs; POLICY=evenly|strictly
	@exec $(BIN)/python -m bench.distribution $(if $(POLICY),--policy $(POLICY)) $(BENCH_ARGS)

bench-scale: $(DEV_STAMP) ## Measure what grows: millions of cards, hot chats, backlogs, memory; MESSAGES= PARTS=filled,drain SCALE=0.01
	@exec $(BIN)/python -m bench.scale $(if $(MESSAGES),--messages $(MESSAGES)) $(if $(SEED),--seed $(SEED)) \
		$(if $(PARTS),--parts $(PARTS)) $(if $(SCALE),--scale $(SCALE)) $(BENCH_ARGS)

# exec: Ctrl-C reaches it alone, and it leaves no process behind.
chaos: $(DEV_STAMP) ## Kill, cut and wipe the real system, then hold it against the truth; SEED= KILLS= SECONDS= FAULTS=a,b
	@exec $(BIN)/python -m chaos $(if $(SEED),--seed $(SEED)) $(if $(KILLS),--kills $(KILLS)) \
		$(if $(SECONDS),--seconds $(SECONDS)) $(if $(FAULTS),--faults $(FAULTS)) $(CHAOS_ARGS)

lint: $(DEV_STAMP) ## Check style, types and the direction of imports
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy
	$(BIN)/lint-imports

format: $(DEV_STAMP) ## Format the code, and mend what ruff can mend
	$(BIN)/ruff check --fix-only .
	$(BIN)/ruff format .

LOCK = uv pip compile --quiet --universal --python-version 3.11 --generate-hashes --no-emit-index-url --no-config \
	--custom-compile-command 'make lock' pyproject.toml --extra embedded $(LOCK_ARGS)

lock: ## Lock the requirements again (needs uv); LOCK_ARGS=--upgrade takes new releases
	@command -v uv >/dev/null 2>&1 || { echo "make lock needs uv: pip install uv" >&2; exit 1; }
	$(LOCK) --group packaging -o requirements/run.txt
	$(LOCK) --group dev -c requirements/run.txt -o requirements/dev.txt

clean: ## Remove .venv, builds and caches; .data stays
	rm -rf $(VENV) dist build .mypy_cache .pytest_cache .ruff_cache .hypothesis .import_linter_cache
	find . -name __pycache__ -type d -not -path './.data/*' -prune -exec rm -rf {} +

# A stamp is younger than the lock that was installed.
$(RUN_STAMP): requirements/run.txt pyproject.toml
	@$(call make_venv)
	@$(call install,requirements/run.txt)
	@touch $@

$(DEV_STAMP): requirements/dev.txt requirements/run.txt pyproject.toml
	@$(call make_venv)
	@$(call install,requirements/dev.txt)
	@touch $(RUN_STAMP) $@

# What a killed setup left behind is made anew: the check runs what the next step needs.
define make_venv
set -eu; \
supported='import sys; sys.exit(sys.version_info < (3, 11))'; \
if [ -e $(VENV)/.made-in-$(PLACE) ] && $(BIN)/python -c "$$supported" 2>/dev/null \
	&& { [ -n "$(UV)" ] || $(BIN)/python -m pip --version >/dev/null 2>&1; }; then exit 0; fi; \
rm -rf $(VENV); \
found=; \
for candidate in $(PYTHON) python3 python3.14 python3.13 python3.12 python3.11; do \
	if "$$candidate" -c "$$supported" 2>/dev/null; then found=$$candidate; break; fi; \
done; \
if [ -z "$$found" ]; then \
	echo "openchannel needs Python 3.11 or later; python3 here is: $$(python3 --version 2>&1 || true)" >&2; \
	echo "Install a later one, or name one: make setup PYTHON=/path/to/python3.12" >&2; \
	exit 1; \
fi; \
echo "Making $(VENV) with $$("$$found" --version)"; \
if [ -n "$(UV)" ]; then "$(UV)" venv --quiet --python "$$("$$found" -c 'import sys; print(sys.executable)')" $(VENV); \
elif "$$found" -c 'import ensurepip, venv' 2>/dev/null; then "$$found" -m venv $(VENV); \
else \
	echo "This Python cannot make virtual environments: its venv or ensurepip module is missing." >&2; \
	echo "Debian, Ubuntu: apt-get install python3-venv    Alpine: apk add py3-pip    Fedora, RHEL: dnf install python3-pip" >&2; \
	echo "or install uv, which needs neither; then run make again." >&2; \
	exit 1; \
fi; \
touch $(VENV)/.made-in-$(PLACE)
endef

define install
set -eu; \
echo "Installing $(1)"; \
if [ -n "$(UV)" ]; then \
	"$(UV)" pip install --quiet --python $(BIN)/python --require-hashes -r $(1); \
	"$(UV)" pip install --quiet --python $(BIN)/python --no-deps --no-build-isolation -e .; \
else \
	$(BIN)/python -m pip install --quiet --require-hashes -r $(1); \
	$(BIN)/python -m pip install --quiet --no-deps --no-build-isolation -e .; \
fi
endef
