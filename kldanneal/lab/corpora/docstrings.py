"""Real English without a download: the sentences of the docstrings that every installation with torch carries.

The standard library, torch and the packages that come with torch (NumPy, SymPy, NetworkX) hold tens of thousands of
sentences such as "Clear the cache, setting it to its initial state." This module reads the source files (nothing is
imported), keeps the plain sentences, and caches them. The content depends on the versions installed, so a corpus prints
a digest of it.
"""

import ast
import hashlib
import importlib.util
import os
import platform
import re
import sysconfig
import warnings
from collections.abc import Iterator
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path

from platformdirs import user_cache_path
from tqdm.auto import tqdm

from kldanneal.lab.files import replacing

PACKAGES = ("torch", "numpy", "sympy", "networkx")  # torch, and what it brings along
SKIPPED_FOLDERS = {"site-packages", "dist-packages", "test", "tests", "testing", "__pycache__"}
WORD = r"(?:[A-Za-z][a-z'-]*|[A-Z]{2,6}s?|[0-9]+)"  # a word, an acronym or a whole number: no code
SENTENCE = re.compile(rf"[A-Z][a-z'-]*(?:[,;]? {WORD}|,? \({WORD}(?: {WORD})*\))+\.?")
DOCUMENTED = (ast.ClassDef, ast.FunctionDef, ast.AsyncFunctionDef)
FORMAT = 4  # raise it when the rules above change: old caches are then left alone


def sources() -> dict[str, str]:
    """The packages that are read and their versions: what the content of the corpus depends on."""
    found = {"python": platform.python_version()}
    for package in PACKAGES:
        try:
            found[package] = version(package)
        except PackageNotFoundError:
            continue
    return found


def docstring_sentences() -> list[str]:
    """The distinct plain sentences of all docstrings, in a fixed order; read once, then from the cache."""
    key = hashlib.sha256(repr((FORMAT, sorted(sources().items()))).encode()).hexdigest()[:16]
    cache = user_cache_path("kldanneal") / f"docstrings-{key}.txt"
    if cache.is_file():
        return cache.read_text(encoding="utf-8").splitlines()
    sentences = list(dict.fromkeys(_read_all()))  # distinct, first come first
    try:
        cache.parent.mkdir(parents=True, exist_ok=True)
        with replacing(cache, f".{os.getpid()}.partial") as file:  # another process may be writing the same cache
            file.write(("\n".join(sentences) + "\n").encode())
    except OSError as error:
        warnings.warn(f"The docstring sentences could not be cached and will be read again: {error}", stacklevel=2)
    return sentences


def plain_sentences(docstring: str) -> list[str]:
    r"""The sentences of a docstring that are plain English: all that end in a period, and the summary line without one.

    Example::

        >>> plain_sentences("Clear the cache.\n\nIt takes O(n) time. Nothing else is lost.\n\nSee also")
        ['Clear the cache.', 'Nothing else is lost.']
    """
    summary, *others = ("".join(paragraph.split("`")) for paragraph in re.split(r"\n\s*\n", docstring.strip()))
    first, *rest = _sentences(summary)
    rest += [sentence for paragraph in others for sentence in _sentences(paragraph)]
    found = [first, *(sentence for sentence in rest if sentence.endswith("."))]
    return [sentence.rstrip(".") + "." for sentence in found if SENTENCE.fullmatch(sentence)]


def _sentences(paragraph: str) -> list[str]:
    return re.split(r"(?<=\.)\s", " ".join(paragraph.split()))


def _read_all() -> Iterator[str]:
    files = [file for root in _roots() for file in _python_files(root)]
    for file in tqdm(files, desc="reading docstrings", unit="file", leave=False, disable=None):
        try:
            with warnings.catch_warnings():
                warnings.simplefilter("ignore")  # other people's invalid escape sequences
                tree = ast.parse(file.read_bytes())
        except (SyntaxError, ValueError, OSError):  # a template, or a file for another version of Python
            continue
        yield from _plain(tree)


def _plain(node: ast.AST) -> Iterator[str]:
    for child in [node, *(n for n in ast.walk(node) if isinstance(n, DOCUMENTED))]:
        docstring = ast.get_docstring(child)
        if docstring:
            yield from plain_sentences(docstring)


def _roots() -> Iterator[Path]:
    yield Path(sysconfig.get_path("stdlib"))
    for package in PACKAGES:
        spec = importlib.util.find_spec(package)
        if spec and spec.origin:
            yield Path(spec.origin).parent


def _python_files(root: Path) -> Iterator[Path]:
    for folder, subfolders, files in os.walk(root):
        subfolders[:] = sorted(set(subfolders) - SKIPPED_FOLDERS)
        yield from (Path(folder, file) for file in sorted(files) if file.endswith(".py"))
