"""docs/results.md out of bench/results.json: `page.py`. Every number on the page is in that file."""

import json
import re
from collections import defaultdict
from math import isnan

from record import HERE, mean_interval, rows, wilson

PAGE = HERE.parent / "docs" / "results.md"
PUBLISHED = {"ewc": 20, "lwf": 24, "icarl": 94.6, "joint": 97.9}  # split MNIST, new classes: as recalled
MARKS = {}  # (machine, versions) -> the letters of its footnote, in order of appearance


def main():
    every = (
        single,
        draws,
        throughput,
        depth,
        ranking,
        live,
        deviation,
        chance,
        mismatch,
        adapting,
        foretold,
        classes,
        continual,
        keeping,
        outside,
        shelf,
        interrupted,
        taught,
        summaries,
        talks,
        answering,
        memory,
        start,
    )
    parts = [part for make in every if (part := make())]
    said = "Written by `bench/page.py` out of `bench/results.json`; [how each is run](../bench/README.md)."
    marks = "The letters under *on* name machine and versions, at the end of the page."
    PAGE.write_text("\n\n".join(["# Results", f"{said} {marks}", *parts, footnotes()]) + "\n", "utf8")
    print(f"{PAGE.name}: {len(parts)} tables")


def single():
    """Side by side where each data set is one run a way."""
    found = [row for row in rows("side by side") if draw_of(row) is None]
    ours = {(row["data"], row["cpu"]): row for row in found if row["way"] == "headstart"}
    lines = []
    for row in sorted(found, key=lambda row: (row["data"], row["cpu"], row["way"] != "headstart", row["way"])):
        own = ours.get((row["data"], row["cpu"]))
        ratio = f"{row['wall'] / own['wall']:.1f}" if own else ""
        seconds, memory = (f"{row[name]:.1f}" for name in ("wall", "train_seconds")), f"{row['memory']:,.0f}"
        score = (percent(row["accuracy"]), between(row["low"], row["high"], percent), f"{row['rows']:,}")
        wall, train = seconds
        lines.append(
            (row["data"], row["way"], *score, wall, ratio, train, memory, row.get("depth", ""), *origin([row]))
        )
    what = "One run each; the interval is Wilson's for the test rows. The ratio is to headstart on the same machine."
    head = ("data", "way", "accuracy %", "95 %", "test rows", "process s", "ratio", "training s", "memory MB", "depth")
    return section("Side by side: pictures", what, head, lines)


def draws():
    """Side by side over the draws of each budget of labels."""
    found = defaultdict(dict)
    for row in rows("side by side"):
        if (draw := draw_of(row)) is not None:
            found[row["data"].rpartition("-")[0], row["cpu"], row["way"]][draw] = row
    lines = []
    for (data, cpu, way), mine in sorted(found.items(), key=lambda item: order(item[0])):
        own = found.get((data, cpu, "headstart"), {})
        both = sorted(set(own) & set(mine)) if way != "headstart" else []
        gains = [own[draw]["accuracy"] - mine[draw]["accuracy"] for draw in both]
        ratios = [mine[draw]["wall"] / own[draw]["wall"] for draw in both]
        mean, *interval = mean_interval([row["accuracy"] for row in mine.values()])
        gain = mean_and_interval(gains, points) if both else ("", "")
        wall = f"{mean_interval([row['wall'] for row in mine.values()])[0]:.1f}"
        ratio = f"{mean_interval(ratios)[0]:.1f}" if both else ""
        score = (percent(mean), between(*interval, percent))
        lines.append((data, way, len(mine), *score, *gain, len(both) or "", wall, ratio, *origin(mine.values())))
    what = (
        "Means over draws of the labelled rows, the test rows being the same; intervals are Student's over the draws, "
        "none with one draw. Differences and ratios pair the draws that both ways have on the same machine: "
        "headstart's accuracy less the other's in points, and the other's wall time over headstart's."
    )
    head = ("data", "way", "draws", "accuracy %", "95 %", "headstart better by", "95 %", "pairs", "process s",
            "ratio")  # fmt: skip
    return section("Side by side: film reviews", what, head, lines)


