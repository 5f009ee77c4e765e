"""The commands, a file each: their own options, and what they ask for."""
