"""Two data sets side by side, or one beside what a network was trained on, in some screens of lines."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from headstart.cli.show import WIDTH, show, table, wrapped
from headstart.cli.tell import Console
from headstart.errors import UsageError

if TYPE_CHECKING:
    from headstart.data.dataset import Options
    from headstart.mismatch.norms import Moved
    from headstart.report.difference import Difference, Side
    from headstart.report.familiar import Familiar

_CLASSES = 12  # that are listed one by one
_NAMES = 4  # of the most and of the least unusual


@dataclass(frozen=True)
class Asked:
    """What was typed beside the data: `examples` says whether pictures and texts may be on the page at `out`."""

    options: Options
    rows: int
    examples: bool
    seed: int
    threads: int
    cache: Path | None
    out: Path | None


def compared(a: Path, b: Path, source: str | None, asked: Asked, as_json: bool) -> None:
    """`inspect A --against B`."""
    from headstart.report import verdict
    from headstart.study.files import ready, write_whole
    from headstart.verbs.differ import differ

    if asked.out is not None:
        ready(asked.out)
    with Console() as teller:
        found = differ(
            a,
            b,
            source=source,
            options=asked.options,
            rows=asked.rows,
            examples=asked.examples and asked.out is not None,
            seed=asked.seed,
            threads=asked.threads,
            cache=asked.cache,
            teller=teller,
        )
    if asked.out is not None:
        from headstart.report.apart import page

        write_whole(asked.out, page(found))
    told = {"verdict": verdict.headline(found), "evidence": verdict.evidence(found), "advice": verdict.advice(found)}
    found_plain = {name: value for name, value in asdict(found).items() if name not in ("most", "least")}
    show({**told, "sure": found.kind.sure, **found_plain}, as_json, lambda: in_words(found))


def familiar(data: Path, source: str, asked: Asked, as_json: bool) -> None:
    """`inspect A --source NAME`.

    Raises:
        UsageError: a page, which only a comparison of two data sets has.
    """
    if asked.out is not None:
        raise UsageError("-o writes a page of two data sets; name the other one with --against, or drop it.")
    from headstart.report import familiar as words
    from headstart.verbs.familiar import MOST
    from headstart.verbs.familiar import familiar as verb

    with Console() as teller:
        found = verb(
            data,
            source=source,
            options=asked.options,
            rows=min(asked.rows, MOST),
            seed=asked.seed,
            threads=asked.threads,
            cache=asked.cache,
            teller=teller,
        )
    told = {"verdict": words.headline(found), "evidence": words.evidence(found), "advice": words.advice(found)}
    show({**told, "kind": found.kind, "distance": found.distance, **asdict(found)}, as_json, lambda: alone(found))


def alone(found: Familiar) -> str:
    """Verdict, what says so, what to do, and the layers."""
    from headstart.data.dataset import READS
    from headstart.report import familiar as words

    what = READS[found.modality]
    lines = [f"{found.path}: {found.rows:,} {what} through {found.source}", "", *wrapped(words.headline(found)), ""]
    for sentence in words.evidence(found):
        lines += wrapped(sentence, first="- ")
    lines += ["", "what to do:"]
    for place, sentence in enumerate(words.advice(found), 1):
        lines += wrapped(sentence, first=f"{place}. ")
    rows: list[tuple[str, ...]] = [("block", "distance", "shift", "scale", "channels")]
    blocks: dict[str, list[Moved]] = {}
    for name, each in found.layers.items():
        blocks.setdefault(name.split(".")[0], []).append(each)
    for name, moved in blocks.items():
        means = (
            sum(values) / len(moved) for values in zip(*((m.distance, m.shift, m.scale) for m in moved), strict=True)
        )
        rows.append((name, *(f"{value:.3f}" for value in means), str(sum(m.channels for m in moved))))
    lines += ["", *table(rows, right=(1, 2, 3, 4))]
    for note in found.notes:
        lines += wrapped(note, first="note: ")
    return "\n".join(lines)


def in_words(found: Difference) -> str:
    """Verdict, what says so, what to do; then the layers, the classes and the most unusual examples."""
    from headstart.report import verdict

    what = verdict.what(found)
    lines = [f"{side}: {part.path}, {_rows(part.seen, part.rows)} {what}" for side, part in _sides(found)]
    lines += [f"seen through {found.source}", "", *wrapped(verdict.headline(found)), ""]
    for sentence in verdict.evidence(found):
        lines += wrapped(sentence, first="- ")
    lines += ["", "what to do:"]
    for place, sentence in enumerate(verdict.advice(found), 1):
        lines += wrapped(sentence, first=f"{place}. ")
    lines += ["", *_layers(found)]
    if found.shares:
        lines += ["", *_shares(found)]
    lines += ["", *_unusual(found)]
    for note in found.notes:
        lines += wrapped(note, first="note: ")
    return "\n".join(lines)


def _sides(found: Difference) -> tuple[tuple[str, Side], ...]:
    return (("A", found.a), ("B", found.b))


def _rows(seen: int, rows: int) -> str:
    return f"{seen:,}" if seen == rows else f"{seen:,} of {rows:,}"


def _layers(found: Difference) -> list[str]:
    rows = [("layer", "told apart", "95 %", "A-distance", "shift", "p")]
    rows += [
        (
            layer.name,
            f"{100 * layer.accuracy:.1f} %",
            f"{100 * layer.low:.0f} to {100 * layer.high:.0f} %",
            f"{layer.distance:.2f}",
            f"{layer.shift:.3f}",
            f"{layer.p:.3f}",
        )
        for layer in found.kind.test.layers
    ]
    last = f"last layer: squared MMD {found.mmd.squared:.4f} (p = {found.mmd.p:.3f}), squared Frechet distance "
    last += f"{found.frechet:.4g} ({found.frechet_within:.4g} between two halves of A: it is never 0)"
    return [*table(rows, right=(1, 2, 3, 4, 5)), *wrapped(last)]


def _shares(found: Difference) -> list[str]:
    counted = found.shares_p is not None
    rows = [("class", "in A", *(["in B"] if counted else []), "B as estimated", "95 %", "weight")]
    order = sorted(found.shares, key=lambda share: -share.a)
    for share in order[:_CLASSES]:
        low_high = "" if share.low is None or share.high is None else f"{100 * share.low:.0f} to {100 * share.high:.0f}"
        rows.append(
            (
                share.name if len(share.name) <= WIDTH // 3 else share.name[: WIDTH // 3 - 1] + "…",
                _share(share.a),
                *([_share(share.b)] if counted else []),
                _share(share.estimate),
                low_high,
                "" if share.weight is None else f"{share.weight:.2f}",
            )
        )
    lines = table(rows, right=range(1, len(rows[0])))
    if len(order) > _CLASSES:
        lines.append(f"and {len(order) - _CLASSES:,} more; --json lists all")
    if found.kind.name in ("input", "feature") and any(share.estimate is not None for share in found.shares):
        lines.append("an estimate holds only where nothing but the shares differs, which is not so here")
    if found.shares_p is not None:
        lines.append(f"counted shares differ with p = {found.shares_p:.3f}")
    return lines


def _share(value: float | None) -> str:
    return "" if value is None else f"{100 * value:.1f} %"


def _unusual(found: Difference) -> list[str]:
    """Names with how many of A's own examples are nearer to A."""
    odd = found.unusual
    far = sum(each.both >= 0.95 for each in odd)
    lines = [f"of B {far:,} of {len(odd):,} examples are more unusual than 95 % of A's own; by chance it would be 5 %"]
    for title, part in (("most unusual", odd[:_NAMES]), ("least", odd[::-1][:_NAMES])):
        said = "; ".join(f"{each.name} ({100 * each.both:.0f} %)" for each in part)
        lines += wrapped(said, first=f"{title}: ")
    return lines
