"""Published checkpoints, read and written: one table of names per network."""
