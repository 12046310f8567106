"""kldanneal.lab.results.report: the table, the verdict and the files of a comparison."""

import csv
import dataclasses
import math
import random
import re
import statistics
import struct

import pytest

from kldanneal.lab.metrics import MEASURES, Metrics
from kldanneal.lab.results import report
from kldanneal.lab.training.comparison import Comparison
from kldanneal.lab.training.schedules import parse_schedules
from kldanneal.lab.training.settings import Settings

SMALL = Settings(steps=24, batch_size=32, lr=3e-3, embedding=8, hidden=12, latent=4, word_dropout=0.2)
NAMES = ["constant", "monotonic", "cyclical"]
SEEDS = [0, 1]


@pytest.fixture(scope="module")
def fitted(tiny_corpus):
    return Comparison(tiny_corpus, parse_schedules(NAMES, steps=24), SMALL, seeds=SEEDS).fit(progress=False)


@pytest.fixture(scope="module")
def written(fitted, tmp_path_factory):
    folder = tmp_path_factory.mktemp("written")
    report.write(fitted, folder)
    return folder


# --- numbers ----------------------------------------------------------------------------------------------------------

SUMMARY = [
    "schedule", "seed", "reconstruction", "kl", "neg_elbo", "perplexity", "active_units", "mutual_information",
    "iw_nll", "seconds", "sentences_per_second",
]  # fmt: skip


def measured(kl=1.0, neg_elbo=14.0, **others):
    """Metrics made by hand; what does not matter to a test is made up."""
    made_up = {
        "reconstruction": neg_elbo - kl, "standard_error": 0.1, "perplexity": 4.0, "active_units": 2,
        "mutual_information": kl / 2, "iw_nll": neg_elbo - 0.1, "kl_per_dimension": [kl, 0.0, 0.0, 0.0],
        "sentences": 30, "iw_samples": 20, "mutual_information_error": 0.01,
    }  # fmt: skip
    return Metrics(kl=kl, neg_elbo=neg_elbo, **{**made_up, **others})


def rows_of(**metrics):
    """The rows of a comparison that measured what the test says: for each schedule, one Metrics per seed."""
    return [
        {"schedule": name, "seed": seed, **dataclasses.asdict(m)}
        for name, of_seeds in metrics.items()
        for seed, m in enumerate(of_seeds)
    ]


def test_the_table_shows_means_and_standard_deviations():
    draw = random.Random(0)
    columns = list(MEASURES)
    metrics = {
        name: [measured(**{column: draw.uniform(0, 20) for column in columns}) for _ in range(3)] for name in NAMES
    }
    heading, *lines = report.table(rows_of(**metrics)).splitlines()
    assert re.split(r"\s{2,}", heading) == ["schedule", *(m.heading for m in MEASURES.values())]
    assert len(lines) == len(NAMES) + 1
    for line, name in zip(lines, NAMES, strict=False):
        expected = [name]
        for column, (_, digits, _) in MEASURES.items():
            values = [getattr(m, column) for m in metrics[name]]
            mean = sum(values) / 3
            deviation = math.sqrt(sum((value - mean) ** 2 for value in values) / 2)
            expected.append(f"{mean:.{digits}f} ± {deviation:.{digits}f}")
        assert re.split(r"\s{2,}", line) == expected
    for words in ("mean ± standard deviation over 3 seeds", "30 held-out", "20 importance samples", "log 30 = 3.40"):
        assert words in lines[-1]


def test_the_table_of_one_seed_shows_no_spread():
    _, line, note = report.table(rows_of(constant=[measured(kl=0.25)])).splitlines()
    assert "0.250" in line and "±" not in line
    assert "one seed" in note and "±" not in note


def test_the_table_of_a_comparison_that_was_trained(fitted):
    lines = report.table(fitted.rows()).splitlines()
    for line, name in zip(lines[1:4], NAMES, strict=True):
        kl = [fitted.metrics[name, seed].kl for seed in SEEDS]
        assert re.split(r"\s{2,}", line)[:2] == [name, f"{statistics.mean(kl):.3f} ± {statistics.stdev(kl):.3f}"]


# --- the verdict: the words follow from the numbers -------------------------------------------------------------------


def line_about(verdict, beginning):
    (line,) = [line for line in verdict.splitlines() if line.startswith(beginning)]
    return line


