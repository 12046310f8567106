"""The table of kldanneal.guides.elsewhere: other libraries' formulas, written down here, against an Annealer's weights.

Each reference follows what the repository named beside it computes for its update (or epoch) n, counted from 0.
"""

import math

import pytest

from kldanneal import Annealer
from kldanneal.shapes import Exponential, Logistic, ZeroThenRamp


def stepped(annealer, n):
    """The weights of n updates in a loop that uses the weight and then steps."""
    weights = []
    for _ in range(n):
        weights.append(annealer(1.0))
        annealer.step()
    return weights


def assert_same(annealer, reference, n, tolerance=1e-12):
    """Both ways to use an Annealer give the weights of the reference; the largest difference is returned."""
    expected = [reference(i) for i in range(n)]
    assert len({*expected}) > 2  # else the reference itself is a mistake
    pure = [annealer.weight_at(i) for i in range(n)]
    assert pure == pytest.approx(expected, rel=0, abs=tolerance)
    assert stepped(annealer, n) == pure
    return max(abs(a - b) for a, b in zip(pure, expected, strict=True))


@pytest.mark.parametrize("low, high, warmup", [(0.0, 1.0, 400), (0.1, 2.5, 37), (1e-5, 1e-3, 11)])
def test_scvi_tools(low, high, warmup):
    def kl_weight(epoch):  # scverse/scvi-tools, the training plans
        return low + (high - low) * epoch / warmup if epoch < warmup else high

    assert_same(Annealer(warmup, baseline=low, max_weight=high), kl_weight, 2 * warmup)


def test_scvi_tools_without_a_warmup():
    assert stepped(Annealer.constant(0.3), 5) == [0.3] * 5


@pytest.mark.parametrize("rate, top, n", [(0.999, 0.2, 3000), (0.99, 1.0, 400)])
def test_musicvae(rate, top, n):
    def beta(step):  # magenta/magenta, MusicVAE
        return top * (1.0 - rate**step)

    shape = Exponential(-n * math.log(rate))
    bound = top * rate**n  # as the table says
    apart = assert_same(Annealer(n, shape, max_weight=top), beta, 2 * n, tolerance=bound * (1 + 1e-9))
    assert apart == pytest.approx(bound)
    exact = Annealer(n, shape, max_weight=top * (1 - rate**n))
    assert_same(exact, beta, n + 1)
    later = [abs(exact.weight_at(step) - beta(step)) for step in range(n, 5 * n)]
    assert max(later) < bound


def optimus(n_iter, stop, n_cycle, increase, zero):
    """ChunyuanLI/Optimus, the list of weights of a run: zero, rise, hold in each cycle."""
    cycle = n_iter // n_cycle
    weights = []
    for n in range(n_iter):
        into = n % cycle - zero * cycle
        weights.append(stop * min(1.0, max(0.0, into) / (increase * cycle)))
    return weights


@pytest.mark.parametrize(
    "n_iter, stop, n_cycle, increase, zero",
    [(400, 1.0, 1, 0.25, 0.25), (400, 0.5, 4, 0.5, 0.3), (200, 1.0, 10, 0.25, 0.5)],
)
def test_optimus(n_iter, stop, n_cycle, increase, zero):
    weights = optimus(n_iter, stop, n_cycle, increase, zero)
    annealer = Annealer(n_iter // n_cycle, ZeroThenRamp(zero / (zero + increase)), cyclical=True,
                        ratio=zero + increase, max_weight=stop, cycles=n_cycle)  # fmt: skip
    assert_same(annealer, weights.__getitem__, n_iter)
    assert annealer.schedule(3) == [stop] * 3


@pytest.mark.parametrize(
    "warmup, every, rise, top",
    [(20_000, 5_000, 0.01, 1.0), (400, 50, 0.002, 0.05), (6, 3, 0.25, 0.5), (3, 3, 0.5, 1.0), (0, 4, 0.1, 0.3)],
)
def test_jt_vae(warmup, every, rise, top):
    n = warmup + 5 * every
    betas, beta = [], 0.0
    for total_step in range(1, n + 1):  # wengong-jin/icml18-jtnn: used, then raised
        betas.append(beta)
        if total_step >= warmup and total_step % every == 0:
            beta = min(top, beta + rise)
    annealer = Annealer(round(top / rise), max_weight=top, delay=max(0, warmup // every - 1))
    assert [annealer.weight_at(i // every) for i in range(n)] == pytest.approx(betas, rel=0, abs=1e-12)
    assert len({*betas}) > 2


@pytest.mark.parametrize("start, low, high, epochs", [(0, 0.0, 0.05, 100), (10, 0.01, 0.1, 60)])
def test_moses(start, low, high, epochs):
    increase = (high - low) / (epochs - start)

    def kl_weight(epoch):  # molecularsets/moses, its VAE
        return low + increase * max(0, epoch - start)

    annealer = Annealer(epochs - start, baseline=low, max_weight=high, delay=start)
    assert_same(annealer, kl_weight, epochs)
    assert annealer.weight_at(epochs - 1) < high


def test_sentence_vae_linear():
    assert_same(Annealer(2500), lambda step: min(1, step / 2500), 3000)  # timbmg/Sentence-VAE


@pytest.mark.parametrize("k, x0, n", [(0.0025, 2500, 10_000), (0.0025, 2500, 4000), (0.1, 30, 50)])
def test_sentence_vae_logistic(k, x0, n):
    def kl_weight(step):  # timbmg/Sentence-VAE
        return 1 / (1 + math.exp(-k * (step - x0)))

    annealer = Annealer(n, Logistic(k * n, x0 / n), baseline=1 / (1 + math.exp(k * x0)))
    bound = 1 / (1 + math.exp(k * (n - x0)))  # as the table says
    apart = assert_same(annealer, kl_weight, n + 1000, tolerance=bound * (1 + 1e-6))
    assert apart == pytest.approx(bound, rel=1e-6)


@pytest.mark.parametrize("batches, warmup, cycle", [(10, 5, 10), (13, 4, 8)])
def test_fu_et_al_as_published(batches, warmup, cycle):
    betas = []
    for epoch in range(2 * cycle):  # haofuml/cyclical_annealing, the language model: raised, then used
        if epoch % cycle == 0:
            beta = 0.1
        for _ in range(batches):
            beta = min(1, beta + 1 / (warmup * batches))
            betas.append(beta)
    low = 0.1 + 1 / (warmup * batches)
    annealer = Annealer(cycle * batches, baseline=low, cyclical=True, ratio=(1 - low) * warmup / cycle)
    assert_same(annealer, betas.__getitem__, len(betas))


@pytest.mark.parametrize("cycle, ratio, cycles", [(40, 0.5, 4), (25, 0.8, 3)])
def test_fu_et_al_as_in_the_paper(cycle, ratio, cycles):
    def beta(n):
        into = (n % cycle) / cycle
        return into / ratio if into < ratio else 1.0

    assert_same(Annealer(cycle, cyclical=True, ratio=ratio, cycles=cycles), beta, cycles * cycle)


@pytest.mark.parametrize("length", [2.5, 10.01, 99.7])
def test_a_ramp_of_a_length_that_is_not_whole(length):
    whole = math.ceil(length)
    assert_same(Annealer(whole, ratio=length / whole), lambda n: min(1, n / length), 2 * whole)
