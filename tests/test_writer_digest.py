"""Long documents: every part of them is given, in pieces that fit, until one summary is left."""

import random
import re
from collections.abc import Callable
from dataclasses import dataclass, field
from itertools import product

import pytest
from letters import CHATML, LETTERS, WINDOW, asked, network, speaker

from headstart.errors import DataError, UsageError
from headstart.sources.decoding import Decoding
from headstart.sources.digest import ROUNDS, Digest, parted, summarized
from headstart.sources.writer import Writer, Written

SAY = "Summarise:"
SHORT = Decoding(max_new_tokens=40)


@dataclass(frozen=True, eq=False)
class Stub(Writer):
    """Writes what a function makes of each part, and keeps what it was given."""

    says: Callable[[str], str] = str
    rounds: list[list[str]] = field(default_factory=list)
    batches: list[int] = field(default_factory=list)

    def write(self, prompts, decoding, *, batch=8, progress=None):
        parts = []
        for (turn,) in prompts:
            assert turn.role == "user"
            assert turn.text.startswith(SAY + "\n\n")
            parts.append(turn.text[len(SAY) :].strip())
        self.rounds.append(parts)
        self.batches.append(batch)
        for done in range(len(parts)):
            if progress is not None:
                progress(done + 1, len(parts))
        return [Written(self.says(part), 1, True, 0.0, 0) for part in parts]

    def digest(self, text, width, progress=None):
        found = summarized(self, text, SAY, width, SHORT, progress=progress)
        prompts = [asked(f"{SAY}\n\n{part}") for parts in self.rounds for part in parts]
        assert max(len(self.speaker.prompt(turns)) for turns in prompts) + SHORT.max_new_tokens <= width
        return found


def stub(says):
    return Stub(network(), speaker(), says)


def bare(text):
    return re.sub(r"\s+", "", text)


def document(paragraphs=12, seed=0):
    draw = random.Random(seed)
    words = ["alpha", "be", "gamma rays", "delta", "e.g. this", "Fig. 3", "zeta", "--", "***", "42"]
    made = []
    for _ in range(paragraphs):
        said = [" ".join(draw.choices(words, k=draw.randrange(2, 9))).capitalize() for _ in range(draw.randrange(1, 6))]
        made.append(draw.choice([" ", "\n", "  "]).join(sentence + draw.choice(".!?") for sentence in said))
    return "\n\n".join(made) + "\n\n---\n"


@pytest.mark.parametrize("width", [130, 200, 400])
@pytest.mark.parametrize("seed", range(4))
def test_every_part_is_given_once_and_in_order(width, seed):
    one, text = stub(lambda part: part[:9]), document(seed=seed)
    found = one.digest(text, width)
    assert bare("".join(one.rounds[0])) == bare(text)
    for before, after in zip(one.rounds[:-1], one.rounds[1:], strict=True):
        assert bare("".join(after)) == bare("".join(part[:9] for part in before))
    assert found == Digest(one.rounds[-1][0][:9].strip(), len(one.rounds[0]), len(one.rounds))
    assert len(one.rounds[-1]) == 1
    assert len(one.rounds) > 1
    assert len(one.rounds[0]) > 1


def test_a_document_that_fits_is_summarised_at_once():
    one = stub(lambda part: "  short\n")
    assert one.digest("A b.\n\nC d.", 400) == Digest("short", 1, 1)
    assert one.rounds == [["A b.\n\nC d."]]


def test_parts_fit_where_the_template_makes_more_of_them():
    wide = speaker(template=CHATML.replace("m['content']", "m['content'] | replace(' ', '   ')"))
    one, text = Stub(network(), wide, lambda part: part[:9]), document()
    assert one.digest(text, 250).parts > 3
    assert bare("".join(one.rounds[0])) == bare(text)


@pytest.mark.parametrize(("width", "batch"), [(200, 8), (4000, 2), (10000, 1)])
def test_few_long_parts_are_written_at_once(width, batch):
    one = Stub(network(max_position_embeddings=10000), speaker(), lambda part: part[:9])
    one.digest(document(), width)
    assert set(one.batches) == {batch}


