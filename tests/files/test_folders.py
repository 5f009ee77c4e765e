"""A folder that is swapped for a link during a run leads nowhere outside."""

from __future__ import annotations

import os
import random
import threading
from contextlib import suppress

import pytest

from convcli.errors import ConvcliError
from convcli.files import folders, walking, writing
from convcli.files.folders import opened
from convcli.files.job import Request
from convcli.files.jobs import jobs_for
from convcli.files.writing import new_file


@pytest.fixture
def victim(tmp_path):
    """A folder outside, with a file of the name that is written."""
    folder = tmp_path / "victim"
    folder.mkdir()
    (folder / "x.png").write_bytes(b"theirs")
    return folder


@pytest.fixture
def out(tmp_path):
    (tmp_path / "out" / "sub").mkdir(parents=True)
    return tmp_path / "out"


def untouched(victim):
    return [path.name for path in victim.iterdir()] == ["x.png"] and (
        (victim / "x.png").read_bytes() == b"theirs"
    )


def swap(folder, victim):
    """Put a link in the place of a folder."""
    folder.rename(folder.with_name(f"{folder.name}.away"))
    folder.symlink_to(victim)


MOMENTS = ["fsync", "link", "replace", "open", "fchmod"]


@pytest.mark.parametrize("moment", MOMENTS)
@pytest.mark.parametrize("overwrite", [True, False])
@pytest.mark.parametrize("name", ["without a name", "named"])
@pytest.mark.parametrize("level", ["out/sub", "out"])
def test_a_folder_that_becomes_a_link_is_still_the_folder(
    out, victim, monkeypatch, moment, overwrite, name, level
):
    """Swapped just before each system call; the file goes where its folder went, or nowhere."""
    if name == "named":
        monkeypatch.setattr(writing, "_open_without_name", lambda *_: None)
    if overwrite:
        (out / "sub/x.png").write_bytes(b"old")
    folder = out.parent / level
    where = victim if level == "out/sub" else victim.parent / "far"
    if level == "out":
        where.mkdir()
        (where / "sub").symlink_to(victim)
    call = getattr(os, moment)
    swapped = []

    def swapping(*arguments, **places):
        if not swapped and (moment != "open" or places.get("dir_fd") is not None):
            swapped.append(swap(folder, where))
        return call(*arguments, **places)

    monkeypatch.setattr(os, moment, swapping)
    try:
        with new_file(out / "sub/x.png", overwrite, within=str(out)) as file:
            file.write(b"new")
    except OSError:
        assert moment == "open"
    assert untouched(victim)
    monkeypatch.undo()
    kept = victim.parent / ("out/sub.away" if level == "out/sub" else "out.away/sub")
    if swapped and moment != "open":
        assert [path.name for path in kept.iterdir()] == ["x.png"]
        assert (kept / "x.png").read_bytes() == b"new"


def test_a_folder_that_has_become_a_link_is_refused(out, victim):
    swap(out / "sub", victim)
    with (
        pytest.raises(ConvcliError, match=r"would be written outside .*, because a link"),
        new_file(out / "sub/x.png", overwrite=True, within=str(out)),
    ):
        pytest.fail("opened")
    assert untouched(victim)


@pytest.mark.parametrize("inside", ["deeper/sub", "../out/other"])
def test_links_that_stay_inside_are_followed(out, inside):
    (out / "deeper/sub").mkdir(parents=True)
    (out / "other").mkdir()
    (out / "link").symlink_to(inside)
    with new_file(out / "link/x.png", within=str(out)) as file:
        file.write(b"new")
    assert (out / inside / "x.png").read_bytes() == b"new"


def test_missing_folders_are_made_and_not_through_links(out, victim):
    with new_file(out / "a/b/x.png", within=str(out)) as file:
        file.write(b"new")
    assert (out / "a/b/x.png").read_bytes() == b"new"
    swap(out / "sub", victim)
    with pytest.raises(ConvcliError), new_file(out / "sub/a/x.png", within=str(out)):
        pytest.fail("opened")
    assert untouched(victim)


@pytest.mark.parametrize("make", [False, True])
def test_no_link_is_followed_on_the_way(out, victim, make):
    (out / "link").symlink_to(victim)
    for path in (out / "link", out / "link/deeper"):
        with pytest.raises(NotADirectoryError), opened(str(path), make):
            pytest.fail("opened")
    assert untouched(victim)


