"""Where the files of a data set lie within its folder."""

import os
import re
from pathlib import Path

from storage import cache_dir
from vl_tasks.configs import RunConfig

_PICTURES = "images"


def data_folder(config: RunConfig) -> Path:
    """Folder of the data that a run wants; what is on board is made in the cache if need be.

    Raises:
        FileNotFoundError: There is no such folder.
    """
    if config.data == "house":
        from vl_tasks.house_tasks import cached_house_tasks

        return cached_house_tasks(workers=_processors()).folder
    if config.data == "easy-vqa":
        return _easy_vqa()
    folder = Path(config.data)
    if not folder.is_dir():
        raise FileNotFoundError(
            f"{folder}: no such folder of data; --data is house, easy-vqa or a folder, see "
            "docs/vl_tasks.md"
        )
    return folder


def _processors() -> int:
    """How many this process may use; where the system does not tell (macOS), all."""
    if hasattr(os, "sched_getaffinity"):
        return len(os.sched_getaffinity(0))
    return os.cpu_count() or 1


def _easy_vqa() -> Path:
    from vl_tasks.vqa.easy_vqa import SPLITS, EasyVqaFiles, convert_easy_vqa

    files = EasyVqaFiles(cache_dir() / "easy_vqa")
    # The annotations of the last split are what is written last.
    if not files.annotations(SPLITS[-1]).is_file():
        convert_easy_vqa(files.folder)
    return files.folder


def picture_folder(config: RunConfig, folder: Path) -> Path:
    """Folder of the pictures: the one asked for, `images` within the data's, or the data's own."""
    return picture_folders(config, folder)[0]


def picture_folders(config: RunConfig, folder: Path) -> list[Path]:
    """Folders from which paths of pictures in a file may count, the likeliest first.

    That is the one asked for, or `images` within the data's and the data's own: in the files of
    some data sets the paths begin with "images/", in those of others they do not.
    """
    if config.images is not None:
        return [config.images]
    inner = folder / _PICTURES
    return [inner, folder] if inner.is_dir() else [folder]


def split_file(folder: Path, split: str, ending: str) -> Path:
    """The file of a split, by how its name ends.

    "val" and "_questions.json" find v2_OpenEnded_mscoco_val2014_questions.json.

    Args:
        folder: Where it lies.
        split: "train", "val", "test-dev", ...
        ending: What follows the split in the name, a regular expression.

    Raises:
        FileNotFoundError: There is none.
        ValueError: There are several.
    """
    name = re.compile(rf"(?:.*[_.-])?{re.escape(split)}(?:\d{{4}})?{ending}")
    found = sorted(path for path in folder.iterdir() if name.fullmatch(path.name))
    if not found:
        # Of a letter that may be missing, the name without it.
        readable = re.sub(r"\w\?", "", ending).replace("\\", "")
        raise FileNotFoundError(
            f"{folder}: no file of split {split!r}, whose name would end in {split}{readable}"
        )
    if len(found) > 1:
        raise ValueError(
            f"{folder}: {', '.join(path.name for path in found)} are all of split {split!r}; "
            "keep one of them there"
        )
    return found[0]
