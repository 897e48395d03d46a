"""What was asked for of TLS is what a handshake gets: OpenSSL against OpenSSL, no network."""

import ssl
import warnings
from pathlib import Path

import pytest

from pearl_exporter.config.web.load import read_web_config
from tests.support.certificates import Certificates, make_certificates


@pytest.fixture(scope="module")
def made(tmp_path_factory) -> Certificates:
    return make_certificates(tmp_path_factory.mktemp("certificates"))


def server(made: Certificates, *more: str) -> ssl.SSLContext:
    keys = ("cert_file: server.crt", "key_file: server.key", *more)
    path = made.folder / "web.yml"
    path.write_text(f"tls_server_config: {{{', '.join(keys)}}}\n")
    context = read_web_config(path).context
    assert context is not None
    return context


def client(
    made: Certificates, *, only: str | None = None, pem: Path | None = None
) -> ssl.SSLContext:
    """A client that trusts the authority, speaks one version alone and shows a certificate."""
    context = ssl.create_default_context(cafile=str(made.ca))
    if pem is not None:
        context.load_cert_chain(pem)
    if only is not None:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", DeprecationWarning)
            context.minimum_version = context.maximum_version = ssl.TLSVersion[only]
        context.set_ciphers("ALL:@SECLEVEL=0")
    return context


def shake_hands(ours: ssl.SSLContext, theirs: ssl.SSLContext) -> ssl.SSLObject:
    """The client's end of a connection; raises SSLError where there is none, whoever refused."""
    to_server, to_client = ssl.MemoryBIO(), ssl.MemoryBIO()
    ends = [
        theirs.wrap_bio(to_client, to_server, server_hostname="localhost"),
        ours.wrap_bio(to_server, to_client, server_side=True),
    ]
    waiting = list(ends)
    for _ in range(6):
        for end in tuple(waiting):
            try:
                end.do_handshake()
                waiting.remove(end)
            except ssl.SSLWantReadError:
                continue
    assert not waiting
    return ends[0]


def refused(ours: ssl.SSLContext, theirs: ssl.SSLContext) -> str:
    with pytest.raises(ssl.SSLError) as caught:
        shake_hands(ours, theirs)
    return caught.value.reason


def test_tls_12_and_13_by_default_and_nothing_older(made):
    ours = server(made)
    assert shake_hands(ours, client(made)).version() == "TLSv1.3"
    assert shake_hands(ours, client(made, only="TLSv1_2")).version() == "TLSv1.2"
    for old in ("TLSv1", "TLSv1_1"):
        refused(ours, client(made, only=old))


@pytest.mark.parametrize(("name", "version"), [("TLS10", "TLSv1"), ("TLS11", "TLSv1.1")])
def test_old_versions_for_who_asks_for_them(made, name, version):
    if not {"TLSv1": ssl.HAS_TLSv1, "TLSv1.1": ssl.HAS_TLSv1_1}[version]:
        pytest.fail("this OpenSSL has no old versions to test with", pytrace=False)
    ours = server(made, f"min_version: {name}")
    assert shake_hands(ours, client(made, only=version.replace(".", "_"))).version() == version
    assert shake_hands(ours, client(made)).version() == "TLSv1.3"


def test_a_newest_and_an_oldest_version(made):
    assert shake_hands(server(made, "max_version: TLS12"), client(made)).version() == "TLSv1.2"
    refused(server(made, "min_version: TLS13"), client(made, only="TLSv1_2"))


def test_the_cipher_suites_and_no_other(made):
    suites = "cipher_suites: [TLS_ECDHE_ECDSA_WITH_AES_128_GCM_SHA256, TLS_AES_256_GCM_SHA384]"
    ours = server(made, suites)
    cipher, *_ = shake_hands(ours, client(made, only="TLSv1_2")).cipher()
    assert cipher == "ECDHE-ECDSA-AES128-GCM-SHA256"
    other = client(made, only="TLSv1_2")
    other.set_ciphers("ECDHE-ECDSA-AES256-GCM-SHA384")
    refused(ours, other)


@pytest.mark.parametrize(("prefers", "wanted"), [("true", "256"), ("false", "128")])
def test_whose_order_of_suites_counts(made, prefers, wanted):
    names = [f"TLS_ECDHE_ECDSA_WITH_AES_{each}" for each in ("256_GCM_SHA384", "128_GCM_SHA256")]
    ours = server(
        made, f"cipher_suites: [{', '.join(names)}]", f"prefer_server_cipher_suites: {prefers}"
    )
    theirs = client(made, only="TLSv1_2")
    theirs.set_ciphers("ECDHE-ECDSA-AES128-GCM-SHA256:ECDHE-ECDSA-AES256-GCM-SHA384")
    cipher, *_ = shake_hands(ours, theirs).cipher()
    assert wanted in cipher


def test_the_curve_and_no_other(made):
    ours = server(made, "curve_preferences: [CurveP384]")
    theirs = client(made)
    theirs.set_ecdh_curve("secp384r1")
    shake_hands(ours, theirs)
    theirs.set_ecdh_curve("prime256v1")
    refused(ours, theirs)


VERIFIED = ("client_ca_file: ca.pem", "client_auth_type: RequireAndVerifyClientCert")


def test_a_required_certificate_is_that_of_the_authority(made):
    ours = server(made, *VERIFIED)
    shake_hands(ours, client(made, pem=made.client))
    assert refused(ours, client(made)) == "PEER_DID_NOT_RETURN_A_CERTIFICATE"
    assert refused(ours, client(made, pem=made.strange_client)) == "CERTIFICATE_VERIFY_FAILED"


def test_a_certificate_if_there_is_one(made):
    ours = server(made, "client_ca_file: ca.pem", "client_auth_type: VerifyClientCertIfGiven")
    shake_hands(ours, client(made))
    shake_hands(ours, client(made, pem=made.client))
    assert refused(ours, client(made, pem=made.strange_client)) == "CERTIFICATE_VERIFY_FAILED"


def test_no_certificate_is_asked_for_by_default(made):
    ours = server(made)
    assert ours.verify_mode is ssl.CERT_NONE
    shake_hands(ours, client(made, pem=made.strange_client))


def test_http_1_1_is_what_is_spoken(made):
    theirs = client(made)
    theirs.set_alpn_protocols(["h2", "http/1.1"])
    assert shake_hands(server(made), theirs).selected_alpn_protocol() == "http/1.1"
