"""Fine-tuning of a vision-language model on answers, with adapters or of all weights."""

import os
import shutil
from collections.abc import Mapping, Sequence
from functools import partial
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from clipnav.agents.demonstrations.formats.conversations import Conversation, read
from clipnav.agents.demonstrations.manifest import read_manifest
from clipnav.agents.vlm_finetuning.settings import FinetuneVlmConfig
from clipnav.storage import temporary_path
from clipnav.storage.chat_templates import ChatTemplate
from clipnav.storage.errors import UserError
from clipnav.storage.extras import import_extra
from clipnav.storage.hugging_face import check_folder, reading
from clipnav.storage.pictures import load_picture
from clipnav.training.batches import ShuffledBatchOrder
from clipnav.training.distributed import set_up_torch
from clipnav.training.learners import SavedNetwork, Selection, Summary
from clipnav.training.optimisers import make_optimiser
from clipnav.training.streams import Stream, iteration_seed
from clipnav.training.trainer import Trainer

_IGNORED = -100  # label of tokens without a loss, in transformers
_VISION = r".*(?:visual|vision).*"  # names of the vision towers of transformers
_MERGED = "merged"


def read_records(folder: Path) -> list[Conversation]:
    """Read the records of an export strictly."""
    name = read_manifest(folder)["settings"].get("format")
    if name != "messages":
        raise UserError(
            f"{folder}: has the format {name}, but fine-tuning reads messages; export it again "
            "with --format messages"
        )
    return read(folder)


def messages(record: Conversation) -> list[dict[str, Any]]:
    """Return the messages of a prompt as a processor of transformers reads them.

    They equal those that `clipnav evaluate-vlm --local-model` sends.
    """
    parts: list[dict[str, Any]] = []
    for part in record.parts:
        if isinstance(part, str):
            parts.append({"type": "text", "text": part})
        else:
            parts.append({"type": "image", "image": load_picture(part).convert("RGB")})
    system = [{"type": "text", "text": record.system}]
    return [{"role": "system", "content": system}, {"role": "user", "content": parts}]


def model_inputs(template: ChatTemplate, record: Conversation) -> dict[str, torch.Tensor]:
    """Return the inputs of a model for a record, with `labels` for the answer's tokens only.

    The answer's tokens are appended to those of the prompt, so that the prompt has the same tokens
    as at an evaluation, whatever follows it.
    """
    inputs = template.apply([messages(record)])
    tokenizer = template.processor.tokenizer
    ids = tokenizer(record.answer, add_special_tokens=False)["input_ids"]
    answer = torch.tensor([[*ids, tokenizer.eos_token_id]])
    prompt = inputs["input_ids"]
    extended = dict(inputs)
    for name, values in inputs.items():
        if values.shape == prompt.shape:  # masks and types of tokens
            fill = torch.full_like(answer, int(name == "attention_mask"), dtype=values.dtype)
            extended[name] = torch.cat([values, fill], 1)
    extended["input_ids"] = torch.cat([prompt, answer], 1)
    extended["labels"] = torch.cat([torch.full_like(prompt, _IGNORED), answer], 1)
    return extended


def _answer_scores(logits: torch.Tensor, labels: torch.Tensor) -> tuple[torch.Tensor, bool]:
    """Return the log-probability (T,) of each answer token, and whether greedy decoding is right.

    Args:
        logits: (1, L, V) scores of the next token.
        labels: (1, L) labels as from `model_inputs`.
    """
    targets = labels[0, 1:]
    rows = torch.nonzero(targets != _IGNORED)[:, 0]
    scores = torch.log_softmax(logits[0, rows].float(), -1)
    chosen = scores.gather(1, targets[rows, None])[:, 0]
    return chosen, bool((scores.argmax(1) == targets[rows]).all())


def check_fit(records: Sequence[Conversation], folder: Path) -> None:
    """Check that an export has records."""
    if not records:
        raise UserError(f"{folder}: has no records; export more episodes")


class TrainedWeights(nn.Module):
    """The trained weights of a model, without its frozen ones, so that checkpoints stay small."""

    def __init__(self, model: nn.Module, architecture: dict[str, str]) -> None:
        super().__init__()
        self._held = [model]  # in a list, so that its frozen weights are not registered
        self._architecture = architecture
        self.weights = nn.ParameterDict(
            {
                name.replace(".", "/"): weight
                for name, weight in model.named_parameters()
                if weight.requires_grad
            }
        )

    @property
    def model(self) -> nn.Module:
        """The whole model."""
        return self._held[0]

    @property
    def architecture(self) -> dict[str, str]:
        """Names and values that must match when weights are loaded."""
        return self._architecture

    def train(self, mode: bool = True) -> "TrainedWeights":
        """Turn dropout of the whole model on or off."""
        self.model.train(mode)
        return super().train(mode)


