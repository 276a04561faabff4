"""A skill as one file and back; what a stranger's file may not do, tried with archives made to do it."""

import gzip
import hashlib
import io
import json
import os
import pickle
import shutil
import stat
import struct
import tarfile
import warnings
import zipfile

import numpy as np
import pytest

from headstart.core import skill as skills
from headstart.core.archive import Limits, files_of, opened, pack, unpack
from headstart.errors import SkillError

ARRAYS = {"weight": np.random.default_rng(0).normal(size=(40, 30)).astype(np.float32)}
TEXTS = {"README.md": "# Cats\n", "report.html": "<p>A report</p>\n" * 50}
PICKLE = pickle.dumps({"weights": [1.0]}, protocol=4)


@pytest.fixture
def folder(tmp_path):
    """A skill with an earlier version, and things that are none of it."""
    place = tmp_path / "made" / "cats.skill"
    skills.write(place, {"classes": ["cat", "dog"]}, ARRAYS, TEXTS)
    skills.write(place / "versions" / "1", {"classes": ["cat"]}, ARRAYS, {"README.md": "# Cats, once\n"})
    (place / ".DS_Store").write_bytes(b"\0\0\0\1Bud1")
    (place / "notes").mkdir()
    (place / "notes" / "mine.txt").write_text("not yours")
    return place


@pytest.fixture
def place(tmp_path):
    """Where a hostile archive would be unpacked: nothing may be left in or beside it."""
    (tmp_path / "open").mkdir()
    yield tmp_path / "open" / "new.skill"
    assert list((tmp_path / "open").iterdir()) == []
    assert {path.name for path in tmp_path.iterdir()} <= {"made", "open", "evil"}


def contents(folder):
    return {name: (folder / name).read_bytes() for name in files_of(folder)}


def members(folder):
    """Name -> bytes of a whole and honest archive."""
    return contents(folder)


def zipped(path, files, **lies):
    """A zip of (name, bytes) pairs, written as they come."""
    with warnings.catch_warnings(), zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as target:
        warnings.simplefilter("ignore")  # of duplicate names
        for name, content in files:
            info = zipfile.ZipInfo(name)
            info.compress_type = zipfile.ZIP_DEFLATED
            info.external_attr = lies.get(name, stat.S_IFREG | 0o644) << 16
            target.writestr(info, content)
    return path


def tarred(path, files, **kinds):
    with tarfile.open(path, "w:gz" if path.name.endswith("gz") else "w") as target:
        for name, content in files:
            info = tarfile.TarInfo(name)
            info.type = kinds.get(name, tarfile.REGTYPE)
            info.linkname = "/etc/passwd" if info.type in (tarfile.SYMTYPE, tarfile.LNKTYPE) else ""
            info.size = 0 if info.linkname else len(content)
            target.addfile(info, io.BytesIO(content))
    return path


def made(kind, path, files, **lies):
    return zipped(path / "evil", files, **lies) if kind == "zip" else tarred(path / "evil", files, **lies)


def test_what_is_unpacked_is_what_was_packed_byte_for_byte(folder, tmp_path):
    skill = unpack(pack(folder, tmp_path / "cats.zip"), tmp_path / "again.skill")
    assert contents(skill.folder) == contents(folder)
    assert sorted(path.name for path in (skill.folder / "versions").iterdir()) == ["1"]
    np.testing.assert_array_equal(skill.arrays["weight"], ARRAYS["weight"])
    assert not (skill.folder / "notes").exists()
    assert not (skill.folder / ".DS_Store").exists()


def test_the_same_skill_gives_the_same_file(folder, tmp_path):
    shutil.copytree(folder, tmp_path / "copy.skill")
    for path in (tmp_path / "copy.skill").rglob("*"):
        os.utime(path, (1_000_000, 1_000_000))
        path.chmod(0o700)
    first, second = pack(folder, tmp_path / "a.zip"), pack(tmp_path / "copy.skill", tmp_path / "b.zip")
    assert first.read_bytes() == second.read_bytes()
    assert zipfile.ZipFile(first).namelist() == files_of(folder)


@pytest.mark.parametrize("name", ["cats.tar", "cats.tar.gz", "cats.tgz", "cats.zip"])
def test_a_folder_that_was_packed_by_hand_is_a_skill_too(folder, tmp_path, name):
    shutil.rmtree(folder / "notes")
    (folder / ".DS_Store").unlink()
    archive = tmp_path / name
    if name.endswith("zip"):
        with zipfile.ZipFile(archive, "w") as target:
            for path in folder.parent.rglob("*"):
                target.write(path, path.relative_to(folder.parent))
    else:
        with tarfile.open(archive, "w" if name.endswith("tar") else "w:gz") as target:
            target.add(folder, "./Kätzchen.skill")
    assert contents(unpack(archive, tmp_path / "new.skill").folder) == contents(folder)


