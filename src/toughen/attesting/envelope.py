"""Owns the envelope: DSSE v1 around a statement, signed and verified with the key of a file by securesystemslib, the library of in-toto's own."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any, Final

from toughen.errors import AttestationError

if TYPE_CHECKING:
    from pathlib import Path

TYPE: Final = "application/vnd.in-toto+json"
KEY: Final = "TOUGHEN_SIGNING_KEY"
"""Environment variable that holds a private key as text, for CI."""
_LARGEST: Final = 16 << 20
_INSTALL: Final = "install it with `pip install 'toughen[attest]'`"
_MAKE: Final = "`openssl genpkey -algorithm ed25519 -out toughen.key` makes one, and `openssl pkey -in toughen.key -pubout -out toughen.pub` its public half"


def signed(payload: bytes, key: bytes) -> str:
    """One line of JSON: the envelope. Raises AttestationError where the key cannot sign."""
    try:
        from cryptography.hazmat.primitives.serialization import load_pem_private_key
        from securesystemslib.dsse import Envelope
        from securesystemslib.signer import CryptoSigner  # type: ignore[attr-defined]
    except ImportError as error:
        raise AttestationError("nothing that signs is installed beside toughen", subject=error.name, hint=_INSTALL) from error
    try:
        signer = CryptoSigner(load_pem_private_key(key, password=None))
        envelope = Envelope(payload, TYPE, {})
        envelope.sign(signer)
    except Exception as error:
        raise AttestationError(f"the key cannot sign: {_said(error)}", subject=key[:40], hint=f"it must be a private key in PEM, without a password: {_MAKE}") from error
    return json.dumps(envelope.to_dict(), sort_keys=True) + "\n"


def opened(text: bytes, key: bytes) -> bytes:
    """What the owner of the public key signed. Raises AttestationError where he did not, or where that is no envelope."""
    try:
        from cryptography.hazmat.primitives.serialization import load_pem_public_key
        from securesystemslib.dsse import Envelope
        from securesystemslib.signer import SSlibKey  # type: ignore[attr-defined]
    except ImportError as error:
        raise AttestationError("nothing that verifies is installed beside toughen", subject=error.name, hint=_INSTALL) from error
    try:
        public = SSlibKey.from_crypto(load_pem_public_key(key))
    except Exception as error:
        raise AttestationError(f"that is no public key: {_said(error)}", subject=key[:40], hint="it must be a public key in PEM") from error
    try:
        envelope = Envelope.from_dict(_document(text))
        # Whose name stands beside a signature is anybody's to write: only the key counts.
        by_key = [each for each in envelope.signatures.values() if _valid(public, each, envelope.pae())]
    except AttestationError:
        raise
    except Exception as error:
        raise AttestationError(f"that is no attestation: {_said(error)}", subject=text[:80]) from error
    if not by_key:
        raise AttestationError("the signature is not that of this key: whoever wrote the attestation does not hold its private half, or it was changed afterwards", subject=public.keyid)
    if envelope.payload_type != TYPE:
        raise AttestationError(f"what was signed is of type {str(envelope.payload_type)[:60]!r}, not {TYPE}", subject=envelope.payload_type)
    return envelope.payload


def _valid(public: Any, signature: Any, message: bytes) -> bool:  # noqa: ANN401 - types of a library that is optional
    from securesystemslib.exceptions import UnverifiedSignatureError

    try:
        public.verify_signature(signature, message)
    except UnverifiedSignatureError:
        return False
    return True


def _document(text: bytes) -> dict[str, Any]:
    if len(text) > _LARGEST:
        raise AttestationError(f"it is too large to be an attestation ({len(text) >> 20} MiB)", subject=len(text))
    found = json.loads(text)
    if not isinstance(found, dict):
        raise AttestationError("that is no attestation: it is no JSON object", subject=type(found).__name__)
    return found


def _said(error: Exception) -> str:
    return (" ".join(str(error).split()) or type(error).__name__)[:200]


def key_of(file: Path | None, environment: str) -> bytes:
    """The bytes of a private key: of the file, else of the environment variable. Raises AttestationError where there is neither."""
    if file is None:
        if environment:
            return environment.encode()
        raise AttestationError("there is no key to sign with", subject=KEY, hint=f"name its file with --key, or set {KEY} to its text; {_MAKE}")
    try:
        return file.read_bytes()[:_LARGEST]
    except OSError as error:
        raise AttestationError(f"the key cannot be read: {error.strerror}: {file}", subject=file, hint=_MAKE) from error
