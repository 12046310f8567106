"""kldanneal compare on text files as people have them: a comparison with a true count of lines, or one clear line."""

import gzip
import io
import json
import random
import re
import zipfile

import pytest
from test_cli import one_line_error, tree

from kldanneal.lab.results.written import Written

WORDS = "the a small big red old new dog cat man woman child house river car tree sees finds likes under over"
WORDS = WORDS.split()
DRAW = random.Random(0)


def sentence(words=None):
    return " ".join(DRAW.choice(WORDS) for _ in range(words or DRAW.randint(5, 12)))


LINES = list(dict.fromkeys(sentence() for _ in range(200)))[:150]
LONG = [sentence(30) for _ in range(40)]
TEXT = "\n".join(LINES) + "\n"
LABELLED = "".join(f"{i % 5}\t{line}\n" for i, line in enumerate(LINES))
KOREAN = "오늘 우리는 공원에 갔다 작은 개와 고양이가 나무 아래에서 뛰었다"
HEBREW = "הכלב רץ אל הבית הגדול והחתול ישן תחת העץ היום"
HAN = "我们今天去公园看见一只小狗和猫在树下跑来跑去他说这本书很好看但是太长了"
THAI = ["วันนี้", "ฝนตก", "หนัก", "มาก", "แมว", "นอน", "ใต้", "ต้นไม้", "ใหญ่", "เรา", "กิน", "ข้าว"]


def spaced(words, n=150, glue=" "):
    return "\n".join(dict.fromkeys(glue.join(DRAW.choice(words) for _ in range(DRAW.randint(6, 12))) for _ in range(n)))


def table(delimiter, quoted, header=True):
    rows = [f"{i % 2}{delimiter}{quoted(line)}" for i, line in enumerate(LINES)]
    return "\n".join([f"label{delimiter}text", *rows] if header else rows) + "\n"


def jsonl(rows):
    return "".join(json.dumps(row, ensure_ascii=False) + "\n" for row in rows)


def zipped(text):
    archive = io.BytesIO()
    with zipfile.ZipFile(archive, "w") as file:
        file.writestr("a.txt", text)
    return archive.getvalue()


PLAIN = {"read": 150, "kept": 150}
#: The content of a file, options, what is counted, and what a warning says.
READ = {
    "plain.txt": (TEXT, [], PLAIN, None),
    "bom.txt": (b"\xef\xbb\xbf" + TEXT.encode(), [], PLAIN, None),
    "crlf.txt": (TEXT.replace("\n", "\r\n"), [], PLAIN, None),
    "cr.txt": (TEXT.replace("\n", "\r"), [], PLAIN, None),
    "mixed.txt": ("".join(line + ["\n", "\r\n", "\r"][i % 3] for i, line in enumerate(LINES)), [], PLAIN, None),
    "no_newline.txt": (TEXT[:-1], [], PLAIN, None),
    "blank.txt": (TEXT.replace("\n", "\n\n \t\n"), [], {"read": 450, "kept": 150, "empty": 300}, None),
    "repeated.txt": (TEXT + "\n".join(LINES[:50]), [], {"read": 200, "kept": 150, "repeated": 50}, None),
    "capitals.txt": (TEXT + TEXT.upper(), [], {"read": 300, "kept": 150, "repeated": 150}, None),
    "long.txt": (TEXT + "\n".join(LONG), [], {"read": 190, "kept": 150, "too long": 40}, None),
    "mostly_long.txt": (TEXT + "\n".join(LONG * 9), [], {"read": 510, "kept": 150, "too long": 360}, "more than half"),
    "hundred.txt": ("\n".join(LINES[:100]), [], {"read": 100, "kept": 100}, None),
    "utf16.txt": (TEXT.encode("utf-16"), ["--encoding=utf-16"], PLAIN, None),
    "utf16be.txt": (TEXT.encode("utf-16-be"), ["--encoding=utf-16-be"], PLAIN, None),
    "utf32.txt": (TEXT.encode("utf-32"), ["--encoding=utf-32"], PLAIN, None),
    "latin1.txt": (TEXT.replace("cat", "café").encode("latin-1"), ["--encoding=latin-1"], PLAIN, None),
    "cp1252.txt": (TEXT.replace("cat", "cat’s").encode("cp1252"), ["--encoding=cp1252"], None, None),
    "yelp.tsv": (LABELLED, ["--text-column=2"], PLAIN, None),
    "yelp_as_text.tsv": (LABELLED, [], PLAIN, "--text-column 2"),
    "quotes.tsv": (LABELLED.replace("\tthe", '\t"the'), ["--text-column=2"], PLAIN, None),
    "short_rows.tsv": (LABELLED + "1\n2\n", ["--text-column=2"], {"read": 152, "kept": 150, "without a text": 2}, None),
    "commas.csv": (table(",", '"{}"'.format), ["--text-column=text"], PLAIN, None),
    "commas_as_text.csv": (table(",", '"{}"'.format), [], {"read": 151, "kept": 151}, "--text-column text"),
    "line_ends.csv": (table(",", lambda line: f'"{line[:9]}\n{line[9:]}, ""x"""'), ["--text-column=text"], None, None),
    "semicolons.csv": (table(";", str), ["--text-column=text"], PLAIN, None),
    "bars.txt": (table("|", str, header=False), ["--text-column=2", "--delimiter=|"], PLAIN, None),
    "by_name.txt": (table("\t", str), ["--text-column=text", "--delimiter=tab"], PLAIN, None),
    "stars.jsonl": (jsonl({"text": line, "stars": 3} for line in LINES), ["--text-column=text"], PLAIN, None),
    "as_text.jsonl": (jsonl({"text": line, "n": 3} for line in LINES), [], None, "JSONL with the fields text, n"),
    "gaps.jsonl": (jsonl([*({"text": line} for line in LINES), {"text": None}, [1], {"a": 2}]),
                   ["--text-column=text"], {"read": 153, "kept": 150, "without a text": 3}, None),
    "plain.txt.gz": (gzip.compress(TEXT.encode()), [], PLAIN, None),
    "gzip_without_the_name": (gzip.compress(LABELLED.encode()), ["--text-column=2"], PLAIN, None),
    "gzip_as_text.tsv.gz": (gzip.compress(LABELLED.encode()), [], PLAIN, "--text-column 2"),
    "han_spaced.txt": (spaced(HAN), [], None, None),
    "thai_spaced.txt": (spaced(THAI), [], None, None),
    "korean.txt": (spaced(KOREAN.split()), [], None, None),
    "hebrew.txt": (spaced(HEBREW.split()), [], None, None),
    "emoji.txt": ("\n".join(f"{line} {'😀👍🏽'[i % 2]} 👩‍👩‍👧" for i, line in enumerate(LINES)), [], PLAIN, None),
    "nbsp.txt": (TEXT.replace(" ", "\u00a0"), [], PLAIN, None),
    "numbers.txt": (spaced("0123456789", 300), [], None, None),
    "tokens.txt": (TEXT.replace("dog", "<pad>").replace("cat", "<eos>"), [], None, None),
    "escapes.txt": (TEXT.replace("the", "\x1b[31mthe\x1b[0m"), [], PLAIN, None),
    "new\nline $x_$.txt": (TEXT, [], PLAIN, None),
}  # fmt: skip

