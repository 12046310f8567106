"""The evidence: its statistics against brute force, its texts against the runs, and a training that is cut off."""

import hashlib
import itertools
import statistics
from pathlib import Path

import pytest
from matplotlib.figure import Figure
from PIL import Image

from kldanneal.lab.corpora import toy
from kldanneal.lab.plots import styles
from kldanneal.lab.results import evidence, findings, make, pictures
from kldanneal.lab.results.evidence import PATH, Evidence, load_evidence, save_evidence
from kldanneal.lab.results.statistics import interval
from kldanneal.lab.training.schedules import NAMED
from kldanneal.lab.training.settings import LR_SCHEDULES, Settings

ROOT = Path(__file__).parents[3]


# -- the stored runs -------------------------------------------------------------------------------------------------


def test_every_planned_run_is_stored_once():
    planned = {
        (e.corpus, e.hyperparameter, e.value, name, seed)
        for e in make.experiments()
        for name in (e.schedules or NAMED)
        for seed in make.SEEDS
    }
    key = ("corpus", "hyperparameter", "value", "schedule", "seed")
    stored = [tuple(run[part] for part in key) for run in load_evidence().runs]
    assert len(stored) == len(set(stored)) and set(stored) == planned
    assert len(make.SEEDS) >= 5


def test_stored_measures_agree_with_each_other():
    for run in load_evidence().runs:
        assert run["neg_elbo"] == pytest.approx(run["reconstruction"] + run["kl"], abs=2e-4)
        assert run["iw_nll"] < run["neg_elbo"] + 0.1  # a tighter bound, up to sampling
        assert -0.05 < run["mutual_information"] < run["kl"] + 0.1  # I(x; z) = KL - KL(q(z) || p(z))
        if run["corpus"] == "toy":
            assert run["neg_elbo"] > toy.ENTROPY - 0.05


def test_saved_and_loaded(tmp_path):
    save_evidence(load_evidence(), tmp_path / "evidence.json")
    assert load_evidence(tmp_path / "evidence.json") == load_evidence()
    assert (tmp_path / "evidence.json").read_bytes() == PATH.read_bytes()


def test_the_pages_hold_what_the_runs_say():
    readme = (ROOT / "README.md").read_text(encoding="utf-8")
    assert findings.with_table(readme) == readme, "README.md is not of these runs: run make results"
    results = (ROOT / "notebooks" / "RESULTS.md").read_text(encoding="utf-8")
    assert findings.page() == results, "RESULTS.md is not of these runs: run make results"


def test_pictures_are_of_these_runs():
    for name, (runs, _) in findings.FIGURES.items():
        if runs.exists():
            digest = hashlib.sha256(runs.read_bytes()).hexdigest()
            with Image.open(ROOT / "notebooks" / "figures" / f"{name}.png") as picture:
                assert picture.info["Source"] == digest, f"{name}.png is not of these runs: run make results"


# -- texts and pictures, of runs whose numbers are known ---------------------------------------------------------------


@pytest.fixture
def known():
    """The KL of seed s is 10 under constant, 20 under monotonic, ...; + s, and - 2s under cyclical."""
    runs = []
    for e in make.experiments():
        for name in e.schedules or NAMED:
            for seed in range(5):
                kl = 10.0 * (1 + NAMED.index(name)) + (-2 * seed if name == "cyclical" else seed)
                kl += 100 * (e.value == LR_SCHEDULES[1])
                measures = {"kl": kl, "reconstruction": 50 - kl, "neg_elbo": 50.0, "iw_nll": 49.0, "active_units": seed,
                            "mutual_information": kl, "kl_at_quarters": [4, 3, 2, 1], "seconds": 1.0}  # fmt: skip
                runs.append({"corpus": e.corpus, "hyperparameter": e.hyperparameter, "value": e.value,
                             "schedule": name, "seed": seed, **measures})  # fmt: skip
    about = {"corpora": {"toy": "x"}, "versions": {"torch": "2"}, "commit": "c", "machine": "m", "date": "d"}
    return Evidence(about, runs[::-1])  # in no special order


def test_differences_are_within_seeds(known):
    assert known.values("kl", "toy", "cyclical") == [40, 38, 36, 34, 32]
    assert known.differences("kl", "toy", "cyclical", "monotonic") == [20, 17, 14, 11, 8]
    assert known.ablation("kl", "cyclical", "steps", 4000) == known.values("kl", "toy", "cyclical")
    assert known.ablation("kl", "constant", "ratio", 0.9) == known.values("kl", "toy", "constant")
    assert known.positions("steps") == [1000, 2000, Settings.steps]


