"""Commands that make a skill and use it."""

from __future__ import annotations

import csv
import json
import shlex
import sys
from dataclasses import asdict, replace
from pathlib import Path
from typing import Annotated

import typer

from headstart.cli.options import (
    Cache,
    Data,
    Group,
    Head,
    Image,
    Json,
    Label,
    Metric,
    Seed,
    SkillPath,
    Task,
    Text,
    Threads,
    Time,
    at_least,
    columns,
    seconds,
    share,
)
from headstart.cli.show import show
from headstart.cli.tell import Console
from headstart.units import human


def fit(
    context: typer.Context,
    data: Data,
    out: Annotated[Path | None, typer.Option("--out", "-o", help="Skill folder; else NAME.skill here.")] = None,
    task: Task = None,
    text: Text = None,
    image: Image = None,
    label: Label = None,
    group: Group = None,
    time: Time = None,
    prompt: Annotated[
        str | None, typer.Option(help="Column of what is asked, where answers are to be written.")
    ] = None,
    answer: Annotated[str | None, typer.Option(help="Column of what is answered.")] = None,
    system: Annotated[str | None, typer.Option(help="What talks begin with that say nothing of the kind.")] = None,
    mask_personal: Annotated[
        bool, typer.Option("--mask-personal", help="Replace mail addresses, phone and card numbers in talks.")
    ] = False,
    window: Annotated[int | None, typer.Option(help="Tokens that a language model learns from at a time.")] = None,
    source: Annotated[str | None, typer.Option(help="Pretrained network; see `headstart models`.")] = None,
    depth: Annotated[int | None, typer.Option(help="Blocks that learn; 1 is a new head. Else decided by data.")] = None,
    metric: Metric = None,
    balance: Annotated[bool | None, typer.Option("--balance/--no-balance", help="Weigh all classes the same.")] = None,
    budget: Annotated[str | None, typer.Option(help="Time for going deeper, such as 60s or 5m.")] = None,
    plan: Annotated[
        Path | None,
        typer.Option(help="plan.toml to follow; other options win over it."),
    ] = None,
    seed: Annotated[int | None, typer.Option(help="Of every random draw; else 0.")] = None,
    threads: Threads = 0,
    device: Annotated[str, typer.Option(help="auto, cpu, cuda or eager.")] = "auto",
    no_examples: Annotated[bool, typer.Option("--no-examples", help="Keep data out of report and skill.")] = False,
    update: Annotated[
        str | None, typer.Option(help="What learns below the head: all, norms or lora (adapters).")
    ] = None,
    keep: Annotated[Path | None, typer.Option(help="Labelled data of what the network could do before.")] = None,
    guard: Annotated[
        str | None, typer.Option(help="Against forgetting: l2sp, ewc, lwf, replay, der, mix or none.")
    ] = None,
    strength: Annotated[float | None, typer.Option(help="Of the guard; 0 is none.")] = None,
    forget_at_most: Annotated[
        str | None, typer.Option(help="Of the old task's right answers, such as 1%: chooses the guard.")
    ] = None,
    no_moments: Annotated[bool, typer.Option("--no-moments", help="Keep nothing that an update needs.")] = False,
    sample: Annotated[int, typer.Option(help="Rows whose features are kept for updates, 20 a class or more.")] = 0,
    resume: Annotated[bool, typer.Option("--resume", help="Go on with a fit that was interrupted.")] = False,
    scratch: Annotated[str | None, typer.Option(help="Time to train the same network from scratch beside it.")] = None,
    adapt_to: Annotated[Path | None, typer.Option(help="Data without labels that the head is made for.")] = None,
    adapt_by: Annotated[
        str | None, typer.Option(help="Way to it (standardised, confusion, entropy, ...; a tail: dann), else chosen.")
    ] = None,
    cache: Cache = None,
    as_json: Json = False,
) -> None:
    """Learn from labelled data, or from talks and texts to be written: ends in a skill folder and a report."""
    at_least(0, seed=seed or 0)
    allowed, beside = seconds(budget), seconds(scratch, "--scratch")
    from headstart.verbs.fit import fit as verb
    from headstart.verbs.planfile import settings_of
    from headstart.verbs.settings import Settings

    settings = Settings(
        source=source,
        depth=depth,
        metric=metric,
        balance=balance,
        seed=seed,
        threads=threads,
        device=device,
        budget=allowed,
        examples=not no_examples,
        scratch=beside,
        update=update,
        keep=keep,
        guard=guard,
        guard_strength=strength,
        forget_at_most=share(forget_at_most, "--forget-at-most"),
        remember=not no_moments,
        sample=sample,
        window=window,
        resume=resume,
        adapt_to=adapt_to,
        adapt_by=adapt_by,
    )
    said = columns(task, text, image, label, group, time)
    with Console() as teller:
        skill = verb(
            data,
            out,
            options=replace(said, prompt=prompt, answer=answer, system=system, mask=mask_personal),
            settings=settings_of(plan, settings) if plan else settings,
            cache=cache,
            teller=teller,
            command=f"headstart {shlex.join(context.obj)}",
        )
    about = json.loads((skill.folder / "metrics.json").read_text("utf8"))
    show(
        {"skill": str(skill.folder), "report": str(skill.folder / "report.html"), **about},
        as_json,
        lambda: _fit_in_words(about, skill.folder),
    )


