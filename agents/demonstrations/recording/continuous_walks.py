"""Walks of the expert in continuous environments: steps of 25 cm and turns, and their pictures."""

import hashlib
import zlib
from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import msgspec
import numpy as np
from gymnasium.vector import AutoresetMode
from PIL import Image

from clipnav.agents.continuous.settings import ContinuousTrainConfig
from clipnav.agents.continuous.tasks import load_continuous_run
from clipnav.agents.continuous.walking import NetworkWalker
from clipnav.agents.demonstrations.recording.decisions import write_jpeg
from clipnav.agents.demonstrations.recording.records import RecordedStep, RecordedWalk, Source
from clipnav.agents.demonstrations.recording.settings import DemonstrationConfig, horizontal_fov
from clipnav.envs.base.infos import start_episodes
from clipnav.envs.continuous.environments.experts import ExpertWalks
from clipnav.envs.continuous.environments.vector_env import ContinuousVectorEnv
from clipnav.envs.continuous.environments.walks import ContinuousWalks
from clipnav.envs.continuous.episodes import ContinuousEpisode, load_continuous_split
from clipnav.envs.continuous.house_simulator import HouseSimulator
from clipnav.envs.continuous.settings import STOP, ContinuousSettings, task_settings
from clipnav.envs.continuous.walkers import Walker
from clipnav.envs.episodes import Episode
from clipnav.envs.tokenizers import Tokenizer
from clipnav.storage import atomic_write
from clipnav.storage.errors import UserError
from clipnav.storage.pictures import load_picture
from clipnav.training.settings import read_config
from clipnav.training.streams import Stream

_MOST_ACTIONS = 1000  # the longest walks of the expert on RxR's paths have about 400
_CAMERAS = 32  # pictures that are drawn in one call
_TURNS = {"streamvln": 15.0, "navila": 15.0, "uni-navid": 30.0, "internnav": 15.0}
MILLIMETRES = 1000  # of a metre
# Builds a step before its action: (row, feet, heading, label, taken, source) -> Step.
MakeStep = Callable[[int, np.ndarray, float, int, int, Source], RecordedStep]


def continuous_settings(config: DemonstrationConfig) -> ContinuousSettings:
    """Return the task of an export: that of the dataset, with the turns of the format."""
    height, width = config.picture_shape
    settings = task_settings(
        config.dataset,
        tilt_actions=False,
        rgb_size=(height, width),
        hfov=horizontal_fov(config.vfov, height, width),
        observe=(),
        teacher="path" if config.teacher == "reference" else "goal",
        max_episode_steps=_MOST_ACTIONS,
    )
    if config.format == "internnav":
        camera_height = config.goal_cameras.height / 100
        settings = replace(settings, depth_size=(height, width), camera_height=camera_height)
    return replace(settings, turn_angle=_TURNS.get(config.format, settings.turn_angle))


