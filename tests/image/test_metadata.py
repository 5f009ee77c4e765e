"""What a filtered image keeps of a file; what it cannot keep is named in one note."""

from __future__ import annotations

import base64
import io
import struct
import subprocess
import sys
import zlib

import numpy as np
import pytest
import tifffile
from PIL import ExifTags, Image, ImageCms

from convcli.files.formats import spelt
from convcli.image import Picture, read, write
from convcli.image.blocks import held_by

PREVIEW = b"\xff\xd8\xff\xe0PREVIEW\xff\xd9"
PROFILE = ImageCms.ImageCmsProfile(ImageCms.createProfile("sRGB")).tobytes()


def written(picture, format_name, **settings):
    content = io.BytesIO()
    notes = write(picture, content, format_name, **settings)
    return content.getvalue(), notes


def again(content, format_name):
    """Read and write."""
    return written(read(content), format_name)


def opened(content):
    image = Image.open(io.BytesIO(content))
    image.load()
    return image


# --- PNG


def chunk(kind, data):
    return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))


def png(*chunks, colour_type=2, palette=b"", after=b""):
    """A PNG of 4 x 4 pixels."""
    raw = (b"\0" + bytes(4 * (3 if colour_type == 2 else 1))) * 4
    return b"".join(
        [
            b"\x89PNG\r\n\x1a\n",
            chunk(b"IHDR", struct.pack(">IIBBBBB", 4, 4, 8, colour_type, 0, 0, 0)),
            palette,
            *(chunk(kind, data) for kind, data in chunks),
            chunk(b"IDAT", zlib.compress(raw)),
            chunk(b"IEND", b""),
            after,
        ]
    )


def chunks_of(content):
    found, at = [], 8
    while at < len(content):
        size, kind = struct.unpack_from(">I4s", content, at)
        found.append((kind, content[at + 8 : at + 8 + size]))
        at += 12 + size
    return found


KEPT_CHUNKS = {
    "two comments": [(b"tEXt", b"Comment\0first"), (b"tEXt", b"Comment\0second")],
    "compressed": [(b"zTXt", b"Comment\0\0" + zlib.compress(b"x" * 1_000_000, 9))],
    "languages": [(b"iTXt", b"Title\0\0\0de\0Titel\0Kueste"), (b"iTXt", b"Title\0\0\0en\0\0Coast")],
    "code points": [(b"cICP", bytes([9, 16, 0, 1]))],
    "mastering display": [(b"cICP", bytes([9, 16, 0, 1])), (b"mDCV", bytes(range(24)))],
    "light levels": [(b"cLLI", bytes(8))],
    "background": [(b"bKGD", bytes(6))],
    "offset": [(b"oFFs", bytes(9))],
    "scale": [(b"sCAL", b"\x011\x002")],
    "aspect": [(b"pHYs", struct.pack(">IIB", 2, 1, 0))],
    "private, safe to copy": [(b"vpAg", bytes(9))],
    "animation of a GIF": [(b"gIFg", bytes(4))],
}
CHUNK_NAMES = {
    "two comments": "text", "compressed": "text", "languages": "text",
    "code points": "colour code points", "mastering display": "mastering display",
    "light levels": "light levels", "background": "background colour",
    "offset": "position", "scale": "scale",
    "aspect": "resolution without unit", "private, safe to copy": "vpAg chunk",
    "animation of a GIF": "gIFg chunk",
}  # fmt: skip


@pytest.mark.parametrize("name", KEPT_CHUNKS)
def test_chunks_that_stay_true_are_kept_as_they_are(name):
    content, notes = again(png(*KEPT_CHUNKS[name]), "PNG")
    assert notes == ()
    kinds = {kind for kind, _ in KEPT_CHUNKS[name]}
    assert [each for each in chunks_of(content) if each[0] in kinds] == KEPT_CHUNKS[name]
    assert opened(content).size == (4, 4)


# Keys under which Pillow keeps what it reads from chunks, or what it reads from other formats.
PROPERTIES = (
    *("gamma", "srgb", "transparency", "default_image", "interlace", "bbox", "exif", "xmp"),
    *("icc_profile", "cropped", "comment", "loop", "duration", "dpi", "disposal", "blend"),
    *("aspect", "chromaticity", "plays", "jfif", "adobe_transform", "background"),
)


def with_text(text, place):
    """A PNG whose text stands before, or after, its pixels and other chunks."""
    others = [(b"gAMA", struct.pack(">I", 50000)), (b"pHYs", struct.pack(">IIB", 3937, 3937, 1))]
    if place == "before":
        return png(text, *others)
    if place == "between":
        return png(*others, text)
    content = png(*others)
    return content[:-12] + chunk(*text) + content[-12:]


@pytest.mark.parametrize("place", ["before", "between", "after"])
@pytest.mark.parametrize("keyword", PROPERTIES)
def test_a_text_is_not_taken_for_a_property_of_the_image(keyword, place):
    key = keyword.encode()
    packed = zlib.compress(b"text")
    for text in ((b"tEXt", key + b"\0text"), (b"zTXt", key + b"\0\0" + packed),
                 (b"iTXt", key + b"\0\0\0\0\0text")):  # fmt: skip
        source = with_text(text, place)
        content, notes = again(source, "PNG")
        assert notes == ()
        assert text in chunks_of(content)
        assert (b"gAMA", struct.pack(">I", 50000)) in chunks_of(content)
        assert (b"pHYs", struct.pack(">IIB", 3937, 3937, 1)) in chunks_of(content)
        plain = written(read(with_text((b"tEXt", b"Title\0text"), place)), "BMP")[0]
        for target in ("BMP", "GIF", "JPEG"):
            got, notes = again(source, target)
            assert "text" in notes[0]
            assert got == plain or target != "BMP"


@pytest.mark.parametrize("target", ["JPEG", "TIFF", "WEBP", "GIF", "BMP", "PPM", "AVIF"])
@pytest.mark.parametrize("name", KEPT_CHUNKS)
def test_chunks_are_named_where_there_is_no_place_for_them(name, target):
    _, notes = again(png(*KEPT_CHUNKS[name]), target)
    (note,) = [note for note in notes if note.startswith("dropped")]
    assert CHUNK_NAMES[name] in note
    if (name, target) != ("code points", "AVIF"):  # which only Pillow does not write
        assert f"which {spelt(target)} cannot store" in note


