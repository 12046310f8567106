"""The options of the command ``kldanneal``."""

import argparse
import difflib
from dataclasses import fields
from typing import Any, NoReturn

import kldanneal
from kldanneal.annealing import SHAPES
from kldanneal.lab.corpora.load import CORPORA, MAX_LENGTH, VOCAB_SIZE
from kldanneal.lab.training.schedules import NAMED
from kldanneal.lab.training.settings import LR_SCHEDULES, Settings

SETTINGS = {field.name: field.default for field in fields(Settings)}
#: Options that version 0.2.0 had not: a comparison that it began has none of them in its config.json.
LATER: dict[str, Any] = {"text_column": None, "delimiter": None, "encoding": None, "tail": 0}
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
    **LATER,
    **{name: default for name, default in SETTINGS.items() if name != "lr_cycles"},
}
#: Options that other programs have, and what to take here.
ELSEWHERE = {"--epochs": "--steps, which counts updates", "--lang": "--encoding", "--output": "--out", "-o": "--out"}


class OneLineParser(argparse.ArgumentParser):
    """An argument parser whose errors are one line, and name the help that has the option."""

    def error(self, message: str) -> NoReturn:
        self.exit(2, f"{self.prog}: error: {message} (see {self.prog} --help)\n")


class CommandParser(OneLineParser):
    """The parser of one command, which reports by itself what it does not know."""

    def parse_known_args(self, args: Any = None, namespace: Any = None) -> tuple[Any, list[str]]:
        namespace, unknown = super().parse_known_args(args, namespace)
        if unknown:
            option = unknown[0].partition("=")[0]
            known = [string for action in self._actions for string in action.option_strings]
            close = difflib.get_close_matches(option, known, n=1) if option.startswith("-") else []
            meant = ELSEWHERE.get(option) or (close[0] if close else None)
            hint = f"; did you mean {meant}?" if meant else ""
            self.error(f"unrecognized arguments: {' '.join(unknown)}{hint}")
        return namespace, unknown


def parse(argv: list[str] | None) -> tuple[str, dict[str, Any]]:
    """The command and its arguments; only those that are given, and those that have a default here."""
    arguments = vars(_parser().parse_args(argv))
    return arguments.pop("command"), arguments


