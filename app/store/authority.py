"""The appliance's own certificate authority: made once, its key sealed on disk, its certificates made as needed.

Importing this loads cryptography's X.509: for those alone that boot by HTTPS.
"""

from __future__ import annotations

import os
import socket
import threading
from collections.abc import Iterable
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from ipaddress import IPv4Address, IPv6Address, ip_address
from pathlib import Path

from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import rsa
from cryptography.hazmat.primitives.serialization import (
    BestAvailableEncryption,
    Encoding,
    NoEncryption,
    PrivateFormat,
    load_pem_private_key,
)
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID

from app.clock import Clock
from app.errors import BootcartError
from app.model.certificate import Certificate
from app.store.place import refusal, sync_directory
from app.store.secrets import FOLDER, own, seal_key

KEY, CERTIFICATE = "ca.key", "ca.crt"
SERVER_DAYS = 397
RENEW_DAYS = 132
"""A server's certificate is renewed once this is left of it: a third."""
_BITS = 2048
_SINCE = datetime(2000, 1, 1, tzinfo=UTC)
"""Firmware whose clock was never set takes it for the year 2000 or later, and must find every certificate good."""
_UNTIL = datetime(2049, 12, 31, 23, 59, 59, tzinfo=UTC)
"""The last moment that is written with two digits (RFC 5280 section 4.1.2.5), which every firmware reads."""


@dataclass(frozen=True, slots=True)
class Issued:
    """A server's certificate with its authority's, and its key; all in PEM, the key in memory alone."""

    chain: bytes
    key: bytes
    told: Certificate


class Authority:
    """Signs what boot HTTPS shows. Thread-safe; blocks while keys are made."""

    def __init__(self, data_dir: Path, clock: Clock) -> None:
        self._folder = data_dir / FOLDER
        self._data_dir = data_dir
        self._clock = clock
        self._lock = threading.Lock()
        self._made: tuple[rsa.RSAPrivateKey, x509.Certificate] | None = None

    def certificate(self) -> x509.Certificate:
        """The authority's own. Raises BootcartError where its files cannot be read, made or trusted."""
        return self._both()[1]

    def told(self) -> Certificate:
        """The same for an operator."""
        return described("ca", self.certificate())

    def der(self) -> bytes:
        """The same in DER."""
        return self.certificate().public_bytes(Encoding.DER)

    def pem(self) -> bytes:
        """The same in PEM."""
        return self.certificate().public_bytes(Encoding.PEM)

    def _both(self) -> tuple[rsa.RSAPrivateKey, x509.Certificate]:
        with self._lock:
            if self._made is None:
                self._made = self._load()
            return self._made

    def _load(self) -> tuple[rsa.RSAPrivateKey, x509.Certificate]:
        seal = seal_key(self._data_dir).hex().encode()
        key_path, path = self._folder / KEY, self._folder / CERTIFICATE
        try:
            if not key_path.exists():
                self._make(seal)
            own(key_path, 0o600)
            key = load_pem_private_key(key_path.read_bytes(), seal)
            certificate = x509.load_pem_x509_certificate(path.read_bytes())
        except OSError as error:
            raise refusal(error, f"the authority in {self._folder} cannot be read or made", "free space") from error
        except (ValueError, TypeError) as error:
            raise BootcartError(
                f"the authority in {self._folder} cannot be opened: {error}",
                hint=f"restore {KEY}, {CERTIFICATE} and seal.key from one backup; without {KEY} a new one is made, "
                "which firmware must be given anew",
            ) from error
        if not isinstance(key, rsa.RSAPrivateKey) or key.public_key() != certificate.public_key():
            hint = f"restore {KEY} and {CERTIFICATE} from one backup"
            raise BootcartError(f"{path} is not the certificate of {key_path}", hint=hint)
        return key, certificate

    def _make(self, seal: bytes) -> None:
        key = rsa.generate_private_key(65537, _BITS)
        identity = x509.SubjectKeyIdentifier.from_public_key(key.public_key())
        name = x509.Name(
            [
                x509.NameAttribute(NameOID.ORGANIZATION_NAME, "Bootcart"),
                x509.NameAttribute(NameOID.COMMON_NAME, f"Bootcart CA {identity.digest.hex()[:8]}"),
            ]
        )
        made = _builder(name, name, key.public_key(), _UNTIL)
        made = made.add_extension(x509.BasicConstraints(ca=True, path_length=0), critical=True)
        made = made.add_extension(_usage(ca=True), critical=True).add_extension(identity, critical=False)
        certificate = made.sign(key, hashes.SHA256())
        sealed = key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, BestAvailableEncryption(seal))
        # The key comes last: an authority is there once its key is.
        self._write(CERTIFICATE, certificate.public_bytes(Encoding.PEM))
        self._write(KEY, sealed)

    def _write(self, name: str, octets: bytes) -> None:
        path = self._folder / name
        draft = path.with_name(f"{name}.{os.getpid()}.new")
        descriptor = os.open(draft, os.O_CREAT | os.O_TRUNC | os.O_WRONLY | os.O_CLOEXEC | os.O_NOFOLLOW, 0o600)
        with os.fdopen(descriptor, "wb") as file:
            file.write(octets)
            file.flush()
            os.fsync(descriptor)
        draft.replace(path)
        sync_directory(path.parent)

    def issue(self, addresses: Iterable[IPv4Address | IPv6Address]) -> Issued:
        """A new key and its certificate for these addresses and this host's names. Raises BootcartError."""
        ca_key, ca = self._both()
        key = rsa.generate_private_key(65537, _BITS)
        names = host_names()
        places = sorted({ip_address(int(each)) if each.version == 4 else _bare(each) for each in addresses}, key=str)
        subject = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, (names or ("bootcart",))[0][:64])])
        until = datetime.fromtimestamp(self._clock.now(), UTC) + timedelta(days=SERVER_DAYS)
        others = [*(x509.DNSName(name) for name in names), *(x509.IPAddress(place) for place in places)]
        made = _builder(subject, ca.subject, key.public_key(), min(max(until, _SINCE + timedelta(days=1)), _UNTIL))
        made = made.add_extension(x509.BasicConstraints(ca=False, path_length=None), critical=True)
        made = made.add_extension(_usage(ca=False), critical=True)
        made = made.add_extension(x509.ExtendedKeyUsage([ExtendedKeyUsageOID.SERVER_AUTH]), critical=False)
        made = made.add_extension(x509.SubjectAlternativeName(others), critical=False)
        issuer = x509.AuthorityKeyIdentifier.from_issuer_public_key(ca_key.public_key())
        certificate = made.add_extension(issuer, critical=False).sign(ca_key, hashes.SHA256())
        chain = certificate.public_bytes(Encoding.PEM) + self.pem()
        secret = key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption())
        return Issued(chain, secret, described("server", certificate))


