"""Jobs on a cluster in this process: outcomes, refusals, batches, and what runs twice."""

from __future__ import annotations

import json
import os
import pickle
import socket
import sys
import threading
import time
from collections import deque
from contextlib import suppress
from functools import cache
from types import SimpleNamespace

import numpy as np
import pytest
from distributed import KilledWorker

import convcli
from convcli import memory
from convcli.batch.outcome import Outcome
from convcli.batch.pipeline import Pipeline
from convcli.cluster import connecting, work
from convcli.cluster.run import Run, elsewhere, here
from convcli.errors import ConvcliError
from convcli.files.job import Job
from convcli.filtering.filters import blur
from convcli.filtering.options import Options


@pytest.fixture
def tree(tmp_path, picture_file, monkeypatch):
    """A folder of images, one of them damaged, one without a suffix of its format."""
    for number in range(6):
        picture_file(f"in/{number % 2}/{number}.png")
    (tmp_path / "in" / "bad.jpg").write_bytes(b"no image")
    (tmp_path / "kernel.txt").write_text("1 2 1")
    picture_file("mask.png", np.arange(48 * 64, dtype=np.uint8).reshape(48, 64))
    monkeypatch.chdir(tmp_path)
    return tmp_path


def files_of(folder):
    return {
        str(path.relative_to(folder)): path.read_bytes()
        for path in folder.rglob("*")
        if path.is_file()
    }


COMMANDS = {
    "blur": ("blur", "--sigma", 1, "-m", "numpy"),
    "chain": ("chain", "blur --sigma 1 | sharpen", "-m", "numpy"),
    "bank": ("bank", "haar", "-m", "definition"),
    "kernel file": ("filter", "-k", "kernel.txt", "-m", "numpy"),
    "mask": ("sharpen", "--mask", "mask.png", "-m", "numpy"),
    "edge": ("edge", "-m", "numpy", "--stretch", "--format", "webp"),
}


@pytest.mark.parametrize("command", COMMANDS)
def test_a_cluster_does_what_one_machine_does(command, tree, run, address, monkeypatch):
    def lines(done):
        found = [json.loads(line) for line in done.text.splitlines()]
        differing = dict.fromkeys(("seconds", "times", "predicted", "output"))
        return sorted((each | differing for each in found), key=str)

    argv = (*COMMANDS[command], "in", "-r", "--json")
    alone = run(*argv, "-o", "alone")
    pipeline = work._pipeline.__wrapped__

    def in_another_folder(orders):
        with monkeypatch.context() as patch:
            patch.chdir("/")
            return pipeline(orders)

    monkeypatch.setattr(work, "_pipeline", cache(in_another_folder))
    there = run(*argv, "-o", "there", "--cluster", address)
    assert there.status == alone.status == 1
    assert there.err == alone.err
    assert lines(there) == lines(alone)
    assert files_of(tree / "there") == files_of(tree / "alone")


def test_existing_outputs_are_refused_replaced_or_skipped(tree, run, address):
    argv = ("blur", "in/0", "-r", "-o", "out", "-q", "--cluster", address)
    assert run(*argv).status == 0
    again = run(*argv)
    assert again.status == 2
    assert "exist; use --overwrite" in again.err
    before = files_of(tree / "out")
    (tree / "out" / "2.png").write_bytes(b"")
    assert run(*argv, "--skip-existing").status == 0
    assert (tree / "out" / "2.png").read_bytes() == b""
    assert run(*argv, "--overwrite").status == 0
    assert files_of(tree / "out") == before


def free_port():
    with socket.socket() as opened:
        opened.bind(("127.0.0.1", 0))
        return opened.getsockname()[1]


@pytest.mark.parametrize(
    ("argv", "reason"),
    [
        (("in", "--cluster", "host:8786"), "'host:8786' is no scheduler file; name one, an add"),
        (("in", "--cluster", "local:0"), "starts N workers here, 1 to 1000, not '0'"),
        (("in", "--cluster", "in/bad.jpg"), "is no scheduler file (Expecting value"),
        (("--in-place", "--cluster", "{}", "in"), "--in-place and --cluster cannot be used"),
        (("--workers", "2", "--cluster", "{}", "in"), "--workers and --cluster cannot be used"),
        (("--cluster", "{}", "in/bad.jpg", "-o", "-"), "--cluster reads and writes files"),
        (("--cluster", "{}", "-", "-o", "x.png"), "--cluster reads and writes files"),
    ],
)
def test_what_a_cluster_cannot_do_is_refused(argv, reason, tree, run, address):
    done = run("blur", "-r", *(word.format(address) for word in argv))
    assert done.status == 2
    assert reason in done.message