OUT = [
    "../evil.json",
    "/tmp/evil.json",
    "a/../../evil.json",
    "..\\evil.json",
    "C:evil.json",
    "C:/evil.json",
    "\\\\x\\y",
]


@pytest.mark.parametrize("kind", ["zip", "tar"])
@pytest.mark.parametrize("name", OUT)
def test_a_path_that_leaves_the_archive_is_refused(folder, tmp_path, place, kind, name):
    archive = made(kind, tmp_path, [*members(folder).items(), (name, b"{}")])
    with pytest.raises(SkillError, match="a path that leaves the skill; do not use it"):
        unpack(archive, place)
    assert not (tmp_path / "evil.json").exists()


@pytest.mark.parametrize("kind", ["zip", "tar"])
@pytest.mark.parametrize("name", ["x/CON", "x/nul.json", "x/a.", "x/a ", "x/.hidden", "x/a\tb", "x/a:b", "x//b"])
def test_a_name_that_some_system_reads_otherwise_is_refused(folder, tmp_path, place, kind, name):
    archive = made(kind, tmp_path, [*members(folder).items(), (name, b"{}")])
    with pytest.raises(SkillError, match="is no name of a file in a skill"):
        unpack(archive, place)


def test_a_name_that_goes_on_after_a_zero_byte_is_refused(folder, tmp_path, place):
    archive = zipped(tmp_path / "evil", [*members(folder).items(), ("x/report.htmlA.exe", b"MZ")])
    archive.write_bytes(archive.read_bytes().replace(b"report.htmlA.exe", b"report.html\0.exe"))
    with pytest.raises(SkillError, match="is no name of a file in a skill"):
        unpack(archive, place)


@pytest.mark.parametrize("mode", [stat.S_IFLNK, stat.S_IFCHR, stat.S_IFIFO, stat.S_IFSOCK])
def test_a_link_or_device_in_a_zip_is_refused(folder, tmp_path, place, mode):
    files = [(name, b"/etc/passwd" if name == "README.md" else raw) for name, raw in members(folder).items()]
    archive = zipped(tmp_path / "evil", files, **{"README.md": mode | 0o777})
    with pytest.raises(SkillError, match=r"'README.md', a link or a device where a skill has files"):
        unpack(archive, place)


@pytest.mark.parametrize("kind", [tarfile.SYMTYPE, tarfile.LNKTYPE, tarfile.CHRTYPE, tarfile.FIFOTYPE])
def test_a_link_or_device_in_a_tar_is_refused(folder, tmp_path, place, kind):
    archive = tarred(tmp_path / "evil.gz", members(folder).items(), **{"README.md": kind})
    archive = archive.rename(tmp_path / "evil")
    with pytest.raises(SkillError, match=r"'README.md', a link or a device where a skill has files"):
        unpack(archive, place)


@pytest.mark.parametrize("kind", ["zip", "tar"])
@pytest.mark.parametrize("name", ["README.md", "readme.MD"])
def test_two_files_of_one_name_are_refused(folder, tmp_path, place, kind, name):
    archive = made(kind, tmp_path, [*members(folder).items(), (name, b"other")])
    with pytest.raises(SkillError, match="twice, in small or in large letters"):
        unpack(archive, place)


@pytest.mark.parametrize("kind", ["zip", "tar"])
@pytest.mark.parametrize("name", ["notes.txt", "sub/notes.txt", "versions/1/notes.txt", "versions/notes.txt", "empty/"])
def test_what_is_none_of_the_skill_is_refused(folder, tmp_path, place, kind, name):
    directory = {name: tarfile.DIRTYPE if kind == "tar" else stat.S_IFDIR | 0o755} if name.endswith("/") else {}
    archive = made(kind, tmp_path, [*members(folder).items(), (name, b"" if directory else b"mine")], **directory)
    with pytest.raises(SkillError, match=f"'{name.rstrip('/')}', which is no file of the skill; take it out"):
        unpack(archive, place)


def test_a_second_skill_inside_is_refused(folder, tmp_path, place):
    inner = {f"inner/{name}": raw for name, raw in members(folder / "versions" / "1").items()}
    archive = zipped(tmp_path / "evil", [*members(folder).items(), *inner.items()])
    with pytest.raises(SkillError, match="holds a second skill in 'inner'"):
        unpack(archive, place)


