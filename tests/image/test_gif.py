"""GIF: frames as browsers show them, palettes, transparent indices, plays."""

from __future__ import annotations

import io
import random
import shutil
import struct
import subprocess

import numpy as np
import pytest
from PIL import Image

from convcli import ConvcliError
from convcli.files.formats import FORMATS, spelt
from convcli.image import Picture, read, write
from convcli.image.gif_blocks import blocks_of
from convcli.image.gif_colours import indexed
from tests.gifs import compressed, gif

RED, GREEN, BLUE, DARK = (200, 0, 0), (0, 200, 0), (0, 0, 200), (9, 9, 9)
PALETTE = [RED, GREEN, BLUE, DARK]
LETTERS = {(*RED, 255): "R", (*GREEN, 255): "G", (*BLUE, 255): "B", (*DARK, 255): "d",
           (0, 0, 0, 255): "K", (1, 2, 3, 255): "1", (4, 5, 6, 255): "2"}  # fmt: skip
OWN = [(1, 2, 3), (4, 5, 6)]

# A screen, its frames, and the frames that Chromium 156 shows (by its ImageDecoder): a letter for
# each pixel, "." for a transparent one, "/" between rows.
SHOWN = {
    "first smaller": ((3, 2), [(1, 0, 1, 1, [0], 1, None)], [".R./..."]),
    "first beyond the screen": ((2, 2), [(1, 1, 3, 2, [0] * 6, 1, None)], ["..../.RRR/.RRR"]),
    "second beyond the first, which is beyond the screen": (
        (2, 2),
        [(1, 1, 2, 2, [0] * 4, 1, None), (2, 2, 3, 3, [1] * 9, 1, None)],
        [".../.RR/.RR", ".../.RR/.RG"],
    ),
    "second beyond the screen": (
        (3, 3),
        [(0, 0, 3, 3, [0] * 9, 1, None), (2, 2, 3, 3, [1] * 9, 1, None)],
        ["RRR/RRR/RRR", "RRR/RRR/RRG"],
    ),
    "second outside the screen": (
        (3, 1),
        [(0, 0, 3, 1, [0] * 3, 1, None), (5, 5, 1, 1, [1], 3, None), (0, 0, 1, 1, [2], 1, None)],
        ["RRR", "RRR", "BRR"],
    ),
    "screen without size": ((0, 0), [(0, 0, 2, 1, [0, 1], 1, None)], ["RG"]),
    "frame without size": (
        (2, 1),
        [(0, 0, 2, 1, [0, 0], 1, None), (0, 0, 0, 0, [], 2, None), (0, 0, 1, 1, [2], 1, None)],
        ["RR", "RR", "BR"],
    ),
    "no transparency, cleared": (
        (2, 1),
        [(0, 0, 2, 1, [0, 0], 2, None), (0, 0, 1, 1, [1], 1, None)],
        ["RR", "G."],
    ),
    "cleared beyond the screen": (
        (3, 2),
        [(0, 0, 3, 2, [0] * 6, 1, None), (2, 1, 3, 3, [1] * 9, 2, None),
         (0, 0, 1, 1, [2], 1, None)],
        ["RRR/RRR", "RRR/RRG", "BRR/RR."],
    ),
    "transparent pixels are cleared, too": (
        (2, 1),
        [(0, 0, 2, 1, [0, 0], 1, None), (0, 0, 2, 1, [3, 1], 2, 3), (0, 0, 1, 1, [2], 1, None)],
        ["RR", "RG", "B."],
    ),
    "first restored": (
        (2, 1),
        [(0, 0, 2, 1, [0, 0], 3, None), (0, 0, 1, 1, [1], 1, None)],
        ["RR", "G."],
    ),
    "several restored": (
        (2, 1),
        [(0, 0, 2, 1, [0, 0], 1, None), (0, 0, 1, 1, [1], 3, None), (1, 0, 1, 1, [2], 3, None),
         (0, 0, 1, 1, [2], 0, 3)],
        ["RR", "GR", "RB", "BR"],
    ),
    "disposal 4": (
        (2, 1),
        [(0, 0, 2, 1, [0, 0], 1, None), (0, 0, 1, 1, [1], 4, None), (1, 0, 1, 1, [2], 1, None)],
        ["RR", "GR", "RB"],
    ),
    "disposal 5": (
        (2, 1),
        [(0, 0, 2, 1, [0, 0], 1, None), (0, 0, 1, 1, [1], 5, None), (1, 0, 1, 1, [2], 1, None)],
        ["RR", "GR", "GB"],
    ),
    "no control block after one": (
        (2, 1),
        [(0, 0, 2, 1, [0, 0], 2, 0), (0, 0, 1, 1, [0], None, None), (0, 0, 1, 1, [1], None, None)],
        ["..", "R.", "G."],
    ),
    "own palettes": (
        (2, 1),
        [(0, 0, 2, 1, [0, 1], 1, None, OWN), (1, 0, 1, 1, [0], 1, None)],
        ["12", "1R"],
    ),
    "own palette, transparent": (
        (2, 1),
        [(0, 0, 2, 1, [0, 1], 1, None), (0, 0, 2, 1, [0, 1], 1, 0, OWN)],
        ["RG", "R2"],
    ),
    "interlaced": (
        (1, 9),
        [(0, 0, 1, 9, [0, 1, 2, 3, 0, 1, 2, 3, 1], 1, None, (), "interlaced")],
        ["R/G/B/d/R/G/B/d/G"],
    ),
}  # fmt: skip


