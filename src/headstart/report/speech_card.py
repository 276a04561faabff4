"""The model card of a run that taught a language model, and the words that its page shares with it."""

from __future__ import annotations

import math
from dataclasses import dataclass
from pathlib import Path

from headstart.report.card import one_line, plain, quoted
from headstart.report.spoken import Figure, SpokenRecord
from headstart.report.wording import DASH, FEW, MINUS, number, percent

UNITS = {"chat": ("talk", "talks"), "summaries": ("document", "documents")}  # of all else: text, texts
TOLD = {"chat": "the answers in ", "summaries": "the summaries of "}  # what of them is told
SCORES = {"rouge1": "ROUGE-1", "rouge2": "ROUGE-2", "rougeL": "ROUGE-L", "chrf": "chrF"}
RATIOS = ("perplexity", "general")  # their change is a factor, and lower is better
DOUBTS = {"better": "", "worse": "worse", "level": "may be chance", "alone": "no interval"}
PERSONAL = {
    "mail": ("mail address", "mail addresses"),
    "card": ("card number", "card numbers"),
    "iban": ("IBAN", "IBANs"),
    "ssn": ("social security number", "social security numbers"),
    "ip": ("IP address", "IP addresses"),
    "phone": ("phone number", "phone numbers"),
}
UNKNOWN = 0.05  # share of tokens that stand for no whole character, above which it is warned of
TIMES = "\N{MULTIPLICATION SIGN}"
Cell = tuple[str, str]  # a value and its interval


@dataclass(frozen=True)
class Row:
    """One measure of both networks, of first sentences and of the change. doubt: of the change, in words."""

    name: str
    untuned: Cell
    lead: Cell
    tuned: Cell
    change: Cell
    doubt: str


def title(r: SpokenRecord) -> str:
    """The last part of the data's path."""
    return Path(r.data.path).name or r.data.path


def count_of(r: SpokenRecord, count: int, new: str = "") -> str:
    """60 talks, 1 document; 60 new talks."""
    one, many = UNITS.get(r.data.kind, ("text", "texts"))
    return f"{count:,} {new}{one if count == 1 else many}"


def amount(count: float) -> str:
    """420, 18,300, 1.42 million."""
    return f"{count:,.0f}" if count < 1e6 else f"{number(count / 1e6)} million"


def points(value: float | None, sign: str = "") -> str:
    """A share of one hundred: 34.2; with + or minus where `sign` is +."""
    if value is None or not math.isfinite(value):
        return DASH
    # plus 0.0: what rounds to nothing has no minus
    return f"{round(100 * value, 1) + 0.0:{sign}.1f}".replace("-", MINUS)


def worth(metric: str, value: float | None, change: bool = False) -> str:
    """A figure of a metric or of its change: 13.0 and 0.24 of perplexity, 34.2 and +5.3 of scores."""
    if metric not in RATIOS:
        return points(value, "+" if change else "")
    return f"{value:.2f}" if change and value is not None and math.isfinite(value) else number(value)


def known(figure: Figure) -> bool:
    """Whether it has an interval."""
    return all(end is not None and math.isfinite(end) for end in (figure.low, figure.high))


def span(metric: str, figure: Figure, change: bool = False) -> str:
    """[12.1, 14.0]; a dash where there is no interval."""
    ends = ", ".join(worth(metric, end, change) for end in (figure.low, figure.high))
    return f"[{ends}]" if known(figure) else DASH


def told(metric: str, figure: Figure) -> str:
    """13.0 [12.1, 14.0]; the value alone where there is no interval."""
    return worth(metric, figure.value) + (f" {span(metric, figure)}" if known(figure) else "")


def standing(metric: str, change: Figure) -> str:
    """better or worse where the interval does not hold no change, level where it does, alone without an interval."""
    if change.low is None or change.high is None or not known(change):
        return "alone"
    low, high = (1 - change.high, 1 - change.low) if metric in RATIOS else (change.low, change.high)
    return "better" if low > 0 else "worse" if high < 0 else "level"


def measured(r: SpokenRecord) -> str:
    """What the headline is about: rouge1 of summaries that were written, else perplexity."""
    written = all("rouge1" in scores for scores in (r.untuned.scores, r.tuned.scores, r.change.scores))
    return "rouge1" if r.data.kind == "summaries" and written else "perplexity"


