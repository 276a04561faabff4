"""What a language model writes: answers to many prompts at once, or one answer piece by piece."""

from __future__ import annotations

import copy
import sys
from collections.abc import Callable, Generator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from queue import SimpleQueue
from threading import Event

import torch
from torch import Tensor
from transformers import GenerationConfig, GenerationMixin, PreTrainedModel, StoppingCriteriaList

from headstart.core.evaluate import evaluating
from headstart.data.talks import Turn
from headstart.errors import SourceError, UsageError
from headstart.sources.decoding import Decoding, processors
from headstart.sources.frames import Framed
from headstart.sources.layers import config_of
from headstart.sources.speaker import Speaker
from headstart.sources.transcript import Listening, Transcript

Progress = Callable[[int, int], None]


@dataclass(frozen=True)
class Written:
    """One answer.

    Attributes:
        text: as the network wrote it, without special tokens, stop words or half characters.
        tokens: that it took, with the one that ended it.
        ended: whether the network ended it, or a stop word, rather than the length limit.
        seconds: from the beginning of its batch until it ended.
        cut: tokens that were left out of its prompt so that it fits the window.
    """

    text: str
    tokens: int
    ended: bool
    seconds: float
    cut: int


@dataclass(frozen=True, eq=False)
class Writer:
    """A network that answers.

    Attributes:
        network: a transformers language model; nothing about it is changed.
        speaker: its tokenizer and chat template; of an encoder-decoder a `Framed`.

    Raises:
        SourceError: a network that writes nothing.
    """

    network: PreTrainedModel
    speaker: Speaker

    def __post_init__(self) -> None:
        if not isinstance(self.network, GenerationMixin):
            raise SourceError(f"{type(self.network).__name__} writes no text; use a causal language model.")

    @property
    def window(self) -> int | None:
        """Tokens of a prompt and its answer together; None where the network names no limit."""
        if isinstance(self.speaker, Framed):
            return 2 * self.speaker.side
        return getattr(config_of(self.network).get_text_config(), "max_position_embeddings", None)

    def write(
        self,
        prompts: Sequence[Sequence[Turn]],
        decoding: Decoding,
        *,
        batch: int = 8,
        progress: Progress | None = None,
    ) -> list[Written]:
        """An answer to each prompt, in their order; which others it is written beside does not matter to it.

        A prompt that is longer than the window without the answer is shortened by the rule of `fitting` of the speaker.
        Where tokens are drawn, the k-th prompt draws by the seed and k.

        Args:
            batch: prompts, of like length, that are answered together.
            progress: told how many answers are done, and of how many.

        Raises:
            UsageError: no room for a prompt beside the answer, or a batch of none.
            DataError: a prompt that cannot be shortened enough.
            SourceError: the network has no chat template, or answers with no numbers.
        """
        if batch < 1:
            raise UsageError(f"batch={batch} is below 1; give the number of prompts that are answered together.")
        room = self._room(decoding)
        fitted = [self.speaker.fitting(turns, room) for turns in prompts]
        order = sorted(range(len(prompts)), key=lambda at: len(fitted[at][0]))
        written: dict[int, Written] = {}
        for start in range(0, len(order), batch):
            rows = order[start : start + batch]
            made = [self._transcript(decoding) for _ in rows]
            told = _Told(progress, made, len(written), len(prompts))
            self._fill(made, rows, [fitted[at][0] for at in rows], decoding, told)
            for at, each in zip(rows, made, strict=True):
                written[at] = Written(each.text, each.tokens, each.ended, each.seconds, fitted[at][1])
            told.tell(len(written))
        return [written[at] for at in range(len(prompts))]

    def stream(self, turns: Sequence[Turn], decoding: Decoding) -> Generator[str, None, None]:
        """The text that `write` gives for this prompt alone, in pieces as they come.

        The network works in a thread of its own; it stops where the iterator is closed.

        Raises:
            UsageError, DataError, SourceError: as `write`.
        """
        ids, _ = self.speaker.fitting(turns, self._room(decoding))
        return self._pieces(ids, decoding)

    def _pieces(self, ids: list[int], decoding: Decoding) -> Generator[str, None, None]:
        pieces: SimpleQueue[str | None] = SimpleQueue()
        left = Event()
        made = self._transcript(decoding, pieces.put)
        with ThreadPoolExecutor(1) as pool:
            work = pool.submit(self._fill, [made], [0], [ids], decoding, left.is_set)
            work.add_done_callback(lambda _: pieces.put(None))
            try:
                while (piece := pieces.get()) is not None:
                    yield piece
                work.result()  # raises what was raised there
            finally:
                left.set()

    def _transcript(self, decoding: Decoding, say: Callable[[str], object] | None = None) -> Transcript:
        return Transcript(self.speaker.tokenizer, self._ends(decoding), decoding.stop, say)

    def _ends(self, decoding: Decoding) -> set[int]:
        """Tokens that end an answer: those of the speaker and the network, and stop words that are tokens."""
        config = self.network.generation_config
        named = config.eos_token_id if config is not None else None
        own = [named] if isinstance(named, int) else (named or [])
        added = self.speaker.tokenizer.get_added_vocab()  # special tokens show in no text in which to look for them
        return {self.speaker.end, *own, *(added[word] for word in decoding.stop if word in added)}

    def _room(self, decoding: Decoding) -> int:
        """Tokens that a prompt may have."""
        if isinstance(self.speaker, Framed):
            return self._beside(decoding, self.speaker.side)
        if self.window is None:
            return sys.maxsize
        room = self.window - decoding.max_new_tokens
        if room < 1:
            raise UsageError(
                f"max_new_tokens={decoding.max_new_tokens} leaves no room for a prompt in the window of {self.window} "
                f"tokens; give less than {self.window}."
            )
        return room

    def _beside(self, decoding: Decoding, side: int) -> int:
        """Tokens of a prompt whose answer has as many of its own."""
        if decoding.max_new_tokens > side:
            raise UsageError(
                f"max_new_tokens={decoding.max_new_tokens} is more than the {side} tokens that an answer of "
                f"{self.speaker.name} may have; give at most that."
            )
        return side

    def _fill(
        self,
        made: Sequence[Transcript],
        rows: Sequence[int],
        prompts: Sequence[Sequence[int]],
        decoding: Decoding,
        after: Callable[[], bool],
    ) -> None:
        """Answer prompts together, each into its transcript."""
        begin = self.speaker.begin if isinstance(self.speaker, Framed) else None
        ids, mask = _padded(prompts, self.speaker.end, left=begin is None)
        start = ids.shape[1] if begin is None else 1  # an encoder-decoder's answer stands behind its first token alone
        device = self.network.device
        with evaluating(self.network):
            _unset(self.network).generate(  # pyright: ignore[reportCallIssue]
                input_ids=ids.to(device),
                attention_mask=mask.to(device),
                generation_config=_plain(decoding.max_new_tokens, self._ends(decoding), self.speaker.end, begin),
                logits_processor=processors(decoding, start, rows),
                stopping_criteria=StoppingCriteriaList([Listening(made, after)]),
            )
        for each in made:
            if not each.ended:
                each.close()


