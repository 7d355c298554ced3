"""Bodies of requests in OpenAI's chat-completions format."""

import hashlib
import json
from typing import Any

from clipnav.agents.language_models.models.replies import ModelQuestion
from clipnav.agents.language_models.prompts.messages import Message
from clipnav.agents.language_models.prompts.pictures import PromptPictures
from clipnav.agents.language_models.settings import AnswerFormat, SamplingConfig

FORMATS: tuple[AnswerFormat, ...] = ("schema", "object", "text")
Body = dict[str, Any]


class BodyMaker:
    """Makes the bodies of requests."""

    def __init__(
        self,
        model: str,
        pictures: PromptPictures,
        sampling: SamplingConfig,
        token_field: str = "max_tokens",
        detail: str | None = None,
    ) -> None:
        self.model = model
        self._pictures, self._sampling = pictures, sampling
        self._token_field, self._detail = token_field, detail

    def make(self, question: ModelQuestion, answer_format: AnswerFormat = "text") -> Body:
        """Return the body of a question."""
        body: Body = {
            "model": self.model,
            "messages": [self._message(message) for message in question.prompt],
            self._token_field: self._sampling.max_answer_tokens,
        }
        if self._sampling.temperature is not None:
            body["temperature"] = self._sampling.temperature
        if self._sampling.sampling_seed is not None:
            body["seed"] = self._sampling.sampling_seed
        return with_format(body, answer_format, question)

    def with_more_tokens(self, body: Body) -> Body:
        """Return a body that allows an answer four times as long."""
        return {**body, self._token_field: 4 * body[self._token_field]}

    def _message(self, message: Message) -> Body:
        if message.role != "user":
            text = "\n".join(part for part in message.parts if isinstance(part, str))
            return {"role": message.role, "content": text}
        detail = {} if self._detail is None else {"detail": self._detail}
        content = [
            {"type": "text", "text": part}
            if isinstance(part, str)
            else {
                "type": "image_url",
                "image_url": {"url": self._pictures.data_uri(part), **detail},
            }
            for part in message.parts
        ]
        return {"role": message.role, "content": content}


def with_format(body: Body, answer_format: AnswerFormat, question: ModelQuestion) -> Body:
    """Return a body with a constraint on the answer.

    In strict schemas OpenAI requires all properties, and no others. A body with "auto" is never
    sent; it only serves as a key of the cache.
    """
    body = {name: value for name, value in body.items() if name != "response_format"}
    if answer_format == "object":
        return {**body, "response_format": {"type": "json_object"}}
    if answer_format == "auto":
        return {**body, "response_format": {"type": "auto"}}
    if answer_format == "text":
        return body
    fields = ("thought", "plan", "action")
    properties: Body = {name: {"type": "string"} for name in fields}
    properties["action"]["enum"] = list(question.labels)
    if question.points is not None:
        properties["action"] = {"anyOf": [properties["action"], question.points.schema]}
    schema = {
        "type": "object",
        "properties": properties,
        "required": list(fields),
        "additionalProperties": False,
    }
    json_schema = {"name": "answer", "strict": True, "schema": schema}
    return {**body, "response_format": {"type": "json_schema", "json_schema": json_schema}}


def format_of(body: Body) -> AnswerFormat:
    """Return the answer format of a body that can be sent."""
    names: dict[str, AnswerFormat] = {"json_schema": "schema", "json_object": "object"}
    return names.get(body.get("response_format", {}).get("type"), "text")


def request_key(address: str, body: Body) -> str:
    """Return the SHA-256 of a request body and the address that it goes to."""
    text = json.dumps([address, body], sort_keys=True, ensure_ascii=False)
    return hashlib.sha256(text.encode("utf-8", "surrogatepass")).hexdigest()
