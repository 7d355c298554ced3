"""Settings of multilingual VQA."""

from dataclasses import dataclass, field

from clipnav.vl_tasks.settings.clip_vil_p import TextConfig, TrunkConfig, check_image_size


@dataclass(frozen=True)
class MultilingualConfig:
    """A new network of --model multilingual, if there is no pre-trained one (--start-from)."""

    text: TextConfig = field(default_factory=TextConfig)
    """Transformer and word pieces."""
    trunk: TrunkConfig = field(default_factory=TrunkConfig)
    """Visual trunk."""
    image_size: tuple[int, int] = (224, 224)
    """Shorter and longer side in pixels of the images: they are resized to fit, and padded. With
    --faithful, the shorter side is resized, and the centre is cut out."""

    def __post_init__(self) -> None:
        self.text.check("multilingual.text.")
        self.trunk.check("multilingual.trunk.")
        check_image_size(self.image_size, "--multilingual.image-size")
