"""The SDXL decoder in published files: UNet, VAE and noise schedule in the layout of `diffusers`."""

from blip3o.model.decoders.sdxl import SdxlConfig
from blip3o.weights.folders import Shapes
from blip3o.weights.published.adapter import Adapter, Facts


def _read(facts: Facts, shapes: Shapes) -> SdxlConfig:
    unet, vae, scheduler = (facts[part] for part in ("unet", "vae", "scheduler"))
    size = unet["sample_size"] * 2 ** (len(vae["block_out_channels"]) - 1)
    return SdxlConfig(unet=unet, vae=vae, scheduler=scheduler, size=size)


SDXL = Adapter(
    kind=SdxlConfig,
    read=_read,
    write=lambda config: {"unet": config.unet, "vae": config.vae, "scheduler": config.scheduler},
    folders=("unet", "vae"),
)
