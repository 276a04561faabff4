"""Where a text holds phone numbers, told from dates, prices, counts and other numbers by their shape and words."""

from __future__ import annotations

import re
from collections.abc import Iterator
from itertools import pairwise

# what stands between two groups of a number; never nothing, or there were many ways to read one run of digits
GAP = r"(?:[ \u00a0./-]?\(|\)[ \u00a0./-]?|[ \u00a0./-])"
START = r"(?<![\w$€£#+])(?<!\d[.,:/-])(?<!\w-)"
ALONE = START + r"(?<!\d[ \u00a0])"  # not in the middle of a row of numbers
END = r"(?![-./]?\d|\w|[.,:]\d)"

# with + or 00 and the country: +49 30 901820, +1 (415) 555-0199, 0044 20 7946 0958
INTERNATIONAL = re.compile(rf"{START}\+[1-9]\d{{0,14}}(?:{GAP}\d{{1,12}}){{0,6}}{END}", re.ASCII)
ABROAD = re.compile(rf"{ALONE}00[1-9]\d{{0,2}}(?:{GAP}\d{{1,9}}){{1,6}}{END}", re.ASCII)
# North America: 415-555-0199, (415) 555-0199, 1-800-555-0199; with blanks only it could be three numbers in a row
AMERICAN = re.compile(
    rf"{START}(?:1[ .-])?(?:\([2-9]\d{{2}}\)[ .-]?[2-9]\d{{2}}[ .-]"
    rf"|[2-9]\d{{2}}(?P<mark>[.-])[2-9]\d{{2}}(?P=mark))\d{{4}}{END}",
    re.ASCII,
)
# at home, with a leading 0: 030 901820, (030) 901820, 089/1234567, 01 42 68 53 00
NATIONAL = re.compile(rf"{ALONE}0[1-9]\d{{0,4}}(?:{GAP}\d{{2,9}}){{1,5}}{END}", re.ASCII)
# anything after a word such as "call me on"
AFTER_WORDS = re.compile(rf"{ALONE}\d{{2,14}}(?:{GAP}\d{{2,8}}){{0,5}}{END}", re.ASCII)

WORDS = re.compile(
    r"\b(?:phone|telephone|tel|call|mobile|cell|cellphone|fax|whatsapp|sms|dial|ring|reach|telefon|handy|mobil)"
    r"(?:\W{1,3}(?:number|numbers|no|nr|is|at|me|us|him|her|them|on|to|under|it|its|phone|s)\b){0,4}\W{0,4}$",
    re.IGNORECASE,
)
OTHER_WORDS = re.compile(  # what says that a number of this shape is none to call
    r"\b(?:order|invoice|ref|reference|id|isbn|issn|doi|arxiv|ticket|tracking|serial|model|version|part|item|case"
    r"|account|confirmation|booking|policy|article|patent|sku|zip|postcode|grant|award)"
    r"(?:\W{1,3}(?:number|numbers|no|nr|id|code|is)\b){0,3}\W{0,4}$",
    re.IGNORECASE,
)
DATE = re.compile(
    r"(?<!\d)(?:(?:19|20)\d{2}[./ -](?:0?[1-9]|1[0-2])[./ -](?:0?[1-9]|[12]\d|3[01])"
    r"|(?:0?[1-9]|[12]\d|3[01])[./ -](?:0?[1-9]|[12]\d|3[01])[./ -](?:19|20)\d{2})(?!\d)",
    re.ASCII,
)
YEAR = re.compile(r"(?:19|20)\d{2}")
ZIP = re.compile(r"\d{5}-\d{4}", re.ASCII)  # of a street in the USA
THOUSANDS = re.compile(r"\+?\d{1,3}(?:[ .\u00a0]\d{3})*[ .\u00a0]000", re.ASCII)

BEFORE = 48  # characters before a number that are looked at
FEWEST, MOST = 8, 15  # digits with the country (ITU-T E.164)
FEWEST_AT_HOME, MOST_AT_HOME = 9, 12
FEWEST_AFTER_WORDS = 7


def find_phones(text: str) -> Iterator[tuple[int, int]]:
    """Begin and end of each phone number, in no order; some may overlap."""
    shapes = (
        (INTERNATIONAL, FEWEST, MOST, False),
        (ABROAD, FEWEST + 2, MOST + 2, False),
        (AMERICAN, 10, 11, False),
        (NATIONAL, FEWEST_AT_HOME, MOST_AT_HOME, False),
        (AFTER_WORDS, FEWEST_AFTER_WORDS, MOST, True),
    )
    for shape, fewest, most, words_needed in shapes:
        for match in shape.finditer(text):
            before = text[max(0, match.start() - BEFORE) : match.start()]
            if not fewest <= sum(sign.isdigit() for sign in match[0]) <= most or OTHER_WORDS.search(before):
                continue
            if (WORDS.search(before) or not words_needed) and not _is_another_number(match[0]):
                opened = match[0].count(")") > match[0].count("(") and before.endswith("(")
                yield match.start() - opened, match.end()


def _is_another_number(found: str) -> bool:
    """Whether it is dates, years, thousands or a series rather than a phone number."""
    groups = re.findall(r"\d+", found)
    if (
        DATE.search(found)
        or THOUSANDS.fullmatch(found)
        or ZIP.fullmatch(found)
        or all(YEAR.fullmatch(group) for group in groups)
    ):
        return True
    steps = {int(after) - int(before) for before, after in pairwise(groups)}
    return len(groups) > 2 and len(steps) == 1
