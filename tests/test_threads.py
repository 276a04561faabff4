"""`threads` is in force in every stage of a fit, and gone afterwards."""

import pytest
import torch
from networks import small_convnet, small_encoder, write_pictures, write_table
from threadpoolctl import threadpool_info, threadpool_limits

from headstart.data import near
from headstart.verbs import fit as fits
from headstart.verbs.settings import Settings
from headstart.verbs.threads import at_most


def pools():
    """Library of linear algebra -> threads that it would use at this moment; PyTorch among them."""
    return {pool["filepath"]: pool["num_threads"] for pool in threadpool_info()} | {"torch": torch.get_num_threads()}


def threads_now():
    """Different numbers of threads among all of them."""
    return set(pools().values())


class Counting:
    """Counts threads whenever a fit tells something."""

    def __init__(self):
        self.seen = {}

    def say(self, text):
        self.seen.setdefault("said", set()).update(threads_now())

    def progress(self, stage, done, total):
        self.seen.setdefault(stage, set()).update(threads_now())


@pytest.fixture(autouse=True)
def three():
    """Three threads before and after, whatever this machine has."""
    before = torch.get_num_threads()
    with threadpool_limits(3):
        torch.set_num_threads(3)
        yield
    torch.set_num_threads(before)


@pytest.mark.parametrize("threads", [1, 2])
def test_the_limit_holds_in_every_stage_of_a_fit_and_ends_with_it(tmp_path, monkeypatch, threads):
    counting, before, real = Counting(), pools(), fits.against

    def against(*given):
        out = real(*given)
        counting.progress("classical", 1, 1)  # after it: libraries that it brought in are among those counted
        return out

    monkeypatch.setattr(fits, "against", against)
    settings = Settings(source=small_encoder(tmp_path / "net"), depth=2, threads=threads, scratch=0.5)
    data = write_table(tmp_path / "films.csv", 40)
    fits.fit(data, tmp_path / "x.skill", settings=settings, cache=tmp_path / "cache", teller=counting)
    assert {"said", "read through the network", "learn", "measure by nested cross-validation"} <= set(counting.seen)
    assert "classical" in counting.seen
    assert set().union(*counting.seen.values()) == {threads}
    assert {name: count for name, count in pools().items() if name in before} == before


def test_thumbnails_and_decoding_use_as_many(tmp_path, monkeypatch):
    seen = []

    def pool(workers, **_):
        seen.append(workers)
        return real(workers)

    real = near.ThreadPoolExecutor
    monkeypatch.setattr(near, "ThreadPoolExecutor", pool)
    settings = Settings(source=small_convnet(tmp_path / "net"), depth=1, threads=3)
    fits.fit(write_pictures(tmp_path / "data", 40), tmp_path / "x.skill", settings=settings, cache=tmp_path / "cache")
    assert seen == [3]


def test_the_limit_ends_with_an_error_too():
    inside = set()

    def fails():
        with at_most(1):
            inside.update(threads_now())
            raise KeyError

    before = pools()

    with pytest.raises(KeyError):
        fails()
    assert inside == {1}
    assert {name: count for name, count in pools().items() if name in before} == before
    before = pools()
    with at_most(0):
        assert pools() == before