def likelier(change: Figure) -> Figure:
    """How many times as likely a token became: the inverse of a ratio of perplexities."""
    value, low, high = (1 / v if v else math.nan for v in (change.value, change.high, change.low))
    return Figure(value, low, high, change.n)


def times(value: float | None) -> str:
    """1.18, 4.2, 13."""
    if value is None or not math.isfinite(value):
        return DASH
    return f"{value:.2f}" if value < 1.995 else f"{value:.1f}" if value < 9.95 else f"{value:,.0f}"


def headline(r: SpokenRecord) -> tuple[str, str, str]:
    """A large figure, its unit, and the sentence that goes on from it and says where no gain is shown."""
    metric = measured(r)
    change = r.change.perplexity if metric == "perplexity" else r.change.scores[metric]
    doubt = {
        "better": "",
        "worse": ": it got worse",
        "level": ": no gain that can be told from chance",
        "alone": ": without an interval that proves nothing",
    }[standing(metric, change)]
    new = count_of(r, change.n, "new ")
    if metric != "perplexity":
        return points(change.value, "+"), "", f"points of ROUGE-1 over the untuned network, on {new}{doubt}."
    of = f"{TOLD.get(r.data.kind, '')}{new}"
    return times(likelier(change).value), TIMES, f"as likely as before is each token of {of}, on average{doubt}."


def rows(r: SpokenRecord) -> list[Row]:
    """Every measure of what was learned."""
    before, after, change = r.untuned, r.tuned, r.change
    found = [row("perplexity", "perplexity", before.perplexity, None, after.perplexity, change.perplexity)]
    for metric, name in SCORES.items():
        sides = [scores.get(metric) for scores in (before.scores, r.lead, after.scores, change.scores)]
        found += [row(metric, name, *sides)] if any(sides) else []
    return found


def row(metric: str, name: str, *sides: Figure | None) -> Row:
    """One measure of untuned, first sentences, tuned and the change, in this order."""
    cells = [
        (worth(metric, side.value, place == 3), span(metric, side, place == 3)) if side else ("", "")
        for place, side in enumerate(sides)
    ]
    doubt = DOUBTS[standing(metric, sides[3])] if sides[3] else ""
    return Row(name, cells[0], cells[1], cells[2], cells[3], doubt)


def learned(r: SpokenRecord) -> str:
    """Which blocks learned what of theirs, and how many parameters that is."""
    voice = r.voice
    what = {
        "all": "with all of their weights",
        "norms": "by their norms alone",
        "lora": "by adapters" + (f" of rank {voice.rank}" if voice.rank else "") + " beside their weights",
    }.get(voice.update, voice.update)
    blocks = "the whole network" if voice.depth >= voice.blocks else f"the last {voice.depth} of {voice.blocks} blocks"
    of = f"{amount(voice.learned)} of {amount(voice.parameters)} parameters"
    return f"Learned: {blocks}, {what}; {of} ({percent(voice.learned / (voice.parameters or 1))})."


def personal(r: SpokenRecord) -> str:
    """Personal data that was found, in words; empty where none was."""
    found = [(PERSONAL.get(kind, (kind, kind)), count) for kind, count in r.data.personal.items() if count]
    return ", ".join(f"{count:,} {names[count != 1]}" for names, count in found)


def limits(r: SpokenRecord) -> list[str]:
    """What the figures do not say, in whole sentences."""
    data, voice, seen = r.data, r.voice, personal(r)
    found = [
        f"It has {amount(voice.parameters)} parameters. Language models of that size make things up: it says what "
        "is likely, not what is true. Check what matters.",
        f"It speaks what it was pretrained on ({voice.trained_on or 'unknown texts'}) and what your data are written "
        "in. Other languages, topics and forms were not measured.",
        "Nothing here taught it to refuse: it may say what is harmful, unfair or wrong.",
    ]
    if seen and not data.masked:
        found.append(f"Personal data in what it learned from ({seen}) may be said again word for word.")
    elif seen:
        found.append(f"Personal data that patterns found ({seen}) was replaced; what they missed may be said again.")
    else:
        found.append("Patterns found no personal data. Names and addresses they do not find: these may be said again.")
    if r.recalled and known(r.recalled.share) and (r.recalled.share.low or 0) > (r.recalled.reference.high or 0):
        share = f"{points(r.recalled.share.value)} %"
        found.append(f"It says training answers again word for word, in {share} of its texts, more than chance makes.")
    if data.unknown > UNKNOWN:
        found.append(f"It reads {percent(data.unknown)} of its tokens as pieces of characters, and writes them so.")
    if r.change.perplexity.n < FEW:
        found.append(f"The figures rest on {count_of(r, r.change.perplexity.n)}: the intervals matter more than they.")
    found.append(f"It learned from at most {voice.window:,} tokens at a time. Longer input is new to it.")
    if data.left_out:
        found.append(f"{count_of(r, len(data.left_out))} could not be used and count nowhere in the figures.")
    return [one_line(each) for each in found]


