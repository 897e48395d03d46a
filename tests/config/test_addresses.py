"""The base URL of the API: without the paths that follow it by themselves."""

import pytest

from pearl_exporter.config.addresses import base_url
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
