r"""For those who come from hubertrybka/vae-annealing.

The names and the calls are the same. Replace the two imports, and your loop runs:

    from kldanneal import Annealer, VAELoss        # before: from annealing import Annealer; from loss import VAELoss

**What is the same.** ``Annealer(total_steps, shape, baseline, cyclical, disable)`` with the same order and defaults,
``annealer(kld)``, ``annealer.step()``, ``annealer.set_cyclical(value)``, and a ``current_step`` that starts at 0.
``VAELoss()(x, x0, mu, logvar)`` returns the reconstruction and the KL. The KL term is the same number: summed over the
latent dimensions, averaged over the batch.

**What differs in the weight.** ``'linear'`` and ``'cosine'`` give the same weights. ``'logistic'`` does not. There it
is sigmoid(step - total_steps / 2), which jumps within about 10 steps whatever total_steps is, and raises OverflowError
from total_steps = 1420. Here it spreads over the whole ramp and runs from exactly 0 to exactly 1.

    >>> from kldanneal import Annealer, VAELoss
    >>> import math
    >>> theirs = lambda step, total_steps: 1 / (1 + math.exp(total_steps / 2 - step))
    >>> [round(theirs(step, 200), 3) for step in (0, 50, 95, 105, 200)]
    [0.0, 0.0, 0.007, 0.993, 1.0]
    >>> [round(Annealer(200, "logistic").weight_at(step), 3) for step in (0, 50, 95, 105, 200)]
    [0.0, 0.045, 0.425, 0.575, 1.0]

If you want their curve, up to its rescaled ends, it is ``Logistic(steepness=total_steps)`` of
:mod:`kldanneal.shapes`, which never overflows.

**What differs in the scale of the loss.** The same call returns another reconstruction term, for two reasons:

1. There it is averaged over the elements of an example; here it is summed. The KL is a sum over latent dimensions in
   both. So only here is ``bce + kld`` the negative ELBO, in nats per example. The mean divides the reconstruction by
   the number of elements. That has the same effect as a KL weight multiplied by this number: a KL weight of 64 for an
   image of 64 pixels. It can make the KL vanish by itself.
2. There the two arguments of ``binary_cross_entropy`` are exchanged: it takes the logarithm of the data, not of the
   reconstruction. PyTorch cuts the logarithm of 0 off at -100, so for data of zeros and ones the value is 100 times the
   mean of \|x - x0\|. That is not a likelihood.

One program that moved from there to here printed 51.3 before and 46.3 after, for the same call. The second number is in
nats per example; the first has no unit. They are close by accident. You can see how: take 64 binary pixels, and a
decoder that says 0.5 for each. Its cross-entropy is log 2 nats per pixel, which is 64 log 2 = 44.36 nats per example.
The two differences above turn it into 50, whatever the number of pixels.

    >>> import torch
    >>> x0 = (torch.arange(16 * 64).reshape(16, 64) % 3 == 0).float()
    >>> x, mu, logvar = torch.full((16, 64), 0.5), torch.ones(16, 4), torch.zeros(16, 4)
    >>> theirs = torch.nn.functional.binary_cross_entropy(x0, x)             # exchanged, and a mean over elements
    >>> bce, kld = VAELoss()(x, x0, mu, logvar)
    >>> round(theirs.item(), 2), round(bce.item(), 2), kld.item()
    (50.0, 44.36, 2.0)

To go on with a model that was trained there, you can have its loss back, with both mistakes:

    >>> old = VAELoss(reduction="mean")
    >>> [round(term.item(), 2) for term in old(x0, x, mu, logvar)]           # x0 first
    [50.0, 2.0]

Do not compare losses across the two scales. If a KL weight was tuned there with a mean over D elements (and the
arguments in the right order), ``Annealer(total_steps, max_weight=D)`` with our sum has the same minimum: both terms are
D times as large. A weight of D is far above 1, so such a model was not trained on the ELBO. Start again from weight 1.

**What differs in the loop.** The loop in the README there ends in ``(bcd + kld).backward``, without a call, so nothing
is trained. Write ``(bce + kld).backward()``. That loop steps once per epoch; you may step once per update instead, and
``total_steps`` then counts updates.

Reference:
    hubertrybka/vae-annealing, as of its last public commit: annealing.py, loss.py and README.md.
"""
