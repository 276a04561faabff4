"""Arrays in .npz files."""

import zipfile

import numpy as np
import pytest

from headstart.data.dataset import Options
from headstart.data.read import read, read_inputs
from headstart.errors import DataError, UsageError

DRAW = np.random.default_rng(0)
GREY = DRAW.integers(0, 256, (12, 6, 5), dtype=np.uint8)
COLOUR = DRAW.integers(0, 256, (12, 6, 5, 3), dtype=np.uint8)
Y = np.arange(12) % 3


def save(tmp_path, **arrays):
    file = tmp_path / "data.npz"
    np.savez(file, **arrays)
    return file


@pytest.mark.parametrize("pictures", [GREY, COLOUR, GREY[..., None], np.moveaxis(COLOUR, 3, 1)])
@pytest.mark.parametrize("names", [("images", "labels"), ("x", "Y"), ("data", "target")])
def test_pictures_and_labels_come_back(tmp_path, pictures, names):
    data = read(save(tmp_path, **dict(zip(names, (pictures, Y[:, None]), strict=True))))
    wanted = GREY if pictures.size == GREY.size else COLOUR
    assert all((found == one).all() for found, one in zip(data.inputs, wanted, strict=True))
    assert (data.modality, data.task, data.classes, data.part) == ("image", "classes", ("0", "1", "2"), None)
    assert data.y.tolist() == Y.tolist()
    assert data.names[0] == "row 1"


@pytest.mark.parametrize("form", ["{part}_images {part}_labels", "x_{part} y_{part}"])
def test_given_parts_are_kept(tmp_path, form):
    arrays, sizes = {}, {"test": 2, "train": 6, "val": 4}
    for part, size in sizes.items():
        x, y = form.format(part=part).split()
        arrays |= {x: GREY[:size], y: Y[:size, None]}
    data = read(save(tmp_path, **arrays))
    assert data.part.tolist() == ["train"] * 6 + ["val"] * 4 + ["test"] * 2
    assert data.names[6] == "val row 1"
    assert all((found == one).all() for found, one in zip(data.inputs, [*GREY[:6], *GREY[:4], *GREY[:2]], strict=True))


def test_rows_of_numbers_are_square_pictures(tmp_path):
    x = DRAW.integers(0, 256, (6, 49), dtype=np.uint8)
    data = read(save(tmp_path, x=x, y=Y[:6]))
    assert all((found == row.reshape(7, 7)).all() for found, row in zip(data.inputs, x, strict=True))
    assert data.because["shape"] == "rows of 49 numbers were taken as 7 x 7 pictures"


def test_parts_of_a_file_are_scaled_by_one_range(tmp_path):
    train, test = np.full((3, 4, 4), 1000, np.uint16), np.full((3, 4, 4), 3000, np.uint16)
    train[0], test[0] = 0, 4000
    data = read(save(tmp_path, x_train=train, y_train=[0, 1, 1], x_test=test, y_test=[0, 1, 1]))
    assert [picture[0, 0] for picture in data.inputs] == [0, 64, 64, 255, 191, 191]


@pytest.mark.parametrize(
    ("pictures", "wanted"),
    [
        (np.linspace(0.2, 0.8, 16), lambda x: x * 255),  # floats up to 1 keep their scale in any selection of rows
        (np.linspace(-1, 1, 16), lambda x: (x + 1) / 2 * 255),
        (np.linspace(3.2, 250.7, 16), lambda x: x),
        (np.arange(16) * 3, lambda x: x),
        (np.arange(16) % 2 == 0, lambda x: x * 255),
    ],
)
def test_numbers_become_bytes(tmp_path, pictures, wanted):
    x = np.stack([pictures.reshape(4, 4)] * 4)
    data = read(save(tmp_path, images=x, labels=[0, 1, 0, 1]))
    assert data.inputs[0].dtype == np.uint8
    assert np.abs(data.inputs[0] - wanted(x[0].astype(float))).max() <= 0.5


def test_what_is_not_finite_is_dark_and_what_is_clear_is_white(tmp_path):
    x = np.broadcast_to([[-2, np.nan], [np.inf, 2]], (2, 2, 2))
    assert read(save(tmp_path, x=x, y=[0, 1])).inputs[0].tolist() == [[0, 0], [0, 255]]
    x = np.zeros((2, 1, 2, 4), np.uint8)
    x[:, :, 1, 3] = 255
    assert read(save(tmp_path, x=x, y=[0, 1])).inputs[0].tolist() == [[[255] * 3, [0] * 3]]


def test_texts_in_arrays(tmp_path):
    data = read(save(tmp_path, text=["a b", " ", "c d"], label=["x", "y", "y"]))
    assert (data.modality, data.inputs, data.y.tolist()) == ("text", ("a b", "c d"), [0, 1])
    assert [(p.name, p.why) for p in data.problems] == [("row 2", "the text is empty")]


