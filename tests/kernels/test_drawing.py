"""Plots of kernels: by matplotlib in a file, and in blocks of colour in a terminal."""

from __future__ import annotations

import io
import re
import sys

import matplotlib
import numpy as np
import pytest
from PIL import Image

from convcli.kernels.drawing import _figure, draw_kernel, frequency_response
from convcli.kernels.gaussian import gaussian_kernel
from convcli.kernels.kernel import kernel_from
from convcli.kernels.named import NAMED, default_words, named_kernel


def panels(kernel):
    """Return the axes with images, as (samples, axes): weights, factors, response."""
    figure = _figure(kernel, kernel.weights, ".3f")
    drawn = [axes for axes in figure.axes if axes.images]
    return [(np.asarray(axes.images[0].get_array()), axes) for axes in drawn]


def test_the_response_is_the_fourier_transform():
    weights = np.random.default_rng(0).normal(size=(3, 5))
    response = frequency_response(weights)
    y, x = np.indices(weights.shape)
    for v, u in ((0, 0), (-256, 256), (256, 0), (17, -40), (-3, 100)):
        expected = (weights * np.exp(-2j * np.pi * (v * y + u * x) / 512)).sum()
        assert response[v + 256, u + 256] == pytest.approx(expected)


@pytest.mark.parametrize("shape", [(1, 700), (1300, 3), (512, 513)])
def test_a_kernel_may_be_longer_than_the_transform(shape):
    weights = np.random.default_rng(0).normal(size=shape)
    response = frequency_response(weights)
    y, x = np.indices(shape)
    for v, u in ((0, 0), (17, -40)):
        expected = (weights * np.exp(-2j * np.pi * (v * y + u * x) / 512)).sum()
        assert response[v + 256, u + 256] == pytest.approx(expected)


def test_the_response_is_drawn_in_decibels_of_the_gain():
    _, axes = panels(kernel_from([[1.0, 0.0, -1.0]]))[-1]
    decibels = np.asarray(axes.images[0].get_array())
    assert decibels.max() == pytest.approx(20 * np.log10(2))  # a gain of 2 at a quarter cycle
    assert decibels[256, 256] == pytest.approx(20 * np.log10(2) - 80)  # a constant image gives 0
    assert axes.get_xlim() == (-0.5, 0.5)
    left, right, *_ = axes.images[0].get_extent()
    assert left + 128.5 / 513 * (right - left) == pytest.approx(-0.25)
    assert "cycles per pixel" in axes.get_xlabel()


def test_negative_weights_get_colours_about_0():
    (_, signed), *_ = panels(named_kernel("log:1"))
    assert signed.images[0].cmap.name == "RdBu_r"
    assert signed.images[0].norm(0.0) == 0.5
    (_, positive), *_ = panels(gaussian_kernel(1))
    assert positive.images[0].cmap.name == "viridis"
    assert positive.images[0].norm(0.0) == 0.0


@pytest.mark.parametrize(
    ("name", "count"), [("sobel", 9), ("box:9,3", 27), ("gaussian:20", 0), ("identity", 1)]
)
def test_numbers_stand_where_they_fit(name, count):
    kernel = named_kernel(name)
    (_, axes), *_ = panels(kernel)
    assert len(axes.texts) == count
    for text, weight in zip(axes.texts, kernel.weights.ravel(), strict=False):
        assert float(text.get_text()) == pytest.approx(weight, abs=5e-4)


@pytest.mark.parametrize("name", ["sobel", "gaussian:3", "box:9,3", "gaussian:30"])
def test_the_factors_stand_beside_their_rows_and_columns(name):
    kernel = named_kernel(name)
    (_, whole), (column, left), (row, below), _ = panels(kernel)
    np.testing.assert_allclose(column * row, kernel.weights)
    middle, beside, under = (axes.get_position() for axes in (whole, left, below))
    assert (beside.y0, beside.y1) == pytest.approx((middle.y0, middle.y1))
    assert (under.x0, under.x1) == pytest.approx((middle.x0, middle.x1))
    assert beside.x1 < middle.x0
    assert under.y1 < middle.y0


@pytest.mark.parametrize("name", ["emboss", "log:1", "1 2 3", "identity"])
def test_what_is_not_separable_or_a_line_has_no_factors(name):
    kernel = kernel_from([[1, 2, 3]]) if name == "1 2 3" else named_kernel(name)
    assert len(panels(kernel)) == 2


