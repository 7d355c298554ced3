"""Sizes and places of images in frames of two orientations, so that a batch has one size."""

from dataclasses import dataclass
from typing import Literal


@dataclass(frozen=True)
class Framing:
    """Frame of the images, and how they are resized and placed in it.

    Attributes:
        short: Shorter side of the frame in pixels.
        long: Longer side.
        rule: "ours" fits images into the frame and rounds to whole pixels; "clip-vil" does so with
            the rounding of CLIP-ViL-Pretrain/src/tasks/vision_helpers.py (`Resize`,
            `PadToGivenSize`), where square images are portraits; "multilingual-vqa" gives the
            shorter side the size of the frame and cuts out the centre, as torchvision's `Resize`
            and `CenterCrop` do.
    """

    short: int
    long: int
    rule: Literal["ours", "clip-vil", "multilingual-vqa"] = "ours"

    def resized(self, height: int, width: int) -> tuple[int, int]:
        """Return (height, width) of an image after resizing, with its aspect ratio."""
        shorter, longer = sorted((height, width))
        if self.rule == "ours":
            scale = min(self.short / shorter, self.long / longer)
            small = min(max(round(shorter * scale), 1), self.short)
            large = min(max(round(longer * scale), 1), self.long)
        else:
            small = self.short
            if self.rule == "clip-vil" and longer / shorter * small > self.long:
                small = max(round(self.long * shorter / longer), 1)
            large = int(small * longer / shorter)
        return (large, small) if height > width else (small, large)

    def is_portrait(self, height: int, width: int) -> bool:
        """Return whether the frame of an image of this size is higher than wide."""
        if self.short == self.long:  # batches need not be separated by orientation
            return False
        if self.rule == "clip-vil":
            height, width = self.resized(height, width)
            return height >= width
        return height > width

    def frame(self, height: int, width: int) -> tuple[int, int]:
        """Return (height, width) of the frame of an image of this size."""
        is_portrait = self.is_portrait(height, width)
        return (self.long, self.short) if is_portrait else (self.short, self.long)

    def start(self, length: int, side: int) -> int:
        """Return where an image begins in a frame; below 0 if it is cut off there."""
        room = side - length
        if self.rule == "clip-vil":
            return -(-room // 2)  # an odd pixel of padding is at the top or left
        if self.rule == "multilingual-vqa" and room < 0:
            return -round(-room / 2)
        return room // 2
