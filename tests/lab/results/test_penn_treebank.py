"""The tables on the whole Penn Treebank, from runs that are made up: its text is not part of the project."""

import math
from dataclasses import asdict

import pytest

from kldanneal.lab.results import penn_treebank, tail_pictures
from kldanneal.lab.results.parts import PTB_EPOCH, ptb
from kldanneal.lab.results.tail import at, at_update


@pytest.fixture
def stored(monkeypatch):
    """Lets the first runs of the part be stored: after epoch n a KL of 1 / n, and bounds of 110 - n and 109 - n."""

    def some(n):
        runs = []
        for place, job in enumerate(list(ptb())[:n]):
            marks = [
                {"update": update, "distance": update - job.last_low(), "kl": PTB_EPOCH / update,
                 "neg_elbo": 110 - update / PTB_EPOCH + place / 10, "iw_nll": 109 - update / PTB_EPOCH,
                 "mutual_information": 0.07, "active_units": 3}
                for update in job.totals
            ]  # fmt: skip
            runs.append({"job": asdict(job), "measured": marks, "best": {"update": job.updates}})
        monkeypatch.setattr(penn_treebank, "load_runs", lambda part: runs)

    return some


def test_a_row_for_each_stored_run(stored):
    stored(2)
    _, _, first, second = penn_treebank.ours().splitlines()
    numbers = "0.50 | 0.25 | 0.17 | 0.14 | 0.12 | 0.11 | 0.10 | 0.08"
    assert first == f"| `cyclical` | 0 | 7 | {numbers} | not lost |"  # 1 / 14 would be half, there are 12
    assert second == f"| `constant` | 0 | - | {numbers} | - |"
    assert penn_treebank.missing() == (
        "Not trained yet: `cyclical` with word dropout 0.3, `constant` with word dropout 0.3, "
        "`monotonic-long` with word dropout 0."
    )


def test_the_message_in_short(stored):
    stored(0)
    assert penn_treebank.in_short() == ""
    stored(5)
    said = "cyclical, 0: 0.14 to 0.08 in 5 epochs; cyclical, 0.3: 0.14 to 0.08 in 5 epochs; monotonic-long, 0: 0.25 to"
    assert penn_treebank.in_short().startswith("4. ") and said in penn_treebank.in_short()
    assert penn_treebank.in_short().endswith("0.08 in 8 epochs.")


def test_where_half_of_the_kl_is_lost(stored):
    stored(5)
    assert penn_treebank.ours().splitlines()[-1].endswith("| 4 | 0.50 | 0.25 | 0.17 | 0.14 | 0.12 | 0.11 | 0.10 | 0.08 "
                                                          "| 4.0 |")  # fmt: skip


def test_all_measures_at_the_end(stored):
    stored(1)
    perplexity = math.exp(98 / (75_801 / 3_620))
    assert penn_treebank.at_the_end().splitlines()[2] == (
        f"| `cyclical` | 0 | 0.08 | 0.07 | 3 | 98.00 | 97.00 | {perplexity:.1f} | 12 |"
    )


def test_cycles_are_compared_at_equal_updates_and_at_equal_distance(stored):
    stored(1)
    assert penn_treebank.compared() == ""
    stored(5)
    first, second, ramp, both = penn_treebank.compared().splitlines()
    assert first == (
        "- `cyclical`, word dropout 0: the KL goes from 0.14 at the last low update (epoch 7) to 0.08 in epoch 12. "
        "There, the -ELBO minus that of a constant weight of 1 is -0.10, and -log p(x) +0.00."
    )
    assert second.startswith("- `cyclical`, word dropout 0.3: ") and "-0.10" in second
    assert ramp.startswith(
        "- `monotonic-long`, word dropout 0: the KL goes from 0.25 at the last low update (epoch 4) "
    )
    assert "constant weight of 1 is +0.30" in ramp
    assert both.endswith("both 5 epochs after the last low update (epochs 12 and 9): KL 0.08 and 0.11.")


def test_the_picture_shows_every_run_in_the_panel_of_its_word_dropout(stored):
    stored(5)
    without, with_word_dropout = tail_pictures.plot_penn_treebank().axes
    labels = [[line.get_label() for line in axes.lines] for axes in (without, with_word_dropout)]
    cyclical = "cyclical (below 1 up to epoch 7)"
    assert labels == [[cyclical, "constant", "monotonic-long (below 1 up to epoch 4)"], [cyclical, "constant"]]
    x, y = without.lines[0].get_data()
    assert list(x) == list(range(1, 13)) and list(y) == pytest.approx([1 / n for n in range(1, 13)])


def test_nothing_is_missing_once_all_are_stored(stored):
    stored(5)
    assert len(penn_treebank.ours().splitlines()) == 7
    assert penn_treebank.missing() == ""


def test_a_bound_that_others_publish_is_above_its_kl():
    for source, kl, bound, perplexity in penn_treebank.PUBLISHED:
        assert (kl is None or 0 <= kl < bound) and "(" in source
        assert perplexity is None or 90 < perplexity < 120


def test_the_stored_runs_agree_with_the_message_in_short():
    """Without word dropout at least half of the KL is lost at the end, with it most stays; none is collapsed."""
    runs = {(job.label, job.settings["word_dropout"]): (job, run) for job, run in penn_treebank.stored_jobs()}
    for (label, word_dropout), (job, run) in runs.items():
        if label != "constant":
            first, last = at(run, "kl", 0), at_update(run, "kl", job.updates)
            assert last > 0.1 and (last > 0.75 * first if word_dropout else last < 0.5 * first)
