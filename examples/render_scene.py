"""Render scene.png: a lighthouse by a lake at dusk, an image that shows what filters do."""

import math
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray
from PIL import Image, ImageDraw

Array = NDArray[np.floating[Any]]
Colour = tuple[int, int, int]
Stops = list[tuple[float, Colour]]

WIDTH, HEIGHT = 960, 640
SCALE = 2  # pixels drawn for each pixel written, along each axis, so that edges are smooth
HORIZON, SHORE = 384.0, 424.0  # waterlines of the far shore and of the lighthouse's rock
TOWER = 690.0, 384.0, 172.0  # x, and y of its foot and head
LAMPS = (484, 524, 564, 604)  # x on the jetty
POSTS = (-60, 62, 176, 280, 372, 452, 522, 584)  # x along the fence
IRON, WOOD, SUNLIT_WOOD = (46, 40, 50), (40, 31, 34), (176, 110, 84)
HAZE = (226, 150, 128)
SKY: Stops = [
    (0.0, (255, 190, 112)), (0.10, (246, 150, 104)), (0.26, (206, 112, 116)),
    (0.48, (116, 84, 132)), (0.74, (50, 56, 108)), (1.0, (19, 27, 66)),
]  # fmt: skip
# Coordinates of every drawn pixel, in pixels of the written image.
Y, X = (np.mgrid[: HEIGHT * SCALE, : WIDTH * SCALE].astype(np.float32) + 0.5) / SCALE


def fractal(rng: np.random.Generator, x: Array, y: Array, octaves: int = 5) -> Array:
    """Sum octaves of smooth noise, each twice as fine and half as strong; 0 to 1."""
    total = np.zeros(np.broadcast(x, y).shape, np.float32)
    x, y = np.broadcast_arrays(x, y)
    lattices = rng.random((octaves, 256, 256), dtype=np.float32)
    for top in range(0, len(total), 16):  # rows that fit into the cache, four times as fast
        rows = np.s_[top : top + 16]
        for octave, lattice in enumerate(lattices):
            u, v = x[rows] * 2**octave, y[rows] * 2**octave
            i, j = np.floor(v).astype(int), np.floor(u).astype(int)
            s, t = ((f * f * (3 - 2 * f)) for f in (u - j, v - i))
            near = [(p & 255, (p + 1) & 255) for p in (i, j)]
            a, b, c, d = (lattice.take(256 * row + column) for row in near[0] for column in near[1])
            level = (a + (b - a) * s) * (1 - t) + (c + (d - c) * s) * t
            total[rows] += level * 0.5 ** (octave + 1)
    return total / np.float32(1 - 0.5**octaves)


def ramp(position: Array, stops: Stops) -> Array:
    """Colour at each position, interpolated between the stops."""
    places, colours = zip(*stops, strict=True)
    channels = [np.interp(position, places, channel) for channel in np.array(colours).T]
    return np.stack(channels, axis=-1).astype(np.float32)


def smoothstep(low: float, high: float, value: Array) -> Array:
    """Rise from 0 at `low` to 1 at `high` without corners."""
    t = np.clip((value - low) / (high - low), 0, 1)
    return np.asarray(t * t * (3 - 2 * t))


def blend(canvas: Array, colour: ArrayLike, mask: Array) -> None:
    """Lay a colour, or an image, over the canvas where the mask is above 0."""
    canvas += (np.asarray(colour, np.float32) - canvas) * mask[..., None]


def glow(canvas: Array, x: float, y: float, size: float, colour: ArrayLike) -> None:
    """Add the halo of a lamp and its white core."""
    reach = int(size * 12)
    top, left = max(int(y - reach) * SCALE, 0), max(int(x - reach) * SCALE, 0)
    part = np.s_[top : int(y + reach) * SCALE, left : int(x + reach) * SCALE]
    distance = np.hypot(X[part] - x, Y[part] - y) / size
    halo = 0.55 * np.exp(-((distance / 2) ** 2)) + 0.16 * np.exp(-distance / 2.6)
    canvas[part] += halo[..., None] * np.asarray(colour, np.float32)
    blend(canvas[part], (255, 246, 214), smoothstep(1.15, 0.85, distance))


