"""The benchmark: its contenders, the clock, the results, and how they are drawn and exported."""
