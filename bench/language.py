"""A small language model taught on this machine: beside TRL, in summaries, in talks, and how fast it answers.

python bench/language.py train SGD --peer PYTHON
python bench/language.py summaries SCITLDR
python bench/language.py chat SGD
python bench/language.py speed
"""

import argparse
import json
import os
import resource
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import numpy as np
from record import add

from headstart.places import cache_folder
from headstart.quiet import hush

HERE = Path(__file__).parent
SOURCE = "smollm2-135m"
WIDTH, BATCH, RANK, LR = 512, 8, 8, 2e-3
THIRD = 10  # of 30 layers


def main():
    asked = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    asked.add_argument("what", choices=("train", "summaries", "chat", "speed", "side"))
    asked.add_argument("data", nargs="?", type=Path)
    asked.add_argument("--peer", type=Path, help="python of an environment with trl beside headstart")
    asked.add_argument("--talks", type=int, default=100, help="to learn from")
    asked.add_argument("--held", type=int, default=60, help="talks that judge")
    asked.add_argument("--epochs", type=int, default=3)
    asked.add_argument("--layers", type=int, default=30)
    asked.add_argument("--seed", type=int, default=0)
    asked.add_argument("--threads", type=int, default=2)
    asked.add_argument("--out", type=Path)
    given = asked.parse_args()
    hush(given.threads)
    {"train": train, "summaries": summaries, "chat": chat, "speed": speed, "side": side}[given.what](given)


def train(given):
    """Tokens a second, memory and held-out loss beside TRL, in processes of their own, one after the other."""
    from headstart.sources.find import find
    from headstart.sources.folder import folder_of

    folder = folder_of(find(SOURCE, cache_folder()), cache_folder())
    with tempfile.TemporaryDirectory() as name:
        place = Path(name)
        write_talks(given, place)
        for layers, epochs in ((30, 1), (THIRD, given.epochs)):
            files = [str(place / "train.jsonl"), str(place / "held.jsonl")]
            how = ["--epochs", str(epochs), "--layers", str(layers), "--threads", str(given.threads)]
            ours = [sys.executable, str(HERE / "language.py"), "side", str(place), *how, "--out", str(place / "o.json")]
            trl = [str(given.peer), str(HERE / "language_trl.py"), str(folder), *files, str(place / "t.json"), *how]
            trl += ["--width", str(WIDTH), "--batch", str(BATCH), "--rank", str(RANK), "--lr", str(LR)]
            for way, command, out in (("headstart", ours, "o.json"), ("trl", trl, "t.json")):
                subprocess.run(command, check=True, env=environment(place))
                told(way, layers, epochs, json.loads((place / out).read_text()), given)


def environment(place):
    """A store that starts empty, the networks of the user's cache."""
    env = {**os.environ, "HF_HUB_OFFLINE": "1"}
    (place / "cache").mkdir(exist_ok=True)
    for part in ("files", "cards"):
        link, there = place / "cache" / part, cache_folder() / part
        if there.exists() and not link.exists():
            link.symlink_to(there)
    return {**env, "HEADSTART_CACHE": str(place / "cache")}


def told(way, layers, epochs, said, given):
    """A row of what one side said."""
    from headstart.language.score import perplexity

    found = perplexity(said["nats"], said["told"])
    add(
        "language-train",
        ("way", "layers", "epochs", "talks"),
        way=way,
        layers=layers,
        epochs=epochs,
        talks=given.talks,
        seeds=[given.seed],
        value=said["tokens"] / said["seconds"],
        seconds=said["seconds"],
        storing=said.get("storing"),
        tokens=said["tokens"],
        memory_mb=said["memory_mb"],
        perplexity=found.value,
        perplexity_low=found.low,
        perplexity_high=found.high,
        held=found.n,
        threads=given.threads,
        versions=said["versions"],
        command="bench/language.py train sgd",
    )


def write_talks(given, place):
    """Training talks, and held-out ones of services that training never saw, as JSONL."""
    from headstart.data.talks_read import read_talks

    talks = read_talks(given.data)
    for part, name, count in (("train", "train", given.talks), ("val", "held", given.held)):
        some = [talk for talk, of in zip(talks.talks, talks.part, strict=True) if of == part][:count]
        lines = [
            json.dumps({"messages": [{"role": turn.role, "content": turn.text} for turn in talk.turns]})
            for talk in some
        ]
        (place / f"{name}.jsonl").write_text("\n".join(lines) + "\n", "utf8")