def paint_sky(rng: np.random.Generator) -> Array:
    """Dusk gradient, glow of the set sun, stars, a crescent moon and clouds lit from below."""
    canvas = ramp(1 - Y / HORIZON, SKY)
    near_sun = np.exp(-(((X - 300) / 330) ** 2) - ((Y - HORIZON) / 120) ** 2)
    canvas += near_sun[..., None] * np.array([60, 52, 20], np.float32)
    for x, y, light in rng.random((420, 3)) * (WIDTH, 230, 1):
        radius = 0.5 + 0.75 * light**8
        top, left = int(y * SCALE), int(x * SCALE)
        part = np.s_[top : top + 2 * SCALE, left : left + 2 * SCALE]
        star = smoothstep(radius, radius - 0.5, np.hypot(X[part] - x - 1, Y[part] - y - 1))
        blend(canvas[part], (244, 240, 255), star * (0.25 + 0.75 * light**2) * (1 - y / 240))
    moon = smoothstep(15.4, 14.6, np.hypot(X - 140, Y - 84))
    blend(canvas, (66, 70, 116), moon)  # no star shines through it
    outside = smoothstep(14.4, 16.4, np.hypot(X - 133, Y - 77))
    blend(canvas, (255, 246, 226), moon * outside)
    # The clouds lie on a level plane, so they grow finer and flatter towards the horizon.
    depth = 1 / (HORIZON + 70 - Y.clip(max=HORIZON))
    u, v = (X - 480) * depth * 2.6, depth * 560
    bend = fractal(rng, u * 1.5 + 9, v * 1.5, 3)
    cloud = fractal(rng, u + bend, v * 1.6 + bend * 0.8, 6)
    # Where the cloud thins out below it catches the light of the sun under the horizon.
    below = np.roll(cloud, -7 * SCALE, axis=0)
    lit = np.clip(0.42 + (cloud - below) * 5, 0, 1)[..., None]
    shade = canvas * 0.72 + np.array([20, 14, 26], np.float32)
    warm = ramp(Y / HORIZON, [(0, (170, 110, 140)), (0.65, (255, 140, 104)), (1, (255, 206, 128))])
    blend(canvas, shade + (warm - shade) * lit, smoothstep(0.5, 0.72, cloud) * 0.86)
    return canvas


def paint_mountains(canvas: Array, rng: np.random.Generator) -> None:
    """Five ranges, each nearer, darker and less hazy than the one behind it."""
    x = X[:1]
    for layer in range(5):
        near = layer / 4
        ridged = 1 - np.abs(2 * fractal(rng, x / (230 - 25 * layer) + layer, x * 0 + 0.5, 7) - 1)
        tall = 168 - 138 * near**0.7
        peak = HORIZON - 6 - tall * ridged**1.8
        if layer == 4:  # a forest: the outline of its firs
            places, sizes = rng.uniform(0, WIDTH, 420), rng.uniform(4, 11, 420)
            firs = sizes[:, None] - 2.6 * np.abs(x - places[:, None])
            peak = peak - firs.max(axis=0).clip(min=0)
        rows = np.s_[int(peak.min() - 1) * SCALE : int(HORIZON) * SCALE]  # the others are outside
        down = Y[rows] - peak
        inside = np.clip(down * SCALE + 0.5, 0, 1)
        relief = fractal(rng, X[rows] / 40, down / 46 + layer * 7, 6)
        slope = smoothstep(-0.09, 0.13, relief - np.roll(relief, 7, axis=1)) * (1 - near)
        dark = np.array([92, 76, 122]) * (1 - near) + np.array([13, 17, 33]) * near
        face = dark + slope[..., None] * np.array([120, 56, 18])
        mist = smoothstep(0.8 * tall + 6, -6, HORIZON - Y[rows]) * (0.9 - 0.6 * near)
        haze = 0.4 * (1 - near) ** 2
        face += (np.array(HAZE) - face) * np.maximum(mist, haze)[..., None]
        blend(canvas[rows], face, inside)


