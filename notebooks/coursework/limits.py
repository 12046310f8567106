"""What a submission may use while it is graded. Every kernel that grades runs this file first; see nbgrader_config.py.

A cell that computes too long, or needs too much memory, ends with an error that says so, and the cells after it are
still graded. A kernel that cannot be stopped that way ends as a whole: that submission gets no grade, the others do.
"""


def limit(shell, cell_seconds, notebook_seconds, gigabytes):
    import gc
    import signal
    import sys
    import traceback
    import warnings

    warnings.simplefilter("ignore")  # nbgrader takes all points from a check that writes to stderr
    try:
        import resource
    except ImportError:  # Windows, where nbgrader's own time limit is all there is
        return
    _, hard = resource.getrlimit(resource.RLIMIT_DATA)
    resource.setrlimit(resource.RLIMIT_DATA, (gigabytes * 2**30, hard))
    signal.alarm(notebook_seconds)  # nobody handles this signal, so it ends the kernel

    def too_long(signum, frame):
        nonlocal cell_seconds, calls
        calls += 1
        if calls == 3:  # the cell goes on, as with "except: pass" in the loop; at the next signal the kernel ends
            signal.signal(signal.SIGPROF, signal.SIG_DFL)
        used, cell_seconds = cell_seconds, min(cell_seconds, 3)  # the next check of the same endless loop costs less
        raise TimeoutError(f"This cell was stopped after {used} s of computing. Is there a loop that never ends?")

    def before_cell(info):
        nonlocal calls
        calls = 0
        signal.signal(signal.SIGPROF, too_long)
        signal.setitimer(signal.ITIMER_PROF, cell_seconds, 1)

    def out_of_memory(shell, kind, error, trace, tb_offset=None):
        traceback.clear_frames(trace)  # they hold what filled the memory
        gc.collect()
        error = MemoryError(f"This cell needed more than the {gigabytes} GB of memory that there are for a submission.")
        shell.showtraceback((MemoryError, error, None), exception_only=True)

    def after_cell(result):
        signal.setitimer(signal.ITIMER_PROF, 0)
        sys.last_traceback = sys.last_value = sys.last_exc = None

    calls = 0
    shell.set_custom_exc((MemoryError,), out_of_memory)
    shell.events.register("pre_run_cell", before_cell)
    shell.events.register("post_run_cell", after_cell)


limit(get_ipython(), cell_seconds=10, notebook_seconds=300, gigabytes=4)  # noqa: F821  (IPython defines it)
del limit
