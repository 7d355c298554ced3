"""Training of either representation, and its retrieval figures."""

from functools import partial

from clipnav.agents.clear.language_training import LanguageLearner
from clipnav.agents.clear.retrieval import results_table
from clipnav.agents.clear.settings import LanguageConfig, VisualConfig
from clipnav.agents.clear.visual_training import VisualLearner
from clipnav.training import distributed
from clipnav.training.learners import Summary
from clipnav.training.streams import rank_iteration_seed
from clipnav.training.trainer import Trainer


def make_trainer(
    config: LanguageConfig | VisualConfig,
) -> tuple[Trainer, LanguageLearner | VisualLearner]:
    """Build the trainer of a representation and its learner."""
    distributed.set_up_torch(config.device, config.threads, "highest", config.seed)
    distributed.join(config.device)
    is_visual = isinstance(config, VisualConfig)
    learner = VisualLearner(config) if is_visual else LanguageLearner(config)
    noise = partial(rank_iteration_seed, config.seed, learner.noise, rank=distributed.rank())
    return Trainer(config, learner, noise), learner


@distributed.destroys_process_group
def train(config: LanguageConfig | VisualConfig) -> dict[str, dict[str, Summary]]:
    """Train a representation, print its retrieval figures and write RUN/results.json.

    Returns:
        Figures by split and weights: "trained", and "initial" weights for comparison, or the
        "features" that a visual representation encodes.
    """
    trainer, learner = make_trainer(config)
    trainer.train()
    learner.load_model(trainer.run)
    learner.network.eval()
    trained, compared = learner.evaluate(), learner.evaluate_untrained()
    results = {
        split: {"trained": figures, learner.untrained: compared[split]}
        for split, figures in trained.items()
    }
    trainer.report(results)
    if distributed.rank() == 0:
        print(results_table(results))
        print(f"Run: {trainer.run}")
    return results
