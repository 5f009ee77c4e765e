"""Overlap-add, block by block: blocks are filtered alone and added where they overlap."""

from collections.abc import Iterator

import matplotlib.pyplot as plt
import numpy as np
from drawing import COLOURS, INK, scene, write

import convcli
from convcli.types import Floats

LENGTH = 192  # samples in a block
ROW = 350  # crosses the sail, the lighthouse and the house


def blocks(line: Floats, kernel: Floats, length: int) -> Iterator[tuple[int, Floats]]:
    """Convolve each block with its own transform; yield where it starts, and its result."""
    size = length + kernel.size - 1  # as long as the result, so that nothing wraps around
    spectrum = np.fft.rfft(kernel, size)
    for start in range(0, line.size, length):
        transformed = np.fft.rfft(line[start : start + length], size)
        yield start, np.fft.irfft(transformed * spectrum, size)


def overlap_add(line: Floats, kernel: Floats, length: int) -> Floats:
    """Add the blocks' results; the sum is the convolution of the whole line."""
    total = np.zeros(line.size + length + kernel.size)
    for start, result in blocks(line, kernel, length):
        total[start : start + result.size] += result
    return total[: line.size + kernel.size - 1]


def main() -> None:
    """Filter a line of the scene in blocks, compare with numpy, and draw every block."""
    line = scene("L")[ROW].astype(float)
    ((kernel, _),) = convcli.gaussian_kernel(12).factors
    whole, added = np.convolve(line, kernel), overlap_add(line, kernel, LENGTH)
    print(f"{line.size} samples in blocks of {LENGTH}, a kernel of {kernel.size}")
    print(f"largest difference from the whole convolution: {np.abs(added - whole).max():.1e}")
    figure, (above, middle, below) = plt.subplots(3, figsize=(9, 7.5), sharex=True, sharey=True)
    for index, (start, result) in enumerate(blocks(line, kernel, LENGTH)):
        colour, x = COLOURS[index % len(COLOURS)], np.arange(start, start + result.size)
        above.plot(x[:LENGTH], line[start : start + LENGTH], color=colour, linewidth=1)
        middle.fill_between(x, result, color=colour, alpha=0.35, linewidth=0)
        middle.plot(x, result, color=colour)
        middle.axvspan(start + LENGTH, x[-1], color=colour, alpha=0.1, linewidth=0)
    below.plot(added, color=INK, linewidth=5, alpha=0.25, label="the blocks, added")
    below.plot(whole, color=COLOURS[1], linewidth=1.2, label="the whole line at once")
    below.legend(loc="upper left")
    above.set_title(f"A row of the scene, cut into blocks of {LENGTH} samples")
    middle.set_title(f"Each filtered block is longer by {kernel.size - 1} samples")
    below.set(title="Where blocks overlap, they are added", xlabel="pixel of the row")
    write(figure, "overlap_add.png")


if __name__ == "__main__":
    main()
