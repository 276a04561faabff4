"""What transformers, peft and llama.cpp answer with a skill that was taken away, against the skill and by hand."""

import importlib.util
import json
import sys
from dataclasses import asdict, replace
from functools import partial

import gguf
import numpy as np
import pytest
import torch
import tuned
from peft import PeftModel
from talkers import small_talker, small_talks
from torch.testing import assert_close
from transformers import AutoConfig, AutoModelForCausalLM, AutoModelForSeq2SeqLM, AutoTokenizer
from typed import small_world, typing_in

from headstart.core import skill as skills
from headstart.errors import EngineError, SkillError, SourceError, UsageError
from headstart.sources import away, away_gguf, away_peft
from headstart.sources.card import card_of
from headstart.sources.find import find, of_skill
from headstart.sources.language import open_language
from headstart.verbs import carry as verb
from headstart.verbs.carry import ALLOWED, carry
from headstart.verbs.export import export
from headstart.verbs.fit import fit
from headstart.verbs.settings import Settings
from headstart.verbs.voice import open_voice

# of peft, which asks transformers by a name that will go
pytestmark = pytest.mark.filterwarnings("ignore:`is_gradient_checkpointing` is deprecated:FutureWarning")
MADE = {"lora": {"update": "lora"}, "all": {"update": "all"}, "deep": {"update": "lora", "depth": 4}}


class Place:
    """A network, skills of it, and the folder of the cache."""

    def __init__(self, root):
        self.root, self.cache = root, root / "cache"
        tuned.network("llama").save_pretrained(root / "net")
        tuned.tokenizer(root / "net")
        self.talks = small_talks(root / "talks.jsonl", 24)
        self.made = {}

    def skill(self, name, source=None, **settings):
        """Taught once, under this name."""
        if name not in self.made:
            how = Settings(**{"source": source or f"file:{self.root}/net", "epochs": 2, "lr": 0.02, **settings})
            self.made[name] = fit(self.talks, self.root / f"{name}.skill", settings=how, cache=self.cache)
        return self.made[name]

    def kind(self, name):
        return self.skill(name, **MADE[name])

    def base(self):
        return AutoModelForCausalLM.from_pretrained(self.root / "net", dtype=torch.float32).eval()

    def carry(self, skill, **forms):
        return carry(skill, cache=self.cache, threads=1, **forms)


@pytest.fixture(scope="module")
def place(tmp_path_factory):
    return Place(tmp_path_factory.mktemp("carry"))


def logits(network):
    return torch.cat([tuned.logits(network), tuned.logits(network, (3, 44, 250, 81, 9))])


def by_hand(place, skill):
    """Every weight of the network with what the skill keeps: its own value, or W + B A."""
    state = place.base().state_dict()
    for key, values in skill.arrays.items():
        name = name_of(key)
        weight = name.removesuffix(".lora_A")
        if weight != name:
            state[weight] = torch.from_numpy(state[weight].numpy() + skill.arrays[key[:-1] + "B"] @ values)
        elif not name.endswith(".lora_B"):
            assert name in state
            state[name] = torch.from_numpy(values.copy())
    return state


def name_of(key):
    """As transformers calls it: tail.layer2.0.mlp.up_proj.weight is that of layer 1; behind the layers is the norm."""
    block, rest = key.removeprefix("tail.").split(".", 1)
    if block == "head":
        return rest.replace("linear", "lm_head")
    layer, inside = int(block.removeprefix("layer")) - 1, rest.removeprefix("0.")
    return f"model.layers.{layer}.{inside}" if inside != rest else rest.replace("1.", "model.norm.", 1)


def told(place, skill):
    """Logits of the network with these weights, nothing of headstart in them."""
    network = place.base()
    network.load_state_dict(by_hand(place, skill))
    return logits(network)


def of_transformers(folder, **how):
    return AutoModelForCausalLM.from_pretrained(folder, **{"dtype": torch.float32, **how}).eval()


