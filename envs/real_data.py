"""Catalogue of the public real data, and downloads into a data folder."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from fnmatch import fnmatchcase
from functools import lru_cache
from pathlib import Path
from urllib.parse import urlsplit

from clipnav.storage.downloads import Checksums, DownloadError, fetch, unpack_zip
from clipnav.storage.errors import UserError, pluralise
from clipnav.storage.locks import waiting_lock

# A fixed commit, whose graphs have the checksums below.
_SIMULATOR = (
    "https://raw.githubusercontent.com/peteanderson80/Matterport3DSimulator/"
    "589d091b111333f9e9f9d6cfd021b2eb68435925"
)
# Matterport3DSimulator tasks/R2R/data/download.sh.
_R2R = {
    "train": "https://www.dropbox.com/s/hh5qec8o5urcztn/R2R_train.json?dl=1",
    "val_seen": "https://www.dropbox.com/s/8ye4gqce7v8yzdm/R2R_val_seen.json?dl=1",
    "val_unseen": "https://www.dropbox.com/s/p6hlckr70a07wka/R2R_val_unseen.json?dl=1",
    "test": "https://www.dropbox.com/s/w4pnbwqamwzdwd1/R2R_test.json?dl=1",
}
# EnvDrop tasks/R2R/data/download.sh, there without TLS.
_AUGMENTATION = "https://www.cs.unc.edu/~airsplay/aug_paths.json"
# README of google-research-datasets/RxR and its marky-mT5/README. The addresses given there require
# a Google account; this host serves the same files without one.
_RXR = "https://storage.googleapis.com/rxr-data"
# CLIP-ViL-VLN/README.md.
_CLIP_VIL = "https://nlp.cs.unc.edu/data/vln_clip"
_IMAGENET = "https://www.dropbox.com/s/o57kxh2mn5rkx4o/ResNet-152-imagenet.zip?dl=1"
_GRAPH_CHECKSUMS = Path(__file__).with_name("matterport_graphs.sha256")
R4R = "r4r"


@dataclass(frozen=True)
class RemoteFile:
    """Published file of a dataset.

    Attributes:
        url: Address of the file.
        path: Path below the data folder.
        sha256: Checksum, or None if none is known.
        unpacked: Folder below the data folder into which a zip archive is unpacked, or None.
    """

    url: str
    path: str
    sha256: str | None = None
    unpacked: str | None = None


@dataclass(frozen=True)
class Group:
    """Files that are downloaded together.

    Attributes:
        contents: Description of the files.
        size: Total size, as published or measured.
        licence: Terms of use in short.
        files: The files.
        hint: Another way to get the files, or an empty string.
    """

    contents: str
    size: str
    licence: str
    files: tuple[RemoteFile, ...]
    hint: str = ""


@dataclass(frozen=True)
class Failure:
    """A file that could not be downloaded.

    Attributes:
        reason: Description of the problem.
        url: Address of the file.
        path: Path at which a file that is downloaded by hand belongs.
    """

    reason: str
    url: str
    path: Path


"""Group that is generated from R2R instead of downloaded; it is not in the catalogue."""


@lru_cache(maxsize=1)
def catalogue() -> Mapping[str, Group]:
    """Return all groups by name."""
    terms = "derived from Matterport3D: its Terms of Use"
    groups = _annotation_groups()
    groups["features-imagenet"] = Group(
        "features of ResNet-152 (ImageNet), 2048 wide",
        "about 3 GB",
        terms,
        (RemoteFile(_IMAGENET, "features/imagenet.zip", unpacked="features/imagenet"),),
    )
    for name in ("ViT-B-32", "ResNet-50", "ResNet-101", "ResNet-50x4"):
        file = f"features/CLIP-{name}-views.tsv"
        groups[f"features-{name.lower()}"] = Group(
            f"CLIP-ViL's features of CLIP {name}, computed from images with red and blue swapped",
            "1 to 3 GB",
            terms,
            (RemoteFile(f"{_CLIP_VIL}/{file}", file),),
        )
    return groups


def group_of(names: Sequence[str], split: str) -> str | None:
    """Return the group that contains the file of a split.

    If no group contains it, the group with the same file of other splits is returned, or None.
    """
    if names[0].startswith(f"{R4R}/"):
        return R4R
    for wanted in (split, "*"):
        patterns = [name.format(wanted) for name in names]
        for group, content in catalogue().items():
            if any(fnmatchcase(file.path, one) for file in content.files for one in patterns):
                return group
    return None


def _annotation_groups() -> dict[str, Group]:
    checksums = _GRAPH_CHECKSUMS.read_text(encoding="utf-8").splitlines()
    graphs = tuple(
        RemoteFile(f"{_SIMULATOR}/connectivity/{name}", f"matterport/connectivity/{name}", sha256)
        for sha256, name in map(str.split, checksums)
    )
    return {
        "connectivity": Group(
            "navigation graphs of the 90 buildings",
            "24 MB",
            "Matterport3DSimulator (MIT); Terms of Use of Matterport3D",
            graphs,
            "git clone https://github.com/peteanderson80/Matterport3DSimulator contains all graphs "
            "in its folder connectivity/",
        ),
        "r2r": Group(
            "R2R annotations",
            "6 MB",
            "published with Matterport3DSimulator",
            tuple(RemoteFile(url, f"r2r/R2R_{split}.json") for split, url in _R2R.items()),
            "https://storage.googleapis.com/bringmeaspoon/R2Rdata/R2R_train.json is an older "
            "address of R2R; the other splits are beside it",
        ),
        "r2r-augmentation": Group(
            "paths of EnvDrop for back-translation, as split aug_paths of r2r",
            "about 80 MB",
            "published with R2R-EnvDrop",
            (RemoteFile(_AUGMENTATION, "r2r/R2R_aug_paths.json"),),
        ),
        "rxr": Group(
            "RxR guide annotations, including the two test splits without goals",
            "101 MB",
            "CC-BY",
            _rxr("train_guide", "val_seen_guide", "val_unseen_guide")
            + _rxr("test_standard_public_guide", "test_challenge_public_guide"),
        ),
        "rxr-followers": Group(
            "RxR follower annotations",
            "16 MB",
            "CC-BY",
            _rxr("train_follower", "val_seen_follower", "val_unseen_follower"),
        ),
        "rxr-marky": Group(
            "a million instructions by Marky-mT5, as split marky_train of rxr",
            "255 MB",
            "published with RxR",
            _rxr("marky_train_guide"),
        ),
        "rxr-clip-vil": Group(
            "RxR in the format of CLIP-ViL's agents, with parsed sentences",
            "size not published",
            "CC-BY (RxR)",
            (RemoteFile(f"{_CLIP_VIL}/RxR.zip", "rxr/RxR.zip", unpacked="rxr/clip_vil"),),
        ),
    }


def download(names: Sequence[str], data_dir: Path, bar: bool = True) -> list[Failure]:
    """Download groups of files into a data folder.

    Existing files are checked and kept. For a file without a known checksum, `checksums.json`
    records the checksum of the first download, and later calls check the file against it.
    """
    groups = catalogue()
    for name in names:
        if name not in groups:
            raise UserError(f"group {name!r} is not one of {', '.join(groups)}")
    data_dir.mkdir(parents=True, exist_ok=True)
    files = [file for name in names for file in groups[name].files]
    checksums = Checksums(data_dir)
    failures: list[Failure] = []
    unreachable: dict[str, str] = {}
    for file in files:
        host = urlsplit(file.url).netloc
        try:
            # Another attempt at an unreachable host may take half a minute.
            if host in unreachable and not (data_dir / file.path).exists():
                raise DownloadError(unreachable[host])
            _obtain(file, data_dir, checksums, bar)
        except (OSError, ValueError) as error:
            if isinstance(error, DownloadError) and error.unreachable:
                unreachable[host] = str(error)
            failures.append(Failure(str(error), file.url, data_dir / file.path))
    return failures


def explain(failures: Sequence[Failure], names: Sequence[str]) -> str:
    """Describe the missing files and how to get them by hand."""
    lines = [f"could not download {pluralise(len(failures), 'file')}:"]
    for failure in failures:
        lines += [f"* {failure.path}: {failure.reason}", f"    from {failure.url}"]
    lines += [
        "Run the same command again to retry; existing files are kept. Without a network, download "
        "each file on another machine from the address below its path, copy it to that path, and "
        "run the command again to check it.",
    ]
    hints = [catalogue()[name].hint for name in names if catalogue()[name].hint]
    return "\n".join(lines + hints)


def _obtain(file: RemoteFile, data_dir: Path, checksums: Checksums, bar: bool) -> None:
    path = data_dir / file.path
    if not path.exists():
        fetch(file.url, path, file.sha256, bar)
    is_first = file.sha256 is None and checksums.recorded(file.path) is None
    sha256 = checksums.check(file.path, file.sha256, file.url)
    if is_first:
        print(
            f"{path}: SHA-256 {sha256}; its publisher gives none, so this file is trusted on first "
            "use, and checked against this one from now on"
        )
    if file.unpacked is not None:
        _unpack(path, data_dir / file.unpacked)


def _unpack(archive: Path, folder: Path) -> None:
    """Unpack an archive unless the folder exists; of several processes, one unpacks it."""
    if folder.exists():
        return
    with waiting_lock(folder):
        if not folder.exists():
            unpack_zip(archive, folder)


def _rxr(*stems: str) -> tuple[RemoteFile, ...]:
    names = [f"rxr_{stem}.jsonl.gz" for stem in stems]
    return tuple(RemoteFile(f"{_RXR}/{name}", f"rxr/{name}") for name in names)