class ContinuousWalkMaker:
    """Maker of the expert's walks and of their pictures, for the shards of one export."""

    def __init__(self, config: DemonstrationConfig) -> None:
        self._config = config
        self._settings = continuous_settings(config)
        self._simulator = HouseSimulator(self._settings)
        self._split = load_continuous_split(
            config.dataset, config.split, config.world, config.data_dir, config.instruction_language
        )
        self._policy: tuple[ContinuousSettings, Tokenizer, Walker] | None = None
        self._episodes = {episode.instr_id: episode for episode in self._split.episodes}

    def walks(self, episodes: Sequence[Episode]) -> list[RecordedWalk]:
        """Walk episodes of one building; instructions of the same path share a walk."""
        chosen = [self._episodes[episode.instr_id] for episode in episodes]
        if self._config.policy is not None:
            return self._policy_walks(chosen, self._config.policy)
        paths = {(e.path_id, e.heading): e for e in chosen}
        walked = dict(zip(paths, self._expert_walks(list(paths.values())), strict=True))
        return [RecordedWalk.of(e, *walked[e.path_id, e.heading]) for e in chosen]

    def write_pictures(self, walks: list[RecordedWalk], folder: Path) -> None:
        """Write the pictures of walks that do not exist yet."""
        steps = {step.picture: (walk.scan, step) for walk in walks for step in walk.steps}
        if self._config.format != "internnav":
            self._draw(steps, 0, folder)
            return
        cameras = self._config.goal_cameras
        self._draw(steps, cameras.ahead, folder)
        below = {step.look_down: (scan, step) for scan, step in steps.values()}
        self._draw(below, cameras.down, folder, with_depth=True)

    def _draw(
        self,
        poses: dict[str, tuple[str, RecordedStep]],
        pitch: int,
        folder: Path,
        with_depth: bool = False,
    ) -> None:
        """Write pictures by name, `pitch` degrees below the horizon, unless they exist."""
        missing = [name for name in poses if not (folder / name).is_file()]
        height = self._settings.camera_height
        for start in range(0, len(missing), _CAMERAS):
            names = missing[start : start + _CAMERAS]
            scans, steps = zip(*(poses[name] for name in names), strict=True)
            feet = np.array([step.position for step in steps]) - (0.0, 0.0, height)
            headings = np.array([step.heading for step in steps])
            tilts = np.full(len(names), -np.radians(pitch))
            sensors = ("rgb", "depth") if with_depth else ("rgb",)
            views = self._simulator.draw(scans, feet, headings, tilts, sensors)
            for number, name in enumerate(names):
                if with_depth:
                    _write_depth((folder / name).with_suffix(".png"), views["depth"][number])
                write_jpeg(folder / name, views["rgb"][number], self._config.jpeg_quality)

    def _policy_walks(self, episodes: list[ContinuousEpisode], run: Path) -> list[RecordedWalk]:
        """Walk episodes with a trained agent, whose steps the expert labels."""
        config = self._config
        if self._policy is None:
            limit = config.max_episode_steps or task_settings(config.dataset).max_episode_steps
            limited = replace(self._settings, max_episode_steps=limit)
            self._policy = _load_continuous_policy(run, limited, config.device)
        settings, tokenizer, walker = self._policy
        split = replace(self._split, episodes=episodes, tokenizer=tokenizer)
        env = ContinuousVectorEnv(
            split, HouseSimulator(settings), len(episodes), settings, AutoresetMode.DISABLED
        )

        def make_step(row: int, *values: Any) -> RecordedStep:
            return self._step(episodes[row].scan, *values)

        walked = continuous_policy_walks(
            env, walker, make_step, config.teacher_probability, config.seed
        )
        return [
            RecordedWalk.of(episode, steps, success)
            for episode, steps, success in zip(episodes, *walked, strict=True)
        ]

    def _expert_walks(
        self, episodes: list[ContinuousEpisode]
    ) -> list[tuple[tuple[RecordedStep, ...], bool]]:
        """Return the steps of the expert's walks, and whether they reach the goal."""
        split = replace(self._split, episodes=episodes)
        walks = ContinuousWalks(split, self._simulator, len(episodes), self._settings)
        experts = ExpertWalks(split, self._simulator, self._settings)
        walks.start(np.arange(len(episodes)), np.arange(len(episodes)))
        recorded: list[list[RecordedStep]] = [[] for _ in episodes]
        while not (walks.terminated | walks.truncated).all():
            live = np.flatnonzero(~(walks.terminated | walks.truncated)).tolist()
            actions = experts.actions(walks.episodes, walks.traces())
            positions, headings = walks.positions.copy(), walks.headings
            walks.step(actions, _MOST_ACTIONS)
            for row in live:
                action, pose = int(actions[row]), (positions[row], float(headings[row]))
                step = self._step(episodes[row].scan, *pose, action, action, "teacher")
                collided = bool(walks.collided[row])
                recorded[row].append(msgspec.structs.replace(step, collided=collided))
        near = walks.distances < self._settings.success_distance
        reached = (walks.terminated & near).tolist()
        return list(zip(map(tuple, recorded), reached, strict=True))

    def _step(
        self, scan: str, feet: np.ndarray, heading: float, label: int, taken: int, source: Source
    ) -> RecordedStep:
        """Return the step of an agent before it acts."""
        x, y, z = feet.tolist()
        pose = np.array([x, y, z, heading]).tobytes()
        name = hashlib.blake2b(pose, digest_size=12).hexdigest()
        return RecordedStep(
            position=(x, y, z + self._settings.camera_height),
            heading=heading,
            label=label,
            taken=taken,
            source=source,
            picture=f"{scan}/{name}.jpg",
        )


