"""`fit`, `plan`, `generate`, `chat` and `summarize` as they are typed; a mistake is one sentence."""

import io
import json
import re
import sys
from pathlib import Path

import pytest
from talkers import small_talker, small_talks
from typed import typing_in

import headstart as hs
from headstart import errors
from headstart.core import skill as skills


@pytest.fixture(scope="module")
def place(tmp_path_factory):
    """A cache, a tiny network, talks, and a skill that learned from them."""
    folder = tmp_path_factory.mktemp("speak")
    small_talker(folder / "net")
    small_talks(folder / "talks.jsonl")
    settings = hs.Settings(source=f"file:{folder / 'net'}", epochs=2, seed=1)
    hs.fit(folder / "talks.jsonl", folder / "talks.skill", settings=settings, cache=folder / "cache")
    return folder


@pytest.fixture
def run(place, capsys, monkeypatch, tmp_path):
    """Type a command in an empty folder: (exit code, standard output, standard error)."""
    monkeypatch.setenv("XDG_DATA_HOME", str(tmp_path / "data"))
    (tmp_path / "here").mkdir()
    return typing_in(place, tmp_path / "here", capsys, monkeypatch)


def said(monkeypatch, text):
    """Standard input of a pipe."""
    monkeypatch.setattr(sys, "stdin", io.TextIOWrapper(io.BytesIO(text.encode()), "utf8"))


def test_one_prompt_gives_the_text_alone_and_several_a_table(run, place, monkeypatch):
    skill = str(place / "talks.skill")
    code, one, err = run("generate", skill, "3 blue?")
    assert (code, err) == (0, "")
    want = hs.generate(skill, ["3 blue?", "1 red?"], cache=place / "cache")
    assert one == want[0].text + "\n"
    said(monkeypatch, "3 blue?\n\n1 red?\n")
    code, out, _ = run("generate", skill, "-", "--json")
    assert code == 0
    assert [each["text"] for each in json.loads(out)["answers"]] == [each.text for each in want]


def test_a_seed_gives_the_same_text_and_another_another(run, place):
    skill = str(place / "talks.skill")
    drawn = [run("generate", skill, "3 blue?", "--temperature", "1.5", "--seed", seed)[1] for seed in ("1", "1", "2")]
    assert drawn[0] == drawn[1] != drawn[2]