def _fit_in_words(about: dict, folder: Path) -> str:
    """The score with its interval, and where the skill is."""
    if "voice" in about:
        return _taught_in_words(about, folder)
    score = about["score"]
    return (
        f"{score['metric']} {score['value']:.3f} [{score['low']:.3f}, {score['high']:.3f}] on {score['n']} examples "
        f"({score['where']}), {about['seconds']:.1f} s\nskill:  {folder}\nreport: {folder / 'report.html'}"
    )


def _taught_in_words(about: dict, folder: Path) -> str:
    """Perplexity before and after, the main score of what was written, and where the skill is."""
    before, after = about["untuned"], about["tuned"]
    one, other = before["perplexity"], after["perplexity"]
    span = "" if other["low"] is None else f" [{other['low']:.2f}, {other['high']:.2f}]"
    lines = [
        f"perplexity {other['value']:.2f}{span} of what {other['n']} held-out {_talks(about)} say, {one['value']:.2f} "
        f"untuned, {about['seconds']:.1f} s"
    ]
    for name in ("rouge1", "chrf"):
        if name in after["scores"]:
            lines.append(f"{name} {after['scores'][name]['value']:.3f}, {before['scores'][name]['value']:.3f} untuned")
            break
    gone = 100 * (about["change"]["general"]["value"] - 1)
    lines.append(f"other texts: perplexity {gone:+.1f} %")
    return "\n".join([*lines, f"skill:  {folder}", f"report: {folder / 'report.html'}"])


def _talks(about: dict) -> str:
    """What the examples are called."""
    name = {"chat": "talk", "summaries": "summary", "text": "text"}[about["data"]["kind"]]
    many = {"summary": "summaries"}.get(name, f"{name}s")
    return name if about["tuned"]["perplexity"]["n"] == 1 else many


def predict(
    skill: SkillPath,
    inputs: Annotated[list[str], typer.Argument(help="Files, folders, a table, or - for lines of standard input.")],
    every: Annotated[bool, typer.Option("--all", help="Add a column p_CLASS for every class.")] = False,
    column: Annotated[str | None, typer.Option(help="Column of a table that holds texts or picture paths.")] = None,
    head: Head = None,
    adapt: Annotated[bool, typer.Option("--adapt", help="Norm the network by these inputs, for this call.")] = False,
    threads: Threads = 0,
    cache: Cache = None,
    as_json: Json = False,
) -> None:
    """Label new inputs: one CSV row for each, in order. Exit code 1 when none of them could be read."""
    at_least(0, threads=threads)
    from headstart.verbs.predict import open_predictor
    from headstart.verbs.predict import predict as verb

    with Console() as teller:
        predictor = open_predictor(skill, head=head, cache=cache, threads=threads)
        rows = verb(predictor, list(inputs), column=column, adapt=adapt, cache=cache, threads=threads, teller=teller)
        lost = sum(row.error is not None for row in rows)
        if lost:
            teller.say(f"{lost} of {len(rows)} inputs could not be read; the reasons stand under `error`.")
    if as_json:
        show({"predictions": [asdict(row) for row in rows]}, True, str)
    else:
        names = predictor.classes if every else ()
        writer = csv.writer(sys.stdout, lineterminator="\n")
        writer.writerow(["input", "label", "probability", "error", *(f"p_{name}" for name in names)])
        for row in rows:
            sure = "" if row.probability is None else f"{row.probability:.4f}"
            each = (f"{row.all[name]:.4f}" if name in row.all else "" for name in names)
            writer.writerow([row.input, row.label, sure, row.error, *each])
    if lost == len(rows):
        raise typer.Exit(1)


