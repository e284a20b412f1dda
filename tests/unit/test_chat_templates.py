"""A stranger's chat template: rendered as transformers does, and ended when it counts or grows without end."""

import pytest

from pipelines import chat_templates
from pipelines.errors import VisitorError

MESSAGES = [{"role": "user", "content": "안녕 <b>"}]
PLAIN = (
    "{{ bos_token }}{% for m in messages %}{{ m.role }}: {{ m.content }}{% endfor %}"
    "{% if add_generation_prompt %}!{% endif %}"
)


class Tokenizer:
    special_tokens_map = {"bos_token": "<s>"}

    def __init__(self, template):
        self.template = template

    def get_chat_template(self):
        return self.template


def render(template, prompt=True):
    return chat_templates.render(Tokenizer(template), "someone/raw", MESSAGES, prompt)


def test_an_honest_template_says_what_it_says():
    assert render(PLAIN) == "<s>user: 안녕 <b>!"


@pytest.mark.parametrize(
    "bomb",
    [
        "{% for a in range(99999) %}{% for b in range(99999) %}{% endfor %}{% endfor %}",
        "{{ 'a' * 10 ** 11 }}",
        "{{ 'a' * 10 ** 7 }}",
    ],
    ids=["time", "memory", "text"],
)
def test_a_bomb_is_ended(bomb):
    with pytest.raises(VisitorError, match="template_too_long"):
        render(bomb)


@pytest.mark.parametrize("unsafe", ["{{ ''.__class__.__mro__ }}", "{{ cycler.__init__.__globals__.os }}", "{% for"])
def test_the_sandbox_holds(unsafe):
    with pytest.raises(VisitorError, match="chat_template_failed") as caught:
        render(unsafe)
    assert caught.value.params["tokenizer"] == "someone/raw" and len(caught.value.params["reason"]) <= 200