@pytest.mark.parametrize(
    "kl, words",
    [
        ([0.001, 0.02], "the posterior collapsed (KL below 0.1 nats in every one of 2 seeds)"),
        ([0.001, 0.5], "the posterior collapsed in 1 of 2 seeds, and did not in the others"),
        ([0.5, 0.001], "the posterior collapsed in 1 of 2 seeds, and did not in the others"),
        ([0.101, 3.0], "the posterior did not collapse (KL of 0.1 nats or more in every one of 2 seeds)"),
        ([0.0, 0.0, 0.3], "the posterior collapsed in 2 of 3 seeds, and did not in the others"),
        ([0.0999], "the posterior collapsed (KL below 0.1 nats on its one seed)"),
        ([0.1], "the posterior did not collapse (KL of 0.1 nats or more on its one seed)"),
    ],
)
def test_the_verdict_says_which_posteriors_collapsed(kl, words):
    rows = rows_of(constant=[measured(kl=value, active_units=1) for value in kl])
    line = line_about(report.verdict(rows), "constant:")
    assert line == f"constant: KL {sum(kl) / len(kl):.3f}, 1 of 4 units active: {words}."


def test_the_verdict_counts_active_units():
    metrics = [measured(active_units=1), measured(active_units=4)]
    assert "2.5 of 4 units active" in report.verdict(rows_of(cyclical=metrics))


@pytest.mark.parametrize(
    "kl, neg_elbo, about_kl, about_neg_elbo",
    [  # of the last schedule; the other one is at KL 1 and -ELBO 14 with both seeds
        ([2, 3], [13, 13.5], "+1.500 nats (higher in every one of 2 seeds)",
         "-0.750 nats (better in every one of 2 seeds)"),
        ([0.5, 0.25], [14.5, 15], "-0.625 nats (lower in every one of 2 seeds)",
         "+0.750 nats (worse in every one of 2 seeds)"),
        ([0.5, 3], [13, 14.5], "+0.750 nats (higher in 1 of 2 seeds)", "-0.250 nats (better in 1 of 2 seeds)"),
        ([0.25, 1.5], [13.75, 15], "-0.125 nats (lower in 1 of 2 seeds)", "+0.375 nats (worse in 1 of 2 seeds)"),
        ([2], [15], "+1.000 nats (one seed)", "+1.000 nats (one seed)"),
        ([2, 1.0002], [14.0001, 14], "+0.500 nats (higher in every one of 2 seeds)",
         "+0.000 nats (no difference on average)"),
    ],
)  # fmt: skip
def test_the_verdict_compares_the_last_schedule_with_the_others_seed_by_seed(kl, neg_elbo, about_kl, about_neg_elbo):
    last = [measured(kl=a, neg_elbo=b) for a, b in zip(kl, neg_elbo, strict=True)]
    line = line_about(
        report.verdict(rows_of(constant=[measured()] * len(last), cyclical=last)), "cyclical against constant:"
    )
    assert line == f"cyclical against constant: KL {about_kl}, -ELBO {about_neg_elbo}."


@pytest.mark.parametrize("kl", [[1.0, 1.0], [0.5, 1.5]])
def test_no_difference_is_neither_higher_nor_lower_in_every_seed(kl):
    metrics = {"monotonic": [measured()] * 2, "cyclical": [measured(kl=value) for value in kl]}
    line = line_about(report.verdict(rows_of(**metrics)), "cyclical against monotonic:")
    assert "0.000 nats" in line
    assert "higher" not in line and "lower" not in line and "no difference" in line
    assert "better" not in line and "worse" not in line


def test_the_verdict_compares_with_every_other_schedule():
    metrics = {"a": [measured(kl=0.0)] * 2, "b": [measured(kl=3.0)] * 2, "c": [measured(kl=1.0)] * 2}
    verdict = report.verdict(rows_of(**metrics))
    assert "KL +1.000 nats (higher" in line_about(verdict, "c against a:")
    assert "KL -2.000 nats (lower" in line_about(verdict, "c against b:")
    assert "b against" not in verdict and "a against" not in verdict


