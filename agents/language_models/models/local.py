"""Local models of transformers, which answer in this process."""

import io
import math
import time
from collections.abc import Generator, Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

import torch
from PIL import Image

from clipnav.agents.language_models.models.bodies import BodyMaker, request_key
from clipnav.agents.language_models.models.replies import (
    BudgetReached,
    ModelQuestion,
    Reply,
    ReplyCache,
    Spending,
    Usage,
)
from clipnav.agents.language_models.prompts.messages import Message
from clipnav.agents.language_models.prompts.pictures import PromptPictures
from clipnav.agents.language_models.settings import AnswerFormat, SamplingConfig
from clipnav.storage.chat_templates import ChatTemplate
from clipnav.storage.errors import UserError
from clipnav.storage.extras import check_extra
from clipnav.storage.hugging_face import check_folder, reading
from clipnav.training.distributed import check_device

_SLOW = 5e8  # parameters
_GGUF = ".gguf"
_GGUF_HINT = "download the file again, or name a folder of transformers"
_THOUGHT, _PLAN, _ACTION, _END = '{"thought": "', ', "plan": "', ', "action": "', '"}'
_SHARE = 2 / 3  # of the free tokens, for the thought; the plan gets what is left
Allowed = list[int] | torch.Tensor  # token ids
Writer = Generator[Allowed, int | None, None]


@dataclass(frozen=True)
class LoadedModel:
    """Model with what prepares its input.

    Attributes:
        name: Name on the Hugging Face hub, folder or file.
        reads_pictures: Whether pictures can be part of a prompt.
    """

    name: str
    model: Any
    template: ChatTemplate
    reads_pictures: bool

    @property
    def processor(self) -> Any:
        """The processor of a model that reads pictures, otherwise the tokenizer."""
        return self.template.processor

    @property
    def tokenizer(self) -> Any:
        """The tokenizer, which a processor contains."""
        return self.processor.tokenizer if self.reads_pictures else self.processor

    @property
    def ends(self) -> list[int]:
        """Tokens that end an answer, first the tokenizer's."""
        named = self.model.generation_config.eos_token_id or []
        named = [named] if isinstance(named, int) else named
        return list(dict.fromkeys([self.tokenizer.eos_token_id, *named]))

    @property
    def identity(self) -> str:
        """Name that changes with the weights."""
        path = Path(self.name)
        if not path.exists():
            return f"transformers:{self.name}@{getattr(self.model.config, '_commit_hash', None)}"
        files = sorted(file for file in (path, *path.glob("*")) if file.is_file())
        states = [f"{file.name}:{file.stat().st_size}:{file.stat().st_mtime_ns}" for file in files]
        return f"transformers:{path.resolve()} {' '.join(states)}"


def load_model(name: str, device: str) -> LoadedModel:
    """Load a model, whose configuration says whether it reads pictures."""
    from transformers import (
        MODEL_FOR_IMAGE_TEXT_TO_TEXT_MAPPING,
        AutoConfig,
        AutoModelForCausalLM,
        AutoModelForImageTextToText,
        AutoProcessor,
        AutoTokenizer,
    )

    check_device(device)
    if name.endswith(_GGUF):
        if not Path(name).is_file():
            raise FileNotFoundError(f"{name}: no such file; name a GGUF file, or a folder")
        for package in ("gguf", "accelerate"):
            check_extra(package, "gguf", f"--local-model {name}")
        source: dict[str, Any] = {"gguf_file": Path(name).name}
        hint = {"hint": _GGUF_HINT}
        folder = str(Path(name).parent)
    else:
        source, hint, folder = {}, {}, name
        check_folder(name)
    source["trust_remote_code"] = False
    with reading(name, **hint):
        config: Any = AutoConfig.from_pretrained(folder, **source)
        reads_pictures = type(config) in MODEL_FOR_IMAGE_TEXT_TO_TEXT_MAPPING
        kind: Any = AutoModelForImageTextToText if reads_pictures else AutoModelForCausalLM
        prepares: Any = AutoProcessor if reads_pictures else AutoTokenizer
        processor = prepares.from_pretrained(folder, **source)
        model = kind.from_pretrained(folder, dtype="auto", **source)
    template = ChatTemplate(name, processor)
    loaded = LoadedModel(name, model.to(device).eval(), template, reads_pictures)
    loaded.tokenizer.padding_side = "left"
    if loaded.tokenizer.pad_token is None:
        loaded.tokenizer.pad_token = loaded.tokenizer.eos_token
    parameters = sum(weight.numel() for weight in model.parameters())
    slow = "; a decision can take minutes" if device == "cpu" and parameters > _SLOW else ""
    print(f"{name}: {parameters / 1e6:.3g} million parameters on {device}{slow}")
    return loaded


