"""Filter banks: many kernels over many channels at once, as in the layers of a network."""
