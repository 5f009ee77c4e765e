""".npy images: every dtype, byte order and layout that numpy writes, and what is refused."""

from __future__ import annotations

import io
from pathlib import Path

import numpy as np
import pytest

from convcli import ConvcliError
from convcli.image import Picture, limit_pixels, read, write

DTYPES = ["uint8", "uint16", "float32", "float64"]


def saved(array, **options):
    content = io.BytesIO()
    np.save(content, array, **options)
    return content.getvalue()


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("shape", [(5, 7), (5, 7, 1), (5, 7, 2), (5, 7, 3), (5, 7, 4), (1, 1)])
@pytest.mark.parametrize("order", "CF")
@pytest.mark.parametrize("bytes_first", "<>")
def test_arrays_are_read_and_written_as_numpy_does(dtype, shape, order, bytes_first, tmp_path):
    array = np.random.default_rng(0).random(shape) * 255
    array = np.asarray(array, np.dtype(dtype).newbyteorder(bytes_first), order)
    path = tmp_path / "a.npy"
    path.write_bytes(saved(array))
    wanted = array[..., 0] if shape[2:] == (1,) else array
    for source in (path, path.read_bytes()):
        picture = read(source)
        np.testing.assert_array_equal(picture.pixels, wanted)
        assert picture.pixels.dtype == np.dtype(dtype)
        content = io.BytesIO()
        assert write(picture, content, "NPY") == ()
        np.testing.assert_array_equal(np.load(io.BytesIO(content.getvalue())), wanted)


def test_a_file_is_mapped_into_memory(tmp_path):
    np.save(tmp_path / "a.npy", np.zeros((40, 50), np.float32))
    assert isinstance(read(tmp_path / "a.npy").samples, np.memmap)


REFUSED = {
    "int16, which convcli cannot filter": saved(np.zeros((3, 3), np.int16)),
    "object": saved(np.array([[None]]), allow_pickle=True),
    "void32": saved(np.zeros((3, 3), [("a", "f4")])),
    "volume": saved(np.zeros((3, 3, 5))),
    r"shape \(3,\)": saved(np.zeros(3)),
    r"shape \(\)": saved(np.float32(1)),
    r"shape \(2, 2, 2, 2\)": saved(np.zeros((2, 2, 2, 2))),
    "no pixels": saved(np.zeros((0, 3))),
    "truncated: an array": saved(np.zeros((9, 9)))[:-1],
    "header": saved(np.zeros((9, 9)))[:20],
    "header is": b"\x93NUMPY\x01\x00\x02\x00{}",
    "longer": saved(np.zeros((9, 9))).replace(b"(9, 9)", b"(9,1e9)".replace(b"e", b"0")),
}


@pytest.mark.parametrize("reason", REFUSED)
def test_anything_else_is_refused_by_name(reason, tmp_path):
    path = tmp_path / "a.npy"
    path.write_bytes(REFUSED[reason])
    for source in (path, path.read_bytes()):
        with pytest.raises(ConvcliError, match=reason):
            read(source)


def test_a_pickle_is_not_opened(tmp_path):
    class Evil:
        def __reduce__(self):
            return (Path.touch, (tmp_path / "touched",))

    (tmp_path / "a.npy").write_bytes(saved(np.array([[Evil()]]), allow_pickle=True))
    with pytest.raises(ConvcliError, match="object"):
        read(tmp_path / "a.npy")
    assert not (tmp_path / "touched").exists()


def test_too_many_pixels_are_refused_by_the_header(tmp_path, monkeypatch):
    monkeypatch.setattr("PIL.Image.MAX_IMAGE_PIXELS", None)
    np.save(tmp_path / "a.npy", np.zeros((40, 50), np.float32))
    limit_pixels(1999)
    with pytest.raises(ConvcliError, match="more than 1999 pixels; --max-pixels"):
        read(tmp_path / "a.npy")


def test_what_arrays_do_not_hold_is_noted_or_refused():
    pixels = np.zeros((4, 5, 4), np.uint8)
    with pytest.raises(ConvcliError, match=r"\.npy cannot hold CMYK colour; write JPEG or TIFF"):
        write(Picture(pixels, "CMYK", "JPEG"), io.BytesIO(), "NPY")
    picture = Picture(pixels, "RGBA", "PNG", {"dpi": (72, 72)})
    assert write(picture, io.BytesIO(), "NPY") == (
        "dropped its resolution, which .npy cannot store",
    )


@pytest.mark.parametrize(
    ("target", "depth", "reason"),
    [
        ("PNG", "float32", "PNG cannot hold float colour; write TIFF, OpenEXR or .npy"),
        ("JPEG", "16", "JPEG cannot hold 16-bit colour; write PNG, TIFF"),
    ],
)
def test_a_depth_that_the_format_does_not_hold_is_refused_before_decoding(
    picture_file, photo, target, depth, reason
):
    path = picture_file("a.png", photo[:20, :20])
    path.write_bytes(path.read_bytes()[:-300])
    with pytest.raises(ConvcliError, match=reason):
        read(path, target, depth=depth)


def test_signed_integers_have_no_white(tmp_path):
    from PIL import Image

    Image.fromarray(np.zeros((4, 5), np.int32)).save(tmp_path / "a.tif")
    assert read(tmp_path / "a.tif", depth="float32").mode == "I"
    with pytest.raises(ConvcliError, match="--depth 8 cannot be used; use --depth float32"):
        read(tmp_path / "a.tif", depth="8")
