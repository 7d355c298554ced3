"""Chat templates are rendered as by transformers, within limits on time and memory."""

import gc
import sys

import pytest

from clipnav.storage import chat_templates
from clipnav.storage.chat_templates import ChatTemplate
from clipnav.storage.errors import UserError
from tests.agents.language_models.tiny_models import WORDS_TEMPLATE, tokenizer

CONVERSATIONS = [
    [
        {"role": "system", "content": "Steer."},
        {"role": "user", "content": 'Ä "way"\u2028\n{{ 1 }}'},
    ],
    [{"role": "user", "content": ""}],
]
LINUX = pytest.mark.skipif(sys.platform != "linux", reason="memory has a limit on Linux only")


def make(template: object) -> ChatTemplate:
    words = tokenizer()
    words.chat_template = template
    return ChatTemplate("model", words)


@pytest.mark.parametrize("template", [WORDS_TEMPLATE, {"default": WORDS_TEMPLATE, "tools": "no"}])
def test_a_template_gives_the_tokens_of_transformers(template):
    expected = make(WORDS_TEMPLATE).processor.apply_chat_template(
        CONVERSATIONS,
        add_generation_prompt=True,
        return_dict=True,
        return_tensors="pt",
        padding=True,
    )
    one = make(template)
    for _ in range(2):
        found = one.apply(CONVERSATIONS, padding=True)
        assert {name: values.tolist() for name, values in found.items()} == {
            name: values.tolist() for name, values in expected.items()
        }


@pytest.mark.parametrize(
    ("template", "problem"),
    [
        (
            "{% for i in range(99999) %}{% for j in range(99999) %}{% endfor %}{% endfor %}",
            "no end within 1 s",
        ),
        pytest.param("{{ ('a' * 1000000000) | length }}", "MemoryError", marks=LINUX),
        ("{{ 'a' * 5000000 }}", "a text of more than 4194304 characters"),
        ("{% macro f() %}{{ f() }}{% endmacro %}{{ f() }}", "recursion"),
        ("{{ raise_exception('\x1b[2Jno\nsystem') }}", r"\\x1b\[2Jno system"),
        ("{{ messages[0].__class__.__mro__ }}", "unsafe|undefined|access"),
    ],
)
def test_a_template_that_fails_or_exceeds_a_limit_is_reported_in_one_line(
    template, problem, monkeypatch
):
    monkeypatch.setattr(chat_templates, "_SECONDS", 1.0 if problem.startswith("no end") else 60.0)
    with pytest.raises(
        UserError, match=rf"^model: its chat template fails \(.*({problem})"
    ) as caught:
        make(template).apply(CONVERSATIONS)
    assert str(caught.value).isprintable()


def test_the_process_ends_with_its_template():
    one = make(WORDS_TEMPLATE)
    one.apply(CONVERSATIONS, padding=True)
    assert one._process is not None
    process = one._process
    del one
    gc.collect()
    assert process.returncode is not None
