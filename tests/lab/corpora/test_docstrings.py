"""kldanneal.lab.corpora.docstrings: which sentences are kept, and the cache."""

import pytest
import torch

from kldanneal.lab.corpora import docstrings, toy
from kldanneal.lab.corpora.corpus import SPECIALS
from kldanneal.lab.corpora.load import load_corpus

DRAWN = zip(*toy.sample(8000, seed=9), strict=True)
#: 300 distinct sentences about future kitchens, of 11 to 13 words; all words are frequent.
SENTENCES = list(dict.fromkeys(line for line, labels in DRAWN if labels[:2].tolist() == [0, 2]))[:300]


def text(lines, newline="\n"):
    return newline.join([*lines, ""]).encode()


def write(path, lines, newline="\n"):
    path.write_bytes(text(lines, newline))
    return path


def splits(corpus):
    """The words of every sentence of the three splits."""
    return [[corpus.decode(ids) for ids in split] for split in (corpus.train, corpus.valid, corpus.test)]


def identical(one, other):
    return one.digest == other.digest and all(
        torch.equal(getattr(getattr(one, split), part), getattr(getattr(other, split), part))
        for split in ("train", "valid", "test")
        for part in ("tokens", "lengths")
    )


# ------------------------------------------------------------------------------------------------------ docstrings


@pytest.mark.parametrize(
    "docstring, expected",
    [
        ("Clear the cache, setting it to its initial state.", ["Clear the cache, setting it to its initial state."]),
        ("Return the absolute value", ["Return the absolute value."]),  # a summary line gets its full stop
        ("Do this first. Then do that.", ["Do this first.", "Then do that."]),
        ("Return the value.\nAnd the rest.", ["Return the value.", "And the rest."]),
        (
            "Summary over two\n    lines.\n\n    Details are\n    kept.",
            ["Summary over two lines.", "Details are kept."],
        ),
        ("A summary line\n\nSee also\n\nNotes on the cache", ["A summary line."]),  # headings are no sentences
        ("A summary line\n \t\nMore of it here.", ["A summary line.", "More of it here."]),  # a blank line with blanks
        ("\n\n   Leading blank lines are fine.  ", ["Leading blank lines are fine."]),
        ("Return `x` in ``order``.", ["Return x in order."]),  # the words of code stay, its marks go
        ("Don't touch this value.", ["Don't touch this value."]),
        ("Return a well-known set's size.", ["Return a well-known set's size."]),
        (
            "Read 3 values from the HTTP header (as text); stop.",
            ["Read 3 values from the HTTP header (as text); stop."],
        ),
        ("Compute f(x) for x. Nothing else is lost.", ["Nothing else is lost."]),  # code
        (">>> x = 1\n\nArgs:\n    x: what. It is kept.", ["It is kept."]),
        ("x.__add__(y) <==> x+y", []),
        ("Call myFunction now.", []),
        ("Return the value:", []),
        ("lower case at the start.", []),
        ("Word", []),  # one word is no sentence
        ("Wait for it...", []),
        ("", []),
        ("  \n\t ", []),
    ],
)
def test_plain_sentences(docstring, expected):
    assert docstrings.plain_sentences(docstring) == expected


@pytest.mark.parametrize(
    "docstring",
    [
        "A" + "a" * 2000 + "!",
        "Aa " + "a-'" * 700 + "!",
        "Aa" + ", a" * 700 + "!",
        "Aa" + " aa" * 700 + " (",
        "Aa (" + " aa" * 700,
        "Aa" + " (aa aa)" * 300 + "!",
        "Aa" + " 11 AA" * 300 + "!",
    ],
    ids=["letters", "marks", "commas", "words", "open", "brackets", "numbers"],
)
def test_the_search_does_not_backtrack_for_ever(docstring):
    """An earlier pattern took time exponential in the length of such text: with it this test never ended."""
    assert docstrings.plain_sentences(docstring) == []


NOUNS = ["apple", "bridge", "castle", "door", "engine", "flower", "garden", "house", "island", "jacket"]
VERBS = ["Open", "Close", "Paint", "Move", "Count", "Find", "Hide", "Lift", "Sort", "Check"]