def throughput():
    """Pictures per second."""
    lines = []
    for row in sorted(rows("throughput"), key=lambda row: (row["data"], row["cpu"], -row["value"])):
        share = (f"{row['gflops']:.0f}", f"{100 * row['share']:.0f}") if "share" in row else ("", "")
        rate = (f"{row['value']:.0f}", f"{row['median']:.0f}", between(row["low"], row["high"], whole))
        lines.append((row["data"], row["way"], *rate, *share, f"{row['rows']:,}", *origin([row])))
    what = (
        "EfficientNet-Lite0, from JPEG files to pooled features, the best of the repeats; the interval is Student's of "
        "their mean. The network alone reads pixels in memory; its share is of the same CPU's rate in a matrix product."
    )
    head = ("data", "way", "pictures/s", "median", "95 % of the mean", "GFLOP/s", "share %", "rows")
    return section("Throughput", what, head, lines)


def depth():
    """Each depth against the chosen one, over seeds."""
    found = defaultdict(dict)
    for row in rows("depth"):
        found[row["data"], row["cpu"], str(row["depth"])][row["seed"]] = row
    lines = []
    for (data, cpu, at), mine in sorted(found.items(), key=lambda item: order(item[0])):
        chosen = found.get((data, cpu, "chosen"), {})
        both = sorted(set(chosen) & set(mine)) if at != "chosen" else []
        gain = mean_and_interval([chosen[s]["value"] - mine[s]["value"] for s in both], points) if both else ("", "")
        took = ", ".join(sorted({str(row["took"]) for row in mine.values()}, key=int))
        score = mean_and_interval([row["value"] for row in mine.values()], percent)
        one = next(iter(mine.values()))
        rest = (between(one["low"], one["high"], percent), *gain)
        seconds = f"{mean_interval([row['seconds'] for row in mine.values()])[0]:.1f}"
        lines.append((data, at, took, len(mine), *score, *rest, seconds, *origin(mine.values())))
    what = (
        "Test score at each depth of a grid and at the depth that a fit takes by itself. The first interval is "
        "Student's over the seeds, of which the test rows are no part; the second that of the first seed's test rows. "
        "The chosen depth is fitted first and pays for reading the data, which the others find in the store."
    )
    head = ("data", "depth", "taken", "seeds", "score %", "95 % over seeds", "95 % of test rows", "chosen better by",
            "95 %", "process s")  # fmt: skip
    return section("Depth", what, head, lines)


def ranking():
    """Published outcomes, foretold."""
    lines = []
    for row in sorted(rows("ranking"), key=lambda row: (row["table"], -row["tau"])):
        tau = (f"{row['tau']:.3f}", between(row["tau_low"], row["tau_high"], "{:.3f}".format))
        lost = (f"{row['lost']:.2f}", between(row["lost_low"], row["lost_high"], "{:.2f}".format))
        lines.append((row["table"], row["way"], row["sets"], *tau, *lost, *origin([row])))
    what = (
        "Fine-tuned accuracies of a published table, foretold by its printed scores, by blind priors and by all "
        "together, the weights never having seen the data set that is foretold. Weighted Kendall tau, and the points "
        "that the network on top loses against the best: means over the data sets, intervals by a bootstrap over them."
    )
    return section("Ranking", what, ("table", "way", "sets", "tau", "95 %", "points lost", "95 %"), lines)


def live():
    """What `rank` foretells beside what fine-tuning gave."""
    lines = []
    for row in sorted(rows("live ranking"), key=lambda row: (*group_of(row), -row["tau"])):
        tau = (f"{row['tau']:.3f}", between(row["tau_low"], row["tau_high"], "{:.3f}".format))
        lost = (f"{row['lost']:.2f}", between(row["lost_low"], row["lost_high"], "{:.2f}".format))
        lines.append((*group_of(row), row["way"], *tau, *lost, f"{row['lost_apart']:+.2f}", *origin([row])))
    what = (
        "Networks that were really fine-tuned, on test rows that nothing had seen; the truth of each is its new head "
        "or its tuned tail, whichever `fit` would keep (*kept*). "
        "Weighted Kendall tau, and the points that the network on top loses against the best; intervals by a bootstrap "
        "over data sets, and over test rows for the points. The best of many is partly luck of the test rows, so that "
        "the points are too many; apart, the best is chosen on one half of the test rows and compared on the other."
    )
    head = ("networks", "truth", "count", "sets", "foretold by", "tau", "95 %", "points lost", "95 %", "apart")
    return section("Ranking, live", what, head, lines)


