"""A skill's whole function as one PyTorch module, in the forms that other programs run, and what they answer."""

from __future__ import annotations

import warnings
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from headstart.adapt.traced import FromIds, FromPixels
from headstart.core.skill import TAIL, Skill
from headstart.data.tokens import open_tokenizer
from headstart.errors import EngineError, SkillError
from headstart.heads.linear import Linear
from headstart.sources.card import Card
from headstart.sources.folder import tokenizer_of
from headstart.sources.load import Pretrained, load, with_tail

Arrays = Mapping[str, NDArray]
_OPSET = 17  # of ONNX: everything that an encoder needs, and read by runtimes of the last years
_LENGTHS = ((1, 5), (3, 12))  # (texts, tokens) of the samples; one of the window's length comes beside
_REFUSED = (RuntimeError, ValueError, TypeError, NotImplementedError)  # of exporters, by the operator they lack


class Whole(nn.Module):
    """The network's inputs -> (b, c) probabilities, or (b, t) numbers: pooled outputs, standardised, under the head.

    Args:
        below: gives one (b, d) tensor per tap.
        order: places of the head's taps among what `below` gives.
        head: of the skill.
    """

    mean: Tensor
    scale: Tensor
    weight: Tensor
    bias: Tensor

    def __init__(self, below: nn.Module, order: Sequence[int], head: Linear) -> None:
        super().__init__()
        self.below = below
        self.order = list(order)
        self.task = head.task
        hot = 1.0 if head.task == "numbers" else head.temperature
        self.register_buffer("mean", _float(head.mean))
        self.register_buffer("scale", _float(head.scale))
        self.limit = head.limit
        self.register_buffer("weight", _float(head.weight / hot))
        self.register_buffer("bias", _float(head.bias / hot))

    def forward(self, *inputs: Tensor) -> Tensor:
        """(b, c)."""
        taps = self.below(*inputs)
        z = (torch.cat([taps[place] for place in self.order], 1) - self.mean) / self.scale
        scores = z.clamp(-self.limit, self.limit) @ self.weight + self.bias
        if self.task == "numbers":
            return scores
        return scores.sigmoid() if self.task == "labels" else scores.softmax(1)


def _float(values: NDArray) -> Tensor:
    return torch.from_numpy(np.ascontiguousarray(values, np.float32))


@dataclass(frozen=True)
class Function:
    """A skill as PyTorch runs it.

    Attributes:
        module: the whole of it.
        head: as it was fitted, for the comparison.
        output: name of what comes out: probabilities or numbers.
        traced: input that the forms are made with.
        samples: other inputs, of several sizes, that every form is compared on.
    """

    module: Whole
    head: Linear
    output: str
    traced: Arrays
    samples: tuple[Arrays, ...]

    @property
    def axes(self) -> Mapping[str, Mapping[int, str]]:
        """Dimensions that stay free: name of the input or output -> axis -> its name."""
        free = {name: {0: "batch"} | ({1: "length"} if value.ndim == 2 else {}) for name, value in self.traced.items()}
        return {**free, self.output: {0: "batch"}}

    def shapes(self) -> dict[str, dict[str, object]]:
        """Of each input: shape, with names where a dimension is free, and number format."""
        free = self.axes
        return {
            name: {
                "shape": [free[name].get(k) or side for k, side in enumerate(value.shape)],
                "dtype": str(value.dtype),
            }
            for name, value in self.traced.items()
        }

    def answers(self, sample: Arrays) -> NDArray[np.float64]:
        """(b, c) what the skill says: pooled outputs from PyTorch, and the head in NumPy as `predict` runs it."""
        with torch.no_grad():
            taps = self.module.below(*_tensors(sample))
        x = np.concatenate([taps[place].numpy() for place in self.module.order], axis=1)
        return self.head.scores(x) if self.head.task == "numbers" else self.head.probabilities(x)


def function_of(skill: Skill, card: Card, cache: Path) -> Function:
    """The skill's function.

    Raises:
        SkillError: taps or learned values that the network has no place for.
        SourceError: the pretrained files cannot be had.
    """
    head = Linear.from_arrays(dict(skill.arrays), skill.manifest["task"])
    tail = {name: array for name, array in skill.arrays.items() if name.startswith(TAIL)}
    stack = (with_tail(card, tail, cache) if tail else load(card, cache, outputs=2)).eval()
    cuts = [_cut(stack, name, card) for name in skill.manifest["taps"]]
    ascending = sorted(set(cuts))
    if card.modality == "image":
        below, samples = FromPixels(stack, card, ascending), _pictures(card)
    else:
        below, samples = FromIds(stack, ascending), _texts(card, cache)
    module = Whole(below, [ascending.index(cut) for cut in cuts], head)
    module.requires_grad_(False)  # constants in what is written, not parameters
    output = "numbers" if head.task == "numbers" else "probabilities"
    return Function(module.eval(), head, output, samples[0], tuple(samples[1:]))


