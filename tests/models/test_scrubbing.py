from __future__ import annotations

import base64
import json
from urllib.parse import quote

import pytest
from hypothesis import given
from hypothesis import strategies as st

from agents.models.scrubbing import Scrubber

SECRET = 'canary "7/+\\é-secret'
SCRUBBER = Scrubber({"MY_API_KEY": SECRET, "HOME": "/home/person", "EDITOR": "a-long-editor", "DB_PASSWORD": "short"})


@pytest.mark.parametrize(
    "form",
    [
        SECRET,
        json.dumps(SECRET),
        json.dumps(SECRET, ensure_ascii=False),
        quote(SECRET, safe=""),
        base64.b64encode(SECRET.encode()).decode(),
        base64.b64encode(b"x" + SECRET.encode() + b"yz").decode(),
        base64.b64encode(b"user:" + SECRET.encode()).decode(),
        base64.urlsafe_b64encode(SECRET.encode()).decode(),
    ],
    ids=["plain", "json", "json utf-8", "url", "base64", "inside base64", "basic auth", "urlsafe"],
)
def test_a_known_secret_is_found_however_it_is_written(form: str) -> None:
    scrubbed = SCRUBBER.scrub(f"before {form} after")
    assert "[secret MY_API_KEY]" in scrubbed
    assert scrubbed.startswith("before ")
    assert scrubbed.endswith(" after")
    assert SCRUBBER.scrub_known(f"before {form} after") == scrubbed


def test_what_is_not_secret_stays() -> None:
    text = "/home/person a-long-editor short"
    assert SCRUBBER.scrub(text) == text
    assert not SCRUBBER.found(text)
    assert Scrubber({}).scrub_known("anything") == "anything"


@pytest.mark.parametrize(
    ("text", "name"),
    [
        ("sk-" + "a1B2" * 8, "API key"),
        ("sk-proj-" + "a1B2" * 8, "API key"),
        ("ghp_" + "a" * 36, "GitHub token"),
        ("github_pat_" + "a" * 36, "GitHub token"),
        ("glpat-" + "a" * 20, "GitLab token"),
        ("AKIA" + "A1B2" * 4, "AWS key"),
        ("AIza" + "a" * 35, "Google key"),
        ("hf_" + "a" * 34, "Hugging Face token"),
        ("xoxb-" + "1" * 12, "Slack token"),
        ("eyJhbGciOiJIUzI1.eyJzdWIiOiIxMjM0.SflKxwRJSMeKKF2QT4", "web token"),
        ("-----BEGIN RSA PRIVATE KEY-----\nabc\n-----END RSA PRIVATE KEY-----", "private key"),
        ("-----BEGIN PRIVATE KEY-----\ncut off", "private key"),
    ],
)
def test_secrets_are_known_by_their_looks_but_left_in_prompts(text: str, name: str) -> None:
    assert SCRUBBER.scrub(f"a {text}").startswith(f"a [secret {name}]")
    assert SCRUBBER.scrub_known(text) == text


@given(
    st.text(min_size=8, max_size=40).filter(lambda s: s.strip() == s and not s.startswith("/")), st.text(max_size=30)
)
def test_no_value_survives_and_scrubbing_twice_changes_nothing(secret: str, around: str) -> None:
    scrubber = Scrubber({}, [("CANARY", secret)])
    if secret.lower() in {"disabled", "required"} or secret in "[secret CANARY]":
        return
    once = scrubber.scrub(around + secret + around)
    assert secret not in once.replace("[secret CANARY]", "\0")
    assert scrubber.scrub(once) == once


def test_a_secret_inside_another_leaves_no_rest() -> None:
    scrubber = Scrubber({"A_TOKEN": "abcdefgh", "B_TOKEN": "abcdefghijkl"})
    assert scrubber.scrub("abcdefghijkl abcdefgh") == "[secret B_TOKEN] [secret A_TOKEN]"
