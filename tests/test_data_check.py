"""Findings about data, against naive comparison of each with each."""

import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from headstart.data.check import check
from headstart.data.dataset import Dataset, Problem
from headstart.data.near import look, picture_twins
from headstart.data.read import read
from headstart.data.split import Split, split

WORDS = [
    *("the", "river", "stone", "house", "green", "walks", "under", "over", "bright", "child", "music", "train"),
    *("slowly", "never", "old", "road", "light", "paper"),
]


def data_of(inputs, y, **more):
    task = more.get("task", "classes")
    y = np.asarray(y)
    return Dataset(
        path=Path("x"),
        modality="text" if isinstance(inputs[0], str) else "image",
        task=task,
        inputs=tuple(inputs),
        names=tuple(f"row {row + 1}" for row in range(len(inputs))),
        y=y,
        classes=more.get(
            "classes", tuple(f"c{kind}" for kind in range(int(y.max()) + 1 if y.ndim == 1 else y.shape[1]))
        ),
        part=more.get("part"),
        groups=more.get("groups"),
        times=more.get("times"),
        because={},
        problems=more.get("problems", ()),
    )


def sentences(n, seed=0, words=12):
    draw = np.random.default_rng(seed)
    return [f"{' '.join(draw.choice(WORDS, words))} {row * 7919 % 10007}" for row in range(n)]


def found(data, parts=None, **options):
    return {finding.what: finding for finding in check(data, parts, **options)}


def halves(n):
    rows = np.arange(n)
    return Split(rows[rows % 2 == 0], rows[rows % 2 == 1], (), "")


def scene(seed, size=96):
    """A smooth picture of its own: a few waves of random direction and phase."""
    draw = np.random.default_rng(seed)
    y, x = np.mgrid[0:size, 0:size] / size
    waves = sum(
        np.sin(2 * np.pi * (draw.uniform(-4, 4) * x + draw.uniform(-4, 4) * y) + draw.uniform(0, 6)) for _ in range(5)
    )
    return np.clip(128 + 28 * waves[..., None] + draw.uniform(-20, 20, 3), 0, 255).astype(np.uint8)


def test_flat_and_broken_pictures_are_nobodys_twins(tmp_path):
    for name, grey in (("a", 10), ("b", 10), ("c", 200)):
        Image.new("L", (40, 40), grey).save(tmp_path / f"{name}.png")
    for name in ("d", "e"):
        (tmp_path / f"{name}.png").write_bytes(b"nonsense")
    sources = [tmp_path / f"{name}.png" for name in "abcde"]
    looked = look(sources)
    assert len(picture_twins(looked.thumbnails)) == 0
    assert looked.broken == dict.fromkeys((3, 4), "it is no picture, or of a format that is not known")
    findings = found(data_of(sources, [0, 1, 0, 1, 0]))
    assert findings["unreadable"].rows == (3, 4)
    assert "(first: row 4: it is no picture" in findings["unreadable"].text
    assert findings["conflict"].rows == (0, 1, 3, 4)  # equal bytes are equal, whatever they show


def test_leaks_are_test_rows_that_are_learned_from_too():
    texts = sentences(80)
    texts[11], texts[21], texts[31] = texts[10], texts[20].upper(), texts[33]
    y = np.arange(80) // 2 % 2
    findings = found(data_of(texts, y), halves(80))
    assert findings["leak"].rows == (11, 21)  # 31 and 33 are both tested
    assert "2 of 40 test texts are also among those learned from (1 exactly, 1 nearly; first: row 12)" in (
        findings["leak"].text
    )
    assert findings["duplicates"].rows == (10, 11, 20, 21, 31, 33)
    assert (findings["leak"].severity, findings["duplicates"].severity) == ("warning", "note")
    whole = found(data_of(texts, y), split(data_of(texts, y)))
    assert "leak" not in whole
    assert whole["duplicates"].severity == "warning"
    assert "6 texts come more than once (4 exactly, the others nearly" in whole["duplicates"].text
    assert not {"leak", "duplicates"} & set(found(data_of(sentences(80), y), halves(80)))


