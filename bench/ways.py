"""The peers, each as its users run it: `python ways.py WAY DATA WEIGHTS` prints one JSON object.

Runs in the peers' environment and knows nothing of headstart. DATA has a train and a test part; WEIGHTS is a folder
in transformers' format (texts), or a safetensors file for timm's tf_efficientnet_lite0 (pictures).
"""

import csv
import json
import sys
import tempfile
import time
import warnings
from importlib.metadata import distributions, version
from pathlib import Path

warnings.filterwarnings("ignore")
MEAN, STD = [127 / 255] * 3, [128 / 255] * 3


def texts(data):
    parts = []
    for part in ("train", "test"):
        with (data / f"{part}.csv").open(encoding="utf8", newline="") as file:
            rows = list(csv.DictReader(file))
        parts += [[row["text"] for row in rows], [row["label"] for row in rows]]
    names = sorted(set(parts[1]))
    return parts[0], [names.index(y) for y in parts[1]], parts[2], [names.index(y) for y in parts[3]], names


def probe(data, weights):
    """Mean-pooled features of the frozen network, logistic regression with its strength cross-validated."""
    import numpy as np
    import torch
    from sklearn.linear_model import LogisticRegressionCV
    from sklearn.pipeline import make_pipeline
    from sklearn.preprocessing import StandardScaler
    from transformers import AutoModel, AutoTokenizer

    x, y, xt, yt, _ = texts(data)
    tokenizer, network = AutoTokenizer.from_pretrained(weights), AutoModel.from_pretrained(weights).eval()
    start = time.perf_counter()

    def features(lines):
        out = []
        with torch.no_grad():
            for k in range(0, len(lines), 32):
                batch = tokenizer(lines[k : k + 32], padding=True, truncation=True, max_length=256, return_tensors="pt")
                h, m = network(**batch)[0], batch["attention_mask"].unsqueeze(-1)
                out.append((h * m).sum(1) / m.sum(1))
        return torch.cat(out).numpy()

    head = make_pipeline(StandardScaler(), LogisticRegressionCV(Cs=8, cv=5, max_iter=500)).fit(features(x), y)
    return np.mean(head.predict(features(xt)) == yt), time.perf_counter() - start


def trainer(data, weights):
    """Hugging Face Trainer at its defaults: 3 epochs, 10 for 64 labels a class."""
    import numpy as np
    from transformers import AutoModelForSequenceClassification, AutoTokenizer, Trainer, TrainingArguments

    x, y, xt, yt, names = texts(data)
    tokenizer = AutoTokenizer.from_pretrained(weights)
    network = AutoModelForSequenceClassification.from_pretrained(weights, num_labels=len(names))

    class Rows:
        def __init__(self, lines, labels):
            self.coded, self.labels = tokenizer(lines, truncation=True, max_length=256), labels

        def __len__(self):
            return len(self.labels)

        def __getitem__(self, row):
            return {**{key: self.coded[key][row] for key in self.coded}, "labels": self.labels[row]}

    start = time.perf_counter()
    epochs = 10 if len(x) <= 128 else 3
    with tempfile.TemporaryDirectory() as folder:
        asked = TrainingArguments(
            folder, num_train_epochs=epochs, report_to="none", save_strategy="no", disable_tqdm=True
        )
        run = Trainer(network, asked, train_dataset=Rows(x, y), processing_class=tokenizer)
        run.train()
        out = run.predict(Rows(xt, yt)).predictions
    return np.mean(out.argmax(1) == yt), time.perf_counter() - start


def setfit(data, weights):
    """SetFit at its defaults, one epoch over its pairs."""
    import numpy as np
    from datasets import Dataset
    from sentence_transformers import SentenceTransformer, models
    from setfit import SetFitModel, Trainer, TrainingArguments
    from sklearn.linear_model import LogisticRegression

    x, y, xt, yt, _ = texts(data)
    words = models.Transformer(weights, max_seq_length=256)
    body = SentenceTransformer(modules=[words, models.Pooling(words.get_word_embedding_dimension())])
    start = time.perf_counter()
    model = SetFitModel(model_body=body, model_head=LogisticRegression())
    asked = TrainingArguments(batch_size=16, num_epochs=1, report_to="none", show_progress_bar=False)
    Trainer(model=model, args=asked, train_dataset=Dataset.from_dict({"text": x, "label": y})).train()
    return np.mean(np.array(model.predict(xt)) == yt), time.perf_counter() - start


