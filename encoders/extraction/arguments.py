"""Arguments of the command that extracts features of viewpoints."""

from dataclasses import dataclass
from pathlib import Path
from typing import ClassVar, Literal

from clipnav.storage.errors import UserError
from clipnav.training.settings import check_counts, check_unused_options

SourceWorld = Literal["houses", "houses-standard", "matterport", "habitat"]
# Set of houses of each world that is rendered from the built-in houses.
HOUSE_SETS_OF_WORLDS = {"houses": "mini", "houses-standard": "standard"}
HOUSE_LABELS = "house_labels"  # name of the encoder with perfect recognition


@dataclass(frozen=True)
class ExtractArguments:
    """Encode viewpoints into one safetensors file per encoder."""

    COMMON: ClassVar[tuple[str, ...]] = tuple(
        "output world data_dir encoder pretrained precision views scans panorama_width workers "
        "shard merge".split()
    )

    output: Path | None = None
    """Feature store to write. The default exists for houses-standard only: the file that its
    environments read."""
    output_dir: Path | None = None
    """Folder of the feature stores, which are named after their encoders; required for several
    encoders."""
    world: SourceWorld = "houses"
    """Source of the images: the built-in houses, or the large set of them; Matterport3D's
    skyboxes; or 3D models rendered by habitat-sim, by default those of the built-in houses."""
    data_dir: Path | None = None
    """Folder with matterport/connectivity/; used for matterport and for 3D models of its
    buildings."""
    scan_dir: Path | None = None
    """Folder of the scans: their skyboxes, by default DATA_DIR/matterport/v1/scans, or their 3D
    models SCAN.glb or SCAN/SCAN.glb."""
    encoder: tuple[str, ...] = ("house_clip",)
    """Encoders: "house_clip", a folder in open_clip's local-dir format, an open_clip name, or
    "efficientnet-lite0" (ImageNet's labels; requires the extra "bench"). Several encoders with one
    input size share the views. "house_labels" stands for perfect recognition: it writes what the
    built-in houses know about their rooms and objects."""
    pretrained: tuple[str, ...] = ()
    """Weights of each encoder: for an open_clip name a tag such as openai, or a weight file; for a
    folder "none"."""
    random_weights: bool = False
    """Initialise the weights of every encoder at random; "random" is added to the name of the store
    and to its metadata."""
    precision: Literal["auto", "fp32", "medium", "bf16", "fp16"] = "auto"
    """Precision of the encoder, see docs/encoders.md. auto is fp16 on a GPU, bf16 on a CPU that
    multiplies it in hardware, and medium on other CPUs. Set it explicitly if the shards of a store
    are computed on different machines."""
    compiled: bool = False
    """Compile the encoder with torch.compile. This takes a minute and requires a C++ compiler; use
    it for thousands of images."""
    views: Literal["square", "clip_vil"] = "square"
    """Geometry of the views: square RGB views of 60 degrees; or, as for CLIP-ViL's released
    features, frames of 640 x 480 with red and blue swapped, cropped by CLIP's preprocessing."""
    scans: tuple[str, ...] = ()
    """Scans to encode; all scans of the world by default. House ranges such as "house_00-house_03"
    are expanded."""
    panorama_width: int = 1024
    """Columns of the rendered panoramas of the built-in houses."""
    full_faces: bool = False
    """Prefer full-size skyboxes to downsized ones."""
    skip_damaged: bool = False
    """Skip viewpoints with a damaged skybox instead of stopping. An interrupted run that is resumed
    does not load them again; to encode them after all, delete its .partial file or its store."""
    workers: int = 2
    """Number of threads or processes that load views, or of encoding workers with the ray engine.
    The result does not depend on it."""
    engine: Literal["local", "ray"] = "local"
    """Encode in this process, or on a Ray cluster (requires the extra "ray")."""
    shard: str | None = None
    """Shard to encode: i/n with i from 0 to n - 1, or auto to read it from torchrun or Slurm. The
    shard is written beside the output."""
    merge: bool = False
    """Merge the finished shards beside the output, without encoding anything."""
    gpu_device_id: int | None = None
    """CUDA device of habitat-sim, or -1 for none; by default 0 if there is one."""

    def __post_init__(self) -> None:
        check_counts(self, ("workers",))
        # Views repeat a column at both sides of the panorama.
        check_counts(self, ("panorama_width",), least=2)
        if self.engine == "ray" and len(self.encoder) > 1:
            raise UserError("--engine ray supports one encoder only; run the command for each")
        if HOUSE_LABELS in self.encoder:
            self._check_labels()
        check_unused_options(self, self._idle())

    def _check_labels(self) -> None:
        if self.world not in HOUSE_SETS_OF_WORLDS:
            raise UserError(
                f"--encoder {HOUSE_LABELS} knows the built-in houses only; set --world houses or "
                "houses-standard"
            )
        if len(self.encoder) > 1:
            raise UserError(
                f"--encoder {HOUSE_LABELS} encodes no pictures; run the command for it alone"
            )
        names = ("pretrained", "random_weights", "precision", "compiled", "views")
        names += ("panorama_width", "engine")
        check_unused_options(self, dict.fromkeys(names, f"with --encoder {HOUSE_LABELS}"))

    def _idle(self) -> dict[str, str]:
        """Return the settings without effect, with the reasons."""
        names = ["gpu_device_id"] if self.world != "habitat" else []
        if self.world in HOUSE_SETS_OF_WORLDS:
            names += ["data_dir", "scan_dir"]
        else:
            names += ["panorama_width"]
        if self.world != "matterport":
            names += ["full_faces", "skip_damaged"]
        idle = dict.fromkeys(names, f"with --world {self.world}")
        return idle | ({"shard": "with --merge"} if self.merge else {})
