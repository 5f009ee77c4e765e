"""A plan carried out: regions of the result, in threads or processes."""