def test_table_holds_means_and_paired_intervals(known):
    lines = evidence.measures(known, "toy").splitlines()
    cells = [[cell.strip() for cell in line.strip("|").split("|")] for line in lines]
    assert cells[5][:2] == ["`cyclical`", "36.000"]
    low, high = interval([20, 17, 14, 11, 8])
    assert cells[7][:2] == ["`cyclical` minus `monotonic`", f"+14.00 [{low:+.2f}, {high:+.2f}]"]
    assert {len(row) for row in cells} == {7}


def test_verdicts(known):
    by_claim = {line.split("|")[1].strip(): line for line in evidence.claims(known).splitlines()}
    assert "**yes** +14.00" in by_claim["more KL than the short ramp"]
    assert "**yes** -14.00" in by_claim["a lower reconstruction term"]
    assert "**no** +0.00" in by_claim["a better bound: a lower -ELBO"]
    # 40, 38, 36, 34, 32 less 30, 31, 32, 33, 34: the last seed says no
    assert "**4 of 5** +4.00" in by_claim["more KL than one long ramp"]
    assert by_claim["more KL than one long ramp"].count("not run") == 2
    assert by_claim["more KL at the end of the last cycle than of the first"].count("**no** -3.00") == 4
    assert "`monotonic` on toy in 0 of 5" in evidence.collapsed(known)


def test_two_by_two_effects(known):
    rows = {
        line.split("|")[1].strip(): line.split("|")[2].split()[0] for line in evidence.two_by_two(known).splitlines()
    }
    assert rows["cyclical weight alone"] == "+14.00"
    assert rows["restarts of the learning rate alone"] == "+100.00"
    assert rows["both, as published"] == "+114.00"


def test_distance_to_the_entropy(known):
    gap = 50 - toy.ENTROPY
    assert evidence.above_entropy(known).count(f"{gap:.2f}") == 4
    assert evidence.above_entropy(known).count(f"{gap - 1:.2f}") == 4


def test_pictures_draw_every_run(known):
    figure = pictures.plot_measured(known)
    circles = [line for line in figure.axes[0].lines if line.get_marker() == "o"]
    drawn = [list(line.get_ydata()) for line in circles]
    assert drawn == [known.values("kl", "toy", name) for name in NAMED]
    drawn = (pictures.plot_measured, pictures.plot_ablations, pictures.plot_two_by_two)
    assert all(isinstance(plot(known), Figure) for plot in drawn)
    long = pictures.plot_ablations(known).axes[0].lines
    assert statistics.mean(known.values("kl", "toy", "cyclical")) in [line.get_ydata()[-1] for line in long]


def test_the_labels_and_colours_of_two_by_two_name_the_runs(known):
    figure = pictures.plot_two_by_two(known)
    kl, below = figure.axes[0], figure.axes[2]  # one column; the labels stand below both
    labels = [label.get_text() for label in below.get_xticklabels()]
    names = {style["color"]: name for name, style in styles(["monotonic", "cyclical"]).items()}
    drawn = {
        (names[line.get_color()], labels[round(line.get_xdata()[0])]): list(line.get_ydata())
        for line in kl.lines
        if line.get_marker() == "o"
    }
    assert drawn == {
        (name, label): known.values("kl", "docstrings", name, "lr_schedule", lr)
        for name in names.values()
        for label, lr in {"constant": "constant", "restarts": "cosine-restarts"}.items()
    }


# -- training --------------------------------------------------------------------------------------------------------


