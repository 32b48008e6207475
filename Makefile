# The recipes that people, the continuous integration and the Dockerfile share. `make test` does everything.

CARGO ?= cargo
export CARGO_TERM_COLOR ?= auto
# A system copy of AWS-LC would be used without asking otherwise.
export AWS_LC_SYS_USE_SYSTEM = 0

.PHONY: test setup format lint unit doc bench-build fuzz-check deny advisories schema release bench clean help

help: ## what there is
	@sed -n 's/^\([a-z-]*\):.*## /  \1\t/p' $(MAKEFILE_LIST)

test: setup format lint unit doc bench-build deny ## install what is needed and run every check
	@echo "all checks passed"

setup: ## install what the checks need
	./scripts/setup

format: ## formatting
	$(CARGO) fmt --all --check

lint: ## clippy, warnings denied
	$(CARGO) clippy --locked --all-targets -- -D warnings
	$(CARGO) clippy --locked --lib -- -D warnings --cfg fuzzing

unit: ## unit and integration tests, the layer test among them
	$(CARGO) test --locked --lib --bins --tests

doc: ## documentation tests, and the documentation itself without warnings
	$(CARGO) test --locked --doc
	RUSTDOCFLAGS="-D warnings -A rustdoc::private-intra-doc-links" $(CARGO) doc --locked --no-deps --document-private-items --quiet

bench-build: ## build the benches
	$(CARGO) bench --locked --profile dev --no-run

fuzz-check: ## whether the fuzz targets compile, on stable, in a folder of their own
	RUSTFLAGS="--cfg fuzzing" $(CARGO) check --locked --manifest-path fuzz/Cargo.toml --bins --target-dir target/fuzz-check

deny: ## bans, licences and sources of dependencies
	$(CARGO) deny check bans licenses sources

advisories: ## known vulnerabilities of dependencies; needs their database
	$(CARGO) deny check advisories

schema: ## write the JSON Schema anew
	$(CARGO) run --locked --quiet -- schema > portcullis.schema.json

release: ## the binary, optimized
	$(CARGO) build --locked --release

bench: release ## whole process and in process, as the README quotes them
	$(CARGO) bench --locked --bench check
	$(CARGO) bench --locked --bench start
	$(CARGO) bench --locked --bench load

clean: ## remove what was built
	$(CARGO) clean
