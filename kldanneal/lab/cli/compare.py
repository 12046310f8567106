"""``kldanneal compare``: trains, and then writes and prints what it can, whatever else fails."""

import shlex
import sys
import tempfile
from contextlib import suppress
from dataclasses import replace
from pathlib import Path
from typing import Any

from kldanneal import _checks
from kldanneal.lab.cli import folder
from kldanneal.lab.cli.parser import DEFAULTS, SETTINGS
from kldanneal.lab.cli.signals import Interrupts
from kldanneal.lab.corpora.corpus import Corpus
from kldanneal.lab.corpora.load import CORPORA, load_corpus
from kldanneal.lab.results.written import Written
from kldanneal.lab.terminal import can_print, give_up_stdout, printable, program, shell_quoted
from kldanneal.lab.training.comparison import Comparison
from kldanneal.lab.training.run import pick_device
from kldanneal.lab.training.schedules import free_bits, parse_schedules
from kldanneal.lab.training.settings import LARGEST, Settings

MOST_SEEDS = 1000
READING = ("max_length", "vocab_size", "root", "text_column", "delimiter", "encoding")


def compare(given: dict[str, Any]) -> int:
    """Runs the command; returns its exit status."""
    with Interrupts() as interrupts, tempfile.TemporaryDirectory(prefix="kldanneal-") as temporary:
        work = Work(given, interrupts, Path(temporary))
        try:
            return work.run()
        except KeyboardInterrupt:
            with suppress(OSError, ValueError, AttributeError):  # the terminal may be gone
                newline = "\n" if sys.stderr.isatty() else ""  # after the ^C
                print(f"{newline}{work.how_to_go_on()}", file=sys.stderr, flush=True)
            return interrupts.status