def paint_beam(canvas: Array) -> None:
    """Beam of the lighthouse, a faint cone to either side."""
    x, y = X - TOWER[0], Y - TOWER[2] + 18
    for aim in (0.13, 0.13 - np.pi):
        off = np.arctan2(y * np.cos(aim) - x * np.sin(aim), x * np.cos(aim) + y * np.sin(aim))
        cone = np.exp(-((off / 0.04) ** 2) - np.hypot(x, y) / 280)
        canvas += cone[..., None] * np.array([75, 65, 46], np.float32)


def polygon(draw: ImageDraw.ImageDraw, colour: Colour, *points: tuple[float, float]) -> None:
    """Fill a polygon whose corners are given in pixels of the written image."""
    draw.polygon([(x * SCALE, y * SCALE) for x, y in points], (*colour, 255))


def box(draw: ImageDraw.ImageDraw, colour: Colour, x: float, y: float, w: float, h: float) -> None:
    """Fill a rectangle, given by its upper left corner and its size."""
    polygon(draw, colour, (x, y), (x + w, y), (x + w, y + h), (x, y + h))


def draw_house(draw: ImageDraw.ImageDraw) -> None:
    """Keeper's house: a gable to the sunset, a long side in shade, lit windows."""
    box(draw, (74, 46, 50), 846, 262, 11, 30)
    polygon(draw, (232, 186, 158), (762, 384), (762, 326), (783, 290), (804, 326), (804, 384))
    box(draw, (150, 122, 134), 804, 326, 80, 58)
    polygon(draw, (104, 46, 48), (780, 286), (866, 286), (890, 330), (806, 330))
    polygon(draw, (62, 30, 38), (780, 286), (784, 286), (808, 330), (804, 330))
    polygon(draw, (72, 34, 40), (780, 286), (783, 292), (761, 331), (757, 328))
    for row in range(1, 6):
        box(draw, (80, 36, 40), 780 + row * 4.3, 286 + row * 7.3, 85, 1)
    box(draw, (58, 34, 36), 836, 348, 15, 36)
    for x, y in ((775, 342), (813, 344), (860, 344)):
        box(draw, (64, 46, 52), x - 1.5, y - 1.5, 18, 23)
        for i, j in np.ndindex(2, 2):
            box(draw, (255, 216, 128), x + 8 * i, y + 10.5 * j, 7, 9.5)


def draw_tower(draw: ImageDraw.ImageDraw) -> None:
    """Lighthouse, banded in red and white, with a gallery around its lantern."""
    x, foot, head = TOWER
    for band in range(7):
        y0, y1 = (foot + (head - foot) * (band + i) / 7 for i in (0, 1))
        w0, w1 = (16 + 11 * (y - head) / (foot - head) for y in (y0, y1))
        colour = (198, 46, 42) if band % 2 else (250, 238, 224)
        polygon(draw, colour, (x - w0, y0), (x + w0, y0), (x + w1, y1), (x - w1, y1))
    for y in (226, 284, 340):
        box(draw, (52, 36, 44), x - 4, y, 8, 13)
    box(draw, IRON, x - 24, head - 5, 48, 6)
    box(draw, (255, 226, 150), x - 13, head - 31, 26, 26)
    roof = ((x - 18, head - 31), (x - 8, head - 44), (x + 8, head - 44), (x + 18, head - 31))
    polygon(draw, (150, 36, 38), *roof)
    box(draw, IRON, x - 1, head - 60, 2, 17)
    box(draw, IRON, x - 24, head - 19, 48, 1.5)
    for post in np.linspace(-23.5, 22, 9):
        box(draw, IRON, x + post, head - 18, 1.5, 14)
    for post in (-13, -5, 4, 11.5):
        box(draw, IRON, x + post, head - 31, 1.5, 26)


