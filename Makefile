# Every target is complete on its own from a fresh clone, and quick when there is nothing to do.
# make help lists them. Options: PYTHON=python3.12  TORCH=torch  OUT=dir  PTB=dir  SUBMISSIONS=dir  VARIANT=name
# ARGS="--corpus toy"

PYTHON ?= python3
# A release whose CPU build is to be had. On Linux, pip's default index may send a CUDA build of several GB instead:
# set PIP_EXTRA_INDEX_URL to the address that pytorch.org's install page shows for Linux, pip and CPU.
TORCH ?= torch==2.13.0
OUT ?= comparison
PTB ?=
PART ?= durability
SCHEDULER ?=
SUBMISSIONS ?= submissions
VARIANT ?=
ARGS ?=

BIN := .venv/bin
COURSE := notebooks/coursework$(if $(VARIANT),/variants/$(VARIANT))
LAB := .venv/lab
READY := .venv/ready
PIP := $(BIN)/python -m pip install --disable-pip-version-check
# pdoc leaves out the modules of a package that has __all__, so every public module is named. It warns of modules that it
# finds twice then, and of names that kldanneal.lab imports when they are first used.
MODULES = $(subst /,.,$(patsubst %/__init__,%,$(basename $(shell \
  find kldanneal -name '*.py' ! -name '__main__.py' ! -name '_[a-z]*' | sort))))

.PHONY: help lab page site test test-browser test-colab test-package tools browser-tools colab-tools package-tools \
  docs compare evidence runs repeat results bench soak assignment grade address clean

help:
	@sed -n 's/^#: //p' Makefile

#: make lab           open the notebooks in JupyterLab
lab: $(LAB)
	$(BIN)/jupyter lab $(if $(filter 0,$(shell id -u)),--allow-root) notebooks

#: make page          write build/page/index.html, the explorer that needs no install, and README's picture of it
page: $(LAB)
	@$(BIN)/python -c "import altair, nbconvert, vl_convert" 2>/dev/null || $(PIP) --quiet --editable ".[page]"
	$(BIN)/python -m kldanneal.lab.page.make build/page/index.html --picture notebooks/figures/page.png

#: make site          write build/site, what is published: the page, the lessons as pages, and the documentation
site: docs
	@$(BIN)/python -c "import altair, nbconvert, vl_convert" 2>/dev/null || $(PIP) --quiet --editable ".[page]"
	rm -rf build/site && mkdir -p build/site && cp -r build/docs build/site/docs
	$(BIN)/python -m kldanneal.lab.page.make build/site/index.html --site
	$(BIN)/python -m kldanneal.lab.page.lessons build/site/lessons

#: make test          lint, check the types, and run every test
test: $(READY)
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy
	$(BIN)/pyright --pythonpath $(BIN)/python
	$(BIN)/python -m pytest $(ARGS)

#: make test-browser  move every widget and the page in Chromium
test-browser: browser-tools
	$(BIN)/python -m pytest -rs tests/browser

#: make test-colab    the notebooks as in Colab: a google.colab that is imitated, and ipywidgets 7.7
test-colab: export IPYWIDGETS7 = $(CURDIR)/.venv/ipywidgets7
test-colab: colab-tools
	PYTHONPATH=$$IPYWIDGETS7 $(BIN)/python -m pytest tests/lab/widgets
	$(BIN)/python -m pytest tests/colab

#: make test-package  build the sdist and the wheel, and use them elsewhere; ask repo2docker what Binder would do
test-package: package-tools
	$(BIN)/python -m pytest tests/package

#: make tools         install what the three above need besides; as root with apt-get, Chromium too
tools: browser-tools colab-tools package-tools

browser-tools: $(READY)
	@for name in chromium chromium-browser google-chrome google-chrome-stable; do \
	  command -v $$name >/dev/null && exit 0; done; \
	if [ "$$(id -u)" = 0 ] && command -v apt-get >/dev/null; then \
	  apt-get -qq update && \
	  apt-get -qq install --yes --no-install-recommends chromium fonts-dejavu-core >/dev/null; fi || true
	@$(BIN)/python -c "import axe_playwright_python, playwright" 2>/dev/null || \
	  $(PIP) --quiet --editable ".[browser]" || true

colab-tools: $(READY)
	@test -d .venv/ipywidgets7 || \
	  $(PIP) --quiet --no-deps --target .venv/ipywidgets7 ipywidgets==7.7.1 ipython_genutils

package-tools: $(READY)
	@$(BIN)/python -c "import build.env, pdoc, repo2docker, twine" 2>/dev/null || \
	  $(PIP) --quiet --editable ".[package]"

#: make docs          the documentation of every module, as pages in build/docs
docs: $(READY)
	@$(BIN)/python -c "import pdoc" 2>/dev/null || $(PIP) --quiet --editable ".[docs]"
	$(BIN)/python -W "ignore:The module specification" -W ignore:Found -m pdoc --docformat google --math -o build/docs $(MODULES)

