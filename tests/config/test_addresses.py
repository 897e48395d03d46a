"""The base URL of the API: without the paths that follow it by themselves."""

import pytest

from pearl_exporter.config.addresses import base_url, is_readable_on_the_way
from tests.config.loading import ONE, load, problems_of

pytestmark = pytest.mark.usefixtures("own_folder")


@pytest.mark.parametrize(
    "path",
    ["/v1", "/v1/", "/V1", "//v1//", "/v1/Outbound", "/v1/outbound/", "/v1/Account",
     "/v1/Outbound/65f1c0ffee", "/v1/Outbound/65f1c0ffee/Calls"],
)  # fmt: skip
@pytest.mark.parametrize("before", ["", "/nlpearl", "/v1/gateway"])
def test_paths_of_the_api_are_refused_and_the_right_url_named(path, before):
    url = f"https://api.nlpearl.ai:8443{before}"
    (problem,) = problems_of(f"{ONE}api: {{url: '{url}{path}'}}")
    assert problem == (
        f"config.yml:2: api.url: the API's own /v1 follows this URL by itself; write {url}"
    )


@pytest.mark.parametrize(
    "url",
    ["https://api.nlpearl.ai", "https://api.nlpearl.ai/v1/gateway", "https://v1.nlpearl.ai",
     "https://api.nlpearl.ai/v10", "https://api.nlpearl.ai/v1x", "https://gateway/v1/Outbounds"],
)  # fmt: skip
def test_other_paths_are_kept(url):
    assert load(f"{ONE}api: {{url: '{url}/'}}").api.url == url


def test_what_may_be_a_secret_before_it_is_not_named():
    with pytest.raises(ValueError, match="write the address before it") as caught:
        base_url("https://api.nlpearl.ai/acct:s3cr3tKeyMaterial/v1")
    assert "s3cr3t" not in str(caught.value)


@pytest.mark.parametrize(
    ("url", "is_readable"),
    [
        ("https://api.nlpearl.ai", False),
        ("http://localhost:10043", False),
        ("http://sim.localhost", False),
        ("http://127.8.0.1:10043", False),
        ("http://[::1]:10043", False),
        ("http://api.nlpearl.ai", True),
        ("http://10.0.0.7:8080/gateway", True),
        ("http://[fd00::7]", True),
        ("http://localhost.example", True),
        ("http://gateway", True),
    ],
)
def test_plain_http_to_another_machine_is_readable_on_the_way(url, is_readable):
    assert is_readable_on_the_way(url) is is_readable
