"""Classifier-free guidance: away from what the model would do unasked.

    (1)  v = v_null + g (v_prompt - v_null)

Source: Ho and Salimans, Classifier-Free Diffusion Guidance, arXiv 2207.12598, eq. 6 (their w is g - 1). There v_null
has no prompt at all, and guidance exaggerates whatever the prompt makes likelier: three dogs become four. Where v_null
hears the prompt too, only worse, both sides agree on that, and the step away is one from what is wrong (Karras et al.,
Guiding a Diffusion Model with a Bad Version of Itself, arXiv 2406.02507).
"""

from jaxtyping import Float
from torch import Tensor


def guided(
    prompt: Float[Tensor, "batch ..."], null: Float[Tensor, "batch ..."], guidance: float | Float[Tensor, "batch ..."]
) -> Float[Tensor, "batch ..."]:
    """Equation (1): guidance 1 is none, 0 ignores the prompt, more than 1 exaggerates it; a number, or one for each row
    (float32, with trailing axes of length 1)."""
    return null + (guidance * (prompt - null)).to(null.dtype)