def deviation():
    """How far tuning strays from its probe."""
    lines = []
    for row in sorted(rows("live deviation"), key=lambda row: (*group_of(row), row["near"] or 1)):
        near = "all" if row["near"] is None else f"within {100 * row['near']:.0f} points of the best probe"
        parts = (f"{100 * row[name]:.2f}" for name in ("deviation", "of_test_rows", "of_probe_rows", "beyond"))
        spread = between(row["beyond_low"], row["beyond_high"], lambda value: f"{100 * value:.2f}")
        lines.append((*group_of(row), near, row["freedom"], *parts, spread, *origin([row])))
    what = (
        "Deviation of truth less probe over the networks of a data set, in points, and what is left of it when the "
        "noise of test rows and of the probe's rows is taken off; the interval is a bootstrap over data sets."
    )
    head = ("networks", "truth", "count", "sets", "which", "degrees of freedom", "deviation", "of test rows",
            "of the probe's rows", "beyond", "95 %")  # fmt: skip
    return section("What no probe foretells", what, head, lines)


def chance():
    """Whether the chances that `rank` says come true."""
    lines = []
    for row in sorted(rows("live calibration"), key=lambda row: (*group_of(row), row["by"], row["assumed"])):
        bins = ", ".join(f"{percent(said)} → {percent(came)} ({count})" for count, said, came in row["bins"])
        held = (percent(row["alike_holds_the_best"]), percent(row["alike_holds_one_as_good"]))
        regret = (f"{row['regret_foretold']:.2f}", f"{row['regret_happened']:.2f}")
        numbers = (
            row["by"],
            f"{100 * row['assumed']:.2f}",
            f"{row['log_score']:.3f}",
            *held,
            f"{row['alike_size']:.1f}",
            *regret,
        )
        lines.append((*group_of(row), *numbers, bins, *origin([row])))
    what = (
        "For each deviation that is assumed beyond the rows: mean log of the chance that the best was given, how often "
        "the best (or one within half a point of it) is among those that cannot be told apart, how many those are, the "
        "regret that was foretold for the network on top and what it lost, and chances said → come true (networks)."
    )
    head = ("networks", "truth", "count", "sets", "by", "assumed", "log score", "holds the best %",
            "holds one as good %", "size", "regret foretold", "happened", "chances %")  # fmt: skip
    return section("Chances", what, head, lines)


def group_of(row):
    """Which networks on how many data sets, by which truth."""
    return f"{row['kind']}, {row['group']}", row["truth"], row["networks"], row["sets"]


def taught():
    """A language model taught beside TRL."""
    found = rows("language-train")
    ours = {(row["layers"], row["epochs"], row["talks"], row["cpu"]): row for row in found if row["way"] == "headstart"}
    lines = []
    for row in sorted(found, key=lambda row: (-row["layers"], row["cpu"], row["way"])):
        own = ours.get((row["layers"], row["epochs"], row["talks"], row["cpu"]))
        ratio = f"{own['value'] / row['value']:.2f}" if own else ""
        room = f"{own['memory_mb'] / row['memory_mb']:.2f}" if own else ""
        loss = f"{row['perplexity']:.2f}", between(row["perplexity_low"], row["perplexity_high"], two)
        speed = f"{row['value']:,.0f}", ratio, f"{row['memory_mb']:,.0f}", room
        lines.append(
            (row["layers"], row["epochs"], row["talks"], row["way"], *speed, *loss, row["held"], *origin([row]))
        )
    what = (
        "Adapters of rank 8 in every linear layer of the last so many of 30 layers of SmolLM2-135M, task dialogues, "
        "rows of 512 tokens, batches of 8, bfloat16, the same tokens told on both sides, storing included; held-out "
        "dialogues are of services that training did not see. Ratios are headstart's over the other's."
    )
    head = ("layers", "epochs", "talks", "way", "tokens/s", "ratio", "memory MB", "ratio", "perplexity", "95 %", "held")
    return section("A language model taught, beside TRL", what, head, lines)


