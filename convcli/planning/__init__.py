"""How an image is convolved, decided before any pixel moves."""