class VlmLearner(SavedNetwork):
    """Learner of a fine-tuning; see `clipnav.training.learners.Learner`."""

    network: TrainedWeights

    def __init__(self, config: FinetuneVlmConfig) -> None:
        from transformers import AutoModelForImageTextToText, AutoProcessor

        assert config.data is not None
        assert config.model is not None
        self.config = config
        self.records = _records(config.data)
        self.validation = [] if config.validation is None else _records(config.validation)
        check_folder(config.model)
        with reading(config.model):
            self.processor: Any = AutoProcessor.from_pretrained(
                config.model, trust_remote_code=False
            )
        self.template = ChatTemplate(config.model, self.processor)
        dtype = torch.bfloat16 if config.precision == "bf16" else torch.float32
        with reading(config.model):
            base: Any = AutoModelForImageTextToText.from_pretrained(
                config.model, dtype=dtype, trust_remote_code=False
            )
        if config.gradient_checkpointing:
            base.gradient_checkpointing_enable()
            base.enable_input_require_grads()
        torch.manual_seed(config.seed)
        if config.lora_rank:  # adapters at the linear layers, except the output layer
            peft = import_extra("peft", "finetuning", "clipnav finetune-vlm --lora-rank")
            settings = peft.LoraConfig(
                r=config.lora_rank,
                lora_alpha=config.lora_alpha,
                lora_dropout=config.lora_dropout,
                target_modules="all-linear",
                exclude_modules=None if config.tune_vision else _VISION,
            )
            base = peft.get_peft_model(base, settings)
        self.model: Any = base.to(config.device)
        self.network = TrainedWeights(self.model, {"lora_rank": str(config.lora_rank)})
        self.optimiser = make_optimiser(self.network, config.optimiser)
        self._order = ShuffledBatchOrder(len(self.records), config.batch_size, config.seed)

    @property
    def metadata(self) -> Mapping[str, str]:
        """Name of the model that the weights adapt."""
        return {"model": str(self.config.model)}

    @property
    def selection(self) -> Selection | None:
        """Accuracy on the validation records, if there are any."""
        return Selection("validation", "accuracy") if self.validation else None

    @property
    def clipped(self) -> list[nn.Module]:
        """The trained weights."""
        return [self.network]

    def backward(self, iteration: int) -> dict[str, float]:
        """Accumulate the gradient of the mean loss of a batch, record after record."""
        total, rows = 0.0, self._order.batch(iteration)
        for row in rows.tolist():
            scores, _ = self._scores(self.records[row])
            loss = -scores.mean() / len(rows)
            loss.backward()
            total += loss.item()
        return {"loss": total}

    @torch.no_grad()
    def evaluate(self) -> Mapping[str, Summary]:
        """Return the share of validation answers that greedy decoding gives, and their loss."""
        scored = [self._scores(record) for record in self.validation]
        log_prob = sum(float(scores.sum()) for scores, _ in scored) / len(scored)
        right = sum(is_right for _, is_right in scored)
        return {"validation": {"accuracy": right / len(scored), "log_prob": log_prob}}

    def start(self, run: Path) -> None:
        """Write nothing: the processor is saved with the merged model."""

    def _scores(self, record: Conversation) -> tuple[Tensor, bool]:
        inputs = model_inputs(self.template, record)
        inputs = {name: values.to(self.config.device) for name, values in inputs.items()}
        labels = inputs.pop("labels")
        return _answer_scores(self.model(**inputs, use_cache=False).logits, labels)


def vlm_trainer(config: FinetuneVlmConfig) -> tuple[Trainer, VlmLearner]:
    """Build the trainer of a fine-tuning and its learner."""
    set_up_torch(config.device, config.threads, "high", config.seed)
    learner = VlmLearner(config)
    return Trainer(config, learner, partial(iteration_seed, config.seed, Stream.VLM_NOISE)), learner


def _records(folder: Path) -> list[Conversation]:
    records = read_records(folder)
    check_fit(records, folder)
    return records


def finetune_vlm(config: FinetuneVlmConfig) -> Path:
    """Fine-tune a model, print its figures, and write RUN/merged."""
    trainer, learner = vlm_trainer(config)
    trainer.train()
    learner.load_model(trainer.run)
    learner.network.eval()
    results = dict(learner.evaluate()) if learner.validation else {}
    trainer.report(results)
    for split, figures in results.items():
        for name, value in figures.items():
            print(f"{split}: {name} {value:.3f}")
    folder = write_merged(learner, trainer.run)
    print(f"Model: {folder}; evaluate it with clipnav evaluate-vlm --local-model {folder}")
    return folder


def write_merged(learner: VlmLearner, run: Path) -> Path:
    """Write the model, with its adapters merged into it, and its processor; return the folder.

    A folder of an earlier training stays until the new one is complete.
    """
    folder = run / _MERGED
    beside = temporary_path(folder)
    model = learner.model.merge_and_unload() if learner.config.lora_rank else learner.model
    try:
        model.save_pretrained(beside)
        learner.processor.save_pretrained(beside)
        shutil.rmtree(folder, ignore_errors=True)
        os.replace(beside, folder)
    finally:
        shutil.rmtree(beside, ignore_errors=True)
    return folder
