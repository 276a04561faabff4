"""Pictures per second from JPEG files to pooled features, and of the network alone: `throughput.py FOLDER`."""

import argparse
import tempfile
import time
from functools import partial
from pathlib import Path

import numpy as np
import torch  # before headstart sets how threads wait, so that PyTorch runs as its users have it
from PIL import Image
from record import add, arithmetic, mean_interval
from timm.data import create_transform
from torch import nn
from ways import MEAN, STD, lite0

from headstart.adapt.held import Held, open_held, preparation_of
from headstart.adapt.traced import save_taps
from headstart.data.pictures import batches
from headstart.data.read import read_inputs
from headstart.engine.openvino import open_compiled
from headstart.places import cache_folder
from headstart.sources.fetch import FILES
from headstart.sources.find import find
from headstart.sources.load import load

ROWS, REPEATS, BATCH, SIDE = 512, 3, 32, 2048
TYPES = {"f32": torch.float32, "bf16": torch.bfloat16}


def main():
    asked = argparse.ArgumentParser()
    asked.add_argument("folder", type=Path)
    folder = asked.parse_args().folder
    files = sorted(path for path in folder.rglob("*") if path.suffix.lower() in (".jpg", ".jpeg"))[:ROWS]
    cache, card = cache_folder(), find("efficientnet-lite0", cache_folder())
    stack = load(card, cache, outputs=2)
    weights = str(cache / FILES / f"{card.files['weights'].sha256}.safetensors")
    network = lite0(weights, 0).eval()
    work = operations(network)
    with tempfile.TemporaryDirectory() as name:
        traced = Path(name) / "last"
        save_taps(stack, card, traced, last=True)
        every, last = open_held(card, cache), Held(card, card.digest, open_compiled(traced), cache)
        prepared = [pixels for _, pixels in batches(files, preparation_of(card), batch=8, threads=2)]
        ways = {
            "headstart, every layer": partial(ours, every),
            "headstart, last layer": partial(ours, last),
            "network alone, every layer": partial(alone, every, prepared),
            "network alone, last layer": partial(alone, last, prepared),
            "PyTorch float32": partial(eager, network),
        }
        if arithmetic() in ("avx512_bf16", "amx_bf16"):
            wide = lite0(weights, 0).eval().to(memory_format=torch.channels_last)
            ways["PyTorch bfloat16, channels last"] = partial(eager, wide, wide=True)
        else:
            print("PyTorch bfloat16 is left out: this CPU has no arithmetic for it")
        agree(ours(last, files[:64]), eager(network, files[:64]))
        took = {way: [] for way in ways}
        for _ in range(REPEATS):
            for way, go in ways.items():  # in turn, so that a busy moment of the machine is no way's own
                start = time.perf_counter()
                go(files)
                took[way].append(time.perf_counter() - start)
    engine = every.network.precision
    product = products(TYPES[engine])
    for way, seconds in took.items():
        rates = [len(files) / each for each in seconds]
        _, low, high = mean_interval(rates)
        said = {"value": max(rates), "median": float(np.median(rates)), "low": low, "high": high, "repeats": rates}
        if way.startswith("network alone"):
            gflops = max(rates) * work / 1e9
            said |= {"gflops": gflops, "product": product / 1e9, "share": gflops / (product / 1e9), "precision": engine}
        command = f"bench/throughput.py {folder.parent.name}/{folder.name}"
        said |= {"rows": len(files), "seeds": [], "work": work, "command": command}
        add("throughput", ("data", "way"), data=folder.parent.name, way=way, **said)


def ours(held, files):
    """Pooled outputs as a fit reads them."""
    return held.read(read_inputs(files, modality="image"))[-1]


def alone(held, prepared, files):
    """The network on pixels that are in memory already."""
    pairs = ((np.arange(len(pixels)), {"pixels": pixels}) for pixels in prepared)
    assert sum(len(rows) for rows, _ in held.network.run(pairs)) == len(files)


def eager(network, files, wide=False):
    """timm's own preparation and PyTorch, a batch at a time."""
    prepare = create_transform(224, mean=MEAN, std=STD, crop_pct=0.875, interpolation="bicubic")
    out = []
    with torch.inference_mode(), torch.autocast("cpu", torch.bfloat16, enabled=wide):
        for k in range(0, len(files), BATCH):
            batch = torch.stack([prepare(Image.open(path).convert("RGB")) for path in files[k : k + BATCH]])
            out.append(network(batch.to(memory_format=torch.channels_last) if wide else batch).float())
    return torch.cat(out).numpy()


def agree(a, b):
    """Both ways must give the same features, but for the last digits of scaling."""
    cosines = (a * b).sum(1) / np.linalg.norm(a, axis=1) / np.linalg.norm(b, axis=1)
    print(f"cosine between the features of both ways: median {np.median(cosines):.4f}, least {cosines.min():.4f}")
    assert np.median(cosines) > 0.98, "the two ways do not compute the same"


def operations(network):
    """Multiplications and additions of one picture in convolutions and linear layers."""
    total = 0

    def count(module, _, out):
        nonlocal total
        total += 2 * out.numel() * module.weight[0].numel()

    hooks = [m.register_forward_hook(count) for m in network.modules() if isinstance(m, nn.Conv2d | nn.Linear)]
    with torch.no_grad():
        network(torch.zeros(1, 3, 224, 224))
    for hook in hooks:
        hook.remove()
    return total


def products(dtype, repeats=7):
    """Operations per second of a matrix product in this number format, the best of several."""
    a, b = (torch.randn(SIDE, SIDE).to(dtype) for _ in range(2))
    took = []
    for _ in range(repeats):
        start = time.perf_counter()
        a @ b
        took.append(time.perf_counter() - start)
    return 2 * SIDE**3 / min(took)


if __name__ == "__main__":
    main()
