"""Files: which are read and written, and how one is written completely or not at all."""
