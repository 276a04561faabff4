"""The command line: exit codes, one sentence for each mistake, pure JSON, and nothing heavy before it is needed."""

import csv
import io
import json
import os
import shutil
import signal
import subprocess
import sys
import time
from dataclasses import asdict

import numpy as np
import pytest
from networks import sentences, small_encoder, write_pictures, write_table

from headstart.cli import main as cli
from headstart.cli.options import seconds, size
from headstart.cli.show import finite, human, wrapped
from headstart.core import skill as skills
from headstart.errors import UsageError
from headstart.heads.linear import Linear
from headstart.sources.find import find

HEAVY = {"torch", "numpy", "openvino", "PIL", "scipy", "sklearn", "polars", "timm", "transformers", "rich", "jinja2"}
TYPED = [sys.executable, "-m", "headstart"]


@pytest.fixture(scope="module")
def place(tmp_path_factory):
    """A cache, a table of sentences, a folder of pictures, and a skill that knows sentences."""
    root = tmp_path_factory.mktemp("cli")
    write_table(root / "reviews.csv", 60)
    write_pictures(root / "pictures", 24, classes=("bad", "good"))
    card = find(small_encoder(root / "net"), root / "cache")
    draw = np.random.default_rng(0)
    weight = draw.normal(0, 1, (32, 2)).astype(np.float32)
    head = Linear(np.zeros(32, np.float32), np.ones(32, np.float32), weight, np.zeros(2), 1.0, "classes")
    manifest = {"name": "reviews", "modality": "text", "task": "classes", "classes": ["bad", "good"]}
    manifest |= {"metric": "accuracy", "source": asdict(card), "taps": ["layer2"], "depth": 1, "headstart": "0"}
    skills.write(root / "reviews.skill", manifest, head.arrays(), {"README.md": "# Reviews\n"})
    return root


@pytest.fixture
def run(place, capsys, monkeypatch, tmp_path):
    """Type a command: (exit code, standard output, standard error), in an empty folder."""
    monkeypatch.setenv("HEADSTART_CACHE", str(place / "cache"))
    monkeypatch.chdir(tmp_path)

    def typed(*arguments):
        code = 0
        try:
            cli.main([str(argument) for argument in arguments])
        except SystemExit as stopped:
            code = stopped.code
        return code, *capsys.readouterr()

    return typed


@pytest.fixture
def broken(place, tmp_path_factory):
    """A copy of the skill, with something done to it."""

    def make(what):
        folder = tmp_path_factory.mktemp("broken") / "reviews.skill"
        shutil.copytree(place / "reviews.skill", folder)
        if what == "a changed byte":
            raw = bytearray((folder / "delta.safetensors").read_bytes())
            raw[-1] ^= 1
            (folder / "delta.safetensors").write_bytes(raw)
        else:
            said = json.loads((folder / "skill.json").read_text("utf8"))
            (folder / "skill.json").write_text(json.dumps({**said, "format": 2}))
        return folder

    return make


