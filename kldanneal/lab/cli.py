"""The command ``kldanneal``: ``compare`` trains schedules side by side, ``schedule`` shows one."""

import argparse
import io
import json
import os
import sys
from dataclasses import fields
from pathlib import Path
from typing import Any, NoReturn

import kldanneal
from kldanneal import _checks
from kldanneal.annealing import SHAPES
from kldanneal.lab.corpora.load import CORPORA, MAX_LENGTH, VOCAB_SIZE, load_corpus
from kldanneal.lab.files import write_atomically
from kldanneal.lab.plots import plot_schedules
from kldanneal.lab.results import report, stored
from kldanneal.lab.tables import table
from kldanneal.lab.training.comparison import Comparison
from kldanneal.lab.training.run import pick_device
from kldanneal.lab.training.schedules import NAMED, parse_schedules
from kldanneal.lab.training.settings import LR_SCHEDULES, Settings

SETTINGS = {field.name: field.default for field in fields(Settings)}
DEFAULTS: dict[str, Any] = {
    "corpus": "docstrings",
    "root": None,
    "max_length": None,
    "vocab_size": None,
    "schedules": ",".join(NAMED),
    "shape": "linear",
    "cycles": 4,
    "ratio": 0.5,
    "seeds": 2,
    "device": "auto",
    **{name: default for name, default in SETTINGS.items() if name != "lr_cycles"},
}
MOST_SEEDS = 1000
MOST_SHOWN = 10**6  # steps of a schedule that is printed or plotted


class OneLineParser(argparse.ArgumentParser):
    """An argument parser whose errors are one line."""

    def error(self, message: str) -> NoReturn:
        self.exit(2, f"{self.prog}: error: {message} (see {self.prog} --help)\n")


def main(argv: list[str] | None = None) -> int:
    """Runs the command; returns its exit status: 0, 2 for anything the user can mend, 130 when interrupted.

    It is 141, without a message, if the reader of its output closes it, as ``| head`` does.
    """
    try:
        try:
            arguments = vars(_parser().parse_args(argv))
            return arguments.pop("command")(arguments)
        finally:
            sys.stdout.flush()  # here, for what Python cannot write as it ends it reports
    except BrokenPipeError:
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())  # for what is still to be written
        return 141  # as of a program that SIGPIPE ends
    except (ValueError, TypeError, OSError, FloatingPointError, MemoryError, RuntimeError) as error:
        reason = " ".join(str(error).split()) or type(error).__name__
        print(f"kldanneal: error: {reason}", file=sys.stderr)
        return 2


def compare(given: dict[str, Any]) -> int:
    out, resume = Path(given.pop("out")), given.pop("resume")
    config = _resumed(out, given) if resume else {**DEFAULTS, **given}
    if not resume and out.exists() and (not out.is_dir() or any(out.iterdir())):
        raise ValueError(f"Expected --out to be a new folder, but {out} is not empty: add --resume, or name another")
    _checks.integer("--seeds", config["seeds"], 1, MOST_SEEDS)
    settings = Settings(lr_cycles=config["cycles"], **{name: config[name] for name in SETTINGS if name in config})
    options = {name: config[name] for name in ("shape", "cycles", "ratio")}
    schedules = parse_schedules(config["schedules"].split(","), steps=settings.steps, **options)
    device = pick_device(config["device"])
    corpus = load_corpus(config["corpus"], **{name: config[name] for name in ("max_length", "vocab_size", "root")})
    _claim(out, config, corpus.digest, resume)
    print(corpus.describe())
    runs = f"{len(schedules) * config['seeds']} runs ({len(schedules)} schedules, {config['seeds']} of each)"
    print(f"{runs}, {settings.steps:,} steps each, on {device}", flush=True)
    comparison = Comparison(
        corpus,
        schedules,
        settings,
        seeds=range(config["seeds"]),
        device=config["device"],
        checkpoints=out / "checkpoints",
    )
    try:
        comparison.fit()
    except KeyboardInterrupt:
        steps = sum(run.step for run in comparison.runs.values())
        print(f"\nInterrupted; all runs are saved, {steps:,} steps in all. Go on with:", file=sys.stderr)
        print(f"  kldanneal compare --resume --out {out}", file=sys.stderr)
        return 130
    report.write(comparison, out)
    rows = comparison.rows()
    print(f"\n{report.table(rows)}\n\n{report.verdict(rows, corpus.entropy)}\n")
    print(f"written to {out}: history.csv, summary.csv, comparison.png, samples.txt, config.json")
    return 0


