"""The inner loops, one file each, behind one contract; their data layout, and compiled code."""
