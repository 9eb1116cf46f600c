from __future__ import annotations

import base64
import json
import time

import pytest

from rsccli.datasets.teacher.chat import NoCaptionError, Sampling, question, read_answer, said_in_error
from rsccli.datasets.teacher.client import Address, address_from, retry_after_s
from rsccli.datasets.teacher.gate import Gate, Halted
from rsccli.errors import UsageProblem


def body(content: object, **more: object) -> bytes:
    return json.dumps({"choices": [{"message": {"content": content}, **more}]}).encode()


def test_a_question_holds_the_words_and_both_pictures_in_order() -> None:
    asked = json.loads(question("m", "What changed?", b"before", b"after", Sampling()))
    assert set(asked) == {"model", "messages"}, "what nobody asked for is left to the endpoint"
    (message,) = asked["messages"]
    assert message["content"][0] == {"type": "text", "text": "What changed?"}
    urls = [part["image_url"]["url"] for part in message["content"][1:]]
    assert [base64.b64decode(url.removeprefix("data:image/png;base64,")) for url in urls] == [b"before", b"after"]
    asked = json.loads(question("m", "", b"", b"", Sampling(0.0, 200)))
    assert (asked["temperature"], asked["max_tokens"]) == (0.0, 200)


@pytest.mark.parametrize(
    ("content", "text"),
    [
        ("Houses  were\n built.", "Houses were built."),
        ([{"type": "text", "text": "Houses "}, {"type": "image"}, {"type": "text", "text": "fell."}], "Houses fell."),
        ("<think>Was it 3 < 4?\nNo.</think>\nNothing changed.", "Nothing changed."),
        ("a\x00b", "a\ufffdb"),
        ("1 < 2 <think>", "1 < 2 <think>"),
    ],
)
def test_the_caption_in_an_answer(content: object, text: str) -> None:
    assert read_answer(body(content)).text == text


def test_tokens_are_counted_where_they_are_told() -> None:
    data = json.dumps({**json.loads(body("a")), "usage": {"prompt_tokens": 7, "completion_tokens": "x"}}).encode()
    answer = read_answer(data)
    assert (answer.prompt_tokens, answer.answer_tokens) == (7, 0)


@pytest.mark.parametrize(
    ("data", "again", "said"),
    [
        (b"", True, "not JSON"),
        (b"<html>", True, "not JSON"),
        (b"[]", True, "choices"),
        (b'{"choices": []}', True, "choices"),
        (b'{"choices": [5]}', True, "choices"),
        (b'{"choices": [{"message": "hi"}]}', True, "choices"),
        (body(None), True, "no text"),
        (body(" \n "), True, "no text"),
        (body({"a": 1}), True, "no text"),
        (body("Houses were", finish_reason="length"), False, "--max-new-tokens"),
        (body("<think>Let me see"), False, "--max-new-tokens"),
        (body("", finish_reason="content_filter"), False, "refused"),
        (b'{"choices": [{"message": {"content": null, "refusal": "no"}}]}', False, "refused"),
    ],
)
def test_what_is_no_caption_is_told_apart(data: bytes, again: bool, said: str) -> None:
    with pytest.raises(NoCaptionError, match=said) as error:
        read_answer(data)
    assert error.value.again is again


@pytest.mark.parametrize(
    ("data", "said"),
    [
        (b'{"error": {"message": "too\\n many"}}', "too many"),
        (b'{"error": "no"}', "no"),
        (b'{"detail": "not found"}', "not found"),
        (b'{"error": {"code": 5}}', ""),
        (b"oops", ""),
        (json.dumps({"error": {"message": "x" * 900}}).encode(), "x" * 200),
    ],
)
def test_what_an_error_says(data: bytes, said: str) -> None:
    assert said_in_error(data) == said


@pytest.mark.parametrize(
    ("given", "url"),
    [
        ("http://127.0.0.1:8000/v1", "http://127.0.0.1:8000/v1/chat/completions"),
        ("https://host/v1/ ", "https://host/v1/chat/completions"),
        ("https://host/v1/chat/completions", "https://host/v1/chat/completions"),
        ("https://host/models/m?api-version=2#x", "https://host/models/m/chat/completions?api-version=2"),
    ],
)
def test_addresses(given: str, url: str) -> None:
    address = address_from({"RSCCLI_ENDPOINT": given, "RSCCLI_API_KEY": " sk-secret\n"})
    assert (address.url, address.key) == (url, "sk-secret")
    assert "secret" not in repr(address) and "host" not in repr(address)
    assert address_from({"RSCCLI_ENDPOINT": given}).key is None


@pytest.mark.parametrize("given", ["", "host/v1", "ftp://host", "http://?", "http://[::1", "http://host:x/v1"])
def test_what_is_no_address_is_refused_without_being_told(given: str) -> None:
    with pytest.raises(UsageProblem, match="RSCCLI_ENDPOINT") as refused:
        address_from({"RSCCLI_ENDPOINT": given, "RSCCLI_API_KEY": "sk-secret"})
    assert not given or given not in str(refused.value)
    assert "secret" not in str(refused.value)


def test_a_key_of_odd_characters_is_refused_without_being_told() -> None:
    with pytest.raises(UsageProblem, match="RSCCLI_API_KEY") as refused:
        address_from({"RSCCLI_ENDPOINT": "http://h/v1", "RSCCLI_API_KEY": "sk-\u00e9-secret"})
    assert "secret" not in str(refused.value)


def test_words_of_others_lose_key_and_address() -> None:
    address = Address("https://secret-host.example:8443/v1/chat/completions", "sk-12345")
    hidden = address.hide(
        "Bearer sk-12345 at https://secret-host.example:8443/v1/chat/completions, secret-host.example"
    )
    assert hidden == "Bearer ... at ..., ..."


@pytest.mark.parametrize(
    ("value", "seconds"),
    [
        ("7", 7.0),
        (" 0.5 ", 0.5),
        ("-3", 0.0),
        ("Wed, 21 Oct 2015 07:28:30 GMT", 30.0),
        ("Wed, 21 Oct 2015 07:27:00 GMT", 0.0),
        ("soon", None),
        ("nan", None),
        ("", None),
        (None, None),
    ],
)
def test_retry_after_is_a_number_or_a_date(value: str | None, seconds: float | None) -> None:
    assert retry_after_s(value, lambda: 1445412480.0) == seconds


def test_the_gate_spaces_requests_and_holds_all_of_them() -> None:
    gate = Gate(per_minute=1200)
    start = time.monotonic()
    for _ in range(5):
        gate.enter()
    assert 0.2 <= time.monotonic() - start < 2
    gate.hold(0.3)
    start = time.monotonic()
    gate.enter()
    assert time.monotonic() - start >= 0.29
    with pytest.raises(UsageProblem, match="--per-minute"):
        Gate(per_minute=0)


def test_a_halted_gate_lets_nobody_through_and_ends_every_wait() -> None:
    gate = Gate(first_wait_s=1000)
    gate.hold(1000)
    gate.halt()
    for wait in (gate.enter, lambda: gate.rest(5)):
        with pytest.raises(Halted):
            wait()
