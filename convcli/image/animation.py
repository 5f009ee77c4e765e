"""Writing animated PNG, WebP and AVIF files: whole frames, of which Pillow stores the changes."""

from __future__ import annotations

from itertools import accumulate, pairwise
from typing import Any, BinaryIO

from PIL import Image

from convcli.image.encoder import Encoder
from convcli.image.metadata_settings import not_by_pillow
from convcli.image.picture import WITH_ALPHA, Picture
from convcli.image.png_blocks import name_of_chunk
from convcli.words import listed_all

# The last time of a frame in milliseconds that libwebp takes, a signed number of 32 bits.
_LAST_TIME = 2**31 - 1


def write(encoder: Encoder, picture: Picture, file: BinaryIO) -> None:
    """Write an animation."""
    images: list[Image.Image] = []
    durations: list[float] = []
    settings: dict[str, Any] = {}
    for frame in picture.all_frames():
        own = encoder.settings_for(frame)
        settings = settings or own  # the file has those of the first frame
        images.append(encoder.image_of(frame))
        durations.append(encoder.duration_of(frame))
    if encoder.format == "WEBP" and sum(durations) > _LAST_TIME:
        encoder.note(f"shortened the animation to {_LAST_TIME} ms, the longest that WebP can store")
        ends = [min(end, _LAST_TIME) for end in accumulate(durations)]
        durations = [end - start for start, end in pairwise([0, *ends])]
    images = _in_one_mode(images)
    settings["duration"] = durations
    settings["loop"] = encoder.plays_of(picture)
    if encoder.format == "PNG":
        if names := [name_of_chunk(kind) for kind, _ in not_by_pillow(settings.get("pnginfo"))]:
            encoder.note(f"dropped its {listed_all(names)}, which is not written with frames")
        settings |= _png_settings(images, encoder.png_level)
        if picture.frame.get("default_image"):  # Pillow counts the frames after it
            settings["default_image"] = True
            del settings["duration"][0], settings["disposal"][0]
    if encoder.format == "AVIF":
        # Its encoder takes integers; the others round the ends of frames, or store fractions.
        ends = [round(end) for end in accumulate(durations)]
        settings["duration"] = [end - start for start, end in pairwise([0, *ends])]
        if settings["loop"] != 0:
            encoder.note(
                "dropped its loop count, which AVIF cannot store; the animation repeats forever"
            )
    images[0].save(file, encoder.format, save_all=True, append_images=images[1:], **settings)


def lost_colours(frame: Picture, format_name: str) -> tuple[str, ...]:
    """Note that an animation will not hold the colours of a frame's transparent pixels.

    libwebp clears them; in single images it does not, if it is asked to be exact.
    """
    if format_name != "WEBP" or frame.mode not in WITH_ALPHA:
        return ()
    hidden = frame.pixels[frame.pixels[..., -1] == 0]
    return ("dropped the colours of its transparent pixels",) if hidden.any() else ()


def _in_one_mode(images: list[Image.Image]) -> list[Image.Image]:
    """Convert images to one mode, if they have several."""
    modes = {image.mode for image in images}
    if len(modes) == 1:
        return images
    common = "RGBA" if modes & {"LA", "RGBA"} else "RGB"
    return [image.convert(common) for image in images]


def _png_settings(images: list[Image.Image], level: int | None) -> dict[str, Any]:
    """Return settings with which Pillow writes every frame of an APNG, and writes it right.

    Frames are whole, so their disposal does not change what is shown. But Pillow merges a frame
    with an equal one before it that has the same disposal; and after a frame that is cleared it
    stores too little of the next, except in RGBA.
    """
    disposal = [0] * len(images)
    for number in range(1, len(images)):
        if images[number].tobytes() == images[number - 1].tobytes():
            disposal[number] = 2 - disposal[number - 1]
    settings: dict[str, Any] = {"blend": 0, "disposal": disposal}  # 0: a frame replaces pixels
    return settings if level is None else settings | {"compress_level": level}
