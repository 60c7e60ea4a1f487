# Every command here sets itself up: python3 (3.11 or newer) and make are enough, without root.
.DEFAULT_GOAL := help
PYTHON3 ?= python3
VENV := .venv
BIN := $(VENV)/bin
PY := $(BIN)/python
export UV_SYSTEM_CERTS ?= 1
MEMBERS := -e ./idl -e ./migrations -e "./controlplane[objects,postgres,otel]" -e "./dataplane[objects,otel,kubernetes]" -e "./clients/python[pandas]" -e ./clients/cli
MANIFESTS := pyproject.toml $(wildcard */pyproject.toml clients/*/pyproject.toml)

.PHONY: help install gen gen-check lint test test-deep test-kubernetes test-kubernetes-deep kubernetes test-model test-crash test-crash-deep soak check demo bench bench-kubernetes bench-peers docker-lock clean

help: ## Say what can be made
	@grep -hE '^[a-z-]+:.*## ' $(MAKEFILE_LIST) | awk -F':.*## ' '{printf "  %-16s %s\n", $$1, $$2}'

install: $(VENV)/.installed ## Make .venv with the six distributions and all tools

# Pip is asked where uv cannot be had, or fails: it has settings of its own (proxies, indexes) that uv does not
# read. What nobody can install it would seek for hours, version by version, and leave each on the disk; so it
# keeps nothing and is given up in time.
PIP_PATIENCE ?= 900
install_into = $(PY) -m uv pip install -q -p $(1) $(2) || { \
  echo "uv did not install into $(1); pip tries, for $(PIP_PATIENCE) s at most" >&2; \
  $(1) -m pip install -q -U pip && \
  $(PY) -c 'import subprocess, sys; subprocess.run(sys.argv[2:], check=True, timeout=float(sys.argv[1]))' \
    $(PIP_PATIENCE) $(1) -m pip install -q --no-cache-dir $(2); }

$(VENV)/.installed: $(MANIFESTS)
	$(PYTHON3) -m venv $(VENV)
	@$(PY) -m pip install -q --disable-pip-version-check -U pip uv || true
	@$(call install_into,$(PY),$(MEMBERS) --group dev)
	@# Moto and the Kubernetes client want different versions of one package, so the S3 server lives apart.
	@test -x $(VENV)/s3/bin/python || $(PYTHON3) -m venv $(VENV)/s3
	@$(call install_into,$(VENV)/s3/bin/python,--group s3)
	@# Every process that a test or a demo starts imports these; a cache halves its start, even where the
	@# environment forbids Python to write one by the way.
	@env -u PYTHONDONTWRITEBYTECODE $(PY) -m compileall -q -j 2 -x '/(sklearn|scipy|pandas|pyarrow|mypy|joblib)/|/tests?/' \
	  $(VENV)/lib idl controlplane dataplane migrations clients >/dev/null || true
	@touch $@

gen: install ## Derive both generated trees from the IDL
	PATH="$(CURDIR)/$(BIN):$$PATH" $(PY) idl/generate.py

gen-check: gen ## Prove that the checked-in code is what the IDL gives
	git diff --exit-code --stat -- idl/gen clients/python/volery/_idl
	@test -z "$$(git status --porcelain -- idl/gen clients/python/volery/_idl)"

.build/third_party: $(VENV)/.installed
	@mkdir -p $@ && cp -r "$$($(PY) -c 'from google.api import annotations_pb2 as a; import os; print(os.path.dirname(os.path.dirname(a.__file__)))')" $@/
	@find $@ ! -name '*.proto' -type f -delete

lint: install .build/third_party ## ruff, mypy, import rules, buf
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy
	$(BIN)/lint-imports
	$(BIN)/buf lint
	$(BIN)/buf format --diff --exit-code idl >/dev/null

test: install ## Unit, integration and scenario tests, on SQLite and PostgreSQL
	$(BIN)/pytest -q -n 2 -m "not crash and not docs and not deep and not kubernetes"

test-deep: install ## Wheels in empty environments, the commands of the documentation, GCS and Azure, longer searches
	VOLERY_TEST_PROFILE=deep $(BIN)/pytest -q -m "docs or deep" tests

test-kubernetes: install ## Pods on a real one-node cluster, which it brings up and takes down; needs Linux and root
	$(BIN)/pytest -q -m kubernetes tests/kubernetes

test-kubernetes-deep: install ## Disturb such a cluster under running pods 60 times, or DISTURBANCES times
	VOLERY_TEST_DISTURBANCES=$(or $(DISTURBANCES),60) $(BIN)/pytest -q -s tests/kubernetes/test_crash.py tests/kubernetes/test_restore.py

kubernetes: install ## Hold such a cluster until an interrupt, for tests and for looking at it
	cd tests && $(CURDIR)/$(PY) -m support.cluster up

HISTORIES ?= 10000
test-model: install ## Random histories of the walk and of the whole protocol, HISTORIES of each (10000)
	VOLERY_TEST_HISTORIES=$(HISTORIES) $(BIN)/pytest -q -n 2 tests/model

test-crash: install ## Kill real processes at random moments and judge what is left
	$(BIN)/pytest -q -m crash -n 2 tests/e2e

test-crash-deep: install ## The same with 500 kills and more
	VOLERY_TEST_KILLS=250 $(BIN)/pytest -q -m crash -n 2 tests/e2e

soak: install ## Run 50,000 executions while old ones are pruned, and prove that nothing grows
	$(PY) tests/soak/run.py

check: gen-check lint test ## Everything a commit must pass

demo: install ## Run a machine-learning workflow on real data, on the embedded engine
	$(BIN)/volery run examples/breast_cancer.py:breast_cancer

bench: install ## Measure, as ratios in one run; ONLY=chain,fan for some, JSON=file to keep the figures
	$(PY) tests/benchmarks/run.py $(if $(ONLY),--only $(ONLY)) $(if $(JSON),--json $(JSON)) $(BENCH)

bench-kubernetes: install ## Measure the launcher of pods on a real cluster of its own; ONLY=creates,fan, JSON=file; Linux and root
	$(PY) tests/benchmarks/run_kubernetes.py $(if $(ONLY),--only $(ONLY)) $(if $(JSON),--json $(JSON)) $(BENCH)

bench-peers: install ## Measure beside other engines, each installed into an environment of its own; PEERS=dbos,restate
	$(PY) tests/benchmarks/run_peers.py $(if $(PEERS),--peers $(PEERS)) $(if $(ONLY),--only $(ONLY)) $(if $(JSON),--json $(JSON)) $(BENCH)

LOCK = $(BIN)/uv pip compile -q --universal --python-version 3.11 --generate-hashes --no-header --no-annotate --no-emit-index-url

docker-lock: install ## Lock, with hashes, what the images install from elsewhere
	echo 'hatchling>=1.27' | $(LOCK) - > deploy/docker/build.lock
	$(LOCK) controlplane/pyproject.toml --all-extras | sed '/^-e /d' > deploy/docker/control-plane.lock
	$(LOCK) dataplane/pyproject.toml --all-extras | sed '/^-e /d' > deploy/docker/worker.lock
	$(LOCK) clients/python/pyproject.toml > deploy/docker/task.lock

clean: ## Remove what was made
	rm -rf $(VENV) .build .mypy_cache .ruff_cache .pytest_cache .hypothesis
