"""Class folders, text and label files, and what is refused."""

import os
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from headstart.data.dataset import Options
from headstart.data.read import read, read_inputs
from headstart.errors import DataError, UsageError


def picture(path, grey=0):
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.new("L", (8, 8), grey).save(path)


def text(path, content):
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(content, "utf8")


def rows(data):
    """{name: (label, part)}, to compare with what was written."""
    part = data.part if data.part is not None else [None] * len(data)
    return {name: (data.classes[y], p) for name, y, p in zip(data.names, data.y, part, strict=True)}


def test_folders_are_classes(tmp_path):
    wanted = {}
    for kind in ("dog", "cat", "bird"):
        for number in range(3):
            picture(tmp_path / kind / f"{number}.png")
            wanted[f"{kind}/{number}.png"] = (kind, None)
    data = read(tmp_path)
    assert rows(data) == wanted
    assert data.classes == ("bird", "cat", "dog")
    assert (data.modality, data.task, data.y.dtype) == ("image", "classes", np.int64)
    assert all(source == tmp_path / name for source, name in zip(data.inputs, data.names, strict=True))
    assert data.because["modality"] == "9 of 9 files in the class folders are pictures"
    assert data.because["task"] == "there is one folder for each of 3 classes"
    assert read(str(tmp_path)).names == data.names


@pytest.mark.parametrize(
    "names", [("train", "val", "test"), ("Training", "valid", "testing"), ("train", "dev", "Test")]
)
def test_parts_are_kept_whatever_they_are_called(tmp_path, names):
    wanted = {}
    for name, part in zip(names, ("train", "val", "test"), strict=True):
        for kind in ("a", "b"):
            picture(tmp_path / name / kind / "x.png")
            wanted[f"{name}/{kind}/x.png"] = (kind, part)
    assert rows(read(tmp_path)) == wanted


def test_train_alone_is_read_and_other_folders_beside_the_parts_are_not(tmp_path):
    for kind in ("a", "b"):
        picture(tmp_path / "train" / kind / "x.png")
    assert set(read(tmp_path).part) == {"train"}
    for kind in ("a", "b"):
        picture(tmp_path / "test" / kind / "x.png")
    picture(tmp_path / "samples" / "x.png")
    data = read(tmp_path)
    assert set(rows(data).values()) == {("a", "train"), ("b", "train"), ("a", "test"), ("b", "test")}
    assert data.because["folder"] == "samples beside them was not read"


def test_a_class_called_train_is_a_class(tmp_path):
    for kind in ("train", "bus", "car"):
        picture(tmp_path / kind / "x.png")
    data = read(tmp_path)
    assert data.classes == ("bus", "car", "train")
    assert data.part is None


def test_wrapping_folders_of_an_archive_are_passed_through(tmp_path):
    for kind in ("a", "b"):
        picture(tmp_path / "data" / "pets-1.0" / "images" / kind / "x.png")
    data = read(tmp_path)
    assert set(rows(data)) == {f"data/pets-1.0/images/{kind}/x.png" for kind in "ab"}
    assert "images" in data.because["folder"]


def test_files_deeper_in_a_class_folder_belong_to_the_class(tmp_path):
    picture(tmp_path / "a" / "day" / "morning" / "x.png")
    picture(tmp_path / "a" / "y.png")
    picture(tmp_path / "b" / "x.png")
    assert rows(read(tmp_path)) == {"a/y.png": ("a", None), "a/day/morning/x.png": ("a", None), "b/x.png": ("b", None)}


def test_a_link_to_a_folder_above_ends(tmp_path):
    for kind in ("a", "b"):
        picture(tmp_path / kind / "x.png")
    os.symlink(tmp_path, tmp_path / "a" / "loop", target_is_directory=True)
    assert set(rows(read(tmp_path))) == {"a/x.png", "b/x.png"}


def test_what_is_left_out_is_said(tmp_path):
    for kind in ("a", "b"):
        picture(tmp_path / kind / "x.png")
    (tmp_path / "a" / "empty.png").touch()
    text(tmp_path / "a" / "notes.txt", "hello")
    picture(tmp_path / "loose.png")
    text(tmp_path / "README.md", "about")
    picture(tmp_path / "b" / ".hidden.png")
    text(tmp_path / "b" / "Thumbs.db", "x")
    data = read(tmp_path)
    assert set(data.names) == {"a/x.png", "b/x.png"}
    assert {problem.name: problem.why for problem in data.problems} == {
        "a/empty.png": "the file is empty (0 bytes)",
        "a/notes.txt": "'.txt' is no picture format",
        "loose.png": "it lies beside the class folders, so it has no class",
    }