def licence(r: SpokenRecord) -> str:
    """Which terms the result stands under, and who says so."""
    voice = r.voice
    return one_line(
        f"The pretrained weights are under {voice.licence or 'an unknown licence'}, asserted by "
        f"{voice.asserted_by or 'nobody we know of'}{f' (upstream: {voice.upstream})' if voice.upstream else ''}. What "
        "was learned here derives from them and from your data: both sets of terms apply to the result. This is no "
        "legal advice."
    )


def card(r: SpokenRecord) -> str:
    """The run's model card in Markdown, with YAML front matter.

    Texts from the data are escaped, so that they can neither break the layout nor bring in HTML.
    """
    big, unit, said = headline(r)
    voice, data = r.voice, r.data
    parts = (
        front_matter(r),
        f"# {plain(title(r))}",
        f"A language model made from {plain(voice.source)} ({plain(voice.architecture)}). {plain(learned(r))}",
        "## What it learned",
        f"{big}{unit} {plain(said)}",
        table(r),
        "## What it was trained on",
        f"{count_of(r, data.train)} of {plain(title(r))} (fingerprint {plain(data.fingerprint[:16])}), "
        f"{amount(data.told)} tokens told; {count_of(r, data.test)} held out. {plain(data.how)} "
        f"The weights it started from were trained on {plain(voice.trained_on or 'unknown texts')}.",
        "## Limits",
        "\n".join(f"- {plain(limit)}" for limit in limits(r)),
        "## Licence",
        plain(licence(r)),
        "## Made by",
        f"headstart {plain(r.headstart)} on {plain(r.created[:10])}, seed {r.seed}:",
        f"```sh\n{one_line(r.command).replace('```', '')}\n```",
    )
    return ("\n\n".join(parts) + "\n").encode("utf8", "replace").decode("utf8")


def front_matter(r: SpokenRecord) -> str:
    """The YAML block that model hubs read."""
    lines = [f"license: {quoted(r.voice.licence.lower() or 'unknown')}", "library_name: headstart"]
    lines.append(f"pipeline_tag: {'summarization' if r.data.kind == 'summaries' else 'text-generation'}")
    tags = ("headstart", "transfer-learning", r.data.kind, r.voice.source)
    lines += ["tags:", *(f"- {quoted(tag)}" for tag in tags)]
    metrics = ["perplexity", *dict.fromkeys(name.rstrip("12L") for name in sorted(r.change.scores))]
    return "\n".join(("---", *lines, "metrics:", *(f"- {quoted(metric)}" for metric in metrics), "---"))


def table(r: SpokenRecord) -> str:
    """What was learned and what was kept, with 95 % intervals."""
    before, after, change = r.untuned, r.tuned, r.change
    found = [*rows(r), row("general", "perplexity of plain prose", before.general, None, after.general, change.general)]
    lead = ("first sentence",) * bool(r.lead)
    lines = [f"| | {' | '.join(('untuned', *lead, 'tuned', 'change'))} |", f"| --- {'| ---: ' * (3 + len(lead))}|"]
    for each in found:
        cells = (
            each.untuned,
            *(each.lead,) * len(lead),
            each.tuned,
            (*each.change, f"({each.doubt})" * bool(each.doubt)),
        )
        lines.append(f"| {each.name} | {' | '.join(' '.join(cell).strip() for cell in cells)} |")
    legend = "Change is tuned over untuned for perplexity and their difference for scores, with 95 % intervals."
    return "\n".join(lines) + f"\n\n{legend}"
