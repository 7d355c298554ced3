"""Walks of many episodes at a time, with a server or with a local model."""

from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import FIRST_COMPLETED, Future, ThreadPoolExecutor, wait
from dataclasses import dataclass, field, replace
from itertools import islice
from threading import Event, Lock

from gymnasium.vector import AutoresetMode

from clipnav.agents.language_models.models.replies import BatchModel, Model, RequestFailed, StopRun
from clipnav.agents.language_models.walks.asking import EpisodeWalk, Strategy, WalkSettings
from clipnav.agents.language_models.walks.continuous import ContinuousVlmWalkMaker, ContinuousWalk
from clipnav.envs.episodes.splits import LoadedSplit
from clipnav.envs.navigation.settings import EnvSettings
from clipnav.envs.navigation.vector_env import VlnVectorEnv

AnyWalk = EpisodeWalk | ContinuousWalk
OnWalk = Callable[[AnyWalk], None]
MOST_FAILURES = 10  # in a row, after which a server is not asked again


@dataclass
class VlmWalkMaker:
    """Starts walks, each in an environment of its own; environments are used again.

    Attributes:
        max_episode_steps: Largest number of decisions; the environment's default if None.
    """

    split: LoadedSplit
    strategy: Strategy
    settings: WalkSettings
    max_episode_steps: int | None = None
    _lock: Lock = field(default_factory=Lock)
    _free: list[VlnVectorEnv] = field(default_factory=list)

    def start(self, instr_id: str) -> EpisodeWalk:
        """Start the walk of an episode; may be called from several threads."""
        with self._lock:  # environments share tables, which the first one builds
            env = self._free.pop() if self._free else self.make_env()
        return EpisodeWalk(env, instr_id, self.strategy, self.settings, self._free.append)

    def make_env(self, num_envs: int = 1) -> VlnVectorEnv:
        """Build an environment of the episodes, without autoreset."""
        settings = EnvSettings(
            observe="indices", shuffle=False, max_episode_steps=self.max_episode_steps
        )
        return VlnVectorEnv(self.split, num_envs, settings, AutoresetMode.DISABLED)


@dataclass
class Finished:
    """Walks of a run.

    Attributes:
        walks: Complete walks by instr_id, in the order of the episodes.
        stopped: Why the run ended before all episodes; empty otherwise.
    """

    walks: dict[str, AnyWalk] = field(default_factory=dict)
    stopped: str = ""

    def without_failed(self) -> "Finished":
        """Return the walks that did not fail, which are scored, submitted and shown."""
        walks = {name: walk for name, walk in self.walks.items() if walk.ending != "failed"}
        return replace(self, walks=walks)


def walk_concurrently(
    maker: VlmWalkMaker | ContinuousVlmWalkMaker, model: Model, concurrency: int, on_walk: OnWalk
) -> Finished:
    """Walk all episodes of a split, with a thread for each of `concurrency` episodes.

    The results do not depend on the number of threads, unless `MOST_FAILURES` walks fail in a row,
    in the order in which they end: then no other walk starts.
    """
    stop = Event()

    def walk(instr_id: str) -> AnyWalk | None:
        current = maker.start(instr_id)
        while current.question is not None:
            if stop.is_set():
                return None
            try:
                current.receive(model.reply(current.question))
            except RequestFailed as error:
                current.fail(str(error))
            except StopRun:
                stop.set()
                raise
        return current

    ids = [episode.instr_id for episode in maker.split.episodes]
    done: dict[str, AnyWalk] = {}
    reason = ""
    pool = ThreadPoolExecutor(concurrency)
    try:
        for future in _as_they_end(pool, walk, ids, 2 * concurrency):
            try:
                finished = future.result()
                if finished is not None:
                    done[finished.instr_id] = finished
                    on_walk(finished)
                    _check_failures(done)
            except StopRun as error:
                stop.set()
                reason = reason or str(error)
    except BaseException:
        stop.set()
        model.close()  # cancels requests, for which the pool would wait otherwise
        raise
    finally:
        pool.shutdown(wait=True, cancel_futures=True)
    return Finished({i: done[i] for i in ids if i in done}, reason)


def _check_failures(done: dict[str, AnyWalk]) -> None:
    """Raise StopRun if the last walks that ended have all failed."""
    last = list(islice(reversed(done.values()), MOST_FAILURES))
    if len(last) == MOST_FAILURES and all(walk.ending == "failed" for walk in last):
        raise StopRun(f"{len(last)} episodes in a row failed; run the command again to resume")


def _as_they_end(
    pool: ThreadPoolExecutor, walk: Callable, ids: Sequence[str], ahead: int
) -> Iterator[Future]:
    """Yield the futures of walks as they end; at most `ahead` are submitted at a time."""
    remaining = iter(ids)
    pending: set[Future] = set()
    while True:
        for instr_id in remaining:
            pending.add(pool.submit(walk, instr_id))
            if len(pending) >= ahead:
                break
        if not pending:
            return
        ended, pending = wait(pending, return_when=FIRST_COMPLETED)
        yield from ended


def walk_in_batches(
    maker: VlmWalkMaker | ContinuousVlmWalkMaker,
    model: BatchModel,
    batch_size: int,
    on_walk: OnWalk,
    on_batch: Callable[[], object] = lambda: None,
) -> Finished:
    """Walk all episodes of a split with a model that answers several questions at once."""
    ids = [episode.instr_id for episode in maker.split.episodes]
    waiting = iter(ids)
    done: dict[str, AnyWalk] = {}
    live: list[AnyWalk] = []
    while True:
        while len(live) < batch_size and (instr_id := next(waiting, None)) is not None:
            live.append(maker.start(instr_id))
        if not live:
            return Finished({i: done[i] for i in ids})
        questions = [walk.question for walk in live if walk.question is not None]
        try:
            replies = model.replies(questions)
        except StopRun as error:
            return Finished({i: done[i] for i in ids if i in done}, str(error))
        on_batch()
        for walk, reply in zip(live, replies, strict=True):
            walk.receive(reply)
            if walk.ending:
                done[walk.instr_id] = walk
                on_walk(walk)
        live = [walk for walk in live if not walk.ending]
