# The verbs of this repository. `make help` lists them.

ROUTING ?= round-robin
CONNECTIONS ?= persistent
DURATION ?= 120s
URL ?= http://localhost:9090
ARGS ?=
PYTHON ?= python3
FUZZ_TARGETS := $(sort $(notdir $(wildcard tests/fuzz/corpus/*)))
HEADS ?= 1000000
CARGO ?= cargo

.DEFAULT_GOAL := help
.PHONY: help run test check fmt doc bench batching selection twins calibrate instructions sim fuzz libfuzzer differential soak scenarios peers growth wrk install-wrk install-nginx install-haproxy install-valgrind install-chromium install-promtool install-python3

help: ## List the verbs
	@awk -F ':.*## ' '/^[a-z]+:.*## / { printf "  make %-13s %s\n", $$1, $$2 }' $(MAKEFILE_LIST)

run: ## Start the testbed (ROUTING=round-robin|adaptive_sma|adaptive_ewma|adaptive|... CONNECTIONS=persistent|non-persistent ARGS=...)
	$(CARGO) run --release --locked -- testbed --routing $(ROUTING) --connections $(CONNECTIONS) $(ARGS)

test: check ## All that CI checks: format, clippy, every test, the page in a browser, documentation, instructions per exchange (TIDEGATE_CONFORMANCE=folder runs that suite too)
	-@$(MAKE) --no-print-directory --keep-going install-chromium install-promtool $(if $(TIDEGATE_CONFORMANCE),install-python3)
	$(CARGO) test --locked
	RUSTDOCFLAGS="-D warnings" $(CARGO) doc --locked --no-deps
	$(MAKE) instructions

check: ## The quick half of `test`: format and clippy
	$(CARGO) fmt --check
	$(CARGO) clippy --locked --all-targets -- -D warnings

fmt: ## Format the sources
	$(CARGO) fmt

doc: ## Build and name the documentation
	RUSTDOCFLAGS="-D warnings" $(CARGO) doc --locked --no-deps
	@echo "open $${CARGO_TARGET_DIR:-target}/doc/tidegate/index.html"

bench: ## Measure the small parts: selector, wheel, heads, batching queue, codec (criterion, time per operation), lateness of a backend
	$(CARGO) bench --locked --bench selector --bench wheel --bench head --bench batch --bench codec
	$(CARGO) bench --locked --bench lateness

batching: ## Play the batching workloads in virtual time and print their table: each strategy beside the others
	$(CARGO) bench --locked --bench batching_table --bench batching_world

selection: ## Play adaptive in all scenarios with the whole proxy in virtual time, and hold it to the best of other modes: five runs each, a quarter of an hour
	$(CARGO) test --locked --release --test selection_world -- --include-ignored --nocapture

twins: ## Play the contract's customers over sockets beside the same in virtual time (SECONDS=30 a run, 20 runs)
	$(CARGO) bench --locked --bench twins

calibrate: ## Play pairs of variants of known difference in virtual time: how often verdicts err (PAIRS=100 SECONDS=10)
	$(CARGO) bench --locked --bench calibration

# The bench itself is built as the tests are, so that only the program is built for release; it sees to that.
instructions: install-valgrind ## Compare instructions per exchange with the accepted figures (ACCEPT=1 accepts, PROFILE=1 tells where they go)
	$(CARGO) bench --locked --profile test --bench instructions

sim: ## Run the worlds over seeds with faults and under stress (SECONDS=60 each, or SEEDS=10000 FIRST_SEED=0, CLIMATE=crowd for one kind), or replay one with a trace (SEED=7, CLIMATE=crowd SEED=7)
	@$(if $(CLIMATE),CLIMATE=$(CLIMATE)) $(if $(SEED),SEED=$(SEED),$(if $(SEEDS),SEEDS=$(SEEDS),SECONDS=$(or $(SECONDS),60)) FIRST_SEED=$(or $(FIRST_SEED),0)) \
		$(CARGO) test --locked --release $(if $(CLIMATE),,--test world) $(if $(SEED)$(CLIMATE),$(if $(CLIMATE),--test world_stress),--test world_stress) \
		-- --nocapture $(if $(SEED),one_seed,many_seeds)

fuzz: export SECONDS ?= 60
fuzz: ## Mutate what is kept in tests/fuzz/corpus and check what must hold (SECONDS=60 SEED=0, all targets or one: TARGET=connection)
	$(CARGO) test --locked --release --test fuzz -- --nocapture mutations_of_$(TARGET)

libfuzzer: ## The same guided by coverage (SECONDS=60 each, TARGET=...); needs cargo-fuzz and a nightly compiler
	$(foreach target,$(or $(TARGET),$(FUZZ_TARGETS)),$(call libfuzzer,$(target)))

define libfuzzer
mkdir -p target/fuzz/$(1)
$(CARGO) +nightly fuzz run --fuzz-dir tests/fuzz --target-dir target/fuzz/build $(1) target/fuzz/$(1) \
	tests/fuzz/corpus/$(1) -- -max_total_time=$(or $(SECONDS),60) -max_len=4096 \
	-dict=tests/fuzz/dictionaries/$(1).dict -artifact_prefix=target/fuzz/$(1)-

endef

differential: ## Show what is forwarded of generated heads to h11, another parser (HEADS=1000000 SEED=0 PYTHON=python3); needs the package h11
	@$(PYTHON) -c 'import h11' || { echo "h11 is missing: $(PYTHON) -m pip install h11, or name a Python that has it with PYTHON=" >&2; exit 1; }
	$(CARGO) build --locked --release --example forwarded
	$(PYTHON) tests/differential/h11_judge.py $${CARGO_TARGET_DIR:-target}/release/examples/forwarded $(or $(SEED),0) $(HEADS)

soak: ## Load both connection modes while servers misbehave, then see that nothing is lost and nothing is left (MINUTES=10)
	$(CARGO) bench --locked --bench soak

scenarios: install-wrk ## Drive all six scenarios with wrk (SECONDS=30 WARMUP=5) and print their table
	$(CARGO) bench --locked --bench scenarios

peers: install-wrk install-nginx install-haproxy ## Compare with nginx and HAProxy side by side (ROUNDS=7 SECONDS=4 SCENARIOS=persistent,...,rate,idle,batched RATE=5000)
	$(CARGO) bench --locked --bench peers

growth: install-wrk install-nginx ## Measure how the cost of a request grows with connections, backends, head and body, and draw it (ROUNDS=5 SECONDS=2: eight minutes)
	$(CARGO) bench --locked --bench growth

wrk: install-wrk ## Load a running testbed as the contract says (DURATION=120s URL=http://localhost:9090)
	wrk -t4 -c100 -d$(DURATION) --latency $(URL)

install-wrk: PROGRAM = wrk
install-wrk: ELSEWHERE = ; macOS: brew install wrk
install-nginx: PROGRAM = nginx
install-haproxy: PROGRAM = haproxy
install-valgrind: PROGRAM = valgrind
install-chromium: PROGRAM = chromium
install-python3: PROGRAM = python3
install-promtool: PROGRAM = promtool
install-promtool: PACKAGE = prometheus
PACKAGE = $(PROGRAM)
install-wrk install-nginx install-haproxy install-valgrind install-chromium install-promtool install-python3:
	@command -v $(PROGRAM) >/dev/null || { \
		if [ "$$(id -u)" = 0 ] && command -v apt-get >/dev/null; then \
			apt-get update -qq && apt-get install -y -qq --no-install-recommends $(PACKAGE); \
		else \
			echo "$(PROGRAM) is missing; install it (Debian, Ubuntu: sudo apt-get install $(PACKAGE)$(ELSEWHERE))" >&2; \
			exit 1; \
		fi; }
