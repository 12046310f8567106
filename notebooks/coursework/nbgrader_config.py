"""nbgrader's settings for this course: run its commands in this folder, with the environment's bin folder on PATH."""

from pathlib import Path

HERE = Path(__file__).resolve().parent

c = get_config()  # noqa: F821  (nbgrader defines it)
c.CourseDirectory.course_id = "kldanneal"
c.CourseDirectory.root = str(HERE)
c.ClearSolutions.code_stub = {"python": "# YOUR CODE HERE\n..."}
c.ClearSolutions.text_stub = "YOUR ANSWER HERE"
c.Execute.extra_arguments = [f"--IPKernelApp.exec_files={HERE / 'limits.py'}"]  # every kernel that grades runs it first

# Seconds on the clock. They are only for a program that waits for something, or where limits.py has no effect, as on
# Windows: far more than a right answer takes, also when other programs keep every core busy.
c.Execute.timeout = 180  # for a cell
c.Execute.startup_timeout = 600  # for a kernel to start
c.Execute.iopub_timeout = 120  # for the last output of a cell to come
