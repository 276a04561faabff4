"""Language models of a few thousand random weights with a tokenizer of their own, for taking them away."""

import torch
from tokenizers import AddedToken, Regex, Tokenizer, decoders, models, normalizers, pre_tokenizers, trainers
from transformers import AutoConfig, AutoModelForCausalLM, PreTrainedTokenizerFast

TEXTS = [
    "The quick brown fox jumps over the lazy dog, and it's not 1234567 years old!",
    "Hello world\n\n  two spaces   three, tabs\tand don't stop. We'LL see: 3.14159 and 2024-01-31.",
    "Ünïcödé ça va? 你好、世界 🙂 Привет мир",
    "<|im_start|>user\nHi<|im_end|>\n<|im_start|>assistant\n<think>so</think> (x+y)[0] = f(x);\n",
    "x =  7;   42  9",
    "",
    " ",
]
TEMPLATE = (
    "{% for message in messages %}<|im_start|>{{ message['role'] }}\n{{ message['content'] }}<|im_end|>\n{% endfor %}"
    "{% if add_generation_prompt %}<|im_start|>assistant\n{% endif %}"
)
SPECIAL = ["<|endoftext|>", "<|im_start|>", "<|im_end|>"]
WORDS = r"(?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\r\n\p{L}\p{N}]?\p{L}+|"
REST = r"| ?[^\s\p{L}\p{N}]+[\r\n]*|\s*[\r\n]+|\s+(?!\S)|\s+"
SPLITS = {"llama-bpe": WORDS + r"\p{N}{1,3}" + REST, "qwen2": WORDS + r"\p{N}" + REST}
SIZES = {"hidden_size": 64, "num_hidden_layers": 2, "num_attention_heads": 4, "intermediate_size": 96}
ROWS = 420  # of the embedding: more than the tokenizer has, as in Qwen
FAMILIES = {
    "llama": {"num_key_value_heads": 2},
    "llama tied": {"num_key_value_heads": 2, "tie_word_embeddings": True},
    "llama one head": {"num_attention_heads": 1, "num_key_value_heads": 1},
    "llama all heads": {"num_attention_heads": 8, "num_key_value_heads": 8},
    "llama one kept": {"num_attention_heads": 8, "num_key_value_heads": 1},
    "llama wide heads": {"num_key_value_heads": 2, "head_dim": 32},
    "mistral": {"num_key_value_heads": 2, "head_dim": 16, "sliding_window": 64},
    "qwen2": {"num_key_value_heads": 2},
    "qwen2 tied": {"num_key_value_heads": 2, "tie_word_embeddings": True},
    "qwen3": {"num_key_value_heads": 2, "head_dim": 128},  # the one width that transformers reads it with
    "gpt2": {"n_embd": 64, "n_layer": 2, "n_head": 4, "n_positions": 64},
    "gemma2": {"num_key_value_heads": 2, "head_dim": 16, "query_pre_attn_scalar": 16},
    "gpt_neox": {},
    "phi": {},
}


def network(family, seed=0, **other):
    """Random weights, biases and norms among them."""
    name = family.split()[0]
    sizes = {} if name == "gpt2" else SIZES
    ends = {"bos_token_id": 1, "eos_token_id": 0, "pad_token_id": 0}
    config = AutoConfig.for_model(name, **{"vocab_size": ROWS, **sizes, **ends, **FAMILIES[family], **other})
    torch.manual_seed(seed)
    made = AutoModelForCausalLM.from_config(config).eval()
    with torch.no_grad():
        for parameter in made.parameters():
            parameter.add_(torch.randn(parameter.shape) / 10)
    return made


def tokenizer(folder, kind="smollm"):
    """A tokenizer learned from TEXTS, its folder made: of bytes split as `kind` does, or of pieces."""
    made = _of_pieces() if kind == "pieces" else _of_bytes(kind)
    made.add_tokens([AddedToken("<think>", normalized=False, special=False)])
    whole = PreTrainedTokenizerFast(
        tokenizer_object=made,
        bos_token="<|im_start|>",
        eos_token="<|im_end|>",
        unk_token="<|endoftext|>",
        pad_token="<|endoftext|>",
        chat_template=TEMPLATE,
    )
    whole.save_pretrained(folder)
    return folder


def _of_bytes(kind):
    first = []
    if kind in SPLITS:
        first = [pre_tokenizers.Split(Regex(SPLITS[kind]), "isolated")]
    elif kind == "smollm":
        first = [pre_tokenizers.Digits(individual_digits=True)]
    made = Tokenizer(models.BPE())
    last = pre_tokenizers.ByteLevel(add_prefix_space=False, use_regex=kind not in SPLITS)
    made.pre_tokenizer = pre_tokenizers.Sequence([*first, last])
    made.decoder = decoders.ByteLevel()
    if kind == "qwen2":
        made.normalizer = normalizers.NFC()
    alphabet = pre_tokenizers.ByteLevel.alphabet()
    made.train_from_iterator(
        TEXTS, trainers.BpeTrainer(vocab_size=400, special_tokens=SPECIAL, initial_alphabet=alphabet)
    )
    return made


def _of_pieces():
    made = Tokenizer(models.BPE(byte_fallback=True, unk_token="<|endoftext|>", fuse_unk=True))
    made.normalizer = normalizers.Sequence([normalizers.Prepend("▁"), normalizers.Replace(" ", "▁")])
    made.decoder = decoders.Sequence([decoders.Replace("▁", " "), decoders.ByteFallback(), decoders.Fuse()])
    made.train_from_iterator(
        [text for text in TEXTS if text.isascii() and "<" not in text],
        trainers.BpeTrainer(vocab_size=410, special_tokens=[*SPECIAL, *(f"<0x{byte:02X}>" for byte in range(256))]),
    )
    return made


def logits(made, ids=(5, 9, 300, 7, 2, 41, 17, 8, 101)):
    with torch.no_grad():
        return made(input_ids=torch.tensor([ids]), use_cache=False).logits[0].float()