#: The content of a file, options, and what the one line says.
REFUSED = {
    "empty.txt": ("", [], ["is empty"]),
    "only_blank.txt": ("\n \n\t\n" * 50, [], ["150 lines read", "150 empty"]),
    "ninety_nine.txt": ("\n".join(LINES[:99]), [], ["at least 100", "got 99", "99 lines read"]),
    "all_long.txt": ("\n".join(LONG * 9), [], ["360 too long (more than 25 words)"]),
    "one_line.txt": (" ".join(LINES * 20), [], ["line 1", "words"]),
    "han.txt": (spaced(HAN, glue=""), [], ["han.txt has no spaces between words"]),
    "han_repeated.txt": ("\n".join(a + b + c for a, b, c in zip(*[["我们", "今天", "公园"] * 99] * 3, strict=True)), [],
                         ["no spaces between words", "repeated"]),
    "zero_width.txt": (TEXT.replace(" ", "\u200b"), [], ["no spaces between words"]),
    "utf16_unnamed.txt": (TEXT.encode("utf-16"), [], ["UTF-8", "--encoding utf-16"]),
    "utf16le_unnamed.txt": (TEXT.encode("utf-16-le"), [], ["binary", "--encoding utf-16-le"]),
    "latin1_unnamed.txt": ((TEXT + "le café\n").encode("latin-1"), [], ["UTF-8", "line 151", "0xe9", "latin-1"]),
    "not_ascii.txt": (TEXT.replace("cat", "café"), ["--encoding=ascii"], ["ascii", "0xc3"]),
    "half_utf16.txt": (TEXT.encode("utf-16") + b"\n", ["--encoding=utf-16"], ["utf-16", "truncated data"]),
    "zero_byte.txt": (f"{TEXT}\0\n", [], ["binary", "line 151"]),
    "array.json": (json.dumps(LINES), [], ["JSON array", "one sentence a line"]),
    "broken.jsonl": (jsonl({"text": line} for line in LINES) + '{"text": \n', ["--text-column=text"],
                     ["JSON in line 151"]),
    "other_field.jsonl": (jsonl({"text": line} for line in LINES), ["--text-column=txt"], ["fields text", "'txt'"]),
    "other_column.csv": (table(",", str), ["--text-column=txt"], ["columns label, text", "'txt'"]),
    "third_column.tsv": (LABELLED, ["--text-column=3"], ["1 to 2", "'3'"]),
    "open_quote.csv": (table(",", '"{}'.format), ["--text-column=text"], ["commas", "line"]),
    "truncated.gz": (gzip.compress(TEXT.encode())[:-300], [], ["whole gzip file"]),
    "damaged.gz": (gzip.compress(TEXT.encode())[:100] + b"x" * 300, [], ["whole gzip file"]),
    "archive.zip": (zipped(TEXT), [], ["zip archive"]),
    "columnless.tsv": (LABELLED, ["--delimiter=tab"], ["--text-column", "'tab'"]),
    "two_characters.tsv": (LABELLED, ["--text-column=2", "--delimiter=ab"], ["one character", "'ab'"]),
    "no_such_encoding.txt": (TEXT, ["--encoding=utf-17"], ["'utf-17'", "utf-16"]),
    "no_text_encoding.txt": (TEXT, ["--encoding=hex"], ["'hex'"]),
}  # fmt: skip

