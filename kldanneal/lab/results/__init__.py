"""What came out: the stored runs, how they are made and read, their statistics, tables and pictures. No widget in here.

Of a comparison that was just trained:

report, verdict, advice   its table, what it shows in words, and what to look at next
written, page             the folder that it leaves: CSV, samples, pictures, report.html

Of the stored runs:

jobs, parts, pool, repeat what is trained, side by side or on a cluster, and trained again to compare
tail, lasting, claims     reading them at a distance from the last low weight; their tables; which claims hold
keeping, budgets          what keeps the KL and what it costs; what to do with N updates; a guide
fair, factorial           cycles against one ramp within seeds; both schedules of Fu et al.'s code, two by two
fair_map, equal_discount  the map of schedules; cycles against one ramp of the same discount on it
bounds                    whether -log p(x) has enough importance samples
evidence                  older runs: snapshots at the end of schedules
stored, statistics        the one form in which runs are kept; intervals of paired differences
pictures, tail_pictures   the figures
schedule_pictures, fair_pictures, factorial_pictures, keeping_pictures    the figures of lessons, with alternative text
paths                     optimum or path: two ways to weight 1
drives, drive_pictures    drives of the KL weight with their scores; python -m kldanneal.lab.results.drives
annealed_loss             the loss beside the -ELBO while the weight grows
findings, make            RESULTS.md, README's table and the figures; python -m kldanneal.lab.results.make
"""
