"""Trained agents as policies of continuous walks, labelled by the expert (DAgger)."""

import zlib
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import msgspec
import numpy as np

from clipnav.agents.continuous.settings import ContinuousTrainConfig
from clipnav.agents.continuous.tasks import load_continuous_run
from clipnav.agents.continuous.walking import NetworkWalker
from clipnav.agents.demonstrations.recording.records import Source, Step
from clipnav.agents.demonstrations.recording.settings import DemonstrationConfig
from clipnav.envs.base.chosen_episodes import start_episodes
from clipnav.envs.continuous.environments.vector_env import ContinuousVectorEnv
from clipnav.envs.continuous.settings import STOP, ContinuousSettings, task_settings
from clipnav.envs.continuous.walkers import Walker
from clipnav.envs.tokenizers import Tokenizer
from clipnav.storage.errors import UserError
from clipnav.training.settings import read_config
from clipnav.training.streams import Stream

# Builds a step before its action: (row, feet, heading, label, taken, source) -> Step.
MakeStep = Callable[[int, np.ndarray, float, int, int, Source], Step]


def check_continuous_policy(config: DemonstrationConfig, turn_angle: float) -> None:
    """Check that the run of the policy fits the export.

    Args:
        config: Settings of the export.
        turn_angle: Degrees of a turn of its format.

    Raises:
        FileNotFoundError, UserError: The folder is not a run, or the run does not fit the export.
    """
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


def load_continuous_policy(
    run: Path, settings: ContinuousSettings, device: str
) -> tuple[ContinuousSettings, Tokenizer, NetworkWalker]:
    """Return settings with the cameras of a run, its tokenizer and its agent.

    Raises:
        FileNotFoundError, UserError: Files of the run are missing or damaged.
    """
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
) -> tuple[list[tuple[Step, ...]], list[bool]]:
    """Walk all episodes of an environment at once; the expert labels each step.

    Where the policy stops although the expert does not, the expert takes over.

    Args:
        env: Environment with one agent for each episode, a teacher and no autoreset.
        walker: The policy.
        make_step: Builder of steps.
        teacher_probability: Probability of the expert's action at a step.
        seed: Random seed of these draws, which also depend on the id of the episode.

    Returns:
        Steps of each walk, and whether it stops near the goal.
    """
    ids = [episode.instr_id for episode in env.episodes]
    observation, info, live = start_episodes(env, ids)
    walker.start(observation, info)
    draws = [_draws(seed, instr_id) for instr_id in ids]
    led = np.zeros(len(ids), bool)
    recorded: list[list[Step]] = [[] for _ in ids]
    while live.size:
        labels = env.teacher_actions()
        chosen = walker.act(observation, info, live)
        actions = np.full(len(ids), STOP)
        here: list[tuple[int, Step]] = []
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


def _draws(seed: int, instr_id: str) -> Callable[[], float]:
    return Stream.CONTINUOUS_TEACHER_STEPS.rng(seed, zlib.crc32(instr_id.encode())).random
