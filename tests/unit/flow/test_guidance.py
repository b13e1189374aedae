"""Guidance leads away from what the model would do unasked."""

import torch

from blip3o.flow.guidance import guided

PROMPT, NULL = torch.randn(2, 3, 4, 5, generator=torch.Generator().manual_seed(0), dtype=torch.float64)


def test_guidance_one_is_no_guidance():
    torch.testing.assert_close(guided(PROMPT, NULL, 1.0), PROMPT)


def test_guidance_zero_does_not_listen():
    assert torch.equal(guided(PROMPT, NULL, 0.0), NULL)


def test_more_guidance_goes_further_the_same_way():
    step = guided(PROMPT, NULL, 3.0) - guided(PROMPT, NULL, 2.0)
    torch.testing.assert_close(step, PROMPT - NULL)
