"""A Gabor bank: what each of its kernels finds in the scene, as one contact sheet with names."""

import sys
from pathlib import Path

import numpy as np
from drawing import scene
from PIL import Image

from convcli.banks.maps import Wish, as_bytes, bank_from, maps_for
from convcli.image.mosaic import contact_sheet


def main() -> None:
    """Do what ``convcli bank gabor:4,2 --pool 2 --mosaic`` does, and print the energies."""
    x = scene("L").astype(np.float32)[None]
    bank = bank_from("gabor:4,2")
    maps = maps_for(bank, Wish(pool=2))
    shown, scale = as_bytes(maps.of(x), maps.is_signed)
    sheet = contact_sheet(shown, maps.names, maps.row)
    print(scale)

    energies = maps_for(bank, Wish(energy=True))
    for name, energy in zip(energies.names, energies.of(x), strict=True):
        print(f"{name:12} mean energy {energy.mean():5.2f}")

    folder = Path(sys.argv[1] if len(sys.argv) > 1 else "out")
    folder.mkdir(parents=True, exist_ok=True)
    Image.fromarray(sheet).save(folder / "gabor_mosaic.png")
    print(f"wrote {folder / 'gabor_mosaic.png'}")


if __name__ == "__main__":
    main()
