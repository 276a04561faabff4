"""What each command prints: for a person, and as one JSON object."""

import csv
import io
import json
import os
import sys

import numpy as np
import pytest
from networks import sentences, write_pictures, write_table
from typed import small_world, typing_in

from headstart.cli.options import seconds, size
from headstart.cli.show import finite, wrapped
from headstart.errors import UsageError
from headstart.units import human


@pytest.fixture(scope="module")
def place(tmp_path_factory):
    """A cache, a table, a folder of pictures, and a skill."""
    return small_world(tmp_path_factory.mktemp("cli"))


@pytest.fixture
def run(place, capsys, monkeypatch, tmp_path):
    """Type a command in an empty folder: (exit code, standard output, standard error)."""
    return typing_in(place, tmp_path, capsys, monkeypatch)


def test_inspect_says_what_a_table_is(run, place):
    code, out, err = run("inspect", place / "reviews.csv", "--json")
    said = json.loads(out)
    kinds = [kind for _, kind in sentences(60)]
    assert (code, err) == (0, "")
    assert (said["modality"], said["task"], said["rows"]) == ("text", "classes", 60)
    assert {c["name"]: c["train"] + c["test"] for c in said["classes"]} == {k: kinds.count(k) for k in ("bad", "good")}
    lengths = [len(text) for text, _ in sentences(60)]
    (span,) = said["ranges"]
    assert (span["low"], span["median"], span["high"]) == (min(lengths), np.median(lengths), max(lengths))
    assert said["train"] == 60
    assert said["test"] == 0
    assert "tested once in 5 outer folds" in said["split"]
    order = ["error", "warning", "note"]
    severities = [order.index(finding["severity"]) for finding in said["findings"]]
    assert severities == sorted(severities)


def test_inspect_counts_the_given_test_part(run, tmp_path_factory):
    folder = tmp_path_factory.mktemp("parts")
    write_pictures(folder / "train", 30)
    write_pictures(folder / "test", 10, seed=1)
    code, out, _ = run("inspect", folder, "--json")
    said = json.loads(out)
    assert code == 0
    assert [(c["name"], c["train"], c["test"]) for c in said["classes"]] == [("dark", 15, 5), ("light", 15, 5)]
    assert (said["train"], said["test"]) == (30, 10)
    assert [span["median"] for span in said["ranges"]] == [40.0]


def test_inspect_tells_a_person_the_same_in_few_columns(run, place, tmp_path_factory):
    folder = tmp_path_factory.mktemp("mixed")
    write_pictures(folder, 30, classes=("dark", "light", "a class with a name that is long " * 4))
    (folder / "dark" / "broken.png").write_bytes(b"not a picture")
    code, out, err = run("inspect", folder)
    assert (code, err) == (0, "")
    assert out.splitlines()[0].endswith(": 30 pictures, 3 classes")
    assert "left out: 1\n" in out
    assert "dark/broken.png: " in out
    assert max(len(line) for line in out.splitlines() if str(folder) not in line) <= 100


def test_inspect_ends_in_1_where_fit_would_refuse(run, tmp_path_factory):
    table = write_table(tmp_path_factory.mktemp("few") / "few.csv", 3)
    code, out, err = run("inspect", table, "--json")
    said = json.loads(out)
    assert (code, err, said["usable"], said["split"]) == (1, "", False, "")
    assert said["findings"][0]["severity"] == "error"
    code, out, err = run("fit", table)
    assert (code, out) == (1, "")
    assert err.splitlines()[-1] == f"headstart: {said['findings'][0]['text']}"
    code, out, _ = run("inspect", table)
    assert code == 1
    assert "\nerror: 3 rows are too few" in out


def test_inspect_opens_no_network(run, place, monkeypatch):
    for name in ("torch", "openvino", "timm", "transformers", "socket"):
        monkeypatch.setitem(sys.modules, name, None)
    assert run("inspect", place / "reviews.csv")[0] == 0
    assert run("inspect", place / "pictures")[0] == 0


def test_predictions_as_rows_and_as_one_object_are_the_same(run, place, tmp_path_factory):
    table = tmp_path_factory.mktemp("in") / "new.csv"
    table.write_text('text\n"a wonderful, ""lovely"" film"\nä dull bore\n', "utf8")
    code, out, err = run("predict", place / "reviews.skill", table, "--all")
    assert (code, err) == (0, "")
    assert "\r" not in out
    rows = list(csv.DictReader(io.StringIO(out)))
    assert list(rows[0]) == ["input", "label", "probability", "error", "p_bad", "p_good"]
    code, out, err = run("predict", place / "reviews.skill", table, "--json")
    assert (code, err) == (0, "")
    for row, said in zip(rows, json.loads(out)["predictions"], strict=True):
        assert (row["input"], row["label"]) == (said["input"], said["label"])
        assert float(row["probability"]) == pytest.approx(said["probability"], abs=5e-5)
        assert float(row["p_bad"]) == pytest.approx(said["all"]["bad"], abs=5e-5)


def test_the_scores_are_one_object_with_null_for_what_is_no_number(run, place):
    code, out, _ = run("evaluate", place / "reviews.skill", place / "reviews.csv", "--json")
    said = json.loads(out, parse_constant=lambda name: pytest.fail(f"{name} is not JSON"))
    assert code == 0
    assert said["n"] == 60
    code, out, _ = run("evaluate", place / "reviews.skill", place / "reviews.csv")
    value = said["scores"]["accuracy"]["value"]
    assert any(line.split()[:2] == ["accuracy", f"{value:.3f}"] for line in out.splitlines())
    assert json.dumps(finite({"a": [float("nan"), -float("inf"), 1.5], "b": ("x", None)})) == (
        '{"a": [null, null, 1.5], "b": ["x", null]}'
    )


