"""The explorer as one page that needs no install: ``make page`` writes build/page/index.html.

data        the stored runs of the map, as the charts and the page read them
charts      the map of schedules and the curves of training, as Vega-Lite charts with parameters
make        puts charts, data and page.html into one file: python -m kldanneal.lab.page.make
lessons     the notebooks as pages: python -m kldanneal.lab.page.lessons

page.html, page.css and page.js are the page around the charts. The controls are plain HTML, and set the parameters of
the charts. The inputs that Vega makes by itself have no legend for a screen reader, and cannot follow a grid of unequal
steps. The extra ``page`` brings Altair and vl-convert.
"""

from importlib.util import find_spec

for _package in ("altair", "nbconvert", "vl_convert"):
    if find_spec(_package) is None:
        raise ModuleNotFoundError(
            f"kldanneal.lab.page needs {_package}, which is not installed. Install the extra that brings it: "
            'pip install "kldanneal[page]"',
            name=_package,
        )
