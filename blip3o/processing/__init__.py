"""Words and pictures -> model inputs; training and inference share every line of it."""
