"""Jobs over the cores, and one picture's way through reading, filtering and writing."""