def autogluon(data, weights, limit=600):
    """AutoGluon MultiModal at its defaults with a limit of ten minutes."""
    import logging

    import numpy as np
    import pandas as pd
    from autogluon.multimodal import MultiModalPredictor

    x, y, xt, yt, _ = texts(data)
    start = time.perf_counter()
    with tempfile.TemporaryDirectory() as folder:
        predictor = MultiModalPredictor(label="label", path=folder, verbosity=0)
        logging.disable(logging.CRITICAL)
        asked = {"model.names": ["hf_text"], "model.hf_text.checkpoint_name": weights, "env.num_gpus": 0}
        predictor.fit(pd.DataFrame({"text": x, "label": y}), hyperparameters=asked, time_limit=limit)
        out = np.asarray(predictor.predict(pd.DataFrame({"text": xt})))
    return np.mean(out == np.array(yt)), time.perf_counter() - start


def pictures(data):
    parts = []
    names = sorted(folder.name for folder in (data / "train").iterdir())
    for part in ("train", "test"):
        rows = [(path, names.index(path.parent.name)) for path in sorted((data / part).rglob("*")) if path.is_file()]
        parts += [[path for path, _ in rows], [label for _, label in rows]]
    return *parts, names


def lite0(weights, classes):
    import timm
    from safetensors.torch import load_file

    network = timm.create_model("tf_efficientnet_lite0", num_classes=classes)
    state = {key: value for key, value in load_file(weights).items() if not key.startswith("classifier.")}
    network.load_state_dict(state, strict=False)
    return network


def script(data, weights):
    """Ten lines of timm and scikit-learn: eager features, logistic regression."""
    import numpy as np
    import torch
    from PIL import Image
    from sklearn.linear_model import LogisticRegression
    from sklearn.pipeline import make_pipeline
    from sklearn.preprocessing import StandardScaler
    from timm.data import create_transform

    x, y, xt, yt, _ = pictures(data)
    network = lite0(weights, 0).eval()
    prepare = create_transform(224, mean=MEAN, std=STD, crop_pct=0.875, interpolation="bicubic")
    start = time.perf_counter()

    def features(paths):
        out = []
        with torch.no_grad():
            for k in range(0, len(paths), 32):
                batch = [prepare(Image.open(path).convert("RGB")) for path in paths[k : k + 32]]
                out.append(network(torch.stack(batch)))
        return torch.cat(out).numpy()

    head = make_pipeline(StandardScaler(), LogisticRegression(max_iter=1000)).fit(features(x), y)
    return np.mean(head.predict(features(xt)) == yt), time.perf_counter() - start


def fastai(data, weights, epochs=3):
    """fastai's fine_tune(3) with its defaults on the same network."""
    import numpy as np
    from fastai.vision.all import (
        ClassificationInterpretation,  # noqa: F401
        ImageDataLoaders,
        Learner,
        Normalize,
        Resize,
        accuracy,
        aug_transforms,
        params,
    )
    from torch import nn

    x, y, xt, yt, names = pictures(data)
    start = time.perf_counter()
    dls = ImageDataLoaders.from_lists(
        data,
        x,
        [names[label] for label in y],
        valid_pct=0.0,
        item_tfms=Resize(224),
        num_workers=0,
        batch_tfms=[*aug_transforms(), Normalize.from_stats(MEAN, STD)],
    )
    network = lite0(weights, 0)
    whole = nn.Sequential(network, nn.Linear(1280, len(names)))
    learn = Learner(
        dls, whole, loss_func=nn.CrossEntropyLoss(), metrics=accuracy, splitter=lambda m: [params(m[0]), params(m[1])]
    )
    with learn.no_bar(), learn.no_logging():
        learn.fine_tune(epochs)
        out, _ = learn.get_preds(dl=dls.test_dl(xt))
    return np.mean(out.numpy().argmax(1) == yt), time.perf_counter() - start


WAYS = {way.__name__: way for way in (probe, trainer, setfit, autogluon, script, fastai)}
TOLD = ("torch", "transformers", "setfit", "autogluon.multimodal", "scikit-learn", "timm", "fastai")

if __name__ == "__main__":
    way, data, weights = sys.argv[1], Path(sys.argv[2]), sys.argv[3]
    accuracy, seconds = WAYS[way](data, weights)
    versions = {name: version(name) for name in TOLD if any(d.name == name for d in distributions())}
    print(json.dumps({"accuracy": float(accuracy), "train_seconds": seconds, "versions": versions}))
