"""Sentences against texts cut by hand, each with a trap, and the lead that they give."""

import pytest

from headstart.errors import DataError
from headstart.language.general import general_texts
from headstart.language.rouge import lead
from headstart.language.sentences import sentences

CUT = [
    ["Take fruit, e.g. apples, with you.", "It helps."],
    ["See Fig. 2 for the curve.", "It falls."],
    ["The method of Smith et al. (2019) is slow.", "Ours is not."],
    ["This was shown by Smith et al. The reason is simple."],
    ["It costs 3.50 euros, i.e. 0.5 more.", "Nobody minds."],
    ["J. R. Smith wrote it with Mary T. Jones.", "She lives in St. Ives."],
    ["We took vitamin C.", "Then we slept."],
    ["He lives in the U.S. Army base.", "She does not."],
    ["He moved to the U.S.", "The army paid."],
    ["We met at 5 p.m. Monday.", "He came at 6 p.m.", "The bar was shut."],
    ["Dr. Ames and Mrs. Lee vs. the city: no. 5 on the list.", "Is it No. 6?", "No.", "They lost."],
    ["She saw figs, plums, etc. and bought some.", "He ate bread, cheese, etc.", "Everybody laughed."],
    ['"Stop!" he said.', '"Why?"', "Nobody knew."],
    ["Is it true?", "(It is.)", "Good!"],
    ["What?!", "I mean it...", "Really."],
    ["He waited... and waited.", "Nothing."],
    ["It was 1990.", "Then came 1991."],
    ["Version 2.0 of example.com is out.", "Try it."],
    ["a title without a point", "The text begins here."],
    ["only small letters.", "as people type them.", "it still works."],
    ["1. Boil the water.", "2. Wait."],
    ["Eq. (3) holds, cf. Sec. 4 and pp. 5-6.", "See Jan. 7."],
    ["He liked art.", "She liked the sun.", "20 people came."],
    ["The house of A. A. Milne is near.", "I know."],
]


def joined(found):
    """One text; an empty line where a part has no mark at its end."""
    return " ".join(part if part[-1] in '.!?")' else part + "\n\n" for part in found)


@pytest.mark.parametrize("expected", [case for at, case in enumerate(CUT) if at != 3])
def test_cut_as_by_hand(expected):
    assert sentences(joined(expected)) == expected


def test_an_abbreviation_that_may_close_a_sentence_does_so_before_a_word_that_opens_one():
    assert sentences(CUT[3][0]) == ["This was shown by Smith et al.", "The reason is simple."]


def test_nothing_is_lost():
    for text in (*general_texts(), *(joined(case) for case in CUT)):
        assert "".join(" ".join(sentences(text)).split()) == "".join(text.split())


def test_a_break_of_a_line_is_no_end():
    assert sentences("The river\nis wide. It\nis cold.") == ["The river\nis wide.", "It\nis cold."]


def test_texts_without_words_have_no_sentence():
    assert sentences("") == sentences(" \n\n ") == sentences("...") == []


def test_the_lead_is_the_first_sentences():
    text = "Dr. Ames came at 3.15. She was late.\n\nNobody minded."
    assert lead(text) == "Dr. Ames came at 3.15."
    assert lead(text, 2) == "Dr. Ames came at 3.15. She was late."
    assert lead(text, 9) == "Dr. Ames came at 3.15. She was late. Nobody minded."
    assert lead("") == ""


def test_a_lead_of_no_sentence_is_refused():
    with pytest.raises(DataError, match="sentences=0 leaves no lead; ask for 1 or more"):
        lead("A text.", 0)
