"""All steps of a head in one go."""


def sample(head, complete, reference, rngs, sampling):
    """The features of rows that are sampled alike."""
    state = head.start(complete, reference, rngs, [sampling] * len(rngs))
    while any(state.remaining):
        state = head.step(state)
    return state.sampler.x