def test_in_a_pipe_each_line_is_a_turn_and_new_forgets(run, place, monkeypatch):
    skill = str(place / "talks.skill")
    said(monkeypatch, "3 blue?\nsure?\n/new\n3 blue?\n/exit\nnever read\n")
    code, out, _ = run("chat", skill, "--temperature", "0", "--max-new-tokens", "12")
    talk = hs.chat(skill, decoding=hs.Decoding(max_new_tokens=12), cache=place / "cache")
    first, second = ("".join(talk.say(line)) for line in ("3 blue?", "sure?"))
    assert code == 0
    assert out == f"{first}\n{second}\n{first}\n"
    assert [turn.role for turn in talk.history] == ["user", "assistant"] * (len(talk.history) // 2)


def test_documents_are_summarised_under_their_names_and_a_bad_one_stands_on_its_own(run, place, tmp_path):
    skill = str(place / "talks.skill")
    (tmp_path / "a.txt").write_text("A short text. " * 3)
    code, out, _ = run("summarize", skill, str(tmp_path / "a.txt"), str(tmp_path / "none.txt"), "--json")
    found = json.loads(out)["summaries"]
    assert code == 0
    assert (found[0]["error"], found[0]["parts"]) == (None, 1)
    assert found[1]["error"] == f"'{tmp_path / 'none.txt'}' is no file; give a text file, or - for standard input."
    assert run("summarize", skill, str(tmp_path / "none.txt"))[0] == 1


def test_the_network_as_it_came_answers_too(run, place):
    code, out, _ = run("generate", f"file:{place / 'net'}", "3 blue?", "--max-new-tokens", "5")
    assert code == 0
    assert (
        out.strip()
        == hs.generate(
            f"file:{place / 'net'}", "3 blue?", decoding=hs.Decoding(max_new_tokens=5), cache=place / "cache"
        )[0].text
    )


def test_a_plan_tells_seconds_rate_and_memory(run, place):
    code, out, _ = run(
        "plan", str(place / "talks.jsonl"), "--sources", f"file:{place / 'net'}", "-o", "p.toml", "--json"
    )
    found = json.loads(out)
    assert code == 0
    assert all(found[name]["low"] > 0 for name in ("tokens_per_second", "memory", "seconds"))
    assert found["file"] == "p.toml"


MISTAKES = {
    "an empty prompt": (
        ("generate", "{skill}", " "), 1,
        "the prompt is empty; give one with something to answer.",
    ),
    "no such skill": (
        ("generate", "nothing.skill", "hi"), 1,
        "nothing.skill is not a skill: it has no skill.json; give a folder that `headstart fit` wrote.",
    ),
    "a length of 0": (
        ("generate", "{skill}", "hi", "--max-new-tokens", "-3"), 2,
        "max_new_tokens=-3 is no whole number of 1 or more; give at least 1.",
    ),
    "no room for a prompt": (
        ("generate", "{skill}", "hi", "--max-new-tokens", "512"), 2,
        "max_new_tokens=512 leaves no room for a prompt in the window of 512 tokens; give less than 512.",
    ),
    "a temperature below 0": (
        ("chat", "{skill}", "--temperature", "-1"), 2,
        "temperature=-1.0 is below 0 or no number; give 0 for the likeliest token each time, or up to about 1 for more "
        "variety.",
    ),
    "a window beyond the network's": (
        ("fit", "{talks}", "--source", "{net}", "--window", "4096"), 2,
        "--window 4096 is more than the 512 tokens of {net}; give less.",
    ),
    "a guard of labels": (
        ("fit", "{talks}", "--source", "{net}", "--guard", "ewc"), 2,
        "guard ewc is for labels; a language model keeps what it knew by --forget-at-most 3%, which mixes what it "
        "learned with what it knew.",
    ),
    "a metric": (
        ("fit", "{talks}", "--source", "{net}", "--metric", "accuracy"), 2,
        "--metric is for labels and this data is to be written; leave it out.",
    ),
    "a network that writes nothing": (
        ("fit", "{talks}", "--source", "minilm-l6"), 1,
        "minilm-l6 (BertModel) writes no text; use a causal language model, such as smollm2-135m.",
    ),
    "too deep": (
        ("fit", "{talks}", "--source", "{net}", "--depth", "99"), 2,
        "depth=99 is outside 1..6: this network has 6 blocks. Use 6 for all of it.",
    ),
    "a skill that has no labels": (
        ("predict", "{skill}", "hello there"), 2,
        "{skill} writes texts and has no labels to answer with; use `headstart generate`, `chat` or `summarize`, or "
        "make it a classifier: `headstart fit table.csv --source skill:PATH`.",
    ),
}  # fmt: skip


@pytest.mark.parametrize("mistake", MISTAKES)
def test_a_mistake_is_one_sentence(run, place, mistake):
    typed, want, sentence = MISTAKES[mistake]
    names = {"skill": place / "talks.skill", "talks": place / "talks.jsonl", "net": f"file:{place / 'net'}"}
    code, _, err = run(*(word.format(**names) for word in typed))
    assert code == want
    assert err.splitlines()[-1] == f"headstart: {sentence.format(**names)}"


BAD_TALKS = {
    "roles in a wrong order": (
        '{"messages": [{"role": "assistant", "content": "yes"}, {"role": "user", "content": "x"}]}',
        "line 41: roles in a wrong order: the assistant speaks before the user",
    ),
    "an empty answer": (
        '{"messages": [{"role": "user", "content": "x"}, {"role": "assistant", "content": ""}]}',
        "line 41: turn 2, the assistant's, is empty",
    ),
}


@pytest.mark.parametrize("bad", BAD_TALKS)
def test_a_bad_talk_is_named_and_the_others_are_learned(run, place, tmp_path, bad):
    line, told = BAD_TALKS[bad]
    small_talks(tmp_path / "more.jsonl")
    with (tmp_path / "more.jsonl").open("a") as file:
        file.write(line + "\n")
    code, _, err = run("fit", str(tmp_path / "more.jsonl"), "--source", f"file:{place / 'net'}", "--depth", "2")
    assert code == 0, err
    assert any(each.startswith(f"left out: {told}") for each in err.splitlines()), err
    about = json.loads((skills.read("more.skill").folder / "metrics.json").read_text())
    assert len(about["data"]["left_out"]) == 1


def test_a_line_that_is_not_json_is_named_and_nothing_is_written(run, place, tmp_path):
    with small_talks(tmp_path / "more.jsonl").open("a") as file:
        file.write('{"messages": [\n')
    code, _, err = run("fit", str(tmp_path / "more.jsonl"), "--source", f"file:{place / 'net'}")
    assert code == 1
    assert err.splitlines()[-1] == (
        f"headstart: line 41 of '{tmp_path / 'more.jsonl'}' is no JSON (Expecting value at sign 15); write one object "
        "on each line, and correct or delete this one."
    )
    assert not list(tmp_path.glob("here/*"))


def test_a_network_without_a_template_learns_no_talks_but_texts(run, place, tmp_path):
    source = small_talker(tmp_path / "bare", template=False)
    code, _, err = run("fit", str(place / "talks.jsonl"), "--source", source)
    assert code == 1
    assert err.splitlines()[-1] == (
        f"headstart: {source} has no chat template, so that it is not known how it is spoken to; use an instruct "
        "network, or plain texts (--task text)."
    )
    (tmp_path / "book.txt").write_text("\n\n".join(f"Paragraph {k} tells of the sea and the wind." for k in range(30)))
    code, out, err = run("fit", str(tmp_path / "book.txt"), "--source", source)
    assert code == 0, err
    assert "perplexity" in out


def test_personal_data_is_counted_and_can_be_masked(run, place, tmp_path):
    small_talks(tmp_path / "mail.jsonl")
    text = (tmp_path / "mail.jsonl").read_text().replace("it is red.", "write to ann.lee@example.org.")
    (tmp_path / "mail.jsonl").write_text(text)
    common = (str(tmp_path / "mail.jsonl"), "--source", f"file:{place / 'net'}", "--depth", "2")
    code, _, err = run("fit", *common)
    assert code == 0
    assert "personal data was found (10 mail; names and addresses are not looked for); the model may repeat them" in err
    code, _, err = run("fit", *common, "--mask-personal")
    assert "they were masked" in err
    assert "ann.lee" not in "".join(
        path.read_text("utf8", "replace") for path in skills.read("mail.skill").folder.iterdir()
    )


def changed(place, tmp_path, **values):
    """The skill with other values in its manifest; None takes one away."""
    whole = skills.read(place / "talks.skill")
    manifest = {
        k: v for k, v in ({**whole.manifest, **values}).items() if v is not ... and k not in ("files", "format")
    }
    return skills.write(tmp_path / "odd.skill", manifest, whole.arrays, {})


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("kind", "poems"),
        ("window", -4),
        ("system", 5),
        ("source", ...),
        ("source", {"architecture": 5}),
    ],
)
def test_a_manifest_that_says_nonsense_is_one_sentence(place, tmp_path, name, value):
    odd = changed(place, tmp_path, **{name: value})
    with pytest.raises(errors.SkillError, match=f"says no {name} that can be used"):
        hs.open_voice(odd.folder, cache=place / "cache")


