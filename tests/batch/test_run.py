"""Jobs over the cores: the outcome of each, and that no job spoils another."""

from __future__ import annotations

import errno
import io
import os
import sys
import threading
import time
from concurrent.futures import wait
from dataclasses import replace
from functools import partial

import numpy as np
import pytest
from PIL import Image, ImageCms

import convcli
from convcli import image, memory
from convcli.batch import run as batch
from convcli.batch.ahead import begin
from convcli.batch.pipeline import Pipeline
from convcli.batch.run import run
from convcli.errors import ConvcliError
from convcli.files.job import Job
from convcli.pools import Pool

PATIENCE = 10  # seconds; a test that takes longer hangs


def blurred(pixels, **options):
    return convcli.blur(pixels, 1.0, **options)


BLUR = Pipeline(blurred, {"method": "numpy"})
OVER = partial(image.write, overwrite=True)


@pytest.fixture
def jobs(picture_file, photo):
    """Five jobs with different images."""
    made = []
    for number in range(5):
        path = picture_file(f"in/{number}.png", photo[number * 50 :][:40, :60])
        made.append(Job(path, path.parents[1] / "out" / path.name, "PNG"))
    return made


def by_name(outcomes):
    return {outcome.job.source.name: outcome for outcome in outcomes}


@pytest.mark.parametrize("workers", [1, 2, 3, 8, None])
@pytest.mark.parametrize("count", [1, 2, 5])
def test_every_image_is_filtered_and_written(jobs, photo, workers, count):
    outcomes = by_name(run(jobs[:count], BLUR, workers))
    assert len(outcomes) == count
    for number, job in enumerate(jobs[:count]):
        outcome = outcomes[job.source.name]
        assert (outcome.status, outcome.reason, outcome.error) == ("written", "", None)
        assert (outcome.size, outcome.mode, outcome.plan.method) == ((60, 40), "RGB", "numpy")
        assert outcome.megapixels == 60 * 40 / 1e6
        expected = convcli.blur(photo[number * 50 :][:40, :60], 1.0, method="numpy")
        np.testing.assert_array_equal(image.read(job.target).pixels, expected)


@pytest.mark.parametrize("workers", [1, 2])
def test_one_bad_file_does_not_stop_the_rest(jobs, workers):
    jobs[0].source.write_bytes(b"")
    jobs[1].source.write_bytes(b"hello")
    jobs[2].source.unlink()  # after the jobs were made
    outcomes = by_name(run(jobs, BLUR, workers))
    assert {name: (o.status, o.reason) for name, o in outcomes.items()} == {
        "0.png": ("failed", "is empty"),
        "1.png": ("failed", outcomes["1.png"].reason),
        "2.png": ("failed", "No such file or directory"),
        "3.png": ("written", ""),
        "4.png": ("written", ""),
    }
    assert outcomes["1.png"].reason.startswith("is not an image")
    assert isinstance(outcomes["2.png"].error, FileNotFoundError)
    assert sorted(path.name for path in jobs[0].target.parent.iterdir()) == ["3.png", "4.png"]


def test_problems_found_before_are_outcomes_and_not_tried(jobs):
    found = [
        Job(jobs[0].source, None, None, problem="Permission denied"),
        Job(jobs[1].source, jobs[1].target, "PNG", skip=True),
    ]
    outcomes = by_name(run(found, Pipeline(pytest.fail, {}), None))
    assert (outcomes["0.png"].status, outcomes["0.png"].reason) == ("failed", "Permission denied")
    assert outcomes["1.png"].status == "skipped"
    assert not jobs[1].target.exists()


@pytest.mark.parametrize(
    ("error", "reason"),
    [
        (MemoryError(), "needs more memory than there is"),
        (RuntimeError("a\x1b[31m\nb"), r"RuntimeError: a\x1b[31m\nb"),
        (KeyError("x"), "KeyError: 'x'"),
        (OSError(5, "Input/output error"), "Input/output error"),
        (ValueError("of this value"), "of this value"),
        (AssertionError(), "AssertionError: "),
    ],
)
@pytest.mark.parametrize("workers", [1, 2])
def test_whatever_a_filter_raises_becomes_one_line(jobs, error, reason, workers):
    def fails(pixels, **options):
        raise error

    outcomes = list(run(jobs, Pipeline(fails, {}), workers))
    assert [outcome.reason for outcome in outcomes] == [reason] * 5
    assert all(outcome.error is error for outcome in outcomes)
    assert not jobs[0].target.exists()


