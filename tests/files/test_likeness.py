"""A replaced file passes on its rights and attributes, and nobody gets more rights."""

from __future__ import annotations

import errno
import os
import stat
import struct

import pytest

from convcli.files import likeness, writing
from convcli.files.writing import new_file

ACCESS = "system.posix_acl_access"
DEFAULT = "system.posix_acl_default"
UNDEFINED = 0xFFFFFFFF
USER_OBJ, USER, GROUP_OBJ, GROUP, MASK, OTHER = 1, 2, 4, 8, 16, 32  # acl(5)


def access_list(*entries):
    """An access control list as Linux stores it: a version, and tag, rights and id of each."""
    return struct.pack("<I", 2) + b"".join(struct.pack("<HHI", *entry) for entry in entries)


def bob_and(group, mask, other, user=USER, bob=65534):
    return access_list(
        (USER_OBJ, 6, UNDEFINED),
        *([(user, 6, bob)] if user == USER else []),
        (GROUP_OBJ, group, UNDEFINED),
        *([(user, 6, bob)] if user == GROUP else []),
        (MASK, mask, UNDEFINED),
        (OTHER, other, UNDEFINED),
    )


LISTS = {
    "a user": bob_and(0, 6, 0),
    "a group": bob_and(0, 6, 0, GROUP),
    "a user who may not": access_list(
        (USER_OBJ, 6, UNDEFINED), (USER, 0, 65534), (GROUP_OBJ, 4, UNDEFINED),
        (MASK, 4, UNDEFINED), (OTHER, 4, UNDEFINED),
    ),
    "a mask that takes all": bob_and(6, 0, 0),
    "readable by all": bob_and(4, 6, 4),
}  # fmt: skip


@pytest.fixture(params=["without a name", "named"], autouse=True)
def naming(request, monkeypatch):
    if request.param == "named":
        monkeypatch.setattr(writing, "_open_without_name", lambda *_: None)


@pytest.fixture
def old(tmp_path):
    path = tmp_path / "old.png"
    path.write_bytes(b"old")
    path.chmod(0o600)
    return path


def set_or_skip(path, name, value):
    if not hasattr(os, "setxattr"):
        pytest.skip("of Linux")
    try:
        os.setxattr(path, name, value)
    except OSError as error:
        pytest.skip(f"this file system: {error}")


def replaced(path, within=None):
    """Replace a file, and return the notes on that."""
    notes = []
    with new_file(path, overwrite=True, within=within, note=notes.append) as file:
        file.write(b"new")
    assert path.read_bytes() == b"new"
    return notes


@pytest.mark.parametrize("entries", LISTS.values(), ids=LISTS)
def test_an_access_control_list_is_kept(old, entries):
    set_or_skip(old, ACCESS, entries)
    mode = old.stat().st_mode
    assert replaced(old) == []
    assert (os.getxattr(old, ACCESS), old.stat().st_mode) == (entries, mode)


@pytest.mark.parametrize("entries", LISTS.values(), ids=LISTS)
def test_where_a_list_cannot_be_kept_the_owner_alone_has_access(old, entries, monkeypatch):
    """In the mode of a file with a list, the mask is where the group's rights would be."""
    set_or_skip(old, ACCESS, entries)

    def refuse(*_):
        raise PermissionError(errno.EPERM, os.strerror(errno.EPERM))

    monkeypatch.setattr(os, "setxattr", refuse)
    assert replaced(old) == ["dropped its access control list, so that only its owner has access"]
    assert ACCESS not in os.listxattr(old)
    assert stat.S_IMODE(old.stat().st_mode) == 0o600


@pytest.mark.parametrize("mode", [0o600, 0o640, 0o660])
def test_a_folders_default_list_gives_an_old_file_no_new_users(old, mode):
    set_or_skip(old.parent, DEFAULT, LISTS["a user"])
    old.chmod(mode)
    replaced(old)
    assert ACCESS not in os.listxattr(old)
    assert stat.S_IMODE(old.stat().st_mode) == mode