def summaries():
    """One-line summaries."""
    lines = [
        (
            row["way"], row["kind"], f"{row['value']:.2f}", between(row["low"], row["high"], two),
            "" if row["tuned_better"] is None else f"{row['tuned_better']:+.2f}",
            "" if row["tuned_better"] is None else between(row["tuned_better_low"], row["tuned_better_high"], two),
            row["n"], *origin([row]),
        )
        for row in rows("language-summaries")
    ]  # fmt: skip
    what = (
        "Abstracts in one line (SciTLDR, abstract only, 1,992 to learn from, official test set, best of several "
        "references): SmolLM2-135M tuned in its last 10 layers, as it came with the best of three prompts on dev, and "
        "the first sentence. F1 x 100; tuned better by, on the same documents."
    )
    head = ("way", "measure", "F1", "95 %", "tuned better by", "95 %", "documents")
    return section("Summaries", what, head, lines)


def talks():
    """Task dialogues."""
    lines = []
    for row in rows("language-chat"):
        general = f"{row['general']:.3f}", between(row["general_low"], row["general_high"], three)
        recalled = percent(row["recalled"]), between(row["recalled_low"], row["recalled_high"], percent), row["values"]
        loss = f"{row['value']:.2f}", between(row["low"], row["high"], two), row["n"]
        share = "" if row["share"] is None else f"{row['share']:g}"
        lines.append((row["way"], row["talks"], row["epochs"], share, *loss, *general, *recalled, *origin([row])))
    what = (
        "Task dialogues of services that training did not see: perplexity of the answers, perplexity of general prose "
        "over the untuned network's (20 paragraphs that chose nothing), and the share of slot values, said before and "
        "due in the answer, that it says."
    )
    head = (
        "way", "talks", "epochs", "share of the way", "perplexity", "95 %", "held", "general", "95 %", "recalled %",
        "95 %", "values",
    )  # fmt: skip
    return section("Talks", what, head, lines)


def answering():
    """How fast a small language model answers."""
    lines = [
        (row["what"], f"{row['value']:.2f}", between(row["low"], row["high"], two), *origin([row]))
        for row in rows("language-speed")
    ]
    what = "SmolLM2-135M on this machine; medians, and the interval of the mean."
    return section("Answers", what, ("what", "value", "95 %"), lines)


def memory():
    """Peak memory as the rows grow."""
    lines = []
    for row in sorted(rows("memory"), key=lambda row: (row["kind"], row["cpu"], row["rows"])):
        stage = max(row["stages"].items(), key=lambda item: item[1][1])[1][1]
        name = next(name for name, (_, peak) in row["stages"].items() if peak >= stage)
        numbers = (f"{row['rows']:,}", f"{row['value']:,.0f}", name, f"{row['seconds']:.0f}")
        lines.append((row["kind"], *numbers, *origin([row])))
    what = "The largest resident memory of a whole fit at depth 1, once, with the stage in which it was reached."
    return section("Memory", what, ("kind", "rows", "peak MB", "in", "process s"), lines)


def start():
    """What it takes to start."""
    found = sorted(rows("start"), key=lambda row: (row["cpu"], row["value"]))
    two = "{:.2f}".format
    lines = [
        (row["what"], two(row["value"]), between(row["low"], row["high"], two), len(row["repeats"]), *origin([row]))
        for row in found
    ]
    what = "Wall seconds of whole processes, the median of the repeats; the interval is Student's of their mean."
    return section("Start", what, ("what", "seconds", "95 % of the mean", "repeats"), lines)


def mismatch():
    """Kinds of made mismatches, and false alarms."""
    kept = json.loads((HERE / "mismatch.json").read_text("utf8"))
    found, lines = kept["rows"], []
    for name, parts in (("chosen on", ("dev",)), ("seen before", ("seen",)), ("not chosen on", ("test",))):
        for modality in ("image", "text"):
            here = [row for row in found if row["part"] in parts and row["modality"] == modality]
            made, halves = (
                [row["right"] for row in here if (row["made"] == "halves") == matched] for matched in (False, True)
            )
            cells = [cell for group in (made, halves) for cell in share(group)]
            lines.append((name, READS[modality], *cells, cpu_mark(kept), kept["commit"], "`bench/mismatch.py`"))
    what = (
        "Made mismatches whose kind was called right, and matched halves where no difference was called, by the data "
        "sets' part in choosing the rules; intervals are Wilson's."
    )
    head = ("sets", "of", "mismatches", "right %", "95 %", "halves", "none called %", "95 %")
    return section("Mismatch", what, head, lines)