def schedule(given: dict[str, Any]) -> int:
    steps, names = given["steps"], given["schedules"].split(",")
    for option in ("steps", "rows"):
        _checks.integer(f"--{option}", given[option], 1, MOST_SHOWN)
    annealers = parse_schedules(names, steps=steps, **{name: given[name] for name in ("shape", "cycles", "ratio")})
    if given["plot"]:
        picture = io.BytesIO()
        plot_schedules(annealers, steps).savefig(picture, format="png", dpi=150)
        write_atomically(Path(given["plot"]), picture.getvalue())
        print(f"written to {given['plot']}")
        return 0
    shown = sorted({round(i * (steps - 1) / max(1, given["rows"] - 1)) for i in range(given["rows"])})
    weights = {name: annealer.schedule(steps) for name, annealer in annealers.items()}
    rows = [[f"{step:>9}", *(f"{weights[name][step]:.4f}".rjust(len(name)) for name in names)] for step in shown]
    print(table([["     step", *(name.rjust(6) for name in names)], *rows]))
    return 0


def _resumed(out: Path, given: dict[str, Any]) -> dict[str, Any]:
    """The configuration of the comparison in ``out``; what is given again must agree with it."""
    try:
        config = json.loads((out / "config.json").read_text(encoding="utf-8"))["options"]
        if config.keys() != DEFAULTS.keys():
            raise KeyError(*(config.keys() ^ DEFAULTS.keys()))
    except FileNotFoundError:
        raise ValueError(f"Expected --resume with the folder of a comparison, but {out} has no config.json") from None
    except (ValueError, KeyError, TypeError, AttributeError) as error:  # ValueError: no JSON, no UTF-8
        raise ValueError(f"The configuration {out / 'config.json'} cannot be read: {error!r}") from None
    differ = [f"--{name.replace('_', '-')} is {config[name]!r} there and {given[name]!r} here" for name in given
              if given[name] != config[name]]  # fmt: skip
    if differ:
        raise ValueError(f"{out} holds a comparison of another configuration: {'; '.join(differ)}")
    return config


def _claim(out: Path, config: dict[str, Any], digest: str, resume: bool) -> None:
    """Makes the folder and writes config.json first, so that a run that is stopped later can be resumed."""
    (out / "checkpoints").mkdir(parents=True, exist_ok=True)
    if resume:
        saved = json.loads((out / "config.json").read_text(encoding="utf-8")).get("corpus_digest")
        if saved != digest:
            raise ValueError(f"{out} was trained on a corpus with the digest {saved}, but it is {digest} now")
        return
    about = {"options": config, "corpus_digest": digest, **stored.provenance()}
    write_atomically(out / "config.json", (json.dumps(about, indent=2) + "\n").encode())


