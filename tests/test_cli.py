"""The command line as such: exit codes, one sentence for each mistake, nothing heavy before it is needed."""

import json
import os
import shutil
import signal
import subprocess
import sys

import pytest
from typed import small_world, typing_in

COMMANDS = ("inspect", "rank", "compare", "fit", "predict", "evaluate", "export", "models", "cache", "demo", "skills")
HEAVY = {"torch", "numpy", "openvino", "PIL", "scipy", "sklearn", "polars", "timm", "transformers", "rich", "jinja2"}
TYPED = [sys.executable, "-m", "headstart"]


@pytest.fixture(scope="module")
def place(tmp_path_factory):
    """A cache, a table, a folder of pictures, and a skill."""
    return small_world(tmp_path_factory.mktemp("cli"))


@pytest.fixture
def run(place, capsys, monkeypatch, tmp_path):
    """Type a command in an empty folder: (exit code, standard output, standard error)."""
    return typing_in(place, tmp_path, capsys, monkeypatch)


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
    "a limit that is no share": (["fit", "{reviews}", "--forget-at-most", "5"], 2, "is not a share between 0 and 1"),
    "a limit without an old task": (["fit", "{reviews}", "--forget-at-most", "1%"], 2, "needs something that"),
    "a strength of nothing": (["fit", "{reviews}", "--strength", "2"], 2, "--strength 2 needs a guard"),
    "an unknown guard": (["fit", "{reviews}", "--guard", "wall"], 2, "guard 'wall' is unknown; use one of none, l2sp"),
    "an unknown update": (["fit", "{reviews}", "--update", "some"], 2, "is not one of all, norms, lora"),
    "no old data": (["fit", "{reviews}", "--keep", "nowhere"], 2, "give labelled data of the old task after --keep"),
    "unknown device": (["fit", "{reviews}", "--device", "tpu"], 2, "is not one of auto, cpu, cuda, eager"),
    "no such plan": (["fit", "{reviews}", "--plan", "no.toml"], 2, "the plan 'no.toml' cannot be opened (No such file"),
    "no plan at all": (["fit", "{reviews}", "--plan", "{reviews}"], 2, "is not TOML"),
    "not a skill": (["predict", "{pictures}", "a.jpg"], 1, "is not a skill: it has no skill.json"),
    "no skill to evaluate": (["evaluate", "nowhere", "{reviews}"], 1, "nowhere is not a skill"),
    "no inputs": (["predict", "{skill}"], 2, "missing argument 'inputs"),
    "pictures for texts": (["evaluate", "{skill}", "{pictures}"], 1, "this skill reads text"),
    "export of nothing": (["export"], 2, "missing argument 'skill'"),
    "export of no skill": (["export", "nowhere", "--onnx", "a.onnx"], 1, "nowhere is not a skill"),
    "export of no form": (["export", "{skill}"], 2, "no form was asked for; write --onnx FILE.onnx"),
    "export to another suffix": (["export", "{skill}", "--onnx", "a.txt"], 2, "is not a file that ends in .onnx"),
    "export into data": (["export", "{skill}", "--openvino", "{pictures}"], 2, "is not an earlier export"),
    "unknown part": (["cache", "clear", "everything"], 2, "use store, networks, runs, unpacked, files or all"),
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


LATE = ("unknown network", "another modality", "a limit without an old task")
EARLY = [name for name in MISTAKES if name not in LATE]


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
    for command in COMMANDS:
        assert f"\n  {command} " in out


@pytest.mark.parametrize(
    "command", ["inspect", "rank", "fit", "predict", "evaluate", "export", "models", "cache", "demo", "skills"]
)
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


def test_the_version_is_the_packages(run):
    from headstart.version import __version__

    assert run("--version") == (0, f"headstart {__version__}\n", "")


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
        assert child.stdout
        assert child.stdout.readline() == "started\n"
        child.send_signal(signal.SIGINT)
        out, err = child.communicate(timeout=30)
    assert (child.returncode, out) == (130, "")
    assert err == "headstart: interrupted; what was finished before is kept, and a fit goes on with --resume.\n"


def test_interrupting_the_start_is_no_traceback():
    code = (
        "import sys, headstart.__main__ as m\n"
        "class Interrupted:\n"
        "    def find_spec(self, name, *_):\n"
        "        if name == 'headstart.cli': raise KeyboardInterrupt\n"
        "sys.meta_path.insert(0, Interrupted())\n"
        "m.main()"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True)
    assert (done.returncode, done.stdout, done.stderr) == (130, "", "")


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
