"""Folders of pictures with a train and a test part each, out of data sets on disk: `pictures.py DATA FOLDER`."""

import shutil
import sys
from pathlib import Path

import numpy as np
from PIL import Image

TEST = 0.2
XRAYS = 500  # to learn from, of 4,708


def main(source: Path, folder: Path) -> None:
    split(source / "brain_tumor_yesno", folder / "brain-mri")
    shutil.copytree(source / "caltech101", folder / "caltech101", dirs_exist_ok=True)
    for domain in ("sketch", "art_painting"):
        shutil.copytree(source / "pacs" / domain, folder / f"pacs-{domain}", dirs_exist_ok=True)
    xrays(source / "pneumoniamnist" / "pneumoniamnist.npz", folder / "chest-xrays")


def split(source: Path, place: Path) -> None:
    """A fifth of each class for the test."""
    for kind in sorted(path for path in source.iterdir() if path.is_dir()):
        files = sorted(path for path in kind.iterdir() if path.is_file())
        order = np.random.default_rng(0).permutation(len(files))
        for rank, row in enumerate(order):
            part = "test" if rank < round(TEST * len(files)) else "train"
            (place / part / kind.name).mkdir(parents=True, exist_ok=True)
            shutil.copyfile(files[row], place / part / kind.name / files[row].name)


def xrays(source: Path, place: Path) -> None:
    """A random part of the training X-rays and the whole official test part, as PNG."""
    with np.load(source, allow_pickle=False) as data:
        for part in ("train", "test"):
            images, labels = data[f"{part}_images"], data[f"{part}_labels"].reshape(-1)
            rows = np.random.default_rng(0).permutation(len(images))[:XRAYS] if part == "train" else range(len(images))
            for row in rows:
                name = place / part / ("normal", "pneumonia")[int(labels[row])]
                name.mkdir(parents=True, exist_ok=True)
                Image.fromarray(images[row]).save(name / f"{row}.png")


if __name__ == "__main__":
    main(Path(sys.argv[1]), Path(sys.argv[2]))
