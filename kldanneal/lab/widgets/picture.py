"""A matplotlib figure that follows a slider: the axes are drawn once, the lines that move are drawn over them."""

import io
import threading
from collections.abc import Sequence
from typing import ClassVar

import ipywidgets as W
import numpy as np
from matplotlib.artist import Artist
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure
from PIL import Image


class Picture(W.Image):
    """A figure in a notebook's page. Change the data of an artist, then call :meth:`refresh`.

    Args:
        figure (Figure): its axes, its labels, and all that does not move.
        moving (sequence of Artist): what changes. Only these are drawn again by ``refresh()``, which takes a fraction
            of a whole drawing; after a change of anything else call ``refresh(whole=True)``.

    Example::

        >>> figure = Figure()
        >>> (line,) = figure.subplots().plot([0, 1], [0, 1])
        >>> picture = Picture(figure, [line])
        >>> before = bytes(picture.value)
        >>> line.set_ydata([1, 0])
        >>> picture.refresh()
        >>> bytes(picture.value) == before
        False
    """

    #: Held while anything is drawn, for matplotlib draws in one thread at a time. A thread that changes what another
    #: may be drawing holds it as well.
    lock: ClassVar = threading.RLock()

    def __init__(self, figure: Figure, moving: Sequence[Artist] = ()) -> None:
        super().__init__(
            format="png", layout=W.Layout(max_width="100%", height="auto", object_fit="contain", margin="0")
        )
        self.figure, self.moving = figure, list(moving)
        self._canvas = FigureCanvasAgg(figure)
        for artist in self.moving:
            artist.set_animated(True)  # matplotlib leaves these to us
        self.refresh(whole=True)

    def refresh(self, whole: bool = False) -> None:
        """Shows the figure as it is now."""
        with self.lock:
            if whole:
                self._canvas.draw()
                self._background = self._canvas.copy_from_bbox(self.figure.bbox)
            self._canvas.restore_region(self._background)
            for artist in self.moving:
                self.figure.draw_artist(artist)
            pixels = np.asarray(self._canvas.buffer_rgba())[..., :3]  # opaque: a quarter less to compress
            png = io.BytesIO()
            Image.fromarray(np.ascontiguousarray(pixels)).save(png, format="png", compress_level=1)
        self.value = png.getvalue()
