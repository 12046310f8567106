"""kldanneal.lab.corpora.text: what is read from a file, and what a file looks like. See also test_cli_text.py."""

import gzip
import json
import math

import pytest

from kldanneal.lab.corpora.load import load_corpus
from kldanneal.lab.corpora.text import Text, has_no_spaces

WHERE = ("home", "away", "fast", "now", "here", "there", "slowly", "again", "today", "often")
SENTENCES = [
    f"the {a} {b} runs {c}" for a in ("old", "new", "red") for b in ("dog", "cat", "man", "car") for c in WHERE
]


def text(path, content, **options):
    path.write_bytes(content if isinstance(content, bytes) else content.encode())
    return Text(path, **options)


def test_a_column_by_its_name_or_its_number_or_a_field_is_the_same_text(tmp_path):
    rows = [f"{i},{line}" for i, line in enumerate(SENTENCES)]
    found = [
        list(text(tmp_path / "a.csv", "\n".join(["n,text", *rows]), text_column="text")),
        list(text(tmp_path / "b.csv", "\n".join(rows), text_column=2)),
        list(text(tmp_path / "c.csv", "\n".join(rows), text_column="2", delimiter="comma")),
        list(text(tmp_path / "d", "\n".join(json.dumps({"text": line}) for line in SENTENCES), text_column="text")),
        list(text(tmp_path / "e", gzip.compress("\n".join(rows).encode("utf-16")), text_column=2, encoding="utf-16")),
        [line.rstrip("\n") for line in text(tmp_path / "f", "\n".join(SENTENCES))],
    ]
    assert all(lines == SENTENCES for lines in found)


def test_quotation_marks_hold_a_text_together_unless_there_are_tabs(tmp_path):
    quoted = 'n;text\n1;"two; parts, ""quoted""\nand two lines"\n2;plain\n'
    assert list(text(tmp_path / "a.csv", quoted, text_column="text")) == [
        'two; parts, "quoted"\nand two lines', "plain"
    ]  # fmt: skip
    tabs = '1\t"an open quotation mark\n2\tplain "text"\n'
    assert list(text(tmp_path / "a.tsv", tabs, text_column=2)) == ['"an open quotation mark', 'plain "text"']


def test_rows_are_counted_with_those_that_have_no_text(tmp_path):
    found = text(tmp_path / "a.tsv", "1\tone\n\n2\n3\tthree\textra\n", text_column=2)
    assert list(found) == ["one", "", "three"]
    assert (found.read, found.without_text) == (4, 1)


@pytest.mark.parametrize(
    "name, content, words",
    [
        ("a.txt", "\n".join(SENTENCES), None),
        ("a.txt", "\n".join(f"{line}, and {line}" for line in SENTENCES), None),  # prose with one comma in every line
        ("a.txt", "\n".join(line.replace(" ", "\t", 1 + i % 3) for i, line in enumerate(SENTENCES)), None),
        ("a.txt", "\n".join(f"{i % 2}\t{line}" for i, line in enumerate(SENTENCES)), "tabs, but .* --text-column 2"),
        ("a.txt", "\n".join(f"{line}|{i}" for i, line in enumerate(SENTENCES)), "vertical bars, .* --text-column 1"),
        ("a.csv", "\n".join(["review", *SENTENCES]), "commas, but .* --text-column review"),
        ("a.tsv", "\n".join(["id\tbody", *(f"1\t{line}" for line in SENTENCES)]), "tabs, .* --text-column body"),
        ("a.txt", "\n".join(json.dumps({"n": 1, "body": line}) for line in SENTENCES),
         "JSONL with the fields n, body, .* --text-column body"),
        ("a.json", json.dumps(SENTENCES), "one JSON array, which cannot be read"),
        ("a.json", json.dumps({"text": SENTENCES}, indent=1), "JSON over several lines, which cannot be read"),
    ],
)  # fmt: skip
def test_what_a_file_looks_like_that_is_read_as_plain_text(tmp_path, name, content, words):
    found = text(tmp_path / name, content)
    list(found)
    if words is None:
        assert found.looks_like() is None
    else:
        with pytest.raises(AssertionError, match=words):
            raise AssertionError(found.looks_like())


@pytest.mark.parametrize(
    "sentences, expected",
    [
        (["the old dog runs", "a cat"], False),
        (["我们今天去公园看见一只小狗", "他说这本书很好看"], True),
        (["我们 今天 去 公园", "他 说 这 本 书"], False),
        (["วันนี้ฝนตกหนักมากแมวนอนใต้ต้นไม้ใหญ่"], True),
        (["วันนี้ ฝนตก หนัก มาก แมว นอน"], False),
        (["오늘 우리는 공원에 갔다"], False),
        (["the\u200bold\u200bdog\u200bruns\u200bhome\u200bagain"], True),
        (["donaudampfschifffahrtsgesellschaft ist ein wort"], False),
        ([], False),
    ],
)
def test_text_without_spaces_between_words(sentences, expected):
    assert has_no_spaces(sentences) == expected


def test_what_is_read_is_in_the_notes_of_the_corpus(tmp_path):
    path = tmp_path / "a.txt"
    path.write_text("\n".join([*SENTENCES, "", "x " * 30, SENTENCES[0]]), encoding="utf-8")
    assert load_corpus(path).notes == (
        "123 lines read: 120 kept, 1 too long (more than 25 words), 1 repeated, 1 empty",
        f"as read: {SENTENCES[0]}",
        f"as read: {SENTENCES[1]}",
    )


def test_a_library_call_warns(tmp_path):
    path = tmp_path / "a.tsv"
    path.write_text("\n".join(f"{i % 2}\t{line}" for i, line in enumerate(SENTENCES)), encoding="utf-8")
    with pytest.warns(UserWarning, match=r"a\.tsv looks like a table with tabs"):
        load_corpus(path)


def test_word_frequencies_are_those_of_training(tmp_path):
    corpus = load_corpus(text(tmp_path / "a.txt", "\n".join(SENTENCES)).path)
    words = [word for ids in corpus.train for word in ids[1:].tolist()]
    p = {word: words.count(word) / len(words) for word in set(words)}
    expected = sum(-math.log(p[word]) for ids in corpus.test for word in ids[1:].tolist())
    assert corpus.word_frequencies(corpus.test) == pytest.approx(expected / len(corpus.test))
