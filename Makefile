# The commands of this repository. `make demo` and `make test` do all the set-up they need.
SHELL := /bin/bash
.SHELLFLAGS := -euo pipefail -c
.DEFAULT_GOAL := help
CARGO := . scripts/env.sh && have_cargo && cargo

.PHONY: help demo test bench lint docs images build cross-check clean

help: ## Show what can be made
	@grep -hE '^[a-z-]+:.*##' $(MAKEFILE_LIST) | sed -E 's/^([a-z-]+):.*## /\1\t/' | expand -t 14

demo: ## Build everything, run a real picture through a real cluster, show the result and where the time went
	@scripts/setup build images
	@scripts/demo

test: ## Run all tests: real Docker, real S3 clients, real SQLite, real kills
	@scripts/setup build test
	@scripts/test

bench: ## Measure, each figure beside its floor in the same run; writes target/bench/results.json
	@scripts/setup build bench
	@scripts/bench

lint: ## Formatting, clippy with warnings as errors, dependency policy
	@scripts/setup lint
	@scripts/lint

docs: ## Build the reference of the crates into target/doc
	@scripts/setup build
	@$(CARGO) doc --workspace --no-deps --document-private-items

images: ## Build the container images of the examples
	@scripts/images

build: ## Build release binaries into target/release
	@scripts/setup build
	@scripts/build-supervisor
	@$(CARGO) build --release -p spillway -p spillway-agent -p spillway-gateway
	@cp target/supervisor/spillway-supervisor target/release/

cross-check: ## Cross-build agent and supervisor for 64-bit ARM, run them and the supervisor's tests (emulated elsewhere)
	@scripts/cross-check

clean: ## Remove what builds, demo and benchmarks left behind
	@rm -rf target
