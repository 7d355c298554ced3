"""Films of what a trained follower does."""

from pathlib import Path

from agents.evaluation import evaluate
from agents.submission import load_run
from envs.rendering import film, house_panorama


def film_outcomes(run: Path, split: str) -> list[Path]:
    """Film one success and one failure of a run's follower.

    Args:
        run: Folder that the training wrote; the films go there too.
        split: Split to take the episodes from.

    Returns:
        The files: RUN/success.gif and RUN/failure.gif, as far as there was such an episode. Of the
        successes the one with the longest path is shown, of the failures the shortest walk.
    """
    env, agent = load_run(run, split)
    evaluation = evaluate(env, agent, split)
    length = {name: len(poses) for name, poses in evaluation.trajectories.items()}
    won = [name for name, score in evaluation.scores.items() if score["success"]]
    lost = [name for name in evaluation.scores if name not in set(won)]
    chosen = {
        "success": max(won, key=length.__getitem__, default=None),
        "failure": min(lost, key=length.__getitem__, default=None),
    }
    episodes = {episode.instr_id: episode for episode in env.episodes}
    panorama = house_panorama if env.files.world == "houses" else None
    written = []
    for outcome, name in chosen.items():
        if name is None:
            continue
        episode = episodes[name]
        path = run / f"{outcome}.gif"
        graph = env.nav_world.graphs[episode.scan]
        film(graph, episode, evaluation.trajectories[name], panorama, path)
        written.append(path)
    return written