def test_leaks_of_pictures_are_found_by_bytes_and_by_sight(tmp_path):
    sources = [tmp_path / f"{seed}.png" for seed in range(12)]
    for seed, file in enumerate(sources):
        Image.fromarray(scene(seed)).save(file)
    sources[3].write_bytes(sources[2].read_bytes())
    Image.fromarray(scene(6)).save(sources[7], compress_level=1)
    findings = found(data_of(sources, np.arange(12) // 2 % 2), halves(12))
    assert findings["leak"].rows == (3, 7)
    assert "(1 exactly, 1 nearly" in findings["leak"].text


def test_equal_inputs_with_different_answers_are_conflicts():
    texts = sentences(60)
    texts[1], texts[3], texts[5] = texts[0], texts[2].title(), texts[4]
    y = np.zeros(60, int)
    y[[1, 3]] = 1
    findings = found(data_of(texts, y))
    assert (findings["conflict"].rows, findings["near-conflict"].rows) == ((0, 1), (2, 3))
    several = np.stack([y, 1 - y], 1).astype(np.float32)
    assert found(data_of(texts, several, task="labels"))["conflict"].rows == (0, 1)
    assert "conflict" not in found(data_of(texts, y[:, None] * 1.0, task="numbers"))


@pytest.mark.parametrize("seed", range(4))
def test_sizes_of_classes_are_counted(seed):
    draw = np.random.default_rng(seed)
    sizes = draw.choice([1, 2, 4, 5, 9, 30, 100], 6)
    y = draw.permutation(np.repeat(np.arange(6), sizes))
    findings = found(data_of(sentences(len(y)), y))
    single = {f"c{kind}" for kind in range(6) if sizes[kind] == 1}
    assert ("single" in findings) == bool(single)
    if single:
        assert set(findings["single"].rows) == {row for row, kind in enumerate(y) if sizes[kind] == 1}
        assert all(f"'{name}'" in findings["single"].text for name in sorted(single)[:4])
    assert ("imbalance" in findings) == (sizes.max() >= 10 * sizes.min() or sizes.max() > 0.95 * sizes.sum())


def test_answers_that_teach_nothing_are_errors_and_come_first():
    texts = [*sentences(59), " "]
    constant = check(data_of(texts, np.ones(60, int)), None)
    assert (constant[0].severity, constant[0].what) == ("error", "constant")
    assert "every row is 'c1', so there is nothing to learn" in constant[0].text
    assert found(data_of(texts, np.arange(60) % 40))["identifier"].severity == "error"
    numbers = np.stack([np.arange(60.0), np.full(60, 3.5)], 1)
    said = found(data_of(texts, numbers, task="numbers", classes=("height", "age")))["constant"]
    assert said.text == "'age' is 3.5 in every row, so there is nothing to learn."
    order = [finding.severity for finding in constant]
    assert order == sorted(order, key=["error", "warning", "note"].index)


def test_labels_that_never_change_or_come_once_are_named():
    y = np.zeros((60, 4), np.float32)
    y[:, 0], y[::2, 1], y[7, 2] = 1, 1, 1
    findings = found(data_of(sentences(60), y, task="labels"))
    assert findings["constant"].severity == "warning"
    assert "'c0', 'c3' are the same in every row" in findings["constant"].text
    assert findings["single"].rows == (7,)
    assert found(data_of(sentences(60), y[:, [0, 3]], task="labels"))["constant"].severity == "error"


def test_empty_texts_and_few_rows_and_what_was_left_out():
    problems = (Problem("row 3", "no label"), Problem("row 9", "no label"), Problem("a.png", "broken"))
    findings = found(data_of(["a b", " ", "", "c d"], [0, 1, 0, 1], problems=problems))
    assert findings["empty"].rows == (1, 2)
    assert findings["few"].text.startswith("4 examples are few")
    assert findings["left-out"].text.startswith("3 rows or files left out, 2 because no label (first: row 3)")
    assert findings["left-out"].severity == "warning"


def test_classes_that_are_only_tested_are_named():
    y = np.array([0, 0, 1, 2] * 15)
    parts = Split(np.flatnonzero(y != 2), np.flatnonzero(y == 2), (), "")
    findings = found(data_of(sentences(60), y), parts)
    assert findings["unseen"].rows == tuple(np.flatnonzero(y == 2))
    assert "'c2' in the test but not in what is learned from, so these 15 rows will be wrong" in findings["unseen"].text


def test_given_parts_that_share_groups_or_overlap_in_time_are_named():
    part = np.array(["train"] * 30 + ["val"] * 10 + ["test"] * 20)
    groups = np.arange(60) % 50
    times = np.arange(60.0)
    times[5] = 45.5
    findings = found(data_of(sentences(60), np.arange(60) % 2, part=part, groups=groups, times=times))
    assert findings["group-leak"].rows == tuple(range(50, 60))  # groups 0..9 are learned from
    assert findings["time-overlap"].rows == (5,)
    clean = data_of(sentences(60), np.arange(60) % 2, part=part, groups=np.arange(60), times=np.arange(60.0))
    assert not {"group-leak", "time-overlap"} & set(found(clean))


def test_tiny_pictures_are_noted():
    pictures = [scene(seed, 64) for seed in range(6)]
    pictures[2], pictures[4] = scene(20, 28), scene(21, 31)[:, :20]
    said = found(data_of(pictures, [0, 1] * 3))["tiny"]
    assert said.rows == (2, 4)
    assert "(smallest 20)" in said.text


def test_keys_are_of_content_and_survive_taking_rows():
    data = data_of(["a", "b", "a"], [0, 1, 0])
    assert data.keys[0] == data.keys[2] != data.keys[1]
    assert data.take([2, 1]).keys == (data.keys[2], data.keys[1])
    assert replace(data, classes=("c0", "c1\nx")).fingerprint != replace(data, classes=("c0\nc1", "x")).fingerprint


@pytest.fixture(scope="module")
def photos(tmp_path_factory):
    """250 JPEGs of 500 x 400 in two class folders."""
    root = tmp_path_factory.mktemp("photos")
    noise = np.random.default_rng(0).normal(0, 6, (400, 500, 3))
    for seed in range(250):
        file = root / ("odd" if seed % 2 else "even") / f"{seed}.jpg"
        file.parent.mkdir(exist_ok=True)
        pixels = np.asarray(Image.fromarray(scene(seed, 50)).resize((500, 400)))
        Image.fromarray(np.clip(pixels + noise, 0, 255).astype(np.uint8)).save(file, quality=85)
    return root


def test_different_pictures_are_not_taken_for_one_another(photos):
    data = read(photos)
    assert len(data) == 250
    assert not {"leak", "duplicates", "unreadable"} & {finding.what for finding in check(data, split(data))}


def test_reading_pictures_brings_no_heavy_library(photos):
    lines = (
        "import sys",
        "from headstart.data.read import read",
        f"data = read({str(photos)!r})",
        "heavy = {'polars', 'pyarrow', 'torch', 'sklearn', 'scipy', 'transformers', 'pandas', 'tokenizers'}",
        "print(len(data), sorted(heavy & set(sys.modules)))",
    )
    ran = subprocess.run([sys.executable, "-c", "\n".join(lines)], capture_output=True, text=True, check=True)
    assert ran.stdout.strip() == "250 []"


def test_one_repeated_text_is_found_among_ten_thousand(tmp_path):
    texts = sentences(10_000, words=9)
    texts[9_999] = texts[1].upper()
    lines = "\n".join(f"{text},{'ab'[row % 2]}" for row, text in enumerate(texts))
    (tmp_path / "t.csv").write_text(f"text,label\n{lines}\n")
    data = read(tmp_path / "t.csv")
    assert len(data) == 10_000
    assert {1, 9_999} <= set(found(data, split(data))["duplicates"].rows)
