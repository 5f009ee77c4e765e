"""Jobs that are too many to be held are the same, and are checked as well."""

from __future__ import annotations

import os
import tracemalloc

import pytest

from convcli.errors import ConvcliError
from convcli.files import jobs as made
from convcli.files.job import Request
from convcli.files.many import ManyJobs, Rest


@pytest.fixture(autouse=True)
def tree(tmp_path, monkeypatch):
    """Twelve names of images in three folders, and one link out of them."""
    monkeypatch.chdir(tmp_path)
    for number in range(12):
        path = tmp_path / "in" / str(number % 3) / f"{number:02}.png"
        path.parent.mkdir(parents=True, exist_ok=True)
        path.touch()
    (tmp_path / "outside.png").touch()
    os.symlink(tmp_path / "outside.png", tmp_path / "in" / "link.png")
    return tmp_path


def jobs_for(most, monkeypatch, **options):
    monkeypatch.setattr(made, "MOST_HELD", most)
    request = {"inputs": ("in",), "recursive": True, "output": "out"} | options
    return made.jobs_for(Request("blur", **request))


def fields(jobs):
    names = ("source_name", "target_name", "format", "problem", "skip", "found_in", "within")
    return [tuple(getattr(job, name) for name in names) for job in jobs]


@pytest.mark.parametrize("existing", ["refuse", "overwrite", "skip", "newer"])
def test_they_are_those_that_are_held(existing, tree, monkeypatch):
    if existing != "refuse":
        (tree / "out" / "1").mkdir(parents=True)
        (tree / "out" / "1" / "04.png").touch()
    held = jobs_for(100, monkeypatch, existing=existing)
    many = jobs_for(5, monkeypatch, existing=existing)
    assert isinstance(held, list)
    assert isinstance(many, ManyJobs)
    assert fields(many) == fields(held) == fields(many)
    assert (len(many), many.formats) == (13, {"PNG"})
    assert fields(Rest(many)) == fields(held)


REFUSED = {
    "existing": {},
    "input": {"output": "in", "existing": "overwrite"},
    "clash": {"flat": True, "inputs": ("in", "more")},
}


@pytest.mark.parametrize("name", REFUSED)
def test_they_are_refused_like_those_that_are_held(name, tree, monkeypatch):
    (tree / "out" / "1").mkdir(parents=True)
    (tree / "more").mkdir()
    if name == "existing":
        for each in ("04", "07"):
            (tree / "out" / "1" / f"{each}.png").touch()
    (tree / "more" / "07.png").touch()
    said = set()
    for most in (100, 5):
        with pytest.raises(ConvcliError) as raised:
            jobs_for(most, monkeypatch, **REFUSED[name])
        said.add(str(raised.value))
    assert len(said) == 1


def test_memory_does_not_grow_with_their_number(tree, monkeypatch):
    for number in range(1500):
        path = tree / "in" / str(number // 500) / f"{number}-of-many.png"
        path.parent.mkdir(exist_ok=True)
        path.touch()
    taken = []
    jobs_for(50, monkeypatch)  # which imports what is needed
    for most in (10_000, 50):
        tracemalloc.start()
        jobs = jobs_for(most, monkeypatch)
        # Threads of earlier tests may take some as well.
        ours = [tracemalloc.Filter(True, each) for each in ("*/files/*", "*posixpath*")]
        found = tracemalloc.take_snapshot().filter_traces(ours).statistics("filename")
        taken.append(sum(each.size for each in found) / len(jobs))
        tracemalloc.stop()
        del jobs
    assert taken[1] < 30 < 150 < taken[0]


def test_every_way_does_many_as_it_does_few(tree, run, picture_file, monkeypatch):
    for number in range(5):
        picture_file(f"photos/{number}.png")
    (tree / "photos" / "bad.png").write_bytes(b"no image")
    results = []
    for most, output in ((100, "few"), (2, "many")):
        monkeypatch.setattr(made, "MOST_HELD", most)
        argv = ("blur", "photos", "-r", "-o", output, "-m", "numpy")
        first, again = run(*argv), run(*argv, "--skip-existing")
        folder = tree / output
        files = {name: (folder / name).read_bytes() for name in os.listdir(folder)}
        results.append((first.status, first.err, again.status, again.err, files))
    assert results[0] == results[1]
    assert "5 written, 1 failed, 0 skipped" in results[1][1]
    assert "0 written, 1 failed, 5 skipped" in results[1][3]
