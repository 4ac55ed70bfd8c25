# make app   set up .venv and start the app (PORT, default 8501)
# make test  set up what the tests need and run ruff, mypy and pytest

PORT ?= 8501
PYTHON ?= $(shell command -v python3.11 || command -v python3)
BIN := .venv/bin

.PHONY: app test browser clean

app: .venv/.app
	$(BIN)/streamlit run streamlit_app.py --server.port $(PORT)

test: .venv/.test browser
	$(BIN)/ruff check .
	$(BIN)/mypy
	$(BIN)/python -m pytest -n 2 --dist loadfile --no-loadscope-reorder

.venv/.app: requirements.txt pyproject.toml
	$(PYTHON) -c 'import sys; sys.exit(sys.version_info[:2] != (3, 11) and "Derm needs Python 3.11; name it with make PYTHON=/path/to/python3.11")'
	test -x $(BIN)/python || $(PYTHON) -m venv .venv
	$(BIN)/python -m pip install --quiet --disable-pip-version-check -r requirements.txt
	$(BIN)/python -m pip install --quiet --disable-pip-version-check --no-deps -e .
	touch $@

.venv/.test: .venv/.app requirements-dev.txt
	$(BIN)/python -m pip install --quiet --disable-pip-version-check -r requirements-dev.txt
	touch $@

# The browser tests drive Debian's Chromium; without it they are skipped.
browser:
	@if command -v chromium >/dev/null; then :; \
	elif [ "$$(id -u)" = 0 ] && command -v apt-get >/dev/null; then \
		apt-get update -qq && DEBIAN_FRONTEND=noninteractive apt-get install -y -qq chromium >/dev/null; \
	else echo "No chromium here, so the browser tests will be skipped. Install it with: sudo apt-get install chromium"; fi

clean:
	rm -rf .venv build *.egg-info .mypy_cache .ruff_cache .pytest_cache test-artifacts