TINY = [
    "--steps=2",
    "--seeds=1",
    "--schedules=constant",
    "--embedding=4",
    "--hidden=4",
    "--latent=2",
    "--batch-size=16",
]
COUNTS = re.compile(r"^([\d,]+) (?:line|row)s? read: (.*)$", re.MULTILINE)


@pytest.fixture
def no_pictures(monkeypatch):
    """Two seconds of drawing for each file would show nothing about reading it."""
    monkeypatch.setattr(Written, "_picture", lambda self, dark: b"\x89PNG")


def written(folder, content):
    folder.write_bytes(content.encode() if isinstance(content, str) else content)
    return folder


def counted(stdout):
    """What was counted, by its name; only what is not 0."""
    read, parts = COUNTS.search(stdout).groups()
    found = {name: int(number.replace(",", "")) for number, name in re.findall(r"([\d,]+) ([a-z ]*[a-z])", parts)
             if not name.startswith("words")}  # fmt: skip
    assert sum(found.values()) == int(read.replace(",", "")), "the parts do not add up to the lines"
    return {"read": int(read.replace(",", "")), **{name: number for name, number in found.items() if number}}


@pytest.mark.parametrize("name", READ)
@pytest.mark.usefixtures("no_pictures")
def test_a_comparison_with_a_true_count(command, tmp_path, name):
    content, options, counts, warning = READ[name]
    path, out = written(tmp_path / name, content), tmp_path / "out"
    status, stdout, stderr = command("compare", "--corpus", path, "--out", out, *TINY, *options)
    assert status == 0, stderr
    assert (out / "summary.csv").exists()
    found = counted(stdout)
    if counts:
        assert found == counts
    examples = re.findall(r"^as read: (.*)$", stdout, re.MULTILINE)
    assert len(examples) == 2 and not any("\x1b" in line for line in stdout.splitlines())
    if counts == PLAIN and "'" not in name and name not in ("yelp_as_text.tsv", "gzip_as_text.tsv.gz"):
        first = LINES[0].replace("cat", "café") if name == "latin1.txt" else LINES[0]
        assert examples[0].startswith(first[:5]) or name == "escapes.txt"
    warnings = [line for line in stderr.replace("\r", "\n").splitlines() if "warning:" in line]
    assert len(warnings) == (1 if warning else 0), warnings
    if warning:
        assert warnings[0].startswith("kldanneal: warning: ") and warning in warnings[0]


def test_the_two_sentences_are_those_of_the_column(command, tmp_path, no_pictures):
    path = written(tmp_path / "yelp.tsv", LABELLED)
    _, stdout, _ = command("compare", "--corpus", path, "--out", tmp_path / "out", *TINY, "--text-column=2")
    assert [line for line in stdout.splitlines() if line.startswith("as read: ")] == [
        f"as read: {LINES[0]}", f"as read: {LINES[1]}"
    ]  # fmt: skip


@pytest.mark.parametrize("name", REFUSED)
def test_or_one_clear_line(command, tmp_path, name):
    content, options, words = REFUSED[name]
    path = written(tmp_path / name, content)
    before = tree(tmp_path)
    status, _, stderr = command("compare", "--corpus", path, "--out", tmp_path / "out", *TINY, *options)
    one_line_error(status, stderr, *words)
    assert tree(tmp_path) == before


def test_a_text_with_lines_of_words_without_spaces_is_named(command, tmp_path, no_pictures):
    """When there are words enough to train on, it is a warning."""
    lines = [a + b + c for a in HAN[:9] for b in HAN[:9] for c in ("公园", "小狗")]
    text = "\n".join(f"{line} {line}" for line in lines)
    path = written(tmp_path / "han.txt", text)
    status, _, stderr = command("compare", "--corpus", path, "--out", tmp_path / "out", *TINY)
    assert status == 0 and "warning: han.txt has no spaces between words" in stderr


@pytest.mark.parametrize("option", ["--text-column=2", "--encoding=latin-1"])
def test_options_of_files_are_refused_with_a_named_corpus(command, tmp_path, option):
    status, _, stderr = command("compare", "--corpus=toy", "--out", tmp_path / "out", *TINY, option)
    one_line_error(status, stderr, option.partition("=")[0].strip("-").replace("-", "_"), "toy")
    assert tree(tmp_path) == {}


def test_there_are_more_than_thirty_odd_files():
    assert len(READ) + len(REFUSED) > 60