def test_an_interrupted_training_goes_on(tiny_corpus, tmp_path, monkeypatch):
    small = Settings(steps=80, embedding=4, hidden=4, latent=2)
    plan = [make.Experiment("toy", "", "", small), make.Experiment("toy", "pooling", "last", small)]
    monkeypatch.setattr(make, "experiments", lambda: iter(plan))
    monkeypatch.setattr(make, "SEEDS", [1])
    monkeypatch.setattr(make, "load", lambda *_: tiny_corpus)
    monkeypatch.setattr(make, "PATH", tmp_path / "none.json")
    saved = {}
    monkeypatch.setattr(make, "save_evidence", lambda runs: saved.update(runs=runs.runs, about=runs.about))

    make.train(tmp_path / "whole", None)
    whole = saved.pop("runs")

    real, left = make.Comparison.fit, [450]  # 8 runs of 80 updates: the accident comes in the second experiment

    def cut_off(self, progress, on_update):
        def updated():
            left[0] -= 1
            if left[0] <= 0:
                raise KeyboardInterrupt
            on_update()

        return real(self, progress=progress, on_update=updated)

    monkeypatch.setattr(make.Comparison, "fit", cut_off)
    with pytest.raises(KeyboardInterrupt):
        make.train(tmp_path / "cut", None)
    assert (tmp_path / "cut" / "toy.json").exists() and not (tmp_path / "cut" / "toy-pooling-last.json").exists()
    monkeypatch.setattr(make.Comparison, "fit", real)
    make.train(tmp_path / "cut", None)
    timeless = [[{**run, "seconds": 0} for run in runs] for runs in (whole, saved["runs"])]
    assert timeless[0] == timeless[1] and len(timeless[0]) == 8

    plan[0] = make.Experiment("toy", "", "", Settings(steps=81, embedding=4, hidden=4, latent=2))
    with pytest.raises(ValueError, match="other settings"):
        make.train(tmp_path / "cut", None)


def test_penn_treebank_is_made_of_two_sections(tmp_path):
    words = [f"w{i}" for i in range(12)]
    for i, part in enumerate(("valid", "test")):
        lines = [" ".join(pair) for pair in itertools.permutations(words[i * 2 :], 2)]
        (tmp_path / f"ptb.{part}.txt").write_text("\n".join(lines) + "\n")
    corpus = make.load("ptb", tmp_path, tmp_path)
    total = len(corpus.train) + len(corpus.valid) + len(corpus.test)
    assert total == 12 * 11  # distinct sentences: the second section's are all in the first


# -- what README says in words ---------------------------------------------------------------------------------------


def mean_of(measure, corpus, schedule, *setting):
    return statistics.mean(load_evidence().values(measure, corpus, schedule, *setting))


def ahead(measure, corpus, schedule, other, **setting):
    return sum(d > 0 for d in load_evidence().differences(measure, corpus, schedule, other, **setting))


def test_which_claims_hold():
    for setting in evidence.COLUMNS.values():
        assert ahead("kl", schedule="cyclical", other="monotonic", **setting) == 5
        kl, bound = (
            statistics.mean(load_evidence().differences(m, schedule="cyclical", other="monotonic", **setting))
            for m in ("kl", "neg_elbo")
        )
        assert bound > -0.1 * kl, "not better by more than a tenth of what the KL moves"
    assert ahead("kl", "docstrings", "monotonic-long", "cyclical") == 5
    assert ahead("kl", "toy", "cyclical", "monotonic-long") >= 3


def test_which_budgets():
    def kl(hyperparameter, value):
        return {name: statistics.mean(load_evidence().ablation("kl", name, hyperparameter, value)) for name in NAMED}

    assert max(kl("steps", 1000).values()) < 0.05
    for name in ("monotonic-long", "cyclical"):
        assert kl("pooling", "last")[name] < 0.5 * kl("pooling", "max")[name]
        assert kl("ratio", 0.25)[name] < kl("ratio", 0.5)[name] < kl("ratio", 0.9)[name]
    assert kl("ratio", 0.9)["monotonic-long"] > kl("ratio", 0.9)["cyclical"]
    usual, dropped = kl("word_dropout", 0.0), kl("word_dropout", 0.3)
    for name in NAMED:
        if name == "monotonic":
            assert abs(dropped[name] - usual[name]) < 0.02
        else:
            assert dropped[name] > usual[name] + 0.2
        assert mean_of("neg_elbo", "toy", name, "word_dropout", 0.3) > mean_of("neg_elbo", "toy", name)


def test_which_of_two_knobs():
    constant, restarts = (("lr_schedule", value) for value in LR_SCHEDULES[:2])
    for corpus in ("docstrings", "ptb"):

        def effect(measure, before, after, corpus=corpus):
            return mean_of(measure, corpus, *after) - mean_of(measure, corpus, *before)

        usual = ("monotonic", *constant)
        assert abs(effect("kl", usual, ("monotonic", *restarts))) < 0.05
        assert mean_of("kl", corpus, "cyclical", *restarts) > 2 * mean_of("kl", corpus, "cyclical", *constant)
        assert effect("neg_elbo", usual, ("monotonic", *restarts)) < -1
        assert effect("neg_elbo", usual, ("cyclical", *constant)) > -0.1
