.DEFAULT_GOAL := help
.PHONY: help demo test test-engines lint docs bench protos fuzz fuzz-files soak tsan clean

PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
RUST_SOURCES := $(shell find rust -name '*.rs' -o -name Cargo.toml) Cargo.toml Cargo.lock pyproject.toml
DEMO := tests/data/mnist_mlp
FUZZ_SECONDS ?= 60
FUZZ_TARGETS ?= $(basename $(notdir $(wildcard rust/fuzz/fuzz_targets/*.rs)))
FUZZ_COUNT ?= 10000
FUZZ_SEED ?= 1
SOAK_SECONDS ?= 300
export PIP_DISABLE_PIP_VERSION_CHECK := 1

help: ## this list
	@awk -F ':.*## ' '/^[a-z-]+:.*## / { printf "  make %-12s %s\n", $$1, $$2 }' $(MAKEFILE_LIST)

demo: $(VENV)/built ## open a real checkpoint: list it, show one tensor
	$(BIN)/tensorbundle info $(DEMO)
	$(BIN)/tensorbundle ls $(DEMO)
	$(BIN)/tensorbundle cat $(DEMO) dense_2/bias

test: $(VENV)/built $(VENV)/test ## all tests, of Rust and of Python, with TensorFlow as the oracle
	cargo test --quiet --workspace --exclude tensorbundle-python
	$(BIN)/python -m pytest

test-engines: $(VENV)/built $(VENV)/engines ## the index job on Ray and on Spark (which needs Java); S3 and GCS, by servers here
	$(BIN)/python -m pytest tests/engines

lint: $(VENV)/built $(VENV)/engines $(VENV)/lint docs ## formatting, clippy, ruff, mypy, pyright, stale protos, docs
	cargo fmt --all --check
	cargo clippy --quiet --workspace --all-targets -- -D warnings
	cargo xtask protos --check
	$(BIN)/ruff check
	$(BIN)/ruff format --check
	$(BIN)/mypy
	$(BIN)/pyright

docs: export NO_MKDOCS_2_WARNING := 1 # the theme's banner, not a warning about these pages
docs: $(VENV)/built $(VENV)/docs ## build the docs site into site/; a warning is an error
	$(BIN)/mkdocs build --quiet --strict

bench: $(VENV)/built $(VENV)/bench ## hold it against TensorFlow's reader: benches/README.md says how
	$(BIN)/python benches/run.py $(ARGS)

protos: ## regenerate the Rust code of rust/wire/protos
	cargo xtask protos

# Sanitizers are still behind a flag that only nightly compilers take unasked. They double the memory of a tensor that is
# as large as MAX_FILLED_TENSOR lets it be.
fuzz: export RUSTC_BOOTSTRAP := 1
fuzz: $(VENV)/fuzz ## run each of FUZZ_TARGETS for FUZZ_SECONDS (60)
	for target in $(FUZZ_TARGETS); do \
	    mkdir -p rust/fuzz/scratch/$$target && \
	    $(BIN)/cargo-fuzz run --fuzz-dir rust/fuzz $$target \
	        $(CURDIR)/rust/fuzz/scratch/$$target $(CURDIR)/rust/fuzz/corpus/$$target -- \
	        -dict=$(CURDIR)/rust/fuzz/dict/$$target.dict \
	        -max_total_time=$(FUZZ_SECONDS) -rss_limit_mb=2560 -timeout=60 -print_final_stats=1 || exit 1; \
	done

fuzz-files: $(VENV)/built $(VENV)/test ## mutate whole checkpoints FUZZ_COUNT (10000) times, from FUZZ_SEED
	$(BIN)/python tests/fuzz_files.py --count $(FUZZ_COUNT) --seed $(FUZZ_SEED)

soak: export SOAK_SECONDS := $(SOAK_SECONDS)
soak: $(VENV)/built $(VENV)/test ## threads, forked workers and openings for SOAK_SECONDS (300)
	$(BIN)/python -W ignore tests/soak.py

# The standard library is not watched: compilers bring it ready-made. What that makes of the test harness is left out.
tsan: export RUSTC_BOOTSTRAP := 1
tsan: export RUSTFLAGS := -Zsanitizer=thread -Cunsafe-allow-abi-mismatch=sanitizer
tsan: export TSAN_OPTIONS := suppressions=$(CURDIR)/rust/store/tests/tsan.supp
tsan: export RACE_ROUNDS ?= 1000
tsan: ## races between threads in the Rust core, by ThreadSanitizer
	cargo test --quiet --target-dir target/tsan --target $$(rustc -vV | sed -n 's/host: //p') \
	    -p tensorbundle-store --test race

clean: ## remove everything that was built, installed or generated
	rm -rf $(VENV) site target rust/fuzz/target rust/fuzz/scratch benches/data .pytest_cache .mypy_cache .ruff_cache .hypothesis

# What is installed, and when: each stamp is newer than what it was made from.

$(VENV)/made:
	$(PYTHON) -m venv $(VENV)
	$(BIN)/python -m pip install --quiet --upgrade 'pip==26.3'
	touch $@

$(VENV)/built: $(VENV)/build $(RUST_SOURCES)
	VIRTUAL_ENV=$(abspath $(VENV)) $(BIN)/maturin develop --quiet --release --locked
	touch $@

$(VENV)/fuzz: $(VENV)/made
	cargo install --quiet --locked --root $(VENV) cargo-fuzz@0.13.2
	touch $@

$(VENV)/build $(VENV)/test $(VENV)/engines $(VENV)/lint $(VENV)/docs $(VENV)/bench: $(VENV)/%: $(VENV)/made pyproject.toml
	$(BIN)/python -m pip install --quiet --group $*
	touch $@