# arguments, exit code, what the sentence says; {} names are folders of `place`
MISTAKES = {
    "no data": (["fit"], 2, "missing argument 'data'; see `headstart fit --help`"),
    "no such command": (["fitt"], 2, "no such command 'fitt'. Did you mean 'fit'? See `headstart --help`"),
    "no such option": (["fit", "{reviews}", "--sead", "1"], 2, "no such option"),
    "no number": (["fit", "{reviews}", "--seed", "x"], 2, "invalid value for '--seed'"),
    "negative seed": (["fit", "{reviews}", "--seed", "-1"], 2, "--seed -1 is too small; use 0 or above"),
    "negative threads": (["fit", "{reviews}", "--threads", "-1"], 2, "threads=-1 must be 0 (all) or above"),
    "missing path": (["fit", "nowhere"], 1, "'nowhere' does not exist; give a folder of class folders"),
    "missing path to inspect": (["inspect", "nowhere"], 1, "'nowhere' does not exist"),
    "empty folder": (["fit", "{empty}"], 1, "is an empty folder; give one folder per class inside, or a table"),
    "empty folder to inspect": (["inspect", "{empty}"], 1, "is an empty folder"),
    "unknown column": (["fit", "{reviews}", "--label", "stars"], 2, "text, label"),
    "unknown column to inspect": (["inspect", "{reviews}", "--text", "words"], 2, "text, label"),
    "unknown task": (["inspect", "{reviews}", "--task", "guess"], 2, "use one of classes, labels, numbers"),
    "unknown network": (["fit", "{reviews}", "--source", "minilm"], 1, "did you mean minilm-l6"),
    "another modality": (
        ["fit", "{reviews}", "--source", "efficientnet-lite0"],
        2,
        "reads pictures and the data holds",
    ),
    "negative budget": (
        ["fit", "{reviews}", "--budget", "-5s"],
        2,
        "--budget '-5s' must be above 0; write for example",
    ),
    "no budget": (["fit", "{reviews}", "--budget", "soon"], 2, "--budget 'soon' is not a time; write for example 60s"),
    "endless budget": (["fit", "{reviews}", "--budget", "inf"], 2, "--budget 'inf' is not a time"),
    "unknown metric": (["fit", "{reviews}", "--metric", "rightness"], 2, "is unknown; use one of accuracy,"),
    "depth 0": (["fit", "{reviews}", "--depth", "0"], 2, "depth=0 must be 1 (a new head) or above"),
    "unknown device": (["fit", "{reviews}", "--device", "tpu"], 2, "is not one of auto, cpu, cuda, eager"),
    "not a skill": (["predict", "{pictures}", "a.jpg"], 1, "is not a skill: it has no skill.json"),
    "no skill to evaluate": (["evaluate", "nowhere", "{reviews}"], 1, "nowhere is not a skill"),
    "no inputs": (["predict", "{skill}"], 2, "missing argument 'inputs"),
    "pictures for texts": (["evaluate", "{skill}", "{pictures}"], 1, "this skill reads text"),
    "export of nothing": (["export"], 2, "missing argument 'skill'"),
    "export of no skill": (["export", "nowhere", "--onnx", "a.onnx"], 1, "nowhere is not a skill"),
    "export of no form": (["export", "{skill}"], 2, "no form was asked for; write --onnx FILE.onnx"),
    "export to another suffix": (["export", "{skill}", "--onnx", "a.txt"], 2, "is not a file that ends in .onnx"),
    "export into data": (["export", "{skill}", "--openvino", "{pictures}"], 2, "is not an earlier export"),
    "unknown part": (["cache", "clear", "everything"], 2, "use store, networks, files or all"),
    "no part": (["cache", "clear"], 2, "missing argument 'part'"),
    "no cap": (["cache", "trim"], 2, "missing option '--cap'"),
    "no size": (["cache", "trim", "--cap", "much"], 2, "--cap 'much' is not a size; write for example 500MB"),
    "unknown network to pull": (["models", "pull", "minilm"], 1, "did you mean minilm-l6"),
    "unknown network to verify": (["models", "verify", "minilm"], 1, "did you mean minilm-l6"),
    "nothing to pull": (["models", "pull"], 2, "missing argument 'names"),
    "no such subcommand": (["models", "pul"], 2, "no such command 'pul'. Did you mean 'pull'? See `headstart models"),
    "two lines in a name": (["fit", "no\nwhere"], 1, "'no where' does not exist"),
}


@pytest.mark.parametrize(("arguments", "code", "said"), MISTAKES.values(), ids=MISTAKES)
def test_a_mistake_is_one_sentence_and_nothing_is_written(run, place, tmp_path_factory, arguments, code, said):
    names = {
        "reviews": place / "reviews.csv",
        "pictures": place / "pictures",
        "skill": place / "reviews.skill",
        "empty": tmp_path_factory.mktemp("empty"),
    }
    before = whats_there(place)
    found, out, err = run(*(argument.format(**names) for argument in arguments))
    lines = err.splitlines()
    # what was found in the data is told before the mistake is met; the mistake itself is the last line
    assert [line for line in lines if line.startswith("headstart: ")] == lines[-1:]
    assert said in lines[-1]
    assert "Traceback" not in err
    assert (found, out) == (code, "")
    assert os.listdir() == []
    assert whats_there(place) == before


def whats_there(place):
    """Every file but those of the cache, with its age."""
    files = (path for path in place.rglob("*") if place / "cache" not in (path, *path.parents))
    return {path: path.stat().st_mtime_ns for path in files}


EARLY = [name for name in MISTAKES if name not in ("unknown network", "another modality")]


@pytest.mark.parametrize("name", EARLY)
def test_a_mistake_that_is_seen_at_once_is_the_only_line(run, place, tmp_path, name):
    names = {"reviews": place / "reviews.csv", "pictures": place / "pictures", "skill": place / "reviews.skill"}
    empty = tmp_path / "empty"
    empty.mkdir()
    _, _, err = run(*(argument.format(**names, empty=empty) for argument in MISTAKES[name][0]))
    assert len(err.splitlines()) == 1


@pytest.mark.parametrize(
    ("what", "said"),
    [("a changed byte", "delta.safetensors is not as it was written"), ("a newer format", "made by a newer headstart")],
)
@pytest.mark.parametrize("command", ["predict", "evaluate", "export"])
def test_a_skill_that_is_not_as_it_was_is_refused(run, broken, place, what, said, command):
    rest = ["--onnx", "a.onnx"] if command == "export" else [place / "reviews.csv"]
    code, out, err = run(command, broken(what), *rest)
    assert (code, out) == (1, "")
    assert err.startswith("headstart: ")
    assert said in err
    assert len(err.splitlines()) == 1
    assert os.listdir() == []


