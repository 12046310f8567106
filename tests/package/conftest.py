collect_ignore = ["digits.py"]  # a script, run in an environment of its own
