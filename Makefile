# Every chore of the project. `make` alone prints the list.

SWIFT ?= swift
# A target may import only what its own line in Package.swift names.
CHECKS := --explicit-target-dependency-import-check error
SHELL_SCRIPTS := $(shell grep -ls 'env bash$$' Scripts/* .ci/run)

# SwiftPM keeps an evaluated Package.swift until its text or the environment changes, but ours also asks whether .libtorch has
# CUDA. With the link's target in the environment it is evaluated again when that changes.
export ATTUNE_LIBTORCH = $(shell readlink -f .libtorch)

.PHONY: help bootstrap quickstart build debug test test-light test-bench bench bench-methods bench-memory bench-table lint format imports goldens docs clean

help: ## print this list
	@awk -F ':.*## ' '/^[a-z-]+:.*## / { printf "make %-11s %s\n", $$1, $$2 }' Makefile

bootstrap: ## find or fetch libtorch, and install what the build needs
	@Scripts/bootstrap

quickstart: bootstrap ## tune a small model on movie snippets and report what each step of the way gains
	@Scripts/fetch-model
	@Scripts/fetch-data sentiment
	$(SWIFT) build -c release --product attune
	.build/release/attune quickstart --model models/smollm2-135m-instruct.gguf --data data/sentiment --output runs/quickstart

build: bootstrap ## the program, optimized: .build/release/attune
	$(SWIFT) build -c release --product attune

debug: bootstrap ## every target, unoptimized
	$(SWIFT) build $(CHECKS)

# One test at a time: they share libtorch's random generator and its count of live tensors.
test: bootstrap ## build and run every test
	@Scripts/fetch-model || echo "make: the real model could not be fetched; the tests that need it are skipped, and say so"
	$(SWIFT) test $(CHECKS) --no-parallel

test-light: ## the tests of the targets that need no libtorch, in a build of their own
	ATTUNE_WITHOUT_TORCH=1 $(SWIFT) test $(CHECKS) --scratch-path .build-light

test-bench: ## the tests of the scripts in Benchmarks
	python3 -B -m unittest discover Benchmarks/tests

# ROWS="smollm2-lora-bf16 generate-1" and PAIRS=3 choose; PEER_PYTHON names a Python that has the peer already.
bench: build $(if $(PEER_PYTHON),,.venv-bench/installed) ## measure Attune against transformers with PEFT, in turn (docs/performance.md)
	@Scripts/fetch-model
	@Scripts/fetch-data instructions
	Benchmarks/run

# STEPS=100 HELD_OUT=200 make it smaller; what was measured in the same size is not measured again.
bench-methods: build ## tune by every method on the quickstart's data, time their steps, and write the tables of docs/methods.md
	@Scripts/fetch-model
	@Scripts/fetch-data sentiment
	Benchmarks/methods run
	Benchmarks/methods speed
	Benchmarks/methods table

bench-memory: build ## measure the memory of quantized models of 1.1B and 7B, and write the table of docs/quantization.md
	Benchmarks/memory

bench-table: ## write the table of docs/performance.md from runs/bench/results.json
	Benchmarks/table

.venv-bench/installed: Benchmarks/requirements.txt
	python3 -m venv .venv-bench
	.venv-bench/bin/python -m pip install --requirement $<
	touch $@

lint: ## check the format of the Swift code, the scripts, and the files that pages name
	$(SWIFT) format lint --strict --recursive --parallel Sources Tests Package.swift
	@for script in $(SHELL_SCRIPTS) Scripts/lib/*.sh; do bash -n $$script || exit 1; done
	@if command -v shellcheck >/dev/null; then shellcheck --check-sourced --external-sources --source-path=SCRIPTDIR $(SHELL_SCRIPTS); \
	else echo "shellcheck is not installed: the scripts were only parsed"; fi
	Scripts/check-docs

format: ## format the Swift code in place
	$(SWIFT) format --in-place --recursive --parallel Sources Tests Package.swift

imports: bootstrap ## build everything, tests included, with undeclared imports as errors
	$(SWIFT) build --build-tests $(CHECKS)

# In this order: later scripts read what earlier ones wrote. dataset_samples.py, mlx_adapters.py, adapterhub.py, preference.py,
# reinforcement.py and distillation.py are not among them: they need TRL and LLaMA-Factory, mlx-lm, AdapterHub's adapters, TRL, TRL,
# and TRL and torchtune, which pin other versions, in environments of their own.
GOLDENS := models layers adapters combine training methods quantization gguf_files checkpoints tokenizer_cases command_line \
	soft_prompts new_tokens optimizers template_snippets templates generation evaluation

goldens: .venv-goldens/installed ## write the golden files anew, with the reference implementations
	@for name in $(GOLDENS); do echo "$$name.py"; .venv-goldens/bin/python Scripts/goldens/$$name.py || exit 1; done
	@Scripts/fetch-model
	.venv-goldens/bin/python Scripts/goldens/smollm2.py models/smollm2-135m-instruct.gguf

.venv-goldens/installed: Scripts/goldens/requirements.txt
	python3 -m venv .venv-goldens
	.venv-goldens/bin/python -m pip install --requirement $<
	touch $@

docs: debug ## the documentation of every library target, warnings as errors: .build/docs/attune.doccarchive
	Scripts/build-docs

clean: ## remove what was built; the cache, data/, models/ and runs/ stay
	rm -rf .build .build-light .venv-goldens .venv-bench
