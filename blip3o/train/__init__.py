"""The workshop: a recipe is a list of stages, each saying what trains, on what, for how long."""
