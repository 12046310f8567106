"""nbval gives a cell that has ended 5 seconds to hand over its output, which a busy machine may exceed."""

import pytest


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    for item in items:
        if hasattr(item, "output_timeout"):  # a cell of a notebook
            item.output_timeout = 600