READS = {"image": "pictures", "text": "texts"}


def share(right):
    """Count, per cent and its interval."""
    if not right:
        return 0, "", ""
    part = sum(right) / len(right)
    return len(right), percent(part), between(*wilson(part, len(right)), percent)


def cpu_mark(kept):
    """The footnote of a machine whose versions were not kept."""
    return mark({"cpu": kept["cpu"], "versions": kept.get("versions", {})})


def adapting():
    """Heads for data without labels."""
    found = defaultdict(list)
    for row in rows("adapting"):
        found[row["pair"], row["taps"], row["norms"], row["cpu"]].append(row)
    lines = []
    for (pair, taps, norms, _), mine in sorted(found.items(), key=lambda item: item[0]):
        cells = []
        for name in ("plain", "chosen", "labelled"):
            mean, low, high = mean_interval([row[name] for row in mine])
            cells += [percent(mean), between(low, high, percent)]
        gap = sum(row["labelled"] - row["plain"] for row in mine)
        closed = sum(row["chosen"] - row["plain"] for row in mine) / gap if gap else float("nan")
        gain = mean_and_interval([row["chosen"] - row["plain"] for row in mine], points)
        taken = ", ".join(dict.fromkeys(row["way"] for row in mine))
        lines.append((pair, taps + (", norms" if norms else ""), len(mine), *cells, *gain, percent(closed), taken,
                      *origin(mine)))  # fmt: skip
    what = (
        "A head learned on the first set and answering the second, without and with the way that was chosen without a "
        "label of the second, beside the same head learned with its labels. Means over draws with Student's intervals. "
        "On the digits and on PACS the rule was chosen with these test rows in view; on SURF features it was not."
    )
    head = ("pair", "layers", "draws", "source only %", "95 %", "chosen %", "95 %", "with labels %", "95 %", "gain",
            "95 %", "of the gap %", "ways")  # fmt: skip
    return section("Data without labels", what, head, lines)


def classes():
    """New classes by moments of held features."""
    found = sorted(rows("classes"), key=lambda row: (row["cpu"], row["layers"], row["rows"], row["way"]))
    lines = [
        (row["layers"], row["way"], f"{row['rows']:,}", len(row["seeds"]), percent(row["value"]),
         between(row["low"], row["high"], percent), f"{row['seconds']:.1f}", *origin([row]))
        for row in found
    ]  # fmt: skip
    what = (
        "Digits of MNIST learned two at a time on held features of a network of photos, all ten asked at the end; "
        "nothing is kept of earlier digits but sums. The discriminant from moments is beside the same head on all "
        "digits at once. Means over draws of the pictures to learn from, on the official test part; seconds are of "
        "all five tasks."
    )
    return section(
        "New classes without old data", what, ("layers", "way", "rows", "draws", "right %", "95 %", "s"), lines
    )


def continual():
    """New classes from pixels."""
    found = defaultdict(list)
    for row in rows("continual"):
        found[row["way"], row["keep"], row["cpu"]].append(row)
    lines = []
    for (way, _, _), mine in sorted(found.items(), key=lambda item: mean_interval([r["accuracy"] for r in item[1]])[0]):
        mean, low, high = mean_interval([row["accuracy"] for row in mine])
        seconds = mean_interval([row["seconds"] for row in mine])[0]
        lines.append((way, max(row["kept"] for row in mine), len(mine), percent(mean), between(low, high, percent),
                      PUBLISHED.get(way, ""), f"{seconds:.0f}", *origin(mine)))  # fmt: skip
    what = (
        "Digits of MNIST learned two at a time from pixels by two layers of 400 units, 2,000 steps of 128 for each "
        "pair, without saying which pair a picture is of. Even is der, then the weights of new outputs no longer "
        "than those of old ones. Published figures are recalled, for orientation; that of icarl kept 2,000 pictures."
    )
    head = ("way", "kept", "seeds", "right %", "95 %", "published", "s")
    return section("Forgetting from pixels", what, head, lines)