def letters(pixels):
    return "/".join("".join("." if p[3] == 0 else LETTERS[tuple(map(int, p))] for p in row)
                    for row in pixels)  # fmt: skip


def rgba(picture):
    return np.asarray(Image.fromarray(np.ascontiguousarray(picture.pixels)).convert("RGBA"))


def frames_read(content):
    return [rgba(frame) for frame in read(content).all_frames()]


def written(picture, format_name="GIF", **settings):
    content = io.BytesIO()
    notes = write(picture, content, format_name, **settings)
    return content.getvalue(), notes


def shown_by_pillow(content):
    shown = []
    with Image.open(io.BytesIO(content)) as image:
        for number in range(image.n_frames):
            image.seek(number)
            shown.append(np.asarray(image.convert("RGBA")))
    return shown


def shown_by_imagemagick(content, folder):
    (folder / "a.gif").write_bytes(content)
    command = ["convert", folder / "a.gif", "-coalesce", "-depth", "8", folder / "%d.png"]
    done = subprocess.run(command, capture_output=True, text=True, check=True)
    assert done.stderr == ""
    count = len(list(folder.glob("*.png")))
    return [np.asarray(Image.open(folder / f"{n}.png").convert("RGBA")) for n in range(count)]


def assert_same(shown, expected):
    """Compare all that is visible: of a transparent pixel only that it is."""
    assert len(shown) == len(expected)
    for one, other in zip(shown, expected, strict=True):
        visible = [np.where(each[..., 3:] == 0, 0, each) for each in (one, other)]
        np.testing.assert_array_equal(*visible)


@pytest.mark.parametrize("name", SHOWN)
def test_frames_are_those_that_a_browser_shows(name):
    size, frames, expected = SHOWN[name]
    assert [letters(each) for each in frames_read(gif(size, frames, PALETTE))] == expected


@pytest.mark.parametrize(
    ("palette", "indices", "transparent", "expected"),
    [
        (PALETTE, [0, 1, 5, 7], None, "RGKK"),
        (PALETTE, [0, 1, 5, 7], 5, "RG.K"),
        ((), [0, 1, 2, 3], None, "KKKK"),
    ],
)
def test_indices_without_a_colour_are_black(palette, indices, transparent, expected):
    """So Chromium shows them."""
    content = gif((4, 1), [(0, 0, 4, 1, indices, 1, transparent)], palette, code_size=3)
    assert [letters(each) for each in frames_read(content)] == [expected]


def test_the_background_colour_of_a_file_is_not_shown():
    content = gif((2, 1), [(1, 0, 1, 1, [0], 1, None)], PALETTE, background=2)
    assert [letters(each) for each in frames_read(content)] == [".R"]


