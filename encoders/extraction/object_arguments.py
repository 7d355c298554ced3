"""Arguments of the command that extracts features of objects."""

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Literal

from clipnav.storage.errors import UserError
from clipnav.training.settings import check_counts, check_unused_options

if TYPE_CHECKING:
    from clipnav.envs.worlds import WorldFiles


@dataclass(frozen=True)
class ObjectArguments:
    """Encode the objects of all viewpoints into one file."""

    output: Path | None = None
    """File to write: a store of objects (.safetensors) or REVERIE's layout (.hdf5). By default the
    file that the environments of the world read."""
    world: Literal["houses", "houses-standard", "matterport"] = "houses"
    """Source of the images: the built-in houses, or the large set of them, or Matterport3D's
    skyboxes."""
    data_dir: Path | None = None
    """Folder with matterport/connectivity/ and reverie/, for matterport."""
    scan_dir: Path | None = None
    """Folder of the skyboxes; by default DATA_DIR/matterport/v1/scans."""
    boxes: Path | None = None
    """Boxes: REVERIE's folder BBox or DUET's BBoxes.json; by default those of the data folder."""
    encoder: str = "house_clip"
    """Encoder: "house_clip", a folder in open_clip's local-dir format, or an open_clip name."""
    pretrained: str | None = None
    """Weights of an open_clip name: a tag such as openai, or a weight file."""
    precision: Literal["auto", "fp32", "medium", "bf16", "fp16"] = "auto"
    """Precision of the encoder, see docs/encoders.md."""
    scans: tuple[str, ...] = ()
    """Scans to encode; all scans with boxes by default."""
    workers: int = 2
    """Number of threads or processes that draw crops. The result does not depend on it."""

    def __post_init__(self) -> None:
        check_counts(self, ("workers",))
        if self.world != "matterport":
            names = ("data_dir", "scan_dir")
            check_unused_options(self, dict.fromkeys(names, f"with --world {self.world}"))
        if self.output is not None and self.output.suffix not in (".safetensors", ".hdf5", ".h5"):
            raise UserError(f"--output {self.output}: name a .safetensors or .hdf5 file")

    def files(self) -> "WorldFiles":
        """Return the files of the world."""
        from clipnav.envs.worlds import world_files

        return world_files(self.world, self.data_dir)