def _parser() -> argparse.ArgumentParser:
    parser = OneLineParser(prog="kldanneal", description="Watch posterior collapse, and anneal the KL weight.")
    parser.add_argument("--version", action="version", version=f"kldanneal {kldanneal.__version__}")
    commands = parser.add_subparsers(metavar="COMMAND", required=True, parser_class=CommandParser)

    c = commands.add_parser("compare", help="train an LSTM VAE under several schedules, side by side",
                            argument_default=argparse.SUPPRESS, formatter_class=argparse.RawDescriptionHelpFormatter,
                            description=COMPARE)  # fmt: skip
    c.set_defaults(command="compare", out="comparison", resume=False)
    c.add_argument("--out", metavar="DIR", help="where the results go, a new folder (default: comparison)")
    c.add_argument("--resume", action="store_true", help="go on with the comparison in DIR: its options hold; more "
                   "--seeds, a longer --tail, and another path to the same --corpus may be given")  # fmt: skip
    per_corpus = ", ".join(f"{{}} for {'a file' if kind == 'file' else kind}" for kind in MAX_LENGTH)
    _option(c, "corpus", str, f"{', '.join(CORPORA)}, a text file with one sentence a line, or - for standard input; "
            "also as .gz")  # fmt: skip
    _option(c, "text_column", str, "the sentences' column of a CSV or TSV file (its name in the first row, or its "
            "number if there is no such row), or their field in JSONL", show=False)  # fmt: skip
    _option(c, "delimiter", str, "between columns: one character, tab, comma, semicolon, pipe or space (default: as "
            "in the first row)", show=False)  # fmt: skip
    _option(c, "encoding", str, "of the file, such as utf-16, cp1252 or latin-1 (default: utf-8)", show=False)
    _option(c, "root", str, "for ptb: a folder that holds its three files", show=False)
    _option(c, "max_length", int, "longest sentence, in words (default: "
            f"{per_corpus.format(*MAX_LENGTH.values())})", show=False)  # fmt: skip
    _option(c, "vocab_size", int, f"most words kept (default: {per_corpus.format(*VOCAB_SIZE.values())})", show=False)
    _option(c, "schedules", str, "comma-separated: constant, monotonic, monotonic-long, cyclical, "
            "or written out, such as cosine:total_steps=500:cyclical")  # fmt: skip
    _schedule_options(c)
    _option(c, "steps", int, "updates of each run, which the schedules fill")
    _option(c, "tail", int, "updates after them, at the schedule's last weight: does the KL last?")
    _option(c, "seeds", int, "runs of each schedule, with the seeds 0, 1, ...")
    _option(c, "lr", float, "Adam's learning rate")
    _option(c, "lr_schedule", str, "constant; cosine-restarts: one cosine from lr to 0 per cycle; or decay: to 0 over "
            "the last half",
            choices=LR_SCHEDULES)  # fmt: skip
    _option(c, "batch_size", int, "sentences an update")
    _option(c, "embedding", int, "size of the word vectors")
    _option(c, "hidden", int, "size of the LSTM states")
    _option(c, "latent", int, "dimensions of z")
    _option(c, "pooling", str, "of the encoder's states: max or last")
    _option(c, "word_dropout", float, "share of the decoder's input words replaced by <unk>")
    _option(c, "dropout", float, "on the decoder's inputs and states")
    _option(c, "clip", float, "largest norm of the gradient")
    _option(c, "device", str, "auto, cpu or cuda")

    s = commands.add_parser("schedule", help="show schedules as numbers, as pictures, and in Python",
                            formatter_class=argparse.RawDescriptionHelpFormatter, description=SCHEDULE)  # fmt: skip
    s.set_defaults(command="schedule", **{name: DEFAULTS[name] for name in ("shape", "cycles", "ratio")})
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


def _option(
    parser: argparse.ArgumentParser, name: str, kind: type, text: str, *, show: bool = True, choices: Any = None
) -> None:
    default = f" (default: {DEFAULTS[name]})" if show else ""
    parser.add_argument(
        f"--{name.replace('_', '-')}", type=kind, choices=choices, default=argparse.SUPPRESS, help=text + default,
        metavar=None if choices else {int: "N", float: "X", str: "NAME"}[kind],
    )  # fmt: skip


WRITTEN_OUT = """\
A schedule that is written out is a shape and what differs from the Annealer's defaults, joined by colons:

  linear:total_steps=500:max_weight=0.5:delay=100
  cosine:total_steps=500:cyclical:cycles=3:ratio=0.5
  logistic:steepness=20:midpoint=0.25, power:exponent=2, exponential:rate=5
  zero-then-ramp:zero=0.3:shape=power:exponent=2
  constant:max_weight=0.5        a weight that never changes
  cyclical:free_bits=0.1         any schedule, with free bits
"""

COMPARE = f"""\
Trains an LSTM VAE under several schedules of the KL weight, on the same seeds, side by side, and writes into DIR:
report.html with everything on one page, history.csv, summary.csv, table.txt, comparison.png, comparison-dark.png,
samples.txt, config.json, and checkpoints to go on from.

  kldanneal compare                                              four schedules on docstrings
  kldanneal compare --corpus toy --seeds 5 --out toy
  kldanneal compare --corpus my.txt --schedules constant,cosine:total_steps=500:cyclical --out mine
  kldanneal compare --resume --out mine                          after an interruption
  kldanneal compare --resume --out mine --tail 2000              does the KL last at the last weight?
  kldanneal compare --corpus reviews.tsv.gz --text-column 2 --out reviews         the second column of a table

{WRITTEN_OUT}"""

SCHEDULE = f"""\
The KL weight of schedules, step by step: as numbers, as a picture, and as a line of Python.

{WRITTEN_OUT}"""