def _write_depth(path: Path, depth: np.ndarray) -> None:
    """Write depth (H, W) in metres as a PNG file of millimetres atomically."""
    with atomic_write(path) as beside:
        millimetres = np.rint(depth * MILLIMETRES).clip(0, np.iinfo(np.uint16).max)
        Image.fromarray(millimetres.astype(np.uint16)).save(beside, format="PNG")


def read_depth(path: Path) -> np.ndarray:
    """Return the depth (H, W) of such a file in metres."""
    return np.asarray(load_picture(path), float) / MILLIMETRES


def check_continuous_policy(config: DemonstrationConfig, turn_angle: float) -> None:
    """Check that the run of the policy fits the export."""
    assert config.policy is not None
    saved = read_config(config.policy, ContinuousTrainConfig)
    tilts = any(task_settings(name).tilt_actions for name in (saved.dataset, config.dataset))
    if tilts or saved.dataset != config.dataset or saved.world != config.world:
        raise UserError(
            f"--policy {config.policy}: the run has --dataset {saved.dataset} --world "
            f"{saved.world}; policies of continuous walks require runs and exports of one dataset "
            "in one world, and no agent that tilts its cameras as those of rxr do"
        )
    if turn_angle != 15:
        raise UserError(
            f"--format {config.format}: its turns have {turn_angle:g} degrees, but those of "
            f"{config.policy} 15; export another format, or remove --policy"
        )


def _load_continuous_policy(
    run: Path, settings: ContinuousSettings, device: str
) -> tuple[ContinuousSettings, Tokenizer, Walker]:
    """Return settings with the cameras of a run, its tokenizer and its agent."""
    task, walker = load_continuous_run(run, device)
    names = ("observe", "rgb_size", "depth_size", "hfov")
    cameras = {name: getattr(task.settings, name) for name in names}
    return replace(settings, **cameras), task.tokenizer, walker


def continuous_policy_walks(
    env: ContinuousVectorEnv,
    walker: Walker,
    make_step: MakeStep,
    teacher_probability: float = 0.0,
    seed: int = 0,
) -> tuple[list[tuple[RecordedStep, ...]], list[bool]]:
    """Walk all episodes of an environment at once; the expert labels each step.

    Where the policy stops although the expert does not, the expert takes over.
    """
    ids = [episode.instr_id for episode in env.episodes]
    observation, info, live = start_episodes(env, ids)
    walker.start(observation, info)
    stream = Stream.CONTINUOUS_TEACHER_STEPS
    draws = [stream.rng(seed, zlib.crc32(name.encode())).random for name in ids]
    led = np.zeros(len(ids), bool)
    recorded: list[list[RecordedStep]] = [[] for _ in ids]
    while live.size:
        labels = env.teacher_actions()
        chosen = walker.act(observation, info, live)
        actions = np.full(len(ids), STOP)
        here: list[tuple[int, RecordedStep]] = []
        for row in live.tolist():
            label, action = int(labels[row]), int(chosen[row])
            led[row] |= action == STOP != label
            by_teacher = led[row] or draws[row]() < teacher_probability
            source: Source = "teacher" if by_teacher else "policy"
            actions[row] = label if by_teacher else action
            pose = info["position"][row], float(info["heading"][row])
            here.append((row, make_step(row, *pose, label, int(actions[row]), source)))
        if isinstance(walker, NetworkWalker):
            walker.follow(actions)
        observation, _, stopped, truncated, info = env.step(actions)
        for row, step in here:
            collided = bool(info["collided"][row])
            recorded[row].append(msgspec.structs.replace(step, collided=collided))
        live = live[~(stopped | truncated)[live]]
    near = np.asarray(info["distance_to_goal"], float) < env.settings.success_distance
    return [tuple(steps) for steps in recorded], (stopped & near).tolist()
