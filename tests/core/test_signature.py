"""A signed bundle is accepted as its signer left it, and as nothing else."""

from __future__ import annotations

import hashlib
import json
import os
import pickle
import re
import shutil
import subprocess
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from cryptography.hazmat.primitives.asymmetric import ec, x25519
from cryptography.hazmat.primitives.serialization import (
    BestAvailableEncryption,
    Encoding,
    NoEncryption,
    PrivateFormat,
    PublicFormat,
)
from hypothesis import given, settings
from hypothesis import strategies as st
from keys import key_pair, private_key

from edge_mi.bundle import MODEL_JSON, REQUIRED_FILES, SCHEMA, Bundle
from edge_mi.errors import BundleError, ConfigError, SignatureError
from edge_mi.shipped import shipped_bundle
from edge_mi.signature import PREFIX, SIGNATURE, PublicKey, SigningKey, check_signature

FILES = (MODEL_JSON, SIGNATURE, *REQUIRED_FILES)
DOCUMENT = (Path(__file__).parents[2] / "docs" / "signing.md").read_text(encoding="utf-8")


def sign(bundle: Path, key: SigningKey) -> Path:
    (bundle / SIGNATURE).write_bytes(key.sign((bundle / MODEL_JSON).read_bytes()))
    return bundle


@pytest.fixture(scope="module")
def key(tmp_path_factory: pytest.TempPathFactory) -> SigningKey:
    return SigningKey.load(key_pair(tmp_path_factory.mktemp("keys"))[0])


@pytest.fixture(scope="module")
def untouched(tmp_path_factory: pytest.TempPathFactory, key: SigningKey) -> Path:
    folder = tmp_path_factory.mktemp("signed") / "bundle"
    return sign(Path(shutil.copytree(shipped_bundle(), folder)), key)


@pytest.fixture
def signed(untouched: Path, tmp_path: Path) -> Path:
    return Path(shutil.copytree(untouched, tmp_path / "bundle"))


def test_what_its_owner_signed_is_accepted(signed: Path, key: SigningKey) -> None:
    bundle = Bundle.load(signed, require_signed=key.public)
    assert bundle.model_id == Bundle.load(shipped_bundle()).model_id
    assert check_signature(bundle.document, bundle.signature or b"") == key.public


def test_an_unsigned_bundle_is_read_where_no_signature_is_demanded(signed: Path, key: SigningKey) -> None:
    (signed / SIGNATURE).unlink()
    assert Bundle.load(signed).signature is None
    with pytest.raises(SignatureError, match=f"is not signed: there is no {SIGNATURE}"):
        Bundle.load(signed, require_signed=key.public)


def test_another_key_is_not_the_one_that_is_demanded(signed: Path, tmp_path: Path) -> None:
    other = PublicKey.load(key_pair(tmp_path, seed=1)[1])
    with pytest.raises(SignatureError, match=f"expected key {other.fingerprint}"):
        Bundle.load(signed, require_signed=other)


def test_a_signature_that_names_our_key_is_not_enough(signed: Path, key: SigningKey, tmp_path: Path) -> None:
    """An attacker signs with a key of their own and writes our key, which is public, in front."""
    theirs = SigningKey.load(key_pair(tmp_path, seed=1)[0]).sign((signed / MODEL_JSON).read_bytes())
    (signed / SIGNATURE).write_bytes(key.public.raw + theirs[32:])
    with pytest.raises(SignatureError, match="does not fit"):
        Bundle.load(signed, require_signed=key.public)


def test_a_signature_given_for_another_purpose_does_not_serve(signed: Path, key: SigningKey) -> None:
    document = (signed / MODEL_JSON).read_bytes()
    (signed / SIGNATURE).write_bytes(key.public.raw + private_key().sign(document))
    with pytest.raises(SignatureError, match="does not fit"):
        Bundle.load(signed, require_signed=key.public)


@pytest.mark.parametrize("size", [0, 1, 64, 95, 97, 192, 5000])
def test_a_signature_of_another_size_is_refused(signed: Path, key: SigningKey, size: int) -> None:
    content = (signed / SIGNATURE).read_bytes()
    (signed / SIGNATURE).write_bytes((content * 60)[:size])
    with pytest.raises(SignatureError, match=f"has {size} bytes, expected 96"):
        Bundle.load(signed, require_signed=key.public)


