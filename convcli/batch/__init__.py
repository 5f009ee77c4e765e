"""Jobs over the cores, and the way of one image through reading, filtering and writing."""
