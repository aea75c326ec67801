"""Signing on the command line: who is accepted, who is refused, and that it is said before anything runs."""

from __future__ import annotations

import json
import shutil
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from keys import key_pair
from toy import export_toy

from edge_mi import synthetic
from edge_mi.bundle import MODEL_JSON, REQUIRED_FILES, Bundle
from edge_mi.cli.main import main
from edge_mi.records import write_wfdb
from edge_mi.runners.litert import LiteRtRunner
from edge_mi.runners.ort import OrtRunner
from edge_mi.shipped import shipped_bundle
from edge_mi.signature import SIGNATURE, PublicKey, SigningKey

Output = pytest.CaptureFixture[str]


@pytest.fixture(scope="module")
def keys(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Path]:
    return key_pair(tmp_path_factory.mktemp("keys"))


@pytest.fixture
def signed(tmp_path: Path, keys: tuple[Path, Path]) -> Path:
    bundle = Path(shutil.copytree(shipped_bundle(), tmp_path / "bundle"))
    document = (bundle / MODEL_JSON).read_bytes()
    (bundle / SIGNATURE).write_bytes(SigningKey.load(keys[0]).sign(document))
    return bundle


@pytest.fixture
def record(tmp_path: Path) -> Path:
    heart = np.rint(synthetic.ecg(12, rate_hz=100, seed=1).lead("I") * 1000).astype(np.int16)
    return write_wfdb(tmp_path, "heart", ["I"], heart[None], 100, 1000)


def verbs(bundle: Path, record: Path) -> list[list[str]]:
    """Every command that opens a bundle."""
    return [
        ["info", str(bundle)],
        ["bench", str(bundle), "--rounds", "2"],
        ["stream", str(bundle), "--replay", str(record)],
        ["score", str(record), "--bundle", str(bundle), "--jobs", "1"],
    ]


def test_a_signed_bundle_serves_every_command(
    signed: Path, record: Path, keys: tuple[Path, Path], capsys: Output
) -> None:
    for words in verbs(signed, record):
        assert main([*words, "--require-signed", str(keys[1])]) == 0, capsys.readouterr().err


def flip(path: Path, position: int) -> None:
    content = bytearray(path.read_bytes())
    content[position] ^= 1
    path.write_bytes(content)


def resign(bundle: Path) -> None:
    key, _ = key_pair(bundle.parent, seed=1)
    (bundle / SIGNATURE).write_bytes(SigningKey.load(key).sign((bundle / MODEL_JSON).read_bytes()))


SPOILT: dict[str, tuple[Callable[[Path], object], str]] = {
    "not signed": (lambda b: (b / SIGNATURE).unlink(), "is not signed"),
    "another key": (resign, "expected key"),
    "cut signature": (lambda b: (b / SIGNATURE).write_bytes(b"\x00" * 64), "64 bytes, expected 96"),
    "a file besides": (lambda b: (b / "extra").touch(), "its signature does not cover"),
    **{
        f"a byte of {name}": (lambda b, name=name: flip(b / name, 50), "changed")  # type: ignore[misc]
        for name in (MODEL_JSON, SIGNATURE, *REQUIRED_FILES)
    },
}


