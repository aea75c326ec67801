"""What is built is what was tested: wheel and sdist hold every room, what ships, and nothing generic."""

from __future__ import annotations

import subprocess
import sys
import tarfile
import zipfile
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
ROOMS = {
    "edge_mi": "edge_mi",
    "train": "edge_mi/train",
    "export": "edge_mi/export",
    "firmware_bridge": "edge_mi/firmware_bridge",
    "benchmarks": "edge_mi/benchmarks",
}


@pytest.fixture(scope="module")
def built(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Folder with sdist and the wheel that was built from it."""
    source = tmp_path_factory.mktemp("source")
    listed = subprocess.run(
        ["git", "ls-files", "-z", "--cached", "--others", "--exclude-standard"],
        cwd=ROOT,
        capture_output=True,
        check=False,
    )
    if listed.returncode:
        pytest.skip("not a git checkout")
    for name in listed.stdout.decode().split("\0"):
        if name and (ROOT / name).is_file():
            (source / name).parent.mkdir(parents=True, exist_ok=True)
            (source / name).write_bytes((ROOT / name).read_bytes())
    out = tmp_path_factory.mktemp("dist")
    done = subprocess.run(
        [sys.executable, "-m", "build", "--no-isolation", "--outdir", str(out), str(source)],
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stdout[-2000:] + done.stderr[-2000:]
    return out


@pytest.fixture(scope="module")
def unpacked(built: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("wheel")
    zipfile.ZipFile(next(built.glob("*.whl"))).extractall(folder)
    return folder


def test_the_wheel_holds_every_module_and_no_other(unpacked: Path) -> None:
    expected = {
        f"{installed}/{path.relative_to(ROOT / folder)}"
        for folder, installed in ROOMS.items()
        for path in (ROOT / folder).rglob("*.py")
    }
    found = {path.relative_to(unpacked).as_posix() for path in unpacked.rglob("*.py")}
    assert found == expected
    assert sorted(path.name.partition("-")[0] for path in unpacked.iterdir()) == ["edge_mi", "edge_mi"]


def test_the_wheel_holds_what_ships(unpacked: Path) -> None:
    shipped = ROOT / "edge_mi" / "shipped"
    for path in (*shipped.glob("bundle/*"), *shipped.glob("*.safetensors"), *shipped.glob("*.md")):
        assert (
            unpacked / "edge_mi" / "shipped" / path.relative_to(shipped)
        ).read_bytes() == path.read_bytes()
    assert (unpacked / "edge_mi" / "py.typed").exists()
    assert list(unpacked.glob("*.dist-info/licenses/LICENSE"))


def test_the_wheel_runs_by_itself(unpacked: Path, tmp_path: Path) -> None:
    code = (
        f"import sys; sys.path.insert(0, {str(unpacked)!r})\n"
        "import edge_mi\nfrom edge_mi.cli.main import main\n"
        "print(edge_mi.__file__)\nraise SystemExit(main(['info', '--verify']))"
    )
    done = subprocess.run(
        [sys.executable, "-I", "-c", code], capture_output=True, text=True, cwd=tmp_path, check=False
    )
    assert done.returncode == 0, done.stderr
    assert done.stdout.startswith(str(unpacked))
    assert "Research use only" in done.stdout


def test_the_sdist_can_be_built_and_tested(built: Path) -> None:
    with tarfile.open(next(built.glob("*.tar.gz"))) as archive:
        names = {name.partition("/")[2] for name in archive.getnames()}
    assert {"pyproject.toml", "README.md", "LICENSE", "Makefile", "constraints.txt"} <= names
    assert {"tests/test_package.py", "tests/support/toy.py", "train/quick.py", "docs/figures.md"} <= names
    assert not {name for name in names if name.startswith(("runs/", ".venv"))}
