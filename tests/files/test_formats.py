"""The table of formats: names, suffixes, and what each format can hold."""

from __future__ import annotations

import io
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from convcli import ConvcliError
from convcli.files.formats import (
    BY_PILLOW,
    FORMATS,
    check_size,
    format_named,
    format_of,
    is_picture,
    mode_for,
    spelt,
)

DEEP = ("A;16", "RGB;16", "S", "32F", "64F")  # not written by Pillow: see tests/image/test_deep.py
HELD = [
    (name, mode)
    for name in BY_PILLOW
    for mode in (*FORMATS[name].modes, *FORMATS[name].widened)
    if not mode_for(name, mode).endswith(DEEP)
]


@pytest.mark.parametrize(
    ("suffix", "format_name"),
    [(suffix, name) for name, row in FORMATS.items() for suffix in row.suffixes],
)
def test_a_suffix_stands_for_its_format_in_any_case(suffix, format_name):
    assert format_of(Path("a.b" + suffix)) == format_named(suffix[1:]) == format_name
    assert format_of(Path("a" + suffix.upper())) == format_named(format_name.lower())
    assert is_picture(Path("a" + suffix.upper()))


@pytest.mark.parametrize("name", ["a.psd", "a.txt", "a.png.bak", "a", ".png", "png"])
def test_any_other_name_is_refused_with_the_list_of_suffixes(name):
    assert not is_picture(Path(name))
    with pytest.raises(ConvcliError, match=r"; use \.png, .*\.webp, .* or \.zarr") as refused:
        format_of(Path(name))
    assert repr(name) in str(refused.value)


@pytest.mark.parametrize("name", ["", "psd", "eps", ".", "heif"])
def test_an_unknown_format_is_refused_with_the_list_of_formats(name):
    with pytest.raises(ConvcliError, match=f"unknown format {name!r}.*png, jpeg, .* or zarr"):
        format_named(name)


def test_a_misspelt_format_is_suggested():
    with pytest.raises(ConvcliError, match=r"unknown format 'Jpgg'; did you mean 'jpeg'\?"):
        format_named("Jpgg")


@pytest.mark.parametrize(("format_name", "mode"), HELD)
def test_pillow_writes_every_mode_of_the_table_and_reads_it_back(format_name, mode):
    written = mode_for(format_name, mode)
    content = io.BytesIO()
    Image.new(written, (16, 8)).save(content, format_name)
    read = Image.open(content)
    # Pillow reads float and 16-bit images of one channel, and every alpha, in the same mode.
    assert read.size == (16, 8)
    assert read.mode in (written, "I" if format_name == "PPM" else "P")


@pytest.mark.parametrize(
    ("format_name", "mode"),
    [(f, m) for f, row in FORMATS.items() for m in row.widened if not m.endswith(DEEP)],
)
def test_a_wider_mode_loses_nothing(format_name, mode):
    narrow = Image.fromarray(np.arange(0, 256, dtype=np.uint8).reshape(16, 16)).convert(mode)
    again = narrow.convert(mode_for(format_name, mode)).convert(mode)
    np.testing.assert_array_equal(np.asarray(again), np.asarray(narrow))


@pytest.mark.parametrize(
    ("format_name", "mode", "message"),
    [
        (
            "JPEG",
            "RGBA",
            "JPEG cannot hold transparency; write PNG, TIFF, WebP, AVIF, PAM, .npy or GIF",
        ),
        (
            "JPEG",
            "LA",
            "JPEG cannot hold transparency; write PNG, TIFF, WebP, AVIF, PAM, .npy or GIF",
        ),
        ("JPEG", "I;16", "JPEG cannot hold 16-bit samples; write PNG, TIFF, PPM, PAM or .npy"),
        ("PNG", "CMYK", "PNG cannot hold CMYK colour; write JPEG or TIFF"),
        (
            "PNG",
            "F",
            "PNG cannot hold float samples; write TIFF, OpenEXR or .npy instead",
        ),
        ("WEBP", "I;16", "WebP cannot hold 16-bit samples"),
        ("BMP", "RGBA", "BMP cannot hold transparency"),
        ("PPM", "LA", "PPM cannot hold transparency"),
        ("GIF", "F", "GIF cannot hold float samples"),
        ("AVIF", "CMYK", "AVIF cannot hold CMYK colour"),
    ],
)
def test_what_a_format_cannot_hold_is_refused_and_others_are_named(format_name, mode, message):
    with pytest.raises(ConvcliError, match=message):
        mode_for(format_name, mode)


@pytest.mark.parametrize("format_name", BY_PILLOW)
@pytest.mark.parametrize("upright", [False, True])
def test_the_longest_picture_of_a_format_can_be_read_again(format_name, upright):
    longest = min(FORMATS[format_name].longest, 100_000)
    size = (1, longest) if upright else (longest, 1)
    check_size(format_name, *size)
    content = io.BytesIO()
    Image.new("RGB", size).save(content, format_name)
    assert Image.open(content).size == size


@pytest.mark.parametrize(
    ("format_name", "size"),
    [("JPEG", (65_501, 1)), ("WEBP", (1, 16_384)), ("AVIF", (32_769, 1)), ("GIF", (1, 65_536))],
)
def test_a_longer_one_is_refused_and_others_are_named(format_name, size):
    with pytest.raises(
        ConvcliError, match=f"{spelt(format_name)} cannot hold {size[0]} x .*write PNG"
    ):
        check_size(format_name, *size)
