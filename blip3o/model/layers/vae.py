"""The sizes of a variational autoencoder, whose halves stand in encoders/vae.py and decoders/vae.py."""

from dataclasses import dataclass
from typing import Any, Literal

from blip3o.config import check, sizes


@dataclass(frozen=True, kw_only=True)
class VaeConfig:
    """The autoencoder's config.json, and the size of the pictures."""

    kind: Literal["vae"] = "vae"
    vae: dict[str, Any]
    size: int
    """Height and width of the picture in px."""

    def __post_init__(self) -> None:
        channels, levels = self.vae.get("latent_channels"), self.vae.get("block_out_channels")
        check(
            *sizes(self),
            (type(channels) is int and channels > 0, f"latent_channels of vae is {channels}, expected 1 or more"),
            (isinstance(levels, list) and len(levels) > 0, f"block_out_channels of vae is {levels}, expected a list"),
        )

    @property
    def channels(self) -> int:
        """Channels of the latents."""
        return int(self.vae["latent_channels"])

    @property
    def side(self) -> int:
        """Rows and columns of the latents."""
        return self.size // 2 ** (len(self.vae["block_out_channels"]) - 1)