def draw_boat_and_jetty(draw: ImageDraw.ImageDraw) -> None:
    """Sailing boat and jetty; like the rock they meet the water at SHORE."""
    polygon(draw, (40, 30, 40), (318, 412), (394, 411), (384, SHORE), (328, SHORE))
    polygon(draw, (206, 196, 196), (318, 412), (394, 411), (393, 413), (319, 414))
    box(draw, (60, 44, 48), 353, 318, 1.6, 94)
    polygon(draw, (250, 214, 180), (352, 322), (352, 405), (320, 407))
    polygon(draw, (206, 156, 146), (356, 330), (356, 406), (388, 404))
    box(draw, (128, 88, 74), 470, 411, 140, 3)
    for x in LAMPS:
        box(draw, (44, 34, 40), x - 2, 394, 4, SHORE - 394)
        box(draw, (44, 34, 40), x + 18, 402, 4, SHORE - 402)


def paint_near(rng: np.random.Generator) -> tuple[Array, Array]:
    """Paint all that meets the water at SHORE; return its colours and its mask."""
    layer = Image.new("RGBA", (WIDTH * SCALE, HEIGHT * SCALE))
    draw = ImageDraw.Draw(layer)
    draw_tower(draw)
    draw_house(draw)
    draw_boat_and_jetty(draw)
    x = np.arange(560, WIDTH + 1, dtype=np.float32)
    rough = 26 * fractal(rng, x / 38, x * 0, 6) - 6
    top = SHORE - 38 * smoothstep(572, 660, x) - rough * smoothstep(560, 620, x)
    outline = zip(x.tolist(), top.tolist(), strict=True)
    # A colour that nothing else has marks the rock, for its stone is painted last.
    polygon(draw, (1, 1, 1), (560, SHORE), *outline, (WIDTH, SHORE))
    pixels = np.asarray(layer).astype(np.float32)
    colours, mask = pixels[..., :3], pixels[..., 3] / 255
    rock = (colours == 1).all(axis=-1)
    centre, foot, head = TOWER
    # The sun has set on the left; the lantern keeps its own light.
    across = (X - centre) / (16 + 11 * (Y - head) / (foot - head))
    tower = (np.abs(X - centre) < 28) & (np.abs(Y - head + 18) > 13)
    shade = (smoothstep(-0.4, 1.1, across) + 0.3 * smoothstep(-0.5, -1.1, across))[..., None]
    colours[tower] *= 1 - shade[tower] * np.array([0.72, 0.66, 0.5], np.float32)
    colours *= (0.92 + 0.16 * fractal(rng, X / 5, Y / 2, 4))[..., None]
    crags = np.abs(fractal(rng, X / 30 + Y / 50, Y / 22, 6) - 0.5) ** 0.7
    light = (crags - np.roll(crags, 4, axis=1)) * 3.6 + 0.6
    light = np.clip(light, 0, 1) * (0.3 + 0.7 * smoothstep(SHORE, 374, Y))
    stone = ramp(light, [(0, (20, 18, 30)), (0.5, (74, 58, 66)), (1, (226, 156, 124))])
    colours[rock] = stone[rock]
    return colours, mask


def paint_water(canvas: Array, near: Array, mask: Array, lights: Array, waves: Array) -> None:
    """Mirror what stands above the waterlines, drawn out and broken by ripples."""
    depth = np.maximum(Y - HORIZON, 0)
    water = np.zeros_like(canvas)

    def mirror(image: Array, line: float, shift: Array) -> Array:
        rows = np.clip((2 * line - Y - shift) * SCALE, 0, line * SCALE - 1)
        columns = np.clip((X + shift * 0.2) * SCALE, 0, WIDTH * SCALE - 1)
        return np.asarray(image[rows.astype(int), columns.astype(int)])

    # Several heights of wave draw a lamp out into a streak.
    for height in (0.5, 0.8, 1.2, 1.7):
        shift = waves * (4 + depth * 0.75) * height
        part = mirror(canvas, HORIZON, shift)
        blend(part, mirror(near, SHORE, shift), mirror(mask, SHORE, shift) * (Y > SHORE) * 0.9)
        part += mirror(lights, SHORE, shift) * (Y > SHORE)[..., None]
        water += part / 4
    blend(water, (24, 30, 62), smoothstep(0, 230, depth) * 0.6 + 0.08)
    water += (waves * smoothstep(0, 60, depth))[..., None] * np.array([46, 37, 37], np.float32)
    blend(canvas, water, (Y > HORIZON).astype(np.float32))


