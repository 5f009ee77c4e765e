"""What Windows lacks is not needed: everything is imported, and the commands run, without it.

See tests/windows.py for what is taken away. Windows itself may differ.
"""

from __future__ import annotations

import json
import ntpath
import os
import re
import subprocess
import sys
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest
from PIL import Image

import convcli
from convcli.cli import streams
from convcli.errors import shown
from convcli.files import walking
from convcli.files.names import expanded, problem_of_name
from convcli.files.places import is_below
from convcli.image import read

ROOT = Path(__file__).parents[2]

IMPORTS = """
import importlib, pkgutil, sys
from tests import windows
windows.become("numba", "llvmlite.binding", "llvmlite.ir", "matplotlib.pyplot")
import convcli
found = [each.name for each in pkgutil.walk_packages(convcli.__path__, "convcli.")]
for name in found:
    importlib.import_module(name)
print(len(found))
"""

RUNS = """
import json, sys
from tests import windows
windows.become()
from convcli.cli.program import main
for words in json.loads(sys.argv[1]):
    sys.argv = ["convcli", *words]
    try:
        main()
    except SystemExit as leaving:
        print(leaving.code, file=sys.stderr, flush=True)
"""


def python(code, *argv, cwd=ROOT, **environment):
    done = subprocess.run(
        [sys.executable, "-c", code, *argv],
        capture_output=True,
        text=True,
        cwd=cwd,
        env={**os.environ, "PYTHONPATH": str(ROOT), **environment},
        timeout=100,
    )
    assert done.returncode == 0, done.stderr
    return done


@pytest.mark.slow
def test_every_module_is_imported():
    assert int(python(IMPORTS).stdout) > 150


BLUR = ("blur", "--sigma", "1", "--method", "numpy")

COMMANDS = [
    ((*BLUR, "a.png"), 0, "wrote 'a.blur.png'"),
    ((*BLUR, "a.png"), 2, "'a.blur.png' exists"),
    ((*BLUR, "a.png", "-f"), 0, "wrote 'a.blur.png'"),
    ((*BLUR, "a.png", "two.tif", "many.gif", "many.png", "--in-place"), 0, "4 written, 0 failed"),
    ((*BLUR, "tree", "-r", "-o", "out/"), 0, "2 written, 0 failed"),
    ((*BLUR, "m*.png", "tw?.tif", "-o", "out3/"), 0, "2 written, 0 failed"),
    ((*BLUR, "--files-from", "list.txt", "-o", "out2/"), 0, "2 written, 0 failed"),
    ((*BLUR, "read-only.png", "--in-place"), 1, "Permission denied"),
    ((*BLUR, "a.png", "-o", "new/deeper/a.tif"), 0, "wrote 'new/deeper/a.tif'"),
    (("edge", "a.png", "--method", "fft", "-o", "edge.png"), 0, "wrote 'edge.png'"),
    (("filter", "a.png", "--kernel", "k.npy", "--method", "numpy"), 0, "wrote 'a.filter.png'"),
    ((*BLUR[:-1], "tiled", "tree", "-r"), 2, "^convcli: method 'tiled' needs fork, .* numba"),
    (("compare", "a.png", "a.png"), 0, ""),
    (("kernel", "sobel", "-o", "sobel.npy"), 0, ""),
    ((*BLUR, "a.png", "-o", "aux.png"), 1, "'aux.png' is a device on Windows"),
    (("kernel", "sobel", "-o", "com1.npy"), 2, "'com1.npy' is a device on Windows"),
]


@pytest.fixture
def here(tmp_path, photo):
    pixels = photo[100:140, 200:264]
    image, *others = (Image.fromarray(each) for each in (pixels, pixels[::-1], pixels[:, ::-1]))
    for name in ("a.png", "tree/x.png", "tree/deep/y.ppm", "read-only.png"):
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        image.save(tmp_path / name)
    for name in ("two.tif", "many.gif", "many.png"):
        image.save(tmp_path / name, save_all=True, append_images=others)
    (tmp_path / "list.txt").write_text("tree/x.png\r\ntree/deep/y.ppm\r\n")  # as Windows ends lines
    np.save(tmp_path / "k.npy", np.ones((3, 3)) / 9)
    (tmp_path / "read-only.png").chmod(0o444)
    return tmp_path


@pytest.mark.slow
def test_the_commands_run(here):
    if not os.geteuid():  # the mode of a file does not keep root from writing to it
        commands = [each for each in COMMANDS if "read-only.png" not in each[0]]
    else:
        commands = COMMANDS
    before = read(here / "a.png").pixels
    wanted = json.dumps([words for words, _, _ in commands])
    said = python(RUNS, wanted, cwd=here).stderr.splitlines()
    for words, status, message in commands:
        end = said.index(str(status)) if str(status) in said else None
        assert end is not None, (words, said)
        lines, said = said[:end], said[end + 1 :]
        assert re.search(message, "\n".join(lines)), (words, lines)
    expected = convcli.blur(before, 1)
    for name in ("a.png", "out/x.png", "out/deep/y.ppm", "out2/tree/x.png"):
        assert np.array_equal(read(here / name).pixels, expected), name
    assert read(here / "many.gif").frames == read(here / "two.tif").frames == 3
    assert not [path for path in here.rglob("*") if path.suffix == ".part"]