def test_folders_whose_names_begin_with_an_underscore_are_classes(tmp_path):
    for kind in ("_background_", "word", "other"):
        picture(tmp_path / kind / "x.png")
    assert read(tmp_path).classes == ("_background_", "other", "word")


@pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig", "utf-16", "utf-16-le", "cp1252"])
def test_text_files_are_read_in_their_encoding(tmp_path, encoding):
    sentences = {"good": "Schöne Grüße — «très bien»", "bad": "Fürchterlich: «très mauvais»"}
    for kind, sentence in sentences.items():
        (tmp_path / kind).mkdir()
        (tmp_path / kind / "1.txt").write_bytes(f"  {sentence}\n".encode(encoding))
    data = read(tmp_path)
    assert data.modality == "text"
    assert {data.classes[y]: source for y, source in zip(data.y, data.inputs, strict=True)} == sentences


def test_a_class_of_blank_texts_is_no_class(tmp_path):
    for kind in ("a", "b"):
        text(tmp_path / kind / "1.txt", f"text of {kind}")
    text(tmp_path / "c" / "1.txt", " \n\t")
    data = read(tmp_path)
    assert data.classes == ("a", "b")
    assert [(problem.name, problem.why) for problem in data.problems] == [("c/1.txt", "the text is empty")]
    text(tmp_path / "b" / "1.txt", "")
    with pytest.raises(DataError, match=r"one class \('a'\); give at least two folders"):
        read(tmp_path)


def test_known_classes_keep_their_order_and_one_of_them_is_enough(tmp_path):
    picture(tmp_path / "cat" / "young" / "x.png")
    known = Options(classes=("dog", "cat"))
    data = read(tmp_path, known)
    assert (data.classes, data.y.tolist()) == (("dog", "cat"), [1])
    picture(tmp_path / "cow" / "x.png")
    data = read(tmp_path, known)
    assert data.y.tolist() == [1]
    assert [(problem.name, problem.why) for problem in data.problems] == [("cow/x.png", "'cow' is none of the labels")]
    with pytest.raises(DataError, match="no pictures or texts in folders called pig"):
        read(tmp_path, Options(classes=("pig",)))


def test_groups_follow_from_file_names(tmp_path):
    for kind in ("a", "b"):
        for patient in (1, 2):
            picture(tmp_path / kind / f"p{patient}_{kind}.png")
    data = read(tmp_path, Options(group=r"/p(\d+)_"))
    assert dict(zip(data.names, data.groups.tolist(), strict=True)) == {
        f"{kind}/p{patient}_{kind}.png": str(patient) for kind in "ab" for patient in (1, 2)
    }
    assert set(read(tmp_path, Options(group=r"p\d")).groups) == {"p1", "p2"}
    for pattern, sentence in (("q", "not found in 4 of 4"), ("(", "is no regular expression"), ("p1|(z)", "4 of 4")):
        with pytest.raises(UsageError, match=sentence):
            read(tmp_path, Options(group=pattern))


@pytest.mark.parametrize(
    ("options", "sentence"),
    [
        (Options(task="numbers"), "--task numbers cannot be had from class folders"),
        (Options(task="labels"), "--task labels cannot be had"),
        (Options(label="y"), "--label names a column"),
        (Options(text="t"), "--text names a column"),
        (Options(image="t"), "--image names a column"),
        (Options(time="t"), "--time names a column"),
    ],
)
def test_options_that_folders_cannot_follow_are_usage_errors(tmp_path, options, sentence):
    for kind in ("a", "b"):
        picture(tmp_path / kind / "x.png")
    with pytest.raises(UsageError, match=sentence):
        read(tmp_path, options)


def test_an_unknown_task_is_a_usage_error():
    with pytest.raises(UsageError, match="--task boxes is unknown; use one of classes, labels, numbers"):
        Options(task="boxes")


def test_what_cannot_be_read_is_said_in_a_sentence(tmp_path):
    def refuse(sentence):
        with pytest.raises(DataError, match=sentence):
            read(tmp_path)

    with pytest.raises(DataError, match=r"does not exist; give a folder of class folders, a table or an \.npz file"):
        read(tmp_path / "nothing")
    refuse("is an empty folder; give one folder per class inside, or a table")
    (tmp_path / "a").mkdir()
    refuse("has no pictures or texts in class folders; give at least two folders")
    picture(tmp_path / "a" / "x.png")
    refuse(r"has one class \('a'\); give at least two folders")
    with pytest.raises(DataError, match="is a single picture; give a folder"):
        read(tmp_path / "a" / "x.png")