def test_a_target_that_cannot_be_written_is_named(jobs):
    jobs[0].target.parent.mkdir()
    jobs[0].target.mkdir()
    (outcome,) = run(jobs[:1], BLUR, 1)
    assert outcome.reason == f"cannot write {str(jobs[0].target)!r}: File exists"


def test_an_output_that_appears_meanwhile_is_not_replaced(jobs):
    def slow(pixels, **options):
        jobs[0].target.parent.mkdir()
        jobs[0].target.write_bytes(b"theirs")
        return pixels

    (outcome,) = run(jobs[:1], Pipeline(slow, {}), 1)
    assert (outcome.status, jobs[0].target.read_bytes()) == ("failed", b"theirs")
    (outcome,) = run(jobs[:1], Pipeline(blurred, {}, write=OVER), 1)
    assert outcome.status == "written"


def test_several_images_are_filtered_at_once_and_share_the_cores(jobs):
    together = threading.Barrier(2)
    shares = []

    def meet(pixels, **options):
        shares.append((options["workers"], options["pictures"]))
        if len(shares) <= 4:
            together.wait(PATIENCE)
        return pixels

    assert [o.reason for o in run(jobs, Pipeline(meet, {}), 2)] == [""] * 5
    assert shares == [(1, 5)] * 5


@pytest.mark.parametrize(("count", "workers", "share"), [(1, 8, 8), (2, 8, 4), (5, 8, 1)])
def test_spare_cores_are_shared_equally(jobs, count, workers, share):
    seen = []

    def note(pixels, **options):
        seen.append(options["workers"])
        return pixels

    list(run(jobs[:count], Pipeline(note, {}), workers))
    assert seen == [share] * count


def test_tiled_takes_one_image_at_a_time_with_all_cores(jobs):
    threads, seen = set(), []

    def note(pixels, **options):
        threads.add(threading.current_thread())
        seen.append(options["workers"])
        return pixels

    list(run(jobs, Pipeline(note, {"method": "tiled"}), 4))
    assert seen == [4] * 5
    assert len(threads) == 1


def test_a_single_image_reports_its_progress(jobs):
    progress = []
    (outcome,) = run(jobs[:1], BLUR, 1, lambda done, total: progress.append((done, total)))
    assert outcome.status == "written"
    assert progress[-1][0] == progress[-1][1]


def test_several_images_do_not(jobs):
    outcomes = run(jobs, BLUR, 2, lambda done, total: pytest.fail("reported"))
    assert [outcome.status for outcome in outcomes] == ["written"] * 5


def test_standard_input_is_read_and_standard_output_written(jobs, monkeypatch, capsysbinary):
    monkeypatch.setattr(sys, "stdin", io.TextIOWrapper(io.BytesIO(jobs[0].source.read_bytes())))
    (outcome,) = run([Job(None, None, None)], BLUR, 1)
    assert outcome.status == "written"
    content = capsysbinary.readouterr().out
    expected = blurred(image.read(jobs[0].source).pixels, **BLUR.options)
    np.testing.assert_array_equal(image.read(content).pixels, expected)


def test_a_filter_sets_how_outputs_are_written(jobs):
    outcomes = [
        list(run(jobs[:1], Pipeline(blurred, {}, write=partial(OVER, quality=q, strip=True)), 1))
        and jobs[0].target.stat().st_size
        for q in (5, 95)
    ]
    assert outcomes[0] == outcomes[1]  # PNG has no quality
    as_jpeg = Job(jobs[0].source, jobs[0].target.with_suffix(".jpg"), "JPEG")
    sizes = []
    for quality in (5, 95):
        list(run([as_jpeg], Pipeline(blurred, {}, write=partial(OVER, quality=quality)), 1))
        sizes.append(as_jpeg.target.stat().st_size)
    assert sizes[0] < sizes[1]


# --- the order of outcomes, and interruptions


def test_nothing_runs_before_the_first_outcome_is_asked_for(jobs):
    outcomes = run(jobs, Pipeline(pytest.fail, {}), 2)
    outcomes.close()
    assert not jobs[0].target.exists()