def silent(_connection):
    time.sleep(3)


def another(connection):
    connection.sendall(b"HTTP/1.1 400 Bad Request" * 9)


@pytest.mark.parametrize(
    ("answer", "text"),
    [
        (None, "no scheduler answers there (Timed out trying to connect to"),
        (silent, "no scheduler answers there (it did not answer for 0.5 s)"),
        (another, "no scheduler answers there (something else answers there)"),
    ],
)
def test_a_scheduler_that_is_not_there_is_reported_in_time(answer, text, tree, run, monkeypatch):
    monkeypatch.setattr(connecting, "PATIENCE_SECONDS", 0.5)
    start = time.monotonic()
    with socket.create_server(("127.0.0.1", 0)) as server:
        port = server.getsockname()[1] if answer else free_port()

        def accept():
            with suppress(OSError), server.accept()[0] as connection:
                answer(connection)

        if answer:
            threading.Thread(target=accept, daemon=True).start()
        done = run("blur", "in", "-r", "-o", "out", "--cluster", f"tcp://127.0.0.1:{port}")
    assert time.monotonic() - start < 3
    assert done.status == 2
    assert text in done.message
    assert not (tree / "out").exists()


def test_workers_that_are_started_here_keep_freed_memory():
    """Dask would set the variable, in whose presence the C library of Linux keeps none."""
    with connecting.connected("local:1") as client:
        (found,) = client.run(os.environ.get, connecting._TRIM).values()
    assert found is None


def test_without_the_package_the_option_says_what_to_install(tree, run, monkeypatch):
    monkeypatch.setitem(sys.modules, "distributed", None)
    done = run("blur", "in", "-r", "-o", "out", "--cluster", "local:2")
    assert done.status == 2
    assert "needs the package distributed" in done.message
    assert done.message.endswith("install the extra 'cluster'")


def test_workers_that_cannot_do_the_jobs_are_named_in_one_line():
    missing = Exception("ModuleNotFoundError(\"No module named 'convcli'\")")
    broken = Exception("ImportError('PIL is\nbroken')")
    answers = {"tcp://a:1": missing, "tcp://b:1": "", "tcp://c:1": missing, "tcp://d:1": broken}
    client = SimpleNamespace(run=lambda *_, on_error: answers)
    with pytest.raises(ConvcliError) as raised:
        connecting.check_workers(client, work.problem_here)
    assert str(raised.value) == (
        "worker tcp://a:1, tcp://c:1 has no convcli; worker tcp://d:1 cannot run convcli: "
        r"ImportError('PIL is\nbroken')"
    )


def pipeline_for(_preview):
    return Pipeline(blur, Options(method="numpy"))


def orders():
    return pickle.dumps(work.Orders(pipeline_for, 1, 1, None))


@pytest.mark.parametrize(
    ("version", "probe", "size", "problem"),
    [
        (convcli.__version__, "there", 3, ""),
        ("0.0.1", "there", 3, f"has convcli {convcli.__version__}, not 0.0.1"),
        (convcli.__version__, "away", 3, "does not see the folder"),
        (convcli.__version__, "there", 4, "sees a different file"),
    ],
)
def test_a_worker_looks_for_the_version_and_the_disk(version, probe, size, problem, tmp_path):
    (tmp_path / "there").touch()
    (tmp_path / "a.png").write_bytes(b"123")
    source = str(tmp_path / "a.png"), size
    found = work.problem_here(orders(), version, str(tmp_path / probe), source)
    assert problem in found
    assert bool(problem) == bool(found)


def test_a_batch_that_runs_twice_does_no_harm(picture_file, tmp_path):
    """Its outputs are those of the first time; a file of others stays, and is a failure."""
    names = [(picture_file(f"{name}.png"), tmp_path / f"out/{name}.png") for name in "ab"]
    jobs = [elsewhere(Job(source, target, "PNG")) for source, target in names]
    first = work.done(orders(), convcli.__version__, jobs)
    assert [outcome.status for outcome in first.outcomes] == ["written", "written"]
    (tmp_path / "out" / "b.png").write_bytes(b"other")
    (one, other) = work.done(orders(), convcli.__version__, jobs).outcomes
    assert one.status == "written"
    assert (other.status, "exists" in other.reason) == ("failed", True)
    assert (tmp_path / "out" / "b.png").read_bytes() == b"other"


