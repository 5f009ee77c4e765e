"""The transfer function that a file states: against littleCMS, and against what is refused."""

from __future__ import annotations

import io
import struct
import zlib
from contextlib import suppress

import numpy as np
import pytest
from PIL import ExifTags, Image, ImageCms

import convcli
from convcli import ConvcliError
from convcli.image import icc, light, read
from convcli.pixels import transfer
from convcli.pixels.transfer import power
from tests.image.test_metadata import avif, bmp, chunk, png, tiff

# --- profiles


def fixed(*values):
    return struct.pack(f">{len(values)}i", *(round(value * 65536) for value in values))


def gamma(value):
    return b"curv" + bytes(4) + struct.pack(">IH", 1, round(value * 256)) + bytes(2)


def table(values):
    numbers = np.rint(np.asarray(values) * 65535).astype(">u2").tobytes()
    return b"curv" + bytes(4) + struct.pack(">I", len(values)) + numbers


def para(number, *values):
    return b"para" + bytes(4) + struct.pack(">HH", number, 0) + fixed(*values)


IDENTITY = b"curv" + bytes(8)
SRGB_PARA = para(3, 2.4, 1 / 1.055, 0.055 / 1.055, 1 / 12.92, 0.04045)


def profile(*curves, space=b"RGB ", pcs=b"XYZ ", extra=()):
    """A matrix profile of version 4 for a monitor with the primaries of sRGB, or one of grey."""
    columns = ((0.4361, 0.2225, 0.0139), (0.3851, 0.7169, 0.0971), (0.1431, 0.0606, 0.7141))
    white = b"XYZ " + bytes(4) + fixed(0.9642, 1.0, 0.8249)
    text = b"mluc" + bytes(4) + struct.pack(">IIHHII", 1, 12, 0x656E, 0x5553, 2, 28) + b"\0a"
    tags = [(b"wtpt", white), (b"desc", text), (b"cprt", text), *extra]
    if space == b"GRAY":
        tags.append((b"kTRC", curves[0]))
    else:
        names = (b"rTRC", b"gTRC", b"bTRC")
        tags += zip(names, curves if len(curves) == 3 else curves * 3, strict=True)
        tags += [
            (name, b"XYZ " + bytes(4) + fixed(*column))
            for name, column in zip((b"rXYZ", b"gXYZ", b"bXYZ"), columns, strict=True)
        ]
    at, directory, body = 128 + 4 + 12 * len(tags), b"", b""
    for name, content in tags:
        content += bytes(-len(content) % 4)
        directory += name + struct.pack(">II", at + len(body), len(content))
        body += content
    head = struct.pack(">II", 0, 0x04300000) + b"mntr" + space + pcs + bytes(12) + b"acsp"
    head = b"\0\0\0\0lcms" + head[4:]
    head += bytes(28) + fixed(0.9642, 1.0, 0.8249)
    whole = bytearray(
        (head + bytes(128 - len(head))) + struct.pack(">I", len(tags)) + directory + body
    )
    struct.pack_into(">I", whole, 0, len(whole))
    return bytes(whole)


X = np.linspace(0, 1, 1024)
SIMPLE = {
    "gamma 1.8": gamma(1.8),
    "gamma 2.2": gamma(2.19921875),  # Adobe RGB (1998)
    "linear": IDENTITY,
    "sRGB": SRGB_PARA,
    "sRGB, 4096 entries": table(transfer.SRGB.light(np.linspace(0, 1, 4096))),
    "sRGB, 1024 entries": table(transfer.SRGB.light(X)),
    "L*": table(transfer.LSTAR.light(X)),
    "gamma 2.4, 256 entries": table(np.linspace(0, 1, 256) ** 2.4),
    "linear, two entries": table([0, 1]),
    "power": para(0, 2.2),
    "ROMM": para(3, 1.8, 1.0, 0.0, 1 / 16, 1 / 32),
    "type 4": para(4, 2.4, 1 / 1.055, 0.055 / 1.055, 1 / 12.92, 0.04045, 0, 0),
    "type 1": para(1, 2.2, 1.0, 0.0),
    "type 2": para(2, 2.2, 1.0, 0.0, 0.0),
    "type 1, a line": para(1, 1.0, 1.0, 0.0),
    "type 4 with offsets": para(4, 2.0, 0.9, 0.1, 0.2464, 0.05, -0.01, -0.0012),
    "type 3, its own": para(3, 2.0, 0.9, 0.1, 0.2464, 0.05),
}  # fmt: skip


@pytest.mark.parametrize("name", SIMPLE)
def test_curves_are_those_of_littlecms(name):
    """From the profile to one of the same primaries that is linear, as littleCMS converts."""
    source = ImageCms.ImageCmsProfile(io.BytesIO(profile(SIMPLE[name])))
    linear = ImageCms.ImageCmsProfile(io.BytesIO(profile(IDENTITY)))
    levels = np.repeat(np.arange(256, dtype=np.uint8)[np.newaxis, :, np.newaxis], 3, axis=2)
    change = ImageCms.buildTransform(
        source, linear, "RGB", "RGB", ImageCms.Intent.RELATIVE_COLORIMETRIC
    )
    expected = np.asarray(ImageCms.applyTransform(Image.fromarray(levels), change))[0, :, 1]
    got = icc.transfer_of(profile(SIMPLE[name])).light(np.arange(256) / 255)
    assert np.abs(got * 255 - expected).max() <= 0.8  # it rounds


