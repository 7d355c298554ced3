"""The client of chat-completions servers: errors, retries, formats, secrets and budgets."""

import email.utils
import json
import time

import pytest

from agents.language_models.models.bodies import BodyMaker
from agents.language_models.models.budget import Spending
from agents.language_models.models.cache import ReplyCache
from agents.language_models.models.replies import (
    BudgetReached,
    Question,
    RequestFailed,
    ServerRefusal,
)
from agents.language_models.models.server import ServerModel, read_api_key
from agents.language_models.prompts.messages import Message
from agents.language_models.prompts.pictures import Pictures
from agents.settings.language_models import BudgetConfig, SamplingConfig, ServerConfig
from envs.pictures.view_pictures import ViewPose
from storage.errors import UserError
from tests.agents.language_models.servers import Sent, Server, completion, draw_colour

QUESTION = Question((Message("user", ("Where to? Answer in JSON.",)),), ("A", "B"))
ANSWER = '{"action": "B"}'
GOOD = Sent(body=completion(ANSWER))


@pytest.fixture
def ask(serve, tmp_path, monkeypatch):
    """Function that asks a question of a server with these responses, the last one repeated."""
    monkeypatch.setattr("agents.language_models.models.server._FIRST_WAIT", 0.01)
    monkeypatch.delenv("OPENAI_API_KEY", raising=False)
    seen: dict = {}

    def run(
        *responses, budget=None, question=QUESTION, times=1, models=("oracle",), port=0, **settings
    ):
        left = list(responses)

        def answer(body):
            return left.pop(0) if len(left) > 1 else left[0]

        spending = Spending(budget or BudgetConfig())
        with serve(answer, port) as server:
            server.models = list(models)
            seen["server"], seen["spending"] = server, spending
            model = ServerModel(
                server.url,
                BodyMaker("oracle", Pictures(draw_colour), SamplingConfig()),
                ReplyCache(tmp_path / "cache"),
                spending,
                ServerConfig(**{"request_timeout": 2.0, "max_retries": 2, **settings}),
            )
            try:
                for number in range(times):
                    prompt = (*question.prompt, Message("user", (str(number),)))
                    reply = model.reply(Question(prompt, question.labels))
            finally:
                model.close()
        return reply

    run.seen = seen  # type: ignore[attr-defined]
    return run


def error(status, message="no", headers=None, **fields):
    return Sent(status, headers or {}, {"error": {"message": message, **fields}})


def http_date(seconds):
    return email.utils.formatdate(time.time() + seconds, usegmt=True)


@pytest.mark.parametrize(
    "first",
    [
        error(500),
        error(503),
        error(408),
        error(429, code="rate_limit_exceeded", headers={"Retry-After": "0.05"}),
        error(429, headers={"Retry-After": http_date(0.2)}),
        error(429, headers={"Retry-After": "soon"}),
        Sent(200, {}, b"<html>busy</html>"),
        Sent(200, {}, b""),
        Sent(200, {}, {"choices": []}),
        Sent(200, {}, {"choices": [None]}),
        Sent(200, {}, [1]),
        Sent(200, {"Content-Length": "9999"}, b"{"),
        Sent(body=lambda handler: handler.connection.close()),
        Sent(200, {"Content-Encoding": "gzip"}, b"not gzip"),
    ],
)
def test_temporary_errors_are_retried_with_the_same_body(ask, first):
    reply = ask(first, GOOD)
    bodies = ask.seen["server"].requests
    assert reply.text == ANSWER
    assert reply.attempts == 2
    assert bodies[0] == bodies[1]


def test_errors_that_last_fail_the_request_only(ask):
    with pytest.raises(RequestFailed, match="HTTP 500: no"):
        ask(error(500))
    assert len(ask.seen["server"].requests) == 3


@pytest.mark.parametrize("after", ["0", "Wed, 21 Oct 2015 07:28:00 GMT"])
def test_a_retry_after_without_a_wait_does_not_use_up_the_attempts_at_once(ask, monkeypatch, after):
    waited = []
    monkeypatch.setattr(f"{ServerModel.__module__}._backoff", lambda n: waited.append(n) or 0.0)
    ask(*[error(429, headers={"Retry-After": after})] * 2, GOOD)
    assert waited == [0, 1]


def test_an_error_with_status_200_is_quoted(ask):
    body = {"error": {"message": "Provider returned error", "code": 502}}
    with pytest.raises(RequestFailed, match="without choices: Provider returned error"):
        ask(Sent(200, {}, body))


def test_a_wait_that_is_too_long_is_named(ask):
    with pytest.raises(RequestFailed, match="asks to wait 3600 s, more than --longest-wait 120"):
        ask(error(429, headers={"Retry-After": "3600"}))
    assert len(ask.seen["server"].requests) == 1


