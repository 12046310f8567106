"""kldanneal.lab.corpora.ptb: the files, the download, the checks."""

import hashlib
from pathlib import Path

import pytest
import torch
import torchtext.data.dataset

from kldanneal.lab.corpora import ptb, toy
from kldanneal.lab.corpora.corpus import UNK
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


# ------------------------------------------------------------------------------------------------------ Penn Treebank

PTB_FILES = {
    "ptb.train.txt": text([f" {line} <unk> N " for line in SENTENCES[:200]]),
    "ptb.valid.txt": text([f" {line} " for line in SENTENCES[200:250]]),
    "ptb.test.txt": text([f" {line} " for line in SENTENCES[250:]]),
}


@pytest.fixture
def treebank(tmp_path, monkeypatch):
    """Small files in the place of the Penn Treebank: their sums, a folder with them, and an empty cache."""
    sums = {name: hashlib.md5(content).hexdigest() for name, content in PTB_FILES.items()}
    monkeypatch.setattr(ptb, "MD5", sums)
    monkeypatch.setattr(ptb, "user_cache_path", lambda *_: tmp_path / "cache")
    folder = tmp_path / "by hand"
    folder.mkdir()
    for name, content in PTB_FILES.items():
        (folder / name).write_bytes(content)
    return folder


def serve(monkeypatch, content_of):
    """Lets torchtext download what ``content_of(file name)`` returns; returns the list of names asked for."""
    asked = []

    def download_from_url(url, path):
        asked.append(Path(path).name)
        content = content_of(asked[-1])
        Path(path).write_bytes(content)

    monkeypatch.setattr(torchtext.data.dataset, "download_from_url", download_from_url)
    return asked


def test_ptb_sums_are_torchtexts_file_names():
    assert [url.rsplit("/", 1)[1] for url in ptb.PennTreebank.urls] == list(ptb.MD5)


def test_ptb_from_a_folder(treebank):
    corpus = load_corpus("ptb", root=treebank)
    train, valid, test = splits(corpus)
    assert train == [f"{line} <unk> N" for line in SENTENCES[:200]]  # its own splits, its own <unk> and capitals
    assert [len(valid), len(test)] == [50, 50]
    assert corpus.train[0].tolist()[-3] == UNK
    assert identical(load_corpus("ptb", root=str(treebank)), corpus)
    assert 0 < len(load_corpus("ptb", root=treebank, max_length=14).train) < 200


def test_ptb_downloads_once_and_keeps_the_files(treebank, tmp_path, monkeypatch):
    asked = serve(monkeypatch, PTB_FILES.get)
    first = ptb.read()
    assert sorted(asked) == sorted(PTB_FILES)
    assert first == ptb.read() == ptb.read(treebank)
    assert len(asked) == 3
    assert [path.name for path in (tmp_path / "cache").iterdir()] == ["penn-treebank"]
    assert sorted(path.name for path in (tmp_path / "cache" / "penn-treebank").iterdir()) == sorted(PTB_FILES)


def test_ptb_completes_a_cache_that_lacks_a_file(treebank, tmp_path, monkeypatch):
    cached = tmp_path / "cache" / "penn-treebank"
    cached.mkdir(parents=True)
    (cached / "ptb.train.txt").write_bytes(PTB_FILES["ptb.train.txt"])
    serve(monkeypatch, PTB_FILES.get)
    assert ptb.read() == ptb.read(treebank)


def no_network(name):
    raise OSError("Network is unreachable")


def library_error(name):
    raise RuntimeError("the library's own error, with a page of text: " + "x" * 10_000)


@pytest.mark.parametrize(
    "content_of, reason",
    [
        (no_network, "Network is unreachable"),
        (library_error, "RuntimeError"),
        (lambda name: PTB_FILES[name][:-100], "MD5"),  # cut short
        (lambda name: b"404: Not Found", "MD5"),
        (lambda name: b"", "MD5"),
        (lambda name: PTB_FILES[name] if "train" in name else no_network(name), "Network is unreachable"),
    ],
    ids=["no network", "library error", "truncated", "error page", "empty", "one of three"],
)
def test_ptb_download_that_fails_says_what_to_do(treebank, tmp_path, monkeypatch, content_of, reason):
    asked = serve(monkeypatch, content_of)
    with pytest.raises(ConnectionError) as error:
        load_corpus("ptb")
    message = str(error.value)
    instructions = ["By hand", *PTB_FILES, str(tmp_path / "cache" / "penn-treebank"), "--root", "--corpus docstrings"]
    for words in ["Penn Treebank could not be downloaded", reason, *instructions]:
        assert words in message
    assert len(message) < 1500 and "\n" not in message
    assert asked and list((tmp_path / "cache").iterdir()) == []  # nothing half-written
    serve(monkeypatch, PTB_FILES.get)
    assert ptb.read() == ptb.read(treebank)  # the next attempt is not harmed


def test_ptb_download_that_is_interrupted_leaves_nothing(treebank, tmp_path, monkeypatch):
    def interrupt(name):
        raise KeyboardInterrupt

    serve(monkeypatch, interrupt)
    with pytest.raises(KeyboardInterrupt):
        ptb.read()
    assert list((tmp_path / "cache").iterdir()) == []


def test_ptb_without_a_place_for_the_cache_says_what_to_do(treebank, tmp_path, monkeypatch):
    asked = serve(monkeypatch, PTB_FILES.get)
    (tmp_path / "cache").write_text("a file where the folder should be")
    with pytest.raises(OSError, match="By hand") as error:
        ptb.read()
    assert str(tmp_path / "cache") in str(error.value) and not asked


def test_ptb_missing_files_are_named(treebank):
    (treebank / "ptb.valid.txt").unlink()
    with pytest.raises(FileNotFoundError) as error:
        load_corpus("ptb", root=treebank)
    assert str(treebank) in str(error.value) and "but ptb.valid.txt is not there" in str(error.value)
    with pytest.raises(FileNotFoundError, match=r"but ptb.train.txt, ptb.valid.txt, ptb.test.txt is not there"):
        load_corpus("ptb", root=treebank / "nowhere")


def test_ptb_changed_file_is_named(treebank):
    path = treebank / "ptb.test.txt"
    path.write_bytes(b"something else\n")
    with pytest.raises(OSError) as error:
        load_corpus("ptb", root=treebank)
    found = hashlib.md5(b"something else\n").hexdigest()
    for words in (str(path), ptb.MD5["ptb.test.txt"], found):
        assert words in str(error.value)


def test_ptb_split_without_a_sentence_short_enough_is_named(treebank, monkeypatch):
    long_lines = text([f" {'word ' * 30}"] * 5)
    (treebank / "ptb.test.txt").write_bytes(long_lines)
    monkeypatch.setitem(ptb.MD5, "ptb.test.txt", hashlib.md5(long_lines).hexdigest())
    with pytest.raises(ValueError) as error:
        load_corpus("ptb", root=treebank, max_length=20)
    for words in ("20 words", "test"):
        assert words in str(error.value)