class Work:
    """One call of the command, and how far it has come."""

    def __init__(self, given: dict[str, Any], interrupts: Interrupts, temporary: Path) -> None:
        self.given = {name: value for name, value in given.items() if name not in ("out", "resume")}
        self.out, self.resume = Path(given["out"]), given["resume"]
        self.interrupts, self.temporary = interrupts, temporary
        self.claimed = False
        self.comparison: Comparison | None = None

    def run(self) -> int:
        if self.resume:
            config, _ = folder.resumed(self.out, self.given)
        else:
            folder.refuse_unless_new(self.out)
            config = DEFAULTS | self.given
        config = folder.absolute(config)
        _checks.integer("--seeds", config["seeds"], 1, MOST_SEEDS)
        _checks.integer("--tail", config["tail"], 0, LARGEST["steps"])
        settings = Settings(lr_cycles=config["cycles"], **{name: config[name] for name in SETTINGS if name in config})
        names = config["schedules"].split(",")
        options = {name: config[name] for name in ("shape", "cycles", "ratio")}
        schedules = parse_schedules(names, steps=settings.steps, **options)
        device = pick_device(config["device"])
        corpus, copy = self._corpus(config)
        with folder.claimed(self.out):
            with self.interrupts.held_back():
                corpus, about = self._begin(config, corpus, copy)
                self.claimed = True
            print(corpus.describe())
            runs = f"{len(schedules) * config['seeds']} runs ({len(schedules)} schedules, {config['seeds']} of each)"
            tail = f" and {config['tail']:,} at the last weight" if config["tail"] else ""
            print(f"{runs}, {settings.steps:,} steps each{tail}, on {device}", flush=True)
            self.comparison = comparison = Comparison(
                corpus,
                schedules,
                settings,
                seeds=range(config["seeds"]),
                tail=config["tail"],
                free_bits={name: free_bits(name) for name in names},
                device=config["device"],
                checkpoints=self.out / "checkpoints",
            )
            with self.interrupts.training() as stop:
                comparison.fit(stop=stop)
            if not comparison.finished():
                raise KeyboardInterrupt
            return self._results(Written(comparison, self.out, about))

    def how_to_go_on(self) -> str:
        """One line for a person who interrupted, with a command that can be pasted."""
        if not self.claimed and not self.resume:
            out = ["--out", shell_quoted(self.out)]
            options = [f"--{name.replace('_', '-')}={shlex.quote(str(value))}" for name, value in self.given.items()]
            again = " ".join([program(), "compare", *options, *out])
            return f"Interrupted before training began; nothing was written. Start again with: {again}"
        if self.comparison is None:
            return f"Interrupted before this training began. Go on with: {self._resume_command()}"
        steps = sum(run.step for run in self.comparison.runs.values())
        if self.comparison.finished():
            where = printable(str(self.out))
            return f"Interrupted; table and CSV files are finished, in {where}. For the rest: {self._resume_command()}"
        return f"Interrupted; all runs are saved, {steps:,} steps in all. Go on with: {self._resume_command()}"

    def _resume_command(self) -> str:
        return f"{program()} compare --resume --out {shell_quoted(self.out)}"

    def _corpus(self, config: dict[str, Any]) -> tuple[Corpus, Path | None]:
        """The corpus, and a copy of it if it cannot be read again."""
        corpus, copy = config["corpus"], None
        if self.resume and corpus == "-" and "corpus" not in self.given:
            corpus = str(self.out / folder.STDIN)
        else:
            copy = folder.read_once(corpus, self.temporary)
        if self.resume and not copy and corpus not in CORPORA and not Path(corpus).exists():
            raise ValueError(f"The text {corpus} of {self.out} is not there any more: add --corpus with its path now")
        return load_corpus(str(copy or corpus), **{name: config[name] for name in READING}), copy

    def _begin(self, config: dict[str, Any], corpus: Corpus, copy: Path | None) -> tuple[Corpus, dict[str, Any]]:
        """Writes config.json, or takes it up; in the claimed folder."""
        if copy:
            config["corpus"] = "-"
        if not self.resume:
            return corpus, folder.begin(self.out, config, corpus.name, corpus.digest, copy)
        _, about = folder.resumed(
            self.out, self.given
        )  # again: before the claim, another process may have been at work
        name = folder.same_text(self.out, about, config["corpus"], corpus.digest)
        if copy:
            config["corpus"] = about["options"]["corpus"]  # a pipe that held the same text
        (self.out / "checkpoints").mkdir(exist_ok=True)
        if any(about["options"].get(option, DEFAULTS[option]) != config[option] for option in DEFAULTS):
            about["options"] = config
            folder.save(self.out, about)
        return replace(corpus, name=name), about

    def _results(self, written: Written) -> int:
        """Writes and prints. The table and the CSV files come first; no failure keeps the others from being tried."""
        output = Output()
        with self.interrupts.held_back():
            written.numbers()
            output.say(f"\n{written.table('±' if can_print('±') else '+/-')}\n")
            if "summary.csv" in written.failed:
                output.say(f"summary.csv could not be written. This is its content:\n{written.summary().decode()}")
        written.pages()
        where = printable(str(self.out))
        output.say(
            f"written to {where}:\n" + "\n".join(f"  {name:<20}{what}" for name, what in written.there().items())
        )
        output.say(f"\n{_look_next(written)}")
        if written.failed:
            name, error = next(iter(written.failed.items()))
            reason = " ".join(str(error).split()) or type(error).__name__
            message = (
                f"the comparison is finished and its models are saved, but {', '.join(written.failed)} could not be "
                f"written ({name}: {reason}). To write again: {self._resume_command()}"
            )
        elif output.error and not isinstance(output.error, BrokenPipeError):
            message = f"the results could not be printed ({output.error}). They are in {where}, see table.txt"
        else:
            if output.error:
                raise output.error
            return 0
        with suppress(OSError, ValueError):
            print(f"kldanneal: error: {printable(message)}", file=sys.stderr)
        return 2


class Output:
    """Standard output, until it fails."""

    def __init__(self) -> None:
        self.error: Exception | None = None

    def say(self, text: str) -> None:
        if self.error:
            return
        try:
            print(text, flush=True)
        except (OSError, ValueError) as error:  # closed, full, or gone
            self.error = error
            give_up_stdout()


def _look_next(written: Written) -> str:
    try:
        return f"Look next: {written.advice()}"
    except Exception as error:  # it is advice, and the results are there without it
        return f"Look next: no advice ({' '.join(str(error).split())})"
