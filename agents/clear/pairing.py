"""The command that pairs each RxR path with a similar one in another building."""

import dataclasses
import json
from collections.abc import Iterable, Mapping
from pathlib import Path

import numpy as np
import torch

from clipnav.agents.clear.language_data import PathInstructions
from clipnav.agents.clear.language_network import LanguageRepresentation, embed
from clipnav.agents.clear.loading import load_language
from clipnav.agents.clear.objects import (
    OBJECTS_FILE,
    ObjectClasses,
    common_classes,
    house_objects,
    read_objects,
    write_objects,
)
from clipnav.agents.clear.pair_files import (
    MinedPair,
    PathKey,
    mine_pairs,
    multi_path,
    path_embeddings,
    write_multi_file,
)
from clipnav.agents.clear.settings import PairPathsConfig
from clipnav.agents.clear.training import split_episodes
from clipnav.envs.datasets import dataset_spec
from clipnav.envs.worlds import world_files
from clipnav.storage import write_text
from clipnav.storage.errors import UserError
from clipnav.storage.json_files import read_json_object
from clipnav.storage.locks import sole_writer
from clipnav.storage.progress import progress_bar
from clipnav.training.checkpoints import RESULTS
from clipnav.training.distributed import check_device


def pair_paths(config: PairPathsConfig) -> None:
    """Pair the paths of the splits and write the files.

    Objects and results of other splits that are already in the folder are kept.
    """
    if config.threads:
        torch.set_num_threads(config.threads)
    check_device(config.device)
    files = world_files(config.world, config.data_dir)
    sources = {split: files.annotations("rxr", split) for split in config.splits}
    network, tokenizer, settings = load_language(config.language_representation, config.device)
    languages = settings.languages or dataset_spec(settings.dataset).languages
    settings = dataclasses.replace(settings, dataset="rxr", languages=languages)
    read = ", ".join(settings.languages)
    print(f"Languages of the instructions, which the representation has read: {read}")
    config.output.mkdir(parents=True, exist_ok=True)
    pairs_of: dict[str, dict[PathKey, MinedPair]] = {}
    with sole_writer(config.output):
        results = _earlier_results(config.output / RESULTS)
        for split, source in sources.items():
            episodes = split_episodes(settings, files, split)
            data = PathInstructions(episodes, tokenizer, settings.max_instruction_length)
            pairs = similar_paths(network, data, settings.centre)
            target = multi_path(config.output, split)
            if not pairs:
                raise UserError(
                    f"{source}: no path has a counterpart of the same length in another building; "
                    "leave the split out of --splits"
                )
            count = write_multi_file(target, source, pairs, files.remedy)
            pairs_of[split] = pairs
            similarity = float(np.mean([pair.similarity for pair in pairs.values()]))
            results[split] = {"pairs": len(pairs), "similarity": similarity}
            print(
                f"{target}: {count} instructions, {len(pairs)} of {len(data.paths)} paths paired, "
                f"mean similarity {similarity:.3f}"
            )
        if config.objects and files.is_built_in:
            classes = _write_house_objects(config.output / OBJECTS_FILE, pairs_of.values())
            for split, pairs in pairs_of.items():
                common, by_chance = common_classes(classes, _paired_viewpoints(pairs))
                results[split] |= {"common_classes": common, "common_classes_by_chance": by_chance}
                print(
                    f"{split}: paired panoramas have {100 * common:.1f} % of their object classes "
                    f"in common, others {100 * by_chance:.1f} %"
                )
        document = {"results": results}
        write_text(config.output / RESULTS, json.dumps(document, indent=2) + "\n")


def _earlier_results(path: Path) -> dict[str, dict[str, float]]:
    """Return the results by split that an earlier call has written."""
    if not path.exists():
        return {}
    remedy = "delete it; then clipnav pair-paths writes it again"
    results = read_json_object(path, remedy).get("results")
    if not isinstance(results, dict):
        raise UserError(f"{path}: no field 'results' with an object; {remedy}")
    return results


def _paired_viewpoints(
    pairs: Mapping[PathKey, MinedPair],
) -> list[tuple[tuple[str, str], tuple[str, str]]]:
    """Return scan and viewpoint of both panoramas at each step of paired paths."""
    return [
        ((scan, viewpoint), (pair.scan, other))
        for (scan, path), pair in pairs.items()
        for viewpoint, other in zip(path, pair.path, strict=True)
    ]


def similar_paths(
    network: LanguageRepresentation, data: PathInstructions, centre: bool
) -> dict[PathKey, MinedPair]:
    """Return the counterpart of each path of a split, by the similarity of its instructions."""
    embeddings = embed(network, data.tokens, centre).numpy()
    firsts = [data.episodes[group[0]] for group in data.paths]
    keys = [(episode.scan, episode.path) for episode in firsts]
    return mine_pairs(keys, path_embeddings(data.paths, embeddings))


def _write_house_objects(
    path: Path, splits: Iterable[Mapping[PathKey, MinedPair]]
) -> ObjectClasses:
    """Write the classes of the objects at all viewpoints of paired paths."""
    ordered = sorted(
        {(scan, viewpoint) for pairs in splits for scan, way in pairs for viewpoint in way}
    )
    bar = progress_bar(ordered, total=len(ordered), desc="objects", unit="viewpoints")
    classes = read_objects(path) if path.exists() else {}
    for scan, viewpoints in house_objects(bar).items():
        classes[scan] = classes.get(scan, {}) | viewpoints
    write_objects(path, classes)
    print(f"{path}: {len(ordered)} viewpoints")
    return classes
