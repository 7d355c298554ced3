"""The client of chat-completions servers: errors, retries, formats and budgets."""

import email.utils
import gzip
import socket
import time

import pytest

from clipnav.agents.language_models.models.replies import (
    BudgetReached,
    RequestFailed,
    ServerRefusal,
)
from clipnav.agents.language_models.models.server import ServerModel
from clipnav.agents.language_models.settings import BudgetConfig
from tests.agents.language_models.servers import ANSWER, GOOD, Sent, completion, error


def http_date(seconds):
    return email.utils.formatdate(time.time() + seconds, usegmt=True)


SEED_OF_GEMINI = Sent(
    400, {}, [{"error": {"code": 400, "message": 'Unknown name "seed": Cannot find field.'}}]
)
SEED_OF_MISTRAL = error(
    422, {"detail": [{"type": "extra_forbidden", "loc": ["body", "seed"], "input": 0}]}
)


def failed_choice(error):
    """Answer of a router whose provider failed while it wrote."""
    body = completion("The", finish="error")
    body["choices"][0]["error"] = error
    return Sent(body=body)


@pytest.mark.parametrize(
    "first",
    [
        error(500),
        error(408),
        error(429, code="rate_limit_exceeded", headers={"Retry-After": "0.05"}),
        error(429, headers={"Retry-After": http_date(0.2)}),
        error(429, headers={"Retry-After": "soon"}),
        Sent(200, {}, b"<html>busy</html>"),
        Sent(200, {}, {"choices": [None]}),
        Sent(200, {"Content-Length": "9999"}, b"{"),
        Sent(body=lambda handler: handler.connection.shutdown(socket.SHUT_RDWR)),
        failed_choice({"code": 502}),
        Sent(200, {}, {"choices": [{"finish_reason": None, "error": "overloaded"}]}),
    ],
)
def test_temporary_errors_are_retried_with_the_same_body(ask, first):
    reply = ask(first, GOOD)
    bodies = ask.seen["server"].requests
    assert reply.text == ANSWER
    assert reply.attempts == 2
    assert bodies[0] == bodies[1]


@pytest.mark.parametrize("after", ["0", "Wed, 21 Oct 2015 07:28:00 GMT"])
def test_a_retry_after_without_a_wait_does_not_use_up_the_attempts_at_once(ask, monkeypatch, after):
    waited = []
    monkeypatch.setattr(f"{ServerModel.__module__}._backoff", lambda n: waited.append(n) or 0.0)
    ask(*[error(429, headers={"Retry-After": after})] * 2, GOOD)
    assert waited == [0, 1]


@pytest.mark.parametrize("problem", [{"code": 502, "message": "Bad gateway"}, "Bad gateway"])
def test_the_failure_of_a_provider_is_quoted_and_not_cached(ask, tmp_path, problem):
    with pytest.raises(RequestFailed, match=r"^the provider failed: Bad gateway$"):
        ask(failed_choice(problem))
    assert not list((tmp_path / "cache").rglob("*.json"))


def test_a_wait_that_is_too_long_is_named(ask):
    with pytest.raises(RequestFailed, match="asks to wait 3600 s, more than --longest-wait 120"):
        ask(error(429, headers={"Retry-After": "3600"}))
    assert len(ask.seen["server"].requests) == 1


