"""The inner loops, a file each, behind one contract; how they are laid out and compiled."""