@pytest.mark.parametrize("position", range(96))
def test_every_byte_of_the_signature_counts(position: int, key: SigningKey) -> None:
    content = bytearray(key.sign(b"document"))
    for bit in range(8):
        content[position] ^= 1 << bit
        with pytest.raises(SignatureError):
            check_signature(b"document", bytes(content), key.public)
        content[position] ^= 1 << bit
    assert check_signature(b"document", bytes(content), key.public) == key.public


@settings(max_examples=200, deadline=None)
@given(st.data())
def test_any_changed_byte_of_any_file_is_refused(
    untouched: Path, key: SigningKey, data: st.DataObject
) -> None:
    file = untouched / data.draw(st.sampled_from(FILES))
    content = file.read_bytes()
    position = data.draw(st.integers(0, len(content) - 1))
    changed = bytearray(content)
    changed[position] ^= data.draw(st.integers(1, 255))
    file.write_bytes(changed)
    try:
        with pytest.raises(BundleError):
            Bundle.load(untouched, require_signed=key.public)
    finally:
        file.write_bytes(content)


@pytest.mark.parametrize("name", FILES)
@pytest.mark.parametrize(
    "spoil",
    [
        lambda content: content[:-1],
        lambda content: content + b"\n",
        lambda content: b"",
        lambda content: b"\n" + content,
    ],
)
def test_a_byte_too_many_or_too_few_is_refused(
    signed: Path, key: SigningKey, name: str, spoil: Callable[[bytes], bytes]
) -> None:
    (signed / name).write_bytes(spoil((signed / name).read_bytes()))
    with pytest.raises(BundleError, match=re.escape(str(signed))):
        Bundle.load(signed, require_signed=key.public)


def test_a_graph_replaced_together_with_its_hash_is_refused(signed: Path, key: SigningKey) -> None:
    graph = (signed / "head.int8.onnx").read_bytes() + b" "
    (signed / "head.int8.onnx").write_bytes(graph)
    document = json.loads((signed / MODEL_JSON).read_text())
    document["files"]["head.int8.onnx"] = {"bytes": len(graph), "sha256": hashlib.sha256(graph).hexdigest()}
    (signed / MODEL_JSON).write_text(json.dumps(document))
    assert Bundle.load(signed).content["head.int8.onnx"] == graph
    with pytest.raises(SignatureError, match="does not fit"):
        Bundle.load(signed, require_signed=key.public)


def test_the_document_is_not_even_parsed_before_its_signature_fits(signed: Path, key: SigningKey) -> None:
    (signed / MODEL_JSON).write_bytes(b"\xff not JSON")
    with pytest.raises(SignatureError, match="does not fit"):
        Bundle.load(signed, require_signed=key.public)


@pytest.mark.parametrize("name", ["model.onnx", ".hidden", "a folder", "line\nbreak", "model.json.sig.old"])
def test_what_the_signature_does_not_cover_may_not_lie_beside_it(
    signed: Path, key: SigningKey, name: str
) -> None:
    (signed / name).mkdir() if "folder" in name else (signed / name).touch()
    assert Bundle.load(signed).info.schema == SCHEMA
    with pytest.raises(SignatureError, match="which its signature does not cover") as refused:
        Bundle.load(signed, require_signed=key.public)
    assert "\n" not in str(refused.value)


def test_what_lies_in_a_folder_of_the_bundle_is_covered_too(signed: Path, key: SigningKey) -> None:
    content = b"int edge_mi;\n"
    (signed / "tflm").mkdir()
    (signed / "tflm" / "edge_mi_model.h").write_bytes(content)
    document = json.loads((signed / MODEL_JSON).read_text())
    entry = {"bytes": len(content), "sha256": hashlib.sha256(content).hexdigest()}
    document["files"]["tflm/edge_mi_model.h"] = entry
    (signed / MODEL_JSON).write_text(json.dumps(document))
    sign(signed, key)
    assert Bundle.load(signed, require_signed=key.public).content["tflm/edge_mi_model.h"] == content
    (signed / "tflm" / "edge_mi_model.cc").touch()
    with pytest.raises(SignatureError, match=r"holds 'tflm/edge_mi_model\.cc'"):
        Bundle.load(signed, require_signed=key.public)
    (signed / "tflm" / "edge_mi_model.cc").unlink()
    (signed / "tflm" / "edge_mi_model.h").write_bytes(content[::-1])
    with pytest.raises(BundleError, match="was changed"):
        Bundle.load(signed, require_signed=key.public)


