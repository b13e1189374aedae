"""Image-text training: the loss is least where the features tell exactly what is said."""

import torch

from blip3o.model.encoders.dense_caption_loss import DenseCaptionConfig, DenseCaptionLoss

SIZES = DenseCaptionConfig(vocabulary=7, places=3, channels=6, positions=4, width=16)
SAID = torch.zeros(2, 3, 7)
SAID[:, :, 1] = SAID[:, :, 4] = 0.5


def features(seed=0):
    return torch.randn(2, 6, 2, 2, generator=torch.Generator().manual_seed(seed))


@torch.no_grad()
def test_two_words_that_are_equally_likely_cost_at_least_the_log_of_two():
    telling = DenseCaptionLoss(SIZES)
    assert telling(features(), SAID).mean() > torch.tensor(2.0).log()
    last = telling.answer[-1]
    last.get_parameter("weight").zero_()
    last.get_parameter("bias").copy_(100 * SAID[0, 0])
    torch.testing.assert_close(telling(features(), SAID).mean(), torch.tensor(2.0).log())


def test_the_loss_teaches_the_features():
    seen = features().requires_grad_()
    DenseCaptionLoss(SIZES)(seen, SAID).mean().backward()
    assert seen.grad is not None
    assert seen.grad.abs().max() > 0


@torch.no_grad()
def test_where_something_stands_can_be_told(awake):
    telling = awake(DenseCaptionLoss(SIZES))
    straight, turned = (telling(seen, SAID).mean() for seen in (features(), features().flip(-1)))
    assert (straight - turned).abs() > 1e-6


@torch.no_grad()
def test_a_picture_weighs_one(awake):
    telling = awake(DenseCaptionLoss(SIZES))
    whole, parts = (
        telling(features(), SAID),
        [telling(features()[row : row + 1], SAID[row : row + 1]) for row in (0, 1)],
    )
    assert [loss.weight for loss in (whole, *parts)] == [2, 1, 1]
    torch.testing.assert_close(whole.sum, parts[0].sum + parts[1].sum)
