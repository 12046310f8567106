"""Small panels for trained models: one's own sentence, and sliders for z under two models side by side."""

import html
from collections.abc import Mapping
from typing import Any

import torch

from kldanneal import gaussian_kl
from kldanneal.lab.corpora.corpus import UNK
from kldanneal.lab.threads import one_thread
from kldanneal.lab.training.run import Run
from kldanneal.lab.widgets import charts, controls
from kldanneal.lab.widgets.panel import Panel
from kldanneal.lab.widgets.sentences import changed_words, kept

COLORS = ("blue", "vermilion", "green", "purple")
LONGEST = 40  # words


class OwnSentence(Panel):
    """A sentence that the reader types: encoded, reconstructed, and its KL in each latent dimension.

    Args:
        runs (mapping): trained runs of one corpus by name, as in ``Comparison.runs``.
        sentence (str, optional): what is typed at first. Default: the first held-out sentence.
    """

    def __init__(self, runs: Mapping[str, Run], sentence: str | None = None) -> None:
        self.runs = _of_one_corpus(runs)
        self.corpus = next(iter(runs.values())).corpus
        first = self.corpus.decode(self.corpus.test[0]) if sentence is None else sentence
        field = controls.text_field("your sentence", first)
        rows = [[["control:sentence", "text:result", "text:error", "text:written"], ["chart:dimensions"]]]
        super().__init__("Your own sentence", rows, {"sentence": field})
        self.refresh()

    @torch.no_grad()
    @one_thread()
    def draw(self) -> None:
        ids = self.corpus.encode(self["sentence"])[: LONGEST + 2]
        if len(ids) < 3:
            self.result("Type at least one word.")
            return
        unknown = [word for word, i in zip(self["sentence"].split(), ids[1:-1].tolist(), strict=False) if i == UNK]
        written, said, bars, totals = [], [], [], []
        latent = next(iter(self.runs.values())).settings.latent
        for n, (name, run) in enumerate(self.runs.items()):
            model, x = run.model.eval(), ids[None].to(run.device)
            mu, logvar = model.encode(x)
            kl = gaussian_kl(mu, logvar)[0].tolist()
            text, zero = (self.corpus.decode(model.generate(z)[0]) for z in (mu, torch.zeros_like(mu)))
            marked = kept(self.corpus.decode(ids), text, zero)
            written.append(f"<p><b>{html.escape(name)}</b> writes<br>\u2192 {marked}</p>")
            said.append(f"{name} writes: {text}")
            totals.append(f"{name}: KL {sum(kl):.3f}")
            width, color = 0.8 / len(self.runs), COLORS[n % len(COLORS)]
            place = (n + 0.5) * width - 0.4
            bars += charts.bars(kl, [color] * latent, place, width)
        sentence = self.corpus.decode(ids)
        alt = f"KL of each of {latent} latent dimensions for this sentence: {sentence}. {'. '.join([*totals, *said])}."
        legend = [{"text": name, "color": COLORS[n % 4], "width": 8} for n, name in enumerate(self.runs)]
        highest = max(1.0, *(1.1 * bar["y"] for bar in bars))
        panel = charts.panel("KL, nats", (0, highest), 150, bars=bars)
        self.show("chart:dimensions", charts.chart(alt, (0.5, latent + 0.5), "latent dimension", [panel], legend))
        marks = "Marked: words of yours that z brought across. A word that is written from z = 0 too is not marked."
        self.show("text:written", f"{''.join(written)}<p class='kl-small'>{marks}</p>")
        rests = f"Not in the vocabulary: {', '.join(unknown)}." if unknown else ""
        self.result("; ".join(totals) + " nats.", rests)


class ZSliders(Panel):
    """A slider for each dimension of z, and the sentence that each model writes from that z.

    Args:
        runs (mapping): two or more trained runs of one corpus, by name.
        dimensions (int): how many sliders; the other dimensions are 0. The sliders move the dimensions whose mu varies
            most in any of the models. Default: 4.
    """

    def __init__(self, runs: Mapping[str, Run], dimensions: int = 4) -> None:
        self.runs = _of_one_corpus(runs)
        self.corpus = next(iter(runs.values())).corpus
        with torch.no_grad():
            some = self.corpus.valid.batch(torch.arange(min(200, len(self.corpus.valid))))
            spread = [run.model.eval().encode(some.to(run.device))[0].var(dim=0).cpu() for run in runs.values()]
        order = torch.stack(spread).amax(dim=0).argsort(descending=True).tolist()
        self.dimensions = order[:dimensions]  # the one that varies most comes first
        tip = "Under the prior, 95 % of the values are between -2 and 2"
        inputs: dict[str, controls.Control] = {
            f"z{i + 1}": controls.slider(f"z, dimension {i + 1}", 0, -3, 3, 0.1, "", tip) for i in self.dimensions
        }
        inputs["zero"] = controls.button("All at 0")
        rows = [[[f"control:{name}" for name in inputs], ["text:result", "text:error", "text:written"]]]
        super().__init__("From z to a sentence", rows, inputs)
        self.refresh()

    def acted(self, name: str, value: Any) -> None:
        if name == "zero":
            for i in self.dimensions:
                self.inputs[f"z{i + 1}"].value = 0.0

    @torch.no_grad()
    @one_thread()
    def draw(self) -> None:
        written, changed = [], []
        for name, run in self.runs.items():
            z = torch.zeros(2, run.settings.latent)
            for i in self.dimensions:
                z[0, i] = self[f"z{i + 1}"]
            now, zero = map(self.corpus.decode, run.model.eval().generate(z.to(run.device)))
            written.append(f"<p><b>{html.escape(name)}</b><br>\u2192 {changed_words(zero, now)}</p>")
            changed.append(f"{name}: {'changed' if now != zero else 'the same sentence as at z = 0'}")
        marks = "Marked: words that differ from the sentence at z = 0."
        self.show("text:written", f"{''.join(written)}<p class='kl-small'>{marks}</p>")
        moved = any(self[f"z{i + 1}"] for i in self.dimensions)
        found = "; ".join(changed) + "." if moved else "All sliders are at 0. Move one: which words change?"
        self.result(found, "After a collapse, z says nothing about the text that was read.")


def _of_one_corpus(runs: Mapping[str, Run]) -> dict[str, Run]:
    if not runs:
        raise ValueError("Expected at least one trained run, but got none")
    digests = {name: run.corpus.digest for name, run in runs.items()}
    if len(set(digests.values())) > 1:
        raise ValueError(f"Expected runs of one corpus, but got {', '.join(digests)} of corpora that differ")
    return dict(runs)
