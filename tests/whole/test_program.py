"""The command line: arguments, files, messages, and the exit status."""

from __future__ import annotations

import json
import os
import pty
import re
import signal
import subprocess
import sys
import threading
import time
from functools import partial
from itertools import product
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

import convcli
from convcli import image
from convcli.cli.screen.progress import Bar
from convcli.filtering.convolution import apply
from convcli.filtering.definitions import convolving
from convcli.image import read
from convcli.kernels.kernel import kernel_from
from convcli.words import SHOWS
from tests.signals import attended
from tests.terminals import seen, visible

COMMANDS = {
    "blur": ("--sigma", "1"),
    "edge": (),
    "sharpen": (),
    "filter": ("--kernel", "1 0 -1"),
}
BLUR = ("blur", "--sigma", "1")


@pytest.fixture
def here(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    return tmp_path


@pytest.fixture
def folder(here, picture_file, photo):
    """The current folder, with inputs of every kind; `a.png` is a photograph."""
    picture_file("a.png")
    picture_file("b.jpg", photo[:50, :70])
    picture_file("alpha.png", np.dstack([photo[:30, :30], photo[:30, :30, 1]]))
    picture_file("there.png", photo[:5, :5])
    picture_file("many.gif", save_all=True, append_images=[Image.new("RGB", (64, 48))])
    picture_file("dir/x.png")
    content = (here / "a.png").read_bytes()
    (here / "truncated.png").write_bytes(content[: len(content) // 2])
    (here / "empty.png").touch()
    (here / "text.png").write_text("hello\n")
    (here / "ragged.csv").write_text("1,2\n3\n")
    (here / "nan.txt").write_text("1 nan\n2 3\n")
    np.save(here / "nan.npy", np.array([[1.0, np.nan]]))
    np.save(here / "text.npy", np.array([["a"]]))
    (here / "short.npy").write_bytes((here / "nan.npy").read_bytes()[:-9])
    return here


def names_in(folder):
    return sorted(str(path.relative_to(folder)) for path in folder.rglob("*"))


def pixels_of(path):
    return read(Path(path)).pixels


# --- errors: one line, and no file is changed


@pytest.mark.parametrize(
    ("argv", "message"),
    [
        *(
            ((*command, "a.png", "--sigma", sigma), rf"sigma must be .*{re.escape(sigma)}")
            for sigma in ("0", "-1", "nan", "inf", "-inf", "abc", "1,2,3", ",", "1;2", "")
            for command in (("blur",), ("sharpen",))
        ),
        (("blur", "a.png", "--sigma", "1e9"), r"sigma 1e\+09 .*shrink the image first"),
        ((*BLUR, "a.png", "--truncate", "nan"), "truncate .*not nan"),
        ((*BLUR, "a.png", "--radius", "-1"), "radius .*not -1"),
        ((*BLUR, "a.png", "--radius", "1.5"), "--radius must be a whole number, not '1.5'"),
        (("sharpen", "a.png", "--amount", "-1"), "amount .*not -1"),
        (("sharpen", "a.png", "--threshold", "nan"), "threshold .*not nan"),
        (("edge", "a.png", "--operator", "canny"), "--operator must be sobel, .*, not 'canny'"),
        (("edge", "a.png", "--show", "z"), "--show must be magnitude, .*, not 'z'"),
        ((*BLUR, "a.png", "--method", "magic"), "--method must be auto, .* or tiled, not 'magic'"),
        ((*BLUR, "a.png", "--border", "zero"), "--border must be reflect, .*, not 'zero'"),
        (
            (*BLUR, "a.png", "--border", "constant", "--border-value", "nan"),
            "--border-value .*not nan",
        ),
        ((*BLUR, "a.png", "--alpha", "no"), "--alpha must be weight, straight or keep, not 'no'"),
        ((*BLUR, "a.png", "--workers", "0"), "workers .*not 0"),
        ((*BLUR, "a.png", "--workers", "two"), "--workers must be a whole number, not 'two'"),
        ((*BLUR, "a.png", "--quality", "0"), "--quality must be from 1 to 100, not 0"),
        ((*BLUR, "a.png", "--quality", "101"), "--quality must be from 1 to 100, not 101"),
        ((*BLUR, "a.png", "--png-level", "10"), "--png-level must be from 0 to 9, not 10"),
        ((*BLUR, "a.png", "--max-pixels", "0"), "--max-pixels must be at least 1, not 0"),
        ((*BLUR, "a.png", "--format", "psd"), "unknown format 'psd'; .*png, jpeg"),
        (
            (*BLUR, "a.png", "--sgima", "1"),
            "there is no option --sgima; did you mean --sigma.*see 'convcli blur",
        ),
        (("blurr", "a.png"), "there is no command 'blurr'; did you mean 'blur'"),
        (("-s", "3", "blur", "a.png"), "no option -s before the command; write it after the com"),
        (("bank", "gabr:4,2", "a.png"), "unknown bank 'gabr:4,2'; did you mean 'gabor:4,2'"),
        (("bank", "gabr:none", "a.png"), "unknown bank 'gabr:none'; did you mean 'gabor'"),
        ((*BLUR, "a.png", "-m", "nunba"), "not 'nunba'; did you mean 'numba'"),
        (("hlep",), "there is no command 'hlep'; did you mean 'help'"),
        (("blur", "--version"), "there is no option --version here; write 'convcli --version'"),
        (("a.png",), "there is no command 'a.png'; the command comes first, such as blur"),
        (("blur", "a.png", "--sigma"), "--sigma needs a value"),
        ((*BLUR, "a.png", "--json=x"), "--json takes no value"),
        (("kernel", "a", "b c"), "'b c' is one argument too many"),
        ((*BLUR, "dir"), "'dir' is a folder; add -r"),
        ((*BLUR, ""), "a name is empty"),
        ((*BLUR, "a.png", "-o", "x.foo"), r"'x.foo': the suffix '.foo' .*\.png, .*--format"),
        ((*BLUR, "a.png", "-o", "x"), r"'x' is neither a folder nor .* write 'x/', .*--format"),
        ((*BLUR, "a.png", "-o", "there.png"), "'there.png' exists; use --overwrite"),
        ((*BLUR, "a.png", "-o", "./a.png"), "'a.png' is both input and output; .*--in-place"),
        ((*BLUR, "a.png", "b.jpg", "-o", "-"), "standard output takes one image"),
        ((*BLUR, "a.png", "b.jpg", "-o", "there.png"), "'there.png' is not a folder"),
        ((*BLUR, "a.png", "-0"), "--null needs --files-from"),
        (
            (*BLUR, "a.png", "--in-place", "-o", "x.png"),
            "--in-place and --output cannot be used together",
        ),
        (
            (*BLUR, "a.png", "-f", "--in-place"),
            "--overwrite and --in-place cannot be used",
        ),
        ((*BLUR, "a.png", "--border-value", "9"), "--border-value .* --border constant"),
        (
            (*BLUR, "a.png", "--border", "constant", "--border-value", "1e10"),
            "--border-value .*1e.10",
        ),
        ((*BLUR, "a.png", "-q", "-v"), "--quiet and --verbose cannot be used together"),
        ((*BLUR, "a.png", "-n", "--explain"), "--explain .* --dry-run"),
        ((*BLUR, "a.png", "--quality", "50"), "--quality is for JPEG, WebP or AVIF; the output"),
        ((*BLUR, "b.jpg", "--png-level", "5"), "--png-level is for PNG; the output is JPEG"),
        (
            (*BLUR, "a.png", "--radius", "3", "--truncate", "2"),
            "--radius and --truncate cannot be used together",
        ),
        (("edge", "a.png", "--show", "angle", "--stretch"), "--stretch .* --show angle"),
        (("edge", "a.png", "--canny", "1,2", "--stretch"), "--stretch .* --canny"),
        (("edge", "a.png", "--canny", "1,2", "--show", "x"), "canny .* no x; leave one out"),
        *(
            (("edge", "a.png", "--canny", text), f"--canny must be two numbers .*not '{text}'")
            for text in ("", "1", "1,2,3", "a,b", "1;2")
        ),
        (("edge", "a.png", "--canny", "2,1"), "2 is more than 1"),
        (("edge", "a.png", "--canny", "0,nan"), "high threshold of canny .*not nan"),
        (("edge", "a.png", "--sigma", "0"), "sigma must be .*not 0"),
        (("edge", "a.png", "--sigma", "0.1"), "sigma must be at least 0.2, not 0.1"),
        (("edge", "a.png", "--sigma", "1e9", "--canny", "1,2"), r"sigma 1e\+09 .*shrink"),
        (("edge", "a.png", "--sigma", "1,2"), "--sigma must be a number, not '1,2'"),
        (("edge", "a.png", "--sigma", "2", "--operator", "sobel"), "operator .* beside sigma"),
        (
            ("edge", "a.png", "--show", "laplacian", "--operator", "sobel"),
            "operator .* beside laplacian",
        ),
        ((*BLUR, "a.png", "-f", "--skip-existing"), "--overwrite and --skip-existing cannot be"),
        ((*BLUR, "a.png", "-o", "b.jpg/c/x.png"), "-o 'b.jpg/c/x.png': 'b.jpg' is not a folder"),
        ((*BLUR, "-", "-o", "b.jpg/x.png"), "-o 'b.jpg/x.png': 'b.jpg' is not a folder"),
        (
            (*BLUR, "a.png", "--in-place", "--skip-existing"),
            "--in-place and --skip-existing ",
        ),
        ((*BLUR, "a.png", "--json", "-o", "-"), "--json and the image cannot both"),
        ((*BLUR, "--json"), "--json and the image cannot both"),
        ((*BLUR, "-", "a.png"), "standard input .*only input"),
        ((*BLUR, "--files-from", "gone"), "--files-from 'gone': No such file"),
        (("filter", "a.png"), "--kernel is missing; add --kernel K"),
        (("completion",), "SHELL is missing; add bash, zsh or fish"),
        (("filter", "-", "-k", "-"), "kernel '-': row 1, column 1 is '-'; a number is needed"),
        (("filter", "a.png", "-k", "magic"), "'magic' is not a kernel; use a name .*a file"),
        (("filter", "a.png", "-k", ""), "'' is not a kernel"),
        (("filter", "a.png", "-k", "1 2; 3"), "'1 2; 3': row 2 has 1 number"),
        (("filter", "a.png", "-k", "1 x"), "row 1, column 2 is 'x'"),
        (("filter", "a.png", "-k", "gone.npy"), "'gone.npy': No such file"),
        (("filter", "a.png", "-k", "ragged.csv"), "'ragged.csv': row 2 has 1 number"),
        (("filter", "a.png", "-k", "nan.txt"), "nan.txt'.*row 1, column 2 is nan"),
        (("filter", "a.png", "-k", "nan.npy"), "nan.npy'.*row 1, column 2 is nan"),
        (("filter", "a.png", "-k", "text.npy"), "text.npy': has dtype"),
        (("filter", "a.png", "-k", "short.npy"), "'short.npy': is not a .npy file"),
        (("filter", "a.png", "-k", "1 0 -1", "--normalize"), "'1 0 -1' sums to 0.*--normalize"),
        (("filter", "a.png", "-k", "1", "--scale", "nan"), "scale .*not nan"),
        (("filter", "a.png", "-k", "1", "--bias", "inf"), "bias .*not inf"),
        (("filter", "a.png", "-k", "1", "--bias", "9", "--stretch"), "--stretch and --bias "),
        (("filter", "a.png", "-k", "gaussian-x:0.1"), "gaussian-x must be at least 0.2"),
        (("filter", "a.png", "-k", "gabor:1"), "wavelength must be at least 2"),
        (("filter", "a.png", "-k", "dog:2,2"), "must differ, and both are 2"),
        (("filter", "a.png", "-k", "1", "--stride", "0"), "--stride must be at least 1, not 0"),
        (("filter", "a.png", "-k", "1", "--dilation", "0"), "--dilation must be at least 1, not 0"),
    ],
)
def test_wrong_usage_is_one_line_and_touches_nothing(run, folder, argv, message):
    before = names_in(folder)
    result = run(*argv)
    assert re.match(f"convcli: .*{message}", result.message)
    assert (result.status, result.out) == (2, b"")
    assert names_in(folder) == before


@pytest.mark.parametrize(
    ("argv", "message"),
    [
        (("gone.png",), "'gone.png': No such file or directory"),
        (("gone/",), "'gone': No such file or directory"),
        (("a.png/x",), "'a.png/x': Not a directory"),
        (("x" * 300,), "'x+': File name too long"),
        (("empty.png",), "'empty.png': is empty"),
        (("text.png",), r"'text.png': is not an image in a known format \(PNG, "),
        (("truncated.png",), "'truncated.png': is truncated, damaged or of "),
        (("many.gif", "-o", "one.jpg"), "'many.gif': JPEG cannot hold its 2 frames; write"),
        (("ragged.csv",), "'ragged.csv': is not an image"),
        (("/dev/null", "-o", "x.png"), "'/dev/null': is not a regular file; to filter it, pipe it"),
        (("-",), "standard input: is empty"),
        ((), "standard input: is empty"),
        (("a.png", "--max-pixels", "9"), "'a.png': has more than 9 pixels; --max-pixels raises"),
        (("alpha.png", "-o", "x.jpg"), r"'alpha.png': JPEG cannot hold transparency; .*\.png"),
        (("alpha.png", "-o", "x.bmp"), "'alpha.png': BMP cannot hold transparency; write PNG"),
        (("a.png", "-o", "x" * 300 + ".png"), "'a.png': cannot write 'x+.png': File name too long"),
    ],
)
def test_an_input_that_fails_is_one_line_that_names_it(run, folder, argv, message):
    before = names_in(folder)
    result = run(*BLUR, *argv)
    assert re.match(f"convcli: .*{message}", result.message)
    assert (result.status, result.out) == (1, b"")
    assert names_in(folder) == before


def test_an_unreadable_file_is_named(run, folder, monkeypatch):
    def refuse(path, *arguments, _open=open):
        if str(path) == "a.png":
            raise PermissionError(13, "Permission denied", path)
        return _open(path, *arguments)

    monkeypatch.setattr("builtins.open", refuse)
    result = run(*BLUR, "a.png")
    assert (result.status, result.message) == (1, "convcli: 'a.png': Permission denied")


def test_a_pickle_in_a_kernel_is_never_run(run, folder):
    class Canary:
        def __reduce__(self):
            return os.mkdir, (str(folder / "canary"),)

    np.save(folder / "objects.npy", np.array([[Canary()]]), allow_pickle=True)
    (folder / "bare.npy").write_bytes((folder / "objects.npy").read_bytes()[128:])
    for name in ("objects.npy", "bare.npy"):
        result = run("filter", "a.png", "-k", name)
        assert result.status == 2
        assert f"'{name}': is not a .npy file of plain numbers" in result.message
    assert not (folder / "canary").exists()


def test_no_arguments_list_the_commands(run):
    result = run()
    assert result.status == 2
    assert result.err.startswith("Usage: convcli ")
    assert all(f"\n  {name} " in result.err for name in COMMANDS)


@pytest.mark.parametrize("command", COMMANDS)
def test_help_names_the_options_of_all_commands(run, command):
    result = run(command, "--help")
    assert (result.status, result.err) == (0, "")
    options = ("--method", "--border", "--alpha", "--files-from", "--in-place", "--json", "--debug")
    assert all(option in result.text for option in options)


@pytest.mark.parametrize("option", ["--version", "-V"])
def test_version(run, option):
    assert run(option).text == f"convcli {convcli.__version__}\n"


@pytest.mark.parametrize("command", [(), ("blur",), ("kernel",)])
def test_help_is_a_command_too(run, command):
    assert run("help", *command) == run(*command, "--help")
    assert "Usage: convcli" in run("help", *command).text


def test_a_bug_is_one_line_and_with_debug_a_traceback(run, folder, monkeypatch, program):
    def broken(_request, _note):
        raise TypeError("no\nsense")

    monkeypatch.setattr("convcli.cli.run.jobs_for", broken)
    result = run(*BLUR, "a.png")
    assert result.status == 1
    assert result.message == r"convcli: TypeError: no\nsense; --debug shows the traceback"
    with pytest.raises(TypeError):
        run(*BLUR, "a.png", "--debug")


def test_debug_is_not_recommended_where_there_is_no_such_option(run, folder, monkeypatch):
    monkeypatch.setattr("convcli.kernels.files.read_kernel", lambda *_: [][0])
    result = run("kernel", "sobel")
    assert (result.status, result.message) == (1, "convcli: IndexError: list index out of range")


@pytest.mark.parametrize(
    "argv", [("--sigma", "-1"), ("--workers", "two"), ("--sgima", "1"), ("-q", "-v")]
)
def test_debug_leaves_wrong_usage_one_line(run, folder, argv):
    plain = run(*BLUR, "a.png", *argv)
    after = (*BLUR, "a.png", *argv, "--debug")
    before = ("blur", "--debug", *BLUR[1:], "a.png", *argv)
    for debug in (before, after):
        result = run(*debug)
        assert (result.status, result.message) == (2, plain.message)


def test_debug_shows_where_a_picture_failed(run, folder):
    result = run(*BLUR, "empty.png", "--debug")
    first, *rest = result.err.splitlines()
    assert (result.status, first) == (1, "convcli: 'empty.png': is empty")
    assert "Traceback" in rest[0]


# --- what each command does


def every(image, kernel, stride=1, **options):
    return convcli.convolve(image, kernel, **options)[::stride, ::stride]


def stretched(image, kernel, stride=1, **options):
    return apply(image, convolving(kernel, stride=stride, stretch=True), **options)


@pytest.mark.parametrize(
    ("argv", "function"),
    [
        (("blur",), convcli.blur),
        (("blur", "-s", "3"), partial(convcli.blur, sigma=3)),
        (("blur", "--sigma", "0.7,4"), partial(convcli.blur, sigma=(0.7, 4))),
        (("blur", "--sigma", "2", "--truncate", "2"), partial(convcli.blur, sigma=2, truncate=2)),
        (("blur", "--sigma", "2", "--radius", "3"), partial(convcli.blur, sigma=2, radius=3)),
        (("blur", "--sigma", "2", "--exact"), partial(convcli.blur, sigma=2, exact=True)),
        (("blur", "--sigma", "2", "--linear"), partial(convcli.blur, sigma=2, linear=True)),
        (
            ("blur", "--sigma", "2", "--border", "constant", "--border-value", "99"),
            partial(convcli.blur, sigma=2, border="constant", border_value=99),
        ),
        (("edge",), convcli.edge),
        (("edge", "--operator", "scharr"), partial(convcli.edge, operator="scharr")),
        (("edge", "--show", "x"), partial(convcli.edge, show="x")),
        (("edge", "--show", "angle"), partial(convcli.edge, show="angle")),
        (("edge", "--stretch"), partial(convcli.edge, stretch=True)),
        *(
            (
                ("edge", *width, "--show", show, *(["--stretch"] if stretch else [])),
                partial(convcli.edge, show=show, sigma=sigma, stretch=stretch),
            )
            for width, sigma in (((), None), (("--sigma", "1.5"), 1.5))
            for show in SHOWS
            for stretch in (False, True)
            if not (stretch and show == "angle")
        ),
        (("edge", "--canny", "20,40"), partial(convcli.edge, canny=(20, 40))),
        (
            ("edge", "--canny", "9,40.5", "--sigma", "1.5", "--linear"),
            partial(convcli.edge, canny=(9, 40.5), sigma=1.5, linear=True),
        ),
        (
            ("edge", "--canny", "20,40", "--operator", "prewitt", "--border", "wrap"),
            partial(convcli.edge, operator="prewitt", canny=(20, 40), border="wrap"),
        ),
        (("sharpen",), convcli.sharpen),
        (
            ("sharpen", "-s", "2,1", "--amount", "0.5", "--threshold", "4"),
            partial(convcli.sharpen, sigma=(2, 1), amount=0.5, threshold=4),
        ),
        (("filter", "-k", "0 1 2; 3 4 -9"), partial(every, kernel=[[0, 1, 2], [3, 4, -9]])),
        (
            ("filter", "-k", "1 2; 3 4", "--correlate", "--normalize"),
            partial(every, kernel=[[0.1, 0.2], [0.3, 0.4]], correlate=True),
        ),
        (
            ("filter", "-k", "1 -1", "--scale", "0.5", "--bias", "128"),
            partial(every, kernel=[[0.5, -0.5]], bias=128),
        ),
        (
            ("filter", "-k", "1 -1", "--stride", "3", "--dilation", "2", "--border", "wrap"),
            partial(every, kernel=[[1, 0, -1]], stride=3, border="wrap"),
        ),
        (
            ("filter", "-k", "gaussian-xy:2", "--stretch", "--stride", "2"),
            partial(stretched, kernel=convcli.kernel("gaussian-xy:2"), stride=2),
        ),
        (("filter", "-k", "dog:1,1.6"), partial(every, kernel=convcli.kernel("dog:1,1.6"))),
        (
            ("filter", "-k", "gabor:8,30,3", "--scale", "2", "--bias", "128"),
            partial(every, kernel=convcli.kernel("gabor:8,30,3").scaled(2), bias=128),
        ),
        (
            ("filter", "-k", "gabor-odd:8", "--stretch"),
            partial(stretched, kernel=convcli.kernel("gabor-odd:8")),
        ),
    ],
)
@pytest.mark.parametrize("kind", ["photo", "grey"])
@pytest.mark.parametrize("method", ["numpy", "numba"])
def test_each_command_gives_what_its_function_gives(
    run, here, picture_file, request, argv, function, kind, method
):
    pixels = request.getfixturevalue(kind)[100:200, 200:331]
    path = picture_file("a.png", pixels)
    result = run(*argv, "-m", method, path)
    assert (result.status, result.out) == (0, b"")
    np.testing.assert_array_equal(
        pixels_of(here / f"a.{argv[0]}.png"), function(pixels, method=method)
    )


@pytest.mark.parametrize("linear", [False, True])
def test_edges_of_a_jpeg_are_those_of_its_luma_but_not_of_its_light(run, folder, linear):
    with Image.open("b.jpg") as picture:
        if not linear:
            picture.draft("L", None)
        pixels = np.asarray(picture)
    assert pixels.ndim == (3 if linear else 2)
    result = run("edge", "b.jpg", "-o", "e.png", "-m", "numpy", *(["--linear"] if linear else []))
    assert result.status == 0
    wanted = convcli.edge(pixels, method="numpy", linear=linear)
    np.testing.assert_array_equal(pixels_of("e.png"), wanted)


def test_a_wrong_option_is_refused_while_a_picture_is_decoded(run, folder, monkeypatch):
    go_on = threading.Event()
    read_picture = image.read

    def slow(*arguments):
        *arguments, on_decode = arguments
        on_decode(1, None)
        assert go_on.wait(10)
        return read_picture(*arguments)

    monkeypatch.setattr(image, "read", slow)
    result = run("blur", "--sigma", "-1", "a.png")
    go_on.set()
    assert result.status == 2
    assert "sigma" in result.message


@pytest.mark.parametrize("alpha", ["weight", "straight", "keep"])
def test_alpha_is_weighted_unless_asked_otherwise(run, folder, alpha):
    pixels = pixels_of("alpha.png")
    result = run(
        *BLUR, "alpha.png", "-m", "numpy", *(() if alpha == "weight" else ("--alpha", alpha))
    )
    assert result.status == 0
    expected = convcli.blur(pixels, 1, alpha=alpha, method="numpy")
    np.testing.assert_array_equal(pixels_of("alpha.blur.png"), expected)


@pytest.mark.parametrize("target", ["png", "webp"])
@pytest.mark.parametrize("alpha", ["weight", "straight", "keep"])
def test_colours_that_an_animation_cannot_hide_are_noted(run, here, target, alpha):
    rng = np.random.default_rng(1)
    frames = [rng.integers(1, 256, (12, 16, 4), np.uint8) for _ in range(3)]
    for frame in frames:
        frame[..., 3] = 255
        frame[2:10, 3:12, 3] = 0
    first, *others = [Image.fromarray(frame) for frame in frames]
    first.save("a.png", save_all=True, append_images=others, duration=50)
    result = run("filter", "-k", "identity", "a.png", "-o", f"b.{target}", "--alpha", alpha)
    lost = "note: dropped the colours of its transparent pixels"
    assert (lost in result.err) is (target == "webp" and alpha != "weight")
    with Image.open(f"b.{target}") as image:
        is_kept = np.array_equal(np.asarray(image.convert("RGBA")), frames[0])
    assert is_kept is (target == "png" and alpha != "weight")


def test_the_fourth_colour_of_cmyk_is_no_alpha(run, here, picture_file, photo):
    pixels = np.dstack([photo[:40, :50], photo[:40, :50, 0]])
    picture_file("a.tif", Image.fromarray(pixels, "RGBA").convert("RGB").convert("CMYK"))
    pixels = pixels_of("a.tif")
    assert run(*BLUR, "a.tif", "-m", "numpy").status == 0
    expected = convcli.blur(pixels, 1, alpha="straight", method="numpy")
    np.testing.assert_array_equal(pixels_of("a.blur.tif"), expected)


def test_light_of_a_picture_without_srgb_is_refused(run, here, picture_file):
    picture_file("a.tif", Image.new("F", (8, 8)))
    result = run(*BLUR, "a.tif", "--linear")
    assert result.status == 1
    assert "'a.tif': has float samples, and --linear decodes sRGB code values" in result.message


@pytest.mark.parametrize("method", ["numpy", "numba", "fft", "tiled", "auto"])
def test_every_method_can_be_asked_for(run, folder, method):
    result = run(*BLUR, "a.png", "-m", method, "-w", "2", "--json")
    assert result.status == 0
    assert json.loads(result.out)["method"] == method or method == "auto"
    difference = pixels_of("a.blur.png").astype(int) - convcli.blur(pixels_of("a.png"), 1.0)
    assert np.abs(difference).max() <= 1


# --- inputs and outputs


@pytest.mark.parametrize("argv", [(), ("-",), ("-", "-o", "-"), ("-o", "-")])
def test_standard_input_goes_to_standard_output(run, folder, argv):
    result = run(*BLUR, *argv, "-m", "numpy", stdin=(folder / "a.png").read_bytes())
    assert (result.status, result.err) == (0, "")
    expected = convcli.blur(pixels_of("a.png"), 1, method="numpy")
    np.testing.assert_array_equal(read(result.out).pixels, expected)


@pytest.mark.parametrize(
    ("name", "argv", "expected"),
    [("a.png", (), "PNG"), ("b.jpg", (), "JPEG"), ("a.png", ("--format", "webp"), "WEBP")],
)
def test_standard_output_has_the_own_format_or_the_one_named(run, folder, name, argv, expected):
    result = run(*BLUR, *argv, stdin=(folder / name).read_bytes())
    assert read(result.out).format == expected


def test_standard_input_can_go_to_a_file_and_a_file_to_standard_output(run, folder):
    to_file = run(*BLUR, "-o", "new.png", stdin=(folder / "a.png").read_bytes())
    assert (to_file.status, to_file.out) == (0, b""), to_file.err
    to_pipe = run(*BLUR, "a.png", "-o", "-")
    assert to_pipe.out == (folder / "new.png").read_bytes()


@pytest.mark.parametrize(
    ("argv", "name", "expected"),
    [
        (("a.png", "-o", "soft.jpg"), "soft.jpg", "JPEG"),
        (("a.png", "-o", "new/"), "new/a.png", "PNG"),
        (("a.png", "--format", "tiff"), "a.blur.tif", "TIFF"),
        (("dir", "-r", "-o", "out"), "out/x.png", "PNG"),
    ],
)
def test_the_output_is_where_it_was_asked_for(run, folder, argv, name, expected):
    assert run(*BLUR, *argv).status == 0
    assert read(folder / name).format == expected


def test_a_list_from_find_is_filtered(run, folder):
    result = run(*BLUR, "--files-from", "-", "-0", "-o", "out", stdin=b"./dir/x.png\0a.png\0")
    assert (result.status, result.message) == (0, "2 written, 0 failed, 0 skipped")
    assert names_in(folder / "out") == ["a.png", "dir", "dir/x.png"]


def test_one_failure_of_many_is_counted_and_the_rest_is_done(run, folder):
    result = run(*BLUR, "a.png", "empty.png", "b.jpg", "-o", "out/")
    assert result.status == 1
    assert result.err.splitlines() == [
        "convcli: 'empty.png': is empty",
        "2 written, 1 failed, 0 skipped",
    ]
    assert names_in(folder / "out") == ["a.png", "b.jpg"]


def test_existing_outputs_are_skipped_when_asked(run, folder):
    run(*BLUR, "a.png")
    before = (folder / "a.blur.png").stat()
    result = run(*BLUR, "a.png", "b.jpg", "--skip-existing")
    assert (result.status, result.message) == (0, "1 written, 0 failed, 1 skipped")
    assert (folder / "a.blur.png").stat() == before
    assert run(*BLUR, "a.png", "--skip-existing").message == (
        "skipped 'a.png': 'a.blur.png' exists"
    )


def test_existing_outputs_are_replaced_when_asked(run, folder):
    assert run("edge", "a.png", "-o", "there.png", "-f").status == 0
    assert pixels_of("there.png").shape == (48, 64)


def test_inputs_are_replaced_when_asked(run, folder):
    expected = convcli.blur(pixels_of("a.png"), 1, method="numpy")
    before = names_in(folder)
    assert run(*BLUR, "a.png", "--in-place", "-m", "numpy").status == 0
    np.testing.assert_array_equal(pixels_of("a.png"), expected)
    assert names_in(folder) == before


@pytest.mark.parametrize("argv", [("--in-place",), ("-o", "there.png", "-f")])
def test_a_failure_leaves_the_old_file_as_it_was(run, folder, argv):
    kept = {name: (folder / name).read_bytes() for name in ("truncated.png", "there.png")}
    assert run(*BLUR, "truncated.png", *argv).status == 1
    assert kept == {name: (folder / name).read_bytes() for name in kept}


# --- messages


def test_one_picture_is_said_to_be_written(run, folder):
    result = run(*BLUR, "a.png", "-m", "numpy")
    assert re.fullmatch(r"wrote 'a.blur.png': 64 x 48 RGB, numpy, \d+\.\d\d s", result.message)


def test_the_frames_of_an_animation_are_counted(run, folder):
    result = run(*BLUR, "many.gif", "-m", "numpy")
    *_, line = result.err.splitlines()
    assert re.fullmatch(r"wrote 'many.blur.gif': 64 x 48 RGB, 2 frames, numpy, \d+\.\d\d s", line)


def test_quiet_says_nothing_but_errors(run, folder):
    assert run(*BLUR, "a.png", "b.jpg", "-q").err == ""
    assert run(*BLUR, "empty.png", "-q").message == "convcli: 'empty.png': is empty"


def test_verbose_says_a_line_for_each(run, folder):
    lines = run(*BLUR, "a.png", "b.jpg", "-v").err.splitlines()
    assert sorted(line.split(":")[0] for line in lines) == [
        "2 written, 0 failed, 0 skipped",
        "wrote 'a.blur.png'",
        "wrote 'b.blur.jpg'",
    ]


def test_what_was_changed_on_the_way_in_is_noted(run, here, picture_file):
    picture_file("a.png", Image.new("1", (8, 8)))
    lines = run(*BLUR, "a.png").err.splitlines()
    assert lines[0] == "convcli: 'a.png': note: converted mode 1 to L"


@pytest.mark.parametrize("method", ["numpy", "fft", "numba"])
def test_explain_names_the_method_and_the_reason(run, folder, method):
    result = run(*BLUR, "a.png", "--explain", "-m", method)
    assert "'a.png', 64 x 48:" in result.err
    assert f"+-- method     {method}: as requested" in result.err
    assert result.out == b""


def test_explain_does_not_disturb_the_picture(run, folder):
    result = run(*BLUR, "--explain", stdin=(folder / "a.png").read_bytes())
    assert "chosen by auto" in result.err
    assert read(result.out).format == "PNG"


JSON_KEYS = (
    "input", "output", "status", "reason", "width", "height", "mode", "frames", "method", "form",
    "sums", "seconds", "times", "predicted", "left_out", "notes",
)  # fmt: skip


@pytest.mark.parametrize(
    ("argv", "message"),
    [
        (
            ("blur", "--sigma", "1", "--border", "constant", "--border-value", "1e300"),
            "--border-value must be a number between -1e+09 and 1e+09, not 1e+300",
        ),
        (("blur", "--sigma", "-1"), "--sigma must be a finite number above 0, not -1"),
        (("sharpen", "--sigma", "2,0"), "--sigma must be a finite number above 0, not 0"),
        ((*BLUR, "--radius", "-2"), "--radius must be a whole number of at least 0, not -2"),
        ((*BLUR, "--truncate", "nan"), "--truncate must be a finite number above 0, not nan"),
        ((*BLUR, "--workers", "0"), "--workers must be a whole number of at least 1, not 0"),
        (("filter", "-k", "1", "--scale", "nan"), "--scale must be a finite number, not nan"),
        (("filter", "-k", "1", "--bias", "nan"), "--bias must be a finite number, not nan"),
        (("sharpen", "--amount", "-1"), "--amount must be at least 0, not -1"),
        (("sharpen", "--threshold", "nan"), "--threshold must be a finite number, not nan"),
        (("compare", "b.jpg", "--tolerance", "-1"), "--tolerance must be at least 0, not -1"),
    ],
)
def test_an_option_is_called_as_it_is_typed(run, folder, argv, message):
    more = () if argv[0] != "sharpen" or "--sigma" in argv else ("--sigma", "1")
    result = run(argv[0], "a.png", *argv[1:], *more)
    assert (result.status, result.message) == (2, f"convcli: {message}")


@pytest.mark.parametrize(
    ("argv", "statuses"),
    [
        (("a.png", "gone.png", "empty.png", "-o", "o"), {"written", "failed"}),
        (("a.png", "alpha.png", "--skip-existing", "-o", "dir"), {"written"}),
        (("dir/x.png", "--skip-existing", "-o", "there.png"), {"skipped"}),
        (("a.png", "gone.png", "there.png", "-o", "o", "-n"), {"planned", "failed"}),
        (("dir/x.png", "--skip-existing", "-o", "there.png", "-n"), {"skipped"}),
        (("many.gif", "alpha.png", "-o", "o"), {"written"}),
    ],
)
def test_json_always_has_the_same_keys(run, folder, argv, statuses):
    records = [json.loads(line) for line in run(*BLUR, *argv, "--json").out.splitlines()]
    assert {record["status"] for record in records} == statuses
    assert {tuple(record) for record in records} == {JSON_KEYS}


def test_json_is_one_object_a_line(run, folder):
    result = run(*BLUR, "a.png", "gone.png", "empty.png", "there.png", "-o", "out", "--json")
    found = {fields["input"]: fields for fields in map(json.loads, result.out.splitlines())}
    assert result.status == 1
    nothing = dict.fromkeys(JSON_KEYS) | {"notes": []}
    assert found["gone.png"] == nothing | {
        "input": "gone.png",
        "status": "failed",
        "reason": "No such file or directory",
    }
    assert found["empty.png"] == nothing | {
        "input": "empty.png",
        "output": "out/empty.png",
        "status": "failed",
        "reason": "is empty",
    }
    written = found["a.png"]
    assert written.pop("seconds") > 0
    times, predicted = written.pop("times"), written.pop("predicted")
    assert [*times] == [*predicted] == ["read", "filter", "write"]
    assert min(times.values()) >= 0
    assert written.pop("method") in ("numpy", "numba", "fft")
    assert written.pop("form") in ("separable", "dense")
    assert written.pop("sums") in ("float32", "float64")
    assert written == {
        "input": "a.png",
        "output": "out/a.png",
        "status": "written",
        "reason": None,
        "width": 64,
        "height": 48,
        "mode": "RGB",
        "frames": 1,
        "left_out": None,
        "notes": [],
    }


def test_json_has_the_times_that_explain_prints(run, folder):
    result = run(*BLUR, "a.png", "--json", "--explain")
    record = json.loads(result.out)
    times = record["times"]
    assert [*times] == ["start", *record["predicted"]]
    shown = dict(
        re.findall(r"^\W+(start|read|filter|write|total).* ([\d.]+ \w?s)(?: |$)", result.err, re.M)
    )
    units = {"s": 1, "ms": 1e-3, "us": 1e-6}
    seconds = {
        name: float(text.split()[0]) * units[text.split()[1]] for name, text in shown.items()
    }
    assert seconds == pytest.approx({**times, "total": sum(times.values())}, rel=0.01)
    # The image was read while the program was loaded, and still counts whole.
    steps = sum(times[name] for name in record["predicted"])
    assert steps - 1e-4 <= record["seconds"] <= steps + times["start"]


def test_dry_run_says_what_would_be_done_and_does_nothing(run, folder):
    before = names_in(folder)
    result = run(*BLUR, "a.png", "gone.png", "empty.png", "-o", "out", "--dry-run")
    assert result.text == "blur 'a.png' -> 'out/a.png'\nblur 'empty.png' -> 'out/empty.png'\n"
    assert (result.status, result.message) == (1, "convcli: 'gone.png': No such file or directory")
    assert names_in(folder) == before


def test_dry_run_says_what_would_be_skipped(run, folder):
    result = run(*BLUR, "a.png", "-o", "there.png", "--skip-existing", "-n")
    assert (result.status, result.text) == (0, "skip 'a.png': 'there.png' exists\n")


def test_dry_run_in_json(run, folder):
    result = run(*BLUR, "a.png", "gone.png", "-n", "--json")
    planned, failed = map(json.loads, result.out.splitlines())
    nothing = dict.fromkeys(JSON_KEYS) | {"notes": []}
    assert planned == nothing | {"input": "a.png", "output": "a.blur.png", "status": "planned"}
    assert failed["status"] == "failed"


# --- hostile names


NAMES = {
    "[red]x.png": "'[red]x.png'",
    "a[/].png": None,  # with a slash it is a folder
    ":smile:.png": "':smile:.png'",
    "a\x1b[31m.png": r"'a\x1b[31m.png'",
    "\x1b]52;c;YQ==\x07.png": r"'\x1b]52;c;YQ==\x07.png'",
    "new\nline.png": r"'new\nline.png'",
    "back\rward.png": r"'back\rward.png'",
    "right\u202eleft.png": r"'right\u202eleft.png'",
    "\x9bc1.png": r"'\x9bc1.png'",
    "\udcff.png": r"'\udcff.png'",
    " lead.png": "' lead.png'",
    "it's.png": '"it\'s.png"',
    "é.png": "'é.png'",
    "%s {0} $HOME `id`.png": "'%s {0} $HOME `id`.png'",
}
del NAMES["a[/].png"]


def is_inert(text):
    return all(c.isprintable() or c == "\n" for c in text)


@pytest.mark.parametrize("name", NAMES)
def test_a_hostile_name_is_processed_and_printed_inert(run, here, picture_file, name):
    picture_file("plain.png").rename(here / name)
    quoted = NAMES[name]
    result = run(*BLUR, name, "-o", "out/", "--json", "--explain")
    assert result.status == 0
    assert is_inert(result.err + result.text)
    assert f"{quoted}, 64 x 48:" in result.err
    assert len(result.text.splitlines()) == 1
    assert os.fsencode(json.loads(result.out)["output"]) == b"out/" + os.fsencode(name)
    assert os.fsencode(name) in os.listdir(b"out")
    for argv in ((), ("-n",), ("--skip-existing", "-v"), ("--skip-existing", "--json")):
        result = run(*BLUR, name, "-o", "out/", *argv)
        assert is_inert(result.err + result.text)
        assert len((result.err + result.text).splitlines()) <= 2
        if "--json" not in argv:
            assert quoted[1:-1] in result.err + result.text


@pytest.mark.parametrize("name", NAMES)
def test_a_hostile_name_of_nothing_is_printed_inert(run, here, name):
    result = run(*BLUR, name)
    assert result.status == 1
    assert result.message == f"convcli: {NAMES[name]}: No such file or directory"
    for argv in (("--files-from", name), ("-m", name), ("-o", name + "x"), ("--" + name,), (name,)):
        refused = run("filter", "-k", name, "x.png", *argv)
        assert refused.status == 2
        assert is_inert(refused.message)


def test_hostile_names_in_a_folder_are_processed(run, here, picture_file):
    plain = picture_file("dir/plain.png").read_bytes()
    for name in (*NAMES, "-o", "--help.png", "-.png"):
        (here / "dir" / name).write_bytes(plain)
    result = run(*BLUR, "-r", "dir", "-o", "out")
    assert result.err.splitlines() == [
        "convcli: 'dir': note: skipped 1 file: 1 without a suffix",  # -o
        f"{len(NAMES) + 3} written, 0 failed, 0 skipped",
    ]


@pytest.mark.parametrize("name", ["-o.png", "--help.png", "-.png", "-"])
def test_names_that_begin_with_a_dash_can_be_said(run, here, picture_file, name):
    picture_file("plain.png").rename(here / name)
    assert run(*BLUR, "-o", "out.png", f"./{name}").status == 0
    if name != "-":
        assert run(*BLUR, "-o", "out2.png", "--", name).status == 0


def test_a_hostile_kernel_name_is_printed_inert(run, folder):
    np.save(folder / "k\x1b[31m\n.npy", np.ones((2, 2)))
    for argv in (("filter", "a.png", "--explain", "-k"), ("kernel",)):
        result = run(*argv, "k\x1b[31m\n.npy")
        assert result.status == 0
        assert is_inert(result.err + result.text)


# --- what needs a process of its own


def test_the_program_runs_as_a_module(program, folder):
    result = program(*BLUR, "a.png", "-m", "numpy", cwd=folder)
    assert (result.status, result.out) == (0, b"")
    expected = convcli.blur(pixels_of("a.png"), 1, method="numpy")
    np.testing.assert_array_equal(pixels_of("a.blur.png"), expected)


def convcli_in_shell(command, cwd, **settings):
    """Run a line of shell in which ``convcli`` runs the program."""
    line = f'convcli() {{ "{sys.executable}" -m convcli "$@"; }}; {command}'
    return subprocess.run(
        ["sh", "-c", line], cwd=cwd, capture_output=True, timeout=60, text=True, **settings
    )


@pytest.mark.parametrize("unbuffered", ["", "1"])
@pytest.mark.parametrize(
    "argv",
    [
        (*BLUR, "large.bmp", "-o", "-", "-q"),
        (*BLUR, "-n", "dir", "-r", "-q"),
        (*BLUR, "dir", "-r", "--json", "-q"),
        ("--version",),
    ],
    ids=["picture", "dry run", "json", "version"],
)
def test_a_reader_that_goes_away_ends_it_silently(folder, photo, argv, unbuffered):
    Image.fromarray(photo).save(folder / "large.bmp")
    process = subprocess.Popen(
        [sys.executable, "-m", "convcli", *argv],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        env=os.environ | {"PYTHONUNBUFFERED": unbuffered},
    )
    with process:
        process.stdout.close()
        assert process.stderr.read() == b""
    assert process.returncode == 141


def test_head_of_a_picture(folder, photo):
    Image.fromarray(photo).save(folder / "large.bmp")
    command = "{ convcli blur --sigma 1 large.bmp -o -; echo $? >status; } | head -c 10"
    done = convcli_in_shell(command, folder, errors="replace")
    assert (done.stdout[:2], done.stderr) == ("BM", "")
    assert (folder / "status").read_text() == "141\n"


@pytest.mark.skipif(not os.path.exists("/dev/full"), reason="a device of Linux")
@pytest.mark.parametrize(
    ("command", "message"),
    [
        ("blur --sigma 1 a.png -o -", "convcli: 'a.png': cannot write to standard output: "),
        ("blur --sigma 1 there.png -o -", "convcli: 'there.png': cannot write to standard output"),
        ("blur --sigma 1 a.png --json -q", "convcli: "),
        ("blur --sigma 1 a.png -n", "convcli: "),
        ("kernel sobel", "convcli: "),
        ("--help", "convcli: "),
    ],
)
def test_a_full_standard_output_is_one_line(folder, command, message):
    done = convcli_in_shell(f"convcli {command} >/dev/full", folder)
    assert done.returncode == 1
    assert done.stderr.startswith(message)
    assert "No space left on device" in done.stderr
    assert "standard output" in done.stderr
    assert done.stderr.count("\n") == 1


@pytest.mark.parametrize(
    ("command", "status", "message"),
    [
        ("blur --sigma 1 <&-", 1, "convcli: standard input: is empty\n"),
        ("blur --sigma 1 - <&-", 1, "convcli: standard input: is empty\n"),
        ("blur --sigma 1 --files-from - <&-", 2, "convcli: --files-from '-': lists no files\n"),
        ("blur --sigma 1 a.png -o - >&-", 2, "convcli: standard output is closed; name a file"),
        ("blur --sigma 1 a.png --json >&-", 2, "convcli: standard output is closed"),
        ("blur --sigma 1 a.png >&-", 0, "wrote 'a.blur.png'"),
        ("blur --sigma 1 a.png 2>&-", 0, ""),
        ("blur --sigma 1 empty.png 2>&-", 1, ""),
        ("blur --sigma 1 a.png <&- >&- 2>&-", 0, ""),
        ("blur --sigma 1 a.png --preview >&-", 2, "convcli: --preview needs a terminal"),
        ("blur --sigma 1 a.png -q --explain 2>&-", 0, ""),
        ("kernel sobel >&-", 0, ""),
        ("compare a.png a.png >&-", 0, ""),
    ],
)
def test_closed_streams(folder, command, status, message):
    done = convcli_in_shell(f"convcli {command}", folder)
    assert done.returncode == status
    assert done.stderr.startswith(message)
    assert done.stderr.count("\n") == bool(message)


@pytest.mark.parametrize("argv", [("a.png", "--in-place"), ("a.png", "-o", "there.png", "-f")])
def test_a_disk_that_is_full_leaves_the_old_file_and_no_trace(folder, photo, argv):
    Image.fromarray(photo).save(folder / "a.png")
    before = {path: path.read_bytes() for path in folder.glob("*.png")}
    done = convcli_in_shell(f"ulimit -f 20; convcli blur --sigma 1 {' '.join(argv)}", folder)
    assert done.returncode == 1
    target = "there.png" if "-o" in argv else "a.png"
    assert done.stderr == f"convcli: 'a.png': cannot write '{target}': File too large\n"
    assert {path: path.read_bytes() for path in folder.glob("*.png")} == before
    assert not list(folder.glob(".convcli*"))


def test_damaged_exif_costs_no_words(program, folder, picture_file):
    path = picture_file("e.jpg", exif=b"Exif\0\0MM\0*\0\0\0\x08\xff\xff")
    assert program(*BLUR, path, "-q").err == ""


@pytest.mark.parametrize("arguments", ["--files-from - -o x", "../a.png -o b.png", ". -r"])
def test_a_working_folder_that_is_gone_is_one_line(folder, arguments):
    done = convcli_in_shell(
        f"mkdir gone; cd gone; rmdir ../gone; convcli blur --sigma 1 {arguments}",
        folder,
        input="../a.png\n",
    )
    assert done.returncode == 1
    assert done.stderr == "convcli: No such file or directory (the current folder)\n"


@pytest.mark.parametrize("encoding", ["ascii", "utf-8"])
def test_names_are_printed_in_any_encoding(program, folder, encoding):
    (folder / "a.png").rename(folder / "é\udcff.png")
    env = os.environ | {"PYTHONIOENCODING": encoding, "LC_ALL": "C", "PYTHONUTF8": "1"}
    for argv in (("-n",), ("--json",), ("-f", "-v")):
        result = program(*BLUR, "é\udcff.png", *argv, cwd=folder, env=env)
        assert result.status == 0
        assert "Traceback" not in result.err


SLOW = r"""
import os, sys, time
import convcli.filtering.convolution
from convcli.cli import signals
from convcli.cli.program import main

def slow(pixels, filter_, **options):
    os.write(1, b"begun\n")
    for part in range(1000):
        options["on_progress"](part, 1000) if options.get("on_progress") else None
        time.sleep({step})
    return pixels

convcli.filtering.convolution.apply = slow
signals._PATIENCE_SECONDS = 1.5  # a busy machine needs longer than half a second to say so
sys.argv = ["convcli", *sys.argv[1:]]
main()
"""


@pytest.mark.slow
@pytest.mark.parametrize(
    ("number", "inputs", "step"),
    [
        *product(
            [signal.SIGINT, signal.SIGTERM, signal.SIGHUP], [["a.png"], ["a.png", "b.jpg"]], [30]
        ),
        (signal.SIGINT, ["a.png"], 0.01),
        (signal.SIGTERM, ["a.png", "b.jpg"], 0.01),
    ],
)
def test_a_signal_ends_it_at_once_and_leaves_nothing(folder, number, inputs, step):
    process = subprocess.Popen(
        [sys.executable, "-c", SLOW.replace("{step}", str(step)), *BLUR, *inputs, "-o", "out/"],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        preexec_fn=attended,
    )
    with process:
        try:
            assert process.stdout.readline() == "begun\n"
            start = time.monotonic()
            process.send_signal(number)
            _, said = process.communicate(timeout=60)
        finally:
            process.kill()  # a failed test does not wait until it has filtered for hours
    assert process.returncode == -number
    assert time.monotonic() - start < 3
    assert "Traceback" not in said
    batch = len(inputs) > 1
    assert said == (
        "0 written, 0 failed, 0 skipped, then interrupted\n"
        if batch
        else "convcli: interrupted; nothing was written\n"
    )
    assert not (folder / "out").exists() or names_in(folder / "out") == []


# --- terminals


EAGER = """
import sys, threading
import convcli.cli.screen.progress as progress
from convcli.cli.program import main

progress._PATIENCE_SECONDS = {patience}
during = set()
draw = progress.Bar._draw
def watched(*arguments):
    draw(*arguments)
    during.update(thread.name for thread in threading.enumerate())
progress.Bar._draw = watched
sys.argv = ["convcli", *sys.argv[1:]]
try:
    main()
finally:
    print(sorted(name.split("_")[0].split("-")[0] for name in during))
    # Those that are kept are idle and end with the process.
    print(sum(not thread.name.startswith("kept") for thread in threading.enumerate()))
"""


def on_terminal(argv, cwd, patience=0, status=0):
    """Run the program with standard error on a terminal: what it shows, and its output."""
    ours, theirs = pty.openpty()
    process = subprocess.Popen(
        [sys.executable, "-c", EAGER.replace("{patience}", str(patience)), *argv],
        cwd=cwd,
        stderr=theirs,
        stdout=subprocess.PIPE,
        stdin=subprocess.DEVNULL,
        env=os.environ | {"TERM": "xterm", "COLUMNS": "80"},
    )
    os.close(theirs)
    with process:
        shown = seen(ours)
        out = process.stdout.read()
    assert process.returncode == status
    return shown.decode(), out.decode()


@pytest.mark.parametrize(
    ("inputs", "what"), [(["a.png", "b.jpg", "dir/x.png"], "images"), (["tall.png"], "filtering")]
)
def test_a_bar_is_shown_on_a_terminal_and_is_gone_at_the_end(folder, grey, inputs, what):
    Image.fromarray(grey).save(folder / "tall.png")
    # The predicted time is long enough for a bar.
    argv = ("blur", "--sigma", "40", "--exact", *inputs, "-o", "out/", "-m", "numpy")
    shown, out = on_terminal(argv, folder)
    assert what in shown
    assert "━" in shown
    (line,) = visible(shown)
    assert re.match(r"3 written, |wrote 'out/tall.png'", line)
    # No thread of rich's own, because workers are forked from this process.
    during, left = out.splitlines()
    assert set(eval(during)) <= {"MainThread", "ThreadPoolExecutor", "kept"}
    assert left == "1"
    assert "\x1b[?25l" not in shown  # a hidden cursor would stay hidden after a kill


def test_failures_are_said_above_the_bar(folder):
    argv = (*BLUR, "empty.png", "a.png", "text.png", "b.jpg", "-o", "out/", "-m", "numpy")
    shown, _ = on_terminal(argv, folder, status=1)
    assert "━" in shown
    lines = visible(shown)
    assert any(line.startswith("error: 'text.png': is not an image in a known") for line in lines)
    assert "error: 'empty.png': is empty" in lines
    assert lines[-1].startswith("2 written, 2 failed, 0 skipped in 'out/', ")


def test_what_is_over_soon_needs_no_bar(folder):
    shown, _ = on_terminal((*BLUR, "a.png", "b.jpg", "-o", "out/"), folder, patience=60)
    assert re.fullmatch(
        "2 written, 0 failed, 0 skipped in 'out/', [0-9.]+ s, [0-9.]+ MP/s\r\n",
        shown,
    )


def test_quiet_shows_no_bar(folder):
    shown, _ = on_terminal((*BLUR, "a.png", "b.jpg", "-o", "out/", "-q"), folder)
    assert shown == ""


def test_a_pipe_shows_no_bar(run, folder, monkeypatch):
    monkeypatch.setattr("convcli.cli.screen.progress._PATIENCE_SECONDS", 0)
    result = run(*BLUR, "a.png", "b.jpg", "-o", "out/")
    assert result.err == "2 written, 0 failed, 0 skipped\n"


def test_a_bar_that_is_not_wanted_costs_nothing(monkeypatch):
    monkeypatch.setitem(sys.modules, "rich.progress", None)  # to import it is an error
    with Bar(5, enabled=False) as bar:
        bar.regions_done(1, 2)
        bar.picture_done(1.0)


@pytest.mark.parametrize(
    ("argv", "message"),
    [
        ((), "convcli: there is no input; name an image (convcli blur photo.jpg)"),
        (("-",), "convcli: there is no input; name an image"),
        (("a.png", "-o", "-"), "convcli: images are not written to a terminal; name a file"),
    ],
)
def test_pictures_are_neither_typed_nor_shown_on_a_terminal(folder, argv, message):
    ours, theirs = pty.openpty()
    done = subprocess.run(
        [sys.executable, "-m", "convcli", *BLUR, *argv],
        stdin=theirs,
        stdout=theirs,
        stderr=subprocess.PIPE,
        text=True,
        timeout=60,
    )
    os.close(theirs)
    os.close(ours)
    assert done.returncode == 2
    assert done.stderr.startswith(message)
    assert done.stderr.count("\n") == 1


def test_the_kernel_in_the_reason_of_a_plan(run, folder):
    """`--explain` and Python show the same plan for the same image and kernel."""
    plan = convcli.plan((48, 64, 3), "uint8", kernel_from([[1.0, 0.0, -1.0]], "1 0 -1"), "numpy")
    result = run("filter", "a.png", "-k", "1 0 -1", "--explain", "-m", "numpy")
    for line in str(plan).splitlines()[1:3]:
        assert f"+-- {line}" in result.err.splitlines()


@pytest.mark.parametrize(
    "argv", [("--stretch",), ("--show", "angle"), ("--canny", "9e3,2e4")], ids=" ".join
)
def test_edges_of_whole_numbers_of_32_bits_are_not_rounded_to_nothing(run, folder, grey, argv):
    samples = grey.astype(np.int32) * 1000
    Image.fromarray(samples).save(folder / "whole.tif")
    assert run("edge", "whole.tif", *argv, "-o", "e.tif").status == 0
    got = read(folder / "e.tif")
    assert got.mode == "F"
    show, stretch = ("angle", False) if "angle" in argv else ("magnitude", True)
    canny = (9e3, 2e4) if "--canny" in argv else None
    expected = convcli.edge(samples.astype(float), show=show, stretch=stretch, canny=canny)
    np.testing.assert_allclose(got.pixels, expected, atol=1e-5)


def test_edges_of_whole_numbers_of_32_bits_are_whole_numbers(run, folder, grey):
    samples = grey.astype(np.int32) * 1000
    Image.fromarray(samples).save(folder / "whole.tif")
    assert run("edge", "whole.tif", "-o", "e.tif").status == 0
    got = read(folder / "e.tif")
    assert got.mode == "I"
    np.testing.assert_array_equal(got.pixels, np.rint(convcli.edge(samples.astype(float))))


def test_the_size_that_is_said_is_that_of_the_result(run, folder):
    argv = ("filter", "a.png", "-k", "emboss", "--stride", "3")
    result = run(*argv, "--json")
    said = json.loads(result.out)
    assert pixels_of("a.filter.png").shape == (16, 22, 3)
    assert (said["width"], said["height"]) == (22, 16)
    assert "wrote 'a.filter.png': 22 x 16 RGB" in run(*argv, "-f").err


# --- trees


@pytest.fixture
def tree(here, picture_file, photo):
    """A folder of three images, and of everything that a walk skips or reports."""
    for number, name in enumerate(("tree/a.png", "tree/sub/b.jpg", "tree/sub/c.png")):
        picture_file(name, photo[number * 50 :][:30, :40])
    picture_file("outside.png")
    (here / "tree/notes.txt").touch()
    (here / "tree/._a.png").write_bytes(b"\0")
    (here / "tree/gone.png").symlink_to("nowhere.png")
    (here / "tree/loop").symlink_to(".")
    os.mkfifo(here / "tree/fifo.png")
    return here


SKIPPED = (
    "convcli: 'tree': note: skipped 2 files: 1 AppleDouble, 1 text; 1 link to a folder; "
    "1 broken link; 1 special file"
)


@pytest.mark.parametrize("dry", [(), ("--dry-run",)])
def test_what_is_skipped_is_said_unless_quiet(run, tree, dry):
    result = run(*BLUR, "-r", "tree", "-o", "out", *dry)
    assert result.status == 0
    assert result.err.splitlines()[0] == SKIPPED
    assert len(result.err.splitlines()) == (1 if dry else 2)
    assert run(*BLUR, "-r", "tree", "-o", "more", "--quiet", *dry).err == ""
    assert run(*BLUR, "-r", "tree", "-o", "tree", *dry).message.endswith("without -o")


def test_nothing_outside_is_read_or_written_and_the_rest_is_done(run, tree):
    (tree / "tree/secret.png").symlink_to("../outside.png")
    (tree / "elsewhere").mkdir()
    (tree / "out").mkdir()
    (tree / "out/sub").symlink_to("../elsewhere")
    planned = run(*BLUR, "-r", "tree", "-o", "out", "--dry-run", "--quiet")
    result = run(*BLUR, "-r", "tree", "-o", "out")
    assert (planned.status, result.status) == (1, 1)
    place = str(tree / "elsewhere")
    assert result.err.splitlines()[1:] == [
        "convcli: 'tree/secret.png': is a link to a file outside the folder; "
        "to filter that file, name it as an input",
        "convcli: 'tree/sub/b.jpg': would be written outside 'out', because a link leads to "
        f"'{place}/b.jpg'; remove the link or choose another -o",
        "convcli: 'tree/sub/c.png': would be written outside 'out', because a link leads to "
        f"'{place}/c.png'; remove the link or choose another -o",
        "1 written, 3 failed, 0 skipped",
    ]
    assert planned.err.splitlines() == result.err.splitlines()[1:4]
    assert planned.text == "blur 'tree/a.png' -> 'out/a.png'\n"
    assert names_in(tree / "out") == ["a.png", "sub"]
    assert names_in(tree / "elsewhere") == []


@pytest.mark.parametrize("how", [("-o", "out"), ()])
@pytest.mark.parametrize("listed", [False, True])
def test_parts_together_are_the_whole(run, tree, how, listed):
    names = b"tree/a.png\0./tree/sub/b.jpg\0tree/sub/c.png\0"
    inputs = ("--files-from", "-", "-0") if listed else ("-r", "tree")
    before = set(names_in(tree))
    planned, messages = "", []
    for part in ("1/4", "2/4", "3/4", "4/4"):
        argv = (*BLUR, *inputs, *how, "--shard", part)
        planned += run(*argv, "--dry-run", stdin=names).text
        result = run(*argv, stdin=names)
        assert result.status == 0
        messages += [line for line in result.err.splitlines() if "note" not in line]
    assert messages.count("0 written, 0 failed, 0 skipped") == 1
    assert len(messages) == 4
    pictures = {name for name in set(names_in(tree)) - before if (tree / name).is_file()}
    assert pictures == set(re.findall("-> '(.*)'", planned))
    assert len(pictures) == 3


@pytest.mark.parametrize("shard", [(), ("--shard", "1/1")])
def test_a_batch_goes_on_where_it_ended(run, tree, shard):
    argv = (*BLUR, "-r", "tree", "-o", "out", *shard)
    assert run(*argv).status == 0
    written = {name: (tree / "out" / name).read_bytes() for name in ("sub/b.jpg", "sub/c.png")}
    for name in written:
        (tree / "out" / name).unlink()
    result = run(*argv, "--skip-existing")
    assert result.err.splitlines()[1:] == ["2 written, 0 failed, 1 skipped"]
    assert written == {name: (tree / "out" / name).read_bytes() for name in written}


@pytest.mark.parametrize(
    ("argv", "message"),
    [
        (
            ("a.png", "--shard", "5/4"),
            "--shard must be I/N with I from 1 to N, such as 1/4, not '5/4'",
        ),
        (("-", "--shard", "1/4"), "--shard divides several inputs"),
    ],
)
def test_a_part_that_makes_no_sense_is_refused(run, folder, argv, message):
    before = names_in(folder)
    result = run(*BLUR, *argv)
    assert result.status == 2
    assert re.match(f"convcli: {message}", result.message)
    assert names_in(folder) == before


@pytest.mark.parametrize("argv", [["--help"], ["kernel", "gaussian:30"]])
def test_a_reader_of_standard_output_that_has_gone_is_status_141(argv):
    reader, writer = os.pipe()
    os.close(reader)
    with os.fdopen(writer, "wb") as out:
        done = subprocess.run(
            [sys.executable, "-m", "convcli", *argv], stdout=out, stderr=subprocess.PIPE
        )
    assert (done.returncode, done.stderr) == (141, b"")
