"""The first requests to chat-completions servers, and the API key."""

import json
import re
import sys

import pytest

from clipnav.agents.language_models.models.bodies import BodyMaker
from clipnav.agents.language_models.models.replies import (
    ModelQuestion,
    ReplyCache,
    ServerRefusal,
    Spending,
)
from clipnav.agents.language_models.models.server import ServerModel, read_api_key
from clipnav.agents.language_models.prompts.messages import Message
from clipnav.agents.language_models.prompts.pictures import PromptPictures
from clipnav.agents.language_models.settings import (
    BudgetConfig,
    EvaluateVlmConfig,
    SamplingConfig,
    ServerConfig,
)
from clipnav.envs.pictures.view_pictures import ViewPose
from clipnav.storage.errors import UserError
from tests.agents.language_models.servers import (
    ANSWER,
    GOOD,
    QUESTION,
    UNFINISHED,
    Sent,
    Server,
    completion,
    error,
)


class TestProbe:
    def test_an_unreachable_server_is_named(self, tmp_path):
        model = ServerModel(
            "http://127.0.0.1:9/v1",
            BodyMaker("oracle", PromptPictures(), SamplingConfig()),
            ReplyCache(tmp_path),
            Spending(BudgetConfig()),
            ServerConfig(),
        )
        with pytest.raises(ServerRefusal, match=r"http://127.0.0.1:9/v1: not reachable \(.*start"):
            model.reply(QUESTION)
        model.close()

    def test_an_unknown_model_is_named_with_those_that_exist(self, ask):
        with pytest.raises(ServerRefusal, match=r"'oracle'; it has qwen, llava \(--no-probe"):
            ask(GOOD, models=("qwen", "llava"))
        assert ask.seen["server"].requests == []

    @pytest.mark.parametrize("listed", ["models/oracle", "oracle:latest"])
    def test_a_model_may_be_listed_with_a_prefix_or_the_tag_latest(self, ask, listed):
        assert ask(GOOD, models=("qwen", listed)).text == ANSWER

    @pytest.mark.parametrize(
        "refusal",
        [
            error(400, "image input is not supported"),
            error(500, "image input is not supported - hint: you may need to provide the mmproj"),
            error(500, "this model is missing data required for image input"),
        ],
    )
    def test_a_model_without_picture_input_is_refused(self, ask, monkeypatch, refusal):
        monkeypatch.setattr(
            "tests.agents.language_models.servers.Server.respond", lambda self, body: refusal
        )
        question = ModelQuestion((Message("user", ("Look:", ViewPose("s", "v", 0.0))),), ("A",))
        with pytest.raises(ServerRefusal, match=r"refuses a small test picture.*--pictures none"):
            ask(GOOD, question=question)

    def test_a_model_whose_reasoning_leaves_no_answer_reads_pictures(self, ask, monkeypatch):
        respond = Server.respond

        def answer(self, body):
            return UNFINISHED if "Which colour" in json.dumps(body) else respond(self, body)

        monkeypatch.setattr(Server, "respond", answer)
        question = ModelQuestion((Message("user", ("Look:", ViewPose("s", "v", 0.0))),), ("A",))
        assert ask(GOOD, question=question).text == ANSWER


@pytest.mark.parametrize("host", ["local\nhost", "local\x1bhost", "\u2603.net", "xn--", "a\ud800"])
def test_an_address_that_the_client_cannot_read_is_named(host, tmp_path):
    bodies = BodyMaker("oracle", PromptPictures(), SamplingConfig())
    spending, settings = Spending(BudgetConfig()), ServerConfig()
    with pytest.raises(UserError, match=r"--url http://.*/v1: not an address \(") as caught:
        ServerModel(f"http://{host}/v1", bodies, ReplyCache(tmp_path), spending, settings)
    assert str(caught.value).isprintable()


@pytest.mark.parametrize("host", ["localhost:80000", "localhost:http", "[::1"])
def test_an_address_that_cannot_be_read_is_named(host):
    with pytest.raises(UserError, match=re.escape(f"--url http://{host}/v1: not an address (")):
        EvaluateVlmConfig(url=f"http://{host}/v1", model="oracle")


@pytest.mark.parametrize(
    ("proxy", "message"),
    [
        (
            "socks5://127.0.0.1:9",
            r"another package; pip install 'httpx\[socks\]', or unset the proxy",
        ),
        ("ftp://user:secret@host", r"cannot be used \(Unknown scheme .*\); correct or unset it"),
        ("http://host:port", r"cannot be used \(Invalid port: 'port'\); correct or unset it"),
    ],
)
def test_a_proxy_that_cannot_be_used_is_named(ask, monkeypatch, proxy, message):
    monkeypatch.setitem(sys.modules, "socksio", None)
    monkeypatch.setenv("ALL_PROXY", proxy)
    with pytest.raises(UserError, match=f"ALL_PROXY.*: .*{message}") as caught:
        ask(GOOD)
    assert "secret" not in str(caught.value)


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

    @pytest.mark.parametrize(
        "message",
        [
            {"content": ANSWER + KEY},
            {"content": ANSWER, "reasoning_content": KEY},
            {"content": ANSWER, "refusal": KEY},
        ],
    )
    @pytest.mark.parametrize("is_escaped", [False, True])
    def test_a_key_in_an_answer_is_not_kept(self, ask, tmp_path, message, is_escaped, monkeypatch):
        monkeypatch.setenv("OPENAI_API_KEY", self.KEY)
        body = json.dumps(completion(finish=self.KEY, **message))
        if is_escaped:
            body = body.replace("sk-", "\\u0073k-")
        reply = ask(Sent(body=body.encode()))
        assert "***" in str(reply)
        assert self.KEY not in str(reply)
        (cached,) = (tmp_path / "cache").rglob("*.json")
        assert self.KEY not in cached.read_text()

    def test_a_key_at_the_cut_of_a_message_leaves_no_part(self, ask, monkeypatch):
        monkeypatch.setenv("OPENAI_API_KEY", self.KEY)
        with pytest.raises(ServerRefusal) as caught:
            ask(error(401, 285 * "x" + self.KEY))
        assert "sk-" not in str(caught.value)

    def test_a_key_among_the_names_of_models_is_not_printed(self, ask, monkeypatch):
        monkeypatch.setenv("OPENAI_API_KEY", self.KEY)
        with pytest.raises(ServerRefusal, match=r"it has \*\*\*, \\x1b\[2J \(") as caught:
            ask(GOOD, models=(self.KEY, "\x1b[2J"))
        assert self.KEY not in str(caught.value)

    def test_a_key_too_short_to_be_a_secret_leaves_answers_as_they_are(self, ask, monkeypatch):
        monkeypatch.setenv("OPENAI_API_KEY", "B")
        assert ask(GOOD).text == ANSWER

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
