"""Pictures of every kind against what Pillow itself gives."""

import io

import numpy as np
import pytest
from PIL import Image, ImageOps

from headstart.data.pictures import Preparation, batches, load, load_grey
from headstart.data.pixels import to_plain
from headstart.errors import DataError

DRAW = np.random.default_rng(0)


def photo(width, height, seed=0, noise=8.0):
    """Smooth colours with an edge and sensor noise, as photographs have."""
    draw = np.random.default_rng(seed)
    y, x = np.mgrid[0:height, 0:width]
    waves = [np.sin(x / 37 + c) + np.cos(y / (23 + 9 * c)) + np.sin((x + y) / 61) for c in range(3)]
    values = 128 + 30 * np.stack(waves, 2) + 40 * ((x - width / 2) ** 2 + (y - height / 2) ** 2 < 9000)[..., None]
    return Image.fromarray(np.clip(values + draw.normal(0, noise, values.shape), 0, 255).astype(np.uint8))


def plainly(picture, preparation, mode="RGB"):
    """The usual route: shorter side to int(size / crop), whole pixels, then the middle square."""
    width, height = picture.size
    short = int(preparation.size / preparation.crop)
    size = (short, short * height // width) if width <= height else (short * width // height, short)
    scaled = picture.resize(size, Image.Resampling.BICUBIC)
    left, top = round((size[0] - preparation.size) / 2), round((size[1] - preparation.size) / 2)
    return np.asarray(scaled.crop((left, top, left + preparation.size, top + preparation.size)).convert(mode))


def apart(a, b):
    """Mean and largest difference in grey levels."""
    difference = np.abs(a.astype(int) - b.astype(int))
    return difference.mean(), difference.max()


WHOLE = Preparation(size=16, crop=1.0, interpolation="nearest")


def same(path, wanted):
    """Whether a 16 x 16 file loads to these RGB pixels exactly."""
    np.testing.assert_array_equal(load(path, WHOLE), wanted)


@pytest.mark.parametrize("size", [(500, 400), (333, 517), (224, 224), (256, 1000), (90, 60), (1000, 20)])
@pytest.mark.parametrize("crop", [0.875, 1.0, 0.95])
def test_preparing_equals_scaling_then_cutting(tmp_path, size, crop):
    """One step of resampling samples where the two steps do.

    What differs is Pillow's rounding between its two passes: 3 grey levels at most, a third of one in the mean, and
    no farther from what scaling in floats gives than Pillow's own route.
    """
    picture, preparation = photo(*size), Preparation(size=224, crop=crop)
    picture.save(tmp_path / "a.png")
    found, wanted = load(tmp_path / "a.png", preparation), plainly(picture, preparation)
    mean, most = apart(found, wanted)
    assert mean < 1 / 3
    assert most <= 3
    bands = [plainly(Image.fromarray(np.asarray(band, np.float32)), preparation, "F") for band in picture.split()]
    exact = np.clip(np.stack(bands, 2), 0, 255)
    assert np.abs(found - exact).mean() < np.abs(wanted - exact).mean() + 0.01


@pytest.mark.parametrize(
    ("size", "side", "scale"),
    [((1000, 800), 224, 2), ((1001, 803), 224, 2), ((700, 900), 224, 1), ((1000, 901), 96, 4), ((1003, 900), 64, 8)],
)
def test_reduced_decoding_of_jpegs_stays_close_to_full_decoding(tmp_path, size, side, scale):
    """JPEGs are decoded at 1/2, 1/4 or 1/8 where that leaves 1.5 pixels per prepared one.

    On smooth colours with an edge and noise of 8 grey levels the prepared pixels stay within 0.7 grey levels of those
    of full decoding in the mean and within 5 at most: the reduced scale averages blocks where bicubic resampling
    weighs neighbours.
    """
    preparation = Preparation(size=side)
    photo(*size).save(tmp_path / "a.jpg", quality=90)
    with Image.open(tmp_path / "a.jpg") as small:
        small.draft(None, tuple(round(1.5 * side / 0.875 * length / min(size)) for length in size))
        assert small.size == tuple(-(-length // scale) for length in size)
    with Image.open(tmp_path / "a.jpg") as full:
        wanted = plainly(full.convert("RGB"), preparation)
    mean, most = apart(load(tmp_path / "a.jpg", preparation), wanted)
    assert mean < 0.7
    assert most <= 5


@pytest.mark.parametrize("orientation", [2, 6, 7])
def test_turned_jpegs_are_cut_like_upright_ones_at_a_reduced_scale(tmp_path, orientation):
    exif = Image.Exif()
    exif[0x0112] = orientation
    photo(1000, 803).save(tmp_path / "a.jpg", quality=90, exif=exif)
    with Image.open(tmp_path / "a.jpg") as full:
        wanted = plainly(ImageOps.exif_transpose(full), Preparation(size=96))
    mean, most = apart(load(tmp_path / "a.jpg", Preparation(size=96)), wanted)
    assert mean < 0.7
    assert most <= 5


def test_small_jpegs_are_decoded_whole(tmp_path):
    photo(300, 280).save(tmp_path / "a.jpg")
    with Image.open(tmp_path / "a.jpg") as full:
        assert apart(load(tmp_path / "a.jpg", Preparation()), plainly(full, Preparation()))[1] <= 1


WRITTEN = {  # what Pillow writes
    "png": ["L", "RGB", "1", "P"],
    "tif": ["L", "RGB", "1", "P", "CMYK", "YCbCr"],
    "gif": ["L", "RGB", "1", "P"],
    "jpg": ["L", "RGB", "1", "CMYK", "YCbCr"],
    "webp": ["L", "RGB", "1", "P", "CMYK", "YCbCr"],
    "bmp": ["L", "RGB", "1", "P"],
}


@pytest.mark.parametrize(("suffix", "mode"), [(suffix, mode) for suffix, modes in WRITTEN.items() for mode in modes])
def test_modes_and_formats_without_transparency_are_as_pillow_converts_them(tmp_path, mode, suffix):
    picture = photo(16, 16).convert(mode)
    file = tmp_path / f"a.{suffix}"
    picture.save(file)
    with Image.open(file) as saved:
        wanted = np.asarray(saved.convert("RGB"))
    same(file, wanted)


@pytest.mark.parametrize("mode", ["RGBA", "RGBa", "LA", "La", "PA"])
def test_transparent_parts_are_white(tmp_path, mode):
    clear = np.linspace(0, 255, 256).reshape(16, 16).astype(np.uint8)
    picture = photo(16, 16)
    picture = {"R": picture, "L": picture.convert("L"), "P": picture.convert("P").convert("PA")}[mode[0]]
    picture.putalpha(Image.fromarray(clear))
    base = np.asarray(picture.convert("RGBA"))[..., :3].astype(float)
    wanted = np.round(base * (clear / 255)[..., None] + 255 * (1 - clear / 255)[..., None])
    assert apart(np.asarray(to_plain(picture.convert(mode))), wanted)[1] <= 2
    if mode in ("RGBA", "LA"):
        picture.save(tmp_path / "a.png")
        assert apart(load(tmp_path / "a.png", WHOLE), wanted)[1] <= 1


@pytest.mark.parametrize("mode", ["P", "L", "RGB", "1"])
def test_a_transparent_colour_is_white(tmp_path, mode):
    pixels = np.arange(256).reshape(16, 16) % 7
    if mode == "P":
        picture = Image.fromarray(pixels.astype(np.uint8), "L").convert("P")
        picture.putpalette([value for colour in range(256) for value in (colour, 40, 90)])
        colours, which = np.stack([pixels, np.full_like(pixels, 40), np.full_like(pixels, 90)], 2), 3
    else:
        grey = {"1": (pixels % 2) * 255}.get(mode, pixels * 30).astype(np.uint8)
        picture = Image.fromarray(grey).convert(mode)
        colours = np.stack([grey] * 3, 2)
        which = {"L": 90, "RGB": (90, 90, 90), "1": 255}[mode]
    picture.save(tmp_path / "a.png", transparency=which)
    hidden = pixels % 2 == 1 if mode == "1" else pixels == 3
    same(tmp_path / "a.png", np.where(hidden[..., None], 255, colours))


@pytest.mark.parametrize(
    ("pixels", "name"),
    [
        (np.linspace(1000, 9000, 256).astype(np.uint16), "a.png"),
        (np.linspace(1000, 9000, 256).astype(np.uint16), "a.tif"),
        (np.linspace(-5, 90000, 256).astype(np.int32), "a.tif"),
        (np.linspace(0, 1, 256).astype(np.float32), "a.tif"),
        (np.linspace(-3, 1e6, 256).astype(np.float32), "a.tif"),
    ],
)
def test_grey_of_more_than_8_bits_is_scaled_by_its_own_range(tmp_path, pixels, name):
    pixels = DRAW.permutation(pixels).reshape(16, 16)
    Image.fromarray(pixels).save(tmp_path / name)
    wanted = (pixels.astype(float) - pixels.min()) * 255 / (pixels.max() - float(pixels.min()))
    found = load(tmp_path / name, WHOLE)
    assert np.abs(found - wanted[..., None]).max() <= 0.5001


def test_grey_of_16_bits_that_holds_only_8_stays_and_its_transparency_is_not_read(tmp_path):
    pixels = np.arange(256, dtype=np.uint16).reshape(16, 16)
    Image.fromarray(pixels).save(tmp_path / "a.png")
    same(tmp_path / "a.png", np.stack([pixels] * 3, 2))
    Image.fromarray(pixels).save(tmp_path / "b.png", transparency=3)
    same(tmp_path / "b.png", np.stack([pixels] * 3, 2))


@pytest.mark.parametrize("orientation", range(1, 9))
@pytest.mark.parametrize("size", [(500, 320), (320, 500), (64, 64)])
def test_pictures_stand_as_their_camera_says(tmp_path, orientation, size):
    exif = Image.Exif()
    exif[0x0112] = orientation
    photo(*size).save(tmp_path / "a.png", exif=exif)
    with Image.open(tmp_path / "a.png") as picture:
        upright = ImageOps.exif_transpose(picture)
        preparation = Preparation(size=96)
        mean, most = apart(load(tmp_path / "a.png", preparation), plainly(upright, preparation))
        assert mean < 1 / 3
        assert most <= 3
        grey = load_grey(tmp_path / "a.png", 32)[0]
        wanted = upright.convert("L").resize((32, 32), Image.Resampling.BOX)
        assert apart(grey, np.asarray(wanted))[0] < 2


def test_an_animation_gives_its_first_frame(tmp_path):
    frames = [Image.new("RGB", (16, 16), colour) for colour in ("red", "blue")]
    for name in ("a.gif", "a.webp", "a.png"):
        frames[0].save(
            tmp_path / name, save_all=True, append_images=frames[1:], **({"lossless": True} if "w" in name else {})
        )
        same(tmp_path / name, np.broadcast_to([255, 0, 0], (16, 16, 3)))


@pytest.mark.parametrize(
    ("content", "why"),
    [
        (lambda whole: b"", "the file is empty (0 bytes)"),
        (lambda whole: b"this is no picture", "it is no picture, or of a format that is not known"),
        (lambda whole: whole[: len(whole) // 2], "the file ends too early"),
        (lambda whole: whole[:200], None),
        (lambda whole: None, "No such file or directory"),
    ],
)
@pytest.mark.parametrize("suffix", ["jpg", "png", "webp", "bmp"])
def test_what_is_broken_is_said_why(tmp_path, suffix, content, why):
    out = io.BytesIO()
    photo(200, 150).save(out, {"jpg": "JPEG"}.get(suffix, suffix))
    raw = content(out.getvalue())
    if raw is not None:
        (tmp_path / f"a.{suffix}").write_bytes(raw)
    for read in (lambda file: load(file, Preparation()), lambda file: load_grey(file, 32)):
        with pytest.raises(DataError, match=f"a.{suffix}' cannot be read as a picture: ") as error:
            read(tmp_path / f"a.{suffix}")
        if why and suffix in ("jpg", "png"):
            assert str(error.value).endswith(f": {why}; save it again or leave it out.")


def test_arrays_are_pictures():
    grey = DRAW.integers(0, 256, (16, 16), dtype=np.uint8)
    np.testing.assert_array_equal(load(grey, WHOLE), np.stack([grey] * 3, 2))
    colour = DRAW.integers(0, 256, (16, 16, 3), dtype=np.uint8)
    np.testing.assert_array_equal(load(colour, WHOLE), colour)
    assert load_grey(colour[:, :8], 32)[1] == (8, 16)
    with pytest.raises(DataError, match=r"an array of shape \(16, 16, 7\) cannot be read"):
        load(np.zeros((16, 16, 7), np.uint8), WHOLE)


def test_views_are_fixed_squares_of_the_picture():
    """Each pixel holds its own place, so what a view shows can be read off."""
    x, y = np.meshgrid(np.arange(200), np.arange(120))
    places = np.stack([x, y, x * 0], 2).astype(np.uint8)
    preparation = Preparation(size=60, crop=1.0, interpolation="nearest")
    np.testing.assert_array_equal(load(places, preparation), load(places, preparation, view=0))
    seen = set()
    for view in range(1, 9):
        found = load(places, preparation, view=view)
        np.testing.assert_array_equal(found, load(places, preparation, view=view))
        across, down = found[0, :, 0].astype(int), found[:, 0, 1].astype(int)
        assert (np.sign(np.diff(across)) == (-1 if view % 2 else 1)).all()  # odd views are mirrored
        side = np.ptp(across) + 1
        assert abs(side - (np.ptp(down) + 1)) <= 2
        assert 0.7 * 120 - 3 <= side <= 120
        plain = load(places, Preparation(size=60, crop=1.0, interpolation="nearest", flip=False), view=view)
        np.testing.assert_array_equal(plain, found[:, ::-1] if view % 2 else found)
        seen.add((across.min(), down.min(), side))
    assert len(seen) == 8


@pytest.mark.parametrize("threads", [1, 3])
@pytest.mark.parametrize("batch", [1, 4, 5, 64])
def test_batches_come_in_order_and_broken_pictures_are_reported(tmp_path, batch, threads):
    sources, wanted = [], {}
    for row in range(23):
        file = tmp_path / f"{row}.png"
        if row in (0, 7, 8, 9, 22):
            file.write_bytes(b"" if row % 2 else b"nonsense")
        else:
            pixels = np.full((16, 16, 3), row, np.uint8)
            wanted[row] = pixels
            Image.fromarray(pixels).save(file)
        sources.append(file)
    broken = {}
    found = list(batches(sources, WHOLE, batch=batch, threads=threads, broken=broken.__setitem__))
    rows = np.concatenate([rows for rows, _ in found])
    assert rows.tolist() == sorted(wanted)
    for part, pixels in found:
        assert 0 < len(part) <= batch
        for row, one in zip(part, pixels, strict=True):
            np.testing.assert_array_equal(one, wanted[row])
    assert broken == {
        row: "the file is empty (0 bytes)" if row % 2 else "it is no picture, or of a format that is not known"
        for row in (0, 7, 8, 9, 22)
    }
    with pytest.raises(DataError, match=r"0\.png' cannot be read as a picture"):
        list(batches(sources, WHOLE, batch=batch, threads=threads))


def test_no_pictures_give_no_batches():
    assert list(batches([], WHOLE, batch=4, threads=2)) == []


def test_the_digest_tells_preparations_apart():
    ways = [{}, {"size": 192}, {"crop": 1.0}, {"mean": (0.5,) * 3}, {"interpolation": "bilinear"}, {"flip": False}]
    digests = [Preparation(**way).digest for way in ways]
    assert len(set(digests)) == len(ways)
    assert Preparation().digest == digests[0]


@pytest.mark.parametrize("wrong", [{"size": 0}, {"crop": 0.0}, {"crop": 1.1}, {"interpolation": "box"}])
def test_a_preparation_outside_its_range_is_refused(wrong):
    with pytest.raises(DataError, match=next(iter(wrong))):
        Preparation(**wrong)
