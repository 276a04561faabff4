"""What a finished model is asked about: order kept, nothing lost."""

import io
import sys

import numpy as np
import pytest
from PIL import Image

from headstart.data.read import every_input, read_inputs
from headstart.errors import DataError, UsageError


def picture(path):
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.new("L", (8, 8)).save(path)
    return path


def asked(data):
    """[(name, input or None, why)] in the order in which it was asked."""
    return [(name, None if row is None else data.inputs[row], why) for name, row, why in every_input(data)]


def standard_input(monkeypatch, content):
    monkeypatch.setattr(sys, "stdin", io.TextIOWrapper(io.BytesIO(content)))


def test_problems_stay_in_their_place(tmp_path):
    one, two = picture(tmp_path / "1.png"), picture(tmp_path / "2.bin.png")
    (tmp_path / "empty.jpg").touch()
    (tmp_path / "bare").mkdir()
    paths = [tmp_path / "no.jpg", one, tmp_path / "empty.jpg", tmp_path / "bare", two, "", one]
    data = read_inputs(paths, modality="image")
    assert asked(data) == [
        (str(tmp_path / "no.jpg"), None, "does not exist"),
        (str(one), one, ""),
        (str(tmp_path / "empty.jpg"), None, "the file is empty (0 bytes)"),
        (str(tmp_path / "bare"), None, "the folder holds no pictures"),
        (str(two), two, ""),
        ("", None, "nothing is named"),
        (str(one), one, ""),
    ]
    assert (data.y, data.part, data.groups, data.times) == (None, None, None, None)
    assert [problem.at for problem in data.problems] == [0, 2, 3, 5]


def test_folders_are_read_to_the_bottom(tmp_path):
    wanted = [picture(tmp_path / name) for name in ("b.png", "a/2.jpg", "a/c/1.png")]
    (tmp_path / "a" / "note.txt").write_text("hello")
    assert read_inputs([tmp_path], modality="image").inputs == tuple(wanted)
    assert read_inputs([tmp_path], modality="text").inputs == ("hello",)


def test_sentences_files_and_tables_of_texts(tmp_path):
    (tmp_path / "a.txt").write_bytes("Grüße\nan alle\n".encode("cp1252"))
    (tmp_path / "blank.txt").write_text(" \n")
    (tmp_path / "t.csv").write_text("id,text\n1,x x\n2,\n3,y y,z\n4,w w\n")
    picture(tmp_path / "p.png")
    paths = [
        "I like it",
        tmp_path / "a.txt",
        tmp_path / "t.csv",
        "gone.txt",
        tmp_path / "blank.txt",
        tmp_path / "p.png",
    ]
    table = tmp_path / "t.csv"
    assert asked(read_inputs([*paths, "my file.csv", "word"], modality="text")) == [
        ("I like it", "I like it", ""),
        (str(tmp_path / "a.txt"), "Grüße\nan alle", ""),
        (f"{table} row 1", "x x", ""),
        (f"{table} row 2", None, "the text is empty"),
        (f"{table} row 3", None, "it has 3 cells and the table has 2 columns"),
        (f"{table} row 4", "w w", ""),
        ("gone.txt", None, "does not exist"),
        (str(tmp_path / "blank.txt"), None, "the text is empty"),
        (str(tmp_path / "p.png"), None, "it is a picture, and texts are read"),
        ("my file.csv", None, "does not exist"),
        ("word", None, "does not exist"),
    ]
    assert read_inputs([table], modality="text").names == ("row 1", "row 4")


def test_a_table_that_cannot_be_read_is_a_problem_in_its_place(tmp_path):
    broken = tmp_path / "a.json"
    broken.write_text("{")
    data = read_inputs(["one text", broken, "two texts"], modality="text")
    assert [(name, row) for name, row, _ in every_input(data)] == [
        ("one text", 0),
        (str(broken), None),
        ("two texts", 1),
    ]
    assert "no valid JSON" in data.problems[0].why
    with pytest.raises(DataError, match="no valid JSON"):
        read_inputs([broken], modality="text")


def test_the_column_of_a_table_is_found_for_what_the_model_reads(tmp_path):
    file = picture(tmp_path / "1.png")
    table = tmp_path / "t.csv"
    table.write_text("file,caption\n1.png,so nice\n2.png,so bad\n")
    assert read_inputs([table], modality="text").inputs == ("so nice", "so bad")
    assert asked(read_inputs([table], modality="image")) == [
        (str(file), file, ""),
        ("row 2", None, "there is no picture '2.png'"),
    ]
    assert read_inputs([table], modality="text", column="FILE").inputs == ("1.png", "2.png")
    with pytest.raises(UsageError, match=r"no column 'x' for --column; the columns are file, caption"):
        read_inputs([table], modality="text", column="x")
    table.write_text("p,q\na,b\nc,d\n")
    with pytest.raises(UsageError, match="Name one with --column"):
        read_inputs([table], modality="text")


def test_a_column_of_texts_without_a_name_loses_none(tmp_path):
    table = tmp_path / "t.csv"
    table.write_text("a very good film\na very bad film\n")
    assert read_inputs([table], modality="text").inputs == ("a very good film", "a very bad film")
    table.write_text("text\ngood\nbad\n")
    assert read_inputs([table], modality="text").inputs == ("good", "bad")


def test_lines_of_standard_input_are_texts_in_order(monkeypatch):
    standard_input(monkeypatch, "one\u2028still one\r\n\r\nthree \x0b here\n".encode())
    assert asked(read_inputs(["-"], modality="text")) == [
        ("row 1", "one\u2028still one", ""),
        ("row 2", None, "the text is empty"),
        ("row 3", "three \x0b here", ""),
    ]


def test_lines_of_standard_input_are_paths_of_pictures(monkeypatch, tmp_path):
    one = picture(tmp_path / "1 1.png")
    standard_input(monkeypatch, f"{one}\n\n{tmp_path}/no.png\n".encode())
    assert asked(read_inputs(["-"], modality="image")) == [
        (str(one), one, ""),
        (f"{tmp_path}/no.png", None, "does not exist"),
    ]


def test_nothing_to_ask_is_an_error(monkeypatch, tmp_path):
    standard_input(monkeypatch, b"")
    for paths, sentence in (
        ([], "no input was given"),
        (["-"], "'-' holds nothing"),
        (["no.jpg", "nor.jpg"], r"'no\.jpg' does not exist"),
    ):
        with pytest.raises(DataError, match=sentence):
            read_inputs(paths, modality="image")


def test_a_sentence_longer_than_a_path_may_be_is_a_text():
    sentence = "very " * 2000 + "long"
    assert read_inputs([sentence], modality="text").inputs == (sentence,)


def test_every_input_covers_any_mixture_of_rows_and_problems(tmp_path):
    draw = np.random.default_rng(0)
    good = picture(tmp_path / "1.png")
    for _ in range(20):
        there = draw.random(draw.integers(2, 12)) < 0.6
        there[0] = True
        data = read_inputs([good if yes else tmp_path / "no.png" for yes in there], modality="image")
        found = [row is not None for _, row, _ in every_input(data)]
        assert found == there.tolist()
        assert [row for _, row, _ in every_input(data) if row is not None] == list(range(there.sum()))
