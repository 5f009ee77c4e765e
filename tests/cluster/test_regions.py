"""One image whose parts are done by the workers of a cluster in this process."""

from __future__ import annotations

import json
import os
import threading
import time
from types import SimpleNamespace

import dask  # noqa: F401 - without it this file is not collected
import fsspec
import numpy as np
import pytest
import tifffile
import zarr
from distributed import Client, KilledWorker

from convcli import memory
from convcli.cluster import connecting, regions, work
from convcli.errors import ConvcliError
from convcli.running.regional import Regional
from convcli.sources.record import Record
from tests.cluster.test_cluster import files_of
from tests.sources.test_zarr import image_file, stack


@pytest.fixture(autouse=True)
def place(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    return tmp_path


def array_file(path, dtype="uint8", shards=(128, 128)):
    pixels = np.random.default_rng(0).integers(0, 200, (300, 400)).astype(dtype)
    array = zarr.create_array(path, shape=pixels.shape, chunks=(64, 64), shards=shards, dtype=dtype)
    array[...] = pixels
    return path


def ome(version):
    image_file("a.zarr", version, stack((2, 2, 150, 170)))
    return "a.zarr"


def tiff():
    pixels = np.random.default_rng(0).integers(0, 200, (600, 700, 3), np.uint8)
    pixels[40:50, 30:500] = 7
    tifffile.imwrite("a.tif", pixels, tile=(64, 64), extratags=[(42113, "s", 0, "7", True)])
    return "a.tif"


def floats():
    zarr.open(array_file("a.zarr", "float32"))[100, 100] = np.nan
    return "a.zarr"


IMAGES = {
    "shards": (lambda: array_file("a.zarr"), ("blur",)),
    "chunks": (lambda: array_file("a.zarr", shards=None), ("edge",)),
    "version 2": (lambda: ome(2), ("blur", "--sigma", 2)),
    "version 3": (lambda: ome(3), ("chain", "blur --sigma 1 | edge")),
    "TIFF": (tiff, ("blur", "--nan", "skip")),
    "depth": (tiff, ("sharpen", "--depth", "16")),
    "floats": (floats, ("blur", "--border", "wrap")),
    "stride": (floats, ("filter", "--kernel", "box:5", "--stride", 3)),
}


DIFFERS = {"seconds": 0, "times": 0, "output": 0}


@pytest.mark.parametrize("name", IMAGES)
def test_a_cluster_writes_what_one_process_does(name, run, place, address, monkeypatch):
    make, argv = IMAGES[name]
    argv = (*argv, make(), "--json", "-q", "-m", "numpy")
    alone = run(*argv, "-o", "alone.zarr")
    assert alone.status == 0, alone.err
    monkeypatch.setattr("convcli.running.windowed.bands", None)
    there = run(*argv, "-o", "there.zarr", "--cluster", address)
    assert (there.status, there.err) == (0, "")
    fields = [json.loads(done.out) | DIFFERS for done in (alone, there)]
    assert fields[0] == fields[1]
    assert files_of(place / "there.zarr") == files_of(place / "alone.zarr")
    assert not [name for name in os.listdir() if name.startswith(".")]


def test_what_has_changed_since_an_earlier_run_is_read_again(run, address):
    array_file("a.zarr")
    for level in (10, 200):
        zarr.open("a.zarr")[...] = level
        assert run("blur", "a.zarr", "-o", "b.zarr", "-f", "--cluster", address).status == 0
        assert (zarr.open("b.zarr")[...] == level).all()


def test_a_task_that_ends_with_a_timeout_fails_the_image(run, address, monkeypatch):
    array_file("a.zarr")
    watched(monkeypatch, TimeoutError("the server was slow"))
    done = run("blur", "a.zarr", "-o", "b.zarr", "--cluster", address)
    assert (done.status, done.message.count("the server was slow")) == (1, 1)


def watched(monkeypatch, error=None):
    """Return a list of the regions that workers begin; the eighth raises the error."""
    began, lock = [], threading.Lock()

    def of(self, work, source, region, own=Regional.of):
        with lock:
            began.append(region)
            if error and len(began) == 8:
                raise error
        return own(self, work, source, region)

    monkeypatch.setattr(Regional, "of", of)
    return began


def test_each_shard_is_a_task_and_no_pixels_travel(run, address, monkeypatch):
    array_file("a.zarr")
    done_there, sent = watched(monkeypatch), []

    def dumps(orders, own=regions.cloudpickle.dumps):
        sent.append(own(orders))
        return sent[-1]

    monkeypatch.setattr(regions, "cloudpickle", SimpleNamespace(dumps=dumps))
    done = run("blur", "a.zarr", "-o", "b.zarr", "--cluster", address, "--explain")
    assert done.status == 0
    assert "cluster    12 regions" in done.err
    tops, lefts = (0, 128, 256), (0, 128, 256, 384)
    assert sorted(done_there) == [
        ((top, min(top + 128, 300)), (left, min(left + 128, 400))) for top in tops for left in lefts
    ]
    assert [len(orders) < 10_000 for orders in sent] == [True]


@pytest.mark.parametrize("more", [(), ("--skip-existing",)])
def test_an_interrupted_image_goes_on_at_the_shards_that_are_missing(
    more, run, place, address, monkeypatch
):
    array_file("a.zarr")
    assert run("blur", "a.zarr", "-o", "alone.zarr").status == 0
    began = watched(monkeypatch, OSError(28, "No space left on device"))
    argv = ("blur", "a.zarr", "-o", "b.zarr", "--cluster", address)
    failed = run(*argv)
    assert failed.status == 1
    assert "cannot write 'b.zarr': No space left" in failed.message
    assert len([name for name in os.listdir() if name.endswith(".part")]) == 1
    time.sleep(0.3)  # tasks at work end
    first = len(began)
    assert run(*argv, *more).status == 0
    again = len(began) - first
    assert again == 12 if not more else 3 < again < 12
    assert files_of(place / "b.zarr") == files_of(place / "alone.zarr")
    assert sorted(os.listdir()) == ["a.zarr", "alone.zarr", "b.zarr"]


def test_what_a_cluster_began_one_process_ends(run, place, address, monkeypatch):
    array_file("a.zarr")
    watched(monkeypatch, OSError(5, "broken"))
    assert run("blur", "a.zarr", "-o", "b.zarr", "--cluster", address).status == 1
    monkeypatch.undo()
    monkeypatch.chdir(place)
    assert run("blur", "a.zarr", "-o", "b.zarr", "--skip-existing").status == 0
    assert run("blur", "a.zarr", "-o", "alone.zarr").status == 0
    assert files_of(place / "b.zarr") == files_of(place / "alone.zarr")


def test_a_damaged_chunk_fails_in_one_line_and_leaves_nothing(run, place, address):
    array_file("a.zarr", shards=None)
    (place / "a.zarr" / "c" / "1" / "2").write_bytes(b"damaged")
    done = run("blur", "a.zarr", "-o", "b.zarr", "--cluster", address)
    assert done.status == 1
    assert "'a.zarr': chunk (1, 2) of 'the array' cannot be read" in done.message
    assert os.listdir() == ["a.zarr"]


@pytest.mark.parametrize("kills", [3, 99])
def test_a_part_whose_workers_died_is_tried_once_more_alone(
    kills, run, place, address, monkeypatch
):
    """Other parts, or a script that ends workers, may be the reason; fewer threads are left."""
    array_file("a.zarr")
    left, threads, own = iter(range(kills)), iter([4]), regions.missing_in

    def missing_in(future):
        made = own(future)
        if next(left, None) is not None:
            raise KilledWorker("done", None, 3)
        return made

    monkeypatch.setattr(regions, "missing_in", missing_in)
    monkeypatch.setattr(regions.Threads, "count", lambda _self: next(threads, 1))
    done = run("blur", "a.zarr", "-o", "b.zarr", "--cluster", address, "-q")
    if kills == 99:
        assert "each worker that tried one of its parts died" in done.message
        assert not (place / "b.zarr").exists()
        return
    assert (done.status, done.err) == (0, "")
    assert run("blur", "a.zarr", "-o", "alone.zarr").status == 0
    assert files_of(place / "b.zarr") == files_of(place / "alone.zarr")


def test_an_image_whose_cluster_is_lost_goes_on_later(run, place, address, monkeypatch):
    array_file("a.zarr")
    looks = iter([""] * 3)
    monkeypatch.setattr(regions, "lost", lambda *_: next(looks, "the scheduler was lost"))
    done = run("blur", "a.zarr", "-o", "b.zarr", "--cluster", address)
    assert (done.status, done.message) == (1, "convcli: 'a.zarr': the scheduler was lost")
    (part,) = place.glob(".convcli-*.part")
    assert [*part.glob("c/*/*")]
    assert not (place / "b.zarr").exists()


def test_images_after_the_loss_of_a_cluster_are_not_tried(run, place, address, monkeypatch):
    """Waiting for workers takes a minute, and is done once."""
    for name in "abc":
        array_file(place / f"{name}.zarr")
    monkeypatch.setattr(connecting, "_COUNT_SECONDS", -1)
    monkeypatch.setattr(connecting, "GONE_SECONDS", 0.3)
    monkeypatch.setattr(regions, "_AHEAD", 1)
    began, nthreads = watched(monkeypatch), Client.nthreads
    monkeypatch.setattr(Client, "nthreads", lambda self: {} if len(began) > 1 else nthreads(self))
    monkeypatch.setattr(regions, "result_of", lambda _future: time.sleep(0.01))
    done = run("blur", "a.zarr", "b.zarr", "c.zarr", "-o", "out/", "--cluster", address)
    assert done.status == 1
    first, last = done.err.splitlines()
    reason = "the cluster had no workers for 0 s; start some, and run again with --skip-existing"
    assert first == f"convcli: 'a.zarr': {reason}"
    assert last == f"0 written, 1 failed, 0 skipped, 2 not tried: {reason}"
    assert {region[0][0] for region in began} <= {0, 128}
    assert len([*place.glob("out/.convcli-*.part")]) == 1


def test_a_cluster_without_workers_is_lost_after_a_while(monkeypatch):
    client = SimpleNamespace(status="running", nthreads=lambda: there)
    there, threads = {"a": 2}, connecting.Threads(client)
    monkeypatch.setattr(connecting, "_COUNT_SECONDS", 0)
    monkeypatch.setattr(connecting, "GONE_SECONDS", 0.02)
    assert (threads.count(), connecting.lost(client, threads)) == (2, "")
    there.clear()
    assert (threads.count(), connecting.lost(client, threads)) == (1, "")
    time.sleep(0.03)
    threads.count()
    assert "the cluster had no workers for 0 s" in connecting.lost(client, threads)


def test_a_part_that_takes_more_than_memory_is_refused(run, address, monkeypatch):
    monkeypatch.setattr(memory, "held", int)
    array_file("a.zarr")
    argv = ("blur", "a.zarr", "-o", "b.zarr", "--cluster", address, "--memory", "60k")
    done = run(*argv)
    assert done.status == 1
    assert "for a part of 128 x 128 pixels, and may hold 61.4 kB; raise --memory" in done.message


def test_a_result_is_written_to_a_url(run, place, address):
    array_file("a.zarr")
    system, _ = fsspec.url_to_fs("memory://")
    assert run("blur", "a.zarr", "-o", "memory://there.zarr", "--cluster", address).status == 0
    assert run("blur", "a.zarr", "-o", "alone.zarr").status == 0
    alone = files_of(place / "alone.zarr")
    assert {name[len("/there.zarr/") :] for name in system.find("/there.zarr")} == {*alone}
    assert all(system.cat_file(f"/there.zarr/{name}") == alone[name] for name in alone)
    system.rm("/there.zarr", recursive=True)


def test_a_worker_of_another_version_refuses_a_part():
    with pytest.raises(ConvcliError, match="was sent to a worker with convcli"):
        regions.done(b"", "0.0.1", ((0, 1), (0, 1)))


def test_a_record_keeps_regions_beside_the_rows_that_are_done():
    kept = []
    record, size = Record("m", b"", kept.append), (10, 10)
    first = record.missing("a", (), (25, 20), size)
    assert len(first) == 6
    for number in (0, 3, 1, 5):
        record.add_region("a", (), first[number], (25, 20))
    assert record.of("a", ()) == 10
    record.keep()
    again = Record("m", kept[-1], kept.append)
    assert again.missing("a", (), (25, 20), size) == [first[2], first[4]]
    assert len(Record("other", kept[-1], kept.append).missing("a", (), (25, 20), size)) == 6
    for number in (2, 4):
        again.add_region("a", (), first[number], (25, 20))
    assert again.of("a", ()) == 25
    assert json.loads(kept[-1]) == {"mark": "m", "rows": {"a/()": 25}, "beside": {}}


def test_threads_of_a_worker_share_its_memory():
    assert work.room_of(5) is work.room_of(5)
