"""XMP data without what describes the old image: thumbnails, sizes, pointers to other parts."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from convcli.image.previews import shows_image

if TYPE_CHECKING:
    from xml.dom import minidom

# Namespaces that point to a part of the file that is not written (a gain map, a video, depth), or
# that hold another image: Google's container, camera, depth and image formats, Adobe's gain maps,
# Apple's, and the pointer to extended XMP (XMP specification part 3, section 1.1.3.1).
_POINTERS = (
    "http://ns.adobe.com/hdr-gain-map/",
    "http://ns.google.com/photos/1.0/container/",
    "http://ns.google.com/photos/1.0/depthmap/",
    "http://ns.google.com/photos/1.0/image/",
    "http://ns.google.com/photos/1.0/audio/",
    "http://ns.google.com/photos/dd/1.0/",
    "http://ns.apple.com/HDRGainMap/",
    "http://ns.apple.com/pixeldatainfo/",
    "http://ns.adobe.com/xmp/note/",
)
# In Google's camera namespace only these are pointers.
_CAMERA = "http://ns.google.com/photos/1.0/camera/"
_IN_CAMERA = re.compile("MicroVideo|MotionPhoto")

# Of the basic schema (XMP specification part 2, section 2.3), and the type of its items.
_THUMBNAILS = re.compile("Thumbnails?$|PageInfo$")
_THUMBNAIL_TYPE = "http://ns.adobe.com/xap/1.0/g/img/"

# The size of the image, by the TIFF and EXIF schemas: which side it is.
_SIDES = {"ImageWidth": 0, "PixelXDimension": 0, "ImageLength": 1, "PixelYDimension": 1}
_SIZES = ("http://ns.adobe.com/tiff/1.0/", "http://ns.adobe.com/exif/1.0/")

# How the stored image is turned (TIFF schema), and its value once the pixels are upright.
_ORIENTATION, _UPRIGHT = "Orientation", "1"
_TIFF = _SIZES[0]

# What XMP contains if there may be anything to change.
_SUSPECT = re.compile(
    rb"Thumbnail|/g/img/|PageInfo|hdr-gain-map|photos/1\.0/|photos/dd/|ns\.apple\.com|xmp/note/"
    rb"|ImageWidth|ImageLength|PixelXDimension|PixelYDimension"
    rb"|MicroVideo|MotionPhoto|HDRGainMap|hdrgm:|Orientation"
)
# The start of a packet in UTF-16; those in UTF-8 have no zero bytes.
_WIDE = re.compile(rb"<\0|\0<")
_NAMES = re.compile(rb"[^\w](?:hdrgm|GContainer|Container|GDepth|GImage|xmpGImg|xapGImg):\w")


def current(xmp: bytes, size: tuple[int, int], is_upright: bool = False) -> tuple[bytes, list[str]]:
    """Return XMP data that are true of the filtered image, and the names of what was removed.

    Parameters
    ----------
    xmp : bytes
        The packet. It is not changed at all if nothing in it is stale.
    size : (int, int)
        Width and height of the upright image.
    is_upright : bool
        The image is upright whatever its XMP data say: it has been turned, or its EXIF data, which
        come first, state its orientation.

    Returns
    -------
    bytes
        Empty if what is stale cannot be taken out, as the packet is not valid XML.
    list of str
        For a note.
    """
    if _WIDE.search(xmp[:100]):
        try:
            order = "utf-16-be" if xmp[:1] == b"\0" else "utf-16-le"
            wide = "utf-16" if xmp[:2] in (b"\xff\xfe", b"\xfe\xff") else order
            xmp = xmp.decode(wide).encode()
        except UnicodeDecodeError:
            return b"", ["XMP data"]
    if not (_SUSPECT.search(xmp) or shows_image(xmp)):
        return xmp, []
    from xml.dom import minidom  # rarely needed

    if b"<!" in xmp.replace(b"<![CDATA[", b"").replace(b"<!--", b""):
        return b"", ["XMP data"]  # a document type, whose entities could expand without end
    try:
        # Without a document type there are no entities; names and depth are bounded by its size.
        document = minidom.parseString(xmp.strip(b"\0 \r\n\t"))  # noqa: S318
        before = _text_of(document)
        lost = _removed(document, size, is_upright)
        clean = _text_of(document)
    except Exception:  # XML that is not well-formed, or nested too deeply
        return b"", ["XMP data"]
    if shows_image(clean) or _NAMES.search(clean):
        return b"", ["XMP data"]
    return (xmp if clean == before else clean), lost


def _text_of(document: minidom.Document) -> bytes:
    """Return a document without the XML declaration, which XMP has none of."""
    return "".join(node.toxml() for node in document.childNodes).encode()


def _removed(document: minidom.Document, size: tuple[int, int], is_upright: bool) -> list[str]:
    """Remove what is stale, and correct the rest; return the names of what was removed."""
    right = {(uri, name): str(size[side]) for uri in _SIZES for name, side in _SIDES.items()}
    if is_upright:
        right[_TIFF, _ORIENTATION] = _UPRIGHT
    lost: list[str] = []
    left: list[minidom.Element] = [document.documentElement] if document.documentElement else []
    while left:
        element = left.pop()
        for attribute in list((element.attributes or {}).values()):
            uri, name = attribute.namespaceURI or "", attribute.localName or ""
            if attribute.prefix == "xmlns" or attribute.name == "xmlns":
                if attribute.value.startswith(_POINTERS):
                    element.removeAttribute(attribute.name)
            elif reason := _stale(uri, name):
                element.removeAttribute(attribute.name)
                lost.append(reason)
            elif (uri, name) in right:
                attribute.value = right[uri, name]
        for child in list(element.childNodes):
            if child.nodeType != child.ELEMENT_NODE:
                continue
            uri, name = child.namespaceURI or "", child.localName or ""
            if reason := _stale(uri, name):
                element.removeChild(child)
                lost.append(reason)
            elif (uri, name) in right:
                for node in list(child.childNodes):
                    child.removeChild(node)
                child.appendChild(document.createTextNode(right[uri, name]))
            else:
                left.append(child)
    return list(dict.fromkeys(lost))


def _stale(uri: str, name: str) -> str:
    """Return the name of a property that is stale, or "" if it is not."""
    if uri.startswith(_POINTERS) or (uri.startswith(_CAMERA) and _IN_CAMERA.match(name)):
        return "references to further images in XMP"
    if uri.startswith(_THUMBNAIL_TYPE) or _THUMBNAILS.search(name):
        return "thumbnails in XMP"
    return ""
