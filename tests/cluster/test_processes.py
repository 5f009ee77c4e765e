"""A cluster of processes on loopback, of which some are killed or stopped."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from contextlib import ExitStack, contextmanager
from types import SimpleNamespace

import dask  # noqa: F401 - without it this file is not collected
import numpy as np
import pytest
from PIL import Image

pytestmark = pytest.mark.slow

IMAGES = 30
BLUR = ("blur", "in", "-r", "-o", "out", "--sigma", "4", "--exact", "-m", "numpy")
# A batch whose worker was lost is not tried again: it is divided at once.
SETTINGS = {"DASK_DISTRIBUTED__SCHEDULER__ALLOWED_FAILURES": "0"}


@pytest.fixture(scope="module")
def tree(tmp_path_factory, photo):
    """Photographs, and in `alone` what one machine makes of them."""
    folder = tmp_path_factory.mktemp("tree")
    (folder / "in").mkdir()
    for number in range(IMAGES):
        pixels = np.roll(photo, 7 * number, axis=0)
        Image.fromarray(pixels).save(folder / "in" / f"{number:02}.jpg")
    done = convcli(folder, *BLUR[:4], "alone", *BLUR[5:])
    assert done.returncode == 0
    return folder


def convcli(folder, *argv):
    return subprocess.run(
        [sys.executable, "-m", "convcli", *argv], cwd=folder, capture_output=True, timeout=100,
        text=True,
    )  # fmt: skip


@contextmanager
def started(folder, *argv, code="", **environment):
    """A process of Dask: ``dask scheduler`` or ``dask worker``; `code` runs in it first."""
    main = (
        f"import sys; sys.argv = {['dask', *argv]!r}\n{code}\nimport dask.__main__ as it; it.main()"
    )
    with open(folder / "dask.log", "ab") as log:
        process = subprocess.Popen(
            [sys.executable, "-c", main], cwd=folder, stdout=log, stderr=log,
            env=os.environ | environment,
        )  # fmt: skip
    try:
        yield process
    finally:
        process.kill()
        process.wait(10)


@contextmanager
def cluster(folder, workers=3, code="", **environment):
    """A scheduler and workers of one thread each."""
    file = folder / "scheduler.json"
    file.unlink(missing_ok=True)
    with ExitStack() as stack:
        where = ("--host", "127.0.0.1", "--port", "0", "--scheduler-file", str(file))
        argv = ("scheduler", *where, "--no-dashboard")
        scheduler = stack.enter_context(started(folder, *argv, **environment))
        wait_for(lambda: file.exists() and file.stat().st_size)
        how = ("--scheduler-file", str(file), "--nthreads", "1", "--no-nanny", "--no-dashboard")
        there = [
            stack.enter_context(started(folder, "worker", *how, code=code)) for _ in range(workers)
        ]
        address = json.loads(file.read_text())["address"]
        from distributed import Client

        with Client(address, set_as_default=False) as client:
            client.wait_for_workers(workers, timeout=30)
        yield scheduler, there


@pytest.fixture(scope="module")
def three(tree):
    """A cluster of three workers, of which tests kill one after the other, and then the scheduler.

    Starting its processes takes four seconds of processor time.
    """
    with cluster(tree) as (scheduler, workers):
        yield SimpleNamespace(
            scheduler=scheduler, workers=workers, file=str(tree / "scheduler.json")
        )


def wait_for(condition, seconds=30):
    end = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < end
        time.sleep(0.02)


@contextmanager
def blurring(tree, *more):
    """The program at work, when it has written some images."""
    out = tree / "out"
    subprocess.run(["rm", "-rf", out], check=True)
    process = subprocess.Popen(
        [sys.executable, "-m", "convcli", *BLUR, "--cluster", "scheduler.json", *more], cwd=tree,
        stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True,
    )  # fmt: skip
    try:
        wait_for(lambda: out.is_dir() and len(os.listdir(out)) > 4)
        yield process
    finally:
        process.kill()
        process.communicate()


def ended(process):
    out, err = process.communicate(timeout=100)
    return process.returncode, out.splitlines(), err.splitlines()


def outputs(folder):
    return {path.name: path.read_bytes() for path in folder.iterdir()}


SOFTEN = ("blur", "image.zarr", "-o", "soft.zarr", "--sigma", "9", "--exact", "-m", "numpy")


@pytest.fixture(scope="module")
def image(tmp_path_factory):
    """A zarr array of 110 shards, and in `alone.zarr` what one process makes of it."""
    zarr = pytest.importorskip("zarr")
    folder = tmp_path_factory.mktemp("image")
    shape, sides = (1250, 1300), {"chunks": (64, 64), "shards": (128, 128)}
    array = zarr.create_array(folder / "image.zarr", shape=shape, dtype="uint16", **sides)
    array[...] = np.random.default_rng(0).integers(0, 4000, shape).astype("uint16")
    done = convcli(folder, *SOFTEN[:3], "alone.zarr", *SOFTEN[4:])
    assert done.returncode == 0, done.stderr
    return folder


@contextmanager
def softening(folder, where, *more):
    """The program at work on one image, when some of its shards are written."""
    process = subprocess.Popen(
        [sys.executable, "-m", "convcli", *SOFTEN, "--cluster", where, *more],
        cwd=folder, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True,
    )  # fmt: skip
    before = len([*folder.glob(".convcli-*.part/c/*/*")])
    try:
        wait_for(lambda: len([*folder.glob(".convcli-*.part/c/*/*")]) > before + 8)
        yield process
    finally:
        process.kill()
        process.communicate()


def shards(folder):
    return {str(p.relative_to(folder)): p.read_bytes() for p in folder.rglob("*") if p.is_file()}


@pytest.mark.usefixtures("three")
def test_ctrl_c_ends_the_program_and_what_waits_on_the_cluster(tree):
    with blurring(tree) as program:
        program.send_signal(signal.SIGINT)
        start = time.monotonic()
        status, _, err = ended(program)
        assert time.monotonic() - start < 2
        assert status == -signal.SIGINT
        assert [line.endswith(", then interrupted") for line in err] == [True]
        time.sleep(2)  # batches at work end
        made = outputs(tree / "out")
        time.sleep(0.5)
        assert outputs(tree / "out") == made
    assert len(made) < IMAGES
    assert made.items() <= outputs(tree / "alone").items()


def test_ctrl_c_ends_an_image_whose_written_shards_stay(image, three):
    with softening(image, three.file) as program:
        program.send_signal(signal.SIGINT)
        status, _, err = ended(program)
    assert (status, err) == (-signal.SIGINT, ["convcli: interrupted; nothing was written"])
    (part,) = image.glob(".convcli-*.part")
    time.sleep(1)  # tasks at work end
    made = {path: path.stat().st_mtime_ns for path in part.glob("c/*/*")}
    done = convcli(image, *SOFTEN, "--skip-existing", "--cluster", three.file)
    assert done.returncode == 0, done.stderr
    whole = image / "soft.zarr"
    same = [p for p, t in made.items() if (whole / p.relative_to(part)).stat().st_mtime_ns == t]
    assert 0 < len(same) <= len(made) < 110
    assert shards(whole) == shards(image / "alone.zarr")


def test_killed_and_stopped_workers_are_replaced_and_nothing_is_lost(tree, three):
    workers = three.workers
    with blurring(tree, "--json") as program:
        workers[0].send_signal(signal.SIGSTOP)
        workers[1].kill()
        time.sleep(0.5)
        workers[0].send_signal(signal.SIGCONT)
        status, out, err = ended(program)
    assert (status, err) == (0, [f"{IMAGES} written, 0 failed, 0 skipped"])
    assert sorted(json.loads(line)["output"] for line in out) == sorted(
        f"out/{n:02}.jpg" for n in range(IMAGES)
    )
    assert outputs(tree / "out") == outputs(tree / "alone")


def test_an_image_whose_worker_is_killed_is_what_one_process_writes(image, three):
    with softening(image, three.file, "-q", "-f") as program:
        three.workers[2].kill()
        assert ended(program) == (0, [], [])
    assert shards(image / "soft.zarr") == shards(image / "alone.zarr")


def test_a_killed_scheduler_is_reported_and_the_next_run_continues(tree, three):
    with blurring(tree) as program:
        three.scheduler.kill()
        status, out, (err,) = ended(program)
    assert (status, out) == (1, [])
    assert "not tried: the connection to the scheduler was lost" in err
    time.sleep(0.2)
    made = outputs(tree / "out")
    assert 4 < len(made) < IMAGES
    whole = outputs(tree / "alone")
    assert made.items() <= whole.items()
    done = convcli(tree, *BLUR, "--skip-existing", "--cluster", "local:2")
    assert done.returncode == 0, done.stderr
    assert outputs(tree / "out") == whole


# As an image for which a worker has too little memory: the system ends the process.
POISON = """
import os
from convcli.batch import attempt
stays = attempt.check_stays
def check_stays(job):
    if job.source_name.endswith("07.jpg"): os._exit(137)
    stays(job)
attempt.check_stays = check_stays
"""


def test_an_image_that_ends_workers_fails_alone(tree):
    subprocess.run(["rm", "-rf", tree / "out"], check=True)
    with cluster(tree, workers=3, code=POISON, **SETTINGS):
        done = convcli(tree, *BLUR, "--cluster", "scheduler.json")
    assert done.returncode == 1
    assert done.stderr.splitlines() == [
        "convcli: 'in/07.jpg': each worker that tried it died",
        f"{IMAGES - 1} written, 1 failed, 0 skipped",
    ]
    whole = outputs(tree / "alone")
    assert outputs(tree / "out") == {name: whole[name] for name in whole if name != "07.jpg"}


def test_a_worker_without_convcli_is_named(tree):
    subprocess.run(["rm", "-rf", tree / "out"], check=True)
    with cluster(tree, workers=1, code="sys.modules['convcli'] = None"):
        done = convcli(tree, *BLUR, "--cluster", "scheduler.json")
    assert done.returncode == 2
    (line,) = done.stderr.splitlines()
    assert line.startswith("convcli: worker tcp://127.0.0.1:")
    assert line.endswith(" has no convcli")
    assert not (tree / "out").exists()
