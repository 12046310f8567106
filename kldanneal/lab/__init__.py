"""What the notebooks and the command train, measure and draw. A lesson imports everything from here.

Rooms and files, in reading order; each imports only from those above it:

    corpora/     text as tensors: the toy language, docstrings, Penn Treebank, or a file. No model is in here.
    model        the LSTM VAE
    metrics      KL, reconstruction, -ELBO, active units, mutual information, -log p(x), always at KL weight 1
    plots        the palette, and pictures of schedules and of training
    linear       the linear VAE, where the optimum can be computed; linear_plot, its KL against the KL weight
    diagrams     the LSTM VAE, the ELBO and the KL as pictures that explain; drawing, their colours, boxes and words
    prices       the hidden choices of the toy language by name, their prices, and what z tells of each
    live         one run while it trains, over a logarithmic axis
    probe        what z says about the toy language's hidden choices; probe_pictures, the same as pictures
    tables       rows as text, Markdown or HTML
    training/    settings, schedules, one run, several runs side by side. Nothing is drawn or written in here.
    signs        the signs of posterior collapse for trained runs side by side
    results/     the stored runs, how they are made and read, statistics, tables, figures. No widget is in here.
    page/        the explorer as one page that needs no install
    widgets/     the notebooks' sliders and buttons. No measuring is in here.
    questions/   the predictions of each lesson, with their answers
    notebook     the first cell of every notebook
    assignment   what the checks of the coursework need
    cli/         the command ``kldanneal``
    threads, files, terminal    a core for each run; files that are written whole or not at all; text for a terminal
"""

from importlib import import_module
from importlib.util import find_spec

for _package in ("torchtext", "numpy", "scipy", "matplotlib", "tqdm", "platformdirs", "anywidget"):
    if find_spec(_package) is None:
        raise ModuleNotFoundError(
            f"kldanneal.lab needs {_package}, which is not installed. Install the extra that brings it: "
            'pip install "kldanneal[notebooks]"',
            name=_package,
        )

#: The names that lessons use, and the module of each. A module is loaded when one of its names is first used.
_HOMES = {
    "corpora.load": ("load_corpus",),
    "corpora.toy": ("CHOICES",),
    "model": ("LSTMVAE",),
    "metrics": ("MEASURES", "evaluate"),
    "linear": (
        "LinearVAE",
        "linear_optimum",
        "principal_variances",
        "rotated_data",
        "train_linear_vae",
    ),
    "linear_plot": ("plot_linear_kl", "plot_linear_training"),
    "diagrams": ("plot_gaussian_kl", "plot_message", "plot_model"),
    "plots": ("plot_schedules", "smooth", "styles"),
    "probe": ("most_frequent", "plot_latent", "posteriors"),
    "training.settings": ("LR_SCHEDULES", "QUICK", "Settings"),
    "training.schedules": ("NAMED", "parse_schedules"),
    "training.hand": ("HandWeight", "Replay"),
    "training.score": ("score_drive",),
    "training.run": ("Run", "pick_device"),
    "training.comparison": ("Comparison",),
    "results.report": ("plot", "samples", "table", "verdict"),
    "threads": ("cores",),
    "widgets.driver": ("DriveTheWeight",),
    "widgets.figures": ("plot_driven", "plot_side_by_side", "plot_units"),
    "widgets.explorer": ("ScheduleExplorer",),
    "widgets.side_by_side": ("SideBySide",),
    "widgets.small": ("GaussianKL", "LinearSwitches"),
    "widgets.writers": ("OwnSentence", "ZSliders"),
    "widgets.predictions": ("Prediction",),
    "questions": ("predict",),
    "notebook": ("start",),
}
__all__ = sorted(name for names in _HOMES.values() for name in names)


def __getattr__(name: str) -> object:
    for module, names in _HOMES.items():
        if name in names:
            return getattr(import_module(f"{__name__}.{module}"), name)
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
