"""The shapes of the kinds of object, a file for each group."""
