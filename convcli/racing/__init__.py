"""The race of the methods: who takes part, how it is timed, and what came of it."""
