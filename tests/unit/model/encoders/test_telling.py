"""Image-text training: the loss is least where the features tell exactly what is said."""

import torch

from blip3o.model.encoders.telling import Telling, TellingConfig

SIZES = TellingConfig(vocabulary=7, places=3, channels=6, positions=4, width=16)
SAID = torch.zeros(2, 3, 7)
SAID[:, :, 1] = SAID[:, :, 4] = 0.5


def features(seed=0):
    return torch.randn(2, 6, 2, 2, generator=torch.Generator().manual_seed(seed))


@torch.no_grad()
def test_two_words_that_are_equally_likely_cost_at_least_the_log_of_two():
    telling = Telling(SIZES)
    assert telling(features(), SAID) > torch.tensor(2.0).log()
    last = telling.answer[-1]
    last.get_parameter("weight").zero_()
    last.get_parameter("bias").copy_(100 * SAID[0, 0])
    torch.testing.assert_close(telling(features(), SAID), torch.tensor(2.0).log())


def test_the_loss_teaches_the_features():
    seen = features().requires_grad_()
    Telling(SIZES)(seen, SAID).backward()
    assert seen.grad is not None
    assert seen.grad.abs().max() > 0


@torch.no_grad()
def test_where_something_stands_can_be_told(awake):
    telling = awake(Telling(SIZES))
    assert (telling(features(), SAID) - telling(features().flip(-1), SAID)).abs() > 1e-6
