"""Hostile metadata, from any format to any: no reason or note has the name of a Python exception.

The files are whole, but for EXIF data, tags, profiles, XMP and texts that break the rules of their
formats. They are made anew from a fixed seed.
"""

from __future__ import annotations

import io
import random
import re
import struct
import zlib
from contextlib import suppress

import pytest
from PIL import Image, ImageCms

from convcli import image
from convcli.errors import ConvcliError, reason_of
from convcli.files.formats import FORMATS
from convcli.image import encoding, light
from tests.whole import fuzz_pictures

PROFILE = ImageCms.ImageCmsProfile(ImageCms.createProfile("sRGB")).tobytes()
NAMES = re.compile(r"\b[A-Za-z.]*(Error|Exception|Warning|Interrupt|StopIteration)\b|object at 0x")

# Tags that convcli or Pillow looks at, and one that nothing knows.
TAGS = (
    *(254, 256, 258, 259, 262, 269, 270, 271, 274, 277, 282, 283, 285, 286, 296, 297, 305, 306),
    *(315, 317, 330, 333, 338, 339, 513, 514, 700, 18246, 33432, 33550, 33723, 33922, 34377),
    *(34665, 34675, 34735, 34736, 34737, 34853, 37500, 37510, 40094, 40962, 40963, 40965, 42112),
    *(42113, 41492, 65000),
)
IN_BLOCKS = (0, 1, 2, 4, 27, 4097, 33434, 36864, 37396, 37500, 37510, 40962, 40963, 40965, 41492)
CASES = 60  # of each format


def entry(rng, order, tag, pool):
    kind = rng.choice((0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 16, 129))
    count = rng.choice((0, 1, 1, 2, 3, 4, 5, 8, 70_000, 2**31, 2**32 - 1))
    value = rng.choice(
        (
            rng.randbytes(4),
            struct.pack(order + "I", rng.randrange(pool + 20)),
            bytes(4),
            b"\xff" * 4,
        )
    )
    return struct.pack(order + "HHI", tag, kind, count) + value


def exif(rng):
    """EXIF data of three blocks with nothing valid in them but their layout."""
    order = rng.choice("<>")
    sizes = [rng.randrange(1, 9) for _ in range(3)]
    places, at = [], 8
    for size in sizes:
        places.append(at)
        at += 2 + 12 * size + 4
    out = (b"II*\0" if order == "<" else b"MM\0*") + struct.pack(order + "I", 8)
    for number, size in enumerate(sizes):
        entries = [
            entry(rng, order, rng.choice(IN_BLOCKS if number else TAGS), at) for _ in range(size)
        ]
        if number == 0 and size > 2:
            for place, tag in ((1, 34665), (2, 34853)):
                entries[-place] = struct.pack(order + "HHII", tag, 4, 1, places[place])
        following = rng.choice((0, 0, 8, places[1], rng.randrange(2**32)))
        out += struct.pack(order + "H", size) + b"".join(sorted(entries))
        out += struct.pack(order + "I", following)
    return b"Exif\0\0" + out + rng.randbytes(40)


def profile(rng):
    """A profile with bytes changed, or cut off, or of another colour space."""
    changed = bytearray(PROFILE)
    for _ in range(rng.choice((0, 1, 4, 40))):
        changed[rng.randrange(len(changed))] = rng.randrange(256)
    changed[16:20] = rng.choice((b"RGB ", b"RGB ", b"GRAY", b"CMYK", b"Lab "))
    return bytes(changed[: rng.choice((len(changed), len(changed), 130, 20, 1))])


def xmp(rng):
    names = ("Thumbnails", "ImageWidth", "hdrgm:Version", "tiff:Orientation", "&lol;", "\0", "/9j/")
    inner = "".join(rng.choice(("<{0}>", "</{0}>", '{0}="6"', "{0}")).format(rng.choice(names))
                    for _ in range(rng.randrange(6)))  # fmt: skip
    whole = f'<x:xmpmeta xmlns:x="adobe:ns:meta/">{inner}</x:xmpmeta>'.encode()
    return whole[: rng.choice((len(whole), 10))] + rng.choice((b"", b"\xff\xfe"))


def chunk(kind, data):
    return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))


CHUNKS = (
    *(b"gAMA", b"cHRM", b"sRGB", b"cICP", b"pHYs", b"tEXt", b"zTXt", b"iTXt", b"tIME", b"bKGD"),
    *(b"sBIT", b"iCCP", b"mDCV", b"oFFs", b"vpAg", b"tRNS", b"acTL"),
)


