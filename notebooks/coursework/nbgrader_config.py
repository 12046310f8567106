"""nbgrader's settings for this course: run its commands in this folder, with the environment's bin folder on PATH."""

from pathlib import Path

HERE = Path(__file__).resolve().parent

c = get_config()  # noqa: F821  (nbgrader defines it)
c.CourseDirectory.course_id = "kldanneal"
c.CourseDirectory.root = str(HERE)
c.ClearSolutions.code_stub = {"python": "# YOUR CODE HERE\n..."}
c.ClearSolutions.text_stub = "YOUR ANSWER HERE"