@pytest.mark.parametrize(
    ("found", "name"),
    [
        ((b"sBIT", b"\5\6\5"), "significant bits"),
        ((b"sPLT", b"a\0\x08" + bytes(6)), "suggested palette"),
        ((b"pCAL", b"a\0" + bytes(10)), "calibration of sample values"),
        ((b"caBX", b"signed"), "C2PA signature"),
        ((b"prVW", PREVIEW), "prVW chunk"),
        ((b"zTXt", b"Raw profile type APP1\0\0" + zlib.compress(b"\nAPP1")), "raw profile (APP1)"),
        ((b"iCCP", b"name\0\0garbage"), "incomplete colour profile"),
    ],
)
@pytest.mark.parametrize("target", ["PNG", "TIFF"])
def test_chunks_that_are_no_longer_true_are_dropped_by_name(found, name, target):
    content, notes = again(png(found), target)
    assert notes == (f"dropped its {name}",)
    assert found[1] not in content


ENCODED = base64.b64encode(PREVIEW)
PREVIEWS = {
    "text": (png((b"tEXt", b"Thumb\0" + ENCODED)), "previews in text"),
    "compressed text": (
        png((b"zTXt", b"Thumb\0\0" + zlib.compress(ENCODED))),
        "previews in text",
    ),
    "compressed UTF-8": (
        png((b"iTXt", b"Thumb\0\1\0de\0Bild\0" + zlib.compress(b"data:" + ENCODED))),
        "previews in text",
    ),
    "UTF-8": (png((b"iTXt", b"Thumb\0\0\0de\0Bild\0" + ENCODED)), "previews in text"),
    "private chunk": (png((b"prvw", PREVIEW)), "prvw chunk"),
}


@pytest.mark.parametrize("name", PREVIEWS)
def test_previews_in_chunks_are_dropped(name):
    source, noted = PREVIEWS[name]
    content, notes = again(source, "PNG")
    assert notes == (f"dropped its {noted}",)
    assert {kind for kind, _ in chunks_of(content)} == {b"IHDR", b"IDAT", b"IEND"}


def inflated(kind, size):
    """A chunk of metadata that hold many bytes, nearly all alike."""
    if kind == "EXIF data":
        data = exif_of(UserComment=b"x" * size).tobytes()
        text = b"\nexif\n%8d\n" % len(data) + data.hex().encode() + b"\n"
        return b"zTXt", b"Raw profile type exif\0\0" + zlib.compress(text, 9)
    if kind == "XMP data":
        packet = b"<x:xmpmeta xmlns:x='adobe:ns:meta/'>" + b" " * size + b"</x:xmpmeta>"
        return b"iTXt", b"XML:com.adobe.xmp\0\1\0\0\0" + zlib.compress(packet, 9)
    profile = struct.pack(">I", len(PROFILE) + size) + PROFILE[4:] + bytes(size)
    return b"iCCP", b"name\0\0" + zlib.compress(profile, 9)


@pytest.mark.parametrize("target", ["PNG", "JPEG", "WEBP", "TIFF", "AVIF"])
@pytest.mark.parametrize("kind", ["EXIF data", "XMP data", "colour profile"])
def test_a_small_png_does_not_become_a_large_file(kind, target):
    few, notes = again(png(inflated(kind, 1000)), target)
    assert notes == ()
    content, notes = again(png(inflated(kind, 3_000_000)), target)
    assert len(content) < len(few) + 15_000
    if target != "PNG" or kind == "EXIF data":  # it holds the others compressed
        (note,) = notes
        assert note.startswith(f"dropped its {kind} (300")
        assert note.endswith(" bytes, nearly all repetition)")
    else:
        assert notes == ()


def test_one_note_names_all():
    _, notes = again(png((b"oFFs", bytes(9)), (b"caBX", b"signed"), (b"tEXt", b"a\0b")), "JPEG")
    assert notes == (
        "dropped its text and position, which JPEG cannot store, and its C2PA signature",
    )


