"""``--preview``: before and after in the terminal; nothing is written without -o."""

from __future__ import annotations

import re
import sys

import numpy as np
import pytest
from PIL import Image
from rich.console import Console

from convcli.cli.screen.blocks import reduced, text_of
from convcli.cli.screen.preview import Preview, thumbnail
from convcli.image import Picture, read
from convcli.image.picture import MODES
from tests.terminals import without_bar

HALF = "\N{UPPER HALF BLOCK}"


def console(**settings):
    return Console(
        **{"width": 80, "height": 24, "force_terminal": True, "color_system": "truecolor"}
        | settings
    )


# --- pictures in blocks


@pytest.mark.parametrize("shape", [(48, 60), (7, 61), (100, 3), (1, 1), (1, 500)])
def test_a_small_picture_is_made_of_means(shape):
    samples = np.random.default_rng(0).integers(0, 256, (*shape, 3), dtype=np.uint8)
    small = reduced(samples, 12, 20)
    height, width = small.shape[:2]
    assert height <= 12
    assert width <= 20
    assert height == 12 or width == 20 or shape == (1, 1)
    rows, columns = (
        np.arange(height + 1) * shape[0] // height,
        (np.arange(width + 1) * shape[1] // width),
    )
    for y, x in ((0, 0), (height - 1, width - 1), (height // 2, width // 3)):
        box = samples[rows[y] : rows[y + 1], columns[x] : columns[x + 1]]
        np.testing.assert_allclose(small[y, x], box.mean(axis=(0, 1)))


def test_a_picture_that_is_small_already_stays():
    samples = np.random.default_rng(0).integers(0, 256, (5, 9, 3), dtype=np.uint8)
    np.testing.assert_array_equal(reduced(samples, 12, 20), samples)


def test_two_rows_are_a_line_of_text():
    colours = np.arange(5 * 4 * 3, dtype=np.uint8).reshape(5, 4, 3)
    text = text_of(colours, console())
    assert text.plain == "\n".join([4 * HALF] * 3)
    first, last = text.spans[0].style, text.spans[-1].style
    assert first == "rgb(0,1,2) on rgb(12,13,14)"
    assert last == "rgb(57,58,59)"  # nothing lies below it


@pytest.mark.parametrize("settings", [{"no_color": True}, {"color_system": None}])
def test_without_colours_there_are_characters(settings):
    colours = np.zeros((4, 3, 3), np.uint8)
    colours[:2, 1] = 255
    colours[2:, 2] = 130
    assert text_of(colours, console(**settings)).plain == " @ \n  +"


# --- pictures of every mode


@pytest.mark.parametrize("mode", MODES)
def test_every_mode_is_shown(mode):
    channels, dtype = MODES[mode]
    shape = (30, 40) if channels == 1 else (30, 40, channels)
    colours = thumbnail(Picture(np.ones(shape, dtype), mode, "PNG"), 10, 10, (0.0, 1.0))
    assert colours.shape == (8, 10, 3)
    assert colours.dtype == np.uint8


def test_cmyk_is_ink():
    pixels = np.zeros((4, 4, 4), np.uint8)
    pixels[0, 0] = 255, 0, 0, 0
    pixels[0, 1, 3] = 255
    colours = thumbnail(Picture(pixels, "CMYK", "TIFF"), 4, 4, (0, 255))
    assert colours[0, 0].tolist() == [0, 255, 255]
    assert colours[0, 1].tolist() == [0, 0, 0]
    assert colours[1, 1].tolist() == [255, 255, 255]


def test_transparent_pixels_show_a_checkerboard_and_not_their_colour():
    pixels = np.zeros((16, 16, 4), np.uint8)
    pixels[..., 0] = 255
    pixels[:, 8:, 3] = 255
    colours = thumbnail(Picture(pixels, "RGBA", "PNG"), 16, 16, (0, 255))
    assert (colours[:, 8:] == (255, 0, 0)).all()
    assert {tuple(c) for c in colours[:, :8].reshape(-1, 3)} == {(102,) * 3, (153,) * 3}
    assert colours[0, 0, 0] != colours[0, 4, 0] != colours[4, 4, 0]
    # Half of the box is transparent: half red, half checkerboard.
    half = thumbnail(Picture(pixels, "RGBA", "PNG"), 1, 1, (0, 255))
    assert half[0, 0].tolist() == [178, 51, 51]


def test_floats_are_shown_in_the_range_that_they_had_before():
    preview = Preview()
    before = np.linspace(-2, 6, 100, dtype=np.float32).reshape(10, 10)
    before[0, 5] = np.nan
    preview.look(Picture(before, "F", "TIFF"))
    assert preview._range == (-2, 6)
    preview.look(Picture(before * 0, "F", "TIFF"))
    assert preview._range == (-2, 6)


def test_one_picture_alone_is_not_drawn(capsys, photo):
    preview = Preview()
    preview.look(Picture(photo, "RGB", "PNG"))
    preview.draw()
    assert capsys.readouterr().out == ""


# --- the command


@pytest.fixture
def folder(tmp_path, monkeypatch, picture_file, photo):
    monkeypatch.chdir(tmp_path)
    picture_file("a.png", photo[:300, :400])
    picture_file("a.blur.png", photo[:5, :5])
    return tmp_path


def drawn(text):
    return [line for line in text.splitlines() if HALF in line]


def names_in(folder):
    return sorted(path.name for path in folder.iterdir())


@pytest.mark.parametrize("columns", [80, 40, 5])
def test_before_and_after_stand_side_by_side(terminal, folder, columns):
    before = (folder / "a.blur.png").read_bytes()
    result = terminal("blur", "a.png", "--sigma", 9, "--preview", columns=columns, cwd=folder)
    assert result.status == 0
    lines = drawn(result.text)
    each = (columns - 4) // 2 or 1
    assert len(lines) == -(-round(each * 3 / 4) // 2)
    assert {line.count(HALF) for line in lines} == {2 * each}
    if columns > 20:
        assert re.search("before +after", result.text)
    assert names_in(folder) == ["a.blur.png", "a.png"]
    assert (folder / "a.blur.png").read_bytes() == before


def test_a_tall_picture_leaves_room_for_the_prompt(terminal, folder, picture_file, photo):
    picture_file("tall.png", photo[:, :40])
    for lines, most in ((24, 21), (60, 24)):
        seen = terminal("edge", "tall.png", "--preview", lines=lines, columns=200, cwd=folder)
        assert len(drawn(seen.text)) == most


def test_edges_are_shown_beside_the_colours_that_there_were(terminal, folder, picture_file, photo):
    picture_file("a.jpg", photo)
    seen = terminal("edge", "a.jpg", "--preview", cwd=folder).text
    colours = re.findall(r"38;2;(\d+);(\d+);(\d+)", seen)
    assert 300 < sum(red != blue for red, _, blue in colours) <= len(colours) / 2


def test_of_an_animation_the_first_frame_is_shown(terminal, folder):
    frames = [Image.new("L", (8, 8), 40 * n) for n in range(3)]
    frames[0].save(folder / "three.gif", save_all=True, append_images=frames[1:])
    seen = terminal("edge", "three.gif", "--preview", cwd=folder).text
    assert re.match("before, first of 3 +after, first of 3", without_bar(seen))
    assert len(drawn(seen)) == 4


def test_with_o_it_is_written_too(terminal, folder):
    result = terminal("edge", "a.png", "--preview", "-o", "e.png", cwd=folder)
    assert drawn(result.text)
    assert "wrote 'e.png'" in result.text
    assert read(folder / "e.png").pixels.shape == (300, 400)


def test_a_picture_from_a_pipe_goes_nowhere(terminal, folder):
    content = (folder / "a.png").read_bytes()
    result = terminal("blur", "--sigma", 3, "--preview", stdin=content, cwd=folder)
    assert (result.status, len(drawn(result.text))) == (0, 14)
    assert b"PNG" not in result.out
    assert names_in(folder) == ["a.blur.png", "a.png"]


def test_a_picture_that_cannot_be_read_is_one_line(terminal, folder):
    (folder / "text.png").write_text("no picture")
    result = terminal("edge", "text.png", "--preview", columns=140, cwd=folder)
    assert result.status == 1
    assert result.text.startswith("\x1b[31m\x1b[1merror:\x1b[0m 'text.png': is not an image")
    assert result.text.count("\n") == 1


def test_without_colours_it_is_drawn_in_characters(terminal, folder):
    seen = without_bar(terminal("edge", "a.png", "--preview", NO_COLOR="1", cwd=folder).text)
    assert HALF not in seen
    assert "\x1b" not in seen
    assert len(seen.splitlines()) == 15


def test_what_is_no_terminal_is_refused(run, folder):
    result = run("edge", "a.png", "--preview")
    assert result.status == 2
    assert result.message == (
        "convcli: --preview needs a terminal, and standard output is not one; leave --preview out"
    )
    assert names_in(folder) == ["a.blur.png", "a.png"]


@pytest.mark.parametrize(
    ("argv", "message"),
    [
        (("a.png", "a.blur.png"), "--preview shows one image, and there are 2"),
        (("a.png", "--json"), "--json and --preview cannot both go to standard output"),
        (("a.png", "-n"), "--preview and --dry-run cannot be used together: "),
        (("a.png", "--in-place"), "--in-place has no effect, because --preview without -o "),
        (("a.png", "-f"), "--overwrite has no effect, because --preview without -o "),
        (("a.png", "-o", "-"), "images are not written to a terminal; name a file with -o"),
        (("a.png", "-o", "a.blur.png"), "'a.blur.png' exists; use --overwrite"),
    ],
)
def test_what_makes_no_sense_is_refused(run, folder, monkeypatch, argv, message):
    class Terminal:
        """Standard output that claims to be a terminal."""

        def __init__(self, stream):
            self._stream = stream

        def isatty(self):
            return True

        def __getattr__(self, name):
            return getattr(self._stream, name)

    monkeypatch.setattr("sys.stdout", Terminal(sys.stdout))
    result = run("edge", *argv, "--preview")
    assert result.status == 2
    assert message in result.message
    assert names_in(folder) == ["a.blur.png", "a.png"]
