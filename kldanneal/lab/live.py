"""One run while it trains, over a logarithmic axis: the first ten updates have as much room as the last thousand."""

from collections.abc import Mapping

from matplotlib.figure import Figure
from matplotlib.ticker import FuncFormatter

from kldanneal.lab.drawing import WIDTH, Diagram
from kldanneal.lab.plots import BLACK, BLUE, GREEN, VERMILION, History, TrainingPanels


def plot_live(
    history: History, exchanged: Mapping[int, float] | None = None, *, updates: int, entropy: float, title: str
) -> Diagram:
    """KL weight, KL and reconstruction of one run so far; the first update is 1.

    Args:
        history: as :meth:`Run.history` gives it.
        exchanged (mapping, optional): what exchanging z costs after some updates, in nats; drawn beside the KL.
        updates (int): of the whole run, the width of the picture.
        entropy (float): of the language, a dotted line.
        title (str): says what is trained, and with which seed.
    """
    figure = Figure(figsize=(WIDTH, 5.8), layout="constrained")
    panels = TrainingPanels(figure.subplots(3, sharex=True, height_ratios=(0.7, 1.6, 1.3)), updates, (0, 80), entropy)
    step = [update + 1 for update in history["step"]]
    kl, reconstruction = list(history["kl"]), list(history["reconstruction"])
    panels.weight.plot(step, history["kl_weight"], color=BLACK)
    panels.kl.plot(step, kl, color=BLUE, label="KL")
    panels.reconstruction.plot(step, reconstruction, color=GREEN)
    costs = {update: cost for update, cost in (exchanged or {}).items() if update <= len(step)}
    if costs:
        panels.kl.plot(list(costs), list(costs.values()), "D", color=VERMILION, label="cost of exchanging z")
    highest = max([0.5, *kl, *costs.values()])
    panels.kl.set(yscale="linear", ylim=(min([-0.1 * highest, *costs.values()]), 1.1 * highest))
    panels.kl.legend(loc="upper right", frameon=False, fontsize=10)
    panels.reconstruction.set(xscale="log", xlim=(1, updates))
    panels.reconstruction.xaxis.set_major_formatter(FuncFormatter(lambda value, _: f"{value:,.0f}"))
    panels.reconstruction.annotate("dotted: entropy of the language", (1.1, entropy + 2), fontsize=9)
    figure.suptitle(title, fontsize=9)
    figure.align_ylabels()
    alt = f"KL weight, KL and reconstruction over the updates, on a logarithmic axis. {title}. "
    if not kl:
        return Diagram(figure, alt + "No update so far.")
    top = max(range(len(kl)), key=kl.__getitem__)
    alt += f"After {len(kl):,} updates: the KL is highest at update {top + 1:,}, {kl[top]:.2f} nats, and at the end "
    alt += f"{kl[-1]:.3f}; the reconstruction went from {reconstruction[0]:.1f} to {reconstruction[-1]:.1f} nats."
    if costs:
        alt += f" Exchanging z cost at most {max(costs.values()):.2f} nats."
    return Diagram(figure, alt)