@pytest.mark.parametrize("name", ["lora", "deep"])
def test_every_form_answers_as_the_network_with_its_adapters_by_hand(place, tmp_path, name):
    skill = place.kind(name)
    forms = {"merged": tmp_path / "whole", "adapter": tmp_path / "small", "gguf": tmp_path / "one.gguf"}
    done = place.carry(skill, **forms)
    want, before = told(place, skill), logits(place.base())
    answers = (
        of_transformers(tmp_path / "whole"),
        PeftModel.from_pretrained(place.base(), tmp_path / "small").eval(),
        of_transformers(tmp_path, gguf_file="one.gguf"),
    )
    for network in answers:
        assert_close(logits(network), want, rtol=1e-4, atol=1e-4)
    assert (want - before).abs().max() > 0.1
    assert [each.kind for each in done] == ["merged", "adapter", "GGUF"]
    assert all(each.difference <= 1e-4 and each.allowed == ALLOWED["float32"] for each in done)


def test_what_all_weights_learned_is_in_the_whole_network(place, tmp_path):
    skill = place.kind("all")
    place.carry(skill, merged=tmp_path / "whole", gguf=tmp_path / "one.gguf")
    want = of_transformers(tmp_path / "whole")
    state = by_hand(place, skill)
    before = place.base().state_dict()
    assert not torch.equal(state["model.layers.1.mlp.up_proj.weight"], before["model.layers.1.mlp.up_proj.weight"])
    assert not torch.equal(state["lm_head.weight"], before["lm_head.weight"])
    for name, tensor in want.state_dict().items():
        assert torch.equal(tensor, state[name]), name
    assert torch.equal(logits(of_transformers(tmp_path, gguf_file="one.gguf")), logits(want))


def test_every_form_is_the_skill_as_it_is_opened(place, tmp_path):
    skill = place.kind("lora")
    place.carry(skill, merged=tmp_path / "whole", gguf=tmp_path / "one.gguf")
    want = logits(open_voice(skill, cache=place.cache).language.network)
    assert torch.equal(logits(of_transformers(tmp_path / "whole")), want)
    assert torch.equal(logits(of_transformers(tmp_path, gguf_file="one.gguf")), want)


@pytest.mark.parametrize("form", ["bfloat16", "float16", "f16", "q8_0"])
def test_smaller_forms_are_off_by_their_rounding_alone(place, tmp_path, form):
    skill = place.kind("lora")
    if form in ("f16", "q8_0"):
        (done,) = place.carry(skill, gguf=tmp_path / "one.gguf", quantise=form)
        got = of_transformers(tmp_path, gguf_file="one.gguf")
    else:
        (done,) = place.carry(skill, merged=tmp_path / "whole", dtype=form)
        assert of_transformers(tmp_path / "whole", dtype="auto").dtype == getattr(torch, form)
        got = of_transformers(tmp_path / "whole")
    off = (logits(got).log_softmax(-1) - told(place, skill).log_softmax(-1)).abs().max()
    # far below what is allowed, which deep networks may need: this one has two layers
    assert 1e-4 < done.difference < ALLOWED[form] / 5
    assert 1e-4 < off < ALLOWED[form] / 5
    assert done.allowed == ALLOWED[form]


def test_rounding_to_fewer_digits_differs_more(place, tmp_path):
    skill = place.kind("lora")
    of_ = {form: place.carry(skill, merged=tmp_path / form, dtype=form)[0].difference for form in away.DTYPES}
    of_["q8_0"] = place.carry(skill, gguf=tmp_path / "q.gguf", quantise="q8_0")[0].difference
    assert of_["float32"] < of_["float16"] < of_["bfloat16"] < of_["q8_0"]


