"""Executes submissions, several at a time, each in kernels of its own with the limits of limits.py.

A cell that ends its kernel ends nothing else: a new kernel runs the notebook again, without that cell, and goes on with
the checks that have no result yet. So a submission always has a result for each check.
"""

import asyncio
import json
import logging
import os
import shutil
import sys
from collections import Counter
from collections.abc import Awaitable, Callable, Iterable
from pathlib import Path
from typing import Any

import nbformat
from jupyter_client import AsyncKernelManager
from jupyter_client.kernelspec import KernelSpec
from nbclient import NotebookClient
from nbclient.exceptions import CellTimeoutError

from grading.sandbox import Sandbox

LIMITS = Path(__file__).with_name("limits.py")
WAITING = 60  # seconds on the clock for a cell; far more than a right answer takes, also on a busy machine
AGAIN = 15  # and after a cell of the same question waited that long
KERNELS = 12  # for one submission; after that the checks that are left have no result
ENDS = 2  # checks of one question that may end the kernel; the others of that question are not run then
OWN = "--"  # the question of cells of the student's own; if they end the kernel again and again, none of them is run
TEXT, PICTURES = 20_000, 2_000_000  # signs that a cell may show, as text and as pictures
SHOWN = ("text/plain", "image/png", "image/jpeg")  # nothing that a browser would run
MEMORY_SIGNS = ("bad_alloc", "allocate memory", "Cannot allocate", "MemoryError")
SKIPPED = "skip-execution"  # the tag of cells that only draw or train

log = logging.getLogger("grading")
log.addHandler(logging.NullHandler())
log.propagate = False


class Kernel(AsyncKernelManager):
    """A kernel in the sandbox. It listens to files, not to ports, since it has no network."""

    prefix: Callable[[list[str]], list[str]]

    def format_kernel_cmd(self, extra_arguments: list[str] | None = None) -> list[str]:
        return self.prefix(super().format_kernel_cmd(extra_arguments))


class Client(NotebookClient):
    """nbclient, with less output: text and pictures only, and no more of them than a person reads."""

    seconds = WAITING

    def process_message(self, msg: dict[str, Any], cell: Any, cell_index: int) -> Any:
        content = msg.get("content", {})
        if msg["msg_type"] in ("display_data", "execute_result", "update_display_data"):
            data = content.get("data", {})
            content["data"] = {kind: value for kind, value in data.items() if kind in SHOWN}
            if data and not content["data"]:
                content["data"] = {"text/plain": f"(not shown here: {', '.join(sorted(map(str, data)))[:200]})"}
            content["metadata"] = {}
        before = cell.metadata.get("shown", {})
        bounded(content, before)
        cell.metadata["shown"] = before
        if content.get("nothing"):
            return None
        return super().process_message(msg, cell, cell_index)


def bounded(content: dict[str, Any], shown: dict[str, int]) -> None:
    """Cuts what a message holds, so that a cell shows no more than its share; `shown` counts that."""
    for holder in (content, content.get("data", {})):
        for kind in ("text", "text/plain", "evalue"):
            if isinstance(holder.get(kind), str):
                left = TEXT - shown.get("text", 0)
                shown["text"] = shown.get("text", 0) + len(holder[kind])
                if len(holder[kind]) > left:
                    content["nothing"] = left <= 0 and kind != "evalue"
                    holder[kind] = holder[kind][: max(left, 300)] + "\n... (the rest is cut)\n"
    for kind in ("image/png", "image/jpeg"):
        picture = content.get("data", {}).get(kind)
        if picture is not None:
            shown["pictures"] = shown.get("pictures", 0) + len(picture)
            if shown["pictures"] > PICTURES:
                content["data"] = {"text/plain": "(a picture that is too large is not shown here)"}
    if "traceback" in content:
        lines = [str(line)[:2000] for line in content["traceback"]]
        content["traceback"] = lines if len(lines) <= 40 else [*lines[:5], "...", *lines[-30:]]


def question(cell: Any) -> str:
    return cell.metadata.get("nbgrader", {}).get("grade_id", OWN)[:2]


def is_check(cell: Any) -> bool:
    marks = cell.metadata.get("nbgrader", {})
    return bool(marks.get("grade") and not marks.get("solution"))


def error(kind: str, sentence: str) -> nbformat.NotebookNode:
    return nbformat.v4.new_output("error", ename=kind, evalue=sentence, traceback=[f"{kind}: {sentence}"])


