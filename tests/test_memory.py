"""Free memory, from each of its sources."""

from __future__ import annotations

import subprocess
import sys

import numpy as np
import pytest

import convcli
from convcli import ConvcliError, memory
from convcli.running import execute

MB = 1_000_000


@pytest.fixture
def told(tmp_path, monkeypatch):
    """Files that replace those of the system."""
    group = tmp_path / "cgroup"
    group.mkdir()
    monkeypatch.setattr(memory, "_MEMINFO", tmp_path / "meminfo")
    monkeypatch.setattr(memory, "_STATUS", tmp_path / "status")
    monkeypatch.setattr(memory, "_CGROUP", group)
    return tmp_path


def test_the_system_counts_its_swap(told):
    (told / "meminfo").write_text("MemFree: 1 kB\nMemAvailable: 3000 kB\nSwapFree: 2000 kB\n")
    assert memory.available() == 5000 * 1024


@pytest.mark.parametrize(("most", "left"), [("max", 9000 * 1024), ("5000000", 3_100_000)])
def test_a_container_gives_its_file_cache_back(told, most, left):
    (told / "meminfo").write_text("MemAvailable: 9000 kB\n")
    for name, text in (
        ("max", most), ("current", "2000000"), ("stat", "anon 7\ninactive_file 100000\nfile 9\n")
    ):  # fmt: skip
        (told / "cgroup" / f"memory.{name}").write_text(text + "\n")
    assert memory.available() == left


@pytest.mark.parametrize("meminfo", [None, "", "MemAvailable: many kB kB\n"])
def test_where_nothing_tells_nothing_is_refused(told, meminfo):
    if meminfo is not None:
        (told / "meminfo").write_text(meminfo)
    assert memory.available() is None
    memory.check(10**18)


def test_what_does_not_fit_is_refused_with_both_figures(told):
    (told / "meminfo").write_text("MemAvailable: 1000000 kB\n")
    memory.check(1000 * MB)
    with pytest.raises(
        ConvcliError, match=r"needs about 1\.1 GB of memory, but only 1\.0 GB is free"
    ):
        memory.check(1100 * MB)


def test_a_limit_on_address_space_counts():
    code = (
        "import resource; from convcli import memory\n"
        "before = memory.available()\n"
        "taken = memory._fields(memory._STATUS)['VmSize']\n"
        "resource.setrlimit(resource.RLIMIT_AS, (taken + 200_000_000,) * 2)\n"
        "print(before > 200_000_000, 150_000_000 < memory.available() <= 200_000_000)"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout == "True True\n"


def test_a_wide_blur_by_way_of_a_grid_needs_the_grids_rows_alone(told, monkeypatch):
    """Its halo is 32,802 rows and columns on each side, which never exist at once."""
    monkeypatch.setattr(execute, "_ALWAYS_FREE", 0)
    (told / "meminfo").write_text("MemAvailable: 4000 kB\n")
    image = np.arange(48 * 64, dtype=np.uint8).reshape(48, 64)
    assert convcli.blur(image, 5000.0).std() < 1
    with pytest.raises(ConvcliError, match=r"needs about 7\.4 MB"):  # with a window of all rows
        convcli.blur(image, 5000.0, border="constant")


def test_a_picture_that_does_not_fit_is_refused_before_it_is_decoded(picture_file, told):
    from convcli import image

    path = picture_file("a.png")
    path.write_bytes(path.read_bytes()[:-2000])  # decoding would raise another error
    (told / "meminfo").write_text("MemAvailable: 20 kB\n")
    with pytest.raises(ConvcliError, match=r"needs about 0\.0 MB of memory"):
        image.read(path)