@pytest.mark.parametrize(
    ("depth", "colour_type", "stored", "expected"),
    [
        (2, 0, b"\0\3", b"\0\xff"),
        (1, 0, b"\0\0", b"\0\0"),
        (8, 3, b"\1", b"\0\4\0\5\0\6"),
        (4, 3, b"\0", b"\0\1\0\2\0\3"),
    ],
)
def test_a_background_is_that_of_the_decoded_samples(depth, colour_type, stored, expected):
    head = chunk(b"IHDR", struct.pack(">IIBBBBB", 4, 4, depth, colour_type, 0, 0, 0))
    palette = chunk(b"PLTE", bytes(range(1, 7))) if colour_type == 3 else b""
    rows = chunk(b"IDAT", zlib.compress(bytes(4 * (1 + depth // 2)) if depth > 1 else bytes(8)))
    content = b"\x89PNG\r\n\x1a\n" + head + palette + chunk(b"bKGD", stored) + rows
    got, notes = again(content + chunk(b"IEND", b""), "PNG")
    assert not any("background" in note for note in notes)
    assert (b"bKGD", expected) in chunks_of(got)


def png_of(depth, colour_type, *chunks):
    """A PNG of 4 x 4 black pixels."""
    channels = {0: 1, 2: 3, 3: 1, 4: 2, 6: 4}[colour_type]
    header = (b"IHDR", struct.pack(">IIBBBBB", 4, 4, depth, colour_type, 0, 0, 0))
    rows = (b"IDAT", zlib.compress(bytes(4 * (1 + -(-4 * channels * depth // 8)))))
    return b"\x89PNG\r\n\x1a\n" + b"".join(
        chunk(*each) for each in (header, *chunks, rows, (b"IEND", b""))
    )


@pytest.mark.parametrize(
    ("colour_type", "has_deep"),
    [(0, True), (2, True), (4, True), (6, True), (0, False), (2, False), (6, False)],
)
def test_a_background_of_16_bits_follows_the_samples(colour_type, has_deep, monkeypatch):
    if not has_deep:
        monkeypatch.setattr("convcli.image.deep.installed", lambda: False)
    values = (65535, 256, 1000) if colour_type in (2, 6) else (65535,)
    content = png_of(16, colour_type, (b"bKGD", struct.pack(f">{len(values)}H", *values)))
    got, _ = again(content, "PNG")
    chunks = dict(chunks_of(got))
    depth = chunks[b"IHDR"][8]
    expected = values if depth == 16 else [value >> 8 for value in values]
    assert chunks[b"bKGD"] == struct.pack(f">{len(values)}H", *expected)
    assert depth == (16 if has_deep or colour_type == 0 else 8)


@pytest.mark.parametrize("stored", [b"", b"\x09", b"\0"])
def test_a_background_outside_of_its_palette_is_none(stored):
    head = chunk(b"IHDR", struct.pack(">IIBBBBB", 4, 4, 8, 3, 0, 0, 0))
    background = chunk(b"bKGD", stored)
    rows = chunk(b"IDAT", zlib.compress(bytes(20))) + chunk(b"IEND", b"")
    for palette in (b"\1\2\3" * (stored != b"\0"), b""):
        content = b"\x89PNG\r\n\x1a\n" + head + chunk(b"PLTE", palette) + background + rows
        held_by(content, "PNG")


@pytest.mark.parametrize(("colour_type", "size"), [(0, 6), (2, 2), (2, 1)])
def test_a_background_in_other_samples_is_dropped(colour_type, size):
    content, notes = again(png((b"bKGD", bytes(size)), colour_type=colour_type), "PNG")
    assert b"bKGD" not in content
    assert notes == ("dropped its background colour, which PNG cannot store",)


@pytest.mark.parametrize("found", [(b"sBIT", b"\x08\x08\x08"), (b"cICP", bytes([1, 13, 0, 1])),
                                   (b"pHYs", struct.pack(">IIB", 1, 1, 0))])  # fmt: skip
def test_what_says_nothing_has_no_note(found):
    assert again(png(found), "JPEG")[1] == ()


@pytest.mark.parametrize("found", [(b"tIME", bytes([7, 209, 1, 1, 0, 0, 0])), (b"iDOT", bytes(28))])
@pytest.mark.parametrize("target", ["PNG", "JPEG", "TIFF"])
def test_what_is_only_true_of_the_old_file_goes_without_a_note(found, target):
    got, notes = again(png(found), target)
    assert notes == ()
    assert found[0] not in got


@pytest.mark.parametrize("bits", [1, 2, 4, 8])
def test_all_bits_of_a_palette_are_eight(bits):
    for significant, noted in ((b"\x08\x08\x08", False), (b"\5\6\5", True)):
        content = png_of(bits, 3, (b"sBIT", significant), (b"PLTE", bytes(6)))
        assert any("significant" in note for note in again(content, "PNG")[1]) is noted


def test_strip_drops_without_a_note():
    content = png(*KEPT_CHUNKS["two comments"], (b"caBX", b"signed"))
    got, notes = written(read(content), "PNG", strip=True)
    assert notes == ()
    assert b"tEXt" not in got


# --- JPEG


def jpeg(*segments, after=b"", **settings):
    content = io.BytesIO()
    Image.new("RGB", (16, 16), (9, 8, 7)).save(content, "JPEG", **settings)
    whole = content.getvalue()
    return whole[:2] + b"".join(segments) + whole[2:] + after


def segment(mark, data):
    return bytes([0xFF, mark]) + struct.pack(">H", 2 + len(data)) + data


def resource(number, data):
    return b"8BIM" + struct.pack(">HHI", number, 0, len(data)) + data + bytes(len(data) % 2)


@pytest.mark.parametrize("count", [1, 2, 3])
def test_all_comments_of_a_jpeg_are_kept(count):
    comments = [b"first", b"second", b"third"][:count]
    source = jpeg(*(segment(0xFE, each) for each in comments))
    for target in ("JPEG", "GIF"):
        content, notes = again(source, target)
        assert not any("comment" in note for note in notes)
        places = [content.index(each) for each in comments]
        assert places == sorted(places)
    name = "comment" if count == 1 else f"{count} comments"
    assert again(source, "PNG")[1] == (f"dropped its {name}, which PNG cannot store",)


@pytest.mark.parametrize("others", [0, 1, 2])
def test_a_comment_with_a_preview_is_dropped(others):
    segments = [segment(0xFE, b"kept")] * others + [segment(0xFE, PREVIEW)]
    content, notes = again(jpeg(*segments), "JPEG")
    assert b"PREVIEW" not in content
    assert content.count(b"kept") == others
    assert notes == ("dropped its preview in a comment",)


SEGMENTS = {
    "FlashPix data": (0xE2, b"FPXR\0\0"),
    "gain map": (0xE2, b"urn:iso:std:iso:ts:21496:-1\0"),
    "incomplete colour profile": (0xE2, b"ICC_PROFILE\0\1\2" + PROFILE[:300]),
    "extended XMP data": (0xE1, b"http://ns.adobe.com/xmp/extension/\0" + bytes(40)),
    "C2PA signature": (0xEB, b"JP\0\1\0\0\0\1jumb c2pa"),
    "JUMBF data": (0xEB, b"JP\0\1\0\0\0\1jumb"),
    "IPTC data": (0xED, b"Photoshop 3.0\0" + resource(0x0404, b"\x1c\2\5\0\1a")),
    "Photoshop data": (0xED, b"Photoshop 3.0\0" + resource(0x03F3, b"12345678")),
    "GoPro data (APP6)": (0xE6, b"GoPro\0DEVC"),
    "APP7 data": (0xE7, b"\1\2\3\1\2\3"),
}


@pytest.mark.parametrize("target", ["JPEG", "PNG"])
@pytest.mark.parametrize("name", SEGMENTS)
def test_segments_are_dropped_by_name(name, target):
    content, notes = again(jpeg(segment(*SEGMENTS[name])), target)
    assert notes == (f"dropped its {name}",)
    assert SEGMENTS[name][1] not in content


@pytest.mark.parametrize(
    "found",
    [
        (0xE0, b"JFXX\0\x10" + PREVIEW),
        (0xEC, b"Ducky\0\1\0\4"),
        (0xED, b"Photoshop 3.0\0" + resource(0x040C, PREVIEW) + resource(0x03ED, bytes(16))),
    ],
    ids=["JFXX thumbnail", "Ducky", "thumbnail of Photoshop"],
)
def test_thumbnails_and_settings_go_without_a_note(found):
    content, notes = again(jpeg(segment(*found)), "JPEG")
    assert notes == ()
    assert b"PREVIEW" not in content


@pytest.mark.parametrize("where", [jpeg, png])
@pytest.mark.parametrize(("after", "count"), [(b"", 0), (bytes(100), 0), (b"ftypmp42" * 9, 72)])
def test_bytes_after_the_end_are_counted(where, after, count):
    content, notes = again(where(after=after), "PNG")
    assert notes == ((f"dropped its {count} bytes after its end",) if count else ())
    assert b"ftypmp42" not in content


def test_the_end_of_a_jpeg_is_found_across_parts(monkeypatch):
    monkeypatch.setattr("convcli.image.held._PART", 7)
    for extra in range(9):
        content = jpeg(segment(0xE7, b"A" * 2 + bytes(extra)), after=b"trailer")
        assert held_by(content, "JPEG").lost[-1] == "7 bytes after its end"


# --- EXIF


def exif_of(**tags):
    """EXIF data, with tags of the inner block by name."""
    exif = Image.Exif()
    exif[ExifTags.Base.Make] = "Leitz"
    for name, value in tags.items():
        exif.get_ifd(ExifTags.IFD.Exif)[ExifTags.Base[name]] = value
    return exif


def block_of(content):
    file = io.BytesIO(content)
    with Image.open(file) as image:
        image.load()
        return dict(image.getexif().get_ifd(ExifTags.IFD.Exif))


WITH_EXIF = ["JPEG", "PNG", "WEBP", "AVIF", "TIFF"]


@pytest.mark.parametrize("target", WITH_EXIF)
@pytest.mark.parametrize("orientation", [1, 6])
def test_the_sizes_in_exif_are_those_of_the_image(target, orientation):
    exif = exif_of(ExifImageWidth=888, ExifImageHeight=777, ExposureTime=0.5)
    exif[ExifTags.Base.Orientation] = orientation
    content = io.BytesIO()
    Image.new("RGB", (40, 24)).save(content, "JPEG", exif=exif)
    got, _ = again(content.getvalue(), target)
    block = block_of(got)
    size = block[ExifTags.Base.ExifImageWidth], block[ExifTags.Base.ExifImageHeight]
    assert size == opened(got).size == ((24, 40) if orientation == 6 else (40, 24))


@pytest.mark.parametrize("target", WITH_EXIF)
@pytest.mark.parametrize(
    ("note", "kept"),
    [
        (b"Nikon\0\2\x10\0\0MM\0*" + bytes(30), True),
        (b"Apple iOS\0\0\1MM" + bytes(30), True),
        (b"FUJIFILM\x0c\0\0\0" + bytes(30), True),
        (b"\x0a\0\1\0\3\0" + bytes(30), False),  # Canon: offsets from the start of the EXIF data
        (b"Panasonic\0\0\0" + bytes(30), False),
        (b"SONY DSC \0\0\0" + bytes(30), False),
        (b"Nikon\0\2\x10\0\0MM\0*" + PREVIEW, False),
    ],
)
def test_maker_notes_are_kept_if_they_can_move_and_show_nothing(target, note, kept):
    content = jpeg(exif=exif_of(MakerNote=note, ExposureTime=0.5))
    got, notes = again(content, target)
    assert (note in got) is kept
    assert notes == (() if kept else ("dropped its maker notes",))
    assert block_of(got)[ExifTags.Base.ExposureTime] == 0.5


@pytest.mark.parametrize("name", ["UserComment", "CFAPattern", "FileSource"])
def test_previews_anywhere_in_exif_are_dropped(name):
    got, notes = again(jpeg(exif=exif_of(**{name: PREVIEW})), "JPEG")
    assert b"PREVIEW" not in got
    assert notes == ("dropped its previews in EXIF",)


@pytest.mark.parametrize(("orientation", "kept"), [(1, True), (3, False), (6, False)])
def test_a_subject_area_is_only_right_in_an_image_that_is_not_turned(orientation, kept):
    exif = exif_of(ExposureTime=0.5)
    exif.get_ifd(ExifTags.IFD.Exif)[37396] = (1, 2)
    exif[ExifTags.Base.Orientation] = orientation
    got, notes = again(jpeg(exif=exif), "JPEG")
    assert (37396 in block_of(got)) is kept
    assert notes == (() if kept else ("dropped its subject area",))


def test_tags_of_exif_that_are_not_kept_are_named():
    exif = exif_of()
    exif[ExifTags.Base.DocumentName] = "roll 7"
    exif[50341] = b"PrintIM\0"
    exif[65000] = 5
    exif[ExifTags.Base.YCbCrPositioning] = 1  # how samples are stored: no loss
    _, notes = again(jpeg(exif=exif), "JPEG")
    assert notes == ("dropped its document name, PrintImageMatching and tag 65000",)


# --- XMP

JPEG_64 = base64.b64encode(PREVIEW).decode()
RDF = "http://www.w3.org/1999/02/22-rdf-syntax-ns#"


def packet(inner, attributes="", **namespaces):
    """An XMP packet; namespaces by prefix."""
    declared = " ".join(f'xmlns:{prefix}="{uri}"' for prefix, uri in namespaces.items())
    return (
        f'<?xpacket begin="\ufeff" id="W5M0MpCehiHzreSzNTczkc9d"?>'
        f'<x:xmpmeta xmlns:x="adobe:ns:meta/"><rdf:RDF xmlns:rdf="{RDF}">'
        f'<rdf:Description rdf:about="" {declared} {attributes}>'
        f'<d:creator xmlns:d="http://purl.org/dc/elements/1.1/">Grace &amp; J\u00fcrgen</d:creator>'
        f"{inner}</rdf:Description></rdf:RDF></x:xmpmeta>"
        '<?xpacket end="w"?>'
    ).encode()


BASIC = "http://ns.adobe.com/xap/1.0/"
IMAGE = "http://ns.adobe.com/xap/1.0/g/img/"
CONTAINER = "http://ns.google.com/photos/1.0/container/"
THUMBNAILS = "thumbnails in XMP"
FURTHER = "references to further images in XMP"

STALE = {
    "thumbnails": (
        packet(
            f"<xmp:Thumbnails><rdf:Alt><rdf:li><g:image>{JPEG_64}</g:image></rdf:li></rdf:Alt>"
            "</xmp:Thumbnails>",
            xmp=BASIC,
            g=IMAGE,
        ),
        THUMBNAILS,
    ),
    "thumbnails, old prefix": (
        packet(
            f"<xap:Thumbnails><rdf:Alt><rdf:li xapGImg:image='{JPEG_64}'/></rdf:Alt>"
            "</xap:Thumbnails>",
            xap=BASIC,
            xapGImg=IMAGE,
        ),
        THUMBNAILS,
    ),
    "thumbnails of pages": (
        packet(
            f"<q:PageInfo><rdf:Seq><rdf:li><g:image>{JPEG_64}</g:image></rdf:li></rdf:Seq>"
            "</q:PageInfo>",
            q=BASIC,
            g=IMAGE,
        ),
        THUMBNAILS,
    ),
    "gain map": (
        packet("", 'hdrgm:Version="1.0" hdrgm:GainMapMax="3"', hdrgm="http://ns.adobe.com/hdr-gain-map/1.0/"),
        FURTHER,
    ),
    "container": (
        packet(
            "<C:Directory><rdf:Seq><rdf:li rdf:parseType='Resource'><C:Item I:Mime='video/mp4' "
            "I:Length='72'/></rdf:li></rdf:Seq></C:Directory>",
            C=CONTAINER,
            I=CONTAINER + "item/",
        ),
        FURTHER,
    ),
    "motion photo": (
        packet(
            "",
            'G:MotionPhoto="1" G:MotionPhotoVersion="1" G:BurstID="kept"',
            G="http://ns.google.com/photos/1.0/camera/",
        ),
        FURTHER,
    ),
    "micro video": (
        packet(
            "<G:MicroVideoOffset>123</G:MicroVideoOffset><G:BurstID>kept</G:BurstID>",
            G="http://ns.google.com/photos/1.0/camera/",
        ),
        FURTHER,
    ),
    "depth": (
        packet("", f'D:Mime="image/jpeg" D:Data="{JPEG_64}"', D="http://ns.google.com/photos/1.0/depthmap/"),
        FURTHER,
    ),
    "image": (
        packet("", f'D:Data="{JPEG_64}"', D="http://ns.google.com/photos/1.0/image/"),
        FURTHER,
    ),
    "extended": (
        packet("", 'n:HasExtendedXMP="0123"', n="http://ns.adobe.com/xmp/note/"),
        FURTHER,
    ),
}  # fmt: skip


@pytest.mark.parametrize("target", ["JPEG", "PNG", "WEBP", "TIFF", "AVIF"])
@pytest.mark.parametrize("name", STALE)
def test_what_xmp_says_of_the_old_image_goes_and_the_rest_stays(name, target):
    xmp, noted = STALE[name]
    got, notes = again(jpeg(xmp=xmp), target)
    assert notes == (f"dropped its {noted}",)
    kept = opened(got).info["xmp"]
    assert "Grace &amp; J\u00fcrgen".encode() in kept
    assert kept.startswith('<?xpacket begin="\ufeff"'.encode())
    assert (b"kept" in kept) is (b"kept" in xmp)
    for gone in (JPEG_64.encode(), b"Thumbnails", b"image>", b":Version", b"Directory", b"Offset",
                 b"MotionPhoto", b"Mime", b"HasExtended"):  # fmt: skip
        assert gone not in kept


@pytest.mark.parametrize(
    "inner",
    [
        f"<p:note xmlns:p='urn:p'>{JPEG_64}</p:note>",  # of no known name
        f"<xmp:Thumbnails xmlns:xmp='{BASIC}'>",  # not well-formed
        f"<xmp:Thumbnails>{JPEG_64}</xmp:Thumbnails>",  # a prefix that is not declared
        "<!-- --><![CDATA[/9j/4AAQ]]>",
    ],
)
def test_xmp_whose_preview_cannot_be_taken_out_is_dropped(inner):
    got, notes = again(jpeg(xmp=packet(inner)), "JPEG")
    assert "xmp" not in opened(got).info
    assert notes == ("dropped its XMP data",)


@pytest.mark.parametrize("encoding", ["utf-16", "utf-16-le", "utf-16-be"])
def test_xmp_in_utf_16_is_read_too(encoding):
    xmp = STALE["thumbnails"][0].decode().replace("\ufeff", "").encode(encoding)
    got, notes = again(jpeg(xmp=xmp), "JPEG")
    kept = opened(got).info["xmp"]
    assert JPEG_64.encode() not in kept.replace(b"\0", b"")
    assert b"Grace" in kept
    assert notes == (f"dropped its {THUMBNAILS}",)


def test_entities_of_xmp_are_not_expanded():
    xmp = b'<!DOCTYPE x [<!ENTITY a "aaaa">]>' + packet("<e>Thumbnails &a;</e>")
    got, notes = again(jpeg(xmp=xmp), "JPEG")
    assert b"ENTITY" not in got
    assert notes == ("dropped its XMP data",)


def test_xmp_without_anything_stale_is_kept_byte_for_byte():
    xmp = packet("<xmp:Rating  xmlns:xmp='http://ns.adobe.com/xap/1.0/' >5</xmp:Rating >")
    assert opened(again(jpeg(xmp=xmp), "JPEG")[0]).info["xmp"] == xmp


TIFF_SCHEMA = "http://ns.adobe.com/tiff/1.0/"
TURNED = {
    "attribute": packet("", 'tiff:Orientation="6"', tiff=TIFF_SCHEMA),
    "single quotes": packet("", "tiff:Orientation='6'", tiff=TIFF_SCHEMA),
    "spaces around the sign": packet("", 'tiff:Orientation = "6"', tiff=TIFF_SCHEMA),
    "other prefix": packet("", 't:Orientation="6"', t=TIFF_SCHEMA),
    "element": packet("<t:Orientation>6</t:Orientation>", t=TIFF_SCHEMA),
    "spaces": packet("<tiff:Orientation >\n 6 </tiff:Orientation>", tiff=TIFF_SCHEMA),
    "own declaration": packet(f"<o:Orientation xmlns:o='{TIFF_SCHEMA}'>6</o:Orientation>"),
    "rdf:value": packet("<t:Orientation><rdf:value>6</rdf:value></t:Orientation>", t=TIFF_SCHEMA),
    "character reference": packet("", 'tiff:Orientation="&#54;"', tiff=TIFF_SCHEMA),
}


@pytest.mark.parametrize("encoding", ["utf-8", "utf-16", "utf-16-le", "utf-16-be"])
@pytest.mark.parametrize("target", ["JPEG", "PNG", "TIFF", "WEBP"])
@pytest.mark.parametrize("name", TURNED)
def test_an_image_that_was_turned_is_not_turned_by_its_xmp_again(name, target, encoding):
    exif = exif_of()
    exif[ExifTags.Base.Orientation] = 6
    xmp = TURNED[name].decode().replace("\ufeff", "").encode(encoding)
    content = io.BytesIO()
    Image.new("RGB", (16, 8)).save(content, "JPEG", exif=exif, xmp=xmp)
    got, notes = again(content.getvalue(), target)
    assert notes == ()
    image = opened(got)
    assert image.size == (8, 16)
    assert image.getexif().get(ExifTags.Base.Orientation, 1) == 1
    assert b"6" not in image.info["xmp"].partition(b"Orientation")[2][:12]


def test_an_orientation_that_is_right_or_not_applied_is_kept_byte_for_byte():
    for value in "16":
        xmp = packet("", f"t:Orientation='{value}'", t=TIFF_SCHEMA)
        assert opened(again(jpeg(xmp=xmp), "JPEG")[0]).info["xmp"] == xmp


def test_the_sizes_in_xmp_are_those_of_the_image():
    xmp = packet(
        "<exif:PixelXDimension>888</exif:PixelXDimension>",
        'tiff:ImageWidth="888" tiff:ImageLength="777"',
        exif="http://ns.adobe.com/exif/1.0/",
        tiff="http://ns.adobe.com/tiff/1.0/",
    )
    got, notes = again(jpeg(xmp=xmp), "JPEG")
    kept = opened(got).info["xmp"]
    assert notes == ()
    assert b"888" not in kept
    assert b"777" not in kept
    assert kept.count(b"16") == 3


def test_long_xmp_is_compressed_in_a_png():
    xmp = packet(f"<p:x xmlns:p='urn:p'>{'x' * 1_000_000}</p:x>")
    got, _ = written(Picture(np.zeros((4, 4), np.uint8), "L", "PNG", {"xmp": xmp}), "PNG")
    assert opened(got).info["xmp"] == xmp
    assert len(got) < 20_000


# --- TIFF

GEO = {
    33550: (12, (1.0, 1.0, 0.0)),
    33922: (12, (0.0, 0.0, 0.0, 5e5, 4e6, 0.0)),
    34735: (3, (1, 1, 0, 1, 1024, 0, 1, 1)),
    34736: (12, (6378137.0,)),
    34737: (2, "WGS 84|"),
}
BEYOND_ASCII = {34737: (2, "H\u00f6he|".encode()), 42112: (2, "<M>\u00fc</M>".encode())}
TAGS = {
    "GeoTIFF keys": GEO,
    "GDAL metadata": {42112: (2, "<GDALMetadata/>")},
    "GeoTIFF keys and GDAL metadata": BEYOND_ASCII,
    "no-data value": {42113: (2, "-8889")},
    "position": {286: (5, (100, 1)), 287: (5, (50, 1))},
    "document name": {269: (2, "doc")},
    "page name": {285: (2, "page")},
    "page number": {297: (3, (0, 2))},
    "subfile type": {254: (4, (1,))},
    "white point and primary chromaticities": {
        318: (5, (31, 100, 33, 100)),
        319: (5, (64, 100, 33, 100, 30, 100, 60, 100, 15, 100, 6, 100)),
    },
    "IPTC data": {33723: (7, b"\x1c\x02\x78\0\3abc")},
}
LOST_TAGS = {
    "Photoshop data": {34377: (7, resource(0x040C, PREVIEW))},
    "Photoshop layers": {37724: (7, b"Adobe Photoshop Document Data Block\0")},
    "tag 65000": {65000: (4, (7,))},
    "tag 40001 and tag 40002": {40001: (2, "a"), 40002: (2, "b")},
    "InkNames tag": {333: (2, "a")},
    "transfer function": {301: (3, (1,) * 768)},
}


def tiff(tags, dtype=np.uint8, **settings):
    content = io.BytesIO()
    extra = [
        (code, kind, len(value) // (2 if kind == 5 else 1) if kind != 2 else 0, value, True)
        for code, (kind, value) in tags.items()
        if code != 254
    ]
    subfile = tags.get(254, (4, (0,)))[1][0]
    pixels = np.arange(5 * 7 * 3).reshape(5, 7, 3).astype(dtype)
    if settings.get("planarconfig") == "separate":
        pixels = np.ascontiguousarray(np.moveaxis(pixels, -1, 0))
    tifffile.imwrite(content, pixels, photometric="rgb", metadata=None, extratags=extra,
                     subfiletype=subfile, software=False, **settings)  # fmt: skip
    return content.getvalue()


@pytest.mark.parametrize("dtype", [np.uint8, np.uint16])
@pytest.mark.parametrize("compression", [None, "lzw"])
@pytest.mark.parametrize("name", TAGS)
def test_a_tiff_keeps_tags_that_stay_true(name, dtype, compression):
    source = tiff(TAGS[name], dtype, compression=compression)
    got, notes = again(source, "TIFF")
    if (name, dtype, compression) == ("page number", np.uint8, "lzw"):
        assert notes == ("dropped its page number, which cannot be written in a compressed TIFF",)
        return
    assert notes == ()
    with tifffile.TiffFile(io.BytesIO(source)) as before, tifffile.TiffFile(io.BytesIO(got)) as now:
        for code in TAGS[name]:
            values = [page.tags[code].value for page in (now.pages[0], before.pages[0])]
            if TAGS[name][code][0] == 5:
                values = [
                    [a / b for a, b in zip(each[::2], each[1::2], strict=True)] for each in values
                ]
                assert values[0] == pytest.approx(values[1])
            else:
                assert values[0] == values[1]
            assert now.pages[0].tags[code].dtype == before.pages[0].tags[code].dtype


IPTC = b"\x1c\x02\x78\0\7caption"


def test_tables_of_pillow_stay_as_they_are():
    code = (
        "from PIL import TiffTags; before = dict(TiffTags.TAGS_V2); "
        "import convcli.image.tags, convcli.image.tiff, convcli.image.tiff_reading; "
        "assert TiffTags.TAGS_V2 == before"
    )
    subprocess.run([sys.executable, "-c", code], check=True)


@pytest.mark.parametrize("dtype", [np.uint8, np.uint16])
@pytest.mark.parametrize("order", "<>")
@pytest.mark.parametrize(
    ("kind", "is_swapped"), [(1, False), (2, False), (3, False), (4, False), (7, False), (4, True)]
)
def test_iptc_data_of_any_type_keep_their_bytes(kind, is_swapped, order, dtype):
    data = np.frombuffer(IPTC, "<u4").byteswap().tobytes() if is_swapped else IPTC
    # tifffile writes integers in the order of the file, and bytes as they are
    size = {3: 2, 4: 4}.get(kind)
    value = tuple(np.frombuffer(data, f"{order}u{size}").tolist()) if size else data
    content = io.BytesIO()
    tifffile.imwrite(content, np.zeros((5, 7, 3), dtype), photometric="rgb", metadata=None,
                     byteorder=order, extratags=[(33723, kind, len(value), value, True)],
                     software=False)  # fmt: skip
    got, notes = again(content.getvalue(), "TIFF")
    assert notes == ()
    with tifffile.TiffFile(io.BytesIO(got)) as file:
        assert file.pages[0].tags[33723].value == IPTC


@pytest.mark.parametrize("dtype", [np.uint8, np.uint16])
@pytest.mark.parametrize(
    ("code", "stated", "expected"),
    [(254, 0, None), (254, 2, 2), (255, 1, None), (255, 2, 1), (255, 3, 2)],
)
def test_what_kind_of_page_a_tiff_is_stays_or_is_noted(code, stated, expected, dtype):
    source = tiff({code: (4 if code == 254 else 3, (stated,))}, dtype)
    content, notes = again(source, "TIFF")
    assert notes == ()
    assert opened(content).tag_v2.get(254, 0) == (expected or 0)
    _, notes = again(source, "PNG")
    assert notes == (("dropped its subfile type, which PNG cannot store",) if expected else ())


@pytest.mark.parametrize("target", ["TIFF", "PNG", "JPEG"])
@pytest.mark.parametrize(
    ("number", "is_noted"), [((0, 1), False), ((0, 2), True), ((3, 0), True), ((0, 0), True)]
)
def test_page_0_of_1_goes_without_a_note(number, is_noted, target):
    _, notes = again(tiff({297: (3, number)}, compression="lzw"), target)
    assert any("page number" in note for note in notes) is is_noted


def test_a_turned_tiff_loses_what_places_its_pixels():
    got, notes = again(tiff(TAGS["no-data value"] | GEO | {274: (3, (6,))}), "TIFF")
    assert notes == ("dropped its GeoTIFF keys",)
    with tifffile.TiffFile(io.BytesIO(got)) as file:
        assert 33550 not in file.pages[0].tags
        assert 42113 in file.pages[0].tags


@pytest.mark.parametrize("dtype", [np.float32, np.int32])
@pytest.mark.parametrize("compression", [None, "zlib", "zstd"])
def test_heights_keep_their_place_and_no_data(dtype, compression):
    content = io.BytesIO()
    tags = [(code, kind, len(v) if kind != 2 else 0, v, True) for code, (kind, v) in GEO.items()]
    heights = np.arange(300, dtype=dtype).reshape(15, 20)
    tifffile.imwrite(content, heights, compression=compression, metadata=None,
                     extratags=[*tags, (42113, 2, 0, "-9999", True)])  # fmt: skip
    got, notes = again(content.getvalue(), "TIFF")
    assert notes == ()
    with tifffile.TiffFile(io.BytesIO(got)) as file:
        page = file.pages[0]
        assert [page.tags[code].value for code in GEO][:2] == [value for _, value in GEO.values()][
            :2
        ]
        assert page.tags[42113].value == "-9999"
        np.testing.assert_array_equal(page.asarray(), heights)


@pytest.mark.parametrize("name", TAGS)
@pytest.mark.parametrize("target", ["PNG", "JPEG"])
def test_other_formats_drop_tags_by_name(name, target):
    assert again(tiff(TAGS[name]), target)[1] == (
        f"dropped its {name}, which {spelt(target)} cannot store",
    )


@pytest.mark.parametrize("name", LOST_TAGS)
@pytest.mark.parametrize("target", ["TIFF", "PNG"])
def test_tags_that_are_not_kept_are_named(name, target):
    got, notes = again(tiff(LOST_TAGS[name]), target)
    assert notes == (f"dropped its {name.replace(' and tag', ' and tag')}",)
    assert b"PREVIEW" not in got


@pytest.mark.parametrize("how", [{}, {"compression": "lzw", "predictor": True},
                                 {"planarconfig": "separate"}, {"rowsperstrip": 2}])  # fmt: skip
def test_how_a_tiff_stores_its_samples_has_no_note(how):
    assert again(tiff({}, **how), "PNG")[1] == ()


def test_a_resolution_without_unit_stays_one():
    source = tiff({}, resolution=(300, 200), resolutionunit=1)
    with tifffile.TiffFile(io.BytesIO(again(source, "TIFF")[0])) as file:
        tags = file.pages[0].tags
        assert (tags[282].value, tags[283].value, tags[296].value) == ((300, 1), (200, 1), 1)


# --- GIF, WebP, AVIF, BMP, PPM


def gif(*extensions, after=b""):
    content = io.BytesIO()
    Image.new("P", (4, 4)).save(content, "GIF")
    whole = content.getvalue()
    at = 13 + (3 << (whole[10] & 7) + 1)
    return whole[:at] + b"".join(extensions) + whole[at:] + after


def application(name, data):
    parts = [data[at : at + 255] for at in range(0, len(data), 255)]
    return b"\x21\xff\x0b" + name + b"".join(bytes([len(p)]) + p for p in parts) + b"\0"


def riff(kind, data):
    content = io.BytesIO()
    Image.new("RGB", (4, 4)).save(content, "WEBP", exif=exif_of().tobytes())
    whole = content.getvalue() + kind + struct.pack("<I", len(data)) + data
    return b"RIFF" + struct.pack("<I", len(whole) - 8) + whole[8:]


def bmp(space, gamma=0):
    """A BMP with a header of version 5."""
    size = struct.pack("<IiiHHIIiiII", 124, 4, 4, 1, 24, 0, 48, 0, 0, 0, 0)
    colour = bytes(16) + space + bytes(36) + struct.pack("<III", gamma, gamma, gamma) + bytes(16)
    return b"BM" + struct.pack("<IHHI", 14 + 124 + 48, 0, 0, 138) + size + colour + bytes(48)


OTHERS = {
    "colour profile": gif(application(b"ICCRGBG1012", PROFILE)),
    "XMP data": gif(application(b"XMP DataXMP", packet(""))),
    "application data (MGK8BIM0000)": gif(application(b"MGK8BIM0000", b"abc")),
    "plain text": gif(b"\x21\x01\x0c" + bytes(12) + b"\1a\0"),
    "9 bytes after its end": gif(after=b"something"),
    "C2PA signature": riff(b"C2PA", b"signed"),
    "abcd chunk": riff(b"abcd", bytes(3) + b"\0"),
    "linked colour profile": bmp(b"KNIL"),
    "embedded colour profile": bmp(b"DEBM"),
    "gamma": bmp(bytes(4), gamma=1 << 17),
    "comment": b"P5\n# of the coast\n2 2\n255\nabcd",
    "2 comments": b"P6\n# of\n1 # the\n1\n255\nabc",
    "comment of a PAM": b"P7\n# of\nWIDTH 1\nHEIGHT 1\nDEPTH 3\nMAXVAL 255\nENDHDR\nabc",
    "comment of a text": b"P2\n# of the coast\n2 1\n9\n1 2\n",
}


@pytest.mark.parametrize("name", OTHERS)
def test_what_other_formats_hold_is_named(name):
    _, notes = again(OTHERS[name], "PNG")
    said = name.removeprefix("linked ").removeprefix("embedded ").partition(" of a ")[0]
    assert notes == (f"dropped its {said}",)


@pytest.mark.parametrize("content", [gif(), gif(application(b"NETSCAPE2.0", b"\1\0\0")),
                                     bmp(b"BGRs"), b"P5 2 2 255 abcd"])  # fmt: skip
def test_nothing_is_missed_where_there_is_nothing(content):
    assert again(content, "PNG")[1] == ()


@pytest.mark.parametrize("format_name", ["PNG", "JPEG", "GIF", "WEBP", "AVIF", "BMP", "PPM"])
def test_a_file_that_ends_early_has_no_error_of_its_own(format_name):
    content = io.BytesIO()
    Image.new("RGB", (9, 9)).save(content, format_name)
    for end in range(len(content.getvalue())):
        held_by(content.getvalue()[:end], format_name)


@pytest.mark.parametrize("lossless", [True, False])
def test_a_webp_keeps_colours_that_are_not_visible(lossless):
    pixels = np.full((16, 16, 4), (200, 100, 50, 0), np.uint8)
    picture = Picture(pixels, "RGBA", "WEBP", encoding={"lossless": lossless})
    shown = np.asarray(opened(written(picture, "WEBP")[0]))
    assert np.abs(shown.astype(int) - pixels).max() <= (0 if lossless else 8)


# --- colour by code points


def avif(primaries, transfer):
    """An AVIF of 8 bits whose box colr (nclx) has the given code points."""
    content = io.BytesIO()
    Image.new("RGB", (16, 16), (200, 100, 50)).save(content, "AVIF")
    whole = bytearray(content.getvalue())
    at = whole.index(b"colrnclx") + 8
    whole[at : at + 4] = struct.pack(">HH", primaries, transfer)
    return bytes(whole)


@pytest.mark.parametrize("points", [(9, 16), (12, 13), (1, 1), (9, 18)])
def test_the_colour_of_an_avif_is_never_relabelled(points):
    content, notes = again(avif(*points), "PNG")
    assert notes == ()
    assert (b"cICP", bytes([*points, 0, 1])) in chunks_of(content)
    for target in ("JPEG", "WEBP", "TIFF"):
        _, notes = again(avif(*points), target)
        assert notes == (f"dropped its colour code points, which {spelt(target)} cannot store",)
    assert again(avif(*points), "AVIF")[1] == ("dropped its colour code points",)


@pytest.mark.parametrize("points", [(1, 13), (2, 2), (1, 2)])
def test_an_avif_of_srgb_has_nothing_to_lose(points):
    content, notes = again(avif(*points), "PNG")
    assert notes == ()
    assert b"cICP" not in content


def test_edges_of_colour_drop_a_colour_profile_with_a_note(tmp_path, program):
    profile = ImageCms.ImageCmsProfile(ImageCms.createProfile("sRGB")).tobytes()
    Image.new("RGB", (8, 8)).save(tmp_path / "a.png", icc_profile=profile)
    result = program("edge", str(tmp_path / "a.png"), "-o", str(tmp_path / "b.png"))
    assert "note: dropped its colour profile, as the result is grey" in result.err
    with Image.open(tmp_path / "b.png") as edges:
        assert "icc_profile" not in edges.info


@pytest.mark.parametrize("target", ["JPEG", "PNG"])
@pytest.mark.parametrize("source", ["JPEG", "PNG", "TIFF", "WEBP", "AVIF"])
def test_a_profile_that_is_cut_off_is_dropped_with_a_note(source, target):
    content = io.BytesIO()
    Image.new("RGB", (8, 6)).save(content, source, icc_profile=PROFILE[:-40])
    got, notes = again(content.getvalue(), target)
    assert notes == ("dropped its incomplete colour profile",)
    assert "icc_profile" not in opened(got).info


def test_an_empty_comment_does_not_hide_the_others():
    content = io.BytesIO()
    Image.new("RGB", (8, 6)).save(content, "JPEG")
    comments = b"".join(b"\xff\xfe" + struct.pack(">H", 2 + len(c)) + c for c in (b"a", b"b", b""))
    source = content.getvalue()[:2] + comments + content.getvalue()[2:]
    assert again(source, "PNG")[1] == ("dropped its 2 comments, which PNG cannot store",)
    assert again(source, "JPEG")[1] == ()


@pytest.mark.parametrize(("words", "kept"), [(None, None), ("a harbour", "a harbour")])
def test_the_shape_in_a_description_goes_and_other_words_stay(words, kept, tmp_path):
    colours = np.zeros((5, 6, 3), np.uint8)
    tifffile.imwrite(tmp_path / "a.tif", colours, photometric="rgb", description=words)
    picture = read(tmp_path / "a.tif")
    write(picture.with_pixels(colours[..., 0]), tmp_path / "b.tif", "TIFF")
    with Image.open(tmp_path / "b.tif") as file:
        assert file.tag_v2.get(ExifTags.Base.ImageDescription) == kept
