"""From a card to a language model: the network that writes, its tokenizer, and the stack that learns."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import torch
from transformers import PreTrainedModel

from headstart.errors import SourceError
from headstart.quiet import hush
from headstart.sources.card import Card
from headstart.sources.decoder import Decoder
from headstart.sources.folder import folder_of
from headstart.sources.frames import Framed
from headstart.sources.layers import config_of
from headstart.sources.load import lay_skills_over, making
from headstart.sources.seq2seq import Seq2Seq
from headstart.sources.speaker import Speaker

LanguageStack = Decoder | Seq2Seq


@dataclass(frozen=True, eq=False)
class Language:
    """A language model in memory.

    Attributes:
        card: of it.
        stack: over its network, whose weights they are.
        speaker: its tokenizer and chat template; of an encoder-decoder a `Framed`.
        folder: of its files, as transformers reads them.
    """

    card: Card
    stack: LanguageStack
    speaker: Speaker
    folder: Path

    @property
    def network(self) -> PreTrainedModel:
        """The network itself."""
        network = self.stack.network
        assert isinstance(network, PreTrainedModel)
        return network

    @property
    def width(self) -> int:
        """Numbers that stand for a token between its layers."""
        return config_of(self.network).get_text_config().hidden_size


def open_language(card: Card, cache: Path, *, cuts: Sequence[int] | None = None, weights: bool = True) -> Language:
    """A language model with its weights in float32, in evaluation mode.

    Args:
        cuts: blocks before which the network may be cut, which are proved to be exact; None proves all.
        weights: whether the pretrained weights are loaded; without them they are random, drawn by seed 0.

    Raises:
        SourceError: a network that writes nothing, files that cannot be had, or a cut that is not exact.
    """
    hush()
    if not card.writes:
        raise SourceError(
            f"{card.name} ({card.architecture}) writes no text; use a causal language model, such as smollm2-135m."
        )
    from transformers import AutoConfig, AutoModelForCausalLM, AutoModelForSeq2SeqLM

    folder = folder_of(card, cache)
    with making(card):
        config = AutoConfig.from_pretrained(folder, trust_remote_code=False)
        kind = AutoModelForSeq2SeqLM if config.is_encoder_decoder else AutoModelForCausalLM
        if weights:
            network = kind.from_pretrained(folder, use_safetensors=True, trust_remote_code=False, dtype=torch.float32)
        else:
            with torch.random.fork_rng(devices=[]):
                torch.manual_seed(0)
                network = kind.from_config(config)
    stack = (Seq2Seq if config.is_encoder_decoder else Decoder)(network, cuts=cuts)
    stack.eval()
    if weights:
        lay_skills_over(stack, card, cache)
    speaker = Speaker.of(folder, card.name)
    return Language(card, stack, Framed.over(speaker, stack) if isinstance(stack, Seq2Seq) else speaker, folder)