def keeping():
    """Whether a limit on forgetting is kept, and what it costs."""
    found = sorted(rows("keeping"), key=lambda row: (row["limit"], row["pair"]))
    lines, held, broken, gains, best, gained = [], 0, 0, 0.0, 0.0, 0
    for row in found:
        head, plain, kept = row["head"]["value"], row["plain"], row["kept"]
        lost = kept["lost"]["value"] if kept["lost"] else 0.0
        held += lost <= row["limit"]
        broken += bool(kept["lost"]) and kept["lost"]["low"] > row["limit"]
        if plain["score"]["value"] > head:
            gained, best = gained + 1, best + plain["score"]["value"] - head
            gains += kept["score"]["value"] - head
        share = next((mix["share"] for mix in kept["mixes"] or () if mix["chosen"]), 0.0)
        lines.append((row["pair"], percent(row["limit"]), percent(head), points(plain["score"]["value"] - head),
                      points(plain["lost"]["value"]), points(kept["score"]["value"] - head), points(lost),
                      kept["guard"] or "none", f"{share:g}", f"{kept['seconds']:.0f}", *origin([row])))  # fmt: skip
    what = ""
    if found:
        low, high = wilson(held / len(found), len(found))
        what = (
            "A skill of one task learns another by a tail: what plain tuning gains over a new head and loses of the "
            "old task, and the same with `--forget-at-most`, on rows of the old task that no choice saw. The limit "
            f"was kept in {held} of {len(found)} runs ({percent(low)} to {percent(high)} %), and broken by more than "
            f"the interval of what was lost in {broken}. Where plain tuning gains, in {gained} of them, it gains "
            f"{100 * best / gained:.1f} points in the mean and limited tuning {100 * gains / gained:.1f}."
        )
    head = ("old-new", "limit %", "new head %", "plain gains", "plain loses", "limited gains", "limited loses", "guard",
            "share", "s")  # fmt: skip
    return section("What a limit on forgetting costs", what, head, lines)


def outside():
    """Robustness outside of the data that was learned from."""
    found = defaultdict(list)
    for row in rows("outside"):
        found[row["lr"], row["epochs"], row["cpu"]].append(row)
    lines = []
    for (lr, epochs, _), mine in sorted(found.items(), key=lambda item: item[0]):
        for arm in ("lp", "plain", "lp-ft", "mix", "refit"):
            inside, far = ([row[arm][name] for row in mine] for name in ("inside", "outside"))
            more = [row[arm]["outside"] - row["plain"]["outside"] for row in mine]
            less = [row[arm]["inside"] - row["plain"]["inside"] for row in mine]
            lines.append((arm, f"{lr:g}", epochs, len(mine), percent(mean_interval(inside)[0]),
                          percent(mean_interval(far)[0]), *mean_and_interval(more, points),
                          *mean_and_interval(less, points), *origin(mine)))  # fmt: skip
    what = (
        "Photos of PACS learned by a whole network, its test photos (inside) and all paintings, cartoons and "
        "sketches (outside) asked. lp: a new head alone; plain: from a random head; lp-ft: from the fitted head; "
        "mix: between the weights before and after lp-ft, the share chosen on held-out photos; refit: the same with "
        "a new head on top."
    )
    head = ("way", "rate", "epochs", "seeds", "inside %", "outside %", "outside more", "95 %", "inside more", "95 %")
    return section("Outside of what was learned from", what, head, lines)


def shelf():
    """Many skills on one network."""
    lines = [
        (row["source"], row["what"], f"{row['value']:.4g}",
         between(row.get("low", float("nan")), row.get("high", 0.0), "{:.4g}".format), *origin([row]))
        for row in sorted(rows("shelf"), key=lambda row: (row["cpu"], row["source"], row["what"]))
    ]  # fmt: skip
    what = "A hundred skills of one source on one opened network, in fresh processes."
    return section("Many skills", what, ("source", "what", "value", "95 %"), lines)


def interrupted():
    """What points to go on from cost."""
    lines = [
        (row["network"], row["rows"], f"{100 * row['value']:.2f}", between(row["low"], row["high"], "{:.4f}".format),
         f"{row['ratio'][0]:.3f}", between(*row["ratio"][1:], "{:.3f}".format), f"{row['megabytes']:.0f}",
         *origin([row]))
        for row in rows("points")
    ]  # fmt: skip
    what = (
        "Every layer of a network learns, with a point to go on from at most every 20 s and without: share of the "
        "seconds that went into points, and the whole seconds of both in turn."
    )
    head = ("network", "rows", "share of seconds %", "95 % (share)", "seconds with / without", "95 %", "MB")
    return section("Points to go on from", what, head, lines)


