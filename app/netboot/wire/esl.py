"""EFI signature lists: how firmware takes a certificate that it is to trust (UEFI 2.10 section 32.4.1)."""

from __future__ import annotations

import struct
import uuid

X509 = uuid.UUID("a5c059a1-94e4-4aa7-87b5-ab155c2bf072")
"""EFI_CERT_X509_GUID."""
_HEADER = struct.Struct("<16sIII")  # EFI_SIGNATURE_LIST: type, sizes of the list, of its header, of each signature


def signature_list(certificate: bytes, owner: uuid.UUID) -> bytes:
    """A list with one X.509 certificate in DER; `owner` tells firmware, and whoever takes it out again, whose it is."""
    signature = owner.bytes_le + certificate
    return _HEADER.pack(X509.bytes_le, _HEADER.size + len(signature), 0, len(signature)) + signature