def test_pillows_own_profile_is_srgb():
    own = ImageCms.ImageCmsProfile(ImageCms.createProfile("sRGB")).tobytes()
    assert icc.transfer_of(own) == transfer.SRGB


def test_a_grey_profile_has_one_curve():
    assert icc.transfer_of(profile(gamma(1.8), space=b"GRAY")).g == pytest.approx(1.8, abs=0.002)


REFUSED = {
    "a curve for each": (profile(gamma(1.8), gamma(1.8), gamma(2.2)), "of its own for each"),
    "a table": (profile(SRGB_PARA, extra=[(b"A2B0", b"mft2" + bytes(50))]), "has tables in place"),
    "steps": (profile(table(np.floor(X * 8) / 8)), "no known transfer function"),
    "dot gain": (profile(table(X**2 * 0.5 + 0.1), space=b"GRAY"), "no known transfer function"),
    "grey in Lab": (profile(gamma(2.2), space=b"GRAY", pcs=b"Lab "), "has no curves of light"),
    "flat": (profile(para(1, 2.2, 1.0, -0.5)), "cannot be inverted"),
    "type 1, above 0": (profile(para(1, 2.2, 0.9, 0.1)), "cannot be inverted"),
    "type 2": (profile(para(2, 2.2, 0.9, 0.0, 0.1)), "cannot be inverted"),
    "type 3, flat": (profile(para(3, 2.2, 1.0, 0.0, 0.0, 0.05)), "cannot be inverted"),
    "type 4 without a straight part": (profile(para(4, 2, 0.9, 0.1, 1, 0, 0, 0)), "be inverted"),
    "no curve": (profile(b"text" + bytes(9)), "has no curves of light"),
    "type 9": (profile(para(9, 2.2)), "is damaged"),
    "cut off": (profile(gamma(2.2))[:140], "is damaged"),
    "gamma 0": (profile(gamma(0)), "cannot be inverted"),
}


@pytest.mark.parametrize("name", REFUSED)
def test_profiles_that_are_not_simple_are_refused(name):
    content, reason = REFUSED[name]
    with pytest.raises(ConvcliError, match=f"--linear cannot decode this image: its .*{reason}"):
        light.stated({"icc_profile": content})


def test_damaged_profiles_have_no_other_error():
    rng = np.random.default_rng(0)
    whole = profile(SRGB_PARA)
    for _ in range(2000):
        changed = bytearray(whole)
        for at in rng.integers(128, len(whole), 3):
            changed[at] = rng.integers(256)
        with suppress(ConvcliError):
            icc.transfer_of(bytes(changed[: rng.integers(1, len(whole) + 1)]))


# --- files


def gama(value):
    return b"gAMA", struct.pack(">I", round(value * 100_000))


def iccp(content):
    return b"iCCP", b"name\0\0" + zlib.compress(content)


def icc_jpeg(content):
    file = io.BytesIO()
    Image.new("RGB", (8, 8)).save(file, "JPEG", icc_profile=content)
    return file.getvalue()


def exif_jpeg(gamma, space=None):
    exif = Image.Exif()
    exif.get_ifd(ExifTags.IFD.Exif)[ExifTags.Base.Gamma] = gamma
    if space:
        exif.get_ifd(ExifTags.IFD.Exif)[ExifTags.Base.ColorSpace] = space
    file = io.BytesIO()
    Image.new("RGB", (8, 8)).save(file, "JPEG", exif=exif)
    return file.getvalue()


LINEAR_POINTS = (b"cICP", bytes([1, 8, 0, 1]))
STATED = {
    "nothing": (png(), transfer.SRGB),
    "gAMA 1": (png(gama(1.0)), transfer.LINEAR),
    "gAMA 1/2.2": (png(gama(0.45455)), power(100_000 / 45455)),
    "gAMA 1/1.8": (png(gama(0.55556)), power(100_000 / 55556)),
    "sRGB before gAMA": (png(gama(1.0), (b"sRGB", b"\0")), transfer.SRGB),
    "profile before sRGB": (png((b"sRGB", b"\0"), iccp(profile(IDENTITY))), transfer.LINEAR),
    "code points before a profile": (png(LINEAR_POINTS, iccp(profile(SRGB_PARA))), transfer.LINEAR),
    "sRGB by code points": (png((b"cICP", bytes([1, 13, 0, 1])), gama(1.0)), transfer.SRGB),
    "unspecified": (png((b"cICP", bytes([9, 2, 0, 1])), gama(1.0)), transfer.LINEAR),
    "BT.709": (png((b"cICP", bytes([1, 1, 0, 1]))), transfer.BT709),
    "Display P3": (png((b"cICP", bytes([12, 13, 0, 1]))), transfer.SRGB),
    "EXIF, Adobe RGB": (exif_jpeg(2.2, 65535), power(2.2)),
    "EXIF, sRGB": (exif_jpeg(2.2, 1), transfer.SRGB),
    "JPEG with a profile": (icc_jpeg(profile(gamma(1.0))), transfer.LINEAR),
    "AVIF, linear": (avif(1, 8), transfer.LINEAR),
    "AVIF, BT.2020": (avif(9, 14), transfer.BT709),
    "AVIF, sRGB": (avif(1, 13), transfer.SRGB),
}  # fmt: skip