@pytest.mark.parametrize("name", SPOILT)
def test_a_bundle_that_is_not_as_signed_is_refused_before_anything_runs(
    name: str,
    signed: Path,
    record: Path,
    keys: tuple[Path, Path],
    capsys: Output,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    def opened(*_: object, **__: object) -> None:
        raise AssertionError("a runner was opened")

    for kind in (LiteRtRunner, OrtRunner):
        monkeypatch.setattr(kind, "__init__", opened)
    spoil, message = SPOILT[name]
    spoil(signed)
    for words in verbs(signed, record):
        assert main([*words, "--require-signed", str(keys[1])]) == 2
        captured = capsys.readouterr()
        assert captured.out == ""
        assert len(captured.err.splitlines()) == 1
        assert message in captured.err


def test_the_record_is_not_read_before_the_bundle_is_accepted(
    signed: Path, keys: tuple[Path, Path], capsys: Output
) -> None:
    (signed / SIGNATURE).unlink()
    for words in verbs(signed, Path("nowhere.hea"))[2:]:
        assert main([*words, "--require-signed", str(keys[1])]) == 2
        assert "is not signed" in capsys.readouterr().err


def test_the_bundle_that_ships_is_not_signed(keys: tuple[Path, Path], capsys: Output) -> None:
    assert main(["info", "--require-signed", str(keys[1])]) == 2
    assert "is not signed" in capsys.readouterr().err


@pytest.mark.parametrize("option", ["--require-signed", "--sign"])
def test_a_key_that_cannot_be_read_is_one_line(option: str, tmp_path: Path, capsys: Output) -> None:
    words = ["info"] if option == "--require-signed" else ["export", "--int8", "--out", str(tmp_path / "b")]
    for content, message in ((None, "cannot read the key"), (b"garbage", "expected an Ed25519")):
        if content is not None:
            (tmp_path / "key.pem").write_bytes(content)
        assert main([*words, option, str(tmp_path / "key.pem")]) == 2
        captured = capsys.readouterr()
        assert captured.out == ""
        assert len(captured.err.splitlines()) == 1
        assert message in captured.err
    assert not (tmp_path / "b").exists()


@pytest.mark.parametrize("words", [["export", "--int8", "--sign"], ["info", "--require-signed"]])
def test_without_cryptography_nothing_passes_for_signed(
    words: list[str], tmp_path: Path, keys: tuple[Path, Path]
) -> None:
    code = (
        "import sys; sys.modules['cryptography'] = None\n"
        "from edge_mi.cli.main import main\nraise SystemExit(main(sys.argv[1:]))"
    )
    done = subprocess.run(
        [sys.executable, "-c", code, *words, str(keys["--require-signed" in words])],
        capture_output=True, text=True, timeout=60, cwd=tmp_path, check=False,
    )  # fmt: skip
    expected = "edge-mi: cryptography is not installed: pip install '.[sign]' (in the folder of EdgeMI)\n"
    assert (done.returncode, done.stdout, done.stderr) == (2, "", expected)
    assert list(tmp_path.iterdir()) == []


def test_without_cryptography_a_signature_is_named_but_not_vouched_for(
    signed: Path, keys: tuple[Path, Path]
) -> None:
    code = (
        "import sys; sys.modules['cryptography'] = None\n"
        "from edge_mi.cli.main import main\nraise SystemExit(main(sys.argv[1:]))"
    )
    done = subprocess.run(
        [sys.executable, "-c", code, "info", str(signed), "--json"],
        capture_output=True, text=True, timeout=60, check=False,
    )  # fmt: skip
    fingerprint = PublicKey.load(keys[1]).fingerprint
    assert json.loads(done.stdout)["signature"] == {"key": fingerprint, "valid": None}
    assert done.returncode == 0


def test_info_says_by_which_key(signed: Path, keys: tuple[Path, Path], capsys: Output) -> None:
    fingerprint = PublicKey.load(keys[1]).fingerprint
    assert main(["info", str(signed)]) == 0
    assert f"by key {fingerprint}, fits" in capsys.readouterr().out
    assert main(["info", str(signed), "--json"]) == 0
    assert json.loads(capsys.readouterr().out)["signature"] == {"key": fingerprint, "valid": True}
    assert main(["info", "--json"]) == 0
    assert json.loads(capsys.readouterr().out)["signature"] is None


@pytest.mark.parametrize("size", [96, 10])
def test_info_shows_a_signature_that_does_not_fit_and_refuses(
    signed: Path, size: int, capsys: Output
) -> None:
    flip(signed / SIGNATURE, 90)
    (signed / SIGNATURE).write_bytes((signed / SIGNATURE).read_bytes()[:size])
    assert main(["info", str(signed)]) == 2
    captured = capsys.readouterr()
    assert "DOES NOT FIT" in captured.out
    assert len(captured.err.splitlines()) == 1
    assert main(["info", str(signed), "--json"]) == 2
    assert json.loads(capsys.readouterr().out)["signature"]["valid"] is False


def test_a_signature_that_does_not_fit_is_told_where_none_was_demanded(
    signed: Path, record: Path, capsys: Output
) -> None:
    flip(signed / SIGNATURE, 90)
    assert main(["stream", str(signed), "--replay", str(record), "--json"]) == 0
    said = [line for line in capsys.readouterr().err.splitlines() if "does not fit" in line]
    assert len(said) == 1
    assert said[0].endswith("--require-signed KEY would refuse it")


def test_export_signs_what_it_wrote(tmp_path: Path, keys: tuple[Path, Path], capsys: Output) -> None:
    """And replaces it with --force, signature included, by a bundle that is not signed."""
    words = export_toy(tmp_path)
    assert main([*words, "--sign", str(keys[0]), "--json"]) == 0
    captured = capsys.readouterr()
    key = PublicKey.load(keys[1])
    assert json.loads(captured.out.splitlines()[-1])["signed_by"] == key.fingerprint
    assert "warning" not in captured.err
    assert Bundle.load(tmp_path / "b", require_signed=key).info.net.name == "toy"
    assert main([*words, "--force"]) == 0
    assert sorted(path.name for path in (tmp_path / "b").iterdir()) == sorted((MODEL_JSON, *REQUIRED_FILES))
    assert not list(tmp_path.glob(".*"))


def test_a_key_that_others_can_read_is_a_warning(tmp_path: Path, capsys: Output) -> None:
    private, _ = key_pair(tmp_path)
    private.chmod(0o644)
    (tmp_path / "b").mkdir()
    assert main(["export", "--int8", "--out", str(tmp_path / "b"), "--sign", str(private)]) == 2
    warning = capsys.readouterr().err.splitlines()[0]
    assert warning == f"edge-mi: warning: {private} can be read by others than its owner: chmod 600 it"
