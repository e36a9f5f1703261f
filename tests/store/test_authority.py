"""The appliance's authority: made once, sealed, and what it signs."""

from __future__ import annotations

import stat
import struct
import uuid
from ipaddress import ip_address
from pathlib import Path

import pytest
from cryptography import x509
from cryptography.hazmat.primitives.asymmetric import rsa
from cryptography.hazmat.primitives.serialization import load_pem_private_key
from cryptography.x509.verification import PolicyBuilder, Store

from app.errors import BootcartError
from app.netboot.wire.esl import X509, signature_list
from app.store.authority import Authority
from tests.store.stores import SetClock

OWNER = uuid.UUID("11111111-2222-3333-4444-555555555555")


@pytest.fixture(scope="module")
def place(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("authority")
    Authority(folder, SetClock()).certificate()
    return folder


def test_it_is_made_once_and_its_key_is_sealed(place: Path) -> None:
    authority = Authority(place, SetClock())
    ca = authority.certificate()

    assert ca.extensions.get_extension_for_class(x509.BasicConstraints).value.ca
    assert authority.pem() == Authority(place, SetClock()).pem()
    for path in (place / "secrets").iterdir():
        assert stat.S_IMODE(path.stat().st_mode) == 0o600, path
    sealed = (place / "secrets" / "ca.key").read_bytes()
    assert sealed.startswith(b"-----BEGIN ENCRYPTED PRIVATE KEY-----")
    told = authority.told()
    assert (told.name, told.subject, told.issuer) == ("ca", ca.subject.rfc4514_string(), told.subject)


def test_what_it_signs_is_good_for_addresses_and_names_at_any_time_firmware_believes_in(place: Path) -> None:
    authority = Authority(place, SetClock())
    made = authority.issue([ip_address("10.7.0.1"), ip_address("fe80::1%3"), ip_address("fd00::1")])

    server, ca = x509.load_pem_x509_certificates(made.chain)
    key = load_pem_private_key(made.key, None)
    assert isinstance(key, rsa.RSAPrivateKey)
    assert key.public_key() == server.public_key()
    server.verify_directly_issued_by(ca)
    names = server.extensions.get_extension_for_class(x509.SubjectAlternativeName).value
    assert {str(each) for each in names.get_values_for_type(x509.IPAddress)} == {"10.7.0.1", "fe80::1", "fd00::1"}
    for each in (server, ca):
        assert each.not_valid_before_utc.year == 2000
        assert each.not_valid_after_utc.year < 2050
    # An independent judge, for the name a client would ask for.
    verifier = PolicyBuilder().store(Store([authority.certificate()])).time(server.not_valid_after_utc)
    verifier.build_server_verifier(x509.IPAddress(ip_address("10.7.0.1"))).verify(server, [])
    with pytest.raises(x509.verification.VerificationError):
        verifier.build_server_verifier(x509.IPAddress(ip_address("10.7.0.2"))).verify(server, [])


def test_what_others_could_read_or_change_is_refused(place: Path) -> None:
    key = place / "secrets" / "ca.key"
    key.chmod(0o644)
    with pytest.raises(BootcartError, match="others may read it"):
        Authority(place, SetClock()).certificate()
    key.chmod(0o600)
    kept, seal = key.read_bytes(), place / "secrets" / "seal.key"
    other = seal.read_bytes()
    for path, octets in ((key, b"no key"), (seal, bytes(32))):
        path.write_bytes(octets)
        with pytest.raises(BootcartError, match="cannot be opened") as caught:
            Authority(place, SetClock()).certificate()
        assert "backup" in caught.value.hint
        key.write_bytes(kept)
        seal.write_bytes(other)
    Authority(place, SetClock()).certificate()


def test_a_signature_list_is_as_firmware_reads_it(place: Path) -> None:
    der = Authority(place, SetClock()).der()
    listed = signature_list(der, OWNER)

    assert uuid.UUID(bytes_le=listed[:16]) == X509
    whole, header, each = struct.unpack_from("<III", listed, 16)
    assert (whole, header, each) == (len(listed), 0, 16 + len(der))
    assert uuid.UUID(bytes_le=listed[28:44]) == OWNER
    assert listed[44:] == der
