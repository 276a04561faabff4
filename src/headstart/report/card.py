"""The model card: README.md of a skill folder."""

from __future__ import annotations

import json
import re
import shlex

from headstart.report import kept, wording
from headstart.report.record import Record

PIPELINES = {("image", "classes"): "image-classification", ("text", "classes"): "text-classification"}
UNSEEN = re.compile("[\x00-\x1f\x7f-\x9f\u202a-\u202e\u2066-\u2069]")
SPOKEN_CLASSES = 20  # names in the card; more are counted


def card(record: Record) -> str:
    """The run's model card in Markdown, with YAML front matter.

    Names from the data are escaped, so that they can neither break the layout nor bring in HTML.
    """
    parts = (
        front_matter(record),
        f"# {plain(record.data.name)}",
        what_it_is(record),
        "## Score",
        score(record),
        plain(kept.headline(record.kept)) if record.kept else "",
        "## What it was trained on",
        trained_on(record),
        "## Predict",
        predict(record),
        "## Limits",
        "\n".join(f"- {plain(limit)}" for limit in wording.limits(record))
        or "No limits are known beyond those of the data.",
        "## Licence",
        plain(wording.licence(record)),
        "## Made by",
        f"headstart {plain(record.headstart)} on {plain(record.created[:10])}, seed {record.seed}:",
        f"```sh\n{one_line(record.command).replace('```', '')}\n```",
    )
    return ("\n\n".join(part for part in parts if part) + "\n").encode("utf8", "replace").decode("utf8")


def front_matter(record: Record) -> str:
    """The YAML block that model hubs read."""
    data, source = record.data, record.source
    lines = [f"license: {quoted(source.licence.lower() if source and source.licence else 'unknown')}"]
    lines += ["library_name: headstart"]
    if (data.modality, data.task) in PIPELINES:
        lines.append(f"pipeline_tag: {PIPELINES[data.modality, data.task]}")
    tags = ("headstart", "transfer-learning", data.modality, data.task, *((source.name,) if source else ()))
    lines += ["tags:", *(f"- {quoted(tag)}" for tag in tags)]
    if record.score:
        lines += ["metrics:", f"- {quoted(record.score.metric)}"]
    return "\n".join(("---", *lines, "---"))


def quoted(text: str) -> str:
    """A YAML text: what JSON quotes, YAML reads."""
    return json.dumps(one_line(text), ensure_ascii=False)


def one_line(text: str) -> str:
    """White space, control characters and those that turn the direction of writing become single spaces."""
    return " ".join(UNSEEN.sub(" ", text).split())


def plain(text: str) -> str:
    """Any text as it reads, on one line of Markdown: nothing in it is mark-up."""
    safe = one_line(text).replace("&", "&amp;").replace("<", "&lt;").replace(">", "&gt;")
    return re.sub(r"([\\`*_\[\]|#~!])", r"\\\1", safe)


def what_it_is(record: Record) -> str:
    """What goes in, what comes out, and from which network it was made."""
    data, source = record.data, record.source
    goes_in = wording.UNITS.get(data.modality, ("row", "rows"))[0]
    names = [f"*{plain(c.name)}*" for c in data.classes[:SPOKEN_CLASSES]]
    more = len(data.classes) - len(names)
    listed = ", ".join(names) + (f" and {more} more" if more > 0 else "")
    comes_out = {"numbers": "a number", "labels": f"any of {len(data.classes)} labels: {listed}"}
    out = comes_out.get(data.task, f"one of {len(data.classes)} classes with its probability: {listed}")
    made = f" Made from {plain(source.name)} ({plain(source.architecture)})" if source else " Made without pretraining"
    depth = record.depth
    learned = f", of which the last {depth.chosen} of {len(depth.blocks)} blocks learned" if depth and source else ""
    return f"A {goes_in} goes in, {out} comes out.{made}{learned}."


def score(record: Record) -> str:
    """A table of the score and of the other ways, each with its interval."""
    ours = record.score
    if ours is None:
        return wording.headline(record)
    rows = [("**this model**", ours.value, ours.low, ours.high)]
    rows += [(plain(r.name), r.value, r.low, r.high) for r in record.against]
    table = [f"| way | {plain(wording.metric_name(ours.metric))}, 95 % interval |", "| --- | ---: |"]
    table += [f"| {name} | {wording.with_interval(ours.metric, *point)} |" for name, *point in rows]
    where = f"Measured {plain(wording.measured(ours))}." if ours.where else ""
    also = ", ".join(
        f"{plain(wording.metric_name(a.metric))} {wording.with_interval(a.metric, a.value, a.low, a.high)}"
        for a in record.also
    )
    told = (plain(wording.verdict(record)), "\n".join(table), where, f"Also: {also}." if also else "")
    return "\n\n".join(part for part in told if part)


def trained_on(record: Record) -> str:
    """The data of the user and the data behind the pretrained weights."""
    data, source = record.data, record.source
    told = [f"{wording.kind_of_data(record)} ({plain(data.name)}, fingerprint `{one_line(data.fingerprint)[:16]}`)."]
    told += [plain(data.split)] if data.split else []
    told += [f"The weights it started from were trained on {plain(source.trained_on)}."] if source else []
    return " ".join(told)


def predict(record: Record) -> str:
    """How to use the folder that this card lies in."""
    folder = shlex.quote(one_line(record.data.name).replace("```", "") + ".skill")
    given = {"image": "new-photos/", "text": "new-texts.csv"}.get(record.data.modality, "new-rows.csv")
    called = json.dumps(folder.strip("'"), ensure_ascii=False)
    return (
        f"```sh\nheadstart predict {folder} {given}\n```\n\n"
        f"```python\nimport headstart as hs\n\nhs.predict({called}, {json.dumps(given)})\n```"
    )
