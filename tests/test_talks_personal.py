"""Personal data: found where it is, and not in numbers that only look like it."""

import random
import time
from pathlib import Path

import numpy as np
import pytest
from said import turns_of

from headstart.data.personal import KINDS, found, iban, luhn, masked, masked_talks
from headstart.data.talks import Talk, Talks, Turn

REAL = [  # a text, and what it becomes
    ("Write to jane.doe+x@mail.example.org.", "Write to [mail]."),
    ("<JANE@EXAMPLE.COM>", "<[mail]>"),
    ("'o_o@163.com'", "'[mail]'"),
    ("jürgen@müller.de,a@b.co", "[mail],[mail]"),
    ("{ann,bob}@cs.example.edu", "[mail]"),
    ("Their phone number is 707-795-3600.", "Their phone number is [phone]."),
    ("(415) 555-0199 or (415)555-0199", "[phone] or [phone]"),
    ("tel:415.555.0199", "tel:[phone]"),
    ("Call 1-800-555-0199 now", "Call [phone] now"),
    ("Report it (202-555-0121)", "Report it ([phone])"),
    ("+1 (415) 555-0199", "[phone]"),
    ("+1(415)555-0199,", "[phone],"),
    ("+49 (0)30 901820", "[phone]"),
    ("+4930901820", "[phone]"),
    ("+33 1 42 68 53 00; +44 20 7946 0958", "[phone]; [phone]"),
    ("+48 123 456 789", "[phone]"),
    ("0049 30 901820", "[phone]"),
    ("030 901820123", "[phone]"),
    ("(030) 901820-12", "[phone]"),
    ("089/1234567", "[phone]"),
    ("01 42 68 53 00", "[phone]"),
    ("01.42.68.53.00", "[phone]"),
    ("020 7946 0958", "[phone]"),
    ("my mobile is 4155550199", "my mobile is [phone]"),
    ("call me on 555-0199", "call me on [phone]"),
    ("Phone: 415 555 0199", "Phone: [phone]"),
    ("Handy 01711234567", "Handy [phone]"),
    ("card 4111 1111 1111 1111", "card [card]"),
    ("5500-0000-0000-0004", "[card]"),
    ("4111111111111111.", "[card]."),
    ("3782 822463 10005 and 371449635398431", "[card] and [card]"),
    ("6304000000000000000", "[card]"),
    ("4222222222222", "[card]"),
    ("DE89 3704 0044 0532 0130 00 is mine", "[iban] is mine"),
    ("GB82WEST12345698765432", "[iban]"),
    ("at10 o'clock NL91 ABNA 0417 1643 00", "at10 o'clock [iban]"),
    ("nl91abna0417164300", "[iban]"),
    ("SSN 123-45-6789", "SSN [ssn]"),
    ("social security number: 123 45 6789", "social security number: [ssn]"),
    ("from 192.168.1.17, port 80", "from [ip], port 80"),
    ("ip=93.184.216.34:443", "ip=[ip]:443"),
]


@pytest.mark.parametrize(("text", "wanted"), REAL)
def test_personal_data_is_masked_with_its_kind(text, wanted):
    assert masked(text) == wanted
    assert masked(wanted) == wanted
    counts = {kind: wanted.count(f"[{kind}]") for kind in KINDS}
    assert found([text]).counts == counts


OTHERS = [
    "on 2019-03-12, 12/25/2019, 01.02.2020 or 01-02-2020 10",
    "from 01/02/2020 14:30 to 2020-02-01 14:30:00.123456",
    "at 11:30, 7:15 pm, half past 11 or 09:30-10:45",
    "it costs $1,234.56, 1.234.567,89 EUR, £415-555-0199 or 1 200 000 won",
    "2014 2015 2016 2017, 2009-2017 and 1990/2000/2010",
    "Caltech-UCSD Birds-200-2011 and iPhone 12",
    "version 10.0.19045.3803, v1.2.3.4 and 1.2.3",
    "nvidia-cufft==12.0.0.61; section 3.2.10.4",
    "Released 3.6.11.1",
    "1.2.1.1 Introduction; 127.0.0.1, 0.0.0.0, 255.255.255.0, 256.1.1.300",
    "order number 415-555-0199, invoice 0171-1234567, ID 20200101123456",
    "ISBN 978-3-16-148410-0, 0-306-40615-2, ISSN 0378-5955, arXiv:1234.56789, doi 10.1000/182",
    "ORCID 0000-0002-1825-0097",
    "Boston, MA 02110-1301",
    "1016-1098 North Center Court, 94107",
    "+10 000 000 views, +100,000, +5, x+1234567890",
    "layers of 784-512-256-10 and 512 256 1024 units",
    "05 10 15 20 25, 01 02 03 04 05 and 1 2 3 4 5 6 7 8 9 10 11 12 13",
    "improves mAP@0.5 and Recall@20 and hit@10.The rest is express@2.2.2, @user",
    "0.4111111111111111 and 4111111111111112, 1111111111111111",
    "a tweet 1234567890123456789, at 1617181723008 ms",  # the second has a valid Luhn sum
    "to be10 new big new old",  # 1 modulo 97, and as long as an IBAN of Belgium
    "DE89 3704 0044 0532 0130 01 and GB82TEST12345698765432",
    "SSN 000-12-3456, 666-12-3456, 900-12-3456, 123-00-4567, 123-45-0000",
    "123 45 6789 people, 123456789",
    "flight 0123 seat 12A, room 0415",
    "call 911, dial 112, call at 7:30, call 2 of 3, phone sold 12345678 units",
    "call on 2019-05-12 or 03/04/2024 10 30; tel aviv 2019-2020, phone: 2019-2020",
    "a mean of 12.3456 ± 0.0012, p < 0.00001, 1e-10, 3.1415926535",
    "IPv6 2001:db8::1 and 12:34:56:78:9a:bc",
    "0xdeadbeef12345678 and 550e8400-e29b-41d4-a716-446655440000",
    "445 -n02892767- bikini",
]


