"""Answers: one class, several labels or numbers, with the reason; doubt stops."""

import ast

import numpy as np
import pytest

from headstart.data.labels import class_name, number, targets
from headstart.errors import DataError, UsageError


def cells_of(task, n=60):
    draw = np.random.default_rng(0)
    return {
        "names": [str(draw.choice(["red", "green"])) for _ in range(n)],
        "whole": [str(value) for value in draw.permutation(np.arange(n) % 20)],
        "many": [str(value) for value in draw.permutation(1000)[:n]],
        "floats": [f"{value:.3f}" for value in draw.normal(size=n)],
        "commas": [f"{value:.3f}".replace(".", ",") for value in draw.normal(size=n)],
        "bars": ["|".join(draw.permutation(["x", "y", "z"])[: draw.integers(1, 4)]) for _ in range(n)],
        "lists": [str(draw.permutation(["x", "y", "it's"])[:2].tolist()) for _ in range(n)],
    }[task]


@pytest.mark.parametrize(
    ("kind", "task", "why"),
    [
        ("names", "classes", "2 different names"),
        ("whole", "classes", "20 different whole numbers"),
        ("many", "numbers", "60 different whole numbers, more than 20; if they are class numbers, say --task classes"),
        ("floats", "numbers", "numbers with decimals"),
        ("commas", "numbers", "numbers with decimals"),
        ("bars", "labels", "several names with '|' between them"),
        ("lists", "labels", "holds lists"),
    ],
)
def test_what_the_answers_are_is_detected_with_a_reason(kind, task, why):
    cells = cells_of(kind)
    found = targets("answer", cells)
    assert found.task == task
    assert found.why.endswith(why)
    for row, cell in enumerate(cells):
        if task == "numbers":
            assert found.y[row, 0] == float(cell.replace(",", "."))
        elif task == "classes":
            assert found.classes[found.y[row]] == cell
        else:
            names = cell.split("|") if kind == "bars" else ast.literal_eval(cell)
            assert {found.classes[at] for at in np.flatnonzero(found.y[row])} == set(names)


@pytest.mark.parametrize(
    ("cells", "sentence"),
    [
        (["red|round", "blue", "green"], r"several labels or part of a name; say --task labels or --task classes"),
        (["a;b", "c"], "say --task labels or --task classes"),
        (["1,2", "3", "2,3"], "say --task labels or --task numbers"),
    ],
)
def test_doubt_stops_and_names_the_option_that_settles_it(cells, sentence):
    with pytest.raises(UsageError, match=sentence):
        targets("answer", cells)
    for task in ("labels", "numbers" if cells[0] == "1,2" else "classes"):
        assert targets("answer", cells, task=task).task == task


def test_sets_of_labels_may_all_differ():
    cells = ["a|b", "a|c", "b|c", "a", "b", "c", "a|b|c"]
    found = targets("answer", cells)
    assert (found.task, found.classes) == ("labels", ("a", "b", "c"))
    assert [[found.classes[at] for at in np.flatnonzero(row)] for row in found.y] == [cell.split("|") for cell in cells]


@pytest.mark.parametrize(
    "cells",
    [
        [f"user-{row}" for row in range(30)],
        [f"user-{row % 20}" for row in range(30)],
        [str(row) for row in range(100, 200)],
        [f"{row:04d}" for row in range(30)],
    ],
)
def test_identifiers_are_no_answers(cells):
    with pytest.raises(DataError, match="looks like an identifier and cannot be learned; name the column of answers"):
        targets("answer", cells)


@pytest.mark.parametrize(
    ("cell", "name"),
    [
        ("1.0", "1"),
        (1.0, "1"),
        (1, "1"),
        ("007", "007"),
        ("0", "0"),
        ("-3", "-3"),
        ("1_000", "1_000"),
        ("1e3", "1e3"),
        (" a b ", "a b"),
        (True, "True"),
        ("12345678901234567891", "12345678901234567891"),
        ("1.50", "1.50"),
    ],
)
def test_names_of_classes_are_what_was_written(cell, name):
    assert class_name(cell) == name


@pytest.mark.parametrize(
    ("cell", "value"),
    [("3,5", 3.5), ("1_000", None), ("inf", None), ("", None), (10**400, None), (True, 1.0), ([1], None), ("1e3", 1e3)],
)
def test_numbers_are_finite(cell, value):
    assert number(cell) == value