def side(given):
    """headstart's side of `train`, in this process."""
    from importlib.metadata import version

    import torch

    from headstart.adapt.lessons import lessons
    from headstart.adapt.teach import teach
    from headstart.core.plan import Plan
    from headstart.core.store import Store
    from headstart.data.talks_read import read_talks

    torch.set_num_threads(given.threads)
    language = opened()
    rows = lessons(language.speaker, read_talks(given.data / "train.jsonl").talks, WIDTH)
    blocks = len(language.stack)
    depth = blocks if given.layers == blocks - 2 else given.layers + 1
    depth = min(depth, blocks - 1)  # the embedding has no adapter
    plan = Plan(
        depth, given.epochs, LR, batch=BATCH, schedule="linear", precision="bfloat16", update="lora", seed=given.seed
    )
    store = Store(cache_folder() / "store") if given.layers < blocks - 2 else None
    taught = teach(language, rows, plan, rank=RANK, store=store)
    memory = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
    held = lessons(language.speaker, read_talks(given.data / "held.jsonl").talks, WIDTH)
    nats = held.judged(language.stack)
    versions = {name: version(name) for name in ("headstart", "peft", "transformers", "torch")}
    said = {"seconds": taught.told.seconds, "storing": taught.told.storing, "tokens": taught.told.tokens}
    said |= {"memory_mb": memory, "nats": nats.tolist(), "told": held.told.tolist(), "versions": versions}
    given.out.write_text(json.dumps(said))


def opened():
    """The network, ready to learn."""
    from headstart.sources.find import find
    from headstart.sources.language import open_language

    return open_language(find(SOURCE, cache_folder()), cache_folder(), cuts=(0, 31 - THIRD))


def summaries(given):
    """ROUGE of tuned, untuned (best of three prompts on dev) and the first sentence, on the official test set."""
    from headstart.adapt.lessons import lessons
    from headstart.adapt.teach import teach
    from headstart.core.store import Store
    from headstart.data.talks_read import read_talks
    from headstart.language.rouge import lead, rouge
    from headstart.sources.decoding import Decoding
    from headstart.sources.writer import Writer
    from headstart.verbs.spoken import INSTRUCTIONS

    talks, language = read_talks(given.data), opened()
    train, dev, test = (talks.take(talks.part == part) for part in ("train", "val", "test"))
    writer, decoding = Writer(language.network, language.speaker), Decoding(max_new_tokens=48)

    def said(some, instruction):
        prompts = [before(talk, instruction) for talk in some.talks]
        return [each.text.strip() for each in writer.write(prompts, decoding, batch=32)]

    few, best = dev.take(np.arange(30)), ("", -1.0)
    for instruction in INSTRUCTIONS:
        score = sum(each.value for each in rouge(said(few, instruction), few.references).means.values())
        best = max(best, (instruction, score), key=lambda pair: pair[1])
    found = {"untuned": rouge(said(test, best[0]), test.references)}
    found["first sentence"] = rouge([lead(talk.turns[-2].text) for talk in test.talks], test.references)
    rows = lessons(language.speaker, train.talks, WIDTH)
    taught = teach(language, rows, plan_of(given), rank=RANK, store=Store(cache_folder() / "store"))
    found["tuned"] = rouge(said(test, ""), test.references)
    rouge_rows(given, found, taught, best[0], len(train))


def rouge_rows(given, found, taught, instruction, count):
    """A row of each way, with how much better the tuned one is on the same documents."""
    from headstart.language.rouge import KINDS, rouge_difference

    for way, scores in found.items():
        for kind in KINDS:
            one = scores.means[kind]
            gap = None if way == "tuned" else rouge_difference(found["tuned"], scores)[kind]
            add(
                "language-summaries",
                ("way", "kind", "layers", "epochs"),
                way=way,
                kind=kind,
                layers=given.layers,
                epochs=given.epochs,
                seeds=[given.seed],
                train=count,
                n=one.n,
                value=100 * one.value,
                low=100 * one.low,
                high=100 * one.high,
                tuned_better=None if gap is None else 100 * gap.value,
                tuned_better_low=None if gap is None else 100 * gap.low,
                tuned_better_high=None if gap is None else 100 * gap.high,
                seconds=taught.told.seconds if way == "tuned" else None,
                instruction=instruction if way == "untuned" else "",
                command="bench/language.py summaries scitldr",
            )


def before(talk, instruction):
    """What stands before the summary."""
    from headstart.data.talks import Turn

    document = talk.turns[-2].text
    return (*talk.turns[:-2], Turn("user", f"{instruction}\n\n{document}" if instruction else document))


def plan_of(given):
    """The course for a third of the layers."""
    from headstart.core.plan import Plan

    return Plan(
        THIRD + 1, given.epochs, LR, batch=BATCH, schedule="linear", precision="bfloat16", update="lora",
        seed=given.seed,
    )  # fmt: skip


def chat(given):
    """Held-out perplexity of answers, slot values recalled, and general texts, with and without a limit."""
    from headstart.adapt.held_back import held_back
    from headstart.adapt.lessons import lessons
    from headstart.adapt.teach import teach
    from headstart.core.store import Store
    from headstart.data.talks_read import read_talks
    from headstart.language.general import general_texts
    from headstart.verbs.spoken import prose_of

    talks, language = read_talks(given.data), opened()
    train, held = (talks.take(talks.part == part) for part in ("train", "val"))
    train, choosing, held = (
        train.take(np.arange(given.talks)),
        train.take(np.arange(given.talks, given.talks + 30)),
        (held.take(np.arange(given.held))),
    )
    speaker = language.speaker
    judged, prose, chooses = (
        lessons(speaker, some, WIDTH)
        for some in (held.talks, prose_of(general_texts()[::2]), prose_of(general_texts()[1::2]))
    )
    values = slots(given.data, held, speaker)
    untuned = heard(language, judged, prose, values)
    rows = lessons(speaker, train.talks, WIDTH)
    taught = teach(language, rows, plan_of(given), rank=RANK, store=Store(cache_folder() / "store"))
    tuned = heard(language, judged, prose, values)
    limit = held_back(taught, chooses, lessons(speaker, choosing.talks, WIDTH), 0.03, precision="bfloat16")
    guarded = heard(language, judged, prose, values)
    chat_rows(given, {"untuned": untuned, "tuned": tuned, "tuned, limit 3 %": guarded}, limit.share, judged, prose)