def test_outcomes_come_while_others_are_still_at_work(jobs):
    last = threading.Event()

    def one_waits(pixels, **options):
        if np.asarray(pixels)[0, 0, 0] == slow:
            assert last.wait(PATIENCE)
        return pixels

    slow = image.read(jobs[0].source).pixels[0, 0, 0]
    outcomes = run(jobs, Pipeline(one_waits, {}), 2)
    first = next(outcomes)
    assert first.job is not jobs[0]
    last.set()
    assert len(list(outcomes)) == 4


def test_a_long_list_is_taken_as_it_goes(jobs, monkeypatch):
    """The number of submitted jobs depends on the threads, not on the length of the list."""
    submitted = []

    class Counting(Pool):
        def submit(self, *arguments):
            submitted.append(arguments)
            return super().submit(*arguments)

    monkeypatch.setattr(batch, "Pool", Counting)
    outcomes = run(jobs * 8, Pipeline(blurred, {}, write=OVER), 2)
    next(outcomes)
    assert len(submitted) == 4
    assert len(list(outcomes)) == 39
    assert len(submitted) == 40


NO_ROOM = [errno.ENOSPC, errno.EDQUOT, errno.EROFS]


@pytest.mark.parametrize("number", NO_ROOM, ids=errno.errorcode.get)
@pytest.mark.parametrize("workers", [1, 2])
def test_where_there_is_no_room_the_rest_is_not_tried(jobs, number, workers):
    written = []

    def write(result, target, *_arguments, **_settings):
        if written:
            raise OSError(number, os.strerror(number), target)
        written.append(target)

    outcomes = list(run(jobs * 4, Pipeline(blurred, {}, write=write), workers))
    statuses = [outcome.status for outcome in outcomes]
    assert statuses.count("written") == 1
    assert 1 <= statuses.count("failed") <= workers
    assert statuses.count("not tried") == 19 - statuses.count("failed")
    reasons = {outcome.reason for outcome in outcomes if outcome.status == "not tried"}
    assert reasons == {os.strerror(number)}


@pytest.mark.parametrize("when", ["before", "meanwhile"])
@pytest.mark.parametrize(
    ("skips", "kind", "status"),
    [(True, "file", "skipped"), (True, "folder", "failed"), (False, "file", "failed")],
)
def test_an_output_that_another_run_writes_meanwhile_is_skipped(jobs, when, skips, kind, status):
    """`before`: after the list of jobs was made, and before this image's turn."""
    job = jobs[0]

    def appear():
        job.target.mkdir(parents=True) if kind == "folder" else job.target.write_bytes(b"theirs")

    def blurred_meanwhile(pixels, **options):
        if when == "meanwhile":
            appear()
        return blurred(pixels, **options)

    job.target.parent.mkdir(parents=True, exist_ok=True)
    if when == "before":
        appear()
    pipeline = Pipeline(blurred_meanwhile, {"method": "numpy"}, skip_existing=skips)
    (outcome,) = run([job], pipeline, 1)
    assert (outcome.status, outcome.reason == "") == (status, status == "skipped")
    assert job.target.is_dir() if kind == "folder" else job.target.read_bytes() == b"theirs"


def test_a_source_that_has_become_a_link_out_of_its_folder_is_not_read(jobs, tmp_path):
    job = jobs[0]
    job.found_in = os.path.realpath(job.source.parent)
    secret = tmp_path / "secret.png"
    job.source.rename(secret)
    (tmp_path / "inner").mkdir()
    job.found_in = os.path.realpath(tmp_path / "inner")
    job.source.symlink_to(secret)
    (outcome,) = run([job], BLUR, 1)
    assert outcome.reason.startswith("is a link to a file outside the folder")
    assert not job.target.exists()


def test_an_output_folder_that_has_become_a_link_is_not_written(jobs, tmp_path):
    job = jobs[0]
    job.within = os.path.realpath(job.target.parent)
    job.target.parent.mkdir(parents=True, exist_ok=True)

    def blurred_meanwhile(pixels, **options):
        job.target.parent.rename(tmp_path / "away")
        (tmp_path / "victim").mkdir()
        job.target.parent.symlink_to(tmp_path / "victim")
        return blurred(pixels, **options)

    (outcome,) = run([job], Pipeline(blurred_meanwhile, {}), 1)
    assert "would be written outside" in outcome.reason
    assert list((tmp_path / "victim").iterdir()) == []