def test_half_of_an_adapter_is_no_skill(place, tmp_path):
    whole = skills.read(place / "talks.skill")
    lost = next(name for name in whole.arrays if name.endswith(".lora_B"))
    manifest = {k: v for k, v in whole.manifest.items() if k not in ("files", "format")}
    arrays = {name: values for name, values in whole.arrays.items() if name != lost}
    skills.write(tmp_path / "half.skill", manifest, arrays, {})
    with pytest.raises(errors.SkillError, match="lacks a part of what it learned"):
        hs.open_voice(tmp_path / "half.skill", cache=place / "cache")


def test_bytes_that_are_no_text_do_not_end_a_talk(run, place, monkeypatch):
    skill = str(place / "talks.skill")
    code, out, _ = run("generate", skill, "\udcff red?")
    assert code == 0
    assert out.strip() == hs.generate(skill, "\ufffd red?", cache=place / "cache")[0].text
    with pytest.raises(errors.UsageError, match=r"a prompt is 5; give a text\."):
        hs.generate(skill, [5], cache=place / "cache")


LIMITS = {
    (
        "--budget",
        "0.001s",
    ): r"takes \d+ s of 0; give more, or fewer talks, or fit with a smaller --depth",
    ("--memory", "1MB"): r"by this plan takes [\d.]+ [MG]B of 1\.0 MB; give more",
}


@pytest.mark.parametrize("limit", LIMITS)
def test_a_plan_beyond_a_limit_is_not_written(run, place, limit):
    source = f"file:{place / 'net'}"
    code, _, err = run("plan", str(place / "talks.jsonl"), "--sources", source, "-o", "p.toml", *limit)
    assert code == 2
    assert re.search(LIMITS[limit], err.splitlines()[-1]), err
    assert not Path("p.toml").exists()


@pytest.mark.parametrize("option", [("--keep", "{talks}"), ("--sample", "20"), ("--no-moments",)])
def test_what_is_for_labels_is_refused(run, place, option):
    talks = str(place / "talks.jsonl")
    code, _, err = run(
        "fit", talks, "--source", f"file:{place / 'net'}", *(word.format(talks=talks) for word in option)
    )
    assert code == 2
    assert err.splitlines()[-1] == f"headstart: {option[0]} is for labels and this data is to be written; leave it out."


def test_an_update_of_a_skill_that_writes_is_refused(run, place):
    code, _, err = run("update", str(place / "talks.skill"), str(place / "talks.jsonl"))
    assert code == 2
    assert "writes texts and has no labels" in err


def test_a_template_that_cannot_be_used_is_one_sentence(run, place, tmp_path):
    source = small_talker(tmp_path / "bad")
    (tmp_path / "bad" / "chat_template.jinja").write_text("{% for m in %}")
    code, _, err = run("fit", str(place / "talks.jsonl"), "--source", source)
    assert code == 1
    assert err.splitlines()[-1].startswith(f"headstart: the chat template of {source} cannot be used (")


def test_weights_that_are_cut_off_are_one_sentence(run, place, tmp_path):
    source = small_talker(tmp_path / "cut")
    path = tmp_path / "cut" / "model.safetensors"
    path.write_bytes(path.read_bytes()[:20000])
    code, _, err = run("generate", source, "hi")
    assert code == 1
    assert err.splitlines()[-1].startswith(f"headstart: transformers cannot make {source} (")
