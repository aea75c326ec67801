"""Who made a bundle: an Ed25519 signature (RFC 8032) of `model.json`, in a file beside it.

`model.json.sig` is 96 bytes: the signer's public key (32) and the signature (64) of PREFIX followed by the bytes of
`model.json`. That document holds size and sha256 of every other file, and a bundle of which a signature is demanded
may hold nothing besides, so one changed byte anywhere in the folder is refused. PREFIX keeps a signature that the
same key gave for another purpose from serving here.

The key inside the file only says who claims to have signed; what is trusted is the key that the caller brings.
A signature does not say that a bundle is the newest one: an older bundle of the same key passes.
"""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

from edge_mi.errors import ConfigError, SignatureError
from edge_mi.optional import require

SIGNATURE: Final = "model.json.sig"
PREFIX: Final = b"edge-mi bundle signature 1\n"
KEY_BYTES: Final = 32
SIGNATURE_BYTES: Final = KEY_BYTES + 64
_MAX_PEM_BYTES = 64 << 10
_KIND = "cryptography.hazmat.primitives.asymmetric.ed25519"
_FORMAT = "cryptography.hazmat.primitives.serialization"


@dataclass(frozen=True, slots=True)
class PublicKey:
    """An Ed25519 public key, 32 bytes: whose bundles a device accepts."""

    raw: bytes

    def __post_init__(self) -> None:
        if len(self.raw) != KEY_BYTES:
            raise ValueError(f"an Ed25519 public key has {KEY_BYTES} bytes, found {len(self.raw)}")

    @property
    def fingerprint(self) -> str:
        """First 16 hexadecimal digits of the sha256 of the key, for people to compare."""
        return hashlib.sha256(self.raw).hexdigest()[:16]

    @classmethod
    def load(cls, path: str | Path) -> PublicKey:
        """Read a PEM file (SubjectPublicKeyInfo). Raises ConfigError, MissingDependency."""
        kinds, formats = _cryptography()
        content = _read_pem(path)
        if b"PRIVATE KEY-----" in content:
            raise ConfigError(
                f"{path} is a private key, which no device needs; expected the public one: "
                "openssl pkey -in KEY -pubout"
            )
        try:
            key = formats.load_pem_public_key(content)
        except Exception as exc:  # the library raises several unrelated types for what it cannot read
            raise ConfigError(
                f"{path}: expected an Ed25519 public key in PEM form, found something else"
            ) from exc
        if not isinstance(key, kinds.Ed25519PublicKey):
            raise ConfigError(f"{path}: expected an Ed25519 public key, found {type(key).__name__}")
        return cls(key.public_bytes_raw())


@dataclass(frozen=True, slots=True, repr=False)
class SigningKey:
    """An Ed25519 private key; readable_by_others: whether its file can be read by more than its owner."""

    public: PublicKey
    readable_by_others: bool
    _private: Any

    @classmethod
    def load(cls, path: str | Path) -> SigningKey:
        """Read a PEM file (PKCS 8, not encrypted). Raises ConfigError, MissingDependency."""
        kinds, formats = _cryptography()
        content = _read_pem(path)
        if b"BEGIN ENCRYPTED PRIVATE KEY" in content or b"Proc-Type: 4,ENCRYPTED" in content:
            raise ConfigError(
                f"{path} is encrypted, and edge-mi asks for no password; hand it over decrypted: "
                "--sign <(openssl pkey -in KEY)"
            )
        try:
            key = formats.load_pem_private_key(content, password=None)
        except Exception as exc:  # the library raises several unrelated types for what it cannot read
            found = "a public key" if b"PUBLIC KEY-----" in content else "something else"
            raise ConfigError(
                f"{path}: expected an Ed25519 private key in PEM form, PKCS 8, found {found}"
            ) from exc
        if not isinstance(key, kinds.Ed25519PrivateKey):
            raise ConfigError(f"{path}: expected an Ed25519 private key, found {type(key).__name__}")
        file = Path(path)
        shared = file.is_file() and bool(file.stat().st_mode & 0o077)
        return cls(PublicKey(key.public_key().public_bytes_raw()), shared, key)

    def sign(self, document: bytes) -> bytes:
        """The content of `model.json.sig` for the bytes of `model.json`; the same key gives the same bytes."""
        return self.public.raw + bytes(self._private.sign(PREFIX + document))


def check_signature(document: bytes, signature: bytes, key: PublicKey | None = None) -> PublicKey:
    """The key that signed `document`, the bytes of `model.json`; `signature` is the content of `model.json.sig`.

    Without `key` that is whoever signed. Raises SignatureError, also where it is another key than `key`;
    MissingDependency.
    """
    kinds, _ = _cryptography()
    if len(signature) != SIGNATURE_BYTES:
        raise SignatureError(f"the signature has {len(signature)} bytes, expected {SIGNATURE_BYTES}")
    signer = PublicKey(signature[:KEY_BYTES])
    if key is not None and signer != key:
        raise SignatureError(f"signed by key {signer.fingerprint}, expected key {key.fingerprint}")
    invalid = require("cryptography.exceptions", extra="sign").InvalidSignature
    try:
        kinds.Ed25519PublicKey.from_public_bytes(signer.raw).verify(signature[KEY_BYTES:], PREFIX + document)
    except (invalid, ValueError) as exc:  # ValueError: 32 bytes that are no key
        raise SignatureError(
            f"the signature of key {signer.fingerprint} does not fit: model.json or the signature was changed"
        ) from exc
    return signer


def _cryptography() -> tuple[Any, Any]:
    return require(_KIND, extra="sign"), require(_FORMAT, extra="sign")


def _read_pem(path: str | Path) -> bytes:
    """The content of a key file, which may be a pipe."""
    try:
        with Path(path).open("rb") as file:
            content = file.read(_MAX_PEM_BYTES + 1)
    except OSError as exc:
        raise ConfigError(f"cannot read the key {path}: {exc.strerror or exc}") from exc
    if len(content) > _MAX_PEM_BYTES:
        raise ConfigError(f"{path} is larger than {_MAX_PEM_BYTES >> 10} KB; expected a key in PEM form")
    return content