def test_tokenizer_and_chat_template_are_in_every_form(place, tmp_path):
    place.carry(place.kind("lora"), merged=tmp_path / "whole", adapter=tmp_path / "small", gguf=tmp_path / "one.gguf")
    want = AutoTokenizer.from_pretrained(place.root / "net")
    for folder in ("whole", "small"):
        got = AutoTokenizer.from_pretrained(tmp_path / folder)
        assert got.chat_template == tuned.TEMPLATE
        assert [got(text).input_ids for text in tuned.TEXTS] == [want(text).input_ids for text in tuned.TEXTS]
    said = gguf.GGUFReader(tmp_path / "one.gguf").fields
    assert said["tokenizer.chat_template"].contents() == tuned.TEMPLATE
    assert said["general.name"].contents() == "tuned one"


def test_nothing_else_is_left_and_files_are_told_weights_first(place, tmp_path):
    forms = {"merged": tmp_path / "to" / "whole", "adapter": tmp_path / "small", "gguf": tmp_path / "one.gguf"}
    whole, small, one = place.carry(place.kind("lora"), **forms)
    assert sorted(path.name for path in tmp_path.iterdir()) == ["one.gguf", "small", "to"]
    assert whole.files[0].name == "model.safetensors"
    assert small.files[0].name == "adapter_model.safetensors"
    assert one.files == (tmp_path / "one.gguf",)
    for done, folder in ((whole, "to/whole"), (small, "small")):
        assert sorted(done.files) == sorted((tmp_path / folder).iterdir())
    assert sum(file.stat().st_size for file in small.files) < sum(file.stat().st_size for file in whole.files)


def test_a_skill_of_plain_texts_is_written_too(place, tmp_path):
    texts = tmp_path / "texts"
    texts.mkdir()
    for k in range(12):
        (texts / f"{k}.txt").write_text(f"it is red. {k} yes, it is green and blue. sure, {k}.\n" * 6, "utf8")
    how = Settings(source=f"file:{place.root}/net", epochs=1, update="lora")
    skill = fit(texts, tmp_path / "texts.skill", settings=how, cache=place.cache)
    (done,) = place.carry(skill, merged=tmp_path / "whole")
    assert skill.manifest["kind"] == "text"
    assert done.difference <= ALLOWED["float32"]
    assert_close(logits(of_transformers(tmp_path / "whole")), told(place, skill), rtol=1e-4, atol=1e-4)


@pytest.fixture(scope="module")
def second(place):
    """A skill that learned on top of another."""
    first = place.kind("lora")
    return place.skill("second", source=f"skill:{first.folder}", update="lora", lr=0.01)


def test_a_skill_of_a_skill_is_merged_with_both(place, second, tmp_path):
    first = place.kind("lora")
    place.carry(second, merged=tmp_path / "whole", gguf=tmp_path / "one.gguf")
    one, other = (by_hand(place, skill) for skill in (first, second))
    base, got = place.base().state_dict(), of_transformers(tmp_path / "whole").state_dict()
    for name, tensor in base.items():  # both begin at the same network: their changes add up
        assert_close(got[name], one[name] + other[name] - tensor, rtol=1e-5, atol=1e-6)
    assert not torch.equal(one["model.layers.1.mlp.up_proj.weight"], got["model.layers.1.mlp.up_proj.weight"])
    assert_close(logits(of_transformers(tmp_path, gguf_file="one.gguf")), logits(of_transformers(tmp_path / "whole")))


def test_the_adapter_of_a_skill_of_a_skill_is_refused(place, second, tmp_path):
    with pytest.raises(
        UsageError, match=r"learned on top of skill:.*lora.skill, a skill too, .* write it with --merged or --gguf"
    ):
        place.carry(second, merged=tmp_path / "whole", adapter=tmp_path / "small")
    assert not list(tmp_path.iterdir())


def test_a_skill_that_was_unpacked_elsewhere_is_written(place, tmp_path):
    from headstart.core.archive import pack

    skill = place.kind("lora")
    packed = pack(skill.folder, tmp_path / "lora.zip")
    place.carry(packed, merged=tmp_path / "whole")
    assert_close(logits(of_transformers(tmp_path / "whole")), told(place, skill), rtol=1e-4, atol=1e-4)


