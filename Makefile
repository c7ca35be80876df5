# `make demo` and `make test` need Python 3.11+ and nothing else.
PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
READY := $(VENV)/.ready
# What decides whether a table is whole has no branch untested.
COVERED := swanlab_export/client/*,swanlab_export/pagination.py,swanlab_export/normalizers/*,swanlab_export/writers/*

.PHONY: demo test check bench clean

$(READY): pyproject.toml
	test -x $(BIN)/python || $(PYTHON) -m venv $(VENV)
	$(BIN)/pip install --quiet --upgrade "pip>=25.1"
	$(BIN)/pip install --quiet --editable ".[sandbox,plot,polars]" --group test --group check
	touch $@

demo: $(READY)
	$(BIN)/swanlab-export api run metrics ada-lab/digits/mlp-long --keys loss --all \
		--save loss.parquet --host sandbox
	$(BIN)/python -c "import pandas; print(pandas.read_parquet('loss.parquet'))"

test: $(READY)
	$(BIN)/python -m pytest

check: $(READY)
	$(BIN)/ruff format --check .
	$(BIN)/ruff check .
	$(BIN)/mypy
	$(BIN)/pyright --pythonpath $(BIN)/python --project tests/typing
	$(BIN)/python -m pytest --quiet --doctest-modules swanlab_export
	$(BIN)/python -m pytest --quiet --cov --cov-report=
	$(BIN)/coverage report --fail-under=95
	$(BIN)/coverage report --fail-under=100 --include="$(COVERED)"
	$(BIN)/python tests/notebooks/run_notebooks.py
	sh tests/clean_install.sh $(CURDIR)/$(BIN)/python

bench: $(READY)
	$(BIN)/python tests/benchmarks/run.py $(BENCH)

clean:
	rm -rf $(VENV) .pytest_cache .mypy_cache .ruff_cache .hypothesis
