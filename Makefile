# Everything runs in .venv, which these rules build with whatever Python 3.10-3.13 is there.
PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
STAMP := $(VENV)/installed

# `make demo` draws its own pictures; `make demo DATA=path/to/flickr8k WEIGHTS=path` uses real ones.
DEMO ?= demo
DATA ?=
WEIGHTS ?= imagenet
ENCODER ?= mobilenet_v3_small

.PHONY: demo test bench lint clean

$(STAMP): setup.py
	$(PYTHON) -m venv $(VENV)
	$(BIN)/pip install --quiet --upgrade pip
	$(BIN)/pip install --quiet --editable ".[all]"
	touch $@

demo: $(STAMP)
	$(BIN)/python -m tfcap.demo --output $(DEMO) $(if $(DATA),--data $(DATA) --encoder $(ENCODER) --encoder-weights $(WEIGHTS))

test: $(STAMP)
	$(BIN)/pytest

# What the greedy signature costs over the bare encoder: make bench RUN=... IMAGES=...
bench: $(STAMP)
	$(BIN)/python tests/bench/greedy_cost.py --run $(RUN) --images $(IMAGES) --json bench.json

lint: $(STAMP)
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .

clean:
	rm -rf $(VENV) $(DEMO)
