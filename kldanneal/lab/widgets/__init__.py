"""Widgets for the notebooks: thin shells over functions that draw a Figure. ipywidgets 7.7 and 8.

explorer      shape a schedule, and see what became of the nearest real run
side_by_side  two schedules train at once
driver        move the KL weight by hand while a model trains
picture       a figure that follows a slider
background    training that never blocks a widget
"""
