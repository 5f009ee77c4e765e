"""y4m video: planes in and out as they are, filtered as scipy filters each."""

from __future__ import annotations

import io
import subprocess
import sys

import numpy as np
import pytest
from scipy import ndimage

from convcli import ConvcliError
from convcli.image import limit_pixels, read, write

# What follows C, the bits, and the columns and rows that share chroma.
KINDS = {
    "420jpeg": (8, (2, 2)), "420mpeg2": (8, (2, 2)), "420paldv": (8, (2, 2)), "420": (8, (2, 2)),
    "422": (8, (2, 1)), "444": (8, (1, 1)), "411": (8, (4, 1)), "mono": (8, None),
    "420p10": (10, (2, 2)), "444p10": (10, (1, 1)), "422p12": (12, (2, 1)), "mono10": (10, None),
}  # fmt: skip
SIZE = 13, 17


def planes_of(kind, frames=3, size=SIZE):
    bits, shared = KINDS[kind]
    shapes = [size]
    if shared:
        shapes += [(-(-size[0] // shared[1]), -(-size[1] // shared[0]))] * 2
    noise = np.random.default_rng(3)
    dtype = np.uint8 if bits == 8 else np.uint16
    return [[noise.integers(0, 1 << bits, s, dtype) for s in shapes] for _ in range(frames)]


def y4m(kind, frames, more=b"F25:1 Ip A1:1 XSOME=THING", line=b"FRAME Ip\n"):
    rows, columns = frames[0][0].shape
    head = b"YUV4MPEG2 W%d H%d C%s %s\n" % (columns, rows, kind.encode(), more)
    little = [[plane.astype(plane.dtype.newbyteorder("<")) for plane in each] for each in frames]
    return head + b"".join(line + b"".join(p.tobytes() for p in each) for each in little)


def split(content, kind):
    """Return the planes of every frame."""
    frames = planes_of(kind, 1)[0]
    _, _, rest = content.partition(b"\n")
    found = []
    while rest:
        _, _, rest = rest.partition(b"\n")
        planes = []
        for like in frames:
            planes.append(np.frombuffer(rest, like.dtype, like.size).reshape(like.shape))
            rest = rest[like.nbytes :]
        found.append(planes)
    return found


def run(*words, content):
    command = [sys.executable, "-m", "convcli", *words]
    return subprocess.run(command, input=content, capture_output=True)


@pytest.mark.parametrize("kind", KINDS)
def test_every_kind_comes_out_as_it_went_in(kind, tmp_path):
    content = y4m(kind, planes_of(kind))
    (tmp_path / "a.y4m").write_bytes(content)
    pipe = io.BufferedReader(io.BytesIO(content))
    for source in (content, tmp_path / "a.y4m", pipe):
        picture = read(source)
        assert picture.frames == 1  # their number is not known
        result = io.BytesIO()
        assert write(picture, result, "Y4M") == ()
        assert result.getvalue() == content


FILTERED = ["420jpeg", "422", "444", "mono", "420p10", "444p10"]


def gaussian(plane, sigma):
    return ndimage.gaussian_filter(plane.astype(float), sigma, mode="reflect", truncate=4)


@pytest.mark.parametrize("kind", FILTERED)
def test_a_blur_is_as_wide_in_chroma_as_in_luma(kind):
    frames = planes_of(kind, 5)
    done = run("blur", "--sigma", "2,1.5", content=y4m(kind, frames))
    assert (done.returncode, done.stderr) == (0, b"")
    across, down = KINDS[kind][1] or (1, 1)
    for got, given in zip(split(done.stdout, kind), frames, strict=True):
        for number, (plane, from_) in enumerate(zip(got, given, strict=True)):
            sigma = (1.5 / down, 2 / across) if number else (1.5, 2)
            np.testing.assert_allclose(plane, gaussian(from_, sigma), atol=0.501)


@pytest.mark.parametrize("kind", FILTERED)
def test_the_stages_of_a_chain_are_as_wide_in_chroma_as_in_luma(kind):
    frames = planes_of(kind, 2)
    beyond = "--border constant --border-value 40"
    done = run("chain", f"blur --sigma 2,1.5 {beyond} | sharpen", content=y4m(kind, frames))
    assert (done.returncode, done.stderr) == (0, b"")
    (across, down), bits = KINDS[kind][1] or (1, 1), KINDS[kind][0]
    for got, given in zip(split(done.stdout, kind), frames, strict=True):
        for number, (plane, from_) in enumerate(zip(got, given, strict=True)):
            level = (128 if number else 16) << (bits - 8)
            wide, by = ((1.5 / down, 2 / across), (1 / down, 1 / across)) if number else (
                (1.5, 2), (1, 1)
            )  # fmt: skip
            soft = ndimage.gaussian_filter(
                from_ - float(level), wide, mode="constant", cval=0 if number else 40
            )
            wanted = level + 2 * soft - ndimage.gaussian_filter(soft, by)
            np.testing.assert_allclose(plane, wanted.clip(0, (1 << bits) - 1), atol=0.51)


@pytest.mark.parametrize("kind", FILTERED)
@pytest.mark.parametrize("border", ["reflect", "constant"])
def test_a_chain_with_edges_has_no_colour_and_begins_at_black(kind, border):
    frames = planes_of(kind, 1)
    stages = f"blur --sigma 1 | edge --show x --border {border} | filter -k '1 2 1' --normalize"
    done = run("chain", stages, content=y4m(kind, frames))
    luma, *chroma = split(done.stdout, kind)[0]
    bits = KINDS[kind][0]
    black = 16 << (bits - 8)
    soft = gaussian(frames[0][0], 1) - black
    along = ndimage.sobel(soft, 1, mode=border) / 4
    wanted = ndimage.correlate1d(along, [0.25, 0.5, 0.25], 1).clip(0, None) + black
    np.testing.assert_allclose(luma, wanted.clip(0, (1 << bits) - 1), atol=0.51)
    assert all((plane == 1 << (bits - 1)).all() for plane in chroma)


@pytest.mark.parametrize("kind", ["444", "420p10"])
def test_a_stretch_is_of_the_luma(kind):
    frames = planes_of(kind, 1)
    done = run("filter", "-k", "gaussian:1", "--stretch", content=y4m(kind, frames))
    (luma, *chroma), given = split(done.stdout, kind)[0], frames[0]
    soft = gaussian(given[0], 1)
    wanted = (soft - soft.min()) * ((1 << KINDS[kind][0]) - 1) / np.ptp(soft)
    np.testing.assert_allclose(luma, wanted, atol=1.01)
    for plane, from_ in zip(chroma, given[1:], strict=True):
        np.testing.assert_array_equal(plane, from_)


def test_a_chain_with_a_kernel_leaves_subsampled_chroma_alone():
    frames = planes_of("420", 1)
    done = run("chain", "blur --sigma 1 | filter -k identity", content=y4m("420", frames))
    assert b"note: filtered only its luma" in done.stderr
    for plane, given in zip(split(done.stdout, "420")[0][1:], frames[0][1:], strict=True):
        np.testing.assert_array_equal(plane, given)


def test_sharpening_stays_within_the_bits():
    frames = planes_of("444p10", 1)
    done = run("sharpen", "--sigma", "1", "--amount", "3", content=y4m("444p10", frames))
    for got, given in zip(split(done.stdout, "444p10")[0], frames[0], strict=True):
        wanted = given + 3 * (given - gaussian(given, 1))
        np.testing.assert_allclose(got, wanted.clip(0, 1023), atol=0.51)


@pytest.mark.parametrize("kind", FILTERED)
@pytest.mark.parametrize("full", [True, False])
def test_edges_have_no_colour_and_begin_at_black(kind, full):
    frames = planes_of(kind, 1)
    more = b"XCOLORRANGE=FULL" if full else b"XCOLORRANGE=LIMITED"
    done = run("edge", content=y4m(kind, frames, more))
    luma, *chroma = split(done.stdout, kind)[0]
    bits = KINDS[kind][0]
    given = frames[0][0].astype(float)
    along = [ndimage.sobel(given, axis, mode="reflect") / 4 for axis in (0, 1)]
    black = 0 if full else 16 << (bits - 8)
    wanted = np.minimum(np.hypot(*along) + black, (1 << bits) - 1)
    np.testing.assert_allclose(luma, wanted, atol=0.51)
    assert all((plane == 1 << (bits - 1)).all() for plane in chroma)


@pytest.mark.parametrize("kind", ["444", "420jpeg"])
def test_any_kernel_counts_from_black_and_from_no_colour(kind):
    frames = planes_of(kind, 1)
    done = run("filter", "-k", "1 2 3", "--scale", "0.25", "--bias", "7", content=y4m(kind, frames))
    got, given = split(done.stdout, kind)[0], frames[0]
    for number, (plane, from_) in enumerate(zip(got, given, strict=True)):
        level = 128 if number else 16
        weights = np.array([[0.25, 0.5, 0.75]])
        wanted = ndimage.convolve(from_ - float(level), weights, mode="reflect")
        wanted = (wanted + level + (0 if number else 7)).clip(0, 255)
        if kind == "420jpeg" and number:
            wanted = from_
        np.testing.assert_allclose(plane, wanted, atol=0.51)
    note = b"note: filtered only its luma"
    assert (note in done.stderr) == (kind == "420jpeg")


def test_black_beyond_the_edge_is_black():
    frames = [[np.full(SIZE, 16, np.uint8), *[np.full(SIZE, 128, np.uint8)] * 2]]
    content = y4m("444", frames)
    done = run("blur", "--sigma", "3", "--border", "constant", content=content)
    assert done.stdout == content


WHOLE = y4m("420", planes_of("420", 1))
DAMAGED = {
    "truncated: not all": WHOLE[:-1],
    "no frames": WHOLE[: WHOLE.index(b"\n") + 1],
    "header is not": b"YUV4MPEG2 W9 H9",
    "does not say width": b"YUV4MPEG2 H9 F1:1\n",
    "no pixels": b"YUV4MPEG2 W0 H9 F1:1\n",
    "kind C444alpha": b"YUV4MPEG2 W9 H9 C444alpha\n",
    "kind C420p99": b"YUV4MPEG2 W9 H9 C420p99\n",
    "more than .* pixels; --max-pixels": b"YUV4MPEG2 W99999 H99999\n",
    "is damaged: where a frame": WHOLE.replace(b"FRAME", b"FLAME"),
}


@pytest.mark.parametrize("reason", DAMAGED)
def test_damage_is_refused_by_name(reason):
    with pytest.raises(ConvcliError, match=reason):
        read(DAMAGED[reason])


def test_whole_frames_before_damage_are_sent():
    frames = planes_of("420", 4)
    content = y4m("420", frames)
    done = run("filter", "-k", "identity", content=content[:-5])
    assert done.returncode == 1
    assert split(done.stdout, "420")[2][0].tolist() == frames[2][0].tolist()
    assert len(split(done.stdout, "420")) == 3
    assert done.stderr.startswith(b"convcli: standard input: in image 4: is truncated: not all")
    assert done.stderr.count(b"\n") == 1


@pytest.mark.parametrize(
    ("options", "reason"),
    [
        ({"target_format": "PNG"}, "PNG cannot hold 8-bit YCbCr video; write y4m"),
        ({"depth": "16"}, "whose depth --depth cannot change"),
    ],
)
def test_what_video_cannot_be_is_refused(options, reason):
    with pytest.raises(ConvcliError, match=reason):
        read(WHOLE, **options)


def test_fields_are_noted():
    picture = read(y4m("420", planes_of("420"), b"It"))
    assert picture.notes == ("filtered its interlaced frames whole, across their two fields",)


def test_the_limit_of_pixels_is_that_of_a_frame(monkeypatch):
    monkeypatch.setattr("PIL.Image.MAX_IMAGE_PIXELS", None)
    limit_pixels(SIZE[0] * SIZE[1])
    assert len(list(read(y4m("420", planes_of("420", 30))).all_frames())) == 30


@pytest.mark.parametrize(
    "words",
    [
        ("filter", "--kernel", "box:3"),
        ("blur", "--border", "constant"),
        ("chain", "blur | filter --kernel box:3 --border constant"),
        ("edge", "--border", "constant", "--show", "x"),
    ],
    ids=lambda words: words[0],
)
def test_a_no_data_value_is_a_code_value(words):
    """Samples count from black in the sums, and so does the value that is left out of them."""
    samples = np.full((60, 80), 100, np.uint8)
    samples[::7, ::5] = 30
    header = b"YUV4MPEG2 W80 H60 F25:1 Cmono\nFRAME\n"
    made = run(*words, "--nodata", "30", content=header + samples.tobytes())
    left_out = np.frombuffer(made.stdout[-samples.size :], np.uint8).reshape(60, 80)
    assert {*left_out[20:40, 30:50].flat} == {16 if words[0] == "edge" else 100}
