"""Trained agents as policies of demonstrations."""

import dataclasses

from clipnav.agents.acting.rollout import Agent
from clipnav.agents.demonstrations.recording.settings import DemonstrationConfig
from clipnav.agents.experiments.runs import load_run
from clipnav.agents.settings import AgentConfig, read_agent_config
from clipnav.agents.specs import agent_spec
from clipnav.envs.episodes import base_language
from clipnav.envs.navigation.vector_env import VlnVectorEnv
from clipnav.storage.errors import UserError


def policy_settings(config: DemonstrationConfig) -> AgentConfig:
    """Return the settings of the policy's run, changed to those of an export."""
    assert config.policy is not None
    saved = read_agent_config(config.policy)
    for name in ("dataset", "world"):
        own, wanted = getattr(saved, name), getattr(config, name)
        if own != wanted:
            raise UserError(
                f"--policy {config.policy}: the run has --{name} {own}, but the export "
                f"--{name} {wanted}; export with --{name} {own}"
            )
    language, wanted = saved.instruction_language, config.instruction_language
    if language is not None and (wanted is None or language not in (wanted, base_language(wanted))):
        raise UserError(
            f"--policy {config.policy}: the run reads --instruction-language {language} only, but "
            f"the export has {wanted or 'all languages'}; add --instruction-language {language}, "
            "or name another run"
        )
    single_steps = "single-steps" in agent_spec(saved.agent).abilities
    if config.teacher_probability and not single_steps:
        raise UserError(
            f"--teacher-probability {config.teacher_probability}: {config.policy} is a run of "
            f"--agent {saved.agent}, which plans routes or remembers its actions, so that the "
            "teacher must not replace single steps; leave it out"
        )
    return dataclasses.replace(
        saved,
        teacher=config.teacher,
        data_dir=config.data_dir,
        instruction_language=config.instruction_language,
        max_episode_steps=config.max_episode_steps or saved.max_episode_steps,
        evaluation_batch_size=config.shard_episodes,
        device=config.device,
    )


def load_policy(config: DemonstrationConfig) -> tuple[VlnVectorEnv, Agent]:
    """Return the environment of an export and the agent of its policy."""
    assert config.policy is not None
    return load_run(config.policy, config.split, policy_settings(config))