def test_a_new_file_gets_the_folders_default_list(tmp_path):
    set_or_skip(tmp_path, DEFAULT, LISTS["a user"])
    with new_file(tmp_path / "new") as file:
        file.write(b"new")
    assert os.getxattr(tmp_path / "new", ACCESS) == LISTS["a user"]


ATTRIBUTES = {"user.xdg.tags": b"holiday", "user.empty": b"", "user.long": b"x" * 2000}


def test_extended_attributes_are_kept(old):
    for name, value in ATTRIBUTES.items():
        set_or_skip(old, name, value)
    assert replaced(old) == []
    assert {name: os.getxattr(old, name) for name in ATTRIBUTES} == ATTRIBUTES


def test_attributes_that_cannot_be_kept_are_noted(old, monkeypatch):
    for name, value in ATTRIBUTES.items():
        set_or_skip(old, name, value)
    setting = os.setxattr

    def refuse(number, name, value):
        if name != "user.long":
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
        setting(number, name, value)

    monkeypatch.setattr(os, "setxattr", refuse)
    (note,) = replaced(old)
    assert note.startswith("dropped its extended attributes (user.")
    assert ("user.empty" in note, "user.xdg.tags" in note, "user.long" in note) == (1, 1, 0)
    assert os.getxattr(old, "user.long") == b"x" * 2000


def test_signatures_of_the_old_content_are_not_kept(old, monkeypatch):
    status = old.stat()
    asked = []
    monkeypatch.setattr(os, "setxattr", lambda *a: asked.append(a), raising=False)
    signed = likeness.Likeness(status, {"security.ima": b"1", "security.evm": b"2"})
    number = os.open(old, os.O_RDWR)
    assert (likeness.make_like(number, signed), asked) == ([], [])
    os.close(number)


@pytest.mark.parametrize(("before", "after"), [(0o660, 0o600), (0o664, 0o644), (0o4755, 0o0755)])
def test_another_group_gets_no_more_than_everyone(old, before, after, monkeypatch):
    """Only members of a group may give it a file."""
    if os.geteuid():
        pytest.skip("only root may give files away")
    os.chown(old, 12345, 54321)
    old.chmod(before)

    def refuse(*_):
        raise PermissionError(errno.EPERM, os.strerror(errno.EPERM))

    monkeypatch.setattr(os, "fchown", refuse)
    replaced(old)
    assert stat.S_IMODE(old.stat().st_mode) == after


def test_a_list_of_another_group_is_not_kept(old, monkeypatch):
    if os.geteuid():
        pytest.skip("only root may give files away")
    set_or_skip(old, ACCESS, LISTS["readable by all"])
    os.chown(old, 12345, 54321)

    def refuse(*_):
        raise PermissionError(errno.EPERM, os.strerror(errno.EPERM))

    monkeypatch.setattr(os, "fchown", refuse)
    assert replaced(old) == ["dropped its access control list, so that only its owner has access"]
    assert stat.S_IMODE(old.stat().st_mode) == 0o600


def test_the_new_content_of_a_private_file_is_never_for_others(old):
    with new_file(old, overwrite=True) as file:
        file.write(b"new")
        modes = {stat.S_IMODE(path.stat().st_mode) for path in old.parent.iterdir()}
    assert modes == {0o600}


def test_a_file_that_may_be_written_but_not_read_keeps_its_list(old, monkeypatch):
    set_or_skip(old, ACCESS, LISTS["a user"])

    def refusing(path, flags, *mode, opening=os.open, **place):
        if path == "old.png" and flags & os.O_ACCMODE == os.O_RDONLY:
            raise PermissionError(errno.EACCES, os.strerror(errno.EACCES))
        return opening(path, flags, *mode, **place)

    with monkeypatch.context() as patch:
        patch.setattr(os, "open", refusing)
        with new_file(old, overwrite=True) as file:
            file.write(b"new")
    assert os.getxattr(old, ACCESS) == LISTS["a user"]
