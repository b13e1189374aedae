"""The picture book: a procedural world of drawn objects, with exact ground truth for every word said about it."""