def test_links_to_the_signed_bytes_are_followed_and_to_others_refused(
    signed: Path, key: SigningKey, tmp_path: Path
) -> None:
    elsewhere = tmp_path / "elsewhere"
    (signed / "golden.npz").rename(elsewhere)
    (signed / "golden.npz").symlink_to(elsewhere)
    assert Bundle.load(signed, require_signed=key.public).content["golden.npz"] == elsewhere.read_bytes()
    elsewhere.write_bytes(b"other")
    with pytest.raises(BundleError, match=r"golden\.npz was changed"):
        Bundle.load(signed, require_signed=key.public)


@pytest.mark.parametrize("name", [MODEL_JSON, SIGNATURE, "golden.npz"])
@pytest.mark.parametrize("kind", ["pipe", "endless", "folder", "dangling"])
def test_what_is_no_file_is_neither_waited_for_nor_read_to_its_end(
    signed: Path, key: SigningKey, name: str, kind: str
) -> None:
    file = signed / name
    file.unlink()
    if kind == "pipe":
        os.mkfifo(file)
    elif kind == "folder":
        file.mkdir()
    else:
        file.symlink_to("/dev/zero" if kind == "endless" else "nowhere")
    with pytest.raises(BundleError, match=r"is no file|is missing|Is a directory"):
        Bundle.load(signed, require_signed=key.public)


def test_what_was_checked_is_what_runs(signed: Path, key: SigningKey) -> None:
    """Whoever swaps the files after the check, or hands the bundle to another process, changes nothing."""
    from edge_mi.golden import verify_golden
    from edge_mi.runners.choose import available_runners, open_runner

    bundle = Bundle.load(signed, require_signed=key.public)
    for name in FILES:
        (signed / name).write_bytes(b"other")
    there = pickle.loads(pickle.dumps(bundle))
    assert there == bundle
    for runner in available_runners():
        assert verify_golden(there, open_runner(there, runner)).matched in ("both", "fast", "reference")


def test_the_same_key_gives_the_same_signature(key: SigningKey) -> None:
    assert key.sign(b"document") == key.sign(b"document") != key.sign(b"document ")


def test_a_signature_is_key_and_ed25519_of_prefix_and_document(key: SigningKey) -> None:
    content = key.sign(b"document")
    assert content[:32] == private_key().public_key().public_bytes_raw() == key.public.raw
    private_key().public_key().verify(content[32:], PREFIX + b"document")
    assert key.public.fingerprint == hashlib.sha256(content[:32]).hexdigest()[:16]


def test_nothing_shows_the_private_key(key: SigningKey) -> None:
    assert bytes([0] * 32).hex() not in repr(key)
    assert "_private" not in repr(key)


# keys


def pem(key: object) -> bytes:
    return key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption())  # type: ignore[attr-defined, no-any-return]


PRIVATE: dict[str, tuple[Callable[[], bytes], str]] = {
    "encrypted": (
        lambda: private_key().private_bytes(Encoding.PEM, PrivateFormat.PKCS8, BestAvailableEncryption(b"x")),
        "is encrypted, and edge-mi asks for no password",
    ),
    "another curve": (
        lambda: pem(ec.generate_private_key(ec.SECP256R1())),
        "expected an Ed25519 private key, found EC",
    ),
    "a key that cannot sign": (
        lambda: pem(x25519.X25519PrivateKey.generate()),
        "expected an Ed25519 private key, found X25519",
    ),
    "public": (
        lambda: private_key().public_key().public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo),
        "expected an Ed25519 private key in PEM form",
    ),
    "of ssh": (
        lambda: private_key().private_bytes(Encoding.PEM, PrivateFormat.OpenSSH, NoEncryption()),
        "expected an Ed25519 private key in PEM form, PKCS 8",
    ),
    "garbage": (lambda: b"\xff" * 100, "expected an Ed25519 private key in PEM form"),
    "empty": (lambda: b"", "expected an Ed25519 private key in PEM form"),
    "huge": (lambda: b"x" * 100_000, "larger than 64 KB"),
    "cut short": (lambda: pem(private_key())[:-40], "expected an Ed25519 private key in PEM form"),
}