async def executed(notebook: dict[str, Any], sandbox: Sandbox) -> dict[str, Any]:
    """The notebook with its outputs. Nothing that a submission does is an exception here."""
    whole = nbformat.reads(json.dumps(notebook), as_version=4)
    done: set[int] = set()  # cells that are not run again: checks with a result, and cells that ended a kernel
    slow: set[str] = set()  # questions in which a cell waited too long
    ends: Counter[str] = Counter()
    for number in range(KERNELS):
        ended = await one_kernel(whole, done, slow, sandbox)
        if ended is None:
            break
        ends[question(whole.cells[ended]) if is_check(whole.cells[ended]) else OWN] += 1
        for index, cell in enumerate(whole.cells):
            if ends[OWN] > ENDS and question(cell) == OWN:
                done.add(index)
            hopeless = ends[question(cell)] >= ENDS or number == KERNELS - 1
            if is_check(cell) and index not in done and hopeless:
                stop(cell, "KernelEnded", "Not run, because cells before it ended the kernel.")
                done.add(index)
    for cell in whole.cells:
        cell.metadata.pop("shown", None)
    return whole


async def one_kernel(whole: Any, done: set[int], slow: set[str], sandbox: Sandbox) -> int | None:
    """Runs what is not done yet. Returns the number of the cell at which the kernel ended, or None at the end."""
    scratch = sandbox.scratch()
    index = 0
    manager = Kernel(transport="ipc", ip=str(scratch / "k"), connection_file=str(scratch / "kernel.json"))
    if os.name == "nt":
        manager = Kernel(connection_file=str(scratch / "kernel.json"))
    manager.prefix = lambda command: sandbox.command(scratch, command)
    argv = [sys.executable, "-m", "ipykernel_launcher", "-f", "{connection_file}"]
    manager._kernel_spec = KernelSpec(argv=argv, language="python", display_name="Python 3")
    shutil.copy(LIMITS, scratch / "limits.py")
    client = Client(whole, km=manager, allow_errors=True, timeout_func=lambda cell: client.seconds, log=log,
                    skip_cells_with_tag=SKIPPED, startup_timeout=600, iopub_timeout=60)  # fmt: skip
    client.extra_arguments = [f"--IPKernelApp.exec_files={scratch / 'limits.py'}"]
    complaints = scratch / "stderr"
    try:
        with complaints.open("wb") as stderr:
            settings = {"env": sandbox.environment(scratch), "cwd": str(scratch), "stderr": stderr, "stdout": stderr}
            await client.async_start_new_kernel(**settings)
        await client.async_start_new_kernel_client()
        for index, cell in enumerate(whole.cells):
            if cell.cell_type != "code" or index in done:
                continue
            client.seconds = AGAIN if question(cell) in slow else WAITING
            await client.async_execute_cell(cell, index)
            if is_check(cell) or timed_out(cell):
                done.add(index)
        return None
    except CellTimeoutError:
        slow.add(question(whole.cells[index]))
        stop(whole.cells[index], "TimeoutError", f"This cell was stopped after {client.seconds} s of waiting.")
    except Exception as reason:  # the kernel has died, or has sent what no kernel sends
        said = complaints.read_bytes()[-20_000:].decode("utf-8", "replace") if complaints.is_file() else ""
        if any(sign in said for sign in MEMORY_SIGNS):
            stop(whole.cells[index], "MemoryError", "This cell needed more memory than there is for a submission.")
        else:
            log.info("a kernel ended: %r %s", reason, said[-1000:])
            stop(whole.cells[index], "KernelEnded", "This cell ended the kernel: the program that runs the notebook.")
    finally:
        await gone(client, manager)
        shutil.rmtree(scratch, ignore_errors=True)
    done.add(index)
    return index


def timed_out(cell: Any) -> bool:
    return any(output.get("ename") == "TimeoutError" for output in cell.outputs)


def stop(cell: Any, kind: str, sentence: str) -> None:
    cell.outputs = [output for output in cell.get("outputs", []) if output.output_type != "error"]
    cell.outputs.append(error(kind, sentence))


async def gone(client: NotebookClient, manager: AsyncKernelManager) -> None:
    """Makes sure that nothing of a kernel is left."""
    try:
        if client.kc is not None:
            client.kc.stop_channels()
        if manager.has_kernel:
            await manager.shutdown_kernel(now=True)
    except Exception as reason:  # it has ended already, in whatever way
        log.info("at the end of a kernel: %r", reason)
    manager.cleanup_connection_file()


async def several(
    notebooks: Iterable[tuple[str, dict[str, Any]]],
    sandbox: Sandbox,
    workers: int,
    finished: Callable[[str, dict[str, Any]], Awaitable[None]],
) -> None:
    """Executes notebooks, `workers` at a time, and hands each over when it is finished."""
    at_once = asyncio.Semaphore(workers)

    async def one(student: str, notebook: dict[str, Any]) -> None:
        async with at_once:
            outcome = await executed(notebook, sandbox)
        await finished(student, outcome)

    await asyncio.gather(*[one(student, notebook) for student, notebook in notebooks])


def cores() -> int:
    """The cores that this process may use."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