def test_a_job_has_absolute_names_elsewhere_and_its_own_here(monkeypatch, tmp_path):
    monkeypatch.chdir(tmp_path)
    job = Job("in/a.png", "out/a.png", "PNG", parts=("x",), found_in="/in", within="/out")
    there = elsewhere(job)
    assert (there.source_name, there.target_name) == (
        f"{tmp_path}/in/a.png",
        f"{tmp_path}/out/a.png",
    )
    for name in ("format", "parts", "found_in", "within"):
        assert getattr(there, name) == getattr(job, name)
    outcome = here(
        job, Outcome(there, "failed", f"cannot write '{tmp_path}/out/a.png': it is full")
    )
    assert outcome == Outcome(job, "failed", "cannot write 'out/a.png': it is full")
    assert elsewhere(Job("s3://a/b.png", "c.png", None)).source_name == "s3://a/b.png"


def planned(jobs, threads, pace=()):
    """A run that is not connected."""
    run = Run.__new__(Run)
    run.todo, run.threads = deque(jobs), SimpleNamespace(count=lambda: threads)
    run.pace, run.known = deque(pace), []
    run.alone, run.at_work, run.is_last = deque(), {}, False
    return run


@pytest.mark.parametrize(
    ("jobs", "threads", "pace", "size"),
    [
        (100_000, 4, [], 1),
        (100_000, 4, [0.01] * 19 + [5.0], 200),
        (100_000, 4, [1e-6], 2000),
        (100_000, 4, [7.0], 1),
        (100, 4, [0.001], 13),  # the last ones are shared by all threads
    ],
)
def test_batches_take_about_two_seconds(jobs, threads, pace, size):
    assert planned(range(jobs), threads, pace).batch_size() == size


def test_an_image_that_ends_its_workers_does_not_take_others_with_it():
    error = KilledWorker("done", None, 3)
    run = planned([], 2)
    jobs = [Job(f"{n}.png", f"out/{n}.png", None) for n in "abc"]
    assert list(run.failed(jobs, error)) == []
    assert [*run.alone] == jobs
    run.is_last = True
    (outcome,) = run.failed(jobs[:1], error)
    assert (outcome.status, outcome.reason) == ("failed", "each worker that tried it died")


def test_a_full_disk_stops_the_run(tree, run, address, monkeypatch):
    def full(*_arguments, **_settings):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr("convcli.image.encoding.new_file", full)
    monkeypatch.setattr(work, "_pipeline", work._pipeline.__wrapped__)
    done = run("blur", "in/0", "in/1", "-r", "-o", "out", "--cluster", address)
    assert done.status == 1
    assert "not tried: No space left on device" in done.err.splitlines()[-1]


def test_jobs_that_others_cancel_are_reported(tree, address):
    with connecting.connected(address) as client:
        jobs = [Job(f"in/0/{n}.png", f"out/{n}.png", "PNG") for n in (0, 2)]
        there = Run(jobs, client, slow_pipeline_for, None)
        there.submit()
        client.cancel([future for future, _ in there.at_work.values()])
        found = [*there.outcomes(threading.Event())]
    assert [(each.status, each.reason) for each in found] == [
        ("failed", "was cancelled on the cluster")
    ] * 2


def slow_pipeline_for(_preview):
    time.sleep(0.3)
    return pipeline_for(_preview)


def test_many_jobs_are_listed_while_they_are_done(tree, run, address, monkeypatch):
    monkeypatch.setattr("convcli.files.jobs.MOST_HELD", 2)
    argv = ("blur", "in", "-r", "-o", "many", "-m", "numpy", "--cluster", address)
    assert "6 written, 1 failed, 0 skipped" in run(*argv).err
    (tree / "many" / "1" / "3.png").unlink()
    assert "1 written, 1 failed, 5 skipped" in run(*argv, "--skip-existing").err
    run("blur", "in", "-r", "-o", "alone", "-m", "numpy")
    assert files_of(tree / "many") == files_of(tree / "alone")


@pytest.mark.parametrize(("limit", "asked", "most"), [
    (None, 500, 500), (0, None, None), (1000, None, None), (1000, 500, 500), (1000, 900, 800),
])  # fmt: skip
def test_a_worker_stays_below_the_limit_that_it_has_by_dask(limit, asked, most, monkeypatch):
    own = SimpleNamespace(memory_manager=SimpleNamespace(memory_limit=limit and limit << 20))
    monkeypatch.setattr("distributed.get_worker", lambda: own)
    try:
        assert work.allowed(asked and asked << 20) == (most and most << 20)
        assert not limit or memory.available() < 800 << 20
    finally:
        memory.keep_below(None)
