"""What came out: the stored runs, how they are made and read, their statistics, tables and pictures. No widget in here.

Of a comparison that was just trained:

report, verdict, advice   its table, what it shows in words, and what to look at next
written, page             the folder that it leaves: CSV, samples, pictures, report.html

Of the stored runs:

jobs, parts, pool, repeat what is trained, side by side or on a cluster, and trained again to compare
tail, lasting, claims     reading them at a distance from the last low weight; their tables; which claims hold
fair, factorial           cycles against one ramp within seeds; both schedules of Fu et al.'s code, two by two
fair_map, equal_discount  the map of schedules; cycles against one ramp of the same discount on it
bounds                    whether -log p(x) has enough importance samples
evidence                  older runs: snapshots at the end of schedules
stored, statistics        the one form in which runs are kept; intervals of paired differences
pictures, tail_pictures   the figures
schedule_pictures, fair_pictures, factorial_pictures    the figures of three lessons, with alternative text
findings, make            RESULTS.md, README's table and the figures; python -m kldanneal.lab.results.make
"""