def test_a_file_that_is_too_large_is_no_reason_to_stop(jobs):
    def write(*_arguments, **_settings):
        raise OSError(errno.EFBIG, os.strerror(errno.EFBIG))

    assert [outcome.status for outcome in run(jobs, Pipeline(blurred, {}, write=write), 2)] == [
        "failed"
    ] * 5


@pytest.mark.parametrize("workers", [1, 2])
def test_closing_the_iterator_stops_the_work(jobs, workers):
    before = set(threading.enumerate())  # other tests' packages keep threads of theirs
    outcomes = run(jobs * 4, Pipeline(blurred, {}, write=OVER), workers)
    next(outcomes)
    outcomes.close()
    names = {thread.name for thread in set(threading.enumerate()) - before}
    assert not any(name.startswith("ThreadPool") for name in names)


def interrupting(interrupted, happened):
    """Make a `wait` that interrupts the run once something has happened."""

    def wait_and_interrupt(*arguments):
        while not happened():
            time.sleep(0.01)
        interrupted.set()
        return wait(*arguments)

    return wait_and_interrupt


@pytest.mark.parametrize("busy", ["python", "C"])
@pytest.mark.parametrize("count", [1, 5])
def test_an_interruption_does_not_wait_for_a_large_image(jobs, monkeypatch, busy, count):
    """Filtering stops between two regions; deep in C code it is left alone."""
    begun, end, interrupted = [], threading.Event(), threading.Event()

    def endless(pixels, **options):
        begun.append(pixels)
        until = time.monotonic() + PATIENCE
        while time.monotonic() < until and not end.is_set():
            if busy == "python":
                options["on_progress"](1, 1000)
            end.wait(0.01)
        return pixels

    both_begun = interrupting(interrupted, lambda: len(begun) == min(count, 2))
    monkeypatch.setattr(batch, "wait", both_begun)
    start = time.monotonic()
    assert list(run(jobs[:count], Pipeline(endless, {}), 2, interrupted=interrupted)) == []
    assert time.monotonic() - start < PATIENCE / 2
    assert len(begun) == min(count, 2)  # jobs that waited for a thread are cancelled
    assert not jobs[0].target.exists()
    end.set()


@pytest.mark.parametrize("where", ["while waiting", "while reporting"])
def test_outcomes_after_an_interruption_are_yielded(jobs, monkeypatch, where):
    """Otherwise the counts of a batch would miss files that were written."""
    last, interrupted = threading.Event(), threading.Event()

    def one_waits(pixels, **options):
        if not np.array_equal(pixels, first):
            last.wait(PATIENCE)
        return pixels

    first = image.read(jobs[0].source).pixels
    outcomes = run(jobs[:2], Pipeline(one_waits, {}), 2, interrupted=interrupted)
    assert next(outcomes).job is jobs[0]
    if where == "while waiting":
        at_once = interrupting(interrupted, lambda: last.set() or True)
        monkeypatch.setattr(batch, "wait", at_once)
    else:
        interrupted.set()
        last.set()
    assert [(outcome.job, outcome.status) for outcome in outcomes] == [(jobs[1], "written")]


def test_an_interruption_before_the_work_begins(jobs):
    interrupted = threading.Event()
    skipped = [Job(job.source, job.target, "PNG", skip=True) for job in jobs]
    outcomes = run([*skipped, *jobs], Pipeline(pytest.fail, {}), 2, interrupted=interrupted)
    next(outcomes)
    interrupted.set()
    assert list(outcomes) == []


def test_an_exception_that_is_no_error_is_not_an_outcome(jobs):
    def leaves(pixels, **options):
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        list(run(jobs[:1], Pipeline(leaves, {}), 1))


def test_an_image_whose_reading_has_begun_is_not_read_again(jobs):
    begun = {jobs[1]: begin(partial(image.read, jobs[1].source))}
    jobs[1].source.unlink()
    outcomes = by_name(run(jobs, BLUR, 2, begun=begun))
    assert [outcome.status for outcome in outcomes.values()] == ["written"] * 5
    remarks = {name: outcome.timings[0].remark for name, outcome in outcomes.items()}
    assert remarks.pop("1.png") == "while the program was loaded"
    assert set(remarks.values()) == {""}


@pytest.fixture
def pages(tmp_path, photo):
    """A job of a TIFF of five pages with metadata, which are filtered while it is written."""
    first, *others = (Image.fromarray(photo[top : top + 30, :40]) for top in range(5))
    first.save(tmp_path / "in.tif", save_all=True, append_images=others, dpi=(300, 300))
    return Job(tmp_path / "in.tif", tmp_path / "out.tif", "TIFF")


