"""One browser and one JupyterLab for all tests. Skipped where there is no Chromium; in CI that is a failure."""

import importlib.util
import os

import pytest
from harness import CHROMIUM, FLAGS, find_chromium, start_lab


def missing():
    """What the tests need and do not find, in words."""
    if importlib.util.find_spec("playwright") is None:
        return 'playwright is not installed: python -m pip install -e ".[browser]"'
    if find_chromium() is None:
        return f"there is no Chromium: install {CHROMIUM[0]} (none of {', '.join(CHROMIUM)} was found)"
    return None


@pytest.fixture(scope="session")
def browser():
    if what := missing():
        in_ci = os.environ.get("CI", "").lower() not in ("", "0", "false")
        (pytest.fail if in_ci else pytest.skip)(f"Nothing was tried in a browser: {what}")
    from playwright.sync_api import sync_playwright

    with sync_playwright() as playwright:
        running = playwright.chromium.launch(executable_path=find_chromium(), args=FLAGS)
        yield running
        running.close()


@pytest.fixture(scope="session")
def lab(browser, tmp_path_factory):
    with start_lab(tmp_path_factory.mktemp("lab"), browser) as running:
        yield running


@pytest.fixture
def opened(lab):
    """A function that opens a notebook and runs all its cells."""
    contexts = []

    def run(notebook, name):
        contexts.append(lab.open(notebook, name))
        page = contexts[-1].__enter__()
        page.run_all()
        return page

    yield run
    for context in contexts:
        context.__exit__(None, None, None)
