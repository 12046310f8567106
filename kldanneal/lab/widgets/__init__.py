"""Widgets for the notebooks (ipywidgets 7.7 or 8): controls around functions that draw. No measuring is in here.

explorer      shape a schedule, and see the closest stored run
side_by_side  two schedules train at the same time
driver        move the KL weight by hand while a model trains
figures       the figures whose lines move
picture       a figure that follows a slider
background    training that never blocks a widget
"""