@pytest.fixture
def stdlib(tmp_path, monkeypatch):
    """A small folder in the place of the standard library, and an empty cache."""
    source = tmp_path / "stdlib"
    (source / "package").mkdir(parents=True)
    for verb in VERBS:
        functions = (
            f'def f{i}{j}():\n    """{verb} the {noun} and the {other}.\n\n    Details."""\n'
            for i, noun in enumerate(NOUNS)
            for j, other in enumerate(NOUNS[:5])
        )
        (source / "package" / f"{verb}.py").write_text("\n".join(functions))
    monkeypatch.setattr(docstrings, "PACKAGES", ())
    monkeypatch.setattr(docstrings, "user_cache_path", lambda *_: tmp_path / "cache")
    monkeypatch.setattr(docstrings.sysconfig, "get_path", lambda *_: str(source))
    return source


def test_docstrings_of_modules_classes_and_functions_are_read_once_each(stdlib):
    for file in (stdlib / "package").iterdir():
        file.unlink()
    (stdlib / "module.py").write_text(
        '"""Sort the apple by size."""\n'
        'class C:\n    """Open the door of it."""\n'
        '    def method(self):\n        """Close the door again."""\n'
        'def again():\n    """Close the door again"""\n'
        'def code():\n    """Return f(x)."""\n'
    )
    (stdlib / "template.py").write_text("def {{name}}: this is no Python")
    (stdlib / "binary.py").write_bytes(b"\x00\xff\xfe")
    (stdlib / "notes.txt").write_text('"""Not a Python file."""')
    for skipped in ("tests", "test", "site-packages"):
        (stdlib / skipped).mkdir()
        (stdlib / skipped / "a.py").write_text('"""Skip this whole folder."""')
    assert sorted(docstrings.docstring_sentences()) == [
        "Close the door again.", "Open the door of it.", "Sort the apple by size.",
    ]  # fmt: skip


def test_docstrings_of_async_functions_are_read_as_well(stdlib):
    (stdlib / "asynchronous.py").write_text('async def wait(self):\n    """Wait for the door."""\n')
    assert "Wait for the door." in docstrings.docstring_sentences()


def test_docstrings_come_from_the_cache_the_second_time(stdlib, tmp_path):
    first = docstrings.docstring_sentences()
    assert len(first) == len(set(first)) == 500
    for file in (stdlib / "package").iterdir():
        file.unlink()
    assert docstrings.docstring_sentences() == first
    assert len(list((tmp_path / "cache").iterdir())) == 1  # and nothing temporary beside it


def test_docstrings_of_other_versions_are_read_again(stdlib, monkeypatch):
    docstrings.docstring_sentences()
    (stdlib / "new.py").write_text('"""Something new is here."""')
    monkeypatch.setattr(docstrings.platform, "python_version", lambda: "3.99.0")
    assert "Something new is here." in docstrings.docstring_sentences()


def test_docstrings_without_a_cache_warn_and_are_still_there(stdlib, tmp_path):
    (tmp_path / "cache").write_text("a file where the folder should be")
    with pytest.warns(UserWarning, match="could not be cached"):
        assert len(docstrings.docstring_sentences()) == 500


def test_docstrings_that_could_not_be_cached_leave_nothing_behind(stdlib, tmp_path, monkeypatch):
    def full_disk(*_):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(docstrings.os, "replace", full_disk)
    with pytest.warns(UserWarning, match="No space left"):
        assert len(docstrings.docstring_sentences()) == 500
    assert list((tmp_path / "cache").iterdir()) == []


def test_docstrings_as_a_corpus(stdlib):
    corpus = load_corpus("docstrings")
    train, valid, test = splits(corpus)
    assert sorted(train + valid + test) == sorted(
        f"{verb} the {noun} and the {other} .".lower() for verb in VERBS for noun in NOUNS for other in NOUNS[:5]
    )
    assert corpus.entropy is None and corpus.train.labels is None
    assert corpus.source.startswith("docstrings of python 3.")
    assert identical(load_corpus("docstrings"), corpus)
    shorter = load_corpus("docstrings", vocab_size=5)
    assert len(shorter.vocab) == 5 + len(SPECIALS)
    with pytest.raises(ValueError, match=r"at least 100 distinct sentences of 4 to 6 words.*got 0 from docstrings"):
        load_corpus("docstrings", max_length=6)  # all have seven, the full stop included
