# Every target makes the environment it needs. WORKDIR and DATA_DIR say where runs and data go,
# WORKERS how many test processes there are, PYTHON which interpreter .venv is made with.
WORKDIR ?= runs/quickstart
DATA_DIR ?= data
WORKERS ?= 2
VENV := .venv
PY := $(VENV)/bin/python
# Python 3.12 or 3.11, the first that really runs (a version manager's shim may not).
FITS := import sys, ensurepip; sys.exit(not (3, 11) <= sys.version_info < (3, 13))
PYTHON ?= $(shell for p in python3.12 python3.11 python3; do \
  $$p -c '$(FITS)' >/dev/null 2>&1 && { echo $$p; break; }; done)
# The stamp's name follows what the environment is made from: it is re-made only when that changes.
STAMP := $(VENV)/.made-from-$(shell cat pyproject.toml constraints.txt | cksum | cut -d' ' -f1)
PYTEST := JAX_PLATFORMS=cpu $(PY) -m pytest

.PHONY: env quickstart test test-long check docs bench colab

env: $(STAMP)

$(STAMP):
	@[ -n "$(PYTHON)" ] && $(PYTHON) -c '$(FITS)' || { echo >&2 "iid_jax needs Python 3.11 or 3.12 with \
	venv; '$(or $(PYTHON),python3)' is not. Install one, or name it: make env PYTHON=/path/to/python3.12"; exit 2; }
	@$(PY) -c '$(FITS)' 2>/dev/null || $(PYTHON) -m venv --clear $(VENV)
	@echo "installing what constraints.txt names into $(VENV) ..." >&2
	@$(PY) -m pip install --quiet --disable-pip-version-check -c constraints.txt -e '.[dev,faces]'
	@rm -f $(VENV)/.made-from-*
	@touch $@

quickstart: env
	$(PY) -m iid_jax.main --config=configs/quickstart.py --workdir=$(WORKDIR) --data_dir=$(DATA_DIR)

test: env
	$(PYTEST) -m 'not long' -n $(WORKERS) --dist worksteal

test-long: env
	$(PYTEST) -m long

check: env
	$(VENV)/bin/ruff check .
	$(VENV)/bin/ruff format --check .
	$(VENV)/bin/lint-imports

# Of the run in WORKDIR, whatever its configuration; the quickstart's where there is none.
docs: env
	@[ -d $(WORKDIR)/checkpoints ] || $(MAKE) quickstart
	@mkdir -p docs
	$(PY) -m iid_jax.main show --checkpoint=$(WORKDIR) --data=practice_faces:test --data_dir=$(DATA_DIR) \
	  --out=docs/first-look.png

# The notebooks from their sources.
colab: env
	$(PY) colab/sync.py

bench: quickstart
	$(PY) benchmarks/host.py --data_dir=$(DATA_DIR)