def _parser() -> argparse.ArgumentParser:
    parser = OneLineParser(prog="kldanneal", description="Watch posterior collapse, and anneal the KL weight.")
    parser.add_argument("--version", action="version", version=f"kldanneal {kldanneal.__version__}")
    commands = parser.add_subparsers(metavar="COMMAND", required=True, parser_class=OneLineParser)

    c = commands.add_parser("compare", help="train an LSTM VAE under several schedules, side by side",
                            argument_default=argparse.SUPPRESS, formatter_class=argparse.RawDescriptionHelpFormatter,
                            description=COMPARE)  # fmt: skip
    c.set_defaults(command=compare, out="comparison", resume=False)
    c.add_argument("--out", metavar="DIR", help="where the results go, a new folder (default: comparison)")
    c.add_argument("--resume", action="store_true", help="go on with the comparison in DIR; other options come from it")
    per_corpus = ", ".join(f"{{}} for {'a file' if kind == 'file' else kind}" for kind in MAX_LENGTH)
    _option(c, "corpus", str, f"{', '.join(CORPORA)}, or a text file with one sentence a line")
    _option(c, "root", str, "for ptb: a folder that holds its three files", show=False)
    _option(
        c,
        "max_length",
        int,
        f"longest sentence, in words (default: {per_corpus.format(*MAX_LENGTH.values())})",
        show=False,
    )
    _option(c, "vocab_size", int, f"most words kept (default: {per_corpus.format(*VOCAB_SIZE.values())})", show=False)
    _option(c, "schedules", str, "comma-separated: constant, monotonic, monotonic-long, cyclical, "
            "or an Annealer such as cosine:total_steps=500:cyclical")  # fmt: skip
    _schedule_options(c)
    _option(c, "steps", int, "updates of each run")
    _option(c, "seeds", int, "runs of each schedule, with the seeds 0, 1, ...")
    _option(c, "lr", float, "Adam's learning rate")
    _option(
        c, "lr_schedule", str, "constant, or cosine-restarts: one cosine from lr to 0 per cycle", choices=LR_SCHEDULES
    )
    _option(c, "batch_size", int, "sentences an update")
    _option(c, "embedding", int, "size of the word vectors")
    _option(c, "hidden", int, "size of the LSTM states")
    _option(c, "latent", int, "dimensions of z")
    _option(c, "pooling", str, "of the encoder's states: max or last")
    _option(c, "word_dropout", float, "share of the decoder's input words replaced by <unk>")
    _option(c, "dropout", float, "on the decoder's inputs and states")
    _option(c, "clip", float, "largest norm of the gradient")
    _option(c, "device", str, "auto, cpu or cuda")

    s = commands.add_parser(
        "schedule", help="print or plot schedules", description="The KL weight of schedules, step by step."
    )
    s.set_defaults(command=schedule, **{name: DEFAULTS[name] for name in ("shape", "cycles", "ratio")})
    s.add_argument("schedules", help="comma-separated, as for compare --schedules")
    s.add_argument("--steps", type=int, default=1000, help="length of the run (default: 1000)")
    s.add_argument("--rows", type=int, default=21, help="how many steps to print (default: 21)")
    s.add_argument("--plot", metavar="FILE", help="write a PNG picture instead")
    _schedule_options(s)
    return parser


def _schedule_options(parser: argparse.ArgumentParser) -> None:
    _option(parser, "shape", str, "of the named schedules", choices=tuple(SHAPES))
    _option(parser, "cycles", int, "of the cyclical schedule, and of the learning rate's restarts")
    _option(parser, "ratio", float, "share of a cycle that the ramp takes (Fu et al.'s R)")


def _option(parser, name: str, kind: type, text: str, *, show: bool = True, choices: tuple | None = None) -> None:
    default = f" (default: {DEFAULTS[name]})" if show else ""
    parser.add_argument(
        f"--{name.replace('_', '-')}", type=kind, choices=choices, default=argparse.SUPPRESS, help=text + default,
        metavar=None if choices else {int: "N", float: "X", str: "NAME"}[kind],
    )  # fmt: skip


COMPARE = """\
Trains an LSTM VAE under several schedules of the KL weight, on the same seeds, side by side, and writes into DIR:
history.csv, summary.csv, comparison.png, samples.txt, config.json, and checkpoints to go on from.

  kldanneal compare                                              four schedules on docstrings
  kldanneal compare --corpus toy --seeds 5 --out toy
  kldanneal compare --corpus my.txt --schedules constant,cosine:total_steps=500:cyclical --out mine
  kldanneal compare --resume --out mine                          after an interruption
"""
