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
    monkeypatch.setattr(memory, "_OWN_GROUPS", tmp_path / "own groups")
    monkeypatch.setattr(memory, "_MOUNTS", tmp_path / "mountinfo")
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


V1 = {"limit": "memory.limit_in_bytes", "use": "memory.usage_in_bytes"}
V2 = {"limit": "memory.max", "use": "memory.current"}
UNLIMITED = 9223372036854771712  # version 1's word for no limit


def group(folder, files, limit, use=0, cache=0):
    folder.mkdir(parents=True, exist_ok=True)
    (folder / files["limit"]).write_text(f"{limit}\n")
    (folder / files["use"]).write_text(f"{use}\n")
    total = "total_" if files is V1 else ""
    stat = f"inactive_file 5\n{total}inactive_file {cache}\n" if total else f"inactive_file {cache}"
    (folder / "memory.stat").write_text(f"rss 1\n{stat}\n")


def mount(point, root="/", files=V2, options="rw"):
    kind = "cgroup" if files is V1 else "cgroup2"
    escaped = str(point).replace(" ", r"\040")
    return f"31 23 0:28 {root} {escaped} rw,nosuid shared:9 - {kind} {kind} {options}\n"


CPU = "3:cpu,cpuacct:/a\n"
# /proc/self/cgroup, the mounts, the groups below the mount point, and what is left.
CONTROL_GROUPS = {
    "version 2, at the root": ("0::/\n", [{}], {"": (V2, 5 * MB, 2 * MB)}, 3 * MB),
    "its file cache": ("0::/\n", [{}], {"": (V2, 5 * MB, 2 * MB, MB)}, 4 * MB),
    "a slice of systemd": (
        "0::/user.slice/job.scope\n",
        [{}],
        {"user.slice": (V2, "max"), "user.slice/job.scope": (V2, 4 * MB, MB)},
        3 * MB,
    ),
    "the least is above": (
        "0::/a/b/c\n",
        [{}],
        {"a": (V2, 3 * MB, 2 * MB), "a/b": (V2, "max"), "a/b/c": (V2, 9 * MB)},
        MB,
    ),
    "one of others does not count": (
        "0::/a/b\n",
        [{}],
        {"a": (V2, 6 * MB), "a/b": (V2, 7 * MB), "a/c": (V2, MB), "b": (V2, MB)},
        6 * MB,
    ),
    "version 1": (
        CPU + "4:memory:/docker/abc\n",
        [{"files": V1, "options": "rw,memory"}],
        {"": (V1, UNLIMITED), "docker/abc": (V1, 5 * MB, 3 * MB, MB)},
        3 * MB,
    ),
    "version 1, with controllers together": (
        "4:hugetlb,memory:/a\n",
        [{"files": V1, "options": "rw,hugetlb,memory"}],
        {"": (V1, UNLIMITED), "a": (V1, 5 * MB)},
        5 * MB,
    ),
    "version 1, seen from inside of a container": (
        "4:memory:/docker/abc\n",
        [{"files": V1, "options": "rw,memory", "root": "/docker/abc"}],
        {"": (V1, 5 * MB), "docker/abc": (V1, MB)},
        5 * MB,
    ),
    "version 1, of a path that is not mounted": (
        "4:memory:/docker/abc\n",
        [{"files": V1, "options": "rw,memory", "root": "/elsewhere"}],
        {"": (V1, 5 * MB)},
        5 * MB,
    ),
    "a namespace": ("0::/../../other\n", [{}], {"": (V2, 5 * MB)}, 5 * MB),
    "no limit": ("4:memory:/\n", [{"files": V1, "options": "memory"}], {"": (V1, UNLIMITED)}, None),
    "another controller's tree": (
        CPU, [{"files": V1, "options": "rw,cpu"}], {"": (V1, MB), "a": (V1, MB)}, None,
    ),
    "hybrid": (
        "4:memory:/a\n0::/b\n",
        [{}, {"files": V1, "options": "rw,memory"}],
        {"a": (V1, 5 * MB), "b": (V2, 6 * MB)},
        5 * MB,
    ),
    "damaged": ("0::/a\n?\n", [{}], {"": (V2, "many"), "a": (V2, 2 * MB, "few")}, None),
}  # fmt: skip


@pytest.mark.parametrize("case", CONTROL_GROUPS)
def test_the_least_of_all_control_groups_counts(told, case):
    own, mounts, groups, left = CONTROL_GROUPS[case]
    point = told / "mounted here"
    (told / "own groups").write_text(own)
    (told / "mountinfo").write_text(
        "22 1 0:2 / / rw - ext4 /dev/sda rw\nodd\n"
        + "".join(mount(point, **settings) for settings in mounts)
    )
    for path, settings in groups.items():
        group(point / path, *settings)
    (told / "meminfo").write_text("MemAvailable: 9000 kB\n")
    assert memory.available() == (9000 * 1024 if left is None else left)


def test_the_mounts_are_read_once(told, monkeypatch):
    (told / "own groups").write_text("0::/a\n")
    (told / "mountinfo").write_text(mount(told / "m"))
    group(told / "m" / "a", V2, 5 * MB)
    assert memory.available() == 5 * MB
    monkeypatch.setattr(memory, "_paths_of", None)
    group(told / "m" / "a", V2, 4 * MB)
    assert memory.available() == 4 * MB


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
    monkeypatch.setattr(execute, "ALWAYS_FREE", 0)
    (told / "meminfo").write_text("MemAvailable: 4000 kB\n")
    image = np.arange(48 * 64, dtype=np.uint8).reshape(48, 64)
    assert convcli.blur(image, 5000.0).std() < 1
    with pytest.raises(ConvcliError, match=r"needs about 7\.4 MB"):  # with a window of all rows
        convcli.blur(image, 5000.0, border="constant")


def test_a_picture_that_does_not_fit_is_refused_before_it_is_decoded(
    picture_file, told, monkeypatch
):
    from convcli import image

    monkeypatch.setattr(memory, "_ALWAYS_FREE", 0)
    path = picture_file("a.png")
    path.write_bytes(path.read_bytes()[:-2000])  # decoding would raise another error
    (told / "meminfo").write_text("MemAvailable: 20 kB\n")
    with pytest.raises(ConvcliError, match=r"needs about 0\.0 MB of memory"):
        image.read(path)


@pytest.mark.parametrize(("size", "asks"), [(1 << 20, 0), ((1 << 20) + 1, 1)])
def test_a_megabyte_is_not_asked_for(size, asks, monkeypatch):
    asked = []
    monkeypatch.setattr(memory, "available", lambda: asked.append(1))
    memory.check(size)
    assert len(asked) == asks