def foretold():
    """What plans promised beside what came."""
    found = sorted(rows("foretold"), key=lambda row: (row["kind"], row["data"], row["limit"], row["sources"]))
    lines = []
    for row in found:
        cells = []
        for name, say in (("score", percent), ("seconds", "{:.1f}".format), ("memory_mb", "{:.0f}".format)):
            told = row[name]
            cells += [say(told["value"]), between(told["low"], told["high"], say), say(told["happened"])]
        asked = [f"{row['rows']} rows"] * bool(row["rows"]) + [row["limit"]] * (row["limit"] != "none")
        lines.append((row["data"], ", ".join(asked), row["chosen"], *cells, *origin([row])))
    what = ""
    if found:
        near = {k: sum(row["near"][k] for row in found) for k in ("seconds", "memory_mb")}
        held = {k: sum(row["held"][k] for row in found) for k in ("score", "seconds", "memory_mb")}
        what = (
            f"What plans foretold with its 90 % range, and what came of the fits that followed ({len(found)} runs): "
            f"seconds within 30 % in {near['seconds']}, memory in {near['memory_mb']}; within the range: score "
            f"{held['score']}, seconds {held['seconds']}, memory {held['memory_mb']}."
        )
    head = ("data", "asked", "chosen", "score", "90 %", "came", "seconds", "90 %", "came", "memory MB", "90 %", "came")
    return section("Plans", what, head, lines)


def section(title, what, head, lines):
    """A heading, a sentence and a table; nothing where there is no row."""
    if not lines:
        return ""
    head = (*head, "on", "commit", "command")
    texts = [" | ".join(str(cell) for cell in line) for line in (head, ["---"] * len(head), *lines)]
    return "\n".join([f"## {title}", "", what, "", *(f"| {text} |" for text in texts)])


def origin(found):
    """Machine and versions, commits and the command of rows that a line of a table is made of."""
    found = sorted(found, key=lambda row: row["date"])
    marks = dict.fromkeys(mark(row) for row in found)
    commits = dict.fromkeys(row["commit"] for row in found)
    return " ".join(marks), " ".join(commits), f"`{found[0]['command']}`" + (", …" if len(found) > 1 else "")


def mark(row):
    """The letter of this row's machine and versions."""
    key = (row["cpu"], ", ".join(f"{name} {version}" for name, version in sorted(row["versions"].items())))
    return MARKS.setdefault(key, letters(len(MARKS)))


def letters(number):
    """a to z, then aa."""
    return (letters(number // 26 - 1) if number >= 26 else "") + chr(ord("a") + number % 26)


def footnotes():
    """What the letters stand for."""
    lines = [f"- **{letter}**: {cpu}; {versions}" for (cpu, versions), letter in MARKS.items()]
    ending = "A commit with + had changes of the package that were not yet in it."
    return "\n".join(["## Machines and versions", "", *lines, "", ending])


def draw_of(row):
    """The number of the draw where the data is named after its labels and its draw: reviews-64-0."""
    found = re.fullmatch(r".+-\d+-(\d+)", row["data"])
    return int(found[1]) if found else None


def order(key):
    """Data by name and labels, machine, and then what the others are compared with before them."""
    data, cpu, way = key
    name, number = re.fullmatch(r"(.*?)(\d*)", data).groups()
    return name, int(number or 0), cpu, way not in ("headstart", "chosen"), int(way) if way.isdigit() else 0, way


def mean_and_interval(values, form):
    """Two cells."""
    mean, low, high = mean_interval(values)
    return form(mean), between(low, high, form)


def between(low, high, form):
    """An interval; nothing where there is none."""
    return "" if isnan(low) else f"{form(low)} to {form(high)}"


def percent(value):
    """A share in percent."""
    return f"{100 * value:.1f}"


def points(value):
    """A difference of shares, with its sign."""
    return f"{100 * value:+.1f}"


def two(value):
    """Two decimals."""
    return f"{value:.2f}"


def three(value):
    """Three decimals."""
    return f"{value:.3f}"


def whole(value):
    """No decimals."""
    return f"{value:.0f}"


if __name__ == "__main__":
    main()
