"""How a checkpoint is asked: what its own processor makes of the same turn."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from checkpoints_a import make_internvl3, make_llava, make_llava_interleave, make_llava_onevision, make_qwen2_vl
from hypothesis import given
from hypothesis import strategies as st

from rsccli.errors import ModelError
from rsccli.models.large.chat import Chat, chat_of
from rsccli.models.large.checkpoint import load_processor

MAKERS = (make_qwen2_vl, make_llava, make_llava_interleave, make_llava_onevision, make_internvl3)
WORDS = "What changed, and where? {no field}"


@pytest.fixture(scope="module", params=MAKERS, ids=lambda make: make.__name__.removeprefix("make_"))
def processor(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Any:
    make: Callable[[Path], Path] = request.param
    return load_processor(make(tmp_path_factory.mktemp("chat")))


@pytest.fixture
def llava(tmp_path: Path) -> Any:
    return load_processor(make_llava(tmp_path))


def turn(processor: Any, pictures: int, **how: Any) -> Any:
    content = [*[{"type": "image"}] * pictures, {"type": "text", "text": WORDS}]
    messages = [{"role": "user", "content": content}]
    return processor.apply_chat_template(messages, add_generation_prompt=True, tokenize=False, **how)


@pytest.mark.parametrize("pictures", [1, 2])
def test_the_text_is_the_templates_own(processor: Any, pictures: int) -> None:
    assert chat_of(processor).text(WORDS, pictures) == turn(processor, pictures)


def test_the_token_that_begins_a_text_comes_once(processor: Any) -> None:
    """``bare`` tells whether the tokenizer adds it."""
    chat, tokenizer = chat_of(processor), processor.tokenizer
    ids = tokenizer(chat.text(WORDS), add_special_tokens=not chat.bare)["input_ids"]
    begins = tokenizer("a")["input_ids"][:-1]  # what it adds to any text
    assert ids[: len(begins)] == begins and ids[len(begins) : 2 * len(begins)] != (begins or None)
    assert ids.count(tokenizer.convert_tokens_to_ids(processor.image_token)) == 2


def test_a_template_that_begins_the_text_itself(llava: Any) -> None:
    assert not chat_of(llava).bare
    llava.chat_template = "{{ bos_token }}" + llava.chat_template
    chat = chat_of(llava)
    assert chat.bare and chat.text(WORDS).startswith("<s>USER: ")


@pytest.mark.parametrize(
    ("template", "what"),
    [
        # Words before the pictures; one place for all of them; none at all; other words behind two pictures.
        ("{% for c in messages[0]['content'] %}{% if c['type'] == 'text' %}{{ c['text'] }}{% endif %}{% endfor %}"
         "{% for c in messages[0]['content'] %}{% if c['type'] == 'image' %}<image>{% endif %}{% endfor %}", "then"),
        ("USER: <image>{{ messages[0]['content'][-1]['text'] }} ASSISTANT:", "one picture after another"),
        ("USER: {{ messages[0]['content'][-1]['text'] }} ASSISTANT:", "one picture after another"),
        ("{% for c in messages[0]['content'] %}{{ '<image>' if c['type'] == 'image' else c['text'] }}{% endfor %}"
         "{{ messages[0]['content'] | length }}", "one picture after another"),
        # Made for text alone: it writes down the list, stumbles over it, or says so.
        ("{% for m in messages %}{{ m['role'] }}: {{ m['content'] }}\n{% endfor %}", "one picture after another"),
        ("{% for m in messages %}{{ m['role'] + m['content'] }}{% endfor %}", "cannot be used for pictures"),
        ("{{ raise_exception('text only') }}", "text only"),
        ("{% if %}", "cannot be used for pictures"),
    ],
)  # fmt: skip
def test_templates_that_cannot_be_used_are_refused(llava: Any, template: str, what: str) -> None:
    llava.chat_template = template
    with pytest.raises(ModelError, match=what):
        chat_of(llava)


def test_without_a_template_the_file_to_copy_is_named(tmp_path: Path) -> None:
    folder = make_qwen2_vl(tmp_path)
    (folder / "chat_template.jinja").unlink()
    with pytest.raises(ModelError, match=r"no chat template.*chat_template\.json"):
        chat_of(load_processor(folder))


def test_pictures_where_the_prompt_has_them() -> None:
    chat = Chat("<U>", "<p>", "<A>", lead="\n")
    assert chat.text("what?") == "<U><p><p>\nwhat?<A>"
    assert chat.text("what?", 1) == "<U><p>\nwhat?<A>"
    assert chat.text("from {pre} to {post}?") == "<U>\nfrom <p> to <p>?<A>"
    # Both dates in one picture: its place is that of the first.
    assert chat.text("from {pre} to {post}?", 1) == "<U>\nfrom <p> to ?<A>"


def test_marks_between_pictures_that_touch_stand_once() -> None:
    chat = Chat("<s>User:", "|<p>|", "\nAssistant:", edge="|")
    assert chat.text("what?") == "<s>User:|<p>|<p>|what?\nAssistant:"
    assert chat.text("a {pre} b {post} c") == "<s>User:a|<p>|b|<p>|c\nAssistant:"
    assert chat.text("{pre} {post} c") == "<s>User:|<p>|<p>|c\nAssistant:"


@given(words=st.text(max_size=60).filter(lambda text: "{pre}" not in text and "<p>" not in text))
def test_words_arrive_as_they_are(words: str) -> None:
    chat = Chat("<U>", "<p>", "<A>")
    text = chat.text(words)
    assert text == f"<U><p><p>{words}<A>"
    if "{post}" not in words:
        assert chat.text(f"{words}{{pre}}{{post}}").count("<p>") == 2
