"""All steps of a head in one go."""


class Followed:
    """Prompts of no backbone: what fills a slot becomes its hidden states by a function, whatever was asked."""

    def __init__(self, complete):
        self.complete = complete

    def __call__(self, slot, *, unasked=False):
        return self.complete(slot)

    def select(self, rows):
        return self

    def join(self, other):
        return self


def sample(head, complete, reference, rngs, sampling):
    """The features of rows that are sampled alike."""
    state = head.start(Followed(complete), reference, rngs, [sampling] * len(rngs))
    while any(state.remaining):
        state = head.step(state)
    return state.sampler.x