@pytest.mark.parametrize(
    ("response", "message"),
    [
        (error(401), "HTTP 401.*OPENAI_API_KEY"),
        (error(402, "Insufficient Balance"), "HTTP 402: Insufficient Balance; check the credit"),
        (error(403), "HTTP 403"),
        (error(404), "HTTP 404.*--url.*/v1"),
        (Sent(308, {"Location": "https://x/v1"}), "HTTP 308: redirects to https://x/v1; correct"),
        (error(429, "You exceeded", code="insufficient_quota"), "quota .* exhausted"),
        (error(400, "max_tokens is not supported"), "--token-field max_completion_tokens"),
        (error(400, "max_tokens is too large: 9000"), "lower --max-answer-tokens"),
        (error(400, "max_completion_tokens: at most 4096"), "lower --max-answer-tokens"),
        (error(400, "temperature must be 1"), "--temperature None"),
        (error(400, "'temperature': a value at most 2"), "choose another --temperature"),
    ],
)
def test_errors_of_every_request_end_the_run_at_once(ask, response, message):
    with pytest.raises(ServerRefusal, match=message):
        ask(response)
    assert len(ask.seen["server"].requests) == 1


def drip(handler):
    """Send the answer a byte at a time, for ever."""
    handler.send_response(200)
    handler.send_header("Content-Length", "100000")
    handler.end_headers()
    for _ in range(100):
        handler.wfile.write(b" ")
        handler.wfile.flush()
        time.sleep(0.05)


def drip_headers(handler):
    for _ in range(100):
        handler.wfile.write(b"H")
        handler.wfile.flush()
        time.sleep(0.05)


@pytest.mark.parametrize("slow", [drip, drip_headers])
def test_the_deadline_holds_for_slow_drips(ask, slow):
    with pytest.raises(RequestFailed, match=r"no complete answer within 0\.3 s"):
        ask(Sent(body=slow), request_timeout=0.3, max_retries=0)


def test_answer_formats_are_tried_in_turn_once(ask):
    formats = []

    def kind(sent):
        return sent.get("response_format", {}).get("type", "text")

    no = error(400, "'response_format.type' must be 'text'")
    reply = ask(no, no, GOOD, times=3)
    formats = [kind(body) for body in ask.seen["server"].requests]
    assert reply.text == ANSWER
    assert formats == ["json_schema", "json_object", "text", "text", "text"]


def test_the_schema_lists_the_labels(ask):
    ask(GOOD)
    schema = ask.seen["server"].requests[0]["response_format"]["json_schema"]
    assert schema["strict"] is True
    assert schema["schema"]["properties"]["action"]["enum"] == ["A", "B"]
    assert schema["schema"]["required"] == ["thought", "plan", "action"]
    assert schema["schema"]["additionalProperties"] is False


def test_a_format_that_is_asked_for_is_not_replaced(ask):
    with pytest.raises(ServerRefusal, match="--answer-format"):
        ask(error(400, "response_format"), answer_format="object")


@pytest.mark.parametrize(
    "text",
    [
        "maximum context length",
        "At most 4 image(s) may be provided",
        "'max_tokens' is too large: 900. This model's maximum context length is 8192 tokens",
    ],
)
def test_prompts_that_are_too_long_are_reported_as_such_and_sent_again(ask, text):
    assert ask(error(400, text)).finish == "too_long"
    # The server may have been started again with a larger limit.
    assert ask(GOOD, port=ask.seen["server"].port).text == ANSWER


def test_other_limits_do_not_make_a_prompt_too_long(ask):
    with pytest.raises(RequestFailed, match="at most 4 stop sequences"):
        ask(error(400, "at most 4 stop sequences"))


@pytest.mark.parametrize(
    "message",
    [
        {"content": None, "reasoning_content": "hm"},
        {"content": "<think>\nThe action should be B, or else"},
    ],
)
def test_more_tokens_are_allowed_once_if_reasoning_has_used_them_up(ask, message):
    short = Sent(body=completion(finish="length", **message))
    reply = ask(short, GOOD)
    sizes = [body["max_tokens"] for body in ask.seen["server"].requests]
    assert reply.text == ANSWER
    assert sizes == [512, 2048]
    assert reply.usage.prompt == 200


UNFINISHED = error(
    400,
    "Could not finish the message because max_tokens or model output limit was reached. Please "
    "try again with higher max_tokens.",
)


def test_more_tokens_are_allowed_once_if_the_server_refuses_an_empty_answer(ask):
    assert ask(UNFINISHED, GOOD).text == ANSWER
    sizes = [body["max_tokens"] for body in ask.seen["server"].requests]
    assert sizes == [512, 2048]
    assert ask(UNFINISHED).finish == "length"


def test_missing_fields_of_an_answer_have_defaults(ask):
    reply = ask(Sent(body={"choices": [{"message": {"content": "B"}}]}))
    assert (reply.text, reply.finish, reply.usage.prompt) == ("B", "stop", 0)


