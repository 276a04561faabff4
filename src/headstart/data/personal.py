"""Personal data in texts, found by pattern: what is of another shape, such as names and addresses, is not found."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, replace

from headstart.data.phones import find_phones
from headstart.data.talks import Talk, Talks

KINDS: tuple[str, ...] = ("mail", "card", "iban", "ssn", "ip", "phone")  # the first that fits a place has it
EXAMPLES = 3  # of each kind
BEFORE = 48  # characters before a number that are looked at

MAIL = re.compile(  # {ann,bob}@example.org, as papers write several, counts once
    r"(?<![\w.%+-])(?:[\w.%+-]{1,64}|\{[^{}\n]{1,200}\})"
    r"@(?:[^\W_](?:[\w-]{0,61}[^\W_])?\.)+(?:[a-z]{2,24}|[A-Z]{2,24})(?![\w@])"  # recall@10.The is no address
)
CARD = re.compile(
    r"(?<!\d)(?<!\d[.,-])(?<![A-Z]{2}\d{2}[ \u00a0-])(?:\d{13,19}"
    r"|\d{4}(?P<mark>[ \u00a0-])\d{4}(?P=mark)\d{4}(?P=mark)\d{1,4}(?:(?P=mark)\d{1,3})?"
    r"|3\d{3}(?P<other>[ \u00a0-])\d{6}(?P=other)\d{4,5})(?![-.,]?\d)",
    re.ASCII,
)
CARD_STARTS = re.compile(r"[3-6]|2[2-7]")  # ISO/IEC 7812: travel, banks, shops; 22 to 27 are banks too
IBAN_START = re.compile(r"(?<![A-Za-z0-9])[A-Za-z]{2}\d{2}", re.ASCII)
IBAN = re.compile(r"[A-Za-z]{2}\d{2}(?:[ \u00a0-]?[A-Za-z0-9]){11,40}", re.ASCII)
SSN = re.compile(r"(?<![\w-])(?!000|666|9)\d{3}(?P<mark>[ -]?)(?!00)\d{2}(?P=mark)(?!0000)\d{4}(?![\w-])", re.ASCII)
SSN_WORDS = re.compile(r"\b(?:ssn|social security)\b[^\d\n]{0,24}$", re.IGNORECASE)
OCTET = r"(?:25[0-5]|2[0-4]\d|1\d\d|[1-9]?\d)"
IP = re.compile(rf"(?<![\w.-])(?:{OCTET}\.){{3}}{OCTET}(?![\w-]|\.[\d*])", re.ASCII)
IP_OTHER = re.compile(  # versions and sections
    r"(?:\b(?:v|ver|version|versions|release|released|build|firmware|section|sec|chapter)\b\W{0,3}|§ ?|[=<>~!]=\s?)$",
    re.IGNORECASE,
)

# ISO 13616: how many characters the IBAN of a country has
IBAN_LENGTHS = {
    country: int(length)
    for country, length in re.findall(
        r"([A-Z]{2})(\d{2})",
        "AD24 AE23 AL28 AT20 AZ28 BA20 BE16 BG22 BH22 BI27 BR29 BY28 CH21 CR22 CY28 CZ24 DE22 DJ27 DK18 DO28 EE20 EG29"
        " ES24 FI18 FK18 FO18 FR27 GB22 GE22 GI23 GL18 GR27 GT28 HN28 HR21 HU28 IE22 IL23 IQ23 IS26 IT27 JO30 KW30 KZ20"
        " LB28 LC32 LI21 LT20 LU20 LV21 LY25 MC27 MD24 ME22 MK19 MN20 MR27 MT31 MU30 NI28 NL18 NO15 OM23 PK24 PL28 PS29"
        " PT25 QA29 RO24 RS22 RU33 SA24 SC31 SD18 SE24 SI19 SK24 SM27 SO23 ST25 SV28 TL23 TN24 TR26 UA29 VA22 VG24 XK20"
        " YE30",
    )
}


@dataclass(frozen=True)
class Found:
    """Personal data in some texts.

    Attributes:
        counts: kind -> how often it occurs in all texts.
        rows: positions of the texts that hold any.
        examples: kind -> a few different ones, with most of each hidden.
    """

    counts: Mapping[str, int]
    rows: tuple[int, ...]
    examples: Mapping[str, tuple[str, ...]]

    @property
    def texts(self) -> int:
        """How many texts hold any."""
        return len(self.rows)


def found(texts: Iterable[str]) -> Found:
    """Count the personal data in texts.

    Mail addresses, phone numbers, payment cards (with a valid Luhn sum), IBANs (with a valid check), US social
    security numbers and IPv4 addresses. Two kinds never share a place.

    Reference:
        ISO/IEC 7812-1 (Luhn), ISO 13616 (IBAN), ITU-T E.164 (lengths of phone numbers).
    """
    counts = dict.fromkeys(KINDS, 0)
    rows: list[int] = []
    examples: dict[str, dict[str, None]] = {kind: {} for kind in KINDS}
    for row, text in enumerate(texts):
        places = _places(text)
        if places:
            rows.append(row)
        for begin, end, kind in places:
            counts[kind] += 1
            if len(examples[kind]) < EXAMPLES:
                examples[kind][hidden(kind, text[begin:end])] = None
    return Found(counts, tuple(rows), {kind: tuple(some) for kind, some in examples.items() if some})


def masked(text: str) -> str:
    """The text with [mail], [phone], [card], [iban], [ssn] or [ip] in place of each."""
    pieces, after = [], 0
    for begin, end, kind in _places(text):
        pieces += [text[after:begin], f"[{kind}]"]
        after = end
    return "".join((*pieces, text[after:]))


def masked_talks(talks: Talks) -> tuple[Talks, Found]:
    """The talks with every turn and every further summary masked, and what was found; its rows are talks."""
    said = [(row, turn.text) for row, talk in enumerate(talks.talks) for turn in talk.turns]
    for row, summaries in enumerate(talks.references or ()):
        said += [(row, text) for text in summaries if text != talks.talks[row].turns[-1].text]
    seen = found(text for _, text in said)
    new = {text: masked(text) for text in (said[place][1] for place in seen.rows)}
    spoken = tuple(
        Talk(tuple(replace(turn, text=new.get(turn.text, turn.text)) for turn in talk.turns), talk.name)
        for talk in talks.talks
    )
    references = talks.references and tuple(tuple(new.get(text, text) for text in texts) for texts in talks.references)
    rows = tuple(sorted({said[place][0] for place in seen.rows}))
    return replace(talks, talks=spoken, references=references), replace(seen, rows=rows)


def hidden(kind: str, value: str) -> str:
    """A value that can be shown: enough to see what it is, too little to use it.

    Of a mail address the first letter and the domain stay, of a card the last four digits, of an IBAN the country, of
    an IPv4 address the first number, and of the others the last two digits.
    """
    if kind == "mail":
        name, domain = value.rsplit("@", 1)
        return f"{name[0] if len(name) > 1 and name[0].isalnum() else ''}***@{domain}"
    if kind == "ip":
        return value.split(".")[0] + ".*.*.*"
    if kind == "iban":
        return value[:2] + re.sub(r"[A-Za-z0-9]", "*", value[2:])
    kept = 4 if kind == "card" else 2
    digits = [place for place, sign in enumerate(value) if sign.isdigit()]
    return "".join("*" if place in digits[:-kept] else sign for place, sign in enumerate(value))


def _places(text: str) -> list[tuple[int, int, str]]:
    """(begin, end, kind) of each, in the order of the text and without overlaps."""
    places: list[tuple[int, int, str]] = []
    taken = bytearray(len(text))
    for kind in KINDS:
        for begin, end in FINDERS[kind](text):
            if not any(taken[begin:end]):
                places.append((begin, end, kind))
                taken[begin:end] = b"\1" * (end - begin)
    return sorted(places)


def _mails(text: str) -> Iterator[tuple[int, int]]:
    if "@" in text:
        yield from (match.span() for match in MAIL.finditer(text))


def _cards(text: str) -> Iterator[tuple[int, int]]:
    for match in CARD.finditer(text):
        digits = re.sub(r"\D", "", match[0])
        if 13 <= len(digits) <= 19 and CARD_STARTS.match(digits) and len(set(digits)) > 1 and luhn(digits):
            yield match.span()


def luhn(digits: str) -> bool:
    """Whether the last digit is the right check of the others: every second one from the right counts double."""
    doubled = [sum(divmod(2 * int(digit), 10)) for digit in digits[-2::-2]]
    return (sum(doubled) + sum(int(digit) for digit in digits[::-2])) % 10 == 0


def _ibans(text: str) -> Iterator[tuple[int, int]]:
    for start in IBAN_START.finditer(text):
        match = IBAN.match(text, start.start())
        if match is None:
            continue
        length = IBAN_LENGTHS.get(match[0][:2].upper(), 0)
        places = [match.start() + place for place, sign in enumerate(match[0]) if sign.isalnum()][:length]
        if not length or len(places) < length:
            continue
        end = places[-1] + 1
        compact = "".join(text[place] for place in places)
        mostly_digits = 2 * sum(sign.isdigit() for sign in compact) >= length  # words of a sentence are not
        if not text[end : end + 1].isalnum() and mostly_digits and iban(compact):
            yield match.start(), end


def iban(compact: str) -> bool:
    """Whether the check digits are right: with the first four signs last and letters as 10 to 35, 1 modulo 97."""
    return int("".join(str(int(sign, 36)) for sign in compact[4:] + compact[:4])) % 97 == 1


def _ssns(text: str) -> Iterator[tuple[int, int]]:
    for match in SSN.finditer(text):
        if match["mark"] == "-" or SSN_WORDS.search(_before(text, match)):
            yield match.span()


def _ips(text: str) -> Iterator[tuple[int, int]]:
    """Not those that name no one's machine: this one (127), none (0), and masks (255); nor numbers of sections."""
    for match in IP.finditer(text):
        numbers = match[0].split(".")
        numbered = all(len(number) == 1 for number in numbers)
        if not numbered and numbers[0] not in ("0", "127", "255") and not IP_OTHER.search(_before(text, match)):
            yield match.span()


def _before(text: str, match: re.Match[str]) -> str:
    """The end of what stands before a match."""
    return text[max(0, match.start() - BEFORE) : match.start()]


FINDERS = {"mail": _mails, "card": _cards, "iban": _ibans, "ssn": _ssns, "ip": _ips, "phone": find_phones}
