"""Statistics of more rows than fit into memory: running mean and variance, and a random sample of a fixed size."""

import zlib

import torch
from torch import Tensor


def generator(seed: int, purpose: str) -> torch.Generator:
    """A generator for one purpose.

    It does not start from the seed itself. The data may come from seed 0 as well, and noise that repeats the data makes
    the mutual information wrong.
    """
    return torch.Generator().manual_seed(zlib.crc32(f"{purpose} {seed}".encode()))


class Moments:
    """The mean and the variance of all rows, by Welford's update for whole batches (Chan, Golub and LeVeque 1979)."""

    def __init__(self, shape: tuple[int, ...]) -> None:
        self.count = 0
        self._mean = torch.zeros(shape, dtype=torch.float64)
        self._squares = torch.zeros(shape, dtype=torch.float64)  # the sum of squared deviations from the mean

    def update(self, rows: Tensor) -> None:
        """Takes rows in, (n, *shape); n is at least 1."""
        before, self.count = self.count, self.count + len(rows)
        mean = rows.mean(dim=0)
        shift = mean - self._mean
        self._mean += shift * (len(rows) / self.count)
        self._squares += (rows - mean).square().sum(dim=0) + shift.square() * (before * len(rows) / self.count)

    def mean(self) -> Tensor:
        """NaN without a row."""
        return self._mean / (self.count > 0)

    def variance(self) -> Tensor:
        """The unbiased variance; NaN with fewer than two rows."""
        return self._squares / max(0, self.count - 1)


class Reservoir:
    """A uniform random sample of at most ``size`` rows, and the number of each row (Vitter 1985, algorithm R)."""

    def __init__(self, size: int, shape: tuple[int, ...], seed: int) -> None:
        self.size, self._seen = size, 0
        self._rows = torch.empty(size, *shape, dtype=torch.float64)
        self._index = torch.empty(size, dtype=torch.int64)
        self._generator = generator(seed, "reservoir")

    def update(self, rows: Tensor, index: Tensor) -> None:
        """The first rows fill the slots. Row k then takes slot r, drawn from 0 ... k, and is dropped without one."""
        number = torch.arange(self._seen, self._seen + len(rows))
        self._seen += len(rows)
        drawn = (torch.rand(len(rows), generator=self._generator, dtype=torch.float64) * (number + 1)).long()
        slots = torch.where(number < self.size, number, drawn).tolist()
        taken = {slot: i for i, slot in enumerate(slots) if slot < self.size}  # the last of those who draw a slot
        self._rows[list(taken)], self._index[list(taken)] = rows[list(taken.values())], index[list(taken.values())]

    def sample(self) -> tuple[Tensor, Tensor]:
        """The rows (kept, *shape) and their numbers (kept,)."""
        kept = min(self._seen, self.size)
        return self._rows[:kept], self._index[:kept]
