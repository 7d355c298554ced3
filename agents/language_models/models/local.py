"""Local image-text-to-text models of transformers."""

import io
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from agents.language_models.models.bodies import BodyMaker, request_key
from agents.language_models.models.cache import ReplyCache
from agents.language_models.models.replies import Question, Reply, Usage
from agents.language_models.prompts.messages import Message
from agents.language_models.prompts.pictures import Pictures
from agents.settings.language_models import SamplingConfig
from storage.hugging_face import reading
from training.devices import check_device

_SLOW = 5e8  # parameters


class LocalModel:
    """Model of transformers that answers a batch of questions at a time.

    Args:
        name: Name on the Hugging Face hub, or folder.
        pictures: Pictures of the prompts.
        sampling: Sampling of the answers.
        device: Device of the model.
        cache: Cache of replies, whose keys contain the sizes and times of a folder's files.

    Raises:
        ValueError: The model has no chat template, or torch cannot compute on the device.
        OSError: There is no such model.
    """

    def __init__(
        self,
        name: str,
        pictures: Pictures,
        sampling: SamplingConfig,
        device: str,
        cache: ReplyCache,
    ) -> None:
        from transformers import AutoModelForImageTextToText, AutoProcessor

        check_device(device)
        self._pictures, self._sampling, self._cache = pictures, sampling, cache
        with reading(name):
            self._processor: Any = AutoProcessor.from_pretrained(name)
            model: Any = AutoModelForImageTextToText.from_pretrained(name, dtype="auto")
        self._model = model.to(device).eval()
        if not getattr(self._processor, "chat_template", None):
            raise ValueError(f"{name}: has no chat template; choose a model for conversations")
        self._processor.tokenizer.padding_side = "left"
        if self._processor.tokenizer.pad_token is None:
            self._processor.tokenizer.pad_token = self._processor.tokenizer.eos_token
        parameters = sum(weight.numel() for weight in self._model.parameters())
        slow = "; a decision can take minutes" if device == "cpu" and parameters > _SLOW else ""
        print(f"{name}: {parameters / 1e6:.3g} million parameters on {device}{slow}")
        self._bodies = BodyMaker(name, pictures, sampling)
        self._address = _identity(name, model)

    def replies(self, questions: Sequence[Question]) -> list[Reply]:
        """Answer questions, in their order; see `BatchModel`."""
        keys = [request_key(self._address, self._bodies.make(q)) for q in questions]
        replies = [self._cache.read(key) for key in keys]
        missing = [number for number, reply in enumerate(replies) if reply is None]
        if missing:
            answers = self._generate([questions[number] for number in missing])
            for number, reply in zip(missing, answers, strict=True):
                self._cache.write(keys[number], reply)
                replies[number] = reply
        return [reply for reply in replies if reply is not None]

    def _generate(self, questions: Sequence[Question]) -> list[Reply]:
        import torch

        started = time.monotonic()
        conversations = [[self._message(m) for m in q.prompt] for q in questions]
        inputs = self._processor.apply_chat_template(
            conversations,
            add_generation_prompt=True,
            tokenize=True,
            return_dict=True,
            return_tensors="pt",
            processor_kwargs={"padding": True},
        ).to(self._model.device)
        settings: dict[str, Any] = {"max_new_tokens": self._sampling.max_answer_tokens}
        if self._sampling.temperature:
            torch.manual_seed(self._sampling.sampling_seed or 0)
            settings |= {"do_sample": True, "temperature": self._sampling.temperature}
        else:
            settings |= {"do_sample": False}
        with torch.inference_mode():
            outputs = self._model.generate(**inputs, **settings)
        length = inputs["input_ids"].shape[1]
        return self._read(inputs, outputs[:, length:], time.monotonic() - started)

    def _read(self, inputs: Any, outputs: Any, seconds: float) -> list[Reply]:
        tokenizer = self._processor.tokenizer
        texts = self._processor.batch_decode(outputs, skip_special_tokens=True)
        special = {tokenizer.pad_token_id, tokenizer.eos_token_id}
        replies = []
        for row, text in enumerate(texts):
            ended = bool(special & set(outputs[row].tolist()))
            tokens = sum(token != tokenizer.pad_token_id for token in outputs[row].tolist())
            replies.append(
                Reply(
                    text,
                    finish="stop" if ended else "length",
                    usage=Usage(int(inputs["attention_mask"][row].sum()), completion=tokens),
                    seconds=round(seconds / len(texts), 3),
                )
            )
        return replies

    def _message(self, message: Message) -> dict[str, Any]:
        # Many templates loop over the content, of system messages as well.
        return {"role": message.role, "content": [self._part(part) for part in message.parts]}

    def _part(self, part: Any) -> dict[str, Any]:
        from PIL import Image

        if isinstance(part, str):
            return {"type": "text", "text": part}
        # The model sees the same JPEG file as a server does.
        return {"type": "image", "image": Image.open(io.BytesIO(self._pictures.jpeg(part)))}


def _identity(name: str, model: Any) -> str:
    """Return a name that changes with the weights of a model."""
    folder = Path(name)
    if not folder.is_dir():
        return f"transformers:{name}@{getattr(model.config, '_commit_hash', None)}"
    files = sorted(path for path in folder.iterdir() if path.is_file())
    states = [f"{path.name}:{path.stat().st_size}:{path.stat().st_mtime_ns}" for path in files]
    return f"transformers:{folder.resolve()} {' '.join(states)}"