@pytest.mark.parametrize("name", PRIVATE)
def test_a_file_that_is_no_private_key_is_refused(name: str, tmp_path: Path) -> None:
    content, message = PRIVATE[name]
    (tmp_path / "key.pem").write_bytes(content())
    with pytest.raises(ConfigError, match=message) as refused:
        SigningKey.load(tmp_path / "key.pem")
    assert "key.pem" in str(refused.value)


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (lambda: pem(private_key()), "is a private key, which no device needs"),
        (lambda: b"", "expected an Ed25519 public key in PEM form"),
        (
            lambda: (
                ec.generate_private_key(ec.SECP256R1())
                .public_key()
                .public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo)
            ),
            "expected an Ed25519 public key, found EC",
        ),
    ],
)
def test_a_file_that_is_no_public_key_is_refused(
    content: Callable[[], bytes], message: str, tmp_path: Path
) -> None:
    (tmp_path / "key.pem").write_bytes(content())
    with pytest.raises(ConfigError, match=message):
        PublicKey.load(tmp_path / "key.pem")


@pytest.mark.parametrize("load", [PublicKey.load, SigningKey.load])
def test_a_key_that_is_not_there_is_one_line(load: Callable[[Path], object], tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match=r"cannot read the key .*none: No such file"):
        load(tmp_path / "none")
    with pytest.raises(ConfigError, match=r"cannot read the key .*: Is a directory"):
        load(tmp_path)


def test_a_public_key_of_another_length_is_none() -> None:
    with pytest.raises(ValueError, match="has 32 bytes, found 31"):
        PublicKey(b"\x00" * 31)


def test_a_private_key_that_others_can_read_is_noticed(tmp_path: Path) -> None:
    path, _ = key_pair(tmp_path)
    assert not SigningKey.load(path).readable_by_others
    for mode in (0o644, 0o640, 0o604):
        path.chmod(mode)
        assert SigningKey.load(path).readable_by_others


# the document


def commands(title: str) -> str:
    """The commands of docs/signing.md below the comment `title`."""
    return DOCUMENT.partition(f"<!-- {title} -->\n```\n")[2].partition("```")[0]


@pytest.fixture
def shell(tmp_path: Path) -> Iterator[Callable[[str], str]]:
    import sys

    path = f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}"

    def run(text: str) -> str:
        assert text
        done = subprocess.run(
            ["bash", "-ec", text], cwd=tmp_path, capture_output=True, text=True, check=False, timeout=60,
            env={**os.environ, "PATH": path},
        )  # fmt: skip
        assert done.returncode == 0, done.stderr
        return done.stdout

    return run


@pytest.mark.parametrize("tool", ["openssl", "python"])
def test_the_documents_commands_make_keys_and_check_what_they_signed(
    tool: str, tmp_path: Path, shell: Callable[[str], str]
) -> None:
    if shutil.which("openssl") is None:
        pytest.skip("openssl is not installed")
    shell(commands(f"keys with {tool}"))
    key = SigningKey.load(tmp_path / "signing.pem")
    assert not key.readable_by_others
    assert PublicKey.load(tmp_path / "signing.pub.pem") == key.public
    sign(Path(shutil.copytree(shipped_bundle(), tmp_path / "my-bundle")), key)
    assert "Verified Successfully" in shell(commands("check with openssl"))


def test_an_encrypted_key_can_be_handed_over_through_a_pipe(shell: Callable[[str], str]) -> None:
    if shutil.which("openssl") is None:
        pytest.skip("openssl is not installed")
    load = (
        "from edge_mi.signature import SigningKey; import sys; "
        "print(SigningKey.load(sys.argv[1]).readable_by_others)"
    )
    out = shell(
        "openssl genpkey -algorithm ed25519 -aes256 -pass pass:secret -out k.pem\n"
        f"python -c '{load}' <(openssl pkey -in k.pem -passin pass:secret)"
    )
    assert out.strip() == "False"
