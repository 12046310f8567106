"""One training run of the LSTM VAE: a loop that can be stopped at any moment and goes on bit for bit.

    run = Run(corpus, Annealer(total_steps=1000), Settings(steps=2000), seed=0)
    run.fit()
    run.history()["kl"]          # one value per update

Every random draw comes from the run's own generators, seeded by ``seed`` alone. So runs with one seed share their
initial weights, batches and noise under every schedule. Other runs that train at the same time change nothing.
"""

import math
import threading
import time
from collections.abc import Callable, Iterator
from copy import deepcopy
from dataclasses import asdict
from pathlib import Path
from typing import Any, Protocol

import torch
from torch import Tensor

from kldanneal import Annealer, VAELoss, _checks, gaussian_kl
from kldanneal.lab.corpora.corpus import Corpus
from kldanneal.lab.files import replacing
from kldanneal.lab.model import LSTMVAE
from kldanneal.lab.threads import one_thread
from kldanneal.lab.training.settings import Settings


def pick_device(device: str = "auto") -> torch.device:
    """``'auto'`` is CUDA where there is one, else the CPU; or any name that torch knows."""
    if device == "auto":
        return torch.device("cuda" if torch.cuda.is_available() else "cpu")
    try:
        picked = torch.device(device)
        if picked.type == "cuda" and not torch.cuda.is_available():
            raise RuntimeError(f"torch {torch.__version__} finds no CUDA here")
        torch.Generator(picked)  # which 'meta' has not
        torch.empty(0, device=picked)
    except (RuntimeError, AssertionError, NotImplementedError) as error:
        reason = str(error).splitlines()[0][:200]
        raise ValueError(f"Expected device to be 'auto', 'cpu' or 'cuda', but got {device!r}: {reason}") from None
    return picked


class KLWeight(Protocol):
    """What weights the KL term of a run: an Annealer, a HandWeight, a Replay, or a class with these members."""

    @property
    def weight(self) -> float: ...

    def __call__(self, kld: Any) -> Any: ...

    def step(self) -> None: ...

    def state_dict(self) -> dict[str, Any]: ...

    def load_state_dict(self, state_dict: dict[str, Any]) -> object: ...


def check_run(settings: Settings, seed: int, *corpora: Corpus) -> None:
    """Raises TypeError or ValueError if the arguments cannot make a run."""
    for corpus in corpora:
        _checks.instance("corpus", corpus, Corpus)
    _checks.instance("settings", settings, Settings)
    _checks.integer("seed", seed, 0, 2**63 - 1)


