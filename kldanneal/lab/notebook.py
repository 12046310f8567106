"""The first cell of every notebook: what it runs on, and how it shows figures."""

import importlib
import platform
import sys

import torch
from IPython import get_ipython
from matplotlib.figure import Figure

import kldanneal
from kldanneal.lab.drawing import small_png
from kldanneal.lab.threads import cores
from kldanneal.lab.training.run import pick_device


def start() -> None:
    """Prints the versions and the device, and has figures shown as small PNGs; in Colab, turns its widget manager on.

    Example::

        >>> start()                       # doctest: +ELLIPSIS
        kldanneal ... on Python ..., torch ...; training on ...
    """
    if "google.colab" in sys.modules:
        importlib.import_module("google.colab.output").enable_custom_widget_manager()
    if shell := get_ipython():
        shell.display_formatter.formatters["image/png"].for_type(Figure, small_png)
    device = pick_device()
    what = torch.cuda.get_device_name(device) if device.type == "cuda" else f"{cores()} cores"
    print(
        f"kldanneal {kldanneal.__version__} on Python {platform.python_version()}, torch {torch.__version__}; "
        f"training on {device} ({what})"
    )
