"""Prompts of a run without a model: along the teacher's paths, with an estimate of the requests."""

import json
from pathlib import Path

import msgspec

from clipnav.agents.language_models.evaluation.evaluating import Experiment
from clipnav.agents.language_models.models.bodies import BodyMaker
from clipnav.agents.language_models.models.replies import Question
from clipnav.agents.language_models.prompts.messages import Prompt, prompt_text
from clipnav.envs.episodes.goals import check_goals
from clipnav.storage import atomic_write
from clipnav.storage.errors import counted
from clipnav.storage.progress import progress_bar

PROMPTS = "prompts.jsonl"


def write_prompts(experiment: Experiment) -> Path:
    """Write the prompts that the teacher's paths lead to, and print an estimate.

    A model that takes wrong turns, or may not stop at the goal yet, needs more requests.

    Raises:
        UserError: The goals of the split are not published, so that there is no teacher.
    """
    config, maker = experiment.config, experiment.maker
    episodes = maker.split.episodes
    consequence = "there are no teacher's paths to write prompts along"
    check_goals(episodes, f"--split {config.split}", consequence)
    bodies = BodyMaker(config.model_name, experiment.pictures, config.sampling)
    requests = size = pictures = 0
    path = experiment.output / PROMPTS
    experiment.output.mkdir(parents=True, exist_ok=True)
    with atomic_write(path) as beside, beside.open("wb") as file:
        for episode in progress_bar(episodes, desc="prompts", unit="episodes"):
            for step, question in enumerate(_questions(experiment, episode.instr_id)):
                entry = {"episode": episode.instr_id, "step": step}
                entry |= {"prompt": prompt_text(question.prompt)}
                file.write(msgspec.json.encode(entry) + b"\n")
                requests += 1
                pictures += count_pictures(question.prompt)
                size += len(json.dumps(bodies.make(question)))
    print(
        f"{counted(len(episodes), 'episode')}: {counted(requests, 'request')} along the teacher's "
        f"paths, with {counted(pictures, 'picture')} and {size / 1e6:.1f} MB. Prompts: {path}"
    )
    return path


def count_pictures(prompt: Prompt) -> int:
    """Return the number of pictures of a prompt."""
    return sum(not isinstance(part, str) for message in prompt for part in message.parts)


def _questions(experiment: Experiment, instr_id: str) -> list[Question]:
    walk = experiment.maker.start(instr_id)
    questions = []
    while walk.question is not None:
        questions.append(walk.question)
        action = walk.teacher_action()
        if action not in walk.actions:  # the teacher stops where the prompt has no such option yet
            break
        walk.take(action)
    return questions
