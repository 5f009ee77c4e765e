"""From the options of a filter to what is done to each image."""

from __future__ import annotations

from collections.abc import Callable
from functools import cache, partial
from typing import TYPE_CHECKING, Any, Unpack

import convcli
from convcli import image
from convcli.cli.options import Shared
from convcli.errors import ConvcliError
from convcli.image import Picture
from convcli.words import bytes_in

# Modules that need numpy are imported while the first image is being decoded.
if TYPE_CHECKING:
    from convcli.batch.pipeline import InParts, Pipeline
    from convcli.batch.planes import Planes
    from convcli.cli.screen.preview import Preview
    from convcli.filtering.filter import Filter
    from convcli.filtering.options import Options
    from convcli.filtering.stages import Stage
    from convcli.types import Pixels


Shares = tuple[int, int] | None
"""How many columns and rows of an image share a sample of the chroma of a video; None for an image
and for the luma."""

Maker = Callable[[Shares], "Stage | None"]
"""``make(shared_by)``: imports a filter and returns it as a stage, or refuses its arguments. None
says that chroma cannot be filtered so."""


def pipeline_for(
    shared: Shared,
    makers: tuple[Maker, ...],
    read: Callable[..., Picture],
    preview: Preview | None,
) -> Pipeline:
    """Check the options that need numpy, and make of them what is done to each image."""
    from convcli.batch.pipeline import Pipeline
    from convcli.filtering.options import Options
    from convcli.loops.compiled import apart
    from convcli.pixels.borders import checked_value
    from convcli.planning.methods import check_method, worker_count
    from convcli.running import packages

    check_method(shared.method)
    worker_count(shared.workers)
    checked_value(shared.border_value)
    with apart.wanted(shared.memory is not None):
        packages.check(shared.method)
    stages = _stages(shared, makers)
    mask = None
    if shared.mask is not None:
        from convcli.image import mask as masks

        mask = masks.read(shared.mask)
    verb: Callable[..., Pixels] = partial(_filtered, stages=stages)
    if shared.depth:
        from convcli.filtering.depth import at_depth

        verb = partial(at_depth, verb=verb, depth=shared.depth, fills_range=_fills_range(stages))
    options = Options(
        method=shared.method,
        border=shared.border,
        border_value=shared.border_value,
        alpha=shared.alpha,
        linear=shared.linear,
        nan=shared.nan,
        nodata=shared.nodata,
        region=shared.region or None,
        mask=mask,
        channels=shared.channels or False,
    )
    return Pipeline(
        verb=verb,
        options=options,
        read=read,
        write=writer(shared) if shared.writes else None,
        look=preview.look if preview else None,
        skip_existing=shared.skip_existing,
        in_parts=_in_parts(shared, stages, partial(_mark, verb, options)),
        planes=cache(partial(_planes, makers, stages)),
        remark=None if shared.region or shared.mask else partial(_remark, stages[-1].filter),
        by_rows=len(stages) == 1 and not shared.depth,
    )


def _remark(last: Filter, result: Pixels, has_alpha: bool) -> tuple[str, ...]:
    """Return a note on a dark result."""
    from convcli.batch import dark

    return dark.note_on(result, last, has_alpha)


def _in_parts(shared: Shared, stages: list[Stage], mark: Callable[[], str]) -> InParts:
    """Return how images are filtered that do not fit into memory."""
    from convcli.batch.pipeline import InParts

    return InParts(
        memory_of(shared),
        overwrite=shared.replaces,
        strip=shared.strip,
        is_grey=_is_grey(stages),
        depth=shared.depth,
        mark=mark,
    )


def _mark(*what: Any) -> str:
    """Return what stands for a filter and its options, to compare it with that of another run."""
    import pickle
    from hashlib import sha256

    return sha256(pickle.dumps((convcli.__version__, what))).hexdigest()


def memory_of(shared: Shared) -> int | None:
    """Return the bytes of --memory, if it was given."""
    if shared.memory is None:
        return None
    size = bytes_in(shared.memory)
    if size is None:
        raise ConvcliError(f"--memory must be a size such as 500M or 2G, not {shared.memory!r}")
    return size


def _stages(shared: Shared, makers: tuple[Maker, ...]) -> list[Stage]:
    """Make the filters for an image, or refuse a part of it that they have no result for."""
    stages = _made(makers, None)
    assert stages, "there is one for an image"
    if shared.region or shared.mask or shared.channels:
        from convcli.filtering import part

        part.check([each.filter for each in stages], {"channels": shared.channels or False})
    return stages


def _made(makers: tuple[Maker, ...], shared_by: Shares) -> list[Stage] | None:
    """Make the filters, which can follow each other; None if one cannot be made for chroma."""
    stages = [stage for make in makers if (stage := make(shared_by))]
    if len(stages) < len(makers):
        return None
    if len(stages) > 1:
        from convcli.filtering.chains import checked_stages  # one filter starts without chains

        return checked_stages(stages)
    return stages


def _planes(makers: tuple[Maker, ...], several: list[Stage]) -> Planes:
    """Say how the filters go over the planes of a video."""
    from convcli.batch.planes import Planes

    @cache  # it is asked for each frame
    def verb_for(shared_by: Shares) -> Callable[..., Pixels] | None:
        stages = _made(makers, shared_by) if shared_by else several
        return partial(_filtered, stages=stages) if stages else None

    filters = [each.filter for each in several]
    is_grey = _is_grey(several)
    return Planes(
        verb_for,
        is_grey=is_grey,
        keeps_level=all(
            each.takes_out_level
            if is_grey and each.use.channels == "luminance"
            else is_grey or each.keeps_level
            for each in filters
        )
        and all(each.border != "constant" for each in several),
        fills_range=_fills_range(several),
    )


def _is_grey(stages: list[Stage]) -> bool:
    return any(each.filter.use.channels == "luminance" for each in stages)


def _fills_range(stages: list[Stage]) -> bool:
    return any(each.filter.fills_range for each in stages)


def _filtered(pixels: Pixels, stages: list[Stage], **options: Unpack[Options]) -> Pixels:
    """Filter an image, or a frame of it."""
    # 32-bit integers are read as float64, where white is 1 and a full turn 2 pi: such results would
    # be rounded to 0 in the integers.
    spread = _fills_range(stages)
    if spread and pixels.dtype.name == "float64" and "out_dtype" not in options:
        options["out_dtype"] = "float32"
    if len(stages) == 1:
        from convcli.filtering.convolution import apply

        return apply(pixels, stages[0].filter, **stages[0].options(options))
    from convcli.filtering.chains import chain

    return chain(pixels, stages, **options)


def writer(shared: Shared) -> Callable[..., tuple[str, ...]]:
    """Return `convcli.image.write` with the settings of the options."""
    return partial(
        image.write,
        quality=shared.quality,
        png_level=shared.png_level,
        strip=shared.strip,
        overwrite=shared.replaces,
    )


def in_plane(sigma: tuple[float, float], shared_by: Shares) -> tuple[float, float]:
    """Return the sigma of a plane of a video, whose samples may be farther apart than pixels."""
    across, down = shared_by or (1, 1)
    return sigma[0] / across, sigma[1] / down
