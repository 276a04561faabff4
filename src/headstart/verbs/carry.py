"""`export` of a skill that writes: merged, as an adapter or as GGUF, compared with the skill before it is kept."""

from __future__ import annotations

import math
import tempfile
import warnings
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from functools import partial
from importlib.util import find_spec
from pathlib import Path

import torch
from torch import Tensor, nn

from headstart.core import archive
from headstart.core.evaluate import evaluating
from headstart.core.skill import MANIFEST, Skill, writes
from headstart.data.talks import PLAIN
from headstart.errors import EngineError, SkillError, SourceError, UsageError
from headstart.places import cache_folder
from headstart.quiet import hush
from headstart.sources import away, away_gguf, away_peft
from headstart.sources.card import TAIL, Card, card_of
from headstart.sources.fetch import place_of, pull
from headstart.sources.find import skill_folder
from headstart.sources.folder import GGUF
from headstart.sources.gguf import folder_of
from headstart.sources.gguf_header import header_of, package
from headstart.sources.layers import config_of
from headstart.sources.load import making
from headstart.sources.safe import refuse_code
from headstart.verbs.voice import Voice, open_voice
from headstart.verbs.watch import Silent, Teller

# Largest difference of a log probability, in nats. What is read back computes in float32 like the skill, so that
# float32 forms differ by the order of sums alone. The others differ by how each weight is rounded: up to 2^-12 of it in
# half precision, 2^-9 in bfloat16, and in eight bits 1/254 of the largest of 32, several times as much. Networks of 2
# to 12 layers with random weights differ by up to 2e-6, 9e-3, 8e-2 and 2e-1, the deeper ones by more; five to ten
# times as much is left to networks with thirty layers and more. A weight in a wrong place makes whole nats.
ALLOWED = {"float32": 1e-3, "float16": 0.1, "f16": 0.1, "bfloat16": 0.5, "q8_0": 1.0}
TEXTS = (
    "The sun rises in the east and sets in the west.",
    "Dear Ms Smith, your order 4711 of 2024-05-17 costs 12.80 and is on its way.",
    "def double(x):\n    return 2 * x\n",
    "Die Straße ist naß; où est la gare?",
)
_QUESTION = "What is the capital of France?"
_TOKENS = 64  # of a text
_LIKELY = 1e-3  # a token that is less likely, before and after, is not looked at: it is not written


@dataclass(frozen=True)
class Carried:
    """One form of a skill that writes, on disk.

    Attributes:
        kind: merged, adapter or GGUF.
        files: that were written, the weights first.
        difference: largest from the skill, of a log probability in nats, over the tokens of a few texts.
        allowed: of it.
    """

    kind: str
    files: tuple[Path, ...]
    difference: float
    allowed: float


def carry(
    skill: str | Path | Skill,
    *,
    merged: str | Path | None = None,
    adapter: str | Path | None = None,
    gguf: str | Path | None = None,
    dtype: str = "float32",
    quantise: str | None = None,
    cache: Path | None = None,
    threads: int = 0,
    teller: Teller | None = None,
) -> list[Carried]:
    """A skill that writes, for other programs: in one form or several, its tokenizer and chat template in each.

    Every form is read back as another program reads it and compared with the skill; one that differs is not kept.

    Args:
        merged: folder to write, for transformers and what is built on it: the whole network.
        adapter: folder to write, for peft: what the adapters of --update lora learned, without the network.
        gguf: file to write, ending in .gguf, for llama.cpp and what is built on it: the whole network.
        dtype: of the weights of `merged`: float32, bfloat16 or float16.
        quantise: the matrices of `gguf`: f16 or q8_0; None keeps every digit.
        threads: of the CPU; 0 takes all.

    Raises:
        UsageError: no form was asked for, one that this skill cannot have, or a place that is taken.
        SkillError: no skill there, one that was changed, or a disk that refuses.
        SourceError: its pretrained network cannot be had, or cannot be written in this form.
        EngineError: a form that answers otherwise than the skill; it is not written then.
    """
    places = {"merged": merged, "adapter": adapter, "gguf": gguf}
    wanted = {kind: Path(place) for kind, place in places.items() if place is not None}
    _asked(wanted, dtype, quantise)
    hush(threads)
    root, tell = cache or cache_folder(), teller or Silent()
    opened = skill if isinstance(skill, Skill) else archive.opened(skill_folder(str(skill)), root)
    card = _card(opened, root)
    rank = _rank(opened, card) if "adapter" in wanted else 0
    pull(card, root, tell.say)
    tell.say(f"building {card.name} with what the skill learned")
    job = _Job.of(opened, open_voice(opened, cache=root, threads=threads), root)
    forms = {
        "merged": partial(job.merged, dtype=dtype),
        "adapter": partial(job.adapter, rank=rank),
        "gguf": partial(job.gguf, quantise=quantise),
    }
    done = []
    for kind, place in wanted.items():
        tell.say(f"writing {place} and comparing it with the skill")
        done.append(forms[kind](place))
    return done


