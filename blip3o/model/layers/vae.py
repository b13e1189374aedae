"""The sizes of a variational autoencoder, whose halves stand in encoders/vae.py and decoders/vae.py."""

from dataclasses import dataclass
from typing import Any, Literal


@dataclass(frozen=True, kw_only=True)
class VaeConfig:
    """The autoencoder's config.json, and the size of the pictures."""

    kind: Literal["vae"]
    vae: dict[str, Any]
    size: int
    """Height and width of the picture in px."""

    @property
    def channels(self) -> int:
        """Channels of the latents."""
        return int(self.vae["latent_channels"])

    @property
    def side(self) -> int:
        """Rows and columns of the latents."""
        return self.size // 2 ** (len(self.vae["block_out_channels"]) - 1)

    @property
    def positions(self) -> int:
        """Grid points of the latents."""
        return self.side**2