class LocalModel:
    """Model of transformers that answers a batch of questions at a time."""

    def __init__(
        self,
        loaded: LoadedModel,
        pictures: PromptPictures,
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
        self._vocabulary = TokenVocabulary(loaded.tokenizer, text.vocab_size, loaded.ends[0])

    def replies(self, questions: Sequence[ModelQuestion]) -> list[Reply]:
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
        self, questions: Sequence[ModelQuestion]
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

    def _generate(self, inputs: Any, questions: Sequence[ModelQuestion]) -> list[Reply]:
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

    def inputs(self, questions: Sequence[ModelQuestion]) -> Any:
        """Return the padded input of the model for a batch of questions."""
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
        texts = [part for part in message.parts if isinstance(part, str)]
        if not self.loaded.reads_pictures:
            if len(texts) < len(message.parts):
                raise UserError(
                    f"{self.loaded.name}: reads no pictures; add --strategy navgpt or --pictures "
                    "none, or name a vision-language model"
                )
            return {"role": message.role, "content": "\n".join(texts)}
        # Many templates loop over the content, of system messages as well. The model sees the same
        # JPEG files as a server does.
        content = [
            {"type": "text", "text": part}
            if isinstance(part, str)
            else {"type": "image", "image": Image.open(io.BytesIO(self._pictures.jpeg(part)))}
            for part in message.parts
        ]
        return {"role": message.role, "content": content}


class TokenVocabulary:
    """Tokens of a tokenizer, by what they may do within a string of JSON."""

    def __init__(self, tokenizer: Any, size: int, end: int) -> None:
        self._tokenizer, self._size, self._end = tokenizer, size, end

    @cached_property
    def end(self) -> list[int]:
        """Tokens after the label, up to the end of the answer."""
        return [*self.encode(_END), self._end]

    @cached_property
    def quote(self) -> list[int]:
        """The token that only closes a string."""
        return self.encode('"')[-1:]

    @cached_property
    def closing(self) -> dict[int, int]:
        """Tokens that close a string, and how many characters of the next fixed part they contain.

        Many tokenizers have a token for a quotation mark with a comma.
        """
        pieces = [(i, text.partition('"')) for i, text in self._texts]
        return {
            i: len(after)
            for i, (before, quote, after) in pieces
            if quote and _is_plain(before) and _PLAN[:3].startswith(after)
        }

    @cached_property
    def written(self) -> torch.Tensor:
        """Tokens that are allowed within a string, those that close it included."""
        plain = {i for i, text in self._texts if _is_plain(text)}
        return torch.tensor(sorted(plain | set(self.closing)))

    def encode(self, text: str) -> list[int]:
        """Return the tokens of a text."""
        return self._tokenizer.encode(text, add_special_tokens=False)

    @cached_property
    def _texts(self) -> list[tuple[int, str]]:
        special = set(self._tokenizer.all_special_ids)
        ids = range(min(self._size, len(self._tokenizer)))
        texts = self._tokenizer.batch_decode([[i] for i in ids])
        return [(i, text) for i, text in zip(ids, texts, strict=True) if text and i not in special]


class AnswerConstraint:
    """Logits processor of `generate`, for one batch without beams."""

    def __init__(
        self, vocabulary: TokenVocabulary, labels: Sequence[Sequence[str]], most_tokens: int
    ) -> None:
        self._writers = [_write(vocabulary, row, most_tokens) for row in labels]
        self._has_begun = False

    def __call__(self, input_ids: torch.Tensor, scores: torch.Tensor) -> torch.Tensor:
        """Return the scores, of shape (batch, tokens), with -inf for tokens that are forbidden."""
        chosen = input_ids[:, -1].tolist() if self._has_begun else [None] * len(scores)
        self._has_begun = True
        forbidden = torch.ones(scores.shape, dtype=torch.bool)
        for row, (writer, token) in enumerate(zip(self._writers, chosen, strict=True)):
            try:
                allowed = writer.send(token)
            except StopIteration:  # the answer is complete, and `generate` pads it
                allowed = slice(None)
            forbidden[row, allowed] = False
        return scores.masked_fill(forbidden.to(scores.device), -torch.inf)


def _write(vocabulary: TokenVocabulary, labels: Sequence[str], most_tokens: int) -> Writer:
    """Yield what is allowed as the next token of an answer; the chosen token is sent."""
    encode, quote = vocabulary.encode, vocabulary.quote
    choices = [[*encode(label), *vocabulary.end] for label in labels]
    fixed = [*encode(_THOUGHT), *quote, *encode(_PLAN), *quote, *encode(_ACTION)]
    left = max(0, most_tokens - len(fixed) - max(map(len, choices)))
    yield from _force(encode(_THOUGHT))
    used, begun = yield from _write_string(vocabulary, int(_SHARE * left))
    yield from _force(encode(_PLAN[begun:]))
    _, begun = yield from _write_string(vocabulary, left - used)
    yield from _force(encode(_ACTION[begun:]))
    place = 0
    while choices:
        token = yield [choice[place] for choice in choices]
        place += 1
        choices = [one for one in choices if one[place - 1] == token and len(one) > place]


def _force(tokens: Sequence[int]) -> Writer:
    for token in tokens:
        yield [token]


def _write_string(
    vocabulary: TokenVocabulary, most: int
) -> Generator[Allowed, int | None, tuple[int, int]]:
    """Yield what is allowed within a string."""
    for used in range(most):
        token = yield vocabulary.written
        if token in vocabulary.closing:
            return used, vocabulary.closing[token]
    yield vocabulary.quote
    return most, 0


def _is_plain(text: str) -> bool:
    """Return whether a string of JSON may contain a text as it is."""
    return not any(character in '"\\' or character < " " for character in text)