def _bare(address: IPv4Address | IPv6Address) -> IPv4Address | IPv6Address:
    """Without the interface a link-local address is on."""
    return IPv6Address(int(address)) if isinstance(address, IPv6Address) else address


def host_names() -> tuple[str, ...]:
    """What this host calls itself, the longest first; only what can stand in a certificate."""
    own_name = socket.gethostname().strip(".").lower()
    found = {own_name, own_name.partition(".")[0]}
    return tuple(sorted((name for name in found if name.isascii() and 0 < len(name) <= 253), key=len, reverse=True))


def _builder(subject: x509.Name, issuer: x509.Name, key: rsa.RSAPublicKey, until: datetime) -> x509.CertificateBuilder:
    made = x509.CertificateBuilder().subject_name(subject).issuer_name(issuer).public_key(key)
    made = made.serial_number(x509.random_serial_number())
    return made.not_valid_before(_SINCE).not_valid_after(until)


def _usage(*, ca: bool) -> x509.KeyUsage:
    return x509.KeyUsage(
        digital_signature=not ca,
        content_commitment=False,
        key_encipherment=not ca,
        data_encipherment=False,
        key_agreement=False,
        key_cert_sign=ca,
        crl_sign=ca,
        encipher_only=False,
        decipher_only=False,
    )


def described(name: str, certificate: x509.Certificate) -> Certificate:
    """A certificate for an operator."""
    try:
        others = certificate.extensions.get_extension_for_class(x509.SubjectAlternativeName).value
        names = tuple(str(other.value) for other in others)
    except x509.ExtensionNotFound:
        names = ()
    return Certificate(
        name=name,
        subject=certificate.subject.rfc4514_string(),
        issuer=certificate.issuer.rfc4514_string(),
        names=names,
        not_before=certificate.not_valid_before_utc.timestamp(),
        not_after=certificate.not_valid_after_utc.timestamp(),
        sha256=certificate.fingerprint(hashes.SHA256()).hex(),
    )