def on_page_2(error):
    begun = []

    def verb(pixels, **_):
        begun.append(1)
        if len(begun) == 2:
            raise error
        return pixels

    return verb


@pytest.mark.parametrize("error", [RuntimeError("no threads"), OSError("no threads")])
def test_an_error_in_a_later_page_is_not_one_of_writing(pages, error):
    """Nor blamed on the metadata, as encoding errors are."""
    (outcome,) = run([pages], Pipeline(on_page_2(error), {}), 1)
    assert outcome.reason.startswith("in frame 2 of 5: ")
    assert outcome.reason.endswith("no threads")
    assert outcome.error is error


def test_an_error_in_reading_a_later_page_names_it(pages):
    def read(*arguments, **options):
        first = image.read(*arguments, **options)

        def later():
            yield next(iter(first.later))
            raise ConvcliError("is damaged")

        return replace(first, later=later())

    (outcome,) = run([pages], Pipeline(lambda pixels, **_: pixels, {}, read), 1)
    assert outcome.reason == "in frame 3 of 5: is damaged"
    assert not pages.target.exists()


def test_an_error_in_encoding_a_later_page_is_one_of_writing(pages):
    def write(picture, *_arguments, **_settings):
        next(iter(picture.later))
        raise OSError(errno.EIO, os.strerror(errno.EIO))

    (outcome,) = run([pages], Pipeline(lambda pixels, **_: pixels, {}, write=write), 1)
    assert outcome.reason == f"cannot write {str(pages.target)!r}: Input/output error"


def test_a_stop_in_a_later_page_is_known_as_one(pages):
    outcomes = run([pages], Pipeline(on_page_2(batch._StoppedError()), {}), 1)
    (outcome,) = outcomes
    assert isinstance(outcome.error, batch._StoppedError)


def test_a_closed_pipe_is_not_the_images_failure(jobs):
    def gone(pixels, **options):
        raise BrokenPipeError

    with pytest.raises(BrokenPipeError):
        list(run(jobs[:1], Pipeline(gone, {}), 1))


def test_what_a_format_leaves_out_is_noted(tmp_path):
    profile = ImageCms.ImageCmsProfile(ImageCms.createProfile("sRGB")).tobytes()
    colours = np.random.default_rng(0).integers(0, 256, (20, 20, 3), dtype=np.uint8)
    source = tmp_path / "a.png"
    Image.fromarray(colours).save(source, icc_profile=profile)
    jobs = [
        Job(source, tmp_path / f"b.{name.lower()}", name) for name in ("PNG", "BMP", "GIF", "TIFF")
    ]
    noted = {outcome.job.format: " ".join(outcome.notes) for outcome in run(jobs, BLUR, 1)}
    assert noted["PNG"] == noted["TIFF"] == ""
    assert noted["BMP"] == "dropped its colour profile, which BMP cannot store"
    assert "256 colours" in noted["GIF"]


@pytest.mark.parametrize(("free", "together"), [(30_000, 1), (10**9, 2), (None, 2)])
def test_images_wait_for_memory(jobs, monkeypatch, free, together):
    """Each of 60 x 40 pixels takes 19 kB and more."""
    monkeypatch.setattr(memory, "available", lambda: free)
    at_work, most = [], []

    def watched(pixels, **options):
        at_work.append(1)
        time.sleep(0.05)
        most.append(len(at_work))
        at_work.pop()
        return pixels

    outcomes = list(run(jobs, Pipeline(watched, {}), 2))
    assert [outcome.status for outcome in outcomes] == ["written"] * 5
    assert max(most) == together


def test_an_image_that_never_fits_is_refused_and_the_rest_is_done(jobs, monkeypatch):
    free = iter([10**9, 100, 10**9, 10**9])
    monkeypatch.setattr(memory, "available", lambda: next(free))
    monkeypatch.setattr(memory, "_ALWAYS_FREE", 0)
    outcomes = list(run(jobs[:3], Pipeline(lambda pixels, **_: pixels, {}), 1))
    assert sorted(outcome.status for outcome in outcomes) == ["failed", "written", "written"]
    (failed,) = (outcome for outcome in outcomes if outcome.status == "failed")
    assert "needs about" in failed.reason