@pytest.mark.parametrize("text", OTHERS)
def test_other_numbers_are_no_personal_data(text):
    assert masked(text) == text


def test_counts_rows_and_hidden_examples():
    texts = ["nothing", "ann@example.org bob@example.org", "415-555-0199 x@example.org", "4111 1111 1111 1111"]
    texts += ["DE89 3704 0044 0532 0130 00", "SSN 123-45-6789", "10.20.30.40", "cy@example.org cy@example.org"]
    seen = found(texts)
    assert seen.counts == {"mail": 5, "card": 1, "iban": 1, "ssn": 1, "ip": 1, "phone": 1}
    assert (seen.texts, seen.rows) == (7, (1, 2, 3, 4, 5, 6, 7))
    assert seen.examples == {
        "mail": ("a***@example.org", "b***@example.org", "***@example.org"),
        "card": ("**** **** **** 1111",),
        "iban": ("DE** **** **** **** **** **",),
        "ssn": ("***-**-**89",),
        "ip": ("10.*.*.*",),
        "phone": ("***-***-**99",),
    }
    assert found([]).counts == dict.fromkeys(KINDS, 0)


def test_no_example_is_the_whole_value():
    for text, _ in REAL:
        for examples in found([text]).examples.values():
            for example in examples:
                assert "*" in example
                assert example not in text


def test_a_luhn_sum_sees_every_wrong_digit_and_swapped_neighbours_but_09():
    draw = random.Random(0)
    for _ in range(200):
        head = "".join(draw.choice("0123456789") for _ in range(15))
        checks = [str(check) for check in range(10) if luhn(head + str(check))]
        assert len(checks) == 1
        good = head + checks[0]
        place = draw.randrange(16)
        assert not luhn(good[:place] + str((int(good[place]) + draw.randint(1, 9)) % 10) + good[place + 1 :])
        place = draw.randrange(15)
        one, two = good[place : place + 2]
        swapped = good[:place] + two + one + good[place + 2 :]
        assert luhn(swapped) == (one == two or {one, two} == {"0", "9"})


def test_an_iban_check_is_98_minus_the_remainder():
    for account in ("370400440532013000", "210501700012345678"):
        rest = int(account + "131400") % 97  # D and E are 13 and 14
        check = f"{98 - rest:02d}"
        assert [f"{n:02d}" for n in range(2, 99) if iban(f"DE{n:02d}{account}")] == [check]


@pytest.mark.parametrize(
    "text",
    [
        *("1" * 100_000, "+1" + " 1" * 50_000, "a" * 100_000 + "@", "a@" + "b." * 50_000, "{" * 50_000),
        *("(0" * 50_000, "01 " * 50_000, "a.b@c-" * 20_000, "call " * 20_000, "1-" * 50_000, "DE89 " * 20_000),
    ],
)
def test_long_texts_of_any_shape_take_little_time(text):
    begin = time.perf_counter()
    masked(text)
    assert time.perf_counter() - begin < 5


def test_talks_are_masked_in_every_turn_and_summary():
    mail, other = "a@example.org", "b@example.org"
    talks = Talks(
        path=Path("a.jsonl"),
        kind="summaries",
        talks=(
            Talk((Turn("system", "Be kind."), Turn("user", f"I am {mail}, {mail}"), Turn("assistant", "Hi")), "line 1"),
            Talk((Turn("user", "Who?"), Turn("assistant", "Me")), "line 2"),
            Talk((Turn("user", "Call 415-555-0199"), Turn("assistant", mail, told=False)), "line 3"),
            Talk((Turn("user", "A long text"), Turn("assistant", "short")), "line 4"),
        ),
        part=np.array(["train", "val", "train", "test"]),
        groups=None,
        references=(("Hi",), ("Me",), (mail,), ("short", f"by {other}")),
        because={},
        problems=(),
    )
    before = talks.keys
    new, seen = masked_talks(talks)
    assert turns_of(new) == [
        [("system", "Be kind."), ("user", "I am [mail], [mail]"), ("assistant", "Hi")],
        [("user", "Who?"), ("assistant", "Me")],
        [("user", "Call [phone]"), ("assistant", "[mail]")],
        [("user", "A long text"), ("assistant", "short")],
    ]
    assert new.references == (("Hi",), ("Me",), ("[mail]",), ("short", "by [mail]"))
    assert [turn.told for turn in new.talks[2].turns] == [True, False]
    assert seen.counts == dict.fromkeys(KINDS, 0) | {"mail": 4, "phone": 1}
    assert (seen.rows, seen.texts) == ((0, 2, 3), 3)
    assert [old == key for old, key in zip(before, new.keys, strict=True)] == [False, True, False, True]
    assert talks.talks[2].turns[1].text == mail  # what was given is as it was
    again, none = masked_talks(new)
    assert (turns_of(again), none.rows, sum(none.counts.values())) == (turns_of(new), (), 0)


def test_talks_without_summaries_are_masked_too():
    talk = Talk((Turn("text", "from 192.168.1.17"),), "a.txt")
    new, seen = masked_talks(Talks(Path("a.txt"), "text", (talk,), None, None, None, {}, ()))
    assert (turns_of(new), new.references, seen.rows) == ([[("text", "from [ip]")]], None, (0,))
