"""Results that are written while they are computed: the same files, and the same errors."""

from __future__ import annotations

import errno
import time

import numpy as np
import pytest
from PIL import Image

import convcli
from convcli import ConvcliError, image
from convcli.batch import attempt
from convcli.batch.growing import Growing
from convcli.batch.pipeline import Pipeline
from convcli.files.job import Job
from convcli.image import Picture

HEIGHT = 300


def done(path, verb=convcli.blur, write=image.write, **settings):
    """Filter a PPM into `out.ppm` beside it, in a few strips by two threads."""
    options = {"workers": 2, "pictures": 1, "scratch": True, "method": "numpy"}
    pipeline = Pipeline(verb, options, write=write, by_rows=True, **settings)
    job = Job(path, path.with_name("out.ppm"), "PPM")
    return attempt.outcome_of(job, pipeline, lambda _size: None)


@pytest.fixture
def path(tmp_path, monkeypatch):
    monkeypatch.setattr(attempt, "_LEAST_BY_ROWS", 0)
    pixels = np.random.default_rng(0).integers(0, 256, (HEIGHT, 90, 3), np.uint8)
    Image.fromarray(pixels).save(tmp_path / "in.ppm")
    return tmp_path / "in.ppm"


def tell_slowly(on_rows, raises=None):
    """Make a result, a third of its rows at a time."""
    out = np.zeros((HEIGHT, 90, 3), np.uint8)
    for top in range(0, HEIGHT, 100):
        out[top : top + 100] = 1 + top // 100
        on_rows(out, top + 100)
        time.sleep(0.02)
        if raises and top:
            raise raises
    return out


@pytest.mark.parametrize("least", [0, 1 << 40])
def test_the_file_is_that_of_the_whole_result(path, monkeypatch, least):
    monkeypatch.setattr(attempt, "_LEAST_BY_ROWS", least)
    outcome = done(path)
    assert (outcome.status, outcome.result_size, outcome.notes) == ("written", (90, HEIGHT), ())
    expected = convcli.blur(np.asarray(Image.open(path)))
    np.testing.assert_array_equal(Image.open(path.with_name("out.ppm")), expected)
    assert {timing.name for timing in outcome.timings} == {"read", "filter", "write"}


def test_rows_are_written_before_all_are_there(path):
    """Without this test the writer could wait for the whole result."""
    counts = []

    def write(result, *arguments, **settings):
        bands = result.bands
        result = Picture(result.samples, "RGB", "PPM", bands=lambda: map(counted, bands()))
        return image.write(result, *arguments, **settings)

    def counted(band):
        counts.append(len(band))
        return band

    def verb(_pixels, on_rows, **_options):
        return tell_slowly(on_rows)

    assert done(path, verb, write).status == "written"
    assert counts == [100, 100, 100]
    np.testing.assert_array_equal(
        np.asarray(Image.open(path.with_name("out.ppm")))[::100, 0, 0], [1, 2, 3]
    )


@pytest.mark.parametrize("has", [True, False])
def test_no_thread_takes_what_the_image_needs(path, monkeypatch, has):
    told, asked = [], []
    monkeypatch.setattr(attempt, "has_room", lambda beside: asked.append(beside) or has)
    done(path, lambda pixels, on_rows=None, **_options: told.append(on_rows is not None) or pixels)
    assert (told, asked) == ([has], [2 * HEIGHT * 90 * 3])


@pytest.mark.parametrize("error", [ConvcliError("is odd"), MemoryError(), OSError(errno.EIO, "x")])
def test_an_error_of_the_filter_is_its_own_and_leaves_no_file(path, error):
    def verb(_pixels, on_rows, **_options):
        return tell_slowly(on_rows, error)

    outcome = done(path, verb)
    assert outcome.status == "failed"
    assert outcome.error is error
    assert "cannot write" not in outcome.reason
    assert list(path.parent.iterdir()) == [path]


def test_an_error_right_after_the_first_rows_leaves_no_file(path, monkeypatch):
    """The filter fails after `begun` has returned: the other rows must not be taken as final."""
    begun = Growing.begun

    def begun_and_ended(growing):
        made = begun(growing)
        growing._pool.shutdown()
        return made

    monkeypatch.setattr(Growing, "begun", begun_and_ended)
    error = MemoryError()

    def verb(_pixels, on_rows, **_options):
        return tell_slowly(on_rows, error)

    assert done(path, verb).error is error
    assert list(path.parent.iterdir()) == [path]


def test_an_error_of_the_disk_ends_the_filter(path):
    told = []

    def verb(_pixels, on_rows, **_options):
        def tell(out, count):
            told.append(count)
            on_rows(out, count)

        out = np.zeros((HEIGHT, 90, 3), np.uint8)
        for count in range(1, HEIGHT):
            tell(out, count)
            time.sleep(0.01)
        return out

    def write(_result, *_arguments, **_settings):
        raise OSError(errno.ENOSPC, "No space left on device")

    outcome = done(path, verb, write)
    assert outcome.status == "failed"
    assert "cannot write" in outcome.reason
    assert told[-1] < HEIGHT - 1


def test_a_result_that_comes_at_once_is_taken_as_it_is(path):
    outcome = done(path, lambda pixels, **_: np.asarray(pixels)[::2])
    assert outcome.result_size == (90, HEIGHT // 2)


def test_a_remark_is_made_on_the_whole_result(path):
    def verb(_pixels, on_rows, **_options):
        return tell_slowly(on_rows)

    outcome = done(path, verb, remark=lambda result, _alpha: (f"ends in {result[-1, 0, 0]}",))
    assert outcome.notes == ("ends in 3",)


@pytest.mark.parametrize(
    "options", [{"region": "20x20+3+3"}, {"channels": "r"}, {"mask": np.ones((HEIGHT, 90), bool)}]
)
def test_parts_of_an_image_never_grow(path, options):
    counts = []
    pixels = np.asarray(Image.open(path))
    convcli.blur(pixels, on_rows=lambda _out, count: counts.append(count), **options)
    assert counts == []


@pytest.mark.parametrize("method", ["numpy", "fft"])
@pytest.mark.parametrize("shape", [(HEIGHT, 90), (HEIGHT, 90, 3)])
def test_rows_that_are_told_are_final(method, shape):
    pixels = np.random.default_rng(1).integers(0, 256, shape, np.uint8)
    kept = []
    result = convcli.blur(
        pixels, method=method, workers=2, on_rows=lambda out, n: kept.append((n, out[:n].copy()))
    )
    assert [count for count, _ in kept] == sorted(count for count, _ in kept)
    assert kept[-1][0] == HEIGHT
    for count, rows in kept:
        np.testing.assert_array_equal(rows, result[:count])


def test_where_no_thread_can_be_started_the_result_is_whole(monkeypatch):
    monkeypatch.setattr("convcli.batch.growing.Pool.submit", _at_once)
    growing = Growing(tell_slowly, lambda: np.errstate())
    result, is_final = growing.begun()
    assert result[-1, 0, 0] == 3
    assert is_final
    growing.close()


def _at_once(_pool, work):
    from concurrent.futures import Future

    future = Future()
    future.set_result(work())
    return future
