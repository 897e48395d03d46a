"""Certificates made on the spot: an authority, what it issued, and what a stranger did."""

from dataclasses import dataclass
from datetime import datetime
from pathlib import Path

import trustme
from cryptography.hazmat.primitives.serialization import (
    BestAvailableEncryption,
    Encoding,
    PrivateFormat,
    load_pem_private_key,
)

SERVER_NAMES = ("localhost", "127.0.0.1")
CLIENT_NAMES = ("prometheus.example", "2001:db8::1")


@dataclass(frozen=True)
class Certificates:
    """Paths of PEM files. Keys and certificates of clients are in one file."""

    folder: Path
    authority: trustme.CA

    @property
    def ca(self) -> Path:
        return self.folder / "ca.pem"

    @property
    def certificate(self) -> Path:
        return self.folder / "server.crt"

    @property
    def key(self) -> Path:
        return self.folder / "server.key"

    @property
    def client(self) -> Path:
        return self.folder / "client.pem"

    @property
    def other_client(self) -> Path:
        """Of the same authority, with another name."""
        return self.folder / "other-client.pem"

    @property
    def strange_client(self) -> Path:
        """With the right name, of another authority."""
        return self.folder / "strange-client.pem"

    @property
    def locked_key(self) -> Path:
        """The server's key behind a passphrase."""
        return self.folder / "locked.key"

    def renew(self, **dates: datetime) -> str:
        """Puts another certificate and key in place; gives the serial number as TLS tells it."""
        leaf = self.authority.issue_cert(*SERVER_NAMES, **dates)
        leaf.cert_chain_pems[0].write_to_path(str(self.certificate))
        leaf.private_key_pem.write_to_path(str(self.key))
        return serial_of(leaf)


def serial_of(leaf: trustme.LeafCert) -> str:
    from cryptography.x509 import load_pem_x509_certificate

    number = load_pem_x509_certificate(leaf.cert_chain_pems[0].bytes()).serial_number
    text = f"{number:X}"
    return "0" * (len(text) % 2) + text


def make_certificates(folder: Path) -> Certificates:
    """Writes all of them into a folder, which is made."""
    folder.mkdir(parents=True, exist_ok=True)
    authority = trustme.CA()
    made = Certificates(folder, authority)
    made.renew()
    authority.cert_pem.write_to_path(str(made.ca))
    for issuer, names, path in (
        (authority, CLIENT_NAMES, made.client),
        (authority, ("other.example",), made.other_client),
        (trustme.CA(), CLIENT_NAMES, made.strange_client),
    ):
        issuer.issue_cert(*names).private_key_and_cert_chain_pem.write_to_path(str(path))
    key = load_pem_private_key(made.key.read_bytes(), None)
    made.locked_key.write_bytes(
        key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, BestAvailableEncryption(b"secret"))
    )
    return made