def png(rng, whole):
    extra = b""
    for _ in range(rng.randrange(4)):
        start = rng.choice((b"", b"a\0", b"a\0\0", rng.randbytes(9)))
        data = start + rng.randbytes(rng.choice((0, 1, 3, 4, 9, 32)))
        extra += chunk(rng.choice(CHUNKS), data)
    return whole[:33] + chunk(b"eXIf", exif(rng)[6:]) + extra + whole[33:]


def jpeg(rng, whole):
    parts = [(0xE1, exif(rng)), (0xE1, b"http://ns.adobe.com/xap/1.0/\0" + xmp(rng))]
    parts += [(rng.choice((0xE0, 0xE2, 0xED, 0xEE, 0xFE)),
               rng.choice((b"JFIF\0", b"ICC_PROFILE\0\1\1", b"MPF\0", b"Photoshop 3.0\08BIM", b""))
               + rng.randbytes(rng.randrange(30))) for _ in range(rng.randrange(3))]  # fmt: skip
    segments = [
        bytes([0xFF, mark]) + struct.pack(">H", 2 + len(data)) + data for mark, data in parts
    ]
    return whole[:2] + b"".join(segments) + whole[2:]


def tiff(rng, whole):
    """The same pixels, with hostile tags beside those that say how they are stored."""
    order = "<"
    (at,) = struct.unpack_from("<I", whole, 4)
    (count,) = struct.unpack_from("<H", whole, at)
    stored = [whole[at + 2 + 12 * n : at + 14 + 12 * n] for n in range(count)]
    used = {struct.unpack_from("<H", each)[0] for each in stored}
    tags = {tag for tag in rng.sample(TAGS, 5) if tag not in used}
    entries = sorted(
        [*stored, *(entry(rng, order, tag, len(whole)) for tag in tags)],
        key=lambda each: struct.unpack_from("<H", each),
    )
    directory = struct.pack("<H", len(entries)) + b"".join(entries) + bytes(4)
    return whole[:4] + struct.pack("<I", len(whole)) + whole[8:] + directory


def plain(rng, name, **settings):
    mode = rng.choice([mode for mode in ("L", "RGB", "RGBA") if mode in FORMATS[name].modes])
    content = io.BytesIO()
    Image.new(mode, (8, 8), 7).save(content, name, **settings)
    return content.getvalue()


def hostile(rng, name):
    """A file of a format, with hostile metadata of all kinds that it can have."""
    settings = {}
    if "icc_profile" in FORMATS[name].metadata and rng.random() < 0.5:
        settings["icc_profile"] = profile(rng)
    if name in ("WEBP", "AVIF"):
        settings |= {"exif": exif(rng), "xmp": xmp(rng)}
        if name == "AVIF":
            settings["speed"] = 10
    whole = plain(rng, name, **settings)
    change = {"PNG": png, "JPEG": jpeg, "TIFF": tiff}.get(name)
    return change(rng, whole) if change else whole


def outcome(content, target):
    """Read and write; return the sentences that a user reads."""
    try:
        picture = image.read(content, target)
        with suppress(ConvcliError):
            light.stated(picture.metadata)
        return image.write(picture, io.BytesIO(), target)
    except (ConvcliError, OSError) as error:
        return (reason_of(error),)


@pytest.fixture(autouse=True)
def limits(monkeypatch):
    monkeypatch.setattr(Image, "MAX_IMAGE_PIXELS", Image.MAX_IMAGE_PIXELS)
    fuzz_pictures.prepare()


@pytest.mark.parametrize("name", ["PNG", "JPEG", "TIFF", "WEBP", "AVIF", "GIF", "BMP"])
def test_no_sentence_has_the_name_of_an_exception(name):
    rng = random.Random(name)
    targets = [*FORMATS] if name != "AVIF" else ["PNG", "TIFF", "JPEG"]
    for number in range(CASES):
        try:
            content = hostile(rng, name)
        except Exception:  # of the encoder that makes it
            continue
        for sentence in outcome(content, targets[number % len(targets)]):
            assert not NAMES.search(sentence), (number, sentence)


@pytest.mark.parametrize(
    "error",
    [KeyError("a"), struct.error("bad"), TypeError("no"), AttributeError("x"), ValueError()],
)
@pytest.mark.parametrize("metadata", [{}, {"dpi": (72, 72)}])
def test_whatever_an_encoder_raises_has_no_name(monkeypatch, error, metadata):
    def fail(*_):
        raise error

    picture = image.read(fuzz_pictures.seeds()["PNG-RGB"])
    monkeypatch.setattr(encoding, "_encode", fail)
    picture.metadata.update(metadata)
    with pytest.raises(ConvcliError if metadata else type(error)) as raised:
        image.write(picture, io.BytesIO(), "PNG")
    if metadata:  # without any, it is a fault of the program
        assert not NAMES.search(reason_of(raised.value))