def _asked(wanted: dict[str, Path], dtype: str, quantise: str | None) -> None:
    """Refuse what no skill can be written as, before anything is opened."""
    if not wanted:
        raise UsageError("no form was asked for; write --merged FOLDER, --adapter FOLDER or --gguf FILE.gguf.")
    if dtype not in away.DTYPES:
        raise UsageError(f"--dtype {dtype} is not one of {', '.join(away.DTYPES)}; leave it out to keep every digit.")
    if quantise not in away_gguf.FORMS:
        raise UsageError(f"--quantise {quantise} is not one of f16 and q8_0; leave it out to keep every digit.")
    if dtype != "float32" and "merged" not in wanted:
        raise UsageError(f"--dtype {dtype} is of a merged folder; add --merged FOLDER, or leave it out.")
    if quantise is not None and "gguf" not in wanted:
        raise UsageError(f"--quantise {quantise} is of a GGUF file; add --gguf FILE.gguf, or leave it out.")
    if "gguf" in wanted and wanted["gguf"].suffix.lower() != ".gguf":
        raise UsageError(f"--gguf {wanted['gguf']} does not end in .gguf; write for example --gguf mine.gguf.")
    if len({place.absolute() for place in wanted.values()}) < len(wanted):
        raise UsageError(f"--{' and --'.join(wanted)} name the same place; give each form its own.")
    for place in wanted.values():
        _free(place)
    if "gguf" in wanted:
        package()
    if "adapter" in wanted and find_spec("peft") is None:
        raise EngineError("peft must be there to write an adapter; run `pip install 'headstart[language]'`.")


def _free(place: Path) -> None:
    if place.exists() or place.is_symlink():
        raise UsageError(f"{place} is there already; move it away, or give another place.")


def _card(skill: Skill, cache: Path) -> Card:
    """Of the network below the skill."""
    said = skill.manifest
    if not writes(skill):
        raise UsageError(
            f"{skill.folder} answers with labels, which --merged, --adapter and --gguf are not for; write "
            "--onnx FILE.onnx or --openvino FOLDER."
        )
    if "source" not in said:
        raise SkillError(f"{skill.folder / MANIFEST} lacks source; fit again or restore it.")
    card = card_of(said["source"])
    refuse_code(card, cache)
    return card


def _rank(skill: Skill, card: Card) -> int:
    """Of its adapters.

    Raises:
        UsageError: it has none, or they belong to a network that only headstart can put together.
        SkillError: it does not say.
    """
    update, rank = skill.manifest.get("update"), skill.manifest.get("rank")
    if update != "lora":
        raise UsageError(
            f"{skill.folder} learned by --update {update} and has no adapter; write it with --merged or --gguf, or fit "
            "again with --update lora."
        )
    if any(role.startswith(TAIL) for role in card.files):
        raise UsageError(
            f"{skill.folder} learned on top of {card.name}, a skill too, so that its adapter fits no network that "
            "other programs have; write it with --merged or --gguf."
        )
    if type(rank) is not int or rank < 1:
        raise SkillError(f"{skill.folder / MANIFEST} has rank {rank!r}, which is none; fit again or restore it.")
    return rank