@pytest.fixture(scope="module")
def from_file(place):
    """A skill whose network came as a GGUF file that says more than a network must."""
    path = away_gguf.gguf_file(place.base(), place.root / "net", place.root / "first.gguf", quantise="f16")
    reader, original = gguf.GGUFReader(path), place.root / "original.gguf"
    writer = gguf.GGUFWriter(original, "llama")
    for key, field in reader.fields.items():
        if not key.startswith(("GGUF.", "general.architecture")):
            writer.add_key_value(key, field.contents(), field.types[0], field.types[-1])
    writer.add_license("apache-2.0")
    for tensor in reader.tensors:
        writer.add_tensor(tensor.name, np.array(tensor.data))
    writer.write_header_to_file()
    writer.write_kv_data_to_file()
    writer.write_tensors_to_file()
    writer.close()
    return place.skill("of a file", source=f"file:{original}", update="lora")


def test_of_a_gguf_file_everything_but_the_weights_is_taken_over(place, from_file, tmp_path):
    place.carry(from_file, gguf=tmp_path / "one.gguf", merged=tmp_path / "whole", adapter=tmp_path / "small")
    told_, taken = (
        {key: field.contents() for key, field in gguf.GGUFReader(path).fields.items() if not key.startswith("GGUF.")}
        for path in (place.root / "original.gguf", tmp_path / "one.gguf")
    )
    assert told_.pop("general.file_type") != taken.pop("general.file_type")
    assert taken == told_
    assert taken["general.license"] == "apache-2.0"
    base = of_transformers(place.root, gguf_file="original.gguf")
    got = logits(of_transformers(tmp_path, gguf_file="one.gguf"))
    assert_close(got, logits(of_transformers(tmp_path / "whole")), rtol=1e-5, atol=1e-5)
    assert_close(got, logits(PeftModel.from_pretrained(base, tmp_path / "small").eval()), rtol=1e-4, atol=1e-4)


def test_the_adapter_names_its_network_where_others_can_get_it(place, tmp_path):
    skill = place.kind("lora")
    card = card_of(skill.manifest["source"])
    assert verb._repository(card) is None
    file = replace(card.files["weights"], locator=f"hf:some/one@{'a' * 40}#model.safetensors")
    assert verb._repository(replace(card, files={**card.files, "weights": file})) == "some/one"
    place.carry(skill, adapter=tmp_path / "small")
    assert json.loads((tmp_path / "small" / "adapter_config.json").read_text())["base_model_name_or_path"] is None


def worse(write, by):
    """The same writing of a network one of whose weights is off."""

    def written(network, *rest, **more):
        weight = network.model.layers[0].mlp.up_proj.weight
        kept = weight.detach().clone()
        with torch.no_grad():
            weight.add_(by)
            try:
                return write(network, *rest, **more)
            finally:
                weight.copy_(kept)

    return written


@pytest.mark.parametrize("by", [0.5, float("nan")])
@pytest.mark.parametrize(("form", "out"), [("merged", "whole"), ("gguf", "one.gguf")])
def test_a_form_that_answers_otherwise_is_refused_and_nothing_is_left(place, tmp_path, monkeypatch, form, out, by):
    skill = place.kind("lora")
    monkeypatch.setattr(away, "merged", worse(away.merged, by))
    monkeypatch.setattr(away_gguf, "gguf_file", worse(away_gguf.gguf_file, by))
    why = "differs from the skill by" if by == by else "not all of them are numbers"
    with pytest.raises((EngineError, SourceError), match=why):
        place.carry(skill, **{form: tmp_path / out})
    assert not list(tmp_path.iterdir())