class _Told:
    """Tells how many answers are done whenever another one is; breaks nothing off."""

    def __init__(self, progress: Progress | None, made: Sequence[Transcript], before: int, total: int) -> None:
        self.progress, self.made, self.before, self.total = progress, made, before, total
        self.last = before

    def __call__(self) -> bool:
        self.tell(self.before + sum(each.ended for each in self.made))
        return False

    def tell(self, done: int) -> None:
        if self.progress is not None and done > self.last:
            self.progress(done, self.total)
        self.last = done


def _padded(prompts: Sequence[Sequence[int]], filler: int, *, left: bool) -> tuple[Tensor, Tensor]:
    """(b, t) tokens with padding on their left or right, and (b, t) where it is not.

    An answer that goes on with its prompt needs the prompt's end beside it; what an encoder reads begins at place 0.
    """
    width = max(len(ids) for ids in prompts)

    def row(each: Sequence[int], padding: int) -> list[int]:
        beside = [padding] * (width - len(each))
        return [*beside, *each] if left else [*each, *beside]

    ids = torch.tensor([row(each, filler) for each in prompts])
    return ids, torch.tensor([row([1] * len(each), 0) for each in prompts])


def _unset(network: PreTrainedModel) -> PreTrainedModel:
    """The same network without settings of its own, from which `generate` takes what it is given None for."""
    same = copy.copy(network)  # shallow: it shares all modules and hooks
    same.generation_config = GenerationConfig()  # pyright: ignore[reportAttributeAccessIssue]
    return same


def _plain(length: int, ends: set[int], filler: int, begin: int | None) -> GenerationConfig:
    """Greedy, and nothing of how the network's own settings would have it.

    Args:
        begin: what the decoder of an encoder-decoder reads first; None for others.
    """
    return GenerationConfig(
        max_new_tokens=length,
        min_length=0,
        do_sample=False,
        num_beams=1,
        num_return_sequences=1,
        temperature=1.0,
        top_p=1.0,
        top_k=50,
        repetition_penalty=1.0,
        no_repeat_ngram_size=0,
        use_cache=True,
        return_dict_in_generate=False,
        eos_token_id=sorted(ends),
        pad_token_id=filler,
        decoder_start_token_id=begin,
    )
