"""How near a set of pictures is to another set, or to its prompts, by the features of frozen networks."""