def test_a_folder_that_may_only_be_searched_is_on_the_way(out):
    """As nobody: root may read every folder."""
    if os.geteuid() or not hasattr(os, "O_PATH"):
        pytest.skip("root can become another user; other systems need more rights")
    child = os.fork()
    if not child:
        try:
            for folder in (*reversed(out.parents), out):
                folder.chmod(folder.stat().st_mode | 0o011) if folder.stat().st_uid == 0 else None
            out.chmod(0o711)
            (out / "sub").chmod(0o777)
            os.setuid(65534)
            with new_file(out / "sub/x.png") as file:
                file.write(b"new")
            os._exit(0)
        except BaseException:
            os._exit(1)
    assert os.waitpid(child, 0)[1] == 0


@pytest.mark.parametrize("fails", [None, "nowhere"])
def test_no_descriptor_is_left_open(out, fails):
    before = len(os.listdir("/dev/fd"))
    for _ in range(5):
        try:
            with opened(str(out / (fails or "sub"))):
                pass
        except FileNotFoundError:
            assert fails
    assert len(os.listdir("/dev/fd")) == before


def test_a_folder_that_changes_all_the_time_never_leads_outside(out, victim):
    """A thread swaps the folder for a link and back, at random."""
    sub, away = out / "sub", out / "away"
    ended = threading.Event()
    random.seed(1)

    def swapping():
        while not ended.wait(random.random() / 2000):
            sub.rename(away)
            with suppress(FileExistsError):  # it was missed, and made
                sub.symlink_to(victim)
                sub.unlink()
            while away.exists():
                with suppress(OSError):  # missed and made again
                    away.rename(sub)
                    break
                sub.rename(out / f"made-{random.random()}")

    thread = threading.Thread(target=swapping)
    thread.start()
    written = 0
    try:
        for number in range(400):
            try:
                with new_file(sub / f"{number}.png", within=str(out)) as file:
                    file.write(b"new")
                written += 1
            except (OSError, ConvcliError):
                pass  # realpath fails with EINVAL where a link becomes a folder meanwhile
    finally:
        ended.set()
        thread.join()
    assert untouched(victim)
    assert len(list(out.rglob("*.png"))) == written > 0


# --- inputs


def request(existing="overwrite", output="result"):
    return Request("blur", ("in",), output=output, recursive=True, existing=existing)


@pytest.fixture
def tree(tmp_path, victim, monkeypatch):
    for name in ("in/a/x.png", "in/b/x.png"):
        (tmp_path / name).parent.mkdir(parents=True)
        (tmp_path / name).write_bytes(b"ours")
    monkeypatch.chdir(tmp_path)
    return tmp_path


def test_a_folder_that_becomes_a_link_during_a_walk_is_not_read(tree, victim, monkeypatch):
    (victim / "secret.png").touch()
    listing = walking._listing

    def swapping(place):
        if not os.path.islink("in/b"):
            swap(tree / "in/b", victim)
        return listing(place)

    monkeypatch.setattr(walking, "_listing", swapping)
    jobs = jobs_for(request())
    assert "secret.png" not in {os.path.basename(job.source_name) for job in jobs}


@pytest.mark.parametrize("swapped", ["in/b", "in/b/x.png", "in"])
def test_a_file_that_becomes_a_link_after_a_walk_is_not_read(tree, victim, swapped):
    (victim / "a").mkdir()
    (victim / "b").mkdir()
    (victim / "b/x.png").touch()
    jobs = {job.source_name: job for job in jobs_for(request())}
    where = {"in/b": victim, "in/b/x.png": victim / "x.png", "in": victim}[swapped]
    walking.check_stays(jobs["in/b/x.png"])
    swap(tree / swapped, where)
    with pytest.raises(ConvcliError, match="is a link to a file outside the folder"):
        walking.check_stays(jobs["in/b/x.png"])


def test_folders_are_opened_one_level_at_a_time(out, monkeypatch):
    """Each step is of one name, so that no link above is followed either."""
    asked = []
    call = os.open
    monkeypatch.setattr(
        folders.os, "open", lambda name, *a, **k: asked.append(name) or call(name, *a, **k)
    )
    with opened(str(out / "sub")):
        pass
    assert asked == ["/", *str(out / "sub").strip("/").split("/")]