@pytest.mark.parametrize(
    ("response", "message"),
    [
        (error(401), "HTTP 401.*OPENAI_API_KEY"),
        (error(402, "Insufficient Balance"), "HTTP 402: Insufficient Balance; check the credit"),
        (error(404), "HTTP 404.*--url.*/v1"),
        (Sent(308, {"Location": "https://x/v1"}), "HTTP 308: redirects to https://x/v1; correct"),
        (error(429, "You exceeded", code="insufficient_quota"), "quota .* exhausted"),
        (error(400, "max_tokens is not supported"), "--token-field max_completion_tokens"),
        (error(400, "max_tokens is too large: 9000"), "lower --max-answer-tokens"),
        (error(400, "temperature must be 1"), "--temperature None"),
        (error(400, "'temperature': a value at most 2"), "choose another --temperature"),
        (SEED_OF_GEMINI, '400: Unknown name "seed": Cannot .* none: --sampling-seed None'),
        (SEED_OF_MISTRAL, "send none: --sampling-seed None"),
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


@pytest.mark.parametrize("encoding", ["gzip, gzip", "br"])
def test_compressed_answers_are_refused_undecoded(ask, encoding):
    bomb = gzip.compress(gzip.compress(bytes(1 << 22)))
    with pytest.raises(RequestFailed, match=rf"compresses its answer \({encoding}\) unasked"):
        ask(Sent(200, {"Content-Encoding": encoding}, bomb), max_retries=0)
    assert ask.seen["server"].headers["Accept-Encoding"] == "identity"


@pytest.mark.parametrize("tokens", [True, 10**3999], ids=["true", "huge"])
def test_usage_that_no_budget_can_count_is_refused(ask, tokens):
    body = completion(ANSWER, tokens=(100, tokens))
    with pytest.raises(RequestFailed, match=r"reports (true|1000\S*) as a number of completion_"):
        ask(Sent(body=body), max_retries=0)
    assert ask.seen["spending"].usage.completion == 0


@pytest.mark.parametrize(
    "response",
    [
        error(400, "\x1b[2Jgone \x9b31m\u202e"),
        Sent(308, {"Location": "https://\x1b[2J/gone"}),
        Sent(200, {"Content-Encoding": "\x1b[2Jgone"}, b""),
        Sent(body=lambda handler: handler.wfile.write(b"HTTP/1.1 \x1b[2Jgone\r\n\r\n")),
    ],
)
def test_control_sequences_of_a_server_are_escaped_in_messages(ask, response):
    with pytest.raises((RequestFailed, ServerRefusal)) as caught:
        ask(response, max_retries=0)
    assert str(caught.value).isprintable()


def test_answer_formats_are_tried_in_turn_once(ask):
    formats = []

    def kind(sent):
        return sent.get("response_format", {}).get("type", "text")

    no = error(400, "'response_format.type' must be 'text'")
    reply = ask(no, no, GOOD, times=3)
    formats = [kind(body) for body in ask.seen["server"].requests]
    assert reply.text == ANSWER
    assert formats == ["json_schema", "json_object", "text", "text", "text"]


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


def test_answers_come_from_the_cache(ask):
    first = ask(GOOD)
    assert ask(error(500), port=ask.seen["server"].port) == first
    assert ask.seen["server"].requests == []
    # The address belongs to the request.
    with pytest.raises(RequestFailed):
        ask(error(500))


def test_answers_of_auto_without_a_schema_are_not_those_of_another_format(ask):
    no = error(400, "response_format")
    first = ask(no, no, GOOD)
    port = ask.seen["server"].port
    for answer_format in ("schema", "object", "text"):
        other = Sent(body=completion(answer_format))
        assert ask(other, port=port, answer_format=answer_format).text == answer_format
    assert ask(error(500), port=port) == first
    assert ask.seen["server"].requests == []


def test_a_damaged_cache_file_is_named(ask, tmp_path):
    ask(GOOD)
    (path,) = (tmp_path / "cache").rglob("*.json")
    path.write_text('{"text": 1')
    with pytest.raises(ValueError, match=f"{path.name}: .*not a cached answer.*delete"):
        ask(GOOD, port=ask.seen["server"].port)


@pytest.mark.parametrize(
    ("total", "completion_tokens"), [(1110, 1010), (110, 10), (50, 10), ("1110", 10)]
)
def test_reasoning_that_only_the_total_contains_is_charged(ask, total, completion_tokens):
    body = completion(ANSWER, tokens=(100, 10))
    body["usage"] |= {
        "total_tokens": total,
        "completion_tokens_details": {"reasoning_tokens": 1000},
    }
    usage = ask(Sent(body=body)).usage
    assert (usage.prompt, usage.completion, usage.reasoning) == (100, completion_tokens, 1000)
    assert ask.seen["spending"].usage.completion == completion_tokens


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
