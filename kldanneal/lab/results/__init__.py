"""What came out: the stored runs, how they are made and read, their statistics, tables and pictures. No widget in here.

sweep       runs of a small model under many schedules, and the closest of them to a schedule
evidence    runs over paired seeds behind the claims of README and of the notebooks
stored      the one form in which both are kept, with versions, machine and date
statistics  intervals of paired differences
report      what is said of a comparison: table, verdict, samples, files
pictures    the figures of the evidence
make        trains the stored runs again: python -m kldanneal.lab.results.make
"""
