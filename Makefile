# Every target makes the environment it needs; WORKDIR and DATA_DIR may be given.
WORKDIR ?= runs/quickstart
DATA_DIR ?= data
VENV := .venv
PY := $(VENV)/bin/python
BASE := $(shell command -v python3.11 || command -v python3.12 || command -v python3)
STAMP := $(VENV)/.made-from-$(shell cat pyproject.toml constraints.txt | cksum | cut -d' ' -f1)
# Two test processes on two cores: each keeps to one thread of its own.
TEST_ENV := OMP_NUM_THREADS=1 JAX_PLATFORMS=cpu
PYTEST := $(TEST_ENV) $(PY) -m pytest -n 2 --dist worksteal

.PHONY: env quickstart test test-long check docs bench

env: $(STAMP)

$(STAMP): pyproject.toml constraints.txt
	@$(BASE) -c 'import sys; sys.exit(not (3, 11) <= sys.version_info < (3, 13))' || \
	  { echo "iid_jax needs Python 3.11 or 3.12; found $(BASE)" >&2; exit 2; }
	$(BASE) -m venv $(VENV)
	$(PY) -m pip install --quiet --disable-pip-version-check -c constraints.txt -e '.[dev,faces]'
	@rm -f $(VENV)/.made-from-*
	@touch $@

quickstart: env
	$(PY) -m iid_jax.main --config=configs/quickstart.py --workdir=$(WORKDIR) --data_dir=$(DATA_DIR)

test: env
	$(PYTEST)

test-long: env
	$(TEST_ENV) $(PY) -m pytest -m long

check: env
	$(VENV)/bin/ruff check .
	$(VENV)/bin/ruff format --check .
	$(VENV)/bin/lint-imports

docs: env
	$(PY) -m iid_jax.main show --checkpoint=$(WORKDIR) --data_dir=$(DATA_DIR) --out=docs/first-look.png

bench: env
	$(PY) benchmarks/step.py
