"""Near duplicates against comparison of each with each."""

from itertools import combinations

import numpy as np
from PIL import Image, ImageEnhance

from headstart.data.near import difference_hash, jaccard, look, picture_twins, plain, text_twins

WORDS = [
    *("the", "river", "stone", "house", "green", "walks", "under", "over", "bright", "child", "music", "train"),
    *("slowly", "never", "old", "road", "light", "paper"),
]


def sentences(n, seed=0, words=12):
    draw = np.random.default_rng(seed)
    return [f"{' '.join(draw.choice(WORDS, words))} {row * 7919 % 10007}" for row in range(n)]


def scene(seed, size=96):
    """A smooth picture of its own: a few waves of random direction and phase."""
    draw = np.random.default_rng(seed)
    y, x = np.mgrid[0:size, 0:size] / size
    waves = sum(
        np.sin(2 * np.pi * (draw.uniform(-4, 4) * x + draw.uniform(-4, 4) * y) + draw.uniform(0, 6)) for _ in range(5)
    )
    return np.clip(128 + 28 * waves[..., None] + draw.uniform(-20, 20, 3), 0, 255).astype(np.uint8)


def groups_of(pairs):
    """Connected rows, by merging sets until nothing changes."""
    groups = [set(pair) for pair in pairs]
    merged = True
    while merged:
        merged = False
        for a, b in combinations(groups, 2):
            if a & b:
                groups.remove(a), groups.remove(b), groups.append(a | b)
                merged = True
                break
    return {frozenset(group) for group in groups}


def test_equal_and_near_texts_are_those_that_each_with_each_gives():
    texts = sentences(150)
    draw = np.random.default_rng(1)
    for row in range(0, 60, 3):  # a letter or a word is changed, or the case, or signs are added
        source = texts[row]
        at = int(draw.integers(0, len(source) - 1))
        texts.append([source[:at] + "q" + source[at + 1 :], source.upper() + "!!", f"{source} x", source][row % 4])
    texts += ["!!!", "...", "ok", "OK.", "ok go", "go ok"]
    plains = [plain(text) for text in texts]
    near = [
        (a, b)
        for a, b in combinations(range(len(texts)), 2)
        if plains[a]
        and plains[b]
        and (
            plains[a] == plains[b] or (min(len(plains[a]), len(plains[b])) > 5 and jaccard(plains[a], plains[b]) >= 0.9)
        )
    ]
    assert groups_of(text_twins(texts).tolist()) == groups_of(near)
    assert len(near) >= 15


def test_shingles_are_shared_as_sets_of_five_letters_are():
    a, b = "the green house", "the green horse"
    shingles = [{text[at : at + 5] for at in range(len(text) - 4)} for text in (a, b)]
    assert jaccard(a, b) == len(shingles[0] & shingles[1]) / len(shingles[0] | shingles[1])
    assert jaccard(a, a) == 1
    assert jaccard("abcdefgh", "ijklmnop") == 0


def test_texts_of_one_phrase_again_and_again_are_near():
    assert text_twins(["ha " * 100, "ha " * 250, "something else entirely"]).tolist() == [[0, 1]]


def test_halves_of_characters_do_not_stop_the_search():
    assert text_twins(["cut \ud83d here and there", "cut \ud83d here and there"]).tolist() == [[0, 1]]


def test_difference_hashes_say_where_a_picture_gets_brighter():
    rising = np.tile(np.arange(0, 256, 8, dtype=np.uint8), (1, 32, 1))
    hashes = difference_hash(np.concatenate([rising, rising[:, :, ::-1]]))
    assert [bin(int(word)).count("1") for word in hashes] == [64, 0]


def test_pictures_saved_again_are_twins_and_others_are_not(tmp_path):
    sources, wanted = [], set()
    for seed in range(40):
        picture = Image.fromarray(scene(seed))
        sources.append(tmp_path / f"{seed}.png")
        picture.save(sources[-1])
    for seed in range(8):
        picture = Image.fromarray(scene(seed))
        changed = [
            picture.resize((61, 61)),
            ImageEnhance.Brightness(picture).enhance(1.15),
            ImageEnhance.Contrast(picture).enhance(0.9),
            picture.convert("L"),
        ][seed % 4]
        sources.append(tmp_path / f"again{seed}.jpg")
        changed.save(sources[-1], quality=60)
        wanted.add((seed, len(sources) - 1))
    looked = look(sources)
    assert {tuple(pair) for pair in picture_twins(looked.thumbnails).tolist()} == wanted
    assert looked.sizes[0].tolist() == [96, 96]