def evaluate(
    skill: SkillPath,
    data: Data,
    text: Text = None,
    image: Image = None,
    label: Label = None,
    head: Head = None,
    threads: Threads = 0,
    cache: Cache = None,
    as_json: Json = False,
) -> None:
    """Score a skill on labelled data, with 95 % intervals."""
    at_least(0, threads=threads)
    from headstart.verbs.predict import evaluate as verb
    from headstart.verbs.predict import open_predictor

    with Console() as teller:
        options = columns(text=text, image=image, label=label)
        predictor = open_predictor(skill, head=head, cache=cache, threads=threads)
        result = verb(predictor, data, options=options, cache=cache, threads=threads, teller=teller)
    show(result, as_json, lambda: _scores_in_words(result))


def _scores_in_words(result: dict) -> str:
    """One line per metric."""
    lines = [f"{name:<18}{s['value']:.3f}  [{s['low']:.3f}, {s['high']:.3f}]" for name, s in result["scores"].items()]
    left = [f"{len(result['left_out'])} left out; --json lists them"] if result.get("left_out") else []
    return "\n".join([f"{result['n']} examples", *lines, *left])


def export(
    skill: SkillPath,
    onnx: Annotated[Path | None, typer.Option(help="ONNX file to write, for example pets.onnx.")] = None,
    openvino: Annotated[Path | None, typer.Option(help="OpenVINO folder to write.")] = None,
    merged: Annotated[Path | None, typer.Option(help="Folder of a network that writes, for transformers.")] = None,
    adapter: Annotated[Path | None, typer.Option(help="Folder of what --update lora learned, for peft.")] = None,
    gguf: Annotated[Path | None, typer.Option(help="GGUF file of a network that writes, for llama.cpp.")] = None,
    dtype: Annotated[str, typer.Option(help="Of --merged: float32, bfloat16 or float16.")] = "float32",
    quantise: Annotated[str | None, typer.Option(help="Of --gguf: f16 or q8_0; else float32.")] = None,
    threads: Threads = 0,
    cache: Cache = None,
    as_json: Json = False,
) -> None:
    """Write a skill for other programs: ONNX, OpenVINO; one that writes: merged, adapter, GGUF.

    Its whole function, compared with PyTorch before it is kept.
    """
    at_least(0, threads=threads)
    from headstart.verbs.export import Exported
    from headstart.verbs.export import export as verb

    with Console() as teller:
        done = verb(
            skill,
            onnx=onnx,
            openvino=openvino,
            merged=merged,
            adapter=adapter,
            gguf=gguf,
            dtype=dtype,
            quantise=quantise,
            cache=cache,
            threads=threads,
            teller=teller,
        )

    def words() -> str:
        lines = []
        for one in done:
            where = "" if isinstance(one, Exported) else " in a log probability"
            off = f"by at most {one.difference:.1e}{where} (allowed {one.allowed:.0e})"
            lines += [f"{one.kind}: differs from PyTorch {off}"]
            lines += [f"  {human(file.stat().st_size):>9}  {file}" for file in one.files]
        return "\n".join(lines)

    written = [{**asdict(one), "files": [str(file) for file in one.files]} for one in done]
    show({"exported": written}, as_json, words)


def demo(
    out: Annotated[Path, typer.Option("--out", "-o", help="Folder for the data and the skills.")] = Path("."),
    seed: Seed = 0,
    cache: Cache = None,
    as_json: Json = False,
) -> None:
    """Real data, few labels: what a head start is worth."""
    at_least(0, seed=seed)
    from headstart.verbs.demo import demo as verb
    from headstart.verbs.demo import table

    with Console() as teller:
        shown = verb(out, cache=cache, seed=seed, teller=teller)
    told = [
        {"name": one.name, "labels": one.labels, "skill": str(one.skill.folder), **one.record.to_json()}
        for one in shown
    ]
    show({"demo": told}, as_json, lambda: table(shown))