def test_an_adapter_of_other_values_is_refused_and_nothing_is_left(place, tmp_path, monkeypatch):
    whole = away_peft.adapter

    def doubled(learned, *rest, **more):
        return whole({key: 2 * values for key, values in learned.items()}, *rest, **more)

    monkeypatch.setattr(away_peft, "adapter", doubled)
    with pytest.raises(
        EngineError,
        match=r"small, read back, differs from the skill by .* where 0.001 is allowed in float32; it was not written",
    ):
        place.carry(place.kind("lora"), adapter=tmp_path / "small")
    assert not list(tmp_path.iterdir())


def test_what_is_written_first_stays_where_a_later_form_is_refused(place, tmp_path, monkeypatch):
    monkeypatch.setattr(away_gguf, "gguf_file", worse(away_gguf.gguf_file, 0.5))
    with pytest.raises(EngineError):
        place.carry(place.kind("lora"), merged=tmp_path / "whole", gguf=tmp_path / "one.gguf")
    assert [path.name for path in tmp_path.iterdir()] == ["whole"]


BAD = {
    "nothing": ({}, "no form was asked for; write --merged FOLDER, --adapter FOLDER or --gguf"),
    "dtype": ({"merged": "a", "dtype": "int8"}, "--dtype int8 is not one of float32, bfloat16, float16"),
    "quantise": ({"gguf": "a.gguf", "quantise": "q2"}, "--quantise q2 is not one of f16 and q8_0"),
    "dtype of nothing": ({"gguf": "a.gguf", "dtype": "float16"}, "--dtype float16 is of a merged folder"),
    "quantise of nothing": ({"merged": "a", "quantise": "f16"}, "--quantise f16 is of a GGUF file"),
    "ending": ({"gguf": "a.bin"}, r"a.bin does not end in .gguf; write for example --gguf mine.gguf"),
    "twice": ({"merged": "a", "adapter": "a"}, "--merged and --adapter name the same place"),
    "taken": ({"merged": "taken"}, "taken is there already; move it away, or give another place"),
    "taken file": ({"gguf": "taken.gguf"}, "taken.gguf is there already"),
}


@pytest.mark.parametrize("case", BAD)
def test_what_cannot_be_followed_is_one_sentence(place, tmp_path, case):
    (tmp_path / "taken").mkdir()
    (tmp_path / "taken.gguf").write_text("mine")
    given, why = BAD[case]
    forms = {key: tmp_path / value if key in ("merged", "adapter", "gguf") else value for key, value in given.items()}
    with pytest.raises(UsageError, match=why):
        place.carry(place.kind("lora"), **forms)
    assert sorted(path.name for path in tmp_path.iterdir()) == ["taken", "taken.gguf"]
    assert (tmp_path / "taken.gguf").read_text() == "mine"


def test_weights_that_all_learned_are_no_adapter(place, tmp_path):
    with pytest.raises(UsageError, match="learned by --update all and has no adapter; write it with --merged or --gg"):
        place.carry(place.kind("all"), adapter=tmp_path / "small")


@pytest.mark.parametrize("rank", [None, "8", 0])
def test_a_skill_that_does_not_say_its_rank_is_refused(place, tmp_path, rank):
    skill = place.kind("lora")
    with pytest.raises(SkillError, match=f"has rank {rank!r}, which is none; fit again"):
        place.carry(replace(skill, manifest={**skill.manifest, "rank": rank}), adapter=tmp_path / "small")


def test_a_tokenizer_that_llama_cpp_does_not_know_leaves_nothing_behind(tmp_path):
    small_talks(tmp_path / "talks.jsonl", 24)
    how = Settings(source=small_talker(tmp_path / "net"), epochs=1, update="lora", lr=0.02)
    skill = fit(tmp_path / "talks.jsonl", tmp_path / "a.skill", settings=how, cache=tmp_path / "cache")
    there = set(tmp_path.iterdir())
    with pytest.raises(SourceError, match="a model of the kind WordLevel"):
        carry(skill, gguf=tmp_path / "a.gguf", cache=tmp_path / "cache")
    assert set(tmp_path.iterdir()) == there
    carry(skill, merged=tmp_path / "whole", cache=tmp_path / "cache")


