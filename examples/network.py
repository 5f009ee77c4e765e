"""A small network: the layers of a .safetensors file, and the maps that each of them makes."""

from pathlib import Path
from tempfile import TemporaryDirectory

import matplotlib.pyplot as plt
import numpy as np
from drawing import scene, write
from safetensors.numpy import load_file, save_file

import convcli
from convcli.banks.named import named_bank
from convcli.types import Floats

NAMES = ("rises to the right", "falls to the right", "rises upwards", "falls upwards", "red",
         "blue", "upright edges", "level edges", "corners", "warm lights")  # fmt: skip


def layers() -> dict[str, Floats]:
    """Make two layers by hand; a trained network has its weights from examples instead."""
    x, y = named_bank("steerable:1.5").weights[:2, 0]
    mean, light = np.ones_like(x) / x.size, np.array([0.3, 0.6, 0.1])
    first = [np.multiply.outer(light, kernel) for kernel in (x, -x, y, -y)]
    first += [np.multiply.outer(colour, mean) for colour in ([1, -1, 0], [-0.5, -0.5, 1])]
    mix = [[1, 1, 0, 0, 0, 0], [0, 0, 1, 1, 0, 0], [1, 1, 1, 1, 0, 0], [1, 0, 1, 0, 9, -9]]
    made = {
        "conv1.weight": np.stack(first), "conv1.bias": np.zeros(6),
        "conv2.weight": np.multiply.outer(mix, np.ones((3, 3)) / 9),
        "conv2.bias": np.array([0, 0, -0.05, -0.1]),
    }  # fmt: skip
    return {name: values.astype(np.float32) for name, values in made.items()}


def layer(x: Floats, net: dict[str, Floats], name: str) -> Floats:
    """Convolve, replace negative samples by 0, and keep the largest of each 2 x 2."""
    maps = convcli.conv2d(x, net[f"{name}.weight"], net[f"{name}.bias"], padding="same")
    return convcli.max_pool2d(convcli.relu(maps), 2)


def main() -> None:
    """Write the layers to a file, read them again, run them over the scene, and draw the maps."""
    with TemporaryDirectory() as folder:
        save_file(layers(), Path(folder) / "net.safetensors")
        net = load_file(Path(folder) / "net.safetensors")
    x = np.moveaxis(scene().astype(np.float32) / 255, 2, 0)
    first = layer(x, net, "conv1")
    second = layer(first, net, "conv2")
    print(convcli.plan_conv2d(x.shape, net["conv1.weight"].shape, padding="same"))
    print(f"{x.shape} -> {first.shape} -> {second.shape}")
    figure, axes = plt.subplots(2, 5, figsize=(11, 3.6))
    for place, values, name in zip(axes.flat, (*first, *second), NAMES, strict=True):
        place.imshow(values, cmap="magma")
        place.set_title(name, fontsize=9)
        place.set_axis_off()
    write(figure, "network.png")


if __name__ == "__main__":
    main()
