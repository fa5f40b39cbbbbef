# Everything one can do here. `make` tells what; continuous integration calls `make test`.

# The size of `make load`; inside `make test` the same tests run small.
SUBMISSIONS ?= 100000
CONNECTIONS ?= 256
# The size of `make corpus`, which needs as many changelog entries under /usr/share/doc.
CORPUS_SUBMISSIONS ?= 12000
# The size of `make progress`.
SUBSCRIBERS ?= 2000
# The size of `make events`.
TICKETS ?= 10000
KILLS ?= 20
# What `make events`, `make chaos` and `make kills` draw from.
SEED ?= 7
# The size of `make chaos`: so many seeds, from SEED on, each with faults for so long.
RUNS ?= 100
SECONDS ?= 12
# The nodes of the broker in `make chaos`, one or three.
NODES ?= 1
# The size of `make restarts`: so many of each role, restarted so often, under so many forms a second.
PROCESSES ?= 3
ROUNDS ?= 20
RATE ?= 200

# The size of `make limits`.
LOOK_UPS ?= 20000
# The size of `make staff`.
STAFF_TICKETS ?= 200
STAFF_SECONDS ?= 60

# A failed test says where and what; behind it, the runtime's backtrace would be all that a shortened
# log shows. `make integration RUST_BACKTRACE=1` asks for it.
export RUST_BACKTRACE = 0

# The same packages everywhere, so that nothing is built twice with other features.
UNIT = cargo test --workspace --lib --bins
INTEGRATION = cargo test --workspace --test it
# Optimised, as installed, and showing the figures while they come.
MEASURED = cargo test --release --workspace --test it --

.DEFAULT_GOAL := help
.PHONY: help run test check counts unit integration deps load corpus progress limits times staff events search transfers chaos kills restarts outage spool oracle bench mutants previous bench-smoke openapi deny doc clean

help: ## Show this
	@awk -F ':.*## ' '/^[.a-z-]+:.*## / { printf "  make %-13s %s\n", $$1, $$2 }' Makefile

run: ## Build and start everything in one process, data in ./data
	cargo run --release

test: deps check counts doc-tests unit integration ## All that must hold before a commit; what CI runs

check: ## Formatting and lints
	cargo fmt --all --check
	cargo clippy --workspace --all-targets -- -D warnings

unit: ## The tests beside the code; no server needed
	$(UNIT)

counts: deps ## Instructions that hot paths take, held against those on record: COUNTS=record
	cargo run --quiet --profile counts --package supportline-counts -- $(COUNTS)

integration: deps ## The tests on real servers, which they start and stop themselves
	$(INTEGRATION) --no-run
	tests/previous/build
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

corpus: deps ## Real text, from Debian changelogs, through the whole system: CORPUS_SUBMISSIONS=12000
	CORPUS_SUBMISSIONS=$(CORPUS_SUBMISSIONS) $(MEASURED) flow::changelogs --nocapture

# In what follows, ALONE=1: a promised time is held to the letter, not with room for other tests.

progress: deps ## Many who follow a ticket, each told of a change within a second: SUBSCRIBERS=2000
	ALONE=1 SUBSCRIBERS=$(SUBSCRIBERS) $(MEASURED) flow::progress_crowd --nocapture --test-threads=1

limits: deps ## Look-ups with Redis and without, which must not be dearer: LOOK_UPS=20000
	ALONE=1 LOOK_UPS=$(LOOK_UPS) $(MEASURED) flow::limits::without_redis --nocapture --test-threads=1

staff: deps ## Eight staff on the same tickets at random, no change lost: STAFF_TICKETS=200 STAFF_SECONDS=60
	STAFF_TICKETS=$(STAFF_TICKETS) STAFF_SECONDS=$(STAFF_SECONDS) $(MEASURED) no_change_of_many_staff \
		--nocapture --test-threads=1

times: deps ## The other promises that are times: answers while servers are away, slow clients, stops
	ALONE=1 $(MEASURED) flow::faults::servers flow::progress:: api::statistics a_request_that_does_not_come \
	        slow_and_silent --nocapture --test-threads=1

