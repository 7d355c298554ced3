"""The command that pairs each RxR path with a similar one in another building."""

from collections.abc import Iterable
from pathlib import Path

import numpy as np
import torch

from agents.clear.language_data import PathInstructions
from agents.clear.language_network import LanguageRepresentation, embed
from agents.clear.loading import load_language
from agents.clear.mining import MinedPair, PathKey, mine_pairs, path_embeddings
from agents.clear.objects import OBJECTS_FILE, house_objects, write_objects
from agents.clear.pair_files import multi_path, write_multi_file
from agents.clear.settings import PairPathsConfig
from envs.episodes import load_episodes
from envs.worlds import world_files
from storage.locks import sole_writer
from storage.progress import progress_bar
from training.devices import check_device


def pair_paths(config: PairPathsConfig) -> None:
    """Pair the paths of all splits and write the files.

    Raises:
        FileNotFoundError: The run or a split does not exist.
        ValueError: The run or an annotation file is damaged, or no path of a split has a
            counterpart.
    """
    if config.threads:
        torch.set_num_threads(config.threads)
    check_device(config.device)
    files = world_files(config.world, config.data_dir)
    sources = {split: files.annotations("rxr", split) for split in config.splits}
    network, tokenizer, settings = load_language(config.language_representation, config.device)
    config.output.mkdir(parents=True, exist_ok=True)
    viewpoints: set[tuple[str, str]] = set()
    with sole_writer(config.output):
        for split, source in sources.items():
            episodes = load_episodes("rxr", split, files)
            data = PathInstructions(episodes, tokenizer, settings.max_instruction_length)
            pairs = similar_paths(network, data, settings.centre)
            target = multi_path(config.output, split)
            if not pairs:
                raise ValueError(
                    f"{source}: no path has a counterpart of the same length in another building; "
                    "leave the split out of --splits"
                )
            count = write_multi_file(target, source, pairs, files.remedy)
            viewpoints |= {(scan, viewpoint) for scan, path in pairs for viewpoint in path}
            similarity = np.mean([pair.similarity for pair in pairs.values()])
            print(
                f"{target}: {count} instructions, {len(pairs)} of {len(data.paths)} paths paired, "
                f"mean similarity {similarity:.3f}"
            )
        if config.objects and files.is_built_in:
            _write_house_objects(config.output / OBJECTS_FILE, viewpoints)


def similar_paths(
    network: LanguageRepresentation, data: PathInstructions, centre: bool
) -> dict[PathKey, MinedPair]:
    """Return the counterpart of each path of a split, by the similarity of all instructions.

    Args:
        network: The representation.
        data: Instructions of the split.
        centre: Whether to subtract the mean embedding.
    """
    embeddings = embed(network, data.tokens, centre).numpy()
    firsts = [data.episodes[group[0]] for group in data.paths]
    keys = [(episode.scan, episode.path) for episode in firsts]
    return mine_pairs(keys, path_embeddings(data.paths, embeddings))


def _write_house_objects(path: Path, viewpoints: Iterable[tuple[str, str]]) -> None:
    ordered = sorted(viewpoints)
    bar = progress_bar(ordered, total=len(ordered), desc="objects", unit="viewpoints")
    write_objects(path, house_objects(bar))
    print(f"{path}: {len(ordered)} viewpoints")
