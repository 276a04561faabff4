"""Tiny language models with random weights that write letters, and what they are spoken to with."""

import torch
from tokenizers import Tokenizer, decoders, models, pre_tokenizers
from transformers import AutoConfig, AutoModelForCausalLM, PreTrainedTokenizerFast

from headstart.data.talks import Turn
from headstart.sources.speaker import Speaker

CHATML = (
    "{% for m in messages %}{{ '<s>' + m['role'] + '\n' + m['content'] + '</s>\n' }}{% endfor %}"
    "{% if add_generation_prompt %}{{ '<s>assistant\n' }}{% endif %}"
)
LETTERS = [chr(code) for code in range(32, 127)] + ["\n"]
VOCABULARY = 3 + len(LETTERS)
SIZES = {"hidden_size": 16, "num_hidden_layers": 2, "num_attention_heads": 2, "intermediate_size": 32}
WINDOW = 512
FAMILIES = {
    "llama": {**SIZES, "num_key_value_heads": 1, "max_position_embeddings": WINDOW},
    "qwen2": {**SIZES, "num_key_value_heads": 1, "max_position_embeddings": WINDOW},
    "gpt_neox": {**SIZES, "max_position_embeddings": WINDOW},
    "gpt2": {"n_embd": 16, "n_layer": 2, "n_head": 2, "n_positions": WINDOW},
}


def speaker(letters=LETTERS, template: str | None = CHATML):
    """A token for each letter, and two for the ends of turns."""
    words = {word: place for place, word in enumerate(["[UNK]", "<s>", "</s>", *letters])}
    core = Tokenizer(models.WordLevel(words, unk_token="[UNK]"))
    core.pre_tokenizer = pre_tokenizers.Split("", "isolated")
    core.decoder = decoders.Fuse()  # letters one behind the other, without blanks between them
    made = PreTrainedTokenizerFast(
        tokenizer_object=core, unk_token="[UNK]", bos_token="<s>", eos_token="</s>", chat_template=template,
        clean_up_tokenization_spaces=False,
    )  # fmt: skip
    return Speaker(made, "tiny")


def network(family="llama", dtype=torch.float32, seed=0, vocabulary=VOCABULARY, spread=0.4, **more):
    """Weights of a wide spread: it says many things, and is sure of none."""
    torch.manual_seed(seed)
    config = AutoConfig.for_model(
        family, **{**FAMILIES[family], **more}, vocab_size=vocabulary, initializer_range=spread,
        bos_token_id=1, eos_token_id=2,
    )  # fmt: skip
    return AutoModelForCausalLM.from_config(config).to(dtype).eval()


def asked(text):
    return (Turn("user", text),)
