"""The core needs numpy alone, and every missing package is one line that says what to type."""

from __future__ import annotations

import subprocess
import sys
import types
from pathlib import Path

import pytest
from toy import export_toy

from edge_mi.errors import MissingDependency
from edge_mi.optional import require

OPTIONAL = [
    "torch", "scipy", "onnx", "onnxruntime", "ai_edge_litert", "tflite_runtime", "tflite_micro", "flatbuffers",
    "safetensors", "bleak", "bumble", "tensorflow", "cryptography", "wfdb", "ray",
]  # fmt: skip
# None in sys.modules is how Python itself marks a module that cannot be imported
BLOCK = f"import sys\nsys.modules.update(dict.fromkeys({OPTIONAL!r}))\n"


def run(code: str, *words: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-c", BLOCK + code, *words], capture_output=True, text=True, timeout=120
    )


def test_the_whole_public_api_imports_with_every_optional_package_blocked() -> None:
    done = run("import edge_mi\nfor name in edge_mi.__all__: getattr(edge_mi, name)\nprint('ok')")
    assert (done.returncode, done.stdout.strip()) == (0, "ok"), done.stderr


def test_importing_the_package_loads_nothing() -> None:
    code = "import edge_mi, sys; print(sorted({m.partition('.')[0] for m in sys.modules} & {'numpy', 'torch', 'scipy'}))"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=60)
    assert done.stdout.strip() == "[]"


def test_help_loads_no_numpy() -> None:
    """It is what keeps `edge-mi --help` fast; its time is measured in benchmarks."""
    code = (
        "import sys\nfrom edge_mi.cli.main import main\n"
        "try:\n    main(['--help'])\nexcept SystemExit:\n    pass\n"
        "print(sorted({m.partition('.')[0] for m in sys.modules} & {'numpy', 'torch', 'bleak'}), file=sys.stderr)"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=60)
    assert done.stderr.strip() == "[]"


@pytest.mark.parametrize(
    ("words", "extra"),
    [
        (["export", "--int8"], "export"),
        (["stream", "--device", "Polar H10"], "tflite"),
        (["score", "anything"], "tflite"),
        (["info", "--verify"], "tflite"),
        (["info", "--html", "page.html"], "export"),
        (["bench"], "tflite"),
        (["train", "quick"], "train"),
    ],
)
def test_a_missing_package_is_one_line_with_what_to_type(
    tmp_path: Path, words: list[str], extra: str
) -> None:
    code = f"import os; os.chdir({str(tmp_path)!r})\nfrom edge_mi.cli.main import main\nraise SystemExit(main(sys.argv[1:]))"
    done = run(code, *words)
    assert done.returncode == 2
    assert f"pip install '.[{extra}]'" in done.stderr
    assert len(done.stderr.strip().splitlines()) == 1
    assert list(tmp_path.iterdir()) == []


def test_a_broken_package_shows_its_own_error(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "broken_package.py").write_text("import a_module_that_is_not_there")
    monkeypatch.syspath_prepend(str(tmp_path))
    with pytest.raises(ModuleNotFoundError, match="a_module_that_is_not_there"):
        require("broken_package", extra="any")


def test_the_error_names_package_and_extra() -> None:
    with pytest.raises(MissingDependency, match=r"nothing_here is not installed: pip install '\.\[ble\]'"):
        require("nothing_here.sub", extra="ble")


@pytest.mark.parametrize("command", ["info", "bench", "export"])
def test_no_library_keeps_anything_about_us(tmp_path: Path, command: str) -> None:
    """No identifier at home, no session among the temporary files: what reports on its user begins with these."""
    for name in ("home", "tmp", "work"):
        (tmp_path / name).mkdir()
    words = {
        "info": ["info", "--verify"],
        "bench": ["bench", "--rounds", "2"],
        "export": export_toy(tmp_path),
    }[command]
    # CI is what some take as a reason to keep still
    surroundings = {"HOME": str(tmp_path / "home"), "TMPDIR": str(tmp_path / "tmp"), "PATH": "/usr/bin:/bin"}
    done = subprocess.run(
        [sys.executable, "-m", "edge_mi", *words],
        cwd=tmp_path / "work", env=surroundings, capture_output=True, text=True, timeout=300, check=False,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    assert [*(tmp_path / "home").rglob("*"), *(tmp_path / "tmp").rglob("*")] == []


def test_tflite_runtime_serves_where_litert_is_not(monkeypatch: pytest.MonkeyPatch) -> None:
    """`make compat` does this with the package itself, on the Python and numpy that it still has."""
    import ai_edge_litert.interpreter as interpreter

    from edge_mi.bundle import Bundle
    from edge_mi.golden import verify_golden
    from edge_mi.runners import litert
    from edge_mi.shipped import shipped_bundle

    package = types.ModuleType("tflite_runtime")
    monkeypatch.setitem(sys.modules, "tflite_runtime", package)
    monkeypatch.setitem(sys.modules, "tflite_runtime.interpreter", interpreter)
    monkeypatch.setattr(litert, "find_spec", lambda name: object() if name == "tflite_runtime" else None)
    bundle = Bundle.load(shipped_bundle())
    runner = litert.LiteRtRunner(bundle)
    assert runner.library.startswith("tflite-runtime")
    assert (runner.name, runner.family) == ("litert-ref", "reference")
    assert verify_golden(bundle, runner).matched == "reference"
