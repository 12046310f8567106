"""What a submission may use while it is graded. Every kernel that grades runs this file first; see run.py.

A cell that computes too long, or needs too much memory, ends with an error that says so, and the cells after it are
still graded. A kernel that cannot be stopped that way ends, and run.py goes on in a new one without that cell.

Time is time of computing (CPU seconds), so that a busy machine takes no points from anybody. Seconds on the clock count
only for programs that wait instead of computing: see WAITING in run.py.
"""


def limit(shell, cell_seconds, again_seconds, notebook_seconds, clock_seconds, gigabytes):
    import gc
    import signal
    import sys
    import time
    import traceback
    from contextlib import suppress

    with suppress(ImportError):  # loaded here, so that it costs no cell any time
        import torch

        import kldanneal.lab.assignment  # noqa: F401

        torch.set_num_threads(1)  # several threads on a busy machine compute mostly in order to wait for each other
    for name in ("exit", "quit"):  # in a notebook they end the kernel, and with it the cells that follow
        shell.user_ns.pop(name, None)
    try:
        import resource
    except ImportError:  # Windows has none of these limits, only WAITING
        return

    def at_most(kind, amount):
        _, highest = resource.getrlimit(kind)
        amount = amount if highest == resource.RLIM_INFINITY else min(amount, highest)
        resource.setrlimit(kind, (amount, highest))

    def filled():
        """Bytes that the kernel's variables fill; 0 on a system that does not say."""
        try:
            with open("/proc/self/statm") as file:
                return int(file.read().split()[5]) * resource.getpagesize()
        except OSError:
            return 0

    def allow(amount):
        """Sets the limit of memory. Where the system refuses more is above it: a message needs room, too."""
        nonlocal memory
        memory = amount
        at_most(resource.RLIMIT_DATA, memory + room)

    memory, room = 0, 2**29
    allow(gigabytes * 2**30)
    at_most(resource.RLIMIT_FSIZE, 2**27)
    at_most(resource.RLIMIT_CORE, 0)
    at_most(resource.RLIMIT_CPU, notebook_seconds)  # nothing handles the signals of these two, so they end the kernel
    signal.alarm(clock_seconds)
    started, times_stopped, stopped = 0.0, 0, set()

    def before_cell(info):
        nonlocal started, times_stopped
        started, times_stopped = time.process_time(), 0
        signal.signal(signal.SIGPROF, tick)
        signal.setitimer(signal.ITIMER_PROF, 0.1, 0.1)  # after every tenth of a second of computing

    def tick(signum, frame):
        """Ends a cell at its limit; a function that was stopped before ends sooner when another check calls it."""
        nonlocal times_stopped
        running = set()  # the code of the notebook's own functions; none is running while IPython shows a result
        while frame:
            if frame.f_globals is shell.user_ns and frame.f_code.co_filename != tick.__code__.co_filename:
                running.add(frame.f_code)
            frame = frame.f_back
        if running and filled() > memory:
            raise MemoryError
        used = time.process_time() - started
        if not running or used < (cell_seconds if running.isdisjoint(stopped) else again_seconds):
            return
        stopped.update(running)
        times_stopped += 1
        signal.setitimer(signal.ITIMER_PROF, 1, 1)
        if times_stopped == 3:  # it caught the error, and goes on: at the next signal the kernel ends
            signal.signal(signal.SIGPROF, signal.SIG_DFL)
        raise TimeoutError(f"This cell was stopped after {used:.0f} s of computing. Is there a loop that never ends?")

    def out_of_memory(shell, kind, error, trace, tb_offset=None):
        at_most(resource.RLIMIT_DATA, memory + 2 * room)
        traceback.clear_frames(trace)  # their variables hold what filled the memory
        gc.collect()
        allow(max(memory, filled() + room))  # if a global variable still holds it, the next cells need room as well
        error = MemoryError(f"This cell needed more than the {gigabytes} GB of memory that there are for a submission.")
        shell.showtraceback((MemoryError, error, None), exception_only=True)

    def after_cell(result):
        signal.setitimer(signal.ITIMER_PROF, 0)
        sys.last_traceback = sys.last_value = sys.last_exc = None

    shell.set_custom_exc((MemoryError,), out_of_memory)
    shell.events.register("pre_run_cell", before_cell)
    shell.events.register("post_run_cell", after_cell)


limit(
    get_ipython(),  # noqa: F821  (IPython defines it)
    cell_seconds=10,
    again_seconds=3,
    notebook_seconds=300,
    clock_seconds=3600,
    gigabytes=2,
)
del limit
