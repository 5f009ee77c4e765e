"""Files are written completely or not at all, and an old file stays until then."""

from __future__ import annotations

import errno
import io
import os
import stat
import subprocess
import sys
import threading
import time

import pytest

from convcli.files import writing
from convcli.files.writing import new_file, remove_unfinished

NAMINGS = ["without a name", "named"]


@pytest.fixture(params=NAMINGS, autouse=True)
def naming(request, monkeypatch):
    """Run every test twice: with files without a name until the end, and with hidden names."""
    if request.param == "named":
        monkeypatch.setattr(writing, "_open_without_name", lambda *_: None)
    return request.param


@pytest.fixture
def old(tmp_path):
    """A file that exists."""
    path = tmp_path / "old.bin"
    path.write_bytes(b"old")
    return path


def write(path, content=b"new", overwrite=True, meanwhile=lambda: None):
    with new_file(path, overwrite) as file:
        file.write(content)
        meanwhile()


def names_in(folder):
    return sorted(path.name for path in folder.iterdir())


def test_a_new_file_holds_what_was_written(tmp_path):
    write(tmp_path / "a", overwrite=False)
    assert (tmp_path / "a").read_bytes() == b"new"
    assert names_in(tmp_path) == ["a"]


def test_nothing_has_the_name_before_the_end(tmp_path, naming):
    with new_file(tmp_path / "a") as file:
        file.write(b"new")
        names = names_in(tmp_path)
    if naming == "named":  # hidden, and with a suffix that no pattern for images matches
        assert names[0].startswith(".")
        assert names[0].endswith(".part")
    assert len(names) == (naming == "named")


def test_encoders_in_c_do_not_get_at_the_file(old):
    """Pillow's encoders write to a file's descriptor, and ignore a short write."""
    with pytest.raises(io.UnsupportedOperation), new_file(old, True) as file:
        file.fileno()


SAVE = """
import io, resource, sys
from pathlib import Path
import numpy
from convcli import image
from convcli.files import writing
from convcli.image import Picture
if sys.argv[2] == "named":
    writing._open_without_name = lambda *_: None
pixels = numpy.random.default_rng(0).integers(0, 256, (100, 333, 3), "uint8")
picture = Picture(pixels, "RGB", "PNG")
whole = io.BytesIO()
image.write(picture, whole, sys.argv[3])
most = len(whole.getvalue()) - 100
resource.setrlimit(resource.RLIMIT_FSIZE, (most, most))
image.write(picture, Path(sys.argv[1]), sys.argv[3], overwrite=True)
"""


@pytest.mark.parametrize("format_name", ["BMP", "PPM", "TIFF", "PNG", "GIF", "JPEG", "WEBP"])
def test_a_picture_that_is_cut_at_its_end_is_not_taken_for_whole(old, naming, format_name):
    done = subprocess.run(
        [sys.executable, "-c", SAVE, old, naming, format_name],
        capture_output=True,
        text=True,
        timeout=60,
    )
    assert done.returncode == 1
    assert "OSError: [Errno 27] File too large" in done.stderr
    assert old.read_bytes() == b"old"
    assert names_in(old.parent) == ["old.bin"]


@pytest.mark.parametrize("error", [ValueError, OSError, KeyboardInterrupt, SystemExit])
@pytest.mark.parametrize("overwrite", [True, False])
def test_an_error_while_writing_leaves_no_trace(old, error, overwrite):
    def fail():
        raise error

    path = old if overwrite else old.with_name("new.bin")
    with pytest.raises(error):
        write(path, b"half", overwrite, fail)
    assert old.read_bytes() == b"old"
    assert names_in(old.parent) == ["old.bin"]


@pytest.mark.parametrize(
    ("naming", "call"),
    [
        *((naming, call) for naming in NAMINGS for call in ("fsync", "fchmod", "replace", "open")),
        ("without a name", "link"),  # a file with a name is renamed
    ],
    indirect=["naming"],
)
def test_a_file_system_that_refuses_leaves_the_old_file(old, monkeypatch, naming, call):
    def full(*_arguments, **_settings):
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    with monkeypatch.context() as patch:
        patch.setattr(os, call, full)
        with pytest.raises(OSError, match="No space left on device"):
            write(old)
    assert old.read_bytes() == b"old"
    assert names_in(old.parent) == ["old.bin"]


def test_a_disk_that_is_full_at_the_last_moment_leaves_the_old_file(old, monkeypatch):
    def full(_file):
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    with monkeypatch.context() as patch:
        patch.setattr(writing._Whole, "flush", full)
        with pytest.raises(OSError, match="No space left on device"):
            write(old)
    assert old.read_bytes() == b"old"
    assert names_in(old.parent) == ["old.bin"]


@pytest.mark.parametrize("mode", [0o600, 0o640, 0o664, 0o755])
def test_an_old_file_keeps_its_permissions(old, mode):
    old.chmod(mode)
    write(old)
    assert (old.read_bytes(), stat.S_IMODE(old.stat().st_mode)) == (b"new", mode)