@pytest.mark.parametrize("name", STATED)
def test_light_is_decoded_as_the_file_states(name):
    content, expected = STATED[name]
    assert light.stated(read(content).metadata)[0] == expected


NOT_READ = {
    "PQ": (png((b"cICP", bytes([9, 16, 0, 1]))), "transfer characteristics 16 .PQ."),
    "HLG": (avif(9, 18), "transfer characteristics 18 .HLG."),
    "reserved": (png((b"cICP", bytes([9, 99, 0, 1]))), "transfer characteristics 99 .unknown."),
    "gAMA 0": (png(gama(0)), "its gAMA chunk states 0"),
    "narrow range": (png((b"cICP", bytes([1, 13, 0, 0]))), "state a narrow range"),
    "narrow, linear": (png((b"cICP", bytes([1, 8, 0, 0]))), "state a narrow range"),
    "narrow, unspecified": (png((b"cICP", bytes([1, 2, 0, 0])), gama(1.0)), "a narrow range"),
    "EXIF, gamma 1": (exif_jpeg(1.0), "its EXIF data state a gamma of 1.0"),
    "EXIF, gamma 1.8": (exif_jpeg(1.8, 65535), "its EXIF data state a gamma of 1.8"),
    "EXIF, gamma 0": (exif_jpeg(0.0), "its EXIF data state a gamma of 0.0"),
    "TIFF with a table": (tiff({301: (3, (1,) * 768)}), "its transfer function cannot be read"),
    "BMP with gamma": (bmp(bytes(4), gamma=1 << 17), "its gamma cannot be read"),
    "BMP with a profile": (bmp(b"DEBM"), "its colour profile cannot be read"),
    "broken profile": (png((b"iCCP", b"a\0\0b")), "its incomplete colour profile cannot be read"),
}


@pytest.mark.parametrize("name", NOT_READ)
def test_light_that_cannot_be_decoded_is_refused(name):
    content, reason = NOT_READ[name]
    with pytest.raises(ConvcliError, match=f"{reason}.*; leave --linear out"):
        light.stated(read(content).metadata)


def checkerboard(*chunks):
    rows = (np.indices((32, 32)).sum(0) % 2 * 255).astype(np.uint8)
    raw = b"".join(b"\0" + row.tobytes() for row in rows)
    head = chunk(b"IHDR", struct.pack(">IIBBBBB", 32, 32, 8, 0, 0, 0, 0))
    body = b"".join(chunk(*each) for each in chunks)
    end = chunk(b"IDAT", zlib.compress(raw)) + chunk(b"IEND", b"")
    return b"\x89PNG\r\n\x1a\n" + head + body + end


@pytest.mark.parametrize("method", ["numpy", "fft"])
@pytest.mark.parametrize(
    ("chunks", "level", "explained"),
    [
        ((), 188, "sRGB, by default"),
        ((gama(1.0),), 128, "linear, by its gAMA chunk"),
        ((gama(1 / 1.5),), 161, "gamma 1.5, by its gAMA chunk"),
        ((iccp(profile(gamma(2.8), space=b"GRAY")),), 199, "gamma 2.801, by its colour profile"),
        ((LINEAR_POINTS,), 128, "linear, by its code points"),
    ],
)
def test_the_program_decodes_what_the_file_states(run, tmp_path, chunks, level, explained, method):
    source, target = tmp_path / "a.png", tmp_path / "b.png"
    source.write_bytes(checkerboard(*chunks))
    command = ["blur", source, "--sigma", "6", "--linear", "--border", "wrap", "-m", method]
    result = run(*command, "-o", target, "--explain")
    assert result.status == 0
    assert explained in result.out.decode() + result.err
    np.testing.assert_array_equal(np.asarray(Image.open(target)), level)


def test_the_program_refuses_what_it_cannot_decode(run, tmp_path):
    path = tmp_path / "a.png"
    path.write_bytes(checkerboard((b"cICP", bytes([9, 16, 0, 1]))))
    result = run("blur", path, "--sigma", "2", "--linear", "-o", tmp_path / "b.png")
    assert result.status == 1
    assert "code points state transfer characteristics 16 (PQ); leave --linear out" in result.err
    assert run("blur", path, "--sigma", "2", "-o", tmp_path / "b.png").status == 0


def test_python_takes_a_transfer_function():
    image = (np.indices((32, 32)).sum(0) % 2 * 255).astype(np.uint8)
    assert (convcli.blur(image, 6, linear=power(1.5), border="wrap") == 161).all()
