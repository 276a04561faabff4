"""TRL's side of `language.py train`: LoRA by SFTTrainer and peft on the CPU, on headstart's own tokens.

Rows are given as `input_ids` and `labels`, so that both sides learn from the same tokens; that TRL's packing keeps all
of them is checked. Settings are those that were fastest for TRL of those tried (see docs/log.md): packing, one row of a
batch at a time, eager attention, bf16 autocast over float32 weights, loss in chunks, no gradient checkpointing.
"""

import argparse
import json
import resource
import tempfile
import time
from collections import Counter
from pathlib import Path

NOT_TOLD = -100
LINEAR = ["q_proj", "k_proj", "v_proj", "o_proj", "gate_proj", "up_proj", "down_proj"]


def main():
    asked = options()
    import datasets
    import peft
    import torch
    import transformers
    import trl
    from peft import LoraConfig, get_peft_model, get_peft_model_state_dict, set_peft_model_state_dict
    from transformers import AutoModelForCausalLM, AutoTokenizer

    torch.set_num_threads(asked.threads)
    datasets.disable_caching()
    datasets.disable_progress_bars()
    pieces = pieces_of(asked.train, asked.model, asked.width)
    rows = [row_of(piece) for piece in pieces]
    model = AutoModelForCausalLM.from_pretrained(asked.model, dtype=torch.float32, attn_implementation="eager")
    depth = model.config.num_hidden_layers
    last = list(range(depth - asked.layers, depth)) if asked.layers < depth else None
    lora = LoraConfig(
        r=asked.rank,
        lora_alpha=2 * asked.rank,
        lora_dropout=0.0,
        task_type="CAUSAL_LM",
        target_modules=LINEAR,
        layers_to_transform=last,
        layers_pattern="layers" if last else None,
    )
    with tempfile.TemporaryDirectory() as scratch:
        trainer = trl.SFTTrainer(
            model=model,
            args=settings(asked, scratch),
            train_dataset=datasets.Dataset.from_list(rows),
            processing_class=AutoTokenizer.from_pretrained(asked.model),
            peft_config=lora,
        )
        mine = Counter((tuple(row["input_ids"]), tuple(row["labels"])) for row in rows)
        assert Counter(documents_of(trainer.train_dataset)) == mine, "TRL does not learn from headstart's pieces"
        start = time.perf_counter()
        trainer.train()
        seconds = time.perf_counter() - start
    memory = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
    learned = get_peft_model_state_dict(trainer.model)
    del trainer, model
    plain = AutoModelForCausalLM.from_pretrained(asked.model, dtype=torch.float32)
    tuned = get_peft_model(plain, lora)
    assert not set_peft_model_state_dict(tuned, learned).unexpected_keys
    tokens = asked.epochs * sum(len(piece) for piece in pieces)
    each, told = losses_of(tuned, pieces_of(asked.held, asked.model, asked.width))
    versions = {part.__name__: part.__version__ for part in (trl, peft, transformers, torch)}
    said = {"seconds": seconds, "tokens": tokens, "memory_mb": memory, "nats": each, "told": told, "versions": versions}
    asked.out.write_text(json.dumps(said))


def options():
    asked = argparse.ArgumentParser(description=__doc__)
    asked.add_argument("model")
    for name in ("train", "held", "out"):
        asked.add_argument(name, type=Path)
    for name, default in (("width", 512), ("batch", 8), ("epochs", 1), ("rank", 8), ("layers", 30), ("threads", 2)):
        asked.add_argument(f"--{name}", type=int, default=default)
    asked.add_argument("--lr", type=float, default=2e-3)
    return asked.parse_args()


def settings(asked, scratch):
    from trl import SFTConfig

    return SFTConfig(
        output_dir=scratch,
        use_cpu=True,
        max_length=asked.width,
        packing=True,
        per_device_train_batch_size=1,
        gradient_accumulation_steps=asked.batch,
        num_train_epochs=asked.epochs,
        learning_rate=asked.lr,
        lr_scheduler_type="linear",
        warmup_steps=0.1,  # below 1 it is a share of all steps
        weight_decay=0.0,
        max_grad_norm=0.0,
        bf16=True,
        gradient_checkpointing=False,
        loss_type="chunked_nll",
        logging_strategy="no",
        save_strategy="no",
        eval_strategy="no",
        report_to="none",
        disable_tqdm=True,
        dataloader_num_workers=0,
        dataloader_pin_memory=False,
    )


def pieces_of(path, folder, width):
    """headstart's pieces of every talk of a file."""
    from headstart.data.talks_read import read_talks
    from headstart.sources.speaker import Speaker

    speaker = Speaker.of(Path(folder), "network")
    return [piece for talk in read_talks(path).talks for piece in speaker.spoken(talk, width).pieces]


def row_of(piece):
    """A piece as TRL takes it."""
    ids, told = piece.ids.tolist(), piece.told.tolist()
    return {"input_ids": ids, "labels": [i if t else NOT_TOLD for i, t in zip(ids, told, strict=True)]}


def documents_of(dataset):
    """(ids, labels) of every document of what TRL made of the rows."""
    found = []
    for row in dataset:
        start = 0
        for length in row.get("seq_lengths") or [len(row["input_ids"])]:
            end = start + length
            found.append((tuple(row["input_ids"][start:end]), tuple(row["labels"][start:end])))
            start = end
    return found


def losses_of(network, pieces):
    """Summed -log p of the told tokens of each talk in nats, and how many, one at a time in float32."""
    import torch

    each, told = [], []
    network.eval()
    with torch.no_grad():
        for piece in pieces:
            ids, there = torch.from_numpy(piece.ids), torch.from_numpy(piece.told[1:])
            logits = network(input_ids=ids[None], use_cache=False).logits[0].float()
            each.append(torch.nn.functional.cross_entropy(logits[:-1][there], ids[1:][there], reduction="sum").item())
            told.append(int(there.sum()))
    return each, told


if __name__ == "__main__":
    main()
