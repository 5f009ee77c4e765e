"""``convcli warmup`` compiles each kind of loop once, and no command needs another kind."""

from __future__ import annotations

import subprocess
import sys

import numpy as np
import pytest

from convcli.errors import ConvcliError
from convcli.loops.compiled import compiling, kinds, machine_code
from convcli.running import warmup

# The loops that compile fastest.
FEW = [kind for kind in kinds.EVERY if kind[0] in ("parted", "divided")]


@pytest.fixture
def few(monkeypatch, tmp_path):
    """A table of few kinds, and an empty folder for caches."""
    monkeypatch.setattr(warmup, "EVERY", FEW)
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    return tmp_path / "convcli"


def test_the_second_warmup_compiles_what_is_missing(few, run):
    first = run("warmup")
    assert (first.status, first.err) == (0, "")
    assert first.text.startswith(f"compiled {len(FEW)} loops in ")
    assert first.text.endswith(f" s; all are in '{few}'\n")
    assert len(list(few.iterdir())) == len(FEW)
    assert run("warmup").text == f"nothing to compile: all {len(FEW)} loops are in '{few}'\n"
    next(few.iterdir()).write_bytes(b"damaged")
    assert run("warmup").text.startswith("compiled 1 loops in ")


def test_without_worker_processes_this_one_compiles(few, monkeypatch):
    def refuse(*_):
        raise ConvcliError("worker processes cannot be started")

    monkeypatch.setattr(warmup, "for_each", refuse)
    seen = []
    assert warmup.warm_up(lambda *done: seen.append(done)) == (len(FEW), len(FEW), few)
    assert seen == [(n, len(FEW)) for n in range(1, len(FEW) + 1)]


@pytest.mark.parametrize("fault", ["place", "memory", "disk"])
def test_what_cannot_be_kept_is_one_line(fault, few, monkeypatch, run):
    if fault == "place":
        few.write_text("a file where the folder would be")
    elif fault == "memory":
        monkeypatch.setattr(machine_code, "lacks_memory", lambda: True)
    else:
        monkeypatch.setattr(machine_code.mapping, "keep", lambda *_: None)
    wanted = {
        "place": "compiled loops cannot be kept: ",
        "memory": "numba needs about ",
        "disk": f"compiled loops cannot be written to '{few}'",
    }[fault]
    result = run("warmup")
    assert result.status == 2
    assert result.message.startswith(f"convcli: {wanted}")


def test_kinds_are_listed_once_and_wheels_bring_some_of_them():
    assert len(set(kinds.EVERY)) == len(kinds.EVERY)
    assert set(kinds.SHIPPED) < set(kinds.EVERY)


# Loops that do nothing stand in for the compiled ones, in a process of its own, which would keep
# them. It prints the kinds that are asked for.
RECORD = """
import sys, itertools, numpy
from convcli.loops.compiled import kinds, machine_code
asked = set()
def prepared(*kind):
    asked.add(kind)
    return lambda *arguments: None
machine_code._prepared = prepared
machine_code.can_be_kept = lambda: True
from convcli.cli import signals
from convcli.cli.program import main
for words in eval(sys.stdin.read()):
    sys.argv = ["convcli", *words]
    try:
        main()
    except SystemExit as leaving:
        assert leaving.code in (0, 2), words  # 2: the options do not suit the filter
assert len(asked) > LEAST, asked
print(*[f"{name} {[dtype for dtype, axes in signature if dtype != 'int64']}"
        for name, signature in asked - set(kinds.EVERY)], sep="\\n")
"""

