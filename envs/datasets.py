"""The table of datasets: one row each, to which installed packages add their own.

Rows name their parts as "module:name", so that nothing is imported before it is used. A package
adds a row by an entry point of the group `clipnav.datasets`, whose name is that of the row;
`register_dataset` takes one directly.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Literal

import gymnasium

from clipnav.storage.errors import UserError
from clipnav.storage.spec_table import Spec, SpecTable

ContinuousForm = Literal["r2r-ce", "rxr-ce"]
_RXR = tuple(
    f"rxr_{{}}{public}_guide.jsonl{packed}"
    # The test splits are published without goals, under names with "public".
    for public in ("", "_public")
    for packed in ("", ".gz")
)


@dataclass(frozen=True)
class ContinuousVersion:
    """Version of a dataset in continuous environments, whose task is named DATASET-ce.

    Attributes:
        settings: `ContinuousSettings` of its task.
        form: Form of its episode, ground truth and submission files: those of R2R-CE or RxR-CE.
        max_episode_steps: Number of actions before truncation.
    """

    settings: str = "clipnav.envs.continuous.settings:R2R_CE"
    form: ContinuousForm = "r2r-ce"
    max_episode_steps: int = 500


@dataclass(frozen=True)
class DatasetSpec(Spec):
    """A row of the table of datasets.

    Attributes:
        name: Name for --dataset, which runs and traces contain.
        annotations: Names of the annotation file of a split below the data folder of the world
            matterport, with {} for the split; the first that exists is read. A name may be
            absolute, and that of a folder; () if there are none.
        house_annotations: The same for the built-in houses; () if there are none.
        read: Function of the annotation file, the split, the files of the world, and whether to
            read the times of the words. It returns records as those of
            `clipnav.envs.episodes.annotations`.
        like: Dataset of clipnav whose default settings of trainings it has.
        house_source: Dataset from which this one is generated in the built-in houses, and whose
            training split defines the vocabulary there; None if it has files of its own.
        unique_ids: Whether an `instr_id` occurs in one split only.
        languages: Languages of the instructions.
        max_episode_steps: Number of actions before truncation.
        max_instruction_length: Length of encoded instructions.
        kept: Tokens of a longer instruction that are kept: the first ones or the last ones.
        submission: Function of a path, and of trajectories and `ObjectAnswer`s by `instr_id`, that
            returns the text of a submission file; UserErrors of it name the path.
        scores: `GoalScores` of submissions; "" if `score_paths` says all.
        objects: File of the objects of the viewpoints below the data folder of the world
            matterport, of which agents point out one where they stop; "" if the dataset asks for
            none. The built-in houses have one file for all datasets.
        house_objects: Function of the files of built-in houses that returns their objects if they
            have no such file.
        version: Function of an annotation file that returns the name of its version, which reports
            print; "" if there is one version only.
        continuous: Version in continuous environments; None if there is none.
        label: Name in messages, in names of folders and in the ids of environments, LABEL-CLIP-v0
            and LABEL-CE-CLIP-v0; `name` by default. Ids of installed packages have the name.
    """

    annotations: tuple[str, ...]
    house_annotations: tuple[str, ...] = ()
    read: str = "clipnav.envs.episodes.annotations:read_paths"
    like: str = "r2r"
    house_source: str | None = None
    unique_ids: bool = False
    languages: tuple[str, ...] = ("en",)
    max_episode_steps: int = 20
    max_instruction_length: int = 80
    kept: Literal["start", "end"] = "start"
    submission: str = "clipnav.envs.submissions.files:r2r_text"
    scores: str = ""
    version: str = ""
    objects: str = ""
    house_objects: str = "clipnav.envs.goals.boxes:house_objects"
    continuous: ContinuousVersion | None = None
    label: str = ""

    def __post_init__(self) -> None:
        object.__setattr__(self, "label", self.label or self.name)


# R2R paths have up to 7 viewpoints, RxR paths up to three times as many, and R4R joins two paths
# and two instructions of R2R. EnvDrop reads 80 tokens of R2R, CLIP-ViL 160 of RxR.
_TABLE = SpecTable(
    "dataset",
    "clipnav.datasets",
    (
        DatasetSpec(
            name="r2r",
            label="R2R",
            annotations=("r2r/R2R_{}.json",),
            house_annotations=("R2R_{}.json",),
            unique_ids=True,
            continuous=ContinuousVersion(),
        ),
        DatasetSpec(
            name="rxr",
            label="RxR",
            annotations=tuple(f"rxr/{name}" for name in _RXR),
            house_annotations=_RXR,
            read="clipnav.envs.episodes.annotations:read_guides",
            like="rxr",
            unique_ids=True,
            languages=("en", "hi", "te"),
            max_episode_steps=35,
            max_instruction_length=160,
            submission="clipnav.envs.submissions.files:rxr_text",
            continuous=ContinuousVersion("clipnav.envs.continuous.settings:RXR_CE", "rxr-ce"),
        ),
        DatasetSpec(
            name="r4r",
            label="R4R",
            annotations=("r4r/R4R_{}.json",),
            house_annotations=("R2R_{}.json",),
            read="clipnav.envs.episodes.r4r:read_r4r",
            like="r4r",
            house_source="r2r",
            max_episode_steps=35,
            max_instruction_length=160,
        ),
        # Limits of steps are those of SAME; an instruction of REVERIE has up to 60 words.
        DatasetSpec(
            name="reverie",
            label="REVERIE",
            annotations=("reverie/REVERIE_{}.json", "reverie/REVERIE_{}_enc.json"),
            house_annotations=("reverie/REVERIE_{}.json.gz",),
            read="clipnav.envs.goals.reverie:read_reverie",
            max_episode_steps=15,
            max_instruction_length=100,
            submission="clipnav.envs.goals.reverie:reverie_text",
            scores="clipnav.envs.goals.reverie:SCORES",
            version="clipnav.envs.goals.reverie:version",
            objects="reverie/objects.safetensors",
        ),
        DatasetSpec(
            name="soon",
            label="SOON",
            annotations=("soon/{}_enc_pseudo_obj_label.jsonl", "soon/{}_enc.jsonl"),
            house_annotations=("soon/{}_enc_pseudo_obj_label.jsonl.gz",),
            read="clipnav.envs.goals.soon:read_soon",
            max_episode_steps=20,
            max_instruction_length=100,
            submission="clipnav.envs.goals.soon:soon_text",
            scores="clipnav.envs.goals.soon:SCORES",
            objects="soon/objects.safetensors",
        ),
        # The last turns of a dialog say where to go next.
        DatasetSpec(
            name="cvdn",
            label="CVDN",
            annotations=("cvdn/{}.json", "cvdn/{}_cleaned.json", "cvdn/{}_enc.json"),
            house_annotations=("cvdn/{}.json.gz",),
            read="clipnav.envs.goals.cvdn:read_dialogs",
            max_episode_steps=30,
            max_instruction_length=200,
            kept="end",
            submission="clipnav.envs.goals.cvdn:cvdn_text",
            scores="clipnav.envs.goals.cvdn:SCORES",
        ),
        DatasetSpec(
            name="objectnav",
            label="ObjectNav",
            annotations=("objectnav/{}", "objectnav/{}.json"),
            house_annotations=("objectnav/{}",),
            read="clipnav.envs.goals.objectnav:read_objects",
            max_episode_steps=30,
            max_instruction_length=40,
            scores="clipnav.envs.goals.objectnav:SCORES",
        ),
        # Made of SOON and ObjectNav when it is loaded, see `clipnav.envs.goals.goat`.
        DatasetSpec(
            name="goat",
            label="GOAT",
            annotations=(),
            house_annotations=("soon/{}_enc_pseudo_obj_label.jsonl.gz",),
            read="clipnav.envs.goals.goat:read_chains",
            languages=("en", "hi", "te"),
            max_episode_steps=30,
            max_instruction_length=100,
            scores="clipnav.envs.goals.goat:SCORES",
        ),
    ),
)


def register_dataset(spec: DatasetSpec) -> None:
    """Add a row to the table in this process and register its environments with Gymnasium.

    A row of the same name that was added is replaced.

    Raises:
        UserError: A dataset of clipnav has the name, or another dataset has the ids.
    """
    _check_ids(spec.label, spec.name)
    _TABLE.add(spec)
    _register(spec.label, spec.name, spec)


def dataset_spec(name: str) -> DatasetSpec:
    """Return the row of a dataset."""
    if not isinstance(name, str):
        raise UserError(f"dataset is {name!r}, but must be one string")
    spec = _TABLE.known(name)
    if spec is None:
        _check_ids(name, name)
        spec = _TABLE.row(name)
        _register(name, name, spec)
    return spec


def continuous_version(name: str) -> ContinuousVersion:
    """Return the continuous version of a dataset."""
    version = dataset_spec(name).continuous
    if version is None:
        raise UserError(
            f"dataset {name!r} has no continuous walks; use a dataset that has them (r2r or rxr)"
        )
    return version


def register_ids() -> None:
    """Register the environments of all datasets with Gymnasium, except ids that exist already.

    Installed packages are not imported: their ids begin with the names of the entry points, one of
    them is for continuous walks, and the first use of the row sets the limits of steps.
    """
    for name in _TABLE.names():
        spec = _TABLE.known(name)
        label = name if spec is None else spec.label
        if _owner(label, name) == name:
            _register(label, name, spec)


def with_dataset_of_id(
    arguments: Mapping[str, Any], own: str | None, continuous: bool = False
) -> dict[str, Any]:
    """Return arguments with the dataset of an id; an id has the limit of steps of its dataset."""
    given = arguments.get("dataset", own)
    if own is None or given == own:
        return {"dataset": given, **arguments} if given else dict(arguments)
    ids = [_ids(dataset_spec(name).label)[continuous] for name in (given, own)]
    raise UserError(
        f"dataset {given!r} has an id of its own, with its limit of steps; make {ids[0]!r} instead "
        f"of {ids[1]!r}"
    )


def _ids(label: str) -> tuple[str, str]:
    """Return the ids of the environments on graphs and in continuous space."""
    return f"{label}-CLIP-v0", f"{label}-CE-CLIP-v0"


def _owner(label: str, name: str) -> str:
    """Return the name of another dataset with an id of a dataset, or `name` if there is none."""
    known = (gymnasium.registry[i] for i in _ids(label) if i in gymnasium.registry)
    owners = (env.kwargs.get("own_dataset", env.id) for env in known)
    return next((owner for owner in owners if owner != name), name)


def _check_ids(label: str, name: str) -> None:
    owner = _owner(label, name)
    if owner != name:
        raise UserError(
            f"the dataset {name!r}: ids of its environments, such as {_ids(label)[0]}, are those "
            f"of {owner!r}; give the row another name or label"
        )


def _register(label: str, name: str, spec: DatasetSpec | None) -> None:
    """Register the environments of a dataset, or set the limits of ids that are registered."""
    graph_id, continuous_id = _ids(label)
    envs: list[tuple[str, str, str, DatasetSpec | ContinuousVersion | None]]
    envs = [(graph_id, "navigation.vln_env", "vln", spec)]
    version = spec and spec.continuous
    if spec is None or version is not None:
        envs.append((continuous_id, "continuous.environments.making", "continuous", version))
    for env_id, module, kind, limits in envs:
        limit = limits and limits.max_episode_steps
        if env_id in gymnasium.registry:
            gymnasium.registry[env_id].max_episode_steps = limit
            continue
        gymnasium.register(
            id=env_id,
            entry_point=f"clipnav.envs.{module}:make_{kind}_env",
            vector_entry_point=f"clipnav.envs.{module}:make_{kind}_vector_env",
            max_episode_steps=limit,
            kwargs={"own_dataset": name},
        )