events: deps ## Events while their relay is killed again and again: TICKETS=10000 KILLS=20 SEED=7
	TICKETS=$(TICKETS) KILLS=$(KILLS) SEED=$(SEED) $(MEASURED) flow::events::events_survive --nocapture

search: TICKETS = 1000000
search: deps ## Searches and lists among many tickets: TICKETS=1000000
	ALONE=1 TICKETS=$(TICKETS) $(MEASURED) flow::search --nocapture --test-threads=1

chaos: deps ## Faults everywhere, nothing lost: SEED=7 RUNS=100 SECONDS=12 CONNECTIONS=256 NODES=1
	SEED=$(SEED) RUNS=$(RUNS) SECONDS=$(SECONDS) CONNECTIONS=$(CONNECTIONS) $(MEASURED) chaos::chaos_$(if $(filter 3,$(NODES)),among_three,loses) --nocapture

kills: KILLS = 500
kills: deps ## One process on SQLite, killed under load; a full disk, copied files: KILLS=500 SEED=7
	ALONE=1 KILLS=$(KILLS) FILLS=40 COPIES=20 RUNS=10 SEED=$(SEED) $(MEASURED) chaos::embedded --nocapture --test-threads=1

restarts: deps ## Rolling restarts under load, noticed by nobody: ROUNDS=20 PROCESSES=3 RATE=200
	ROUNDS=$(ROUNDS) PROCESSES=$(PROCESSES) RATE=$(RATE) $(MEASURED) faults::restarts faults::trace --nocapture

transfers: TICKETS = 1000000
transfers: LINES = 2000000
transfers: deps ## Exports and imports of many tickets, and the memory they take: TICKETS=1000000 LINES=2000000
	TICKETS=$(TICKETS) LINES=$(LINES) $(MEASURED) flow::exports two_million_lines --nocapture --test-threads=1

outage: SECONDS = 600
outage: deps ## Postgres away under load, stopped and then frozen, for so long each: SECONDS=600 RATE=200
	SECONDS=$(SECONDS) RATE=$(RATE) $(MEASURED) faults::outage faults::trace --nocapture

spool: SECONDS = 60
spool: deps ## The broker killed under load, edges with a spool: none refused, none lost: SECONDS=60 RATE=200
	ALONE=1 SECONDS=$(SECONDS) RATE=$(RATE) $(MEASURED) faults::spool::while_the_broker faults::trace --nocapture

oracle: deps ## Of what the broker refused nothing is called accepted: SUBMISSIONS=100000
	SUBMISSIONS=$(SUBMISSIONS) $(MEASURED) faults::oracle faults::trace --nocapture

bench: deps ## What it does a second, beside its floors; `make bench BENCH='--seconds 5 --only look-up'`
	cargo bench --workspace --bench bench -- $(BENCH)

mutants: deps ## Break the code on purpose, each time another way, and see a test go red: MUTANTS=no-unique-id
	tests/mutants/run $(MUTANTS)

previous: ## Build the earlier releases that upgrades are tested from; needs the whole history
	tests/previous/build

bench-smoke: ## `make load`, small: does it still measure?
	$(MAKE) --no-print-directory load SUBMISSIONS=2000 CONNECTIONS=32

# No prerequisite: what is there is never made again, whatever changes in the example.
.env: ## Settings and secrets for docker compose, as in .env.example but secret
	@umask 077; awk -F= '/^[A-Z_]*(PASSWORD|KEY|TOKEN)=/ { \
	        secret = ""; make = "openssl rand -hex 32"; \
	        if ((make | getline secret) <= 0 || length(secret) != 64) { \
	                print "no secrets without `openssl rand -hex 32`" > "/dev/stderr"; exit 1 } \
	        close(make); print $$1 "=" secret; next } { print }' .env.example > .env.new \
	        && mv .env.new .env || { rm -f .env.new; exit 1; }

openapi: ## The OpenAPI document against a validator, and a generated client at work (needs Node.js)
	@.ci/openapi

deny: ## Licences, advisories and origins of the dependencies (needs cargo-deny)
	cargo deny check

doc: ## The crates' documentation
	cargo doc --workspace --no-deps --document-private-items

clean: ## Remove what was built; ./data stays
	cargo clean
