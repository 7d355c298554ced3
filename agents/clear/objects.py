"""Classes of visible objects per view: `objects_27.json`, and those of the built-in houses.

CLEAR compares two views only if they show objects of a common class, of 27 classes. Its file has
the form {scan: {viewpoint: {view: [27 numbers]}}}, with the views "0" to "35".
"""

from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path

import msgspec
import numpy as np

from clipnav.envs.houses.views.view_facts import THING_MAY, UNMENTIONED
from clipnav.storage import atomic_write
from clipnav.storage.errors import UnknownNameError, UserError, truncate
from clipnav.storage.features.view_grid import NUM_VIEWS
from clipnav.storage.json_files import read_bytes

OBJECTS_FILE = "objects_27.json"
_MOST_BYTES = 1 << 31
_HINT = "name a file in the form {scan: {viewpoint: {view: [27 numbers]}}}"

# Names in the style of Matterport3D's mpcat40. The released code does not name its 27 classes; only
# classes of the same file are compared.
CLASSES: dict[str, tuple[str, ...]] = {
    "chair": ("chair", "office chair", "armchair"),
    "door": ("door", "entrance door", "closed door"),
    "table": ("dining table", "coffee table", "desk", "ironing board"),
    "picture": ("picture",),
    "cabinet": ("kitchen cabinet", "wardrobe", "sideboard", "shoe rack"),
    "window": ("window",),
    "sofa": ("sofa",),
    "bed": ("bed",),
    "curtain": ("curtain",),
    "chest of drawers": ("dresser", "nightstand", "toy chest"),
    "plant": ("plant",),
    "sink": ("kitchen sink", "washbasin"),
    "stairs": ("stairs",),
    "toilet": ("toilet",),
    "stool": ("stool", "entrance bench"),
    "towel": ("towel rail",),
    "mirror": ("mirror",),
    "television": ("tv stand",),
    "shower": ("shower",),
    "bathtub": ("bathtub",),
    "counter": ("kitchen counter",),
    "fireplace": ("fireplace",),
    "lighting": ("ceiling light", "floor lamp", "candle"),
    "railing": ("railing",),
    "shelving": ("bookshelf", "coat rack", "umbrella stand"),
    "appliances": ("fridge", "stove", "range hood", "washing machine"),
    "objects": (),  # all other categories, except parts of the building
}
NUM_CLASSES = len(CLASSES)
_CLASS_OF = {category: k for k, names in enumerate(CLASSES.values()) for category in names}

# Classes (36, 27) bool of the views of each viewpoint, by scan and viewpoint.
ObjectClasses = dict[str, dict[str, np.ndarray]]


def class_of(category: str) -> int | None:
    """Return the class of a category of the built-in houses; None for parts of the building."""
    if category in UNMENTIONED:
        return None
    return _CLASS_OF.get(category, NUM_CLASSES - 1)


def house_objects(viewpoints: Iterable[tuple[str, str]]) -> ObjectClasses:
    """Return the classes of the objects in all views of viewpoints of the built-in houses.

    They are read from object-id images; houses that are missing in the cache are built.
    """
    from clipnav.envs.houses.rendering.view_objects import object_panoramas, view_object_ids

    panoramas = object_panoramas()
    categories: dict[str, list[str]] = {}
    classes: ObjectClasses = {}
    for scan, viewpoint in viewpoints:
        if scan not in categories:
            categories[scan] = [thing.category for thing in panoramas.tracer(scan).scene.objects]
        ids = view_object_ids(panoramas, scan, viewpoint)
        shown = np.stack([classes_of_view(view, categories[scan]) for view in ids])
        classes.setdefault(scan, {})[viewpoint] = shown
    return classes


def classes_of_view(object_id: np.ndarray, categories: Sequence[str]) -> np.ndarray:
    """Return the classes (27,) bool that an object-id image shows.

    Args:
        object_id: (H, W) int32 indices of objects, -1 for the sky.
    """
    counts = np.bincount(object_id.ravel() + 1, minlength=len(categories) + 1)[1:]
    shown = np.zeros(NUM_CLASSES, bool)
    for index in np.flatnonzero(counts >= THING_MAY * object_id.size).tolist():
        number = class_of(categories[index])
        if number is not None:
            shown[number] = True
    return shown


def common_classes(
    classes: ObjectClasses, pairs: Sequence[tuple[tuple[str, str], tuple[str, str]]]
) -> tuple[float, float]:
    """Return the mean share of the classes of two panoramas that both show, and that by chance.

    By chance, each panorama is compared with the counterpart of the one half a list away.
    """
    shown = [
        np.array([classes[scan][viewpoint].any(0) for scan, viewpoint in side])
        for side in zip(*pairs, strict=True)
    ]  # (P, 27) each
    by_chance = np.roll(shown[1], len(pairs) // 2, axis=0)
    return _common_share(*shown), _common_share(shown[0], by_chance)


def _common_share(one: np.ndarray, other: np.ndarray) -> float:
    """Return the mean share (0 to 1) of classes (P, 27) of either side that both have."""
    either = np.maximum((one | other).sum(1), 1)
    return float(((one & other).sum(1) / either).mean())


def write_objects(path: Path, classes: Mapping[str, Mapping[str, np.ndarray]]) -> None:
    """Write classes of objects in the form of `objects_27.json`."""
    document = {
        scan: {
            viewpoint: {str(view): row.astype(int).tolist() for view, row in enumerate(views)}
            for viewpoint, views in viewpoints.items()
        }
        for scan, viewpoints in classes.items()
    }
    with atomic_write(path) as beside:
        beside.write_bytes(msgspec.json.encode(document))


def read_objects(path: Path) -> ObjectClasses:
    """Read classes of objects; any number above 0 means that the view shows the class."""
    if not path.is_file():
        raise FileNotFoundError(
            f"{path}: no such file; write it with clipnav pair-paths, name its folder with "
            "--pairs, or train with --no-object-constraint"
        )
    kind = dict[str, dict[str, dict[str, list[float]]]]
    try:
        document = msgspec.json.decode(read_bytes(path, _HINT, _MOST_BYTES), type=kind)
    except (msgspec.DecodeError, RecursionError) as error:
        raise UserError(f"{path}: {truncate(str(error), 240)}; {_HINT}") from error
    counts = {len(row) for scan in document.values() for v in scan.values() for row in v.values()}
    if len(counts) != 1:
        problem = f"views have different numbers of classes {sorted(counts)[:3]}"
        raise UserError(f"{path}: {problem if counts else 'contains no view'}; {_HINT}")
    views = [str(view) for view in range(NUM_VIEWS)]
    classes: ObjectClasses = {}
    for scan, viewpoints in document.items():
        for viewpoint, rows in viewpoints.items():
            if rows.keys() != set(views):
                raise UserError(
                    f"{path}: viewpoint {viewpoint} of scan {scan} has {len(rows)} views, not the "
                    f"views 0 to {NUM_VIEWS - 1}; {_HINT}"
                )
            array = np.array([rows[view] for view in views]) > 0
            classes.setdefault(scan, {})[viewpoint] = array
    return classes


def objects_of_viewpoint(
    classes: ObjectClasses, scan: str, viewpoint: str, path: Path
) -> np.ndarray:
    """Return the classes (36, C) bool of a viewpoint."""
    shown = classes.get(scan, {}).get(viewpoint)
    if shown is None:
        raise UnknownNameError(
            f"{path}: no viewpoint {viewpoint} of scan {scan}; use the file of these paths, or "
            "train with --no-object-constraint"
        )
    return shown
