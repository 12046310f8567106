"""What to look at after a comparison; and if the KL vanished, the two things most likely to help."""

from collections.abc import Iterator

import torch

from kldanneal.diagnostics import REMEDIES, Posteriors, Report
from kldanneal.lab.results.verdict import by_schedule, collapsed, too_short
from kldanneal.lab.training.comparison import Comparison

HOW_MANY = 2  # remedies
MOST_SENTENCES = 1000  # held out, that are measured


def look_next(comparison: Comparison) -> str:
    """Advice for the person who reads the verdict, in a few lines."""
    groups = by_schedule(comparison.rows(after_tail=bool(comparison.tail)))
    short = [name for name, runs in groups.items() if too_short(runs)]
    if len(short) == len(groups):
        return "The runs are too short to judge. Train longer (--steps), then compare again."
    vanished = [name for name, runs in groups.items() if collapsed(runs)]
    if not vanished:
        lasting = "" if comparison.tail else " Does the KL last at the last weight? Add --resume --tail 2000."
        return (
            f"The KL did not vanish in all seeds of a schedule. samples.txt shows what z keeps of a sentence.{lasting}"
        )
    report = posteriors(comparison, vanished[0])
    lines = [
        f"The KL vanished under {', '.join(vanished)}. kldanneal.diagnostics on {vanished[0]}, seed "
        f"{comparison.seeds[0]}: {report.verdict} ({report.sure}). {report.reason}",
        "Most likely to help:",
    ]
    found = dict(_remedies(comparison, vanished))
    ordered = [found[remedy] for remedy in REMEDIES if remedy in found][:HOW_MANY]
    return "\n".join([*lines, *(f"  {i}. {line}" for i, line in enumerate(ordered, start=1))])


@torch.no_grad()
def posteriors(comparison: Comparison, name: str) -> Report:
    """The report of kldanneal.diagnostics on a schedule's first run, over held-out sentences."""
    run, test = comparison.runs[name, comparison.seeds[0]], comparison.corpus.test
    model, collected = run.model.eval(), Posteriors()
    for indices in torch.arange(min(len(test), MOST_SENTENCES)).split(100):
        collected.add(*model.encode(test.batch(indices).to(run.device)))
    return collected.report()


def _remedies(comparison: Comparison, vanished: list[str]) -> Iterator[tuple[str, str]]:
    """The remedies of kldanneal.diagnostics that were not tried, each as an option of the command."""
    settings = comparison.settings
    steps, name = settings.steps, vanished[-1]
    ramp = max(_ramp(comparison, vanished_name) for vanished_name in vanished)
    if ramp < 0.8:
        yield (
            REMEDIES[0],
            (
                f"{REMEDIES[0]}: --schedules linear:total_steps={round(0.9 * steps)} rises over nine tenths of the "
                f"{steps:,} updates (here: {ramp:.0%})"
            ),
        )
    if settings.word_dropout < 0.3:
        yield (
            REMEDIES[1],
            (f"{REMEDIES[1]}: --word-dropout 0.3 hides words before the next one from the decoder, so that it needs z"),
        )
    if not comparison.free_bits.get(name):
        yield (
            REMEDIES[2],
            (
                f"{REMEDIES[2]}: --schedules {name}:free_bits=0.1 takes the penalty off the first 0.1 nats of each "
                "dimension of z"
            ),
        )
    yield (
        REMEDIES[3],
        (f"a smaller decoder: --hidden {max(1, settings.hidden // 2)} can do less without z (here: {settings.hidden})"),
    )


def _ramp(comparison: Comparison, name: str) -> float:
    """The share of the updates before the weight was at its highest for the first time."""
    weights = comparison.runs[name, comparison.seeds[0]].history()["kl_weight"][: comparison.settings.steps]
    return weights.index(max(weights)) / len(weights)
