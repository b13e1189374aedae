"""The picture book, a plugin of the rest: a world of drawn objects, its data, objectives, detector and benchmarks."""