@dataclass(frozen=True, eq=False)
class _Job:
    """What every form is made from and compared with.

    Attributes:
        told: (t, v) log probabilities of the skill itself, for each of `samples`.
    """

    skill: Skill
    voice: Voice
    cache: Path
    samples: tuple[list[int], ...]
    told: tuple[Tensor, ...]

    @classmethod
    def of(cls, skill: Skill, voice: Voice, cache: Path) -> _Job:
        samples = _samples(voice)
        return cls(skill, voice, cache, samples, tuple(_told(voice.language.network, ids) for ids in samples))

    def merged(self, out: Path, dtype: str) -> Carried:
        """The whole network, as a folder of transformers."""
        language = self.voice.language

        def write(place: Path) -> None:
            away.merged(language.network, language.folder, place, dtype=dtype)

        return self._kept("merged", out, write, self._network, dtype)

    def adapter(self, out: Path, rank: int) -> Carried:
        """What was learned, as a folder of peft.

        Raises:
            UsageError: the network is an encoder-decoder.
        """
        language = self.voice.language
        if config_of(language.network).is_encoder_decoder:
            raise UsageError(
                f"{language.card.name} is an encoder-decoder, whose adapters are not written; write it with --merged."
            )

        def write(place: Path) -> None:
            config = config_of(language.network)
            away_peft.adapter(self.skill.arrays, config, place, rank=rank, base=_repository(language.card))
            away.copy_tokenizer(language.folder, place)

        return self._kept("adapter", out, write, self._adapted, "float32")

    def gguf(self, out: Path, quantise: str | None) -> Carried:
        """The whole network, as a file of llama.cpp."""
        language = self.voice.language

        def write(place: Path) -> None:
            away_gguf.gguf_file(language.network, language.folder, place, quantise=quantise, original=self._original())

        return self._kept("GGUF", out, write, self._from_file, quantise or "float32")

    def _kept(
        self, kind: str, out: Path, write: Callable[[Path], None], again: Callable[[Path], nn.Module], form: str
    ) -> Carried:
        """Write beside the place, read it back, compare, and only then give it the place's name."""
        with _beside(out) as place:
            write(place)
            off, allowed = self._difference(again(place)), ALLOWED[form]
            if not off <= allowed:
                less = "another form" if form == "float32" else "float32"
                raise EngineError(
                    f"{out}, read back, differs from the skill by {off:.2g} in a log probability, where {allowed:g} is "
                    f"allowed in {form}; it was not written. Take {less}."
                )
            _free(out)
            out.parent.mkdir(parents=True, exist_ok=True)
            place.rename(out)
        return Carried(kind, _files(out), off, allowed)

    def _difference(self, network: nn.Module) -> float:
        """The largest from the skill; endless where values are no numbers."""
        most = 0.0
        for ids, want in zip(self.samples, self.told, strict=True):
            got = _told(network, ids)
            if got.shape != want.shape or got.isnan().any():
                return math.inf
            off = (got - want).abs()[torch.maximum(got, want) > math.log(_LIKELY)]
            most = max(most, off.max().item())
        return most

    def _network(self, folder: Path) -> nn.Module:
        from transformers import AutoModelForCausalLM, AutoModelForSeq2SeqLM

        two_sided = config_of(self.voice.language.network).is_encoder_decoder
        with making(self.voice.language.card):
            return (
                (AutoModelForSeq2SeqLM if two_sided else AutoModelForCausalLM)
                .from_pretrained(folder, use_safetensors=True, trust_remote_code=False, dtype=torch.float32)
                .eval()
            )

    def _adapted(self, folder: Path) -> nn.Module:
        from peft import PeftModel

        # a new network: the one in memory has the adapters in its weights
        base = self._network(self.voice.language.folder)
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", FutureWarning)  # peft asks transformers by a name that will go
            return PeftModel.from_pretrained(base, str(folder)).eval()  # pyright: ignore[reportArgumentType]

    def _from_file(self, file: Path) -> nn.Module:
        try:
            # as a source is read: transformers alone leaves out how positions are stretched
            return self._network(folder_of(file, file.with_name("again")))
        except SourceError as error:
            raise EngineError(f"{file.name} was not written, since it cannot be read back: {error}") from error

    def _original(self) -> Path | None:
        """The GGUF file that the network came from, where a new one can be of the same architecture."""
        language = self.voice.language
        if GGUF not in language.card.files:
            return None
        path = place_of(language.card.files[GGUF], self.cache)
        ours = away_gguf.ARCHITECTURES.get(config_of(language.network).model_type)
        return path if header_of(path).architecture == ours else None


def _samples(voice: Voice) -> tuple[list[int], ...]:
    """Texts, and a question as the skill is asked, in tokens."""
    speaker = voice.language.speaker
    texts = [speaker.ids(text)[:_TOKENS] for text in TEXTS]
    # the end of a question is where an answer begins; its beginning may be a long text of the system
    asked = [] if voice.kind == PLAIN else [speaker.prompt(voice.turns(_QUESTION))[-_TOKENS:]]
    return tuple(ids for ids in (*texts, *asked) if ids)


def _told(network: nn.Module, ids: list[int]) -> Tensor:
    """(t, v) log probabilities of the next token at every place; the decoder of an encoder-decoder reads them too."""
    inputs = {"input_ids": torch.tensor([ids])}
    if config_of(network).is_encoder_decoder:
        inputs["decoder_input_ids"] = inputs["input_ids"]
    with torch.inference_mode(), evaluating(network):  # a stack may leave its network with dropout awake
        return network(**inputs, use_cache=False).logits[0].float().log_softmax(-1)


def _repository(card: Card) -> str | None:
    """OWNER/NAME on the hub of a network in safetensors; None where it came from elsewhere."""
    file = card.files.get("weights") or card.files.get("index")
    if file is None or not file.locator.startswith("hf:"):
        return None
    return file.locator.removeprefix("hf:").partition("@")[0]


def _files(out: Path) -> tuple[Path, ...]:
    found = sorted(path for path in out.rglob("*") if path.is_file()) if out.is_dir() else [out]
    return tuple(sorted(found, key=lambda path: path.suffix != ".safetensors"))


@contextmanager
def _beside(out: Path) -> Iterator[Path]:
    """A place of the same name in a folder beside, which is gone in the end; what the disk refuses is one sentence."""
    from safetensors import SafetensorError

    near = next(parent for parent in out.absolute().parents if parent.is_dir())
    place = out
    try:
        with tempfile.TemporaryDirectory(dir=near, prefix=f"{out.name}.", suffix=".partial") as name:
            place = Path(name) / out.name
            yield place
    except (OSError, SafetensorError) as error:
        why = getattr(error, "strerror", None) or error
        raise SkillError(f"writing {out} failed: {why}; free space or choose another place.") from error
    except UsageError as error:
        raise UsageError(str(error).replace(str(place), str(out))) from error
