"""Which files are read and written, and how a file is written whole or not at all."""
