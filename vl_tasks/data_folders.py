"""Folders of the tasks' data sets, and the files within them."""

import re
from collections.abc import Sequence
from pathlib import Path
from typing import Protocol

from clipnav.storage import cache_dir
from clipnav.storage.errors import UserError
from clipnav.storage.locks import waiting_lock
from clipnav.storage.processes import usable_cpus
from clipnav.vl_tasks.data.images import holds_attributes
from clipnav.vl_tasks.house_tasks.languages.lexicons import (
    ENGLISH,
    LANGUAGES,
    LANGUAGES_FOLDER,
    check_languages,
)

# Folders within a data folder.
IMAGES = "images"
REGIONS = "regions"
# Flags of trainings that choose splits.
_SPLIT_FLAGS = "--select-by, --evaluation-splits, --submit and, for questions, --train-splits"


class DataLocation(Protocol):
    """Location of a data set."""

    @property
    def data(self) -> str:
        """The name "house" or "easy-vqa", or a folder."""
        ...

    @property
    def images(self) -> Path | None:
        """Folder of the images; None for the data folder or its images/."""
        ...


def data_folder(config: DataLocation, flag: str = "--data") -> Path:
    """Return the data folder of a run; the built-in data sets are generated in the cache."""
    if config.data == "house":
        from clipnav.vl_tasks.house_tasks import HouseTasksConfig, cached_house_tasks

        languages = tuple(getattr(config, "data_languages", ()))
        if not set(languages) - {ENGLISH}:
            return cached_house_tasks(workers=usable_cpus()).folder
        check_languages(languages)
        return cached_house_tasks(HouseTasksConfig(languages=LANGUAGES), usable_cpus()).folder
    if config.data == "easy-vqa":
        return _easy_vqa()
    folder = Path(config.data)
    if folder.is_file():
        raise NotADirectoryError(
            f"{folder}: is a file; set {flag} to the folder that contains it, see docs/vl_tasks.md"
        )
    if not folder.is_dir():
        raise FileNotFoundError(
            f"{folder}: the data folder does not exist; set {flag} to house, easy-vqa or a folder, "
            "see docs/vl_tasks.md"
        )
    return folder


def _easy_vqa() -> Path:
    from clipnav.vl_tasks.data.easy_vqa import SPLITS, EasyVqaFiles, convert_easy_vqa

    files = EasyVqaFiles(cache_dir() / "easy_vqa")
    # The annotations of the last split are written last.
    if files.annotations(SPLITS[-1]).is_file():
        return files.folder
    files.folder.mkdir(parents=True, exist_ok=True)
    with waiting_lock(files.folder):
        if not files.annotations(SPLITS[-1]).is_file():
            convert_easy_vqa(files.folder)
    return files.folder


def language_folder(folder: Path, language: str) -> Path:
    """Return the folder of the questions and sentences of a language; English: the data folder."""
    if language == ENGLISH:
        return folder
    own = folder / LANGUAGES_FOLDER / language
    if not own.is_dir():
        names = (path.name for path in (folder / LANGUAGES_FOLDER).glob("*") if path.is_dir())
        present = ", ".join([ENGLISH, *sorted(names)])
        raise FileNotFoundError(
            f"{own}: there is no such folder, the data has the languages {present}; run clipnav "
            "translate-questions, or change --languages"
        )
    return own


def image_folder(config: DataLocation, folder: Path) -> Path:
    """Return the image folder: --images, the folder `images` in the data, or the data folder."""
    return image_folders(config, folder)[0]


def image_folders(config: DataLocation, folder: Path) -> list[Path]:
    """Return the folders that image paths may be relative to, in order of priority.

    These are --images if given, otherwise the folder `images` in the data and the data folder
    itself: in some data sets the paths begin with "images/".
    """
    if config.images is not None:
        return [config.images]
    inner = folder / IMAGES
    return [inner, folder] if inner.is_dir() else [folder]


def split_file(
    folder: Path, split: str, *endings: str, hint: str | None = None, flags: str = _SPLIT_FLAGS
) -> Path:
    """Find the file of a split by the end of its name.

    For example, "val" and "_questions.json" match v2_OpenEnded_mscoco_val2014_questions.json. A
    ".jsonl" file takes precedence over ".json" files.
    """
    found = find_split_file(folder, split, *endings)
    if found is None:
        others = [path.name for path in _matching(folder, f".+{_any_of(endings)}")]
        if hint is None:
            hint = "see docs/vl_tasks.md for the contents of a data folder"
            if others:
                hint = (
                    f"the folder contains {', '.join(others)}; select the splits of these with "
                    f"{flags}"
                )
        raise FileNotFoundError(
            f"{folder}: no file of split {split!r} (its name ends in "
            f"{' or '.join(split + ending for ending in endings)}); {hint}"
        )
    return found


def find_split_file(folder: Path, split: str, *endings: str) -> Path | None:
    """Return the file of a split, or None if there is none; see `split_file`."""
    found = _matching(folder, rf"(?:.*[_.-])?{re.escape(split)}(?:\d{{4}})?{_any_of(endings)}")
    # The built-in data has snli_ve_train.jsonl and, for pre-training, lxmert_train.json.
    found = [path for path in found if path.suffix == ".jsonl"] or found
    if len(found) > 1:
        raise UserError(
            f"{folder}: several files of split {split!r} "
            f"({', '.join(path.name for path in found)}); keep one of them"
        )
    return found[0] if found else None


def _any_of(endings: Sequence[str]) -> str:
    return f"({'|'.join(map(re.escape, endings))})"


def _matching(folder: Path, pattern: str) -> list[Path]:
    """Return the files of a folder whose whole names match, sorted."""
    return sorted(
        path
        for path in folder.iterdir()
        if re.fullmatch(pattern, path.name) and not holds_attributes(path)
    )