class Run:
    """A model, its schedule, and everything else that training needs in order to go on.

    Args:
        corpus (Corpus): what is learnt; only ``corpus.train`` is used.
        annealer (KLWeight): usually an Annealer; this run steps it once per update.
        settings (Settings): the rest. Default: ``Settings()``.
        seed (int): decides every random draw. Default: 0.
        free_bits (float): a floor under the KL of each latent dimension in the loss, see :class:`~kldanneal.VAELoss`;
            the KL of the history has no floor. Default: 0.0.
        name (str): what messages call the run. Default: ``'run'``.
        device (str): ``'auto'``, ``'cpu'``, ``'cuda'``. Default: ``'auto'``.
    """

    def __init__(
        self,
        corpus: Corpus,
        annealer: KLWeight,
        settings: Settings | None = None,
        *,
        seed: int = 0,
        free_bits: float = 0.0,
        name: str = "run",
        device: str = "auto",
    ) -> None:
        settings = Settings() if settings is None else settings
        check_run(settings, seed, corpus)
        self.corpus, self.annealer, self.seed, self.name, self.settings = corpus, annealer, seed, name, settings
        self._cyclical = getattr(annealer, "cyclical", None)  # of an Annealer, as it was given: training may switch it
        self.device = pick_device(device)
        self.order = torch.Generator().manual_seed(seed)  # initial weights, then the order of the batches
        self.noise = torch.Generator(self.device).manual_seed(seed)  # z, word dropout, dropout
        self.model = LSTMVAE(len(corpus.vocab), **settings.model_options(), generator=self.order).to(self.device)
        self.criterion, self.free_bits = VAELoss("cross_entropy", free_bits=free_bits), free_bits
        self._parameters = list(self.model.parameters())
        self.optimizer = torch.optim.Adam(self._parameters, lr=settings.lr, fused=True)
        if settings.lr_schedule == "cosine-restarts":
            cycle = math.ceil(settings.steps / settings.lr_cycles)
            self.lr_scheduler = torch.optim.lr_scheduler.CosineAnnealingWarmRestarts(self.optimizer, T_0=cycle)
        elif settings.lr_schedule == "decay":
            self.lr_scheduler = torch.optim.lr_scheduler.LambdaLR(
                self.optimizer, lambda step: min(1.0, 2 - 2 * step / settings.steps)
            )
        else:
            self.lr_scheduler = torch.optim.lr_scheduler.ConstantLR(self.optimizer, factor=1.0)
        self.step = 0
        self.seconds = 0.0  # spent in training, over all sessions
        self.sentences = 0  # seen so far
        self.at_the_end: dict[str, Any] | None = None  # of the schedule: what was measured there, for a longer tail
        self._rows: list[tuple[float, float, float]] = []  # kl_weight, reconstruction, kl
        self._epoch_start = self.order.get_state()
        self._batches = self._new_epoch()

    def update(self) -> None:
        """One update: forward, loss, annealed KL, backward, clip, optimizer, schedules."""
        x = self._next_batch()
        annealer = self._kl_weight()
        weight = annealer.weight
        for parameter in self._parameters:  # as optimizer.zero_grad() does, which takes longer
            parameter.grad = None
        logits, targets, mu, logvar = self.model(x, self.noise)
        self.criterion.validate = self.step == 0  # the checks of values cost time: the first update needs them
        bce, kld = self.criterion(logits, targets, mu, logvar)
        loss = bce + annealer(kld)
        loss.backward()
        if self.criterion.free_bits:
            kld = gaussian_kl(mu, logvar).sum() / len(x)  # without the floor
        norm = torch.nn.utils.clip_grad_norm_(self._parameters, self.settings.clip, foreach=True)
        reconstruction, kl, norm = torch.stack([bce.detach(), kld.detach(), norm]).tolist()
        self._stop_unless_finite(weight, reconstruction, kl, norm)
        self.optimizer.step()
        self.lr_scheduler.step()
        annealer.step()
        self.step += 1
        self.sentences += len(x)
        self._rows.append((weight, reconstruction, kl))

    def fit(
        self,
        checkpoint: str | Path | None = None,
        *,
        until: int | None = None,
        on_update: Callable[[], object] | None = None,
        stop: threading.Event | None = None,
        every_updates: int = 200,
        every_seconds: float = 5.0,
    ) -> "Run":
        """Trains up to update ``until``, or until ``stop`` is set.

        Args:
            checkpoint (path, optional): where the run is saved, every ``every_updates`` updates or ``every_seconds``
                seconds, whichever comes first, and at the end or when stopped. Default: nowhere.
            until (int, optional): beyond ``settings.steps``, updates keep the schedule's last weight: a tail. Default:
                ``settings.steps``, the whole schedule.
            on_update (callable, optional): called after every update, in the thread that trains.
            stop (threading.Event, optional): checked before every update.
        """
        until = self.settings.steps if until is None else _checks.integer("until", until, 0)
        self.model.train()
        saved_step, saved_at = self.step, time.monotonic()
        with one_thread():
            while self.step < until and not (stop and stop.is_set()):
                started = time.perf_counter()
                self.update()
                self.seconds += time.perf_counter() - started
                if on_update:
                    on_update()
                due = self.step - saved_step >= every_updates or time.monotonic() - saved_at >= every_seconds
                if checkpoint and due:
                    self.save(checkpoint)
                    saved_step, saved_at = self.step, time.monotonic()
            if checkpoint:  # not after an error: what is on disk then is the last good state
                self.save(checkpoint)
        return self

    def history(self) -> dict[str, list[float]]:
        """``step``, ``kl_weight``, ``reconstruction`` and ``kl`` of every update, in nats per sentence of its batch."""
        rows = self._rows[:]  # another thread may be training
        columns = zip(*rows, strict=True) if rows else ((), (), ())
        named = dict(zip(("kl_weight", "reconstruction", "kl"), map(list, columns), strict=True))
        return {"step": list(range(len(rows))), **named}

    def state_dict(self) -> dict[str, Any]:
        return {
            "identity": self._identity(),
            "model": self.model.state_dict(),
            "optimizer": self.optimizer.state_dict(),
            "lr_scheduler": self.lr_scheduler.state_dict(),
            "annealer": self.annealer.state_dict(),
            "noise": self.noise.get_state(),
            "epoch_start": self._epoch_start,
            "epoch_batch": self._epoch_batch,
            "step": self.step,
            "at_the_end": self.at_the_end,
            "seconds": self.seconds,
            "sentences": self.sentences,
            "history": torch.tensor(self._rows, dtype=torch.float64).reshape(-1, 3),
        }

    def load_state_dict(self, state: dict[str, Any]) -> None:
        own, other = self._identity(), state["identity"]
        differ = [
            f"{name} is {own.get(name)!r} here and {other.get(name)!r} there"
            for name in {**own, **other}
            if own.get(name) != other.get(name)
        ]
        if differ:
            raise ValueError(f"Expected the state of the same run, but {'; '.join(differ)}")
        self.annealer.load_state_dict(state["annealer"])
        self.model.load_state_dict(state["model"])
        self.optimizer.load_state_dict(state["optimizer"])
        self.lr_scheduler.load_state_dict(state["lr_scheduler"])
        self.noise.set_state(state["noise"])
        self.order.set_state(state["epoch_start"])
        self._epoch_start = state["epoch_start"]
        self._batches = self._new_epoch(skip=state["epoch_batch"])
        self.step, self.seconds, self.sentences = state["step"], state["seconds"], state["sentences"]
        self.at_the_end = state.get("at_the_end")  # which a run of version 0.2.0 has not
        self._rows = [tuple(row) for row in state["history"].tolist()]

    def save(self, path: str | Path) -> None:
        """Writes the run to a file, atomically: a crash leaves the old file or the new one, never half of one."""
        path = Path(path)
        try:
            with replacing(path) as file:
                torch.save(self.state_dict(), file)
        except (OSError, RuntimeError) as error:  # RuntimeError: torch may report a full disk so
            raise OSError(f"The checkpoint {path} could not be written: {error}") from error

    def load(self, path: str | Path) -> "Run":
        """Goes on from a saved run of the same corpus, schedule, settings and seed."""
        try:
            state = torch.load(path, map_location="cpu", weights_only=True)
        except FileNotFoundError:
            raise
        except Exception as error:  # truncated, or no checkpoint at all: torch raises many kinds
            reason = str(error).split("\n", 1)[0][:200]
            raise ValueError(f"The checkpoint {path} cannot be read, it may be truncated: {reason}") from None
        before = deepcopy(self.state_dict())
        try:
            self.load_state_dict(state)
        except Exception as error:
            self.load_state_dict(before)  # all of a checkpoint is taken over, or nothing
            if isinstance(error, ValueError):
                raise ValueError(f"The checkpoint {path} is of another run. {error}") from None
            raise ValueError(f"The checkpoint {path} cannot be read, part of it is missing or wrong: {error}") from None
        return self

    def _kl_weight(self) -> KLWeight:
        """The annealer, or in the tail after the schedule the last weight that it gave."""
        if self.step < self.settings.steps:
            return self.annealer
        return Annealer.constant(self._rows[self.settings.steps - 1][0])

    def _identity(self) -> dict[str, Any]:
        corpus = f"{self.corpus.name} {self.corpus.digest}"
        free_bits = {"free_bits": self.free_bits} if self.free_bits else {}
        return {"corpus": corpus, "seed": self.seed, "cyclical": self._cyclical, **free_bits, **asdict(self.settings)}

    def _new_epoch(self, skip: int = 0) -> Iterator[Tensor]:
        batches = self.corpus.train.buckets(self.settings.batch_size, self.order)
        self._epoch_batch = skip
        return iter(batches[skip:])

    def _next_batch(self) -> Tensor:
        indices = next(self._batches, None)
        if indices is None:
            self._epoch_start = self.order.get_state()
            self._batches = self._new_epoch()
            indices = next(self._batches)
        self._epoch_batch += 1
        return self.corpus.train.batch(indices).to(self.device)

    def _stop_unless_finite(self, weight: float, reconstruction: float, kl: float, norm: float) -> None:
        if all(map(math.isfinite, (reconstruction, kl, norm))):
            return
        raise FloatingPointError(
            f"The loss is not finite at step {self.step} of {self.name} (seed {self.seed}), KL weight {weight:.3g}: "
            f"reconstruction {reconstruction:.4g}, kl {kl:.4g}, gradient norm {norm:.4g}. Likely causes: a learning "
            f"rate that is too high (lr={self.settings.lr:g}; try a tenth), too loose a gradient clip "
            f"(clip={self.settings.clip:g}), or a logvar that exploded while the KL weight was near 0"
        )