def test_a_disk_that_refuses_is_one_sentence(place, tmp_path, monkeypatch):
    (tmp_path / "file").touch()
    with pytest.raises(SkillError, match=r"writing .*/file/whole failed: .*; free space or choose another place"):
        place.carry(place.kind("lora"), merged=tmp_path / "file" / "whole")
    from safetensors import SafetensorError

    def full(*_):
        raise SafetensorError("Error while serializing: No space left on device")

    monkeypatch.setattr("safetensors.torch.save_file", full)
    with pytest.raises(UsageError, match=r"writing .*/whole failed: .*No space left on device; free space"):
        place.carry(place.kind("lora"), merged=tmp_path / "whole")
    assert [path.name for path in tmp_path.iterdir()] == ["file"]


@pytest.mark.parametrize("missing", ["peft", "gguf"])
def test_without_a_package_it_says_what_to_install(place, tmp_path, monkeypatch, missing):
    skill, find_spec = place.kind("lora"), importlib.util.find_spec  # taught before the package is gone
    monkeypatch.setattr(verb, "find_spec", lambda name: None if name == missing else find_spec(name))
    monkeypatch.setitem(sys.modules, missing, None)
    form = {"adapter": tmp_path / "a"} if missing == "peft" else {"gguf": tmp_path / "a.gguf"}
    with pytest.raises((EngineError, SourceError), match=rf"{missing}.*pip install 'headstart\[language\]'"):
        place.carry(skill, **form)


@pytest.fixture(scope="module")
def world(tmp_path_factory):
    return small_world(tmp_path_factory.mktemp("labels"))


def test_each_kind_of_skill_has_its_own_forms(place, world, tmp_path):
    said = partial(export, cache=place.cache)
    with pytest.raises(UsageError, match=r"writes texts, which --onnx is not for; write --merged FOLDER, --adapter FO"):
        said(place.kind("lora"), onnx=tmp_path / "a.onnx", merged=tmp_path / "a")
    with pytest.raises(UsageError, match=r"writes texts, which --openvino is not for"):
        said(place.kind("lora"), openvino=tmp_path / "a")
    for name in ("merged", "adapter", "gguf"):
        with pytest.raises(UsageError, match=rf"answers with labels, which --{name} is not for; write --onnx FILE.on"):
            said(world / "reviews.skill", **{name: tmp_path / "a.gguf"})
    with pytest.raises(UsageError, match=r"answers with labels, which --quantise is not for"):
        said(world / "reviews.skill", onnx=tmp_path / "a.onnx", quantise="f16")
    with pytest.raises(UsageError, match=r"answers with labels, which --merged, --adapter and --gguf are not for"):
        carry(world / "reviews.skill", merged=tmp_path / "a", cache=place.cache)
    assert not list(tmp_path.iterdir())


def test_it_is_a_command(place, tmp_path, capsys, monkeypatch):
    typed = typing_in(place.root, tmp_path, capsys, monkeypatch)
    skill = place.kind("lora").folder
    code, out, err = typed("export", skill, "--merged", "whole", "--dtype", "bfloat16", "--threads", "1", "--json")
    (form,) = json.loads(out)["exported"]
    assert code == 0, err
    assert (form["kind"], form["allowed"]) == ("merged", ALLOWED["bfloat16"])
    code, out, err = typed("export", skill, "--adapter", "small", "--gguf", "a.gguf", "--quantise", "q8_0")
    assert code == 0, err
    lines = out.splitlines()
    assert lines[0].startswith("adapter: differs from PyTorch by at most ")
    assert " in a log probability (allowed 1e-03)" in lines[0]
    assert any(line.startswith("GGUF: differs") and line.endswith("(allowed 1e+00)") for line in lines)
    code, out, err = typed("export", skill, "--merged", "whole")
    assert (code, out) == (2, "")
    assert err == "headstart: whole is there already; move it away, or give another place.\n"