@pytest.mark.parametrize("kind", ["zip", "tar"])
def test_a_file_that_is_missing_or_was_changed_is_refused(folder, tmp_path, place, kind):
    files = members(folder)
    archive = made(kind, tmp_path, [pair for pair in files.items() if pair[0] != "delta.safetensors"])
    with pytest.raises(SkillError, match=r"lacks 'delta.safetensors', which its manifest lists"):
        unpack(archive, place)
    for name in ("README.md", "versions/1/README.md"):
        archive = made(kind, tmp_path, {**files, name: b"# Dogs\n"}.items())
        with pytest.raises(SkillError, match=f"evil/{name} is not as it was written"):
            unpack(archive, place)


def bomb(kind, path):
    """50 MB of zeros in some kB."""
    zeros = b"\0" * 50_000_000
    if kind == "zip":
        return zipped(path / "evil", [("skill.json", zeros)])
    return tarred(path / "evil.gz", [("skill.json", zeros)]).rename(path / "evil")


@pytest.mark.parametrize("kind", ["zip", "tar"])
def test_a_bomb_is_refused_by_what_comes_out_of_it(tmp_path, place, kind):
    archive = bomb(kind, tmp_path)
    assert archive.stat().st_size < 60_000
    with pytest.raises(SkillError, match="unpacks to more than 100 times its size"):
        unpack(archive, place)
    with pytest.raises(SkillError, match="holds more than 20 MB, the most that is unpacked"):
        unpack(archive, place, limits=Limits(bytes=20_000_000, ratio=1e9))


def test_a_bomb_that_says_it_is_small_is_refused_like_any_other(tmp_path, place):
    archive = bomb("tar", tmp_path)
    archive.write_bytes(archive.read_bytes()[:-4] + struct.pack("<I", 100))
    with pytest.raises(SkillError, match="unpacks to more than 100 times its size"):
        unpack(archive, place)
    # in a zip both headers say how many bytes come; more are never taken, and the rest is missed by the check
    archive = bomb("zip", tmp_path)
    archive.write_bytes(archive.read_bytes().replace(struct.pack("<I", 50_000_000), struct.pack("<I", 100)))
    assert zipfile.ZipFile(archive).infolist()[0].file_size == 100
    with pytest.raises(SkillError, match="it is damaged"):
        unpack(archive, place)


def test_a_tar_whose_headers_are_the_bomb_is_refused(tmp_path, place):
    head = tarfile.TarInfo("././@PaxHeader")
    head.type, head.size = tarfile.XHDTYPE, 3_000_000
    noise = np.random.default_rng(0).bytes(head.size)  # no ratio gives it away
    (tmp_path / "evil").write_bytes(gzip.compress(head.tobuf() + noise + bytes(512 * 20)))
    with pytest.raises(SkillError, match="headers of more than 1 MB"):
        unpack(tmp_path / "evil", place)


def test_more_files_than_allowed_are_refused(folder, tmp_path, place):
    files = members(folder)
    for kind in ("zip", "tar"):
        archive = made(kind, tmp_path, files.items())
        with pytest.raises(SkillError, match=f"holds more than {len(files) - 1} files"):
            unpack(archive, place, limits=Limits(files=len(files) - 1))
    many = zipped(tmp_path / "evil", [*files.items(), *((f"x/{k}", b"") for k in range(3000))])
    with pytest.raises(SkillError, match="holds more than 2000 files"):
        unpack(many, place)


def test_an_encrypted_or_unusual_zip_is_refused(folder, tmp_path, place):
    archive = zipped(tmp_path / "evil", members(folder).items())
    raw = bytearray(archive.read_bytes())
    for mark, at in ((b"PK\x03\x04", 6), (b"PK\x01\x02", 8)):
        raw[raw.find(mark) + at] |= 1
    archive.write_bytes(raw)
    with pytest.raises(SkillError, match="which is encrypted; pack the skill without a password"):
        unpack(archive, place)
    with zipfile.ZipFile(archive, "w", zipfile.ZIP_LZMA) as target:
        target.writestr("skill.json", "{}")
    with pytest.raises(SkillError, match="packed in an unusual way"):
        unpack(archive, place)


