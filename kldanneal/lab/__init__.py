"""kldanneal.lab: what the notebooks and the command train, measure and draw. Each file has one job.

Modules, in reading order:

    corpora      text as tensors: the toy language, docstrings, Penn Treebank or a file of your own, one interface
    toy          the toy language: a grammar whose entropy is known exactly
    docstrings   real English with no download
    model        the LSTM VAE
    schedules    the schedules of a comparison, by name or written out
    settings     what a run is trained with
    training     one run: the training loop, resumable bit for bit
    threads      a core for each run
    files        written whole or not at all
    metrics      KL, reconstruction, -ELBO, active units, mutual information, -log p(x), always at KL weight 1
    comparison   several runs side by side, their tables, pictures and verdict
    plots        pictures of schedules and runs
    probe        what z has learnt of the toy language's hidden choices
    bank         what became of a real run under each of many schedules
    widgets      the notebooks' sliders and buttons
    notebook     the first cell of every notebook
    cli          the command ``kldanneal``
"""

from importlib.util import find_spec

for _package in ("torchtext", "numpy", "matplotlib", "tqdm", "platformdirs", "ipywidgets"):
    if find_spec(_package) is None:
        raise ModuleNotFoundError(
            f"kldanneal.lab needs {_package}, which is not installed. Install the extra that brings it: "
            'pip install "kldanneal[notebooks]"',
            name=_package,
        )