def test_llama_cpp_answers_as_the_skill(place, tmp_path):
    pytest.importorskip("xllamacpp", reason="llama.cpp for Python is not installed")
    from test_away_llama_cpp import PROMPT, Running

    skill = place.kind("lora")
    place.carry(skill, gguf=tmp_path / "one.gguf")
    network = place.base()
    network.load_state_dict(by_hand(place, skill))
    want = tuned.logits(network, tuple(PROMPT))[-1].log_softmax(-1)
    assert_close(Running(tmp_path / "one.gguf").told(PROMPT), want, rtol=1e-4, atol=1e-4)


def test_a_skill_of_a_skill_that_learned_nothing_has_an_adapter(place, tmp_path):
    """Its card has no learned files: the network below is the one that everybody has."""
    nothing = skills.write(
        tmp_path / "nothing.skill",
        {key: value for key, value in place.kind("all").manifest.items() if key not in ("format", "files")},
        {},
        {},
    )
    card = of_skill(nothing, f"skill:{nothing.folder}")
    assert card.files == find(f"file:{place.root}/net", place.cache).files
    skill = place.skill("on nothing", source=f"skill:{nothing.folder}", update="lora")
    place.carry(skill, adapter=tmp_path / "small")
    got = PeftModel.from_pretrained(place.base(), tmp_path / "small").eval()
    assert_close(logits(got), told(place, skill), rtol=1e-4, atol=1e-4)


@pytest.fixture(scope="module", params=["t5", "bart"])
def two_sided(request, tmp_path_factory):
    """A skill over an encoder-decoder, one of whose layers learned, and the folder of the cache."""
    from test_seq2seq import FAMILIES

    root = tmp_path_factory.mktemp("two sides")
    torch.manual_seed(0)
    config = AutoConfig.for_model(request.param, **{**FAMILIES[request.param], "vocab_size": tuned.ROWS})
    AutoModelForSeq2SeqLM.from_config(config).save_pretrained(root / "net")
    tuned.tokenizer(root / "net")
    card = find(f"file:{root}/net", root / "cache")
    stack = open_language(card, root / "cache", cuts=()).stack
    block = stack.names[-2]
    name, weight = next((name, p) for name, p in stack.blocks[block].named_parameters() if p.ndim == 2)
    said = {"name": "two", "modality": "language", "kind": "summaries", "source": asdict(card), "update": "lora"}
    said |= {"rank": 8, "window": 64, "system": None, "max_new_tokens": 9, "task": "generate"}
    learned = {f"tail.{block}.{name}": (weight.detach() * 3).numpy().copy()}
    return skills.write(root / "two.skill", said, learned, {}), root / "cache"


def test_an_encoder_decoder_is_written_merged_alone(two_sided, tmp_path):
    skill, cache = two_sided
    (done,) = carry(skill, merged=tmp_path / "whole", cache=cache, threads=1)
    inputs = {"input_ids": torch.tensor([[5, 9, 300, 7, 2]]), "decoder_input_ids": torch.tensor([[0, 8, 41]])}
    got, want, before = (
        network(**inputs).logits.detach()
        for network in (
            AutoModelForSeq2SeqLM.from_pretrained(tmp_path / "whole").eval(),
            open_voice(skill, cache=cache).language.network.eval(),
            AutoModelForSeq2SeqLM.from_pretrained(skill.folder.parent / "net").eval(),
        )
    )
    assert done.difference <= done.allowed
    assert_close(got, want, rtol=1e-5, atol=1e-5)
    assert (got - before).abs().max() > 1e-3
    with pytest.raises(UsageError, match="is an encoder-decoder, whose adapters are not written; write it with --merg"):
        carry(skill, adapter=tmp_path / "small", cache=cache)
    with pytest.raises(SourceError, match="cannot be written as GGUF here"):
        carry(skill, gguf=tmp_path / "one.gguf", cache=cache)
    assert [path.name for path in tmp_path.iterdir()] == ["whole"]