@pytest.mark.parametrize("raw", [b"", b"hello", b"PK\x03\x04 and no more", b"\x1f\x8b and no more", b"\0" * 2000])
def test_what_is_no_archive_is_one_sentence(tmp_path, place, raw):
    (tmp_path / "evil").write_bytes(raw)
    with pytest.raises(SkillError, match=r"evil"):
        unpack(tmp_path / "evil", place)


def test_every_cut_of_an_archive_is_one_sentence(folder, tmp_path, place):
    whole = {kind: made(kind, tmp_path, members(folder).items()).read_bytes() for kind in ("zip", "tar")}
    whole["gz"] = gzip.compress(whole["tar"])
    for kind, raw in whole.items():
        end = len(raw.rstrip(b"\0")) if kind == "tar" else len(raw)
        for k in np.linspace(0, end - 1, 60).astype(int):
            (tmp_path / "evil").write_bytes(raw[:k])
            with pytest.raises(SkillError):
                unpack(tmp_path / "evil", place)


def torch_file():
    """As torch.save writes: a zip with a pickle in it."""
    out = io.BytesIO()
    with zipfile.ZipFile(out, "w") as target:
        target.writestr("archive/data.pkl", PICKLE)
        target.writestr("archive/version", "3\n")
    return out.getvalue()


def objects(suffix):
    out = io.BytesIO()
    {"npy": np.save, "npz": np.savez}[suffix](out, np.array([{"a": 1}, None], dtype=object))
    return out.getvalue()


HARMFUL = {
    "model.pkl": (b"", r"its name ends in .pkl"),
    "pytorch_model.BIN": (b"\0", r"its name ends in .bin"),
    "weights.pth": (b"\0", r"its name ends in .pth"),
    "set_up.py": (b"print()", r"its name ends in .py"),
    "lib.so": (b"\x7fELF", r"its name ends in .so"),
    "report2.html": (PICKLE, "it begins as a pickle"),
    "head": (pickle.dumps(1, protocol=2), "it begins as a pickle"),
    "x.safetensors": (PICKLE, "it begins as a pickle"),
    "x.npy": (objects("npy"), "it is an array of pickles"),
    "x.npz": (objects("npz"), "it is an array of pickles"),
    "picture.png": (torch_file(), r"of archive/data.pkl in it, its name ends in .pkl"),
}


@pytest.mark.parametrize(("name", "raw", "why"), [(name, *rest) for name, rest in HARMFUL.items()], ids=HARMFUL)
def test_a_file_that_may_run_code_is_refused_listed_or_not(folder, tmp_path, place, name, raw, why):
    (folder / name).write_bytes(raw)
    with pytest.raises(SkillError, match=rf"{name} may run code when it is opened \(.*{why}"):
        skills.read(folder)
    manifest = json.loads((folder / "skill.json").read_text())
    manifest["files"][name] = hashlib.sha256(raw).hexdigest()
    (folder / "skill.json").write_text(json.dumps(manifest))
    for refused in (lambda: skills.read(folder), lambda: pack(folder, tmp_path / "made" / "cats.zip")):
        with pytest.raises(SkillError, match=rf"{name} may run code when it is opened \(.*{why}"):
            refused()
    for kind in ("zip", "tar"):
        archive = made(kind, tmp_path, members(folder).items())
        with pytest.raises(SkillError, match=f"may run code .*{why}"):
            unpack(archive, place)
    assert not (tmp_path / "made" / "cats.zip").exists()


def test_harmless_files_beside_a_skill_stay_and_are_not_read(folder):
    np.save(folder / "numbers.npy", np.arange(3))
    before = set(folder.rglob("*"))
    assert set(skills.read(folder).arrays) == {"weight"}
    assert set(folder.rglob("*")) == before


@pytest.mark.parametrize("low", [0x02, 0x03, 0x04, 0x05])
def test_weights_whose_length_looks_like_a_pickle_are_read(tmp_path, low):
    skills.write(tmp_path / "x.skill", {}, ARRAYS, {})
    wanted = low << 8 | 0x80  # the file begins with this length: 80 02, as a pickle of protocol 2 does
    header = json.dumps({"a": {"dtype": "F32", "shape": [1], "data_offsets": [0, 4]}}).encode().ljust(wanted)
    raw = struct.pack("<Q", wanted) + header + bytes(4)
    assert raw.startswith(bytes((0x80, low)))
    _with_delta(tmp_path / "x.skill", raw)
    assert list(skills.read(tmp_path / "x.skill").arrays) == ["a"]


