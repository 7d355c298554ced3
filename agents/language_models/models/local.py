"""Local models of transformers, which answer in this process."""

import io
import math
import time
from collections.abc import Sequence
from typing import Any

from clipnav.agents.language_models.models.bodies import BodyMaker, request_key
from clipnav.agents.language_models.models.budget import Spending
from clipnav.agents.language_models.models.cache import ReplyCache
from clipnav.agents.language_models.models.constraining import AnswerConstraint, Vocabulary
from clipnav.agents.language_models.models.loading import LoadedModel
from clipnav.agents.language_models.models.replies import BudgetReached, Question, Reply, Usage
from clipnav.agents.language_models.prompts.messages import Message
from clipnav.agents.language_models.prompts.pictures import Pictures
from clipnav.agents.language_models.settings import AnswerFormat, SamplingConfig
from clipnav.storage.errors import UserError


class LocalModel:
    """Model of transformers that answers a batch of questions at a time.

    Args:
        loaded: The model.
        pictures: Pictures of the prompts.
        sampling: Sampling of the answers.
        cache: Cache of replies, whose keys contain the sizes and times of the model's files.
        spending: Limits and sums of the run.
        answer_format: Constraint on the answers: "schema"; "auto" and "text" have none.

    Attributes:
        loaded: The model.
    """

    def __init__(
        self,
        loaded: LoadedModel,
        pictures: Pictures,
        sampling: SamplingConfig,
        cache: ReplyCache,
        spending: Spending,
        answer_format: AnswerFormat = "text",
    ) -> None:
        self.loaded = loaded
        self._pictures, self._sampling = pictures, sampling
        self._cache, self._spending = cache, spending
        self._format: AnswerFormat = "text" if answer_format == "auto" else answer_format
        self._bodies = BodyMaker(loaded.name, pictures, sampling)
        self._address = loaded.identity
        text = loaded.model.config.get_text_config()
        self._context: float = getattr(text, "max_position_embeddings", math.inf)
        self._vocabulary = Vocabulary(loaded.tokenizer, text.vocab_size, loaded.ends[0])

    def replies(self, questions: Sequence[Question]) -> list[Reply]:
        """Answer questions, in their order; see `BatchModel`.

        If the budget allows a part of them, these are answered and cached before the error, so that
        the next run continues behind them.
        """
        keys = [request_key(self._address, self._bodies.make(q, self._format)) for q in questions]
        replies = [self._cache.read(key) for key in keys]
        missing = [number for number, reply in enumerate(replies) if reply is None]
        if missing:
            answers, limit = self._answer([questions[number] for number in missing])
            for row, reply in answers.items():
                self._cache.write(keys[missing[row]], reply)
                replies[missing[row]] = reply
            if limit is not None:
                raise limit
        return [reply for reply in replies if reply is not None]

    def _answer(
        self, questions: Sequence[Question]
    ) -> tuple[dict[int, Reply], BudgetReached | None]:
        """Return replies by row, and the limit of the budget that left the other rows out."""
        inputs = self.inputs(questions)
        lengths = inputs["attention_mask"].sum(1).tolist()
        room = self._context - self._sampling.max_answer_tokens
        replies = {
            row: Reply(f"{length} tokens; it reads {room} beside an answer", finish="too_long")
            for row, length in enumerate(lengths)
            if length > room
        }
        rest = [row for row in range(len(questions)) if row not in replies]
        allowed, limit = self._start_requests(len(rest))
        if allowed:
            asked = [questions[row] for row in rest[:allowed]]
            inputs = inputs if allowed == len(questions) else self.inputs(asked)
            replies |= zip(rest[:allowed], self._generate(inputs, asked), strict=True)
        return replies, limit

    def _start_requests(self, count: int) -> tuple[int, BudgetReached | None]:
        """Count requests; return how many the budget allows, and the limit that stops the next."""
        for number in range(count):
            try:
                self._spending.start_request()
            except BudgetReached as limit:
                return number, limit
        return count, None

    def _generate(self, inputs: Any, questions: Sequence[Question]) -> list[Reply]:
        import torch

        started = time.monotonic()
        most = self._sampling.max_answer_tokens
        settings: dict[str, Any] = {"max_new_tokens": most, "eos_token_id": self.loaded.ends}
        settings["do_sample"] = bool(self._sampling.temperature)
        if self._sampling.temperature:
            torch.manual_seed(self._sampling.sampling_seed or 0)
            settings["temperature"] = self._sampling.temperature
        if self._format == "schema":
            labels = [question.labels for question in questions]
            settings["logits_processor"] = [AnswerConstraint(self._vocabulary, labels, most)]
        with torch.inference_mode():
            outputs = self.loaded.model.generate(**inputs, **settings)
        length = inputs["input_ids"].shape[1]
        replies = self._read(inputs, outputs[:, length:], time.monotonic() - started)
        for reply in replies:
            self._spending.add(reply.usage)
        return replies

    def inputs(self, questions: Sequence[Question]) -> Any:
        """Return the padded input of the model for a batch of questions.

        Raises:
            UserError: A prompt has pictures, which the model does not read, or the chat template
                fails.
        """
        padding: dict[str, Any] = {"padding": True}
        if self.loaded.reads_pictures:
            padding = {"processor_kwargs": padding}
        return self.loaded.template.apply(
            [[self._message(message) for message in question.prompt] for question in questions],
            **padding,
        ).to(self.loaded.model.device)

    def _read(self, inputs: Any, outputs: Any, seconds: float) -> list[Reply]:
        padding = self.loaded.tokenizer.pad_token_id
        texts = self.loaded.processor.batch_decode(outputs, skip_special_tokens=True)
        special = {padding, *self.loaded.ends}
        replies = []
        for row, text in enumerate(texts):
            ended = bool(special & set(outputs[row].tolist()))
            tokens = sum(token != padding for token in outputs[row].tolist())
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
        if not self.loaded.reads_pictures:
            return {"role": message.role, "content": "\n".join(map(self._words, message.parts))}
        # Many templates loop over the content, of system messages as well.
        return {"role": message.role, "content": [self._part(part) for part in message.parts]}

    def _words(self, part: Any) -> str:
        if isinstance(part, str):
            return part
        raise UserError(
            f"{self.loaded.name}: reads no pictures; add --strategy navgpt or --pictures none, or "
            "name a vision-language model"
        )

    def _part(self, part: Any) -> dict[str, Any]:
        from PIL import Image

        if isinstance(part, str):
            return {"type": "text", "text": part}
        # The model sees the same JPEG file as a server does.
        return {"type": "image", "image": Image.open(io.BytesIO(self._pictures.jpeg(part)))}
