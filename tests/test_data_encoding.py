"""What is text and what is not, in the encodings that files have."""

import random

import pytest
from said import put

from headstart.data.encoding import decode, is_text, want_text
from headstart.data.talks_read import read_talks
from headstart.errors import DataError

TEXT = "Grüße, \u201cso\u201d \u2013 a line\tand\r\nanother\f "


@pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig", "utf-16", "utf-16-le", "utf-16-be", "utf-32", "cp1252"])
def test_texts_in_every_encoding_are_text(encoding):
    assert is_text(decode((TEXT * 50).encode(encoding))[0])


@pytest.mark.parametrize(
    "raw",
    [b"", b"a", b"\x1b[1mbold\x1b[0m words of a terminal and more of them", b"as DOS ends a file with it\x1a"],
)
def test_few_odd_signs_leave_it_text(raw):
    want_text(decode(raw)[0], "a.txt")


@pytest.mark.parametrize(
    "raw",
    [
        random.Random(0).randbytes(4000),
        bytes(range(1, 256)) * 20,
        bytes(100),
        b"words" * 1000 + b"\0",
        b"\x89PNG\r\n\x1a\n\0\0\0\rIHDR\0\0\0\x01",
        b"PK\x03\x04\x14\0\x06\0",
        b"\x01\x02words",
    ],
)
def test_other_bytes_are_not(tmp_path, raw):
    sentence = r"' is no text: it holds bytes that no text has; give a text file\.$"
    with pytest.raises(DataError, match="^'a.txt" + sentence):
        want_text(decode(raw)[0], "a.txt")
    with pytest.raises(DataError, match="b.txt" + sentence):
        read_talks(put(tmp_path, "b.txt", raw))
    put(tmp_path, "c.txt", "words")
    talks = read_talks(tmp_path)
    assert [talk.name for talk in talks.talks] == ["c.txt"]
    assert [(problem.name, problem.why) for problem in talks.problems] == [
        ("b.txt", "it is no text: it holds bytes that no text has")
    ]
    assert "encoding" not in talks.because


def test_names_of_files_cannot_steer_a_terminal(tmp_path):
    put(tmp_path, "a\x1b[31m.txt", "words")
    put(tmp_path, "b\n.txt", "")
    talks = read_talks(tmp_path)
    assert [talk.name for talk in talks.talks] == [r"a\x1b[31m.txt"]
    assert [problem.name for problem in talks.problems] == [r"b\n.txt"]
