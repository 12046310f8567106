"""Small panels for the lessons: the KL of one dimension, and the linear VAE, where everything can be computed."""

from collections.abc import Sequence
from typing import Any

import numpy as np
import torch

from kldanneal import gaussian_kl
from kldanneal.lab.diagrams import plot_gaussian_kl
from kldanneal.lab.linear import linear_optimum
from kldanneal.lab.widgets import charts, controls
from kldanneal.lab.widgets.panel import Panel

EIGENVALUES = (6.0, 4.0, 2.5, 1.5, 0.8, 0.3)


class GaussianKL(Panel):
    """Sliders for mu and logvar of one latent dimension, over its posterior, its prior and the KL between them.

    Args:
        mu, logvar (float): where the sliders are at first. Default: 1.0 and -1.0.

    Example::

        >>> panel = GaussianKL()
        >>> panel["mu"], panel["logvar"] = 2, 0
        >>> panel.kl()
        2.0
    """

    def __init__(self, mu: float = 1.0, logvar: float = -1.0) -> None:
        tip = "The mean of q(z|x) in this dimension", "The logarithm of its variance: 0 is a variance of 1"
        inputs = {
            "mu": controls.slider("mu", mu, -4, 4, 0.05, "", tip[0]),
            "logvar": controls.slider("logvar", logvar, -6, 3, 0.1, "", tip[1]),
        }
        rows = [[["control:mu", "control:logvar", "text:result", "text:error"], ["chart:densities"]]]
        super().__init__("The KL of one latent dimension", rows, inputs)
        self.refresh()

    def kl(self) -> float:
        """KL(N(mu, exp(logvar)) || N(0, 1)) in nats."""
        return round(sum(self._parts()), 6)

    def _parts(self) -> tuple[float, float]:
        zero, one = torch.zeros(()), torch.tensor
        return gaussian_kl(one(float(self["mu"])), zero).item(), gaussian_kl(zero, one(float(self["logvar"]))).item()

    def draw(self) -> None:
        mu, deviation = self["mu"], float(np.exp(self["logvar"] / 2))
        of_mean, of_width = self._parts()
        reach = 1.2 * max(3.0, abs(mu) + 2.5 * deviation)
        z = np.unique(np.concatenate([np.linspace(-reach, reach, 150), mu + deviation * np.linspace(-4, 4, 150)]))
        lines = [
            charts.line(_density(z, 0, 1), "grey", z.round(3), dash=charts.DASHED),
            charts.line(_density(z, mu, deviation), "blue", z.round(3)),
        ]
        legend = [
            {"text": "prior p(z)", "color": "grey", "dash": charts.DASHED},
            {"text": "posterior q(z|x)", "color": "blue"},
        ]
        peak = 1.15 * max(0.4, 0.4 / deviation)
        alt = f"The prior N(0, 1), and a posterior with mean {mu:.2f} and standard deviation {deviation:.2f}."
        panel = charts.panel("density", (0, peak), 150, lines=lines)
        self.show("chart:densities", charts.chart(alt, (-reach, reach), "z", [panel], legend))
        self.result(
            f"KL = {of_mean + of_width:.3f} nats: {of_mean:.3f} for the mean, {of_width:.3f} for the width.",
            "½ mu² for the mean, ½ (exp(logvar) - 1 - logvar) for the width.",
        )

    def _repr_mimebundle_(self, **kwargs: Any) -> tuple[dict[str, Any], dict[str, Any]]:
        data, metadata = super()._repr_mimebundle_(**kwargs)
        diagram = plot_gaussian_kl(float(self["mu"]), float(self["logvar"]))
        return {**data, "image/png": diagram.png(), "text/plain": diagram.alt}, {
            **metadata,
            "image/png": {"alt": diagram.alt},
        }


class LinearSwitches(Panel):
    """The linear VAE in closed form: sliders for the KL weight beta and for sigma², which switch dimensions off.

    Args:
        eigenvalues (sequence of float): the variances of the data along its principal directions. Default: six.

    Example::

        >>> panel = LinearSwitches([4.0, 2.0, 0.5])
        >>> panel["beta"], panel["variance"] = 2, 0.5
        >>> panel.optimum().used.tolist()
        [True, True, False]
    """

    def __init__(self, eigenvalues: Sequence[float] = EIGENVALUES) -> None:
        self.eigenvalues = list(eigenvalues)
        linear_optimum(self.eigenvalues)  # the checks
        inputs = {
            "beta": controls.slider("KL weight β", 1, 0.05, 8, 0.05, "", "How much the KL counts in the loss"),
            "variance": controls.slider("σ² of p(x|z)", 1, 0.05, 4, 0.05, "", "The fixed variance of the decoder"),
        }
        rows = [[["control:beta", "control:variance", "text:result", "text:error"], ["chart:directions"]]]
        super().__init__("The linear VAE: which dimensions are used?", rows, inputs)
        self.refresh()

    def optimum(self) -> Any:
        """The minimum of the loss at what the sliders say."""
        return linear_optimum(self.eigenvalues, beta=self["beta"], variance=self["variance"])

    def draw(self) -> None:
        found, n = self.optimum(), len(self.eigenvalues)
        threshold = self["beta"] * self["variance"]
        colors = ["blue" if used else "grey" for used in found.used]
        tops = (1.1 * max(*self.eigenvalues, threshold), max(0.5, 1.1 * float(found.kl.max())))
        rule = [{"y": threshold, "text": f"threshold β σ² = {threshold:.2f}"}]
        alt = f"{int(found.used.sum())} of {n} directions are above the threshold {threshold:.2f}."
        legend = [{"text": "used", "color": "blue", "width": 8}, {"text": "not used", "color": "grey", "width": 8}]
        panels = [
            charts.panel("eigenvalue", (0, tops[0]), 110, bars=charts.bars(self.eigenvalues, colors), rules=rule),
            charts.panel("KL, nats", (0, tops[1]), 80, bars=charts.bars(found.kl.tolist(), colors)),
        ]
        chart = charts.chart(alt, (0.5, n + 0.5), "principal direction", panels, legend)
        self.show("chart:directions", chart)
        used, kl = int(found.used.sum()), found.kl.sum()
        self.result(
            f"{used} of {n} dimensions are used; KL {kl:.3f} nats, -ELBO {found.neg_elbo:.2f}.",
            "A direction is used if its eigenvalue is above β σ². Both sliders move the same threshold.",
        )


def _density(z: np.ndarray, mean: float, deviation: float) -> np.ndarray:
    return np.exp(-(((z - mean) / deviation) ** 2) / 2) / (deviation * np.sqrt(2 * np.pi))