def paint_foreground(canvas: Array, rng: np.random.Generator) -> None:
    """Grass on a bank and a fence, dark against the water."""

    def bank(x: float) -> float:
        return 612 - 62 * math.cos(x / 400) + 5 * math.sin(x / 37)

    layer = Image.new("RGBA", (WIDTH * SCALE, HEIGHT * SCALE))
    draw = ImageDraw.Draw(layer)
    ground = [(float(x), bank(x)) for x in range(WIDTH + 1)]
    polygon(draw, (14, 20, 22), (0, HEIGHT), *ground, (WIDTH, HEIGHT))
    # Each post: x, the height of its head, and its size, which falls with distance.
    sizes = np.linspace(1, 0.4, len(POSTS)).tolist()
    posts = [(x, bank(x) + 24 - 104 * z, z) for x, z in zip(POSTS, sizes, strict=True)]
    for drop in (14, 48):
        for thick, colour in ((8, WOOD), (2, SUNLIT_WOOD)):
            upper = [(x, y + drop * z) for x, y, z in posts]
            lower = [(x, y + (drop + thick) * z) for x, y, z in posts]
            polygon(draw, colour, *upper, *lower[::-1])
    for x, y, z in posts:
        box(draw, WOOD, x - 5 * z, y, 10 * z, 104 * z)
        box(draw, SUNLIT_WOOD, x - 5 * z, y, 3 * z, 104 * z)
    for near, place in sorted(rng.random((6000, 2)).tolist()):  # the nearest last
        x = place * (WIDTH + 20) - 10
        foot = bank(x) + 4 + near * (HEIGHT + 16 - bank(x))
        tip = x + rng.normal(3, 5), foot - rng.uniform(8, 20) * (0.7 + near)
        lit = rng.uniform() ** 2.5 * (1.1 - 0.7 * near)
        colour = (int(14 + 170 * lit), int(26 + 100 * lit), int(24 + 40 * lit))
        polygon(draw, colour, (x - 1.3, foot), (x + 1.3, foot), tip)
    pixels = np.asarray(layer).astype(np.float32)
    blend(canvas, pixels[..., :3], pixels[..., 3] / 255)


def main() -> None:
    """Render the scene and write it next to this script."""
    rng = np.random.default_rng(7)
    canvas = paint_sky(rng)
    paint_mountains(canvas, rng)
    for x in (60, 84, 118, 131, 170, 236, 262, 298, 420, 444):
        glow(canvas, x, HORIZON - rng.uniform(3, 14), rng.uniform(1.5, 2.4), (255, 176, 92))
    near, mask = paint_near(rng)
    lights = np.zeros_like(canvas)
    glow(lights, TOWER[0], TOWER[2] - 18, 6, (255, 206, 120))
    for x in LAMPS:
        glow(lights, x, 391, 3, (255, 190, 104))
    away = 1 / (np.maximum(Y - HORIZON, 0) + 9)  # ripples shrink with distance
    waves = fractal(rng, (X - 480) * away * 2.2, away * 2600, 5) - 0.5
    paint_water(canvas, near, mask, lights, waves)
    blend(canvas, near, mask)
    canvas += lights
    paint_beam(canvas)
    paint_foreground(canvas, rng)
    small = canvas.reshape(HEIGHT, SCALE, WIDTH, SCALE, 3).mean(axis=(1, 3))
    image = Image.fromarray(np.clip(np.rint(small), 0, 255).astype(np.uint8))
    image.save(Path(__file__).parent / "scene.png", optimize=True)


if __name__ == "__main__":
    main()