def test_the_program_starts_and_ends(here):
    done = subprocess.run(
        [sys.executable, "-m", "tests.windows", *BLUR, "-o", "-", "--format", "png"],
        input=(here / "a.png").read_bytes(),
        capture_output=True,
        env={**os.environ, "PYTHONPATH": str(ROOT)},
        timeout=60,
    )
    assert done.returncode == 0, done.stderr
    (here / "piped.png").write_bytes(done.stdout)
    assert np.array_equal(
        read(here / "piped.png").pixels, convcli.blur(read(here / "a.png").pixels, 1)
    )


@pytest.mark.parametrize(
    ("path", "says"),
    [
        *((name, "is a device") for name in ("CON", "nul.png", "a/Aux/b.png", r"C:\x\LPT9.tif")),
        *((name, "contains one of") for name in ("a?.png", r"C:\out\a:b.png", "out/a|b.png")),
        *((name, "Windows drops") for name in ("a.png.", "a /b.png", "out./b.png")),
        *((name, "") for name in ("console.png", "../a.png", "./a.png", r"C:\a.png", "com10.png")),
        *((name, "") for name in (r"\\server\share\a.png", "auxiliary/null.png", "é.png")),
    ],
)
def test_names_of_windows(path, says):
    problem = problem_of_name(path, "win32")
    assert says in problem
    assert bool(problem) is bool(says)
    assert not problem_of_name(path, "linux")


@pytest.mark.parametrize(
    ("system", "name", "names"),
    [
        ("win32", "*.jpg", ["a.jpg", "b [1].jpg"]),
        ("win32", "b [1]*", ["b [1].jpg", "b [1].png"]),
        ("win32", "sub/?.jpg", [os.path.join("sub", "c.jpg")]),
        ("win32", "*.tif", ["*.tif"]),
        ("win32", "b [1].jpg", ["b [1].jpg"]),
        ("win32", "https://host/a.png?x=*", ["https://host/a.png?x=*"]),
        ("linux", "*.jpg", ["*.jpg"]),
    ],
)
def test_patterns_are_expanded_where_no_shell_does(tmp_path, monkeypatch, system, name, names):
    (tmp_path / "sub").mkdir()
    for each in ("a.jpg", "b [1].jpg", "b [1].png", "sub/c.jpg"):
        (tmp_path / each).touch()
    monkeypatch.chdir(tmp_path)
    assert expanded(["-", name], system) == ["-", *names]


def test_the_console_is_asked_to_show_colours(monkeypatch):
    asked = []
    colorama = SimpleNamespace(just_fix_windows_console=lambda: asked.append(True))
    monkeypatch.setitem(sys.modules, "colorama", colorama)
    streams.show_colours()
    assert not asked
    monkeypatch.setattr(sys, "platform", "win32")
    streams.show_colours()
    assert asked


def test_an_encoding_with_few_letters_is_no_error(here):
    """On Windows what is written into a pipe has 256 letters."""
    (here / "a.png").rename(here / "日é.png")
    command = [sys.executable, "-m", "convcli", *BLUR, "日é.png", "--dry-run"]
    done = subprocess.run(
        command,
        capture_output=True,
        cwd=here,
        env={**os.environ, "PYTHONPATH": str(ROOT), "PYTHONIOENCODING": "cp1252"},
        timeout=60,
    )
    assert done.returncode == 0, done.stderr
    assert rb"\u65e5" + "é".encode("cp1252") in done.stdout


@pytest.mark.parametrize(
    ("system", "text"), [("win32", r"'C:\new\a.png'"), ("linux", r"'C:\\new\\a.png'")]
)
def test_the_folders_of_windows_are_shown_as_typed(system, text, monkeypatch):
    monkeypatch.setattr(sys, "platform", system)
    assert shown(r"C:\new\a.png") == text
    assert shown("a\x1b.png") == r"'a\x1b.png'"


class Entry:
    """An entry of a folder on Windows, where Python tells what leads elsewhere by a tag."""

    def __init__(self, tag):
        self.tag = tag

    def is_dir(self, follow_symlinks):
        return True

    def stat(self, follow_symlinks):
        return SimpleNamespace(st_reparse_tag=self.tag)


@pytest.mark.parametrize(
    ("tag", "kind"),
    [(0, "folder"), (0xA0000003, "link to a folder"), (0x9000001A, "folder")],  # OneDrive's
)
def test_a_junction_is_not_followed(tag, kind):
    assert walking._kind(Entry(tag), "Application Data", None) == kind


def test_a_path_without_links_is_below_a_folder_whatever_its_case(monkeypatch):
    monkeypatch.setattr(os, "path", ntpath)
    assert is_below(r"C:\Users\Me\out\a.png", r"c:\users\me\Out")
    assert not is_below(r"C:\Users\Me\outer\a.png", r"C:\Users\Me\out")
