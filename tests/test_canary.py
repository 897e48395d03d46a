"""The nose for bait smells it in every disguise, or no test of privacy would prove a thing."""

import base64
import gzip
import json
from urllib.parse import quote

import msgspec
import pytest

from tests.support.canary import NOTATIONS, Canary


@pytest.mark.parametrize("turn", range(len(NOTATIONS)))
def test_a_number_is_found_in_every_notation_and_encoding(turn):
    canary = Canary()
    for _ in range(turn):
        canary.number("before")
    number = canary.number("here")
    for told in (
        number,
        f'x="{number}"',
        json.dumps(number),
        quote(number),
        number.encode(),
        base64.b64encode(number.encode()).decode(),
    ):
        assert canary.told_in(told) == {"here"}, told


def test_a_number_is_found_as_html_writes_it_and_as_a_number():
    canary = Canary()
    number = canary.plain_number("here")
    assert canary.told_in("&#43;" + "".join(f"&#{ord(each)};" for each in number)) == {"here"}
    assert canary.told_in(msgspec.msgpack.encode({"from": int(number)})) == {"here"}
    assert canary.told_in(int(number).to_bytes(8, "little")) == {"here"}


def test_words_are_found_whatever_their_case_and_in_basic_auth():
    canary = Canary()
    secret, mail = canary.secret("a password"), canary.email("a row")
    assert canary.told_in(mail.upper()) == {"a row"}
    assert canary.told_in(quote(mail)) == {"a row"}
    header = base64.b64encode(f"user:{secret}".encode()).decode()
    assert canary.told_in(f"Authorization: Basic {header}") == {"a password"}


def test_what_was_not_planted_is_not_found():
    canary = Canary()
    canary.number("here")
    canary.secret("there")
    assert canary.told_in("+49 1515 0777 9999, canary secret, 65f1c0ffee") == set()
    assert canary.told_in(gzip.compress(b"harmless")) == set()
