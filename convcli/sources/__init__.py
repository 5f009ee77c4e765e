"""Images that are stored in pieces, and read and written piece by piece: .npy, TIFF and zarr."""