def test_the_pixel_under_the_kernel_is_0():
    (_, axes), *_ = panels(kernel_from(np.arange(12.0).reshape(3, 4)))
    assert axes.images[0].get_extent() == [-2.5, 1.5, 1.5, -1.5]


@pytest.mark.parametrize(
    "kernel",
    [
        kernel_from([[0.0, 0.0], [0.0, 0.0]]),
        kernel_from([[1e-9]]),
        kernel_from([[1e25, -1e25]]),
        kernel_from([[1.0, 2.0]], "$x^2$ \N{CJK UNIFIED IDEOGRAPH-4E2D} \\x1b"),
        kernel_from(np.ones((1, 3000))),
    ],
    ids=["zeros", "tiny", "huge", "name", "long"],
)
def test_every_kernel_can_be_drawn(kernel):
    file = io.BytesIO()
    draw_kernel(kernel, file, ".png", ".3e")
    assert Image.open(file).size[0] > 400


def test_a_users_settings_of_matplotlib_change_nothing():
    plain, odd = io.BytesIO(), io.BytesIO()
    draw_kernel(gaussian_kernel(1), plain, ".png", ".3f")
    with matplotlib.rc_context({"figure.autolayout": True, "axes.edgecolor": "red"}):
        draw_kernel(gaussian_kernel(1), odd, ".png", ".3f")
    assert plain.getvalue() == odd.getvalue()


def test_without_a_kernel_all_are_plotted(run, here):
    result = run("kernel", "--plot", "all.png")
    assert (result.status, result.err) == (0, "wrote 'all.png'\n")
    with Image.open("all.png") as picture:
        assert picture.size == (1440, 1200)
    assert run("kernel", "-o", "all.npy").status == 2


# --- the command