def random_gif(number):
    """Return a GIF of a few frames, of any size, place, palette, disposal and transparency."""
    chosen = random.Random(number)
    width, height = chosen.randint(1, 7), chosen.randint(1, 12)

    def palette(sizes):
        return [tuple(chosen.randbytes(3)) for _ in range(chosen.choice(sizes))]

    shared = palette([2, 3, 4, 7, 16, 64])
    frames = []
    for _ in range(chosen.randint(1, 5)):
        box = (0, 0, width, height)
        if chosen.random() < 0.6:
            box = (chosen.randint(0, width), chosen.randint(0, height),
                   chosen.randint(1, width), chosen.randint(1, height))  # fmt: skip
        own = palette([2, 3, 5, 8, 32]) if chosen.random() < 0.4 else ()
        colours = len(own or shared)
        indices = [chosen.randrange(colours) for _ in range(box[2] * box[3])]
        disposal = chosen.choice([None, 0, 1, 2, 2, 3, 3, 4, 5])
        transparent = chosen.choice([None, 0, 1, colours - 1])
        how = ["interlaced"] * chosen.randint(0, 1)
        frames.append((*box, indices, disposal, transparent, own, *how))
    return (width, height), frames, shared


def composed(size, frames, palette):
    """Compose frames pixel by pixel, straight from the text of the standard."""
    left, top, width, height = frames[0][:4]
    width, height = max(size[0], left + width), max(size[1], top + height)
    canvas = {(x, y): (0, 0, 0, 0) for y in range(height) for x in range(width)}
    shown = []
    for left, top, w, h, indices, disposal, transparent, own, *_ in frames:
        before = dict(canvas)
        for number, index in enumerate(indices):
            at = (left + number % w, top + number // w)
            if at in canvas and (disposal is None or index != transparent):
                canvas[at] = (*(own or palette)[index], 255)
        pixels = [[canvas[x, y] for x in range(width)] for y in range(height)]
        shown.append(np.array(pixels, np.uint8))
        for y in range(top, min(top + h, height)):
            for x in range(left, min(left + w, width)):
                if disposal == 2:
                    canvas[x, y] = (0, 0, 0, 0)
                elif disposal in (3, 4):
                    canvas[x, y] = before[x, y]
    return shown


@pytest.mark.parametrize("number", range(60))
def test_any_gif_is_composed_by_the_standard_and_written_to_look_the_same(number):
    made = random_gif(number)
    content = gif(*made)
    expected = composed(*made)
    assert_same(frames_read(content), expected)
    after, notes = written(read(content))
    assert not [note for note in notes if "colours" in note]
    assert_same(shown_by_pillow(after), expected)
    assert_same(frames_read(after), expected)


@pytest.mark.parametrize("number", range(4) if shutil.which("convert") else ())
def test_imagemagick_reads_what_is_written(number, tmp_path):
    content, _ = written(read(gif(*random_gif(number))))
    assert_same(shown_by_imagemagick(content, tmp_path), frames_read(content))


@pytest.mark.parametrize("kind", ["sprite", "photo", "cleared"])
@pytest.mark.parametrize("colours", [2, 3, 4, 5, 200, 255, 256])
def test_every_index_is_inside_its_palette(photo, colours, kind):
    still = np.asarray(Image.fromarray(photo[:48, :64]).quantize(colours).convert("RGBA"))
    frames = [np.roll(still, 5 * number, 0) for number in range(3)]
    if kind == "sprite":
        for number, frame in enumerate(frames):
            frame[8 * number : 8 * number + 9] = 0
    settings = {"duration": 50, "disposal": 2 if kind == "cleared" else 1}
    pictures = [Picture(frame, "RGBA", "GIF", frame=settings) for frame in frames]
    first = Picture(**(vars(pictures[0]) | {"frames": 3, "later": pictures[1:]}))
    content, _ = written(first)
    file = io.BytesIO(content)
    for frame in blocks_of(file).frames:
        indices = decompressed(content, frame)
        assert max(indices) < len(frame.palette) // 3
        assert frame.transparent is None or frame.transparent < len(frame.palette) // 3


def decompressed(content, frame):
    from convcli.image import gif_blocks

    return gif_blocks.indices_of(io.BytesIO(content), frame).tobytes()


@pytest.mark.parametrize("mode", ["L", "LA", "RGB", "RGBA"])
@pytest.mark.parametrize("size", [(16, 16), (256, 512)])
@pytest.mark.parametrize("colours", [1, 4, 255, 256, 257])
def test_the_note_on_colours_is_there_if_some_were_lost(mode, size, colours):
    height, width = size
    count = height * width
    channels = len(mode)
    if mode[0] == "L":
        colours = min(colours, 256)
    values = np.arange(count) % colours
    colour = np.stack([values % 256, values // 256 * 7, values * 3 % 256], -1)[..., :channels]
    pixels = colour.reshape(height, width, -1).astype(np.uint8)
    if mode[0] == "L":
        pixels = values.reshape(height, width, 1).astype(np.uint8)
    if mode.endswith("A"):
        pixels = np.dstack([pixels, np.full(size, 255, np.uint8)])
    if mode == "L":
        pixels = pixels[..., 0]
    content, notes = written(Picture(pixels, mode, "PNG"))
    reduced = mode[0] != "L" and colours > 256 and count > 256
    assert notes == (("reduced to 256 colours, the most that GIF can store",) if reduced else ())
    if not reduced:
        (shown,) = shown_by_pillow(content)
        np.testing.assert_array_equal(shown, rgba(Picture(pixels, mode, "PNG")))


def test_the_transparent_colour_is_one_of_256():
    pixels = np.full((1, 257, 4), 255, np.uint8)
    pixels[0, :256, 0] = np.arange(256)
    pixels[0, 256, 3] = 0
    assert not indexed(pixels, "RGBA").is_exact
    pixels[0, 255, 0] = 0
    shown = indexed(pixels, "RGBA")
    assert (shown.is_exact, shown.transparent) == (True, 255)


def test_pixels_that_no_sample_has_get_their_colour():
    """Of large images every 17th visible pixel is looked at."""
    pixels = np.zeros((600, 600, 4), np.uint8)
    pixels[-1, -300:] = [(i % 256, i // 256, 9, 255) for i in range(300)]
    (shown,) = shown_by_pillow(written(Picture(pixels, "RGBA", "PNG"))[0])
    np.testing.assert_array_equal(shown[..., 3], pixels[..., 3])
    assert np.abs(shown[-1, -300:].astype(float) - pixels[-1, -300:]).mean() < 8


def plays_of(content):
    """Return how often a file is played, as each format counts it; None for ever."""
    if content[:3] == b"GIF":
        at = content.find(b"NETSCAPE2.0")
        count = struct.unpack_from("<H", content, at + 13)[0] + 1 if at > 0 else 1
        return None if count == 1 and at > 0 else count
    if content[1:4] == b"PNG":
        return struct.unpack_from(">I", content, content.find(b"acTL") + 8)[0] or None
    return struct.unpack_from("<H", content, content.find(b"ANIM") + 12)[0] or None


def animated(format_name, plays):
    """Encode two frames that are played so often; None for ever."""
    images = [Image.new("RGB", (8, 8), colour) for colour in (RED, GREEN)]
    loop = plays or 0
    if format_name == "GIF":
        loop = {None: 0, 1: None}.get(plays, (plays or 0) - 1)
    content = io.BytesIO()
    images[0].save(
        content, format_name, save_all=True, append_images=images[1:], duration=100, loop=loop
    )
    return content.getvalue()


@pytest.mark.parametrize("plays", [None, 1, 2, 3, 65_535])
@pytest.mark.parametrize("source", ["GIF", "PNG", "WEBP"])
@pytest.mark.parametrize("target", ["GIF", "PNG", "WEBP"])
def test_an_animation_is_played_as_often_as_before(source, target, plays):
    content = animated(source, plays)
    assert plays_of(content) == plays
    assert plays_of(written(read(content), target)[0]) == plays


@pytest.mark.parametrize(
    ("target", "most"), [("GIF", 65_536), ("WEBP", 65_535), ("PNG", 2**31 - 1)]
)
@pytest.mark.parametrize("source", ["GIF", "PNG"])
def test_more_plays_than_a_format_can_store_are_clamped_with_a_note(source, target, most):
    plays = 65_536 if source == "GIF" else 2**32 - 1
    content, notes = written(read(animated(source, plays)), target)
    assert plays_of(content) == min(most, plays)
    clamped = f"reduced {plays} plays to {most}, the most that {spelt(target)} can store"
    assert (clamped in notes) == (plays > most)


def test_a_later_extension_counts_the_repeats_too():
    content = gif((1, 1), [(0, 0, 1, 1, [0], 1, None)] * 2, PALETTE)
    late = b"\x21\xff\x0bNETSCAPE2.0\x03\x01\x05\x00\x00"
    assert read(content[:-1] + late + b";").frame["plays"] == 6


@pytest.mark.parametrize("version", [b"GIF87a", b"GIF89a"])
def test_a_gif_of_one_frame_without_control_blocks_is_read(version):
    content = gif((2, 1), [(0, 0, 2, 1, [0, 1], None, None)], PALETTE, version=version)
    picture = read(content)
    assert (picture.mode, picture.frames) == ("RGB", 1)
    assert letters(rgba(picture)) == "RG"


@pytest.mark.parametrize("cut", [1, 2, 3, 5, 8, 12])
def test_a_gif_is_refused_where_pixels_are_missing(cut):
    content = gif((9, 9), [(0, 0, 9, 9, [0, 1, 2] * 27, 1, None)] * 2, PALETTE)
    if cut <= 2:  # the end of the file, and of the last frame: every pixel is there
        assert len(frames_read(content[:-cut])) == 2
        return
    with pytest.raises(ConvcliError, match="truncated"):
        frames_read(content[: -20 - cut])


@pytest.mark.parametrize("end", [6, 12, 14, 25, 26, 30, 35])
def test_a_gif_that_ends_in_its_headers_is_refused(end):
    content = gif((9, 9), [(0, 0, 9, 9, [0, 1, 2] * 27, 1, None)], PALETTE)
    with pytest.raises(ConvcliError, match="truncated, damaged"):
        read(content[:end])


def test_bytes_between_blocks_are_skipped():
    one = gif((1, 1), [(0, 0, 1, 1, [0], 1, None)], PALETTE)
    two = gif((1, 1), [(0, 0, 1, 1, [1], 1, None)], PALETTE)
    shown = frames_read(one[:-1] + b"\0\0" + two[25:])
    assert [letters(each) for each in shown] == ["R", "G"]


def test_grey_palettes_give_grey():
    greys = [(v, v, v) for v in range(256)]
    frames = [(0, 0, 2, 1, [7, 200], 1, None), (0, 0, 1, 1, [9], 1, None)]
    assert [frame.mode for frame in read(gif((2, 1), frames, greys)).all_frames()] == ["L", "L"]
    frames[1] = (0, 0, 1, 1, [9], 2, 200)
    frames.append(frames[0])
    pictures = list(read(gif((2, 1), frames, greys)).all_frames())
    assert [frame.mode for frame in pictures] == ["L"] * 3
    frames[0] = (0, 0, 2, 1, [7, 200], 1, 200)
    first = read(gif((2, 1), frames, greys))
    assert first.mode == "LA"
    np.testing.assert_array_equal(first.pixels, [[[7, 255], [0, 0]]])


OPAQUE = [name for name, row in FORMATS.items() if not row.frames and "LA" not in row.modes]


@pytest.mark.parametrize("target", OPAQUE)
def test_a_transparent_frame_is_refused_before_it_is_decoded(target):
    content = gif((2, 1), [(0, 0, 1, 1, [0], 1, None)], PALETTE)
    data = compressed([0], 2)
    assert data in content
    with pytest.raises(ConvcliError, match=f"{spelt(target)} cannot hold transparency"):
        read(content.replace(data, b"\x02\x01\xff\0"), target)


def test_blocks_that_can_be_read_in_two_ways_are_refused_by_their_size():
    """The limits see the size that Pillow finds, and the screen would be far larger.

    Found by fuzzing: blocks lie in it where one reader skips bytes and the other does not.
    """
    content = (
        b"GIF87a\x00\x00\x00\x003\x003!3\x003\x00f\xfe\xab\xbb\xe2\x9f\xca\xa9\x0e`\xed\x03Q\xde"
        b",9\xf3\xc6,d\xbf\xd8l\xc1\xb4Z" + bytes(25) + b",\x00\x00\x00\x14\x00\r\x00\x00\x08\xfb"
    )
    width, height = blocks_of(io.BytesIO(content)).size
    assert width * height > 2**28
    with pytest.raises(ConvcliError, match=f"it has {width} x {height} .* 3328 x 5120 as"):
        read(content)
