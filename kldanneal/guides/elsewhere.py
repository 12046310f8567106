r"""How other libraries write their KL schedules, and the same in :class:`kldanneal.Annealer`.

The left column is the formula of the repository's code, with the names of its arguments. n counts optimizer updates
(or epochs, where it says so) from 0; the weight is the one that update n uses. The right column gives the same weights
to 1e-12, from ``weight_at(n)`` or from a loop that uses the weight and then calls ``step()``, unless the last column
says otherwise. A test compares both columns value by value.

| library (repository, defaults) | its weight | the same here | differs |
|---|---|---|---|
| scvi-tools (scverse/scvi-tools: n_epochs_kl_warmup=400, min_kl_weight=0, max_kl_weight=1; n counts epochs) | ``min_kl_weight + (max_kl_weight - min_kl_weight) * n / n_epochs_kl_warmup``, then ``max_kl_weight`` | ``Annealer(n_epochs_kl_warmup, baseline=min_kl_weight, max_weight=max_kl_weight)``; no warm-up: ``Annealer.constant(max_kl_weight)`` | no |
| MusicVAE (magenta/magenta: max_beta=0.2, beta_rate=0.99999 in several configurations) | ``max_beta * (1 - beta_rate ** n)`` | ``Annealer(N, Exponential(-N * log(beta_rate)), max_weight=max_beta)`` | at most ``max_beta * beta_rate ** N``, at n = N |
| MusicVAE, exact for a run of N updates | the same | the same with ``max_weight=max_beta * (1 - beta_rate ** N)`` | no, up to n = N; later less than ``max_beta * beta_rate ** N`` |
| Optimus (ChunyuanLI/Optimus: n_cycle=1, ratio_zero=0.25, ratio_increase=0.25, beta=1; a cycle of T updates) | 0 for ``ratio_zero * T``, a ramp of ``ratio_increase * T``, then ``beta`` | ``Annealer(T, ZeroThenRamp(ratio_zero / (ratio_zero + ratio_increase)), cyclical=True, ratio=ratio_zero + ratio_increase, max_weight=beta, cycles=n_cycle)`` | no, if both parts are whole numbers of updates; after the last cycle the weight stays at ``beta`` |
| JT-VAE (wengong-jin/icml18-jtnn: warmup=20000, kl_anneal_iter=5000, step_beta=0.01, max_beta=1, beta=0) | a stair: 0 before ``warmup``, then up by ``step_beta`` every ``kl_anneal_iter`` | ``Annealer(round(max_beta / step_beta), max_weight=max_beta, delay=max(0, warmup // kl_anneal_iter - 1))``, with ``weight_at(n // kl_anneal_iter)`` | no, if both divisions are even |
| MOSES (molecularsets/moses: kl_start=0, kl_w_start=0, kl_w_end=0.05, n_epoch=100; n counts epochs) | ``kl_w_start + max(0, n - kl_start) * (kl_w_end - kl_w_start) / (n_epoch - kl_start)`` | ``Annealer(n_epoch - kl_start, baseline=kl_w_start, max_weight=kl_w_end, delay=kl_start)`` | no; neither reaches ``kl_w_end`` within the n_epoch epochs |
| Sentence-VAE, linear (timbmg/Sentence-VAE: x0=2500) | ``min(1, n / x0)`` | ``Annealer(x0)`` | no |
| Sentence-VAE, logistic (k=0.0025, x0=2500) | ``1 / (1 + exp(-k * (n - x0)))`` | ``Annealer(N, Logistic(k * N, x0 / N), baseline=1 / (1 + exp(k * x0)))`` | at most ``1 / (1 + exp(k * (N - x0)))``, at n = N: 7e-9 for N = 10,000 |
| Fu et al. (haofuml/cyclical_annealing: warmup=5, cycle=10 epochs of B updates) | ``min(1, 0.1 + (m + 1) / (warmup * B))``, where m = n modulo ``cycle * B`` | ``Annealer(cycle * B, baseline=b, cyclical=True, ratio=(1 - b) * warmup / cycle)`` with ``b = 0.1 + 1 / (warmup * B)`` | no |
| Fu et al., as in the paper (M cycles of T updates, R = 0.5) | ``min(1, m / (R * T))``, where m = n modulo T | ``Annealer(T, cyclical=True, ratio=R, cycles=M)`` | no, in the M cycles |

Fu et al.'s script raises the weight before it uses it, so its first update uses ``b``, not 0.1.

Two rows as code. MusicVAE's weight never reaches ``max_beta``; ours does, at the N that you choose. A larger N makes
the difference smaller:

    >>> from math import log
    >>> from kldanneal import Annealer
    >>> from kldanneal.shapes import Exponential, ZeroThenRamp
    >>> N, max_beta, beta_rate = 1_000_000, 0.2, 0.99999
    >>> annealer = Annealer(N, Exponential(-N * log(beta_rate)), max_weight=max_beta)
    >>> theirs = lambda n: max_beta * (1 - beta_rate**n)
    >>> round(annealer.weight_at(100_000), 5), round(theirs(100_000), 5)
    (0.12643, 0.12642)
    >>> f"{annealer.weight_at(N) - theirs(N):.1e}"
    '9.1e-06'

Optimus keeps the weight at 0 for a quarter of the run, raises it over the next quarter, and then holds it:

    >>> Annealer(8, ZeroThenRamp(0.5), cyclical=True, ratio=0.5, cycles=1).schedule(8)
    [0.0, 0.0, 0.0, 0.5, 1.0, 1.0, 1.0, 1.0]

A ramp whose length L is not a whole number of steps is ``Annealer(ceil(L), ratio=L / ceil(L))``:

    >>> Annealer(3, ratio=2.5 / 3).schedule(4)
    [0.0, 0.4, 0.8, 1.0]
"""  # noqa: E501 (a row of a table is one line)