@pytest.fixture
def here(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    return tmp_path


@pytest.mark.parametrize(
    ("suffix", "begins"), [(".png", b"\x89PNG"), (".svg", b"<?xml"), (".PDF", b"%PDF")]
)
def test_the_suffix_picks_the_format(run, here, suffix, begins):
    files = [here / f"{name}{suffix}" for name in "ab"]
    for file in files:
        result = run("kernel", "log:1.4", "--plot", file)
        assert (result.status, result.out, result.err) == (0, b"", f"wrote {str(file)!r}\n")
    first, second = (file.read_bytes() for file in files)
    assert first.startswith(begins)
    assert first == second  # no date, nothing random


def test_saved_and_drawn_at_once(run, here):
    assert run("kernel", "sobel", "-o", "s.csv", "--plot", "s.png").status == 0
    assert sorted(path.name for path in here.iterdir()) == ["s.csv", "s.png"]


@pytest.mark.parametrize("there", ["s.csv", "s.png"])
def test_where_one_exists_neither_is_written(run, here, there):
    (here / there).write_text("mine")
    result = run("kernel", "sobel", "-o", "s.csv", "--plot", "s.png")
    assert (result.status, result.message) == (
        2,
        f"convcli: '{there}' exists; use --overwrite to replace it",
    )
    assert [path.name for path in here.iterdir()] == [there]
    assert (here / there).read_text() == "mine"
    assert run("kernel", "sobel", "-o", "s.csv", "--plot", "s.png", "-f").status == 0
    assert (here / "s.csv").read_text().startswith("0.25,")
    assert (here / "s.png").read_bytes().startswith(b"\x89PNG")


@pytest.mark.parametrize(
    ("argv", "status", "message"),
    [
        (
            ("sobel", "--plot", "k.gif"),
            2,
            "'k.gif': the name of a plot must end in .png, .svg or .pdf",
        ),
        (("sobel", "--plot", "k"), 2, "'k': the name of a plot must end in"),
        (("sobel", "--plot", "there.png"), 2, "'there.png' exists; use --overwrite to replace it"),
        (("sobel", "--plot", "no/k.png"), 1, "'no/k.png': No such file or directory"),
        (("box:100000", "--plot", "k.png"), 2, "dense form has 100000 x 100000 weights"),
        (("robinson", "--plot", "k.png"), 2, "'robinson' is not a kernel"),
    ],
)
def test_what_is_not_drawn_leaves_nothing(run, here, argv, status, message):
    (here / "there.png").write_text("mine")
    result = run("kernel", *argv)
    assert (result.status, result.out) == (status, b"")
    assert message in result.message
    assert [path.read_text() for path in here.iterdir()] == ["mine"]


def test_without_matplotlib_it_says_so_before_anything_else(run, here, monkeypatch):
    monkeypatch.setitem(sys.modules, "matplotlib", None)
    result = run("kernel", "robinson", "--plot", "k.png", "-o", "k.csv")
    assert result.status == 2
    assert "drawing needs matplotlib, which is not installed; pip install" in result.message
    assert not list(here.iterdir())


def test_a_matplotlib_that_is_broken_is_one_line(run, here, monkeypatch):
    monkeypatch.setitem(sys.modules, "matplotlib.figure", None)
    result = run("kernel", "sobel", "--plot", "k.png")
    assert result.status == 2
    assert "matplotlib, which cannot be imported" in result.message
    assert not list(here.iterdir())


# --- in a terminal


def test_a_terminal_shows_a_picture_above_the_numbers(terminal):
    lines = terminal("kernel", "sobel").text.splitlines()
    assert lines[0] == "sobel: 3 x 3, sum 0, rank 1"
    drawn = [line for line in lines if "\N{UPPER HALF BLOCK}" in line]
    assert lines[1:13] == drawn
    assert {line.count("\N{UPPER HALF BLOCK}") for line in drawn} == {24}
    # Positive is red, 0 is white, negative is blue, as in the drawing.
    colours = re.findall(r"38;2;(\d+);(\d+);(\d+)", drawn[6])
    assert list(dict.fromkeys(colours)) == [
        ("103", "0", "31"),
        ("247", "247", "247"),
        ("5", "48", "97"),
    ]
    assert "0.25" in lines[14]


def test_a_large_kernel_fits_the_terminal(terminal):
    lines = terminal("kernel", "disc:40", columns=20).text.splitlines()
    drawn = [line.count("\N{UPPER HALF BLOCK}") for line in lines]
    assert drawn[1:11] == [20] * 10
    assert sum(drawn) == 200


def test_the_gallery_shows_every_kernel_beside_its_picture(terminal):
    lines = terminal("kernel", columns=80).text.splitlines()
    text = " ".join(re.sub(r"\x1b\[[\d;]*m|\N{UPPER HALF BLOCK}", "", line) for line in lines)
    assert all(f" {default_words(name)} " in f" {text} " for name in NAMED)
    assert sum("\N{UPPER HALF BLOCK}" in line for line in lines) >= 3 * len(NAMED) / 2


@pytest.mark.parametrize("columns", [60, 80, 100])
def test_the_gallery_breaks_no_word(terminal, columns):
    lines = terminal("kernel", columns=columns).text.splitlines()
    text = [re.sub(r"\x1b\[[\d;]*m", "", line).split() for line in lines]
    words = {word for line in text for word in line}
    assert {"ANGLE,SIGMA", "gabor-odd:WAVELENGTH,"} <= words or (
        "gabor-odd:WAVELENGTH,ANGLE,SIGMA" in words
    )
    assert max(len(re.sub(r"\x1b\[[\d;]*m", "", line).rstrip()) for line in lines) <= columns


def test_a_narrow_terminal_has_a_line_for_each_factor(terminal):
    lines = terminal("kernel", "gaussian:12", columns=60, NO_COLOR="1").text.splitlines()
    assert lines[-2].startswith("separable: column [1.115e-05 ")
    assert lines[-1].startswith("        times row [1.115e-05 ")
    assert max(map(len, lines)) <= 60


@pytest.mark.parametrize("environment", [{"NO_COLOR": "1"}, {"TERM": "dumb"}])
def test_no_colours_no_picture(terminal, environment):
    seen = terminal("kernel", "sobel", **environment).text
    assert "\N{UPPER HALF BLOCK}" not in seen
    assert "\x1b" not in seen
    assert "0.25" in seen
    assert len(seen.splitlines()) == 7  # and no drawing in characters


@pytest.mark.parametrize(
    ("kernel", "columns", "shown"),
    [
        ("gaussian:1", 80, "0.159 "),  # of 0.1592, which a pipe gets
        ("gaussian:1", 100, "0.1592 "),
        ("gaussian:1", 30, "..."),
        ("gaussian:3", 80, "save them with -o to see all 625"),
        ("sobel", 30, "-0.25 "),
    ],
)
def test_the_numbers_fit_the_terminal(terminal, kernel, columns, shown):
    seen = terminal("kernel", kernel, columns=columns, NO_COLOR="1").text
    assert shown in seen
    table = [
        line for line in seen.splitlines() if line.startswith("\N{BOX DRAWINGS LIGHT VERTICAL}")
    ]
    assert table
    assert all(len(line) <= columns for line in table)
