"""Small local networks and data for tests: real files of the forms that users have, made in a moment."""

import csv
import json

import numpy as np
import timm
import torch
from PIL import Image
from safetensors.torch import save_file
from tokenizers import Tokenizer, normalizers, pre_tokenizers, processors
from tokenizers.models import WordLevel
from transformers import AutoConfig, AutoModel

GOOD = ("wonderful", "lovely", "clever", "moving")
BAD = ("bore", "dull", "awful", "flat")
OTHER = ("a", "film", "from", "start", "to", "end", "the", "story", "is", "with", "and", "very", "it", "was")


def small_encoder(folder, **other):
    """A BERT of two layers with random weights and a word tokenizer, as `file:` names it; `other` sizes than these."""
    torch.manual_seed(3)
    words = ["[PAD]", "[UNK]", "[CLS]", "[SEP]", *GOOD, *BAD, *OTHER]
    sizes = {"hidden_size": 32, "num_hidden_layers": 2, "num_attention_heads": 2, "intermediate_size": 64}
    sizes |= other
    network = AutoModel.from_config(AutoConfig.for_model("bert", vocab_size=len(words), **sizes)).eval()
    folder.mkdir(parents=True)
    save_file(network.state_dict(), folder / "model.safetensors")
    (folder / "config.json").write_text(network.config.to_json_string(use_diff=False))
    tokenizer = Tokenizer(WordLevel({word: place for place, word in enumerate(words)}, "[UNK]"))
    tokenizer.normalizer = normalizers.Lowercase()
    tokenizer.pre_tokenizer = pre_tokenizers.Whitespace()
    tokenizer.post_processor = processors.TemplateProcessing(
        single="[CLS] $A [SEP]", special_tokens=[("[CLS]", 2), ("[SEP]", 3)]
    )
    tokenizer.save(str(folder / "tokenizer.json"))
    return f"file:{folder}"


def small_convnet(folder, size=32):
    """A ResNet of ten layers with random weights, as `file:` names it."""
    torch.manual_seed(3)
    network = timm.create_model("resnet10t", num_classes=4).eval()
    folder.mkdir(parents=True)
    save_file(network.state_dict(), folder / "model.safetensors")
    seen = {"input_size": [3, size, size], "mean": [0.5] * 3, "std": [0.25] * 3, "license": "mit", "crop_pct": 1.0}
    (folder / "config.json").write_text(json.dumps({"architecture": "resnet10t", "pretrained_cfg": seen}))
    return f"file:{folder}"


def sentences(n, seed=0):
    """n different sentences and what they are: good or bad."""
    draw = np.random.default_rng(seed)
    rows = []
    for row in range(n):
        kind = row % 2
        told = [*draw.choice((BAD, GOOD)[kind], 2), *draw.choice(OTHER, 5)]
        rows.append((" ".join(draw.permutation(told)), ("bad", "good")[kind]))
    return rows


def write_table(path, n=80, seed=0):
    """A table with a column of texts and one of labels."""
    with path.open("w", newline="", encoding="utf8") as file:
        writer = csv.writer(file)
        writer.writerow(("text", "label"))
        writer.writerows(sentences(n, seed))
    return path


def write_pictures(folder, n=60, seed=0, classes=("dark", "light")):
    """Class folders of noisy pictures that differ in brightness."""
    draw = np.random.default_rng(seed)
    for row in range(n):
        kind = row % len(classes)
        place = folder / classes[kind]
        place.mkdir(parents=True, exist_ok=True)
        level = 60 + 120 * kind / max(1, len(classes) - 1)
        pixels = np.clip(draw.normal(level, 25, (40, 48, 3)), 0, 255).astype(np.uint8)
        Image.fromarray(pixels).save(place / f"{row}.png")
    return folder
