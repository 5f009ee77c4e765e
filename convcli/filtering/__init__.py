"""The public verbs, and `apply` below them."""
