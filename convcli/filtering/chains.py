"""Several filters in one pass: nothing between them is rounded, clipped or held whole."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import replace
from functools import partial
from typing import Any, NamedTuple, Unpack, cast

import numpy as np
from numpy.typing import ArrayLike

from convcli.checks import described
from convcli.errors import ConvcliError
from convcli.filtering.canny import thin_edges
from convcli.filtering.convolution import (
    apply,
    check_channels,
    check_in_parts,
    checked,
    laid,
    left_out,
    missing_sample,
    out_dtype,
    source_of,
)
from convcli.filtering.filter import Filter
from convcli.filtering.options import Options, means_part
from convcli.filtering.rounding import OF_TRANSFORMS, largest_in, roundings, whole_of, within_range
from convcli.filtering.stages import Stage
from convcli.loops.layout import ceil_div
from convcli.pixels.borders import Value, is_foreign
from convcli.pixels.colour import EVERY_CHANNEL, Colour, colour_for, full_scale, is_opaque
from convcli.pixels.padded import Padded
from convcli.pixels.source import Source
from convcli.pixels.transfer import to_light
from convcli.planning.chains import ChainPlan, StagePlan, bands
from convcli.planning.choice import float_between
from convcli.running.chains import Chain, run_chain
from convcli.running.packages import ready_plan
from convcli.running.recipe import Recipe
from convcli.running.stages import Link
from convcli.types import Pixels


def chain(image: ArrayLike, stages: Sequence[Stage], **options: Unpack[Options]) -> Pixels:
    """Apply several filters, one after the other, and round once.

    Between two stages samples are floats, which are neither rounded nor clipped. Light is decoded,
    and colours are weighted by alpha, once before the first stage and back after the last. No
    stage's result is held whole: each asks the one before it for the rows that it needs.

    Parameters
    ----------
    image : array_like, (H, W) or (H, W, C)
        uint8, uint16, float32 or float64.
    stages : sequence of Stage
        Made by `convcli.stage`. "edge" gives one channel to the stages after it.
    **options
        See `convcli.convolve`. `border` and `border_value` are those of the stages that have none.
        `on_plan` is called with a `ChainPlan` (for a single stage, a `Plan`). With `nan="skip"`
        or `nodata`, each stage leaves out what is missing after the one before.

    Returns
    -------
    ndarray
        The image's dtype (or `out_dtype`).

    Raises
    ------
    ConvcliError
        For an image, stage or option that is not valid.

    Examples
    --------
    >>> import numpy as np
    >>> import convcli
    >>> step = np.repeat(np.array([[0, 0, 0, 200, 200, 200]], np.uint8), 3, axis=0)
    >>> convcli.chain(step, [convcli.stage("blur", sigma=0.5), convcli.stage("edge")])[1]
    array([  0,  21, 179, 179,  21,   0], dtype=uint8)
    """
    several = checked_stages(stages)
    if len(several) == 1:
        return apply(image, several[0].filter, **several[0].options(options))
    asked = checked(options)
    source = source_of(image, bool(asked["channels"]))
    wanted = out_dtype(asked["out_dtype"], source.dtype)
    if means_part(asked):
        from convcli.filtering import part

        own = [each.options(asked) for each in several]
        bordered = [
            (each.filter, its["border"], its["border_value"])
            for each, its in zip(several, own, strict=True)
        ]
        whole = part.filtered(partial(chain, stages=several), source, bordered, wanted, asked)
        return whole[..., 0] if np.ndim(image) == 2 else whole
    last = several[-1].filter
    if asked["carry_out"]:
        check_in_parts(last)
    if last.thresholds:

        def run(filter_: Filter, **own: Unpack[Options]) -> Pixels:
            return chain(image, [*several[:-1], replace(several[-1], filter=filter_)], **own)

        return thin_edges(run, last, source, wanted, **asked)
    todo, plan = _planned(source, several, asked)
    if asked["on_plan"]:
        asked["on_plan"](plan)
    if asked["carry_out"]:
        return cast(Pixels, asked["carry_out"](plan, todo, source))
    made = run_chain(todo, plan, source, asked["on_progress"], scratch=asked["scratch"])
    if isinstance(made, Padded):
        return cast(Pixels, made)
    is_grey = any(each.filter.use.channels == "luminance" for each in several)
    is_flat = np.ndim(image) == 2 or (is_grey and made.shape[2] == 1)
    if last.finish:
        flat = _flat_of_all(source, several, asked)
        made = last.finish(whole_of(made, wanted, flat, source, asked))
    return made[..., 0] if is_flat else made


# Derivatives of integers, summed in float64 through several stages: up to this share of the full
# scale they may be nothing but rounding.
_FLAT = 2.0**-41


def checked_stages(stages: Any) -> list[Stage]:
    """Refuse what is no chain, and stages that cannot be where they are."""
    try:
        several = [] if isinstance(stages, (str, bytes)) else list(stages)
    except Exception:  # an iterator may raise what it likes
        several = []
    if not several or not all(isinstance(each, Stage) for each in several):
        raise ConvcliError(
            f"stages is {described(stages)}; it must be a list of one or more convcli.stage(...)"
        )
    for number, each in enumerate(several[:-1], 1):
        if each.filter.needs_all:
            does = "stretches its result" if each.filter.finish else "links thin edges"
            raise ConvcliError(
                f"stage {number} ({each.words}) {does}, which depends on the whole "
                "image; only the last stage can do that"
            )
    return several


def _flat_of_all(source: Source, stages: list[Stage], asked: Options) -> float:
    """Return up to which size samples of the whole result may be nothing but rounding."""
    size = _growth([each.filter for each in stages], full_scale(source.dtype))
    if source.dtype.kind == "u":
        return _FLAT * full_scale(source.dtype) * size
    return 0.0 if stages[-1].filter.settles else OF_TRANSFORMS * size * largest_in(source, asked)


def _planned(source: Source, stages: list[Stage], asked: Options) -> tuple[Chain, ChainPlan]:
    """Turn stages into what is done to this image, and choose how."""
    given = [each.options(asked) for each in stages]
    whole = _whole(source, stages, given)
    shape, dtype, is_light = source.shape, source.dtype, whole.begin.linear
    is_weighted = whole.begin.weight
    nodata = math.nan if whole.missing is None else whole.missing
    begin = whole.begin if is_light or is_weighted or not math.isnan(nodata) else None
    if begin:
        dtype = whole.between
    mark = nodata if stages[-1].filter.marks else math.nan
    links, plans = [], []
    part_of = getattr(source, "whole", None)
    for number, (each, own) in enumerate(zip(stages, given, strict=True)):
        growth = _growth([before.filter for before in stages[:number]], whole.begin.full)
        filter_ = within_range(each.filter, source, asked, growth)
        recipe = _recipe(whole, filter_, own, shape, is_light)
        is_light = is_light and each.filter.use.gives_light
        is_weighted = is_weighted and not recipe.colour.grey
        is_last = number == len(stages) - 1
        if is_last and not (is_light or is_weighted or not math.isnan(mark)):
            recipe = replace(recipe, out_dtype=whole.out_dtype)
        plan = ready_plan(
            recipe.task(shape, dtype, asked["method"], asked["workers"], asked["pictures"], part_of)
        )
        links.append(Link(recipe, plan, each.filter.stride))
        plans.append(StagePlan(each.words, plan, own["border"]))
        shape, dtype = links[-1].shape(shape), whole.between
    end = None
    if is_light or is_weighted or not math.isnan(mark):
        alpha = whole.begin.alpha and shape[2] in (2, 4)
        end = replace(whole.begin, linear=is_light, weight=is_weighted, alpha=alpha)
    todo = Chain(tuple(links), begin, end, whole.between, whole.out_dtype, nodata, mark)
    return _cut(todo, source, plans)


class _Whole(NamedTuple):
    """What holds for all stages of a chain, on one image.

    Attributes
    ----------
    begin : Colour
        What is done before the first stage.
    between, wanted, out_dtype : dtype
        Of the samples between stages, of the result, and of what the last stage gives.
    flat : float
        See `Recipe`; for the stages that need it, if the image is of integers.
    local, bounded : bool
        See `Recipe`.
    coarse : bool
        Wide blurs take the coarser grid.
    missing : float, optional
        The no-data value of samples that are left out, NaN if there is none; None leaves none out.
    """

    begin: Colour
    between: np.dtype[Any]
    wanted: np.dtype[Any]
    out_dtype: np.dtype[Any]
    flat: float
    local: bool
    bounded: bool
    coarse: bool
    missing: float | None


# Samples of integers that become larger than this could leave the range of a float.
_LARGEST_GROWTH = 1e100


def _whole(source: Source, stages: list[Stage], given: list[Options]) -> _Whole:
    dtype = source.dtype
    filters = [each.filter for each in stages]
    begin = _begin(source, filters, given)
    wanted = out_dtype(given[0]["out_dtype"], dtype)
    growths = [each.growth(begin.full) for each in filters]
    size = _growth(filters, begin.full)
    settles = any(each.settles or each.finish for each in filters)
    missing = missing_sample(source, given[0])
    # Of some transfer functions the inverse is steep near black: rounding in float32 would show.
    needs_float64 = settles or (begin.linear and not begin.transfer.has_toe)
    needs_float64 = needs_float64 or missing is not None  # what remains may be little
    for each, own in zip(filters, given, strict=True):
        foreign = is_foreign(dtype, own["border"], own["border_value"])
        needs_float64 = needs_float64 or each.exact or own["exact"] or foreign
    grown = [(each.kernels, grows) for each, grows in zip(filters, growths, strict=True)]
    between = float_between(dtype, wanted, grown)
    is_float = dtype.kind == "f"
    if needs_float64:
        between = "float64"
    plain = not (begin.linear or begin.weight) and between == "float32" and wanted == np.uint8
    # Beside a constant several grids would differ from several cut kernels in 1 % of the pixels.
    for each, own in zip(filters, given, strict=True):
        plain = plain and not (each.decimations and own["border"] == "constant")
    return _Whole(
        begin,
        np.dtype(between),
        wanted,
        np.dtype(np.float64) if filters[-1].finish else wanted,
        flat=0.0 if is_float else _FLAT * begin.full * size,
        local=is_float and settles,
        bounded=not is_float and size < _LARGEST_GROWTH,
        coarse=plain and size * _changed(filters) <= _MOST_CHANGED,
        missing=missing,
    )


# The coarser grid may change a result by as much as cutting one Gaussian at 4 sigma does. One grid
# changes samples by 0.002 to 0.006 of a level.
_MOST_CHANGED = 0.03


def _changed(filters: list[Filter]) -> float:
    """Return how much, in levels of 8 bits, coarser grids may change samples in all stages."""
    axes = [axis for each in filters for axis in each.decimations or ()]
    return 255 / 2 * math.fsum(axis.error for axis in axes)


def _growth(filters: list[Filter], full: float) -> float:
    """Return how many times larger all stages together may make samples."""
    grows = [each.growth(full) for each in filters]
    return math.prod(max(each.largest + each.added, 1.0) for each in grows)


def _begin(source: Source, filters: list[Filter], given: list[Options]) -> Colour:
    """Choose what is done to colour before the first stage."""
    asked = given[0]
    image = source.shape[2], source.dtype
    begin = colour_for(EVERY_CHANNEL, image, asked["alpha"], asked["linear"], 1.0)
    begin = replace(begin, keep_alpha=False)
    stays = all(abs(each.total - 1) <= _SAME or each.use.channels != "every" for each in filters)
    bounded = all(own["border"] != "constant" for own in given)
    if begin.weight and stays and bounded and is_opaque(source):
        return replace(begin, weight=False)
    return begin


# Kernels whose sum is this near to 1 leave an alpha as it is.
_SAME = 1e-9


def _recipe(
    whole: _Whole, filter_: Filter, own: Options, shape: tuple[int, int, int], is_light: bool
) -> Recipe:
    """Turn one stage into what is done to the samples before it."""
    begin, border = whole.begin, own["border"]
    check_channels(filter_, shape[2], own)
    total = filter_.total
    how = colour_for(filter_.use, (shape[2], whole.between), own["alpha"], False, total)
    how = replace(how, full=begin.full, weight=how.weight and begin.weight)
    how = replace(how, multiplied=how.weight)
    is_sum = filter_.combine is None and not (how.grey or how.keep_alpha)
    if how.multiplied and is_sum and abs(total - 1) <= _SAME and whole.missing is None:
        how = Colour(begin.full)  # every channel alike
    if not filter_.use.gives_light and whole.wanted.kind == "u":
        how = replace(how, turn=full_scale(whole.wanted))
    decimations = filter_.decimations if whole.coarse and how.is_plain else None
    kernels, halo = laid(filter_, None if decimations else shape[:2], border)
    if own["exact"]:
        kernels = tuple(kernel.exactly for kernel in kernels)
    # The rounding of the stages before adds to that of this one.
    flat = 4 * roundings(filter_) if whole.local else whole.flat
    return Recipe(
        kernels=kernels,
        halo=halo,
        border=border,
        border_value=_beyond(whole, own["border_value"], shape[2], is_light),
        colour=how,
        combine=filter_.combine,
        out_dtype=whole.between,
        exact=whole.between == np.float64,
        decimations=decimations,
        flat=flat if filter_.settles else 0.0,
        local=whole.local or filter_.local,
        missing=None
        if whole.missing is None
        else left_out(filter_, shape[:2], border, own["exact"]),
        bounded=whole.bounded,
    )


def _beyond(whole: _Whole, value: float, channels: int, is_light: bool) -> Value:
    """Return what a constant border is for samples that are light, or weighted by alpha."""
    begin = whole.begin
    light = value
    if is_light:
        light = float(to_light(begin.transfer, np.array(value, np.float64), begin.full))
    if not (begin.alpha and channels in (2, 4)):
        return light
    values = np.full(channels, light * (value / begin.full if begin.weight else 1.0))
    values[-1] = value
    return values


def _cut(made: Chain, source: Source, plans: list[StagePlan]) -> tuple[Chain, ChainPlan]:
    """Cut the result for the workers."""
    shapes = made.shapes(source.shape)
    height, width, _ = shapes[-1]
    after = [link.recipe.reach for link in made.links[1:]]
    routes = [link.plan.route for link in made.links]
    first = routes[0], made.links[0].plan.task
    cores = first[1].cores
    cut = bands(
        (height, width, max(shape[2] for shape in shapes)),
        (sum(halo[0] + halo[1] for halo in after), sum(halo[2] + halo[3] for halo in after)),
        cores,
        strips=made.between.itemsize * len(plans),
        whole_rows=any(link.recipe.border == "wrap" for link in made.links),
        blocks=[route.tile for route in routes if route.loop == "overlap_add"],
        unit=math.lcm(*(link.group for link in made.links)),
    )
    count = ceil_div(height, cut.regions[0]) * ceil_div(width, cut.regions[1])
    tiled = first[1].method == "tiled"
    plan = ChainPlan(
        stages=tuple(plans),
        executor="processes" if tiled else "threads",
        workers=min(cores, count),
        bands=cut,
        between=made.between.name,
        measured=[0.0] * len(plans),
    )
    return made, plan