def _with_delta(folder, raw):
    manifest = json.loads((folder / "skill.json").read_text())
    manifest["files"]["delta.safetensors"] = hashlib.sha256(raw).hexdigest()
    (folder / "skill.json").write_text(json.dumps(manifest))
    (folder / "delta.safetensors").write_bytes(raw)


def test_a_link_or_a_pipe_in_a_skill_is_refused(folder):
    (folder / "README.md").rename(folder.parent / "README.md")
    (folder / "README.md").symlink_to(folder.parent / "README.md")
    with pytest.raises(SkillError, match=r"README.md is a link, and a skill holds files of its own"):
        skills.read(folder)
    (folder / "README.md").unlink()
    (folder.parent / "README.md").rename(folder / "README.md")
    os.mkfifo(folder / "notes" / "pipe")
    with pytest.raises(SkillError, match="pipe is neither a file nor a folder"):
        skills.read(folder)


def test_arrays_that_cannot_be_read_are_one_sentence(folder):
    header = json.dumps({"a": {"dtype": "BF16", "shape": [2], "data_offsets": [0, 4]}}).encode()
    broken = json.dumps({"a": {"dtype": "F32", "shape": [9], "data_offsets": [0, 4]}}).encode()
    for head in (header, broken, b"{]"):
        _with_delta(folder, struct.pack("<Q", len(head)) + head + bytes(4))
        with pytest.raises(SkillError, match=r"delta.safetensors holds no arrays that can be read"):
            skills.read(folder)


DELTA = "delta.safetensors"
FORMS = {
    "files that are a list": {"files": ["delta.safetensors"]},
    "a hash that is a number": {"files": {DELTA: 5}},
    "a hash that is short": {"files": {DELTA: "abc"}},
    "no arrays": {"files": {"README.md": "0" * 64}},
    "a format that is a word": {"format": "one"},
    "a format that is true": {"format": True},
}


@pytest.mark.parametrize("change", FORMS.values(), ids=FORMS)
def test_a_manifest_of_another_form_is_one_sentence(folder, change):
    manifest = json.loads((folder / "skill.json").read_text())
    (folder / "skill.json").write_text(json.dumps({**manifest, **change}))
    with pytest.raises(SkillError, match="cannot be read as a manifest"):
        skills.read(folder)


@pytest.mark.parametrize("name", ["skill.json", "a/b", "..", ".hidden", "NUL", "a\\b", ""])
def test_a_manifest_that_lists_a_file_elsewhere_is_refused(folder, name):
    manifest = json.loads((folder / "skill.json").read_text())
    manifest["files"][name] = "0" * 64
    (folder / "skill.json").write_text(json.dumps(manifest))
    with pytest.raises(SkillError, match="leaves the folder or is no plain name"):
        skills.read(folder)


@pytest.mark.parametrize(
    "raw", [b"[" * 100_000, b"\xff\xfe", b"nul", b" " * 17 * 2**20], ids=["deep", "", "nul", "huge"]
)
def test_a_manifest_that_is_none_is_one_sentence(folder, raw):
    (folder / "skill.json").write_bytes(raw)
    with pytest.raises(SkillError, match=r"skill.json (cannot be read as a manifest|has more than 16 MB)"):
        skills.read(folder)


def test_an_archive_is_unpacked_into_the_cache_once_and_anew_where_it_was_damaged(folder, tmp_path):
    archive, cache = pack(folder, tmp_path / "cats.zip"), tmp_path / "cache"
    first = opened(archive, cache)
    assert first.folder == cache / "unpacked" / hashlib.sha256(archive.read_bytes()).hexdigest()
    made = (first.folder / "skill.json").stat().st_ino
    assert opened(archive, cache).folder == first.folder
    assert (first.folder / "skill.json").stat().st_ino == made
    (first.folder / "README.md").write_text("# Dogs\n")
    assert opened(archive, cache).folder == first.folder
    assert (first.folder / "README.md").read_text() == TEXTS["README.md"]
    assert opened(folder, cache).folder == folder


def test_places_that_are_taken_are_left_alone(folder, tmp_path):
    archive = pack(folder, tmp_path / "cats.zip")
    with pytest.raises(SkillError, match="exists; choose another place"):
        unpack(archive, folder)
    with pytest.raises(SkillError, match=r"is not a file that ends in .zip"):
        pack(folder, tmp_path / "cats.skill")
    with pytest.raises(SkillError, match="is not there; give a"):
        unpack(tmp_path / "none.zip", tmp_path / "x")
    (tmp_path / "free").mkdir()
    assert unpack(archive, tmp_path / "free").folder == tmp_path / "free"
