"""The first cell of every notebook: what it runs on."""

import importlib
import platform
import sys

import torch

import kldanneal
from kldanneal.lab.threads import cores
from kldanneal.lab.training import pick_device


def start() -> None:
    """Prints the versions and the device; in Colab, also turns its widget manager on.

    Example::

        >>> start()                       # doctest: +ELLIPSIS
        kldanneal ... on Python ..., torch ...; training on ...
    """
    if "google.colab" in sys.modules:
        importlib.import_module("google.colab.output").enable_custom_widget_manager()
    device = pick_device()
    what = torch.cuda.get_device_name(device) if device.type == "cuda" else f"{cores()} cores"
    print(
        f"kldanneal {kldanneal.__version__} on Python {platform.python_version()}, torch {torch.__version__}; "
        f"training on {device} ({what})"
    )
