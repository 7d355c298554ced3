"""Evaluate a vision-language model that chooses each action of an agent.

$ clipnav evaluate-vlm --url http://localhost:8000/v1 --model NAME --split val_unseen
$ clipnav evaluate-vlm --local-model FOLDER --episodes 24 --concurrency 4
$ clipnav evaluate-vlm --url http://localhost:8000/v1 --model NAME --dry-run
$ clipnav evaluate-vlm --url http://localhost:8000/v1 --model NAME --environment continuous

The model is on a server with OpenAI's chat-completions interface, or a transformers model in this
process. Answers are cached: run the same command again to resume an interrupted run without sending
a request twice. The exit status is 1 if episodes failed or a limit of the budget ended the run.
"""

from collections.abc import Sequence

from clipnav.agents.language_models.settings import EvaluateVlmConfig
from clipnav.parsing import parse


def main(arguments: Sequence[str]) -> int:
    """Parse the command line and evaluate."""
    config = parse(EvaluateVlmConfig, __name__, __doc__, arguments)
    # Imported here so that --help answers without loading torch.
    from clipnav.agents.language_models.evaluation.evaluating import (
        prepare,
        run_experiment,
        write_prompts,
    )
    from clipnav.commands.agents.vlm_walks import view_captions, write_traces

    experiment = prepare(config, describe=view_captions(config))
    if config.dry_run:
        write_prompts(experiment)
        return 0
    if config.environment == "continuous":  # the viewer shows walks on graphs
        return run_experiment(experiment)
    return run_experiment(experiment, lambda finished: write_traces(experiment, finished))
