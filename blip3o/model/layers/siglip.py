"""The sizes of a SigLIP or SigLIP 2 tower, whose network stands in layers/siglip_tower.py."""

from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING, ClassVar

if TYPE_CHECKING:
    from transformers import SiglipVisionConfig
else:  # configs are read without the library, which is opened when a network is built
    SiglipVisionConfig = object

from blip3o.config import check, sizes


@dataclass(frozen=True, kw_only=True)
class SiglipConfig:
    """Sizes of the tower, under the names of its config.json."""

    hidden_size: int
    intermediate_size: int
    num_hidden_layers: int
    num_attention_heads: int
    image_size: int
    patch_size: int
    spatial_merge_size: ClassVar[int] = 1
    temporal_patch_size: ClassVar[int] = 1
    """It merges no patches and sees single pictures."""

    def __post_init__(self) -> None:
        width, heads = self.hidden_size, self.num_attention_heads
        check(
            *sizes(self),
            (heads < 1 or width % heads == 0, f"hidden_size {width} does not split into {heads} heads"),
            (
                self.image_size >= self.patch_size,
                f"image_size {self.image_size} is less than patch_size {self.patch_size}",
            ),
        )

    @property
    def rows(self) -> int:
        """Patches along the picture's side."""
        return self.image_size // self.patch_size

    def published(self) -> SiglipVisionConfig:
        """The same as the config class of `transformers`."""
        from transformers import SiglipVisionConfig

        return SiglipVisionConfig(**asdict(self), vision_use_head=False)
