"""Widgets for the notebooks, on one base: native controls and SVG charts in a custom widget. No measuring is in here.

panel         the base: what is shared by all (panel.js, charts.js and panel.css draw it in the page)
controls      sliders, choices, fields, buttons
charts        charts as plain data
background    training that never blocks a widget; interrupts, so that the kernel's interrupt stops it
records       the history of runs, which outlives a widget
explorer      the map of stored schedules, with a guess (guess_map, explorer_view)
side_by_side  any two schedules (schedule_controls), trained at the same time (side_by_side_tables)
driver        move the KL weight by hand while a model trains (driver_view, missions)
small         the KL of one dimension; the linear VAE
writers       one's own sentence; z sliders (sentences)
predictions   a question that is answered before it is shown
figures       static pictures of drives and comparisons
"""