def test_answers_come_from_the_cache(ask):
    first = ask(GOOD)
    assert ask(error(500), port=ask.seen["server"].port) == first
    assert ask.seen["server"].requests == []
    # The address belongs to the request.
    with pytest.raises(RequestFailed):
        ask(error(500))


def test_a_damaged_cache_file_is_named(ask, tmp_path):
    ask(GOOD)
    (path,) = (tmp_path / "cache").rglob("*.json")
    path.write_text('{"text": 1')
    with pytest.raises(ValueError, match=f"{path.name}: not a cached answer.*delete"):
        ask(GOOD, port=ask.seen["server"].port)


@pytest.mark.parametrize(
    ("budget", "sent"),
    [
        (BudgetConfig(max_requests=3), 3),
        (BudgetConfig(max_tokens_total=250), 3),
        (BudgetConfig(max_cost=0.00025, price_in=1.0, price_out=1.0), 3),
    ],
)
def test_budgets_are_hard_limits(ask, budget, sent):
    with pytest.raises(BudgetReached, match="is reached"):
        ask(GOOD, budget=budget, times=10, probe=False)
    assert len(ask.seen["server"].requests) == sent


class TestProbe:
    def test_an_unreachable_server_is_named(self, tmp_path):
        model = ServerModel(
            "http://127.0.0.1:9/v1",
            BodyMaker("oracle", Pictures(), SamplingConfig()),
            ReplyCache(tmp_path),
            Spending(BudgetConfig()),
            ServerConfig(),
        )
        with pytest.raises(ServerRefusal, match=r"http://127.0.0.1:9/v1: not reachable \(.*start"):
            model.reply(QUESTION)
        model.close()

    def test_an_unknown_model_is_named_with_those_that_exist(self, ask):
        with pytest.raises(ServerRefusal, match="no model 'oracle'; it has qwen, llava"):
            ask(GOOD, models=("qwen", "llava"))
        assert ask.seen["server"].requests == []

    def test_a_model_without_picture_input_is_refused(self, ask, monkeypatch):
        refusal = error(400, "image input is not supported")
        monkeypatch.setattr(
            "tests.agents.language_models.servers.Server.respond", lambda self, body: refusal
        )
        question = Question((Message("user", ("Look:", ViewPose("s", "v", 0.0))),), ("A",))
        with pytest.raises(ServerRefusal, match=r"refuses a small test picture.*--pictures none"):
            ask(GOOD, question=question)

    def test_a_model_whose_reasoning_leaves_no_answer_reads_pictures(self, ask, monkeypatch):
        respond = Server.respond

        def answer(self, body):
            return UNFINISHED if "Which colour" in json.dumps(body) else respond(self, body)

        monkeypatch.setattr(Server, "respond", answer)
        question = Question((Message("user", ("Look:", ViewPose("s", "v", 0.0))),), ("A",))
        assert ask(GOOD, question=question).text == ANSWER


class TestSecrets:
    KEY = "sk-very-secret-123"

    def test_the_key_of_the_environment_is_sent_in_the_header_only(
        self, ask, monkeypatch, tmp_path
    ):
        monkeypatch.setenv("OPENAI_API_KEY", self.KEY)
        ask(GOOD)
        server = ask.seen["server"]
        assert server.headers["Authorization"] == f"Bearer {self.KEY}"
        assert self.KEY not in json.dumps(server.requests)
        files = [path.read_text() for path in tmp_path.rglob("*") if path.is_file()]
        assert files
        assert all(self.KEY not in text for text in files)

    def test_a_server_that_repeats_the_key_does_not_bring_it_into_messages(self, ask, tmp_path):
        path = tmp_path / "key"
        path.write_text(self.KEY + "\n")
        with pytest.raises(ServerRefusal, match=r"wrong key \*\*\*") as caught:
            ask(error(401, f"wrong key {self.KEY}"), api_key_file=path)
        assert self.KEY not in str(caught.value)

    def test_a_file_with_more_than_a_key_is_refused(self, ask, tmp_path):
        path = tmp_path / "key"
        path.write_text("one two\n")
        with pytest.raises(ValueError, match="must contain the API key and nothing else"):
            ask(GOOD, api_key_file=path)

    @pytest.mark.parametrize("key", ["sk-\u2026cut", "sk-one\nsk-two", "sk-one\x07"])
    def test_a_key_that_no_header_can_contain_is_not_printed(self, monkeypatch, key, tmp_path):
        monkeypatch.setenv("OPENAI_API_KEY", key)
        with pytest.raises(UserError, match=r"^OPENAI_API_KEY: must contain the API key and not"):
            read_api_key(None)
        path = tmp_path / "key"
        path.write_bytes(key.encode("utf-16"))
        with pytest.raises(UserError, match=r"must contain the API key and nothing else$"):
            read_api_key(path)
