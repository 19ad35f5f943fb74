# The short names for what one does here; `make help` lists them. Logic longer than a line or two lives in
# scripts and programs: tests/control-plane/build.sh builds the control plane, tests/dev is "a world".

DIR ?= target/dev
DEV  = $(or $(CARGO_TARGET_DIR),target)/debug/examples/dev

.DEFAULT_GOAL := help
.PHONY: help tools control-plane ground build up down demo test check bench fuzz

help: ## Say what can be made
	@awk -F ':.*## ' '/^[a-z-]+:.*## / { printf "  make %-14s %s\n", $$1, $$2 }' $(MAKEFILE_LIST)
	@echo
	@echo "  DIR=target/other         runs another world beside the first, in up and down"
	@echo "  HOLDFAST_SKIP=1 make up  leaves Holdfast out of the world"
	@echo "  KUBEBUILDER_ASSETS=…     takes etcd, kube-apiserver and kubectl from there instead of building them with Go"

tools:
	@command -v cargo >/dev/null || { echo "error: cargo is missing; install Rust 1.95 or newer with rustup (see rustup.rs)" >&2; exit 1; }
	@command -v git >/dev/null || { echo "error: git is missing; install your system's package git" >&2; exit 1; }
	@test -x "$$(git --exec-path)/git-http-backend" || { echo "error: this git has no http-backend; install your system's full git package" >&2; exit 1; }

control-plane: ## Build etcd, kube-apiserver, kube-controller-manager and kubectl (once per machine)
	@tests/control-plane/build.sh

ground: build
	@tests/control-plane/build.sh >/dev/null

build: tools
	@cargo build --bin holdfast --example dev

up: ground ## Start a cluster, a Git server and Holdfast on loopback; writes DIR/env
	@$(DEV) up --dir "$(DIR)"

down: ## End what `make up` started in the same DIR, and nothing else
	@test -x $(DEV) || $(MAKE) --no-print-directory build
	@$(DEV) down --dir "$(DIR)"

demo: ground ## See in half a minute what Holdfast does, on a real API server of its own
	@$(DEV) demo

test: ground ## Run every test, those against a real API server included
	@cargo test

check: test ## Everything a change must pass: format, clippy, tests, docs, licences and advisories
	@cargo fmt --check
	@cargo clippy --all-targets -- -D warnings
	@RUSTDOCFLAGS="-D warnings" cargo doc --no-deps --document-private-items
	@if command -v cargo-deny >/dev/null; then cargo deny check; else echo "skipped: licences and advisories (cargo-deny is not installed: cargo install cargo-deny)"; fi

fuzz: tools ## Give the parsers nonsense, each or ONLY= one of tests/fuzz, for SECONDS=60
	@FUZZ_SECONDS=$(or $(SECONDS),60) cargo test --test fuzz -- $(ONLY) --skip what_breaks --nocapture

# Built as it is shipped; the world that `heal` needs finds Holdfast beside the program that measures.
bench: tools ## Measure compare, review, rules, heal and scale beside goals and peers (ONLY= one of them)
	@case "$(ONLY)" in ""|review|heal|scale) tests/control-plane/build.sh >/dev/null;; esac
	@cargo build --release --bin holdfast --example dev
	@cargo bench --bench allocations --bench bench -- $(ONLY)