def _cut(stack: Pretrained, name: str, card: Card) -> int:
    below = stack.names[:-1]
    if name not in below:
        raise SkillError(f"{card.name} has no block {name!r} ({', '.join(below)}); the skill is of another network.")
    return below.index(name) + 1


def _pictures(card: Card) -> list[Arrays]:
    draw = np.random.default_rng(0)
    return [{"pixels": draw.integers(0, 256, (b, card.size, card.size, 3), np.uint8)} for b in (2, 1, 3)]


def _texts(card: Card, cache: Path) -> list[Arrays]:
    """Token ids with padding on the right, of several lengths up to the window's."""
    draw = np.random.default_rng(0)
    vocabulary = open_tokenizer(tokenizer_of(card, cache), card.size).get_vocab_size()
    samples = []
    for texts, tokens in ((2, 9), *_LENGTHS, (2, card.size)):
        tokens = min(tokens, card.size)
        mask = (np.arange(tokens) < np.linspace(tokens, (tokens + 1) // 2, texts)[:, None]).astype(np.int64)
        samples.append({"ids": draw.integers(0, vocabulary, (texts, tokens)) * mask, "mask": mask})
    return samples


def _tensors(sample: Arrays) -> tuple[Tensor, ...]:
    return tuple(torch.from_numpy(value) for value in sample.values())


def save_onnx(function: Function, path: Path) -> None:
    """Write the function as one ONNX file.

    Raises:
        EngineError: an operation that ONNX has no word for.
    """
    with _quiet(path.name):
        # the exporter that traces: the newer one does not follow the hooks by which the network is tapped
        torch.onnx.export(
            function.module,
            _tensors(function.traced),
            str(path),
            dynamo=False,
            opset_version=_OPSET,
            input_names=list(function.traced),
            output_names=[function.output],
            dynamic_axes=function.axes,
        )


def run_onnx(path: Path, samples: Sequence[Arrays], output: str, threads: int) -> list[NDArray]:
    """What ONNX Runtime answers for each sample."""
    import onnxruntime

    onnxruntime.disable_telemetry_events()
    options = onnxruntime.SessionOptions()
    options.log_severity_level = 3  # errors: warnings are about single operators
    options.intra_op_num_threads = threads
    with _running("ONNX Runtime"):
        session = onnxruntime.InferenceSession(str(path), options, providers=["CPUExecutionProvider"])
        return [np.asarray(session.run([output], dict(sample))[0]) for sample in samples]


def save_openvino(function: Function, path: Path) -> None:
    """Write the function as an OpenVINO model, .xml with .bin beside it.

    Raises:
        EngineError: an operation that OpenVINO does not know.
    """
    import openvino as ov

    with _quiet(path.name):
        model = ov.convert_model(function.module, example_input=_tensors(function.traced))
        for port, name in zip(model.inputs, function.traced, strict=True):
            port.get_tensor().set_names({name})
        model.outputs[0].get_tensor().set_names({function.output})
        free = function.axes
        model.reshape(
            {n: [-1 if k in free[n] else s for k, s in enumerate(v.shape)] for n, v in function.traced.items()}
        )
        ov.save_model(model, path, compress_to_fp16=False)


def run_openvino(path: Path, samples: Sequence[Arrays], output: str, threads: int) -> list[NDArray]:
    """What OpenVINO answers for each sample, computed in fp32."""
    import openvino as ov

    config: dict[str, object] = {"INFERENCE_PRECISION_HINT": "f32"}
    if threads:
        config["INFERENCE_NUM_THREADS"] = threads
    with _running("OpenVINO"):
        model = ov.Core().compile_model(path, "CPU", config)
        return [np.array(model(dict(sample))[output]) for sample in samples]


@contextmanager
def _quiet(name: str) -> Iterator[None]:
    """Inside, exporters warn of nothing: parity is measured instead. What they cannot do is one sentence."""
    threads = torch.get_num_threads()
    torch.set_num_threads(1)  # tracing with several threads takes ten times longer
    try:
        with torch.no_grad(), warnings.catch_warnings():
            warnings.simplefilter("ignore")
            yield
    except _REFUSED as error:
        raise EngineError(f"{name} cannot be made of this network ({_first(error)}); try the other form.") from error
    finally:
        torch.set_num_threads(threads)


@contextmanager
def _running(engine: str) -> Iterator[None]:
    try:
        yield
    except Exception as error:  # onnxruntime raises types of its own that share no parent
        raise EngineError(f"{engine} cannot run what was made ({_first(error)}); try the other form.") from error


def _first(error: Exception) -> str:
    return (str(error).strip().splitlines() or [type(error).__name__])[0][:160]