#: make compare       train four schedules side by side on real text; writes OUT (default: comparison), or goes on with it
compare: $(READY)
	$(BIN)/kldanneal compare --out $(OUT) $(if $(wildcard $(OUT)/config.json),--resume) $(ARGS)

# The logits of a large vocabulary are new in every update. If glibc gives such memory back each time, a third of the
# time goes into getting it again. To keep it takes up to 6 GB for each run of ptb.
runs repeat: export MALLOC_MMAP_MAX_ = 0
runs repeat: export MALLOC_TRIM_THRESHOLD_ = 8000000000

#: make runs          train the runs of one part of the results, PART=durability, remedies, map, budgets, two_by_two or ptb
#:                    (ptb needs PTB=folder); each is stored when it ends; SCHEDULER=address uses a Dask cluster
runs: $(READY)
	$(BIN)/python -m kldanneal.lab.results.make run $(PART) runs/$(PART) $(if $(PTB),--ptb "$(PTB)") \
	  $(if $(SCHEDULER),--scheduler $(SCHEDULER))

#: make repeat        train stored runs of a PART again and compare them bit for bit, e.g. ARGS="--some 10 --draw 1"
repeat: $(READY)
	$(BIN)/python -m kldanneal.lab.results.make repeat $(PART) $(if $(PTB),--ptb "$(PTB)") $(ARGS)

#: make evidence      train every run behind the results, then write them (PTB=folder: on Penn Treebank too); goes on
evidence: $(READY)
	$(BIN)/python -m kldanneal.lab.results.make evidence evidence $(if $(PTB),--ptb "$(PTB)")

#: make results       write notebooks/RESULTS.md, README's table and the figures from the stored runs
results: $(READY)
	$(BIN)/python -m kldanneal.lab.results.make write

#: make bench         measure speed, memory and what a person waits for, as tables (on two cores that are quiet)
bench: $(READY)
	$(BIN)/python tests/benchmarks/bench.py

#: make soak          kill, resume and compare, thousands of random examples, random actions on the widgets, for longer
soak: $(READY)
	$(BIN)/python tests/soak/soak.py $(ARGS)
	SEEDS=$(or $(SEEDS),10) $(BIN)/python -m pytest -rs tests/browser/test_random.py

#: make assignment    write the coursework that is handed out from its source; VARIANT=name: with other questions
assignment: $(READY)
	@$(BIN)/python -c "import nbgrader" 2>/dev/null || $(PIP) --quiet --editable ".[coursework]"
	$(if $(VARIANT),$(BIN)/python notebooks/coursework/variant.py "$(VARIANT)")
	cd $(COURSE) && PATH="$(CURDIR)/$(BIN):$$PATH" python -m nbgrader generate_assignment annealing --force

#: make grade         grade SUBMISSIONS=folder (a notebook or a folder for each student) or an archive of Moodle or Canvas
grade: $(READY)
	@$(BIN)/python -c "import nbgrader" 2>/dev/null || $(PIP) --quiet --editable ".[coursework]"
	$(BIN)/python notebooks/coursework/grade.py "$(SUBMISSIONS)" --course $(COURSE)

#: make address       for a fork: change the repository's address everywhere, REPOSITORY=https://github.com/you/kldanneal
address:
	@echo "$(REPOSITORY)" | grep -Eqx 'https://github\.com/[A-Za-z0-9-]+/[A-Za-z0-9._-]+' || \
	  { echo "expected REPOSITORY=https://github.com/OWNER/NAME" >&2; exit 2; }
	@old=$$(sed -n 's#^Repository = "https://github\.com/\([^"]*\)".*#\1#p' pyproject.toml); \
	new=$(REPOSITORY:https://github.com/%=%); site() { echo "//$${1%%/*}.github.io/$${1##*/}"; }; \
	grep -rlI "/$$old\|$$(site "$$old")" pyproject.toml README.md CITATION.cff notebooks | while read -r file; do \
	  sed -i.old "s#/$$old#/$$new#g; s#$$(site "$$old")#$$(site "$$new")#g" "$$file" && \
	  rm "$$file.old" && echo "$$file"; done

#: make clean         remove the virtual environment
clean:
	rm -rf .venv

# Python compiles what a lesson imports; to compile everything takes a third of the time.
$(LAB): pyproject.toml
	@echo "Setting up .venv for the notebooks: one to two minutes of computing, and the time that the downloads take."
	$(PYTHON) -m venv .venv
	$(PIP) --no-compile "$(TORCH)" --editable ".[notebooks]"
	touch $@

$(READY): pyproject.toml
	@echo "Setting up .venv for the tests: more than for the notebooks, so it takes a little longer."
	$(PYTHON) -m venv .venv
	$(PIP) "$(TORCH)" --editable ".[test]"
	touch $(LAB) $@