def test_a_file_that_may_not_be_opened_is_said_in_a_sentence(tmp_path, monkeypatch):
    def denied(path):
        raise PermissionError(13, "Permission denied", str(path))

    for kind in ("a", "b"):
        text(tmp_path / kind / "1.txt", f"text of {kind}")
    text(tmp_path / "t.csv", "text,label\nx x,a\ny y,b\n")
    monkeypatch.setattr(Path, "read_bytes", denied)
    with pytest.raises(DataError, match=r"t\.csv' cannot be opened \(Permission denied\); give a file"):
        read(tmp_path / "t.csv")
    data = read_inputs([tmp_path / "a" / "1.txt"], modality="text")
    assert [problem.why for problem in data.problems] == ["cannot be opened (Permission denied)"]


def test_masks_and_several_data_sets_are_refused(tmp_path):
    picture(tmp_path / "one" / "images" / "x.png")
    picture(tmp_path / "one" / "masks" / "x.png")
    with pytest.raises(DataError, match="'images' beside 'masks', as data for detection or segmentation"):
        read(tmp_path / "one")
    for name in ("pets", "cars"):
        for kind in ("a", "b"):
            picture(tmp_path / "two" / name / "train" / kind / "x.png")
    with pytest.raises(DataError, match=r"holds 2 data sets with train folders of their own \(cars, pets\); name one"):
        read(tmp_path / "two")


def test_a_table_beside_its_pictures_is_read_and_not_the_folders(tmp_path):
    lines = ["image,label"]
    for number in range(4):
        folder = "train_images" if number % 2 else "test_images"
        picture(tmp_path / folder / f"{number}.png")
        lines.append(f"{number}.png,{'odd' if number in (1, 2) else 'even'}")
    text(tmp_path / "labels.csv", "\n".join(lines))
    data = read(tmp_path)
    assert data.classes == ("even", "odd")
    assert data.inputs[1] == tmp_path / "train_images" / "1.png"
    assert data.y.tolist() == [0, 1, 1, 0]


def test_class_folders_beside_a_table_are_read_where_their_names_are_classes(tmp_path):
    for kind in ("0", "1", "кот"):
        picture(tmp_path / kind / "x.png")
    text(tmp_path / "info.csv", "image,label\nx.png,1\ny.png,2")
    assert read(tmp_path).classes == ("0", "1", "кот")


def test_texts_and_labels_in_two_files(tmp_path):
    text(tmp_path / "train_text.txt", "one two\r\nthree\u2028four\r\nfive\r\n\r\n")
    text(tmp_path / "train_labels.txt", "0\n1\n0\n")
    text(tmp_path / "test_text.txt", "six\nseven")
    text(tmp_path / "test_labels.txt", "1\n0")
    text(tmp_path / "mapping.txt", "0\tsad\n1\tvery happy\n")
    data = read(tmp_path)
    assert data.inputs == ("six", "seven", "one two", "three\u2028four", "five")
    assert [data.classes[y] for y in data.y] == ["very happy", "sad", "sad", "very happy", "sad"]
    assert data.part.tolist() == ["test"] * 2 + ["train"] * 3
    assert data.names[:3] == ("test_text.txt row 1", "test_text.txt row 2", "train_text.txt row 1")
    text(tmp_path / "test_labels.txt", "1\n0\n1")
    with pytest.raises(DataError, match=r"'test_text.txt' has 2 lines and 'test_labels.txt' has 3; give one label per"):
        read(tmp_path)


def test_the_fingerprint_is_of_contents_not_of_names(tmp_path):
    for kind in ("a", "b"):
        picture(tmp_path / "one" / kind / "x.png", ord(kind))
        picture(tmp_path / "two" / kind / "other.png", ord(kind))
        picture(tmp_path / "three" / kind / "x.png", ord(kind) + (kind == "b"))
    one, two, three = (read(tmp_path / name) for name in ("one", "two", "three"))
    assert one.fingerprint == two.fingerprint != three.fingerprint
    assert one.take([1, 0]).fingerprint != one.fingerprint
    assert one.take([True, False]).names == ("a/x.png",)
    assert len(one.take([])) == 0
