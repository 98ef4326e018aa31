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

# Real data, for `make bench` and `make soak` alone.
SHARED ?= ../shared
BENCH ?= bench
SOAK ?= soak
source = --images $(SHARED)/$(1)/Images --captions $(SHARED)/$(1)/captions.txt

.PHONY: demo test bench soak lint clean

$(STAMP): setup.py
	$(PYTHON) -m venv $(VENV)
	$(BIN)/pip install --quiet --upgrade pip
	$(BIN)/pip install --quiet --editable ".[all]"
	touch $@

demo: $(STAMP)
	$(BIN)/python -m tfcap.demo --output $(DEMO) $(if $(DATA),--data $(DATA) --encoder $(ENCODER) --encoder-weights $(WEIGHTS))

# Modules share fixtures that take long to make, so a module stays with one process.
test: $(STAMP)
	$(BIN)/pytest -n 2 --dist loadfile

# The records job against a plain loop, its memory, its peers; our encoder against Keras's and LiteRT;
# with DATASET=..., every stage from records to captions, reading by index over reading in order, and
# training against its peers (TORCH=... is a Python with PyTorch); with RUN=..., what captions cost
# over the bare encoder, by each search and by a loop of `model.predict`; with MODEL=..., a portable
# export's base directory, the server over a bare loop and its peers, and where a caption's time goes.
# SHARED holds flickr8k/, flickr8k_originals/ and weights/.
bench: $(STAMP)
	mkdir -p $(BENCH)
	$(BIN)/python tests/bench/build_rate.py --data $(SHARED)/flickr8k_originals --json $(BENCH)/rate.json
	$(BIN)/python tests/bench/memory.py --data $(SHARED)/flickr8k --json $(BENCH)/memory.json
	$(BIN)/python tests/bench/peers.py --data $(SHARED)/flickr8k_originals --venv $(BENCH)/peers --json $(BENCH)/peers.json
	$(BIN)/python tests/bench/encoder_peers.py --weights-dir $(SHARED)/weights --json $(BENCH)/encoder_peers.json
	$(if $(DATASET),for what in data encoder train decode; do $(BIN)/tfcap bench $$what --dataset $(DATASET) --json $(BENCH)/$$what.json || exit 1; done)
	$(if $(DATASET),$(BIN)/python tests/bench/random_access.py --dataset $(DATASET) --json $(BENCH)/random_access.json)
	$(if $(DATASET),$(BIN)/python tests/bench/training_peers.py --dataset $(DATASET) $(if $(TORCH),--torch-python $(TORCH)) --json $(BENCH)/training_peers.json)
	$(if $(MODEL),$(BIN)/python tests/bench/server_load.py --model $(MODEL) --images $(SHARED)/flickr8k_originals/Images --json $(BENCH)/server.json)
	$(if $(MODEL),$(BIN)/python tests/bench/serving_peers.py --model $(MODEL) --images $(SHARED)/flickr8k_originals/Images --venv $(BENCH)/serving --json $(BENCH)/serving_peers.json)
	$(if $(MODEL),$(BIN)/python tests/bench/op_account.py --model $(MODEL) --images $(SHARED)/flickr8k_originals/Images --json $(BENCH)/op_account.json)
	$(if $(RUN),$(if $(DATASET),$(BIN)/python tests/bench/litert_cost.py --run $(RUN) --dataset $(DATASET) --json $(BENCH)/litert.json))
	$(if $(RUN),$(BIN)/python tests/bench/captioning_cost.py --run $(RUN) --images $(SHARED)/flickr8k_originals/Images --json $(BENCH)/captioning.json)

# What takes longer than a test may: kills, damages, a full disk, mutants; five runners; many records;
# with DATASET=..., kills of a training; with MODEL=..., ten minutes of load on the server.
soak: $(STAMP)
	$(BIN)/python tests/soak/faults.py $(call source,flickr8k_originals) --kills 0 --scratch $(SOAK)/faults --json $(SOAK)/faults.json
	$(BIN)/python tests/soak/faults.py $(call source,flickr8k) --damages 0 --mutants 0 --scratch $(SOAK)/kills --json $(SOAK)/kills.json
	$(BIN)/python tests/soak/portable_workers.py $(call source,flickr8k) --splits $(SHARED)/flickr8k --output $(SOAK)/portable
	$(BIN)/python tests/bench/scale.py --scratch $(SOAK)/scale --json $(SOAK)/scale.json
	$(if $(MODEL),$(BIN)/python tests/soak/mutants.py --model $(MODEL) --images $(SHARED)/flickr8k_originals/Images --json $(SOAK)/mutants.json)
	$(if $(MODEL),$(BIN)/python tests/soak/server.py --model $(MODEL) --images $(SHARED)/flickr8k_originals/Images --scratch $(SOAK)/server --json $(SOAK)/server.json)
	$(if $(DATASET),$(BIN)/python tests/soak/kills.py --dataset $(DATASET) --scratch $(SOAK)/training --json $(SOAK)/training.json)

lint: $(STAMP)
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .

clean:
	rm -rf $(VENV) $(DEMO) $(BENCH) $(SOAK)