def test_a_fit_is_one_object_on_standard_output(run, place):
    command = [
        "fit",
        place / "reviews.csv",
        "--source",
        f"file:{place / 'net'}",
        "--depth",
        "1",
        "--json",
        "-o",
        "mine",
    ]
    code, out, err = run(*command)
    said = json.loads(out)
    assert code == 0
    assert said["skill"] == os.path.abspath("mine")
    assert said["command"].startswith("headstart fit ")
    assert said["command"].endswith("-o mine")
    assert "Traceback" not in err
    code, out, _ = run("export", "mine", "--onnx", "mine.onnx", "--json")
    (form,) = json.loads(out)["exported"]
    assert code == 0
    assert sorted(form["files"]) == sorted(name for name in os.listdir() if name.startswith("mine."))


def test_models_lists_and_verifies(run, place, tmp_path):
    _, out, err = run("models", "--json", "--cache", tmp_path)
    listed = json.loads(out)["models"]
    assert {"name", "modality", "licence", "asserted_by", "bytes", "on_disk", "files"} <= set(listed[0])
    assert not any(each["on_disk"] for each in listed)
    _, out, _ = run("models", "--cache", tmp_path)
    assert all(each["name"] in out and each["asserted_by"] in out for each in listed)
    assert max(map(len, out.splitlines())) <= 100
    code, out, err = run("models", "verify", f"file:{place / 'net'}", "--cache", tmp_path, "--json")
    (seen,) = json.loads(out)["verified"]
    assert (code, err, seen["whole"], len(seen["missing"])) == (1, "", False, 3)
    code, out, err = run("models", "pull", f"file:{place / 'net'}", "--cache", tmp_path, "--json")
    (pulled,) = json.loads(out)["pulled"]
    assert (code, pulled["fetched"]) == (0, pulled["bytes"])
    assert [line.split()[0] for line in err.splitlines()] == ["fetching"]
    code, out, _ = run("models", "verify", f"file:{place / 'net'}", "--cache", tmp_path)
    assert code == 0


def test_options_before_a_subcommand_count_for_it(run, tmp_path):
    code, out, _ = run("models", "--json", "--cache", tmp_path, "verify")
    assert (code, json.loads(out)) == (0, {"verified": []})
    code, out, _ = run("cache", "--json", "--cache", tmp_path, "clear", "all")
    assert (code, json.loads(out)) == (0, {"part": "all", "freed": 0})


def test_the_cache_is_shown_verified_and_cleared(run, tmp_path):
    (tmp_path / "files").mkdir()
    (tmp_path / "files" / ("0" * 64)).write_bytes(bytes(1500))
    code, out, _ = run("cache", "--cache", tmp_path)
    assert code == 0
    assert out.splitlines()[0] == str(tmp_path)
    assert "1.5 kB" in out
    assert out.splitlines()[-1].startswith("store and networks are each kept below 20.0 GB")
    code, out, _ = run("cache", "verify", "--cache", tmp_path, "--json")
    assert (code, json.loads(out)) == (1, {"damaged": [str(tmp_path / "files" / ("0" * 64))]})
    assert run("cache", "clear", "files", "--cache", tmp_path) == (0, "1.5 kB freed\n", "")
    assert run("cache", "verify", "--cache", tmp_path)[0] == 0


def test_the_cap_of_the_cache_is_the_users(run, tmp_path, monkeypatch):
    monkeypatch.setenv("HEADSTART_CACHE_CAP", "5GB")
    code, out, _ = run("cache", "--cache", tmp_path, "--json")
    assert (code, json.loads(out)["cap"]) == (0, 5 * 10**9)
    monkeypatch.setenv("HEADSTART_CACHE_CAP", "much")
    for command in (("cache", "--cache", tmp_path), ("fit", tmp_path)):
        code, out, err = run(*command)
        assert (code, out) == (2, "")
        assert err == "headstart: HEADSTART_CACHE_CAP='much' is not a size; set it for example to 5GB, or unset it.\n"


@pytest.mark.parametrize(
    ("text", "value"), [("60", 60), ("60s", 60), ("1.5m", 90), ("2h", 7200), (" 5 m ", 300), ("5M", 300)]
)
def test_times_are_read(text, value):
    assert seconds(text) == value


@pytest.mark.parametrize("text", ["", "s", "5d", "1e3", "nan", "inf", "5 5", "\u0665", "0", "-1", "0s"])
def test_other_times_are_refused(text):
    with pytest.raises(UsageError, match="write for example 60s, 5m or 1h"):
        seconds(text)


@pytest.mark.parametrize(
    ("text", "value"), [("0", 0), ("1500", 1500), ("5GB", 5 * 10**9), ("1.5 mb", 1_500_000), ("7B", 7)]
)
def test_sizes_are_read(text, value):
    assert size(text) == value


@pytest.mark.parametrize("text", ["", "GB", "-5GB", "5 apples", "inf", "1" * 400])
def test_other_sizes_are_refused(text):
    with pytest.raises(UsageError, match="write for example 500MB or 5GB"):
        size(text)


@pytest.mark.parametrize(
    ("count", "said"),
    [(0, "0 B"), (999, "999 B"), (1000, "1.0 kB"), (999_949, "999.9 kB"), (999_950, "1.0 MB"), (5e12, "5000.0 GB")],
)
def test_sizes_are_said(count, said):
    assert human(count) == said


def test_long_paths_are_not_cut():
    path = "/a/" + "b-" * 100
    assert path in "\n".join(wrapped(f"see {path} there", first="note: "))
