"""The explorer as one page that needs no install: ``make page`` writes build/page/index.html.

data        the stored runs of the map, as the charts and the page read them
charts      the map of schedules and the curves of training, as Vega-Lite charts with parameters
make        puts charts, data and page.html into one file: python -m kldanneal.lab.page.make
lessons     the notebooks as pages: python -m kldanneal.lab.page.lessons

page.html, page.css and page.js are the page around the charts. The extra ``page`` brings Altair and vl-convert.
"""
