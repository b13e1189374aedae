"""Names <-> tensors <-> files."""