def heard(language, judged, prose, values):
    """Nats of answers and of general texts, and which slot values were said."""
    from headstart.language.spread import share
    from headstart.sources.decoding import Decoding
    from headstart.sources.writer import Writer

    prompts, wanted = values
    texts = Writer(language.network, language.speaker).write(prompts, Decoding(max_new_tokens=60), batch=16)
    right = sum(value.lower() in text.text.lower() for text, some in zip(texts, wanted, strict=True) for value in some)
    recalled = share(right, sum(map(len, wanted)))
    return judged.judged(language.stack), prose.judged(language.stack), recalled


def slots(folder, held, speaker, most=150):
    """Turns before answers that repeat values of slots that were said before, as confirmations do, and those values."""
    said = {}
    for path in sorted(folder.rglob("*.json")):
        for dialogue in json.loads(path.read_text("utf8")) if path.name != "schema.json" else ():
            said[f"{path.name} {dialogue['dialogue_id']}"] = dialogue["turns"]  # ids come again in other files
    prompts, wanted = [], []
    for talk in held.talks:
        turns = said[talk.name]
        for at, turn in enumerate(turns):
            marks = [mark for frame in turn["frames"] for mark in frame["slots"]]
            spoken = {mark["slot"]: turn["utterance"][mark["start"] : mark["exclusive_end"]] for mark in marks}
            carried = [value for value in spoken.values() if any(value in before.text for before in talk.turns[:at])]
            if turn["speaker"] == "SYSTEM" and carried and at < len(talk.turns) and talk.turns[at].role == "assistant":
                prompts.append(talk.turns[:at])
                wanted.append(carried)
    return prompts[:most], wanted[:most]


def chat_rows(given, found, kept, judged, prose):
    """A row of each network."""
    from headstart.language.score import perplexity, perplexity_ratio

    for way, (nats, general, recalled) in found.items():
        one, ratio = perplexity(nats, judged.told), perplexity_ratio(general, found["untuned"][1], prose.told)
        add(
            "language-chat",
            ("way", "talks", "epochs"),
            way=way,
            talks=given.talks,
            epochs=given.epochs,
            seeds=[given.seed],
            n=one.n,
            value=one.value,
            low=one.low,
            high=one.high,
            general=ratio.value,
            general_low=ratio.low,
            general_high=ratio.high,
            share=kept if "limit" in way else None,
            recalled=recalled.value,
            recalled_low=recalled.low,
            recalled_high=recalled.high,
            values=recalled.n,
            command="bench/language.py chat sgd",
        )


def speed(given):
    """Seconds to the first piece of an answer, tokens a second, and whole processes."""
    from headstart.verbs.voice import open_voice
    from headstart.verbs.write import Decoding, generate

    voice = open_voice(SOURCE, threads=given.threads)
    prompt = "Tell me about the sea, the weather over it and the ships on it, in a few sentences."
    firsts = []
    for seed in range(5):
        start = time.perf_counter()
        next(voice.writer.stream(voice.turns(prompt), Decoding(max_new_tokens=4, temperature=0.7, seed=seed)))
        firsts.append(time.perf_counter() - start)
    row("seconds to the first piece, loaded model", firsts)
    for batch in (1, 8):
        rates = []
        for seed in range(3):
            how = Decoding(max_new_tokens=96, temperature=0.7, seed=seed, no_repeat_ngram_size=0)
            start = time.perf_counter()
            answers = generate(voice, [prompt] * batch, decoding=how, batch=batch)
            rates.append(sum(each.tokens for each in answers) / (time.perf_counter() - start))
        row(f"tokens a second, {batch} at a time", rates)
    walls = []
    for _ in range(4):
        start = time.perf_counter()
        command = [sys.executable, "-m", "headstart", "generate", SOURCE, "Say hello.", "--max-new-tokens", "8"]
        subprocess.run(command, check=True, capture_output=True)
        walls.append(time.perf_counter() - start)
    row("seconds of a whole process that answers in 8 tokens", walls[1:])


def row(what, values):
    """The median of several."""
    from record import mean_interval

    _, low, high = mean_interval(values)
    said = {"value": float(np.median(values)), "low": low, "high": high, "repeats": values}
    add("language-speed", ("what",), what=what, seeds=[0], **said, command="bench/language.py speed")


if __name__ == "__main__":
    main()
