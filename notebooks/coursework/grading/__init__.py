"""Grades a class's notebooks. In the order in which a submission passes through them:

lms        the names that Moodle and Canvas give to files, in and out
collect    finds each student's notebook in a folder or an archive
mend       puts the student's answers into the assignment as it was handed out
sandbox    a place for a kernel with no network and none of the teacher's files
run        executes the notebook there, cell by cell; limits is what a submission may use
record     nbgrader's gradebook: points, marks by hand, what was graded before
feedback   the page that a student reads
"""
