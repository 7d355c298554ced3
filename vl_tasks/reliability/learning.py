"""Adapter from confidence estimators to the training loop."""

from pathlib import Path

from clipnav.training.batches import ShuffledBatchOrder
from clipnav.training.learners import SavedNetwork, Selection, Summary
from clipnav.training.optimisers import make_optimiser
from clipnav.vl_tasks.reliability.confidence import expected_calibration_error
from clipnav.vl_tasks.reliability.folder import PARTS_FILE
from clipnav.vl_tasks.reliability.methods import Estimator, estimator_loss
from clipnav.vl_tasks.reliability.parts import write_parts
from clipnav.vl_tasks.reliability.scores.metrics import ties_averaged_auc
from clipnav.vl_tasks.reliability.task import SelectionTask
from clipnav.vl_tasks.vqa.task import SoftTargets

_METRIC = "selective accuracy"
_VAL = "val"


class SelectionLearner(SavedNetwork):
    """Adapter from a confidence estimator to the `Trainer`.

    The weights of a selector are chosen by the area under the risk-coverage curve of val; a
    calibration keeps its last weights, as published.
    """

    network: Estimator

    def __init__(self, task: SelectionTask, estimator: Estimator) -> None:
        self._task, self.network = task, estimator.to(task.config.device)
        config = task.config
        self.metadata = {"vqa model": task.digest}
        self.selection = Selection(_VAL, _METRIC) if config.method == "selector" else None
        self.clipped = [self.network]
        self.optimiser = make_optimiser(self.network, config.optimiser)
        dev = task.parts["dev"]
        self._order = ShuffledBatchOrder(len(dev.rows), config.batch_size, config.seed)
        self._targets = SoftTargets(dev.questions, task.answers)

    def backward(self, iteration: int) -> Summary:
        """Add the gradients of a batch and return its loss."""
        task, device = self._task, self._task.config.device
        batch = self._order.batch(iteration)
        outputs = task.outputs.batch(task.parts["dev"].rows[batch])
        outputs = {name: values.to(device) for name, values in outputs.items()}
        targets = self._targets.batch(batch).to(device)
        loss = estimator_loss(self.network, outputs, targets, task.unknown, task.config)
        loss.backward()
        return {"loss": loss.item()}

    def evaluate(self) -> dict[str, Summary]:
        """Return the scores of val; the mean accuracy over all coverages is 1 - AUC."""
        scored = self._task.score(_VAL, self._task.predict(self.network, _VAL))
        error = expected_calibration_error(scored.accuracy, scored.confidence)
        return {_VAL: {_METRIC: 1 - ties_averaged_auc(scored), "ECE": error}}

    def start(self, run: Path) -> None:
        """Write the division of the split for a new run."""
        write_parts(run / PARTS_FILE, self._task.division)