@pytest.mark.parametrize("umask", [0o022, 0o077, 0o002])
def test_a_new_file_has_the_permissions_of_any_new_file(tmp_path, umask):
    before = os.umask(umask)
    try:
        write(tmp_path / "a")
    finally:
        os.umask(before)
    assert stat.S_IMODE((tmp_path / "a").stat().st_mode) == 0o666 & ~umask


def test_a_new_file_can_be_for_its_owner_alone(tmp_path):
    with new_file(tmp_path / "a", mode=0o600) as file:
        file.write(b"new")
    assert stat.S_IMODE((tmp_path / "a").stat().st_mode) == 0o600


@pytest.mark.skipif(os.geteuid() != 0, reason="only root may give files away")
def test_an_old_file_keeps_its_owner_and_set_user_id(old):
    os.chown(old, 12345, 54321)
    old.chmod(0o4755)
    write(old)
    status = old.stat()
    assert (old.read_bytes(), status.st_uid, status.st_gid) == (b"new", 12345, 54321)
    assert stat.S_IMODE(status.st_mode) == 0o4755


def test_an_owner_that_cannot_be_kept_is_no_error(old, monkeypatch):
    asked = []

    def refuse(_number, owner, group):
        asked.append((owner, group))
        raise PermissionError(1, os.strerror(1))

    monkeypatch.setattr(os, "fchown", refuse)
    old.chmod(0o640)
    before = old.stat()
    write(old)
    assert asked == [(before.st_uid, before.st_gid), (-1, before.st_gid)]
    assert (old.read_bytes(), stat.S_IMODE(old.stat().st_mode)) == (b"new", 0o640)


def test_a_read_only_file_is_meant_to_stay(old, monkeypatch):
    old.chmod(0o444)
    monkeypatch.setattr(os, "access", lambda *_, **__: False)  # root may write anywhere
    with pytest.raises(PermissionError):
        write(old)
    assert old.read_bytes() == b"old"


def test_a_symbolic_link_stays_a_link(old):
    folder = old.with_name("links")
    folder.mkdir()
    link = folder / "link.bin"
    link.symlink_to("../old.bin")
    write(link)
    assert link.is_symlink()
    assert old.read_bytes() == b"new"
    assert names_in(folder) == ["link.bin"]


def test_a_dangling_link_is_filled(tmp_path):
    link = tmp_path / "link"
    link.symlink_to("there")
    write(link, overwrite=False)
    assert link.is_symlink()
    assert (tmp_path / "there").read_bytes() == b"new"


@pytest.mark.parametrize("kind", ["file", "folder", "link"])
def test_what_exists_is_not_replaced_unasked(old, kind):
    path = old.with_name("there")
    {"file": path.touch, "folder": path.mkdir, "link": lambda: path.symlink_to(old)}[kind]()
    with pytest.raises(FileExistsError), new_file(path):
        pytest.fail("opened")
    assert old.read_bytes() == b"old"


@pytest.mark.parametrize(
    ("naming", "links"),
    [
        ("without a name", True),
        ("named", True),
        ("named", False),
    ],  # without a name links are needed
    indirect=["naming"],
)
def test_a_file_that_appears_meanwhile_is_not_replaced(tmp_path, monkeypatch, naming, links):
    path = tmp_path / "a"
    if not links:

        def refuse(*_names, **_places):
            raise OSError(errno.EPERM, os.strerror(errno.EPERM))

        monkeypatch.setattr(os, "link", refuse)
    with pytest.raises(FileExistsError):
        write(path, overwrite=False, meanwhile=lambda: path.write_bytes(b"theirs"))
    assert path.read_bytes() == b"theirs"
    assert names_in(tmp_path) == ["a"]


def test_without_hard_links_a_new_file_is_renamed(tmp_path, monkeypatch):
    monkeypatch.setattr(writing, "_open_without_name", lambda *_: None)

    def refuse(*_names, **_places):
        raise OSError(errno.EOPNOTSUPP, os.strerror(errno.EOPNOTSUPP))

    monkeypatch.setattr(os, "link", refuse)
    write(tmp_path / "a", overwrite=False)
    assert (tmp_path / "a").read_bytes() == b"new"
    assert names_in(tmp_path) == ["a"]


