"""Instructions of one path as pairs, for contrastive learning and for retrieval."""

from collections.abc import Iterator, Sequence
from typing import NamedTuple
from zlib import crc32

import numpy as np
import torch
from torch import Tensor

from clipnav.agents.clear.settings import LanguageConfig, PairRule
from clipnav.envs.episodes import Episode, base_language, load_episodes
from clipnav.envs.tokenizers import Tokenizer
from clipnav.envs.worlds import WorldFiles
from clipnav.storage.errors import UserError
from clipnav.training.batches import BucketedBatchOrder
from clipnav.training.streams import Stream

_BUCKET = 16  # batches among which paths are sorted by length


def split_episodes(config: LanguageConfig, files: WorldFiles, split: str) -> list[Episode]:
    """Read the episodes of a split in the languages of a run."""
    if not config.languages:
        return load_episodes(config.dataset, split, files)
    parts = [load_episodes(config.dataset, split, files, lang) for lang in config.languages]
    # A language may be named twice, with and without its country.
    return list({episode.instr_id: episode for part in parts for episode in part}.values())


class RetrievalTask(NamedTuple):
    """Instructions that search for an instruction of the same path.

    Attributes:
        name: Language of the queries and of the candidates, such as "en-hi".
        queries: (N,) instructions.
        candidates: (N,) instructions of the same paths, in the same order.
    """

    name: str
    queries: np.ndarray
    candidates: np.ndarray


class PathInstructions:
    """Instructions of a split, grouped by path.

    Attributes:
        episodes: Episodes of the split.
        tokens: (E, L) int32 token ids of the episodes.
    """

    def __init__(self, episodes: Sequence[Episode], tokenizer: Tokenizer, length: int) -> None:
        self.episodes = list(episodes)
        texts = [tokenizer.encode(episode.instruction, length) for episode in self.episodes]
        self.tokens = torch.from_numpy(np.stack(texts))
        self.paths = _by_path(self.episodes)

    def partners(self, path: int, anchor: int, rule: PairRule) -> list[int]:
        """Return the instructions of a path that may be the partner of one of them."""
        own = base_language(self.episodes[anchor].language)
        others = [index for index in self.paths[path] if index != anchor]
        if rule == "any":
            return others
        wanted = rule == "same-language"
        return [i for i in others if (base_language(self.episodes[i].language) == own) == wanted]

    def tasks(self) -> Iterator[RetrievalTask]:
        """Yield the retrieval tasks between every two languages.

        Each path has one instruction per language. With a single language, the second instruction
        of a path searches for the first.
        """
        firsts: dict[str, dict[int, int]] = {}
        seconds: dict[str, dict[int, int]] = {}
        for path, indices in enumerate(self.paths):
            for index in indices:
                language = base_language(self.episodes[index].language)
                table = firsts if path not in firsts.get(language, {}) else seconds
                table.setdefault(language, {}).setdefault(path, index)
        for one in sorted(firsts):
            for other in sorted(firsts):
                same = one == other
                if same and len(firsts) > 1:
                    continue
                source = seconds.get(one, {}) if same else firsts[one]
                shared = sorted(source.keys() & firsts[other].keys())
                if len(shared) > 1:
                    queries = np.array([source[path] for path in shared])
                    candidates = np.array([firsts[other][path] for path in shared])
                    yield RetrievalTask(f"{one}-{other}", queries, candidates)


class PairBatches:
    """Batches of pairs of instructions, reproducible from seed and iteration.

    A batch contains a path at most once, so that no negative describes the path of its anchor.
    """

    def __init__(
        self,
        data: PathInstructions,
        rule: PairRule,
        batch_size: int,
        seed: int,
        world_size: int = 1,
    ) -> None:
        self._data, self._seed = data, seed
        self._choices: dict[str, list[tuple[int, list[int]]]] = {}
        lengths = []
        for path, indices in enumerate(data.paths):
            options = [(index, data.partners(path, index, rule)) for index in indices]
            options = [(anchor, partners) for anchor, partners in options if partners]
            if options:
                self._choices[str(path)] = options
                lengths.append(max(int((data.tokens[i] != 0).sum()) for i in indices))
        if len(self._choices) < max(2, world_size):
            raise UserError(
                f"--partner {rule}: {len(self._choices)} paths have two such instructions, but a "
                f"batch requires {max(2, world_size)}; choose another rule, or more --languages"
            )
        names = list(self._choices)
        self._order = BucketedBatchOrder(names, lengths, batch_size, _BUCKET, seed, world_size)

    def batch(self, iteration: int, rank: int = 0, world_size: int = 1) -> tuple[Tensor, Tensor]:
        """Return tokens (B, L) of anchors and of their partners for one rank."""
        rng = Stream.LANGUAGE_PAIRS.rng(self._seed, iteration)
        pairs = []
        for name in self._order.batch(iteration):
            options = self._choices[name]
            anchor, partners = options[int(rng.integers(len(options)))]
            pairs.append((anchor, partners[int(rng.integers(len(partners)))]))
        anchors, partners = torch.tensor(pairs[rank::world_size]).T
        return self._data.tokens[anchors], self._data.tokens[partners]


class PartnerInstructions:
    """Another instruction of the same path for each episode of a split.

    A path with a single instruction is its own partner.

    Args:
        tokens: (E, L) token ids of their instructions.
    """

    def __init__(self, episodes: Sequence[Episode], tokens: np.ndarray) -> None:
        self._tokens = tokens
        groups = _by_path(episodes)
        self._choices = {
            episodes[index].instr_id: [other for other in group if other != index] or [index]
            for group in groups
            for index in group
        }
        if len(groups) == len(episodes):
            raise UserError(
                "--clear.contrastive-weight requires paths with two instructions, but every path "
                "has one; use 0, or omit --instruction-language"
            )

    def draw(self, instr_ids: Sequence[str], seed: int, iteration: int) -> np.ndarray:
        """Return the tokens (B, L) of a random partner of each episode.

        A partner depends on id, seed and iteration only, however ranks share a batch.

        Args:
            instr_ids: (B,) episodes.
        """
        rows = []
        for instr_id in instr_ids:
            choices = self._choices[instr_id]
            own = Stream.LANGUAGE_PARTNERS.rng(seed, iteration, crc32(instr_id.encode()))
            rows.append(choices[int(own.integers(len(choices)))])
        return self._tokens[rows]


def _by_path(episodes: Sequence[Episode]) -> list[list[int]]:
    """Return the indices of the episodes of each path, in the order of first occurrence."""
    groups: dict[tuple[str, tuple[str, ...]], list[int]] = {}
    for index, episode in enumerate(episodes):
        groups.setdefault((episode.scan, episode.path), []).append(index)
    return list(groups.values())