def test_each_round_tells_which_part_of_how_many_is_done():
    one, told = stub(lambda part: part[:20]), []
    one.digest(document(), 200, progress=lambda *said: told.append(said))
    want = [(done + 1, len(parts)) for parts in one.rounds for done in range(len(parts))]
    assert told == want


def test_parts_end_where_paragraphs_do_and_else_where_sentences_do():
    one = speaker(LETTERS)
    text = "First one. It is short.\n\nSecond one. It has three. The last.\n\n\nThird one."
    assert parted(text, one, 1000) == [text]
    assert parted(text, one, 50) == ["First one. It is short.", "Second one. It has three. The last.\n\n\nThird one."]
    assert parted(text, one, 40) == ["First one. It is short.", "Second one. It has three. The last.", "Third one."]
    assert parted(text, one, 26)[1:] == ["Second one. It has three.", "The last.\n\n\nThird one."]


def test_what_has_no_sentences_ends_where_its_lines_do_then_its_words_then_anywhere():
    one = speaker(LETTERS)
    assert parted("alpha beta gamma\ndelta eps zeta", one, 18) == ["alpha beta gamma", "delta eps zeta"]
    assert parted("alpha beta gamma delta", one, 12) == ["alpha beta", "gamma delta"]
    assert parted("abcdefghij", one, 4) == ["abcd", "efgh", "ij"]


@pytest.mark.parametrize("room", [1, 3, 7, 20, 61, 150])
@pytest.mark.parametrize("seed", range(5))
def test_parts_fit_and_together_are_the_text(room, seed):
    text = document(seed=seed).strip()
    parts = parted(text, speaker(LETTERS), room)
    assert all(1 <= len(part) <= room for part in parts)  # a letter is a token
    assert bare("".join(parts)) == bare(text)


def by_hand(sizes, room):
    """How many parts there are at least, and how long their longest is at least, with two letters between units."""
    found = []
    for ends in product([False, True], repeat=len(sizes) - 1):
        parts = [[sizes[0]]]
        for size, new in zip(sizes[1:], ends, strict=True):
            parts = [*parts, [size]] if new else [*parts[:-1], [*parts[-1], size]]
        longest = max(sum(part) + 2 * (len(part) - 1) for part in parts)
        if longest <= room:
            found.append((len(parts), longest))
    return min(found)


@pytest.mark.parametrize("seed", range(20))
def test_parts_are_as_few_as_can_be_and_the_longest_as_short(seed):
    draw = random.Random(seed)
    sizes = [draw.randrange(1, 40) for _ in range(9)]
    parts = parted("\n\n".join("a" * size for size in sizes), speaker(LETTERS), 60)
    count, longest = by_hand(sizes, 60)
    assert len(parts) == count
    assert max(len(part) for part in parts) == longest


def test_a_digest_of_a_real_writer_reads_the_whole_document():
    one = Writer(network("qwen2"), speaker())
    text = document(30)
    found = summarized(one, text, SAY, WINDOW, SHORT)
    assert found.parts > 2
    assert found.rounds > 1
    assert 0 < len(found.text) <= 40
    assert found == summarized(one, text, SAY, WINDOW, SHORT)


def test_what_cannot_be_summarised_is_one_sentence():
    text = document()
    with pytest.raises(DataError, match="the document has no text; give one with something to summarise"):
        stub(str).digest(" \n", 400)
    with pytest.raises(UsageError, match="width=600 is beyond the network's window of 512 tokens; give at most that"):
        stub(str).digest(text, 600)
    with pytest.raises(UsageError, match="the instruction takes 31 of the 30 tokens that a prompt may have, so that"):
        stub(str).digest(text, 70)
    with pytest.raises(DataError, match=r"the summaries of \d+ parts have \d+ tokens together, no fewer than the \d+"):
        stub(lambda part: part).digest(text, 200)
    with pytest.raises(DataError, match=r"the network wrote nothing about any of \d+ parts; use another one"):
        stub(lambda part: " ").digest(text, 200)
    slow = stub(lambda part: part[:-3])
    with pytest.raises(DataError, match="after 8 rounds the summaries are still longer than the width of 200 tokens"):
        slow.digest(document(40), 200)
    assert len(slow.rounds) == ROUNDS == 8
