# Everything one can do here. `make` tells what; continuous integration calls `make test`.

# The size of `make load`; inside `make test` the same tests run small.
SUBMISSIONS ?= 100000
CONNECTIONS ?= 256
# The size of `make corpus`.
CORPUS_SUBMISSIONS ?= 20000
# The size of `make progress`.
SUBSCRIBERS ?= 2000
# The size of `make events`.
TICKETS ?= 10000
KILLS ?= 20
SEED ?= 7

# The same packages everywhere, so that nothing is built twice with other features.
UNIT = cargo test --workspace --lib --bins
INTEGRATION = cargo test --workspace --test it
# Optimised, as installed, and showing the figures while they come.
MEASURED = cargo test --release --workspace --test it --

.DEFAULT_GOAL := help
.PHONY: help run test check unit integration deps load corpus progress events bench-smoke openapi deny doc clean

help: ## Show this
	@awk -F ':.*## ' '/^[.a-z-]+:.*## / { printf "  make %-13s %s\n", $$1, $$2 }' Makefile

run: ## Build and start everything in one process, data in ./data
	cargo run --release

test: deps check doc-tests unit integration ## All that must hold before a commit; what CI runs

check: ## Formatting and lints
	cargo fmt --all --check
	cargo clippy --workspace --all-targets -- -D warnings

unit: ## The tests beside the code; no server needed
	$(UNIT)

integration: deps ## The tests on real servers, which they start and stop themselves
	$(INTEGRATION) --no-run
	@sync # or the disk, busy with what the build wrote, holds up the databases for seconds
	$(INTEGRATION)

# Before the others: what a test run says last should be the figures of its longest part.
.PHONY: doc-tests
doc-tests:
	cargo test --workspace --doc --quiet

deps: ## Install the servers that the tests start, where they are missing (apt)
	@.ci/deps

load: deps ## Many submissions at once, none lost: SUBMISSIONS=100000 CONNECTIONS=256
	SUBMISSIONS=$(SUBMISSIONS) CONNECTIONS=$(CONNECTIONS) $(MEASURED) flow::crowd_tests --nocapture

corpus: deps ## Real text, from Debian changelogs, through the whole system: CORPUS_SUBMISSIONS=20000
	CORPUS_SUBMISSIONS=$(CORPUS_SUBMISSIONS) $(MEASURED) flow::changelogs --nocapture

progress: deps ## Many who follow a ticket, each told of a change within a second: SUBSCRIBERS=2000
	SUBSCRIBERS=$(SUBSCRIBERS) $(MEASURED) flow::progress_crowd --nocapture --test-threads=1

events: deps ## Events while their relay is killed again and again: TICKETS=10000 KILLS=20 SEED=7
	TICKETS=$(TICKETS) KILLS=$(KILLS) SEED=$(SEED) $(MEASURED) flow::events::events_survive --nocapture

bench-smoke: ## `make load`, small: does it still measure?
	$(MAKE) --no-print-directory load SUBMISSIONS=2000 CONNECTIONS=32

# No prerequisite: what is there is never made again, whatever changes in the example.
.env: ## Settings and secrets for docker compose, as in .env.example but secret
	@umask 077; awk -F= '/^[A-Z_]*(PASSWORD|KEY|TOKEN)=/ { \
	        secret = ""; make = "openssl rand -hex 32"; make | getline secret; close(make); \
	        print $$1 "=" secret; next } { print }' .env.example > .env.new && mv .env.new .env

openapi: ## The OpenAPI document against a validator, and a generated client at work (needs Node.js)
	@.ci/openapi

deny: ## Licences, advisories and origins of the dependencies (needs cargo-deny)
	cargo deny check

doc: ## The crates' documentation
	cargo doc --workspace --no-deps --document-private-items

clean: ## Remove what was built; ./data stays
	cargo clean
