"""A tiny language model in a folder as transformers reads it, and talks for it."""

import json

from letters import network, speaker

COLOURS = ("red", "green", "blue", "grey")


def small_talker(folder, template=True, **more):
    """A Llama of four layers that writes letters, as `file:` names it."""
    one = speaker(**({} if template else {"template": None}))
    net = network("llama", spread=0.1, **{"num_hidden_layers": 4, **more})
    net.save_pretrained(folder)
    one.tokenizer.save_pretrained(folder)
    return f"file:{folder}"


def small_talks(path, count=40):
    """JSONL of talks whose answers follow from what is asked."""
    lines = []
    for k in range(count):
        colour = COLOURS[k % 4]
        said = [("user", f"{k} {colour}?"), ("assistant", f"it is {colour}."), ("user", "sure?"), ("assistant", "yes")]
        lines.append(json.dumps({"messages": [{"role": role, "content": text} for role, text in said]}))
    path.write_text("\n".join(lines) + "\n", "utf8")
    return path
