"""Caches are made and used only where no other user can change them."""

from __future__ import annotations

import os
import stat
import subprocess
import sys
from pathlib import Path

import pytest

from convcli import ownership
from convcli.ownership import make_private, own_home, problem_of, problem_of_making

OTHER = 65534  # nobody

as_root = pytest.mark.skipif(os.geteuid() != 0, reason="only root may give folders away")


@pytest.fixture
def base(tmp_path):
    path = tmp_path / "a/b/c"
    path.mkdir(parents=True)
    return tmp_path


def test_a_folder_of_this_user_is_safe(base):
    assert problem_of(base / "a/b/c") == problem_of_making(base / "a/b/c/new/er") == ""


@pytest.mark.parametrize("level", ["a", "a/b", "a/b/c"])
@pytest.mark.parametrize("mode", [0o775, 0o757, 0o777, 0o720, 0o702])
def test_a_folder_in_which_others_can_write_is_not(base, level, mode):
    (base / level).chmod(mode)
    says = f"other users can write to {str(base / level)!r}"
    assert problem_of(base / "a/b/c") == problem_of_making(base / "a/b/c/new") == says


@as_root
@pytest.mark.parametrize("level", ["a", "a/b", "a/b/c"])
def test_a_folder_of_another_user_is_not(base, level):
    os.chown(base / level, OTHER, OTHER)
    says = f"{str(base / level)!r} belongs to another user"
    assert problem_of(base / "a/b/c") == problem_of_making(base / "a/b/c/new") == says


@pytest.mark.parametrize("mode", [0o1777, 0o1775])
def test_a_sticky_folder_may_be_above_alone(base, mode):
    """Others can make entries there, and cannot rename or remove those of this user."""
    (base / "a").chmod(mode)
    assert problem_of(base / "a/b/c") == problem_of_making(base / "a/new") == ""
    assert problem_of(base / "a") == f"other users can write to {str(base / 'a')!r}"


@as_root
def test_in_a_sticky_folder_an_entry_of_another_user_is_not_safe(base):
    (base / "a").chmod(0o1777)
    os.chown(base / "a/b", OTHER, OTHER)
    assert problem_of(base / "a/b/c") == f"{str(base / 'a/b')!r} belongs to another user"


@as_root
def test_the_owner_of_a_sticky_folder_can_rename_what_is_in_it(base):
    (base / "a").chmod(0o1777)
    os.chown(base / "a", OTHER, OTHER)
    assert problem_of(base / "a/b/c") == f"{str(base / 'a')!r} belongs to another user"


@pytest.mark.parametrize("shared", ["a", "a/b"])
def test_where_links_lead_counts(base, shared):
    (base / "link").symlink_to("a/b")
    assert problem_of(base / "link/c") == problem_of_making(base / "link/new") == ""
    (base / shared).chmod(0o777)
    says = f"other users can write to {str(base / shared)!r}"
    assert problem_of(base / "link/c") == problem_of_making(base / "link/new") == says


@as_root
def test_the_mode_of_a_folder_shows_an_access_control_list(base):
    entries = b"\x02\0\0\0" + b"".join(
        tag.to_bytes(2, "little") + rights.to_bytes(2, "little") + who.to_bytes(4, "little")
        for tag, rights, who in (
            (1, 7, 0xFFFFFFFF), (2, 7, OTHER), (4, 5, 0xFFFFFFFF), (16, 7, 0xFFFFFFFF),
            (32, 5, 0xFFFFFFFF),
        )
    )  # fmt: skip
    try:
        os.setxattr(base / "a", "system.posix_acl_access", entries)
    except (AttributeError, OSError):
        pytest.skip("no access control lists here")
    assert problem_of(base / "a/b") == f"other users can write to {str(base / 'a')!r}"


@pytest.mark.parametrize("umask", [0o000, 0o022, 0o077])
def test_folders_are_made_for_this_user_alone(base, umask):
    before = os.umask(umask)
    try:
        make_private(base / "x/y/z")
        make_private(base / "x/y/z")
    finally:
        os.umask(before)
    for name in ("x", "x/y", "x/y/z"):
        assert stat.S_IMODE((base / name).stat().st_mode) == 0o700
    assert problem_of(base / "x/y/z") == ""


@as_root
@pytest.mark.parametrize("level", ["", "a", "a/b"])
def test_nothing_is_made_in_another_users_folder(base, level):
    os.chown(base / level, OTHER, OTHER)
    with pytest.raises(PermissionError, match="belongs to another user"):
        make_private(base / "a/b/new/er")
    assert not (base / "a/b/new").exists()


# --- whole programs

MAKES = {
    "blur numba": "blur in.pgm --sigma 1 -m numba -f",
    "kernel plot": "kernel sobel --plot k.png -f",
    "compare": "compare in.pgm in.pgm",
    "bench": "bench in.pgm --kernels 3 --budget 1 --methods numba,numpy --plot p.png -f "
    "--report r.html",
}


@as_root
@pytest.mark.slow
@pytest.mark.parametrize(
    ("command", "has_cache"),
    [("compare", False), ("bench", False), ("blur numba", True), ("kernel plot", True)],
)
def test_root_leaves_nothing_in_another_users_home(tmp_path, command, has_cache):
    home = tmp_path / "home"
    for folder in (home, *([home / ".cache", home / ".config"] if has_cache else [])):
        folder.mkdir()
        os.chown(folder, OTHER, OTHER)
    (tmp_path / "in.pgm").write_bytes(b"P5 64 64 255\n" + bytes(range(256)) * 16)
    settings = {"HOME": str(home), "TMPDIR": str(tmp_path / "tmp")}
    (tmp_path / "tmp").mkdir()
    hidden = ("XDG_CACHE_HOME", "XDG_CONFIG_HOME", "MPLCONFIGDIR")
    done = subprocess.run(
        [sys.executable, "-m", "convcli", *MAKES[command].split()],
        cwd=tmp_path, capture_output=True, text=True, check=False,
        env={k: v for k, v in os.environ.items() if k not in hidden} | settings
        | {"PYTHONPATH": str(Path(ownership.__file__).parents[1])},
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    ours = [path for path in home.rglob("*") if path.stat().st_uid == 0]
    assert (ours, list((tmp_path / "tmp").iterdir())) == ([], [])


def test_a_home_of_ones_own_is_used(tmp_path, monkeypatch):
    monkeypatch.setenv("HOME", str(tmp_path))
    for name in ("XDG_CACHE_HOME", "XDG_CONFIG_HOME", "MPLCONFIGDIR"):
        monkeypatch.delenv(name, raising=False)
    before = dict(os.environ)
    with own_home():
        assert dict(os.environ) == before


@as_root
@pytest.mark.parametrize("name", ["HOME", "XDG_CACHE_HOME", "XDG_CONFIG_HOME", "MPLCONFIGDIR"])
def test_another_users_home_is_not_used_for_a_while(tmp_path, monkeypatch, name):
    (tmp_path / "theirs").mkdir()
    os.chown(tmp_path / "theirs", OTHER, OTHER)
    for each in ("HOME", "XDG_CACHE_HOME", "XDG_CONFIG_HOME", "MPLCONFIGDIR"):
        monkeypatch.delenv(each, raising=False)
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.setenv(name, str(tmp_path / "theirs/new"))
    before = dict(os.environ)
    with own_home():
        place = os.environ[name]
        assert place != before[name]
        assert os.path.isdir(place)
    assert (dict(os.environ), os.path.exists(place)) == (before, False)