def test_bare_it_shows_its_commands(run):
    code, out, err = run()
    assert (code, err) == (2, "")
    for command in ("inspect", "fit", "predict", "evaluate", "export", "models", "cache", "demo"):
        assert f"\n  {command} " in out


@pytest.mark.parametrize("command", ["inspect", "fit", "predict", "evaluate", "export", "models", "cache", "demo"])
def test_every_command_has_help_that_fits_a_terminal(run, command):
    code, out, _ = run(command, "--help")
    assert code == 0
    assert "--json" in out
    listed = out.partition("Commands:")[2]
    assert "..." not in listed  # a sentence that was cut
    assert max(map(len, out.splitlines())) <= 100


def test_help_costs_nothing():
    code = (
        "import sys, headstart.cli.main as m\n"
        "try: m.main(['--help'])\n"
        "except SystemExit: pass\n"
        "print(*(name.partition('.')[0] for name in sys.modules), file=sys.stderr)"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True)
    assert "fit" in done.stdout
    assert not HEAVY & set(done.stderr.split())
    took = []
    for _ in range(3):
        start = time.perf_counter()
        subprocess.run([*TYPED, "--help"], capture_output=True, check=True)
        took.append(time.perf_counter() - start)
    assert min(took) < 0.3


def test_the_version_is_the_packages(run):
    from headstart.version import __version__

    assert run("--version") == (0, f"headstart {__version__}\n", "")


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
    code, out, _ = run("cache", "verify", "--cache", tmp_path, "--json")
    assert (code, json.loads(out)) == (1, {"damaged": [str(tmp_path / "files" / ("0" * 64))]})
    assert run("cache", "clear", "files", "--cache", tmp_path) == (0, "1.5 kB freed\n", "")
    assert run("cache", "verify", "--cache", tmp_path)[0] == 0


def test_who_stops_reading_is_not_told_off(place):
    program = f"{sys.executable} -m headstart models --json | head -c 10; echo; exit ${{PIPESTATUS[0]}}"
    done = subprocess.run(["bash", "-c", program], capture_output=True, text=True)
    assert done.stdout.startswith("{")
    assert done.stderr == ""


def test_interrupting_ends_in_130(tmp_path, place):
    code = (
        "import headstart.verbs.inspect as v, headstart.cli.main as m, time\n"
        "v.read = lambda *_: (print('started', flush=True), time.sleep(60))\n"
        f"m.main(['inspect', {str(place / 'reviews.csv')!r}])"
    )
    with subprocess.Popen([sys.executable, "-c", code], stdout=-1, stderr=-1, text=True) as child:
        assert child.stdout.readline() == "started\n"
        child.send_signal(signal.SIGINT)
        out, err = child.communicate(timeout=30)
    assert (child.returncode, out) == (130, "")
    assert err == "headstart: interrupted; what was finished before is kept.\n"


def test_what_nobody_foresaw_keeps_its_traceback(run, place, monkeypatch):
    monkeypatch.setattr("headstart.verbs.inspect.read", lambda *_: 1 / 0)
    with pytest.raises(ZeroDivisionError):
        run("inspect", place / "reviews.csv")


def test_names_that_no_encoding_knows_are_printed_as_escapes(tmp_path):
    folder = os.fsencode(tmp_path) + b"/\xff\xfe"
    done = subprocess.run([*TYPED, "inspect", os.fsdecode(folder)], capture_output=True)
    assert done.returncode == 1
    assert done.stderr.count(b"\n") == 1
    assert rb"\udcff\udcfe" in done.stderr


def test_json_is_json_where_the_terminal_knows_few_letters(place, tmp_path):
    table = tmp_path / "täglich.csv"
    shutil.copy(place / "reviews.csv", table)
    plain = {**os.environ, "PYTHONIOENCODING": "ascii", "PYTHONUTF8": "0"}
    done = subprocess.run([*TYPED, "inspect", table, "--json"], capture_output=True, env=plain)
    assert json.loads(done.stdout.decode("ascii"))["path"] == str(table)


@pytest.mark.parametrize(
    ("text", "value"), [("60", 60), ("60s", 60), ("1.5m", 90), ("2h", 7200), (" 5 m ", 300), ("5M", 300)]
)
def test_times_are_read(text, value):
    assert seconds(text) == value


@pytest.mark.parametrize("text", ["", "s", "5d", "1e3", "nan", "inf", "5 5", "٥", "0", "-1", "0s"])
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