FILTERS = [
    ["blur", "--sigma", "1"], ["blur", "--sigma", "8"], ["blur", "--sigma", "6"],
    ["blur", "--sigma", "2", "--exact"], ["blur", "--sigma", "12", "--exact"],
    ["edge"], ["edge", "--sigma", "1", "--canny", "5,9"], ["edge", "--sigma", "1"],
    ["edge", "--show", "angle"], ["edge", "--show", "x"],
    ["sharpen"], ["sharpen", "--sigma", "9"],
    ["filter", "-k", "disc:3"], ["filter", "-k", "motion:9,30"], ["filter", "-k", "laplacian"],
    ["chain", "blur --sigma 1 | edge"], ["chain", "blur --sigma 9 | sharpen | filter -k disc:2"],
    ["chain", "edge --sigma 1 | blur --sigma 2"],
]  # fmt: skip
OPTIONS = [
    [], ["--depth", "16"], ["--depth", "float32"], ["--border", "constant"],
    ["--region", "30x20+5+5"],
]  # fmt: skip
IMAGES = {
    "grey.png": ("L", ["--linear"]),
    "rgb.png": ("RGB", ["--channels", "luma"]),
    "alpha.png": ("RGBA", []),
    "deep.png": ("I;16", ["--linear"]),
    "float.tif": ("F", ["--nan", "skip"]),
}


@pytest.mark.slow
def test_no_command_needs_a_kind_that_warmup_does_not_compile(tmp_path, picture_file, photo):
    modes = {
        "L": photo[:40, :50, 0],
        "RGB": photo[:40, :50],
        "RGBA": np.dstack([photo[:40, :50], photo[:40, :50, 0]]),
        "I;16": photo[:40, :50, 0].astype(np.uint16) * 257,
        "F": photo[:40, :50, 0].astype(np.float32),
    }
    words = []
    for name, (mode, more) in IMAGES.items():
        image = str(picture_file(name, modes[mode]))
        for number, options in enumerate([*OPTIONS, *([more] if more else [])]):
            if options == ["--depth", "float32"] and mode == "RGBA":
                continue
            out = str(tmp_path / f"{number}.{'tif' if mode == 'F' or number == 2 else 'png'}")
            words += [
                [*each, image, "-m", "numba", "-f", "-q", "-o", out, *options] for each in FILTERS
            ]
    words.append(["bank", "laws", str(tmp_path / "rgb.png"), "-o", str(tmp_path / "maps"), "-q"])
    done = subprocess.run(
        [sys.executable, "-c", RECORD.replace("LEAST", "45")],
        input=repr(words),
        capture_output=True,
        text=True,
    )
    assert done.returncode == 0, done.stderr[-2000:]
    assert done.stdout.split("\n") == ["", ""]


def test_a_wheel_brings_the_loops_that_the_docs_say_it_brings(tmp_path, photo):
    """The table in docs/speed.md: what a first run takes."""
    every = [
        ["blur"], ["edge"], ["sharpen"], ["edge", "--canny", "5,9"],
        ["filter", "-k", "emboss"], ["filter", "-k", "disc:2"],
    ]  # fmt: skip
    large = np.tile(photo, (4, 4, 1))  # thumbnails take other forms
    images = {"rgb": large, "grey": large[..., 0]}
    images |= {f"{name}16": each.astype(np.uint16) * 257 for name, each in images.items()}
    words = []
    for name, pixels in images.items():
        np.save(tmp_path / f"{name}.npy", pixels)
        for options in [[], ["--linear"], *([] if "16" in name else [["--depth", "16"]])]:
            place = [str(tmp_path / f"{name}.npy"), "-o", str(tmp_path / "out.npy")]
            words += [[*each, *place, "-m", "numba", "-f", "-q", *options] for each in every]
    done = subprocess.run(
        [sys.executable, "-c", RECORD.replace("LEAST", "15").replace("EVERY", "SHIPPED")],
        input=repr(words),
        capture_output=True,
        text=True,
    )
    assert done.returncode == 0, done.stderr[-2000:]
    assert done.stdout.split("\n") == ["", ""]


def test_every_loop_that_python_calls_is_in_the_table():
    homes = {compiling.LOOPS, *compiling.HOMES.values()}
    modules = [sys.modules.get(home) or __import__(home, fromlist=["HOW"]) for home in homes]
    loops = {
        name
        for module in modules
        for name, each in vars(module).items()
        if hasattr(each, "py_func") and not each.targetoptions.get("no_cpython_wrapper")
    }
    assert {name for name, _ in kinds.EVERY} == loops
