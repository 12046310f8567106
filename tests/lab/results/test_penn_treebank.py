"""The tables on the whole Penn Treebank, from runs that are made up: its text is not part of the project."""

from dataclasses import asdict

import pytest

from kldanneal.lab.results import penn_treebank
from kldanneal.lab.results.parts import PTB_EPOCH, ptb


@pytest.fixture
def stored(monkeypatch):
    """Lets the first runs of the part be stored; the KL is the epoch, the bounds are 100 and 99 more than it."""

    def some(n):
        runs = []
        for job in list(ptb())[:n]:
            marks = [{"update": update, "kl": update / PTB_EPOCH, "neg_elbo": 100 + update / PTB_EPOCH,
                      "iw_nll": 99 + update / PTB_EPOCH} for update in job.totals]  # fmt: skip
            runs.append({"job": asdict(job), "measured": marks})
        monkeypatch.setattr(penn_treebank, "load_runs", lambda part: runs)

    return some


def test_a_row_for_each_stored_run(stored):
    stored(2)
    _, _, first, second = penn_treebank.ours().splitlines()
    numbers = "2.00 | 4.00 | 6.00 | 8.00 | 10.00 | 12.00 | 112.00 | 111.00"
    assert first == f"| `cyclical` | 0 | {numbers} |"
    assert second == f"| `constant` | 0 | {numbers} |"
    assert penn_treebank.missing() == (
        "Not trained yet: `cyclical` with word dropout 0.3, `constant` with word dropout 0.3, "
        "`monotonic-long` with word dropout 0."
    )


def test_nothing_is_missing_once_all_are_stored(stored):
    stored(5)
    assert len(penn_treebank.ours().splitlines()) == 7
    assert penn_treebank.missing() == ""


def test_a_bound_that_others_publish_is_above_its_kl():
    for source, kl, bound, perplexity in penn_treebank.PUBLISHED:
        assert (kl is None or 0 <= kl < bound) and "(" in source
        assert perplexity is None or 90 < perplexity < 120