@pytest.mark.parametrize(
    ("y", "options", "task", "wanted"),
    [
        (np.eye(3)[Y], {}, "classes", Y),
        (np.eye(3)[Y], {"task": "labels"}, "labels", np.eye(3)[Y]),
        (np.array([[1, 0], [1, 1]] * 6), {}, "labels", [[1, 0], [1, 1]] * 6),
        (np.array([[1, 0], [1, 2]] * 6), {}, "numbers", [[1, 0], [1, 2]] * 6),
        (np.array([[1, 0], [1, 1]] * 6), {"task": "numbers"}, "numbers", [[1, 0], [1, 1]] * 6),
        (np.linspace(0, 1.5, 12), {}, "numbers", np.linspace(0, 1.5, 12)[:, None]),
        (np.array(["b", "a"] * 6), {}, "classes", [1, 0] * 6),
        (np.array([b"b", b"a"] * 6), {}, "classes", [1, 0] * 6),
        (np.array([4, 2] * 6), {"classes": ("4", "3", "2")}, "classes", [0, 2] * 6),
    ],
)
def test_what_the_labels_are_is_detected(tmp_path, y, options, task, wanted):
    data = read(save(tmp_path, images=GREY, labels=y), Options(**options))
    assert data.task == task
    np.testing.assert_array_equal(data.y, wanted)


def test_many_classes_that_count_from_0_are_classes(tmp_path):
    x, y = np.zeros((120, 2, 2), np.uint8), np.arange(120) % 40
    data = read(save(tmp_path, x=x, y=y))
    assert (data.task, len(data.classes), data.y.tolist()) == ("classes", 40, y.tolist())
    assert data.classes[9:11] == ("9", "10")
    assert data.because["task"] == "the labels are the whole numbers 0 to 39"
    assert read(save(tmp_path, x=x, y=y * 2)).task == "numbers"


def test_rows_without_an_answer_are_left_out(tmp_path):
    y = np.array([[1.0, 2], [np.nan, 1], [0, 5]])
    data = read(save(tmp_path, x=GREY[:3], y=y))
    assert (data.names, data.y.tolist()) == (("row 1", "row 3"), [[1, 2], [0, 5]])
    assert [(p.name, p.why) for p in data.problems] == [("row 2", "no answer among its labels")]


@pytest.mark.parametrize(
    ("arrays", "sentence"),
    [
        ({"images": GREY}, "holds images; call the arrays images and labels"),
        ({"foo": GREY, "bar": Y}, "holds foo, bar; call"),
        ({"x": GREY, "y": Y[:5]}, r"shapes \(12, 6, 5\) and \(5,\); give one label for each picture"),
        ({"x": GREY[:, :, 0], "y": Y}, r"have the shape \(12, 6\); give"),
        ({"x": GREY.astype(complex), "y": Y}, "are of type complex128"),
        ({"x": GREY, "y": np.full((12, 2), "a")}, "hold names"),
        ({"x": GREY, "y": np.zeros((12, 2, 2))}, r"have the shape \(12, 2, 2\)"),
        ({"x": GREY, "y": np.full((12, 2), np.nan)}, "give a number in each column of some rows"),
        ({"x": np.array([{}] * 12), "y": Y}, "holds pickled objects, which can run code"),
        ({"x": GREY, "y": np.zeros(12, int)}, "there is one class"),
    ],
)
def test_arrays_that_cannot_be_used_are_refused(tmp_path, arrays, sentence):
    with pytest.raises(DataError, match=sentence):
        read(save(tmp_path, **arrays))


def test_files_that_are_no_archives_of_arrays_are_refused(tmp_path):
    (tmp_path / "text.npz").write_text("hello")
    np.save(tmp_path / "one.npy", GREY)
    (tmp_path / "one.npy").rename(tmp_path / "one.npz")
    whole = save(tmp_path, images=GREY, labels=Y).read_bytes()
    (tmp_path / "cut.npz").write_bytes(whole[:-40])
    with zipfile.ZipFile(tmp_path / "other.npz", "w") as file:
        file.writestr("images.npy", b"not an array")
    for name in ("text", "one", "cut", "other"):
        with pytest.raises(DataError, match=f"{name}.npz' (is no .npz|cannot be read as .npz|holds)"):
            read(tmp_path / f"{name}.npz")


def test_options_that_arrays_cannot_follow_are_usage_errors(tmp_path):
    file = save(tmp_path, images=GREY, labels=np.array([[1, 1], [0, 2]] * 6))
    for option in ("text", "image", "label", "group", "time"):
        with pytest.raises(UsageError, match=f"--{option} names a column"):
            read(file, Options(**{option: "x"}))
    for task in ("classes", "labels"):
        with pytest.raises(UsageError, match="where one class is needed" if task == "classes" else "more than 0 and 1"):
            read(file, Options(task=task))


def test_pictures_of_a_file_are_inputs_with_or_without_labels(tmp_path):
    for arrays in ({"pixels": COLOUR}, {"images": COLOUR, "labels": Y}, {"whatever": COLOUR}):
        data = read_inputs([save(tmp_path, **arrays)], modality="image")
        assert all((found == one).all() for found, one in zip(data.inputs, COLOUR, strict=True))
        assert data.names[11] == "row 12"
    with pytest.raises(DataError, match="call the array of pictures images"):
        read_inputs([save(tmp_path, a=GREY, b=GREY)], modality="image")