@pytest.mark.parametrize(
    "neg_elbo, words",
    [  # the entropy is 13.5, the standard error 0.1: two of them are the sampling error
        ([14.0, 13.75], "-ELBO is 0.25 to 0.50 nats above the language's entropy of 13.500; none is below it"),
        ([14.0, 13.4], "none is below it by more than the sampling error"),
        ([14.0, 13.2], "1 run below it by more than the sampling error"),
        ([13.0, 12.0], "2 runs below it by more than the sampling error"),
    ],
)
def test_the_verdict_holds_the_bound_against_the_entropy(neg_elbo, words):
    rows = rows_of(constant=[measured(neg_elbo=value) for value in neg_elbo])
    assert words in line_about(report.verdict(rows, entropy=13.5), "-ELBO is")


def test_without_a_known_entropy_the_verdict_says_nothing_about_it():
    assert "entropy" not in report.verdict(rows_of(constant=[measured()]))


def test_the_verdict_warns_of_a_single_seed():
    assert "One seed" in report.verdict(rows_of(constant=[measured()]))
    assert "One seed" not in report.verdict(rows_of(constant=[measured(), measured()]))


# --- files ------------------------------------------------------------------------------------------------------------


def read_csv(path):
    with path.open(encoding="utf-8", newline="") as file:
        return list(csv.reader(file))


def test_exactly_these_files_are_written(written):
    assert sorted(path.name for path in written.iterdir()) == [
        "comparison-dark.png", "comparison.png", "history.csv", "report.html", "samples.txt", "summary.csv",
        "table.txt",
    ]  # fmt: skip


def test_history_csv_holds_every_update_of_every_run(fitted, written):
    columns, *rows = read_csv(written / "history.csv")
    assert columns == ["schedule", "seed", "step", "kl_weight", "reconstruction", "kl"]
    assert len(rows) == len(NAMES) * len(SEEDS) * SMALL.steps
    expected = [
        (name, seed, step, *(fitted.runs[name, seed].history()[column][step] for column in columns[3:]))
        for name in NAMES
        for seed in SEEDS
        for step in range(SMALL.steps)
    ]
    read = [(name, int(seed), int(step), *map(float, numbers)) for name, seed, step, *numbers in rows]
    assert read == expected  # to the last digit


def test_summary_csv_holds_the_summary(fitted, written):
    columns, *rows = read_csv(written / "summary.csv")
    assert columns == SUMMARY
    read = [(row[0], *map(float, row[1:])) for row in rows]
    assert read == [tuple(row[column] for column in SUMMARY) for row in fitted.rows()]


def test_comparison_png_is_a_picture_of_a_sensible_size(written):
    content = (written / "comparison.png").read_bytes()
    assert content[:8] == b"\x89PNG\r\n\x1a\n" and content[-8:-4] == b"IEND"
    width, height = struct.unpack(">II", content[16:24])
    assert 600 <= width <= 4000 and 600 <= height <= 4000
    assert len(content) < 2_000_000


def test_samples_txt_shows_what_every_schedule_writes(fitted, written, tiny_corpus):
    text = (written / "samples.txt").read_text(encoding="utf-8")
    assert re.findall(r"^== (.*) ==$", text, flags=re.MULTILINE) == [f"{name} (seed 0)" for name in NAMES]
    for i in range(3):
        assert text.count(f"  {tiny_corpus.decode(tiny_corpus.test[i])}\n    -> ") == len(NAMES)
    assert report.samples(fitted) == text  # drawn with a generator of their own: the same every time


def test_the_figure_shows_weight_kl_and_reconstruction_of_every_schedule(fitted):
    figure = report.plot(fitted)
    labels = [text.get_text() for legend in figure.legends for text in legend.get_texts()]
    for name in NAMES:
        kl = statistics.mean(fitted.metrics[name, seed].kl for seed in SEEDS)
        assert f"{name}: KL {kl:.2f}" in labels
    ylabels = [axes.get_ylabel() for axes in figure.axes]
    for words in ("weight", "KL", "reconstruction"):
        assert any(words in label for label in ylabels)


def test_a_full_disk_leaves_the_old_files(fitted, tmp_path):
    resource = pytest.importorskip("resource")
    report.write(fitted, tmp_path)
    before = {path.name: path.read_bytes() for path in tmp_path.iterdir()}
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (100, hard))
    try:
        with pytest.raises(OSError):
            report.write(fitted, tmp_path)
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))
    assert {path.name: path.read_bytes() for path in tmp_path.iterdir()} == before