def test_two_writers_of_one_name_leave_one_whole_file(tmp_path):
    path = tmp_path / "a"
    both = threading.Barrier(2)
    lost = []

    def writer(content):
        try:
            with new_file(path) as file:
                file.write(content)
                both.wait(10)
        except FileExistsError:
            lost.append(content)

    threads = [threading.Thread(target=writer, args=(bytes([c]) * 9000,)) for c in (1, 2)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(10)
    assert len(lost) == 1
    assert path.read_bytes() in (bytes([1]) * 9000, bytes([2]) * 9000)
    assert path.read_bytes() != lost[0]
    assert names_in(tmp_path) == ["a"]


def test_a_name_of_255_bytes_can_be_written(tmp_path):
    path = tmp_path / ("é" * 125 + ".json")
    write(path)
    assert path.read_bytes() == b"new"


@pytest.fixture
def device(tmp_path):
    """Make a device in the folder of the test: broken code could replace one of the system."""

    def make(number):
        path = tmp_path / "device"
        try:
            os.mknod(path, stat.S_IFCHR | 0o666, os.makedev(1, number))
            path.write_bytes(b"")
        except (AttributeError, PermissionError):
            pytest.skip("only root may make devices, and not everywhere")
        return path

    return make


def test_a_device_is_written_directly(device):
    null = device(3)
    write(null)
    assert stat.S_ISCHR(null.stat().st_mode)


def test_a_fifo_is_written_directly(tmp_path):
    fifo = tmp_path / "fifo"
    os.mkfifo(fifo)
    reader = os.open(fifo, os.O_RDONLY | os.O_NONBLOCK)
    write(fifo)
    assert os.read(reader, 100) == b"new"
    os.close(reader)
    assert stat.S_ISFIFO(fifo.stat().st_mode)


def test_a_device_that_is_full_says_so(device):
    with pytest.raises(OSError, match="No space left on device"):
        write(device(7))


def test_a_missing_folder_is_an_error(tmp_path):
    with pytest.raises(FileNotFoundError):
        write(tmp_path / "no" / "a")


@pytest.mark.parametrize("lacking", ["O_TMPFILE", "proc", "file system"])
def test_where_there_are_no_files_without_a_name_they_have_one(tmp_path, monkeypatch, lacking):
    if lacking == "O_TMPFILE":
        monkeypatch.delattr(os, "O_TMPFILE", raising=False)
    elif lacking == "proc":
        monkeypatch.setattr(os.path, "isdir", lambda _path: False)
    else:

        def refuse(path, flags, *mode, _open=os.open, **place):
            if flags & os.O_TMPFILE == os.O_TMPFILE:
                raise OSError(errno.EOPNOTSUPP, os.strerror(errno.EOPNOTSUPP))
            return _open(path, flags, *mode, **place)

        monkeypatch.setattr(os, "open", refuse)
    with new_file(tmp_path / "a") as file:
        file.write(b"new")
        assert names_in(tmp_path) != []
    assert (tmp_path / "a").read_bytes() == b"new"
    assert names_in(tmp_path) == ["a"]


def test_a_dying_process_can_remove_what_is_unfinished(old, monkeypatch):
    monkeypatch.setattr(writing, "_open_without_name", lambda *_: None)
    with pytest.raises(FileNotFoundError):  # this process goes on, without its temporary file
        write(old, meanwhile=remove_unfinished)
    assert old.read_bytes() == b"old"
    assert names_in(old.parent) == ["old.bin"]
    assert not writing._unfinished


@pytest.mark.parametrize("size", [10, 1000])
def test_a_file_goes_to_the_disk_while_it_grows(tmp_path, monkeypatch, size):
    synced, sync = [], os.fsync
    monkeypatch.setattr(writing, "_SYNCED", 300)
    monkeypatch.setattr(os, "fsync", lambda number: synced.append(number) or sync(number))
    with new_file(tmp_path / "a") as file:
        for _ in range(4):
            file.write(b"x" * size)
            time.sleep(0.01)
        before = len(synced)
    assert (before > 1) == (size == 1000)
    assert len(synced) > before
    assert (tmp_path / "a").read_bytes() == b"x" * 4 * size


@pytest.mark.parametrize("ends", [True, False])
def test_an_error_of_the_disk_behind_is_not_lost(tmp_path, monkeypatch, ends):
    """The system reports it to one call of `fsync` only."""
    errors = [OSError(errno.EIO, "Input/output error")]

    def fail_once(_number):
        if errors:
            raise errors.pop()

    monkeypatch.setattr(writing, "_SYNCED", 1)
    monkeypatch.setattr(os, "fsync", fail_once)
    with pytest.raises(OSError, match="Input/output error"), new_file(tmp_path / "a") as file:  # noqa: PT012
        file.write(b"x")
        if not ends:
            time.sleep(0.05)
            file.write(b"x")
    assert list(tmp_path.iterdir()) == []


def test_a_file_is_closed_only_when_the_disk_has_it(tmp_path, monkeypatch):
    """Its number would become that of another file, which would be synced instead."""
    states = []

    def slow(number):
        time.sleep(0.1)
        states.append(os.fstat(number).st_size)

    monkeypatch.setattr(writing, "_SYNCED", 1)
    monkeypatch.setattr(os, "fsync", slow)
    with pytest.raises(ZeroDivisionError), new_file(tmp_path / "a") as file:  # noqa: PT012
        file.write(b"x" * (1 << 20))
        time.sleep(0.02)
        raise ZeroDivisionError
    assert states == [1 << 20]
