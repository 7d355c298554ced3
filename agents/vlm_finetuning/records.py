"""Records of an export as inputs of a model: prompts with pictures, and tokens of answers."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import torch

from clipnav.agents.demonstrations.formats.conversations import Conversation, read
from clipnav.agents.demonstrations.manifest import read_manifest
from clipnav.storage.chat_templates import ChatTemplate
from clipnav.storage.errors import UserError
from clipnav.storage.pictures import load_picture

_IGNORED = -100  # label of tokens without a loss, in transformers


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


def answer_scores(logits: torch.Tensor, labels: torch.Tensor) -> tuple[torch.Tensor, bool]:
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
