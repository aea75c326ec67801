"""The commit that a result names is EdgeMI's own, or unknown."""

from __future__ import annotations

import shutil
import subprocess
from pathlib import Path

import pytest
from edge_mi.train.provenance import commit


def git(folder: Path, *words: str) -> str:
    if shutil.which("git") is None:
        pytest.skip("needs git")
    words = ("-c", "user.name=nobody", "-c", "user.email=nobody@localhost", *words)
    done = subprocess.run(["git", "-C", str(folder), *words], capture_output=True, text=True, check=True)
    return done.stdout.strip()


def checkout(folder: Path) -> Path:
    """The layout of EdgeMI's sources under version control, with one commit; its folder `train`."""
    for name in ("train", "edge_mi"):
        (folder / name).mkdir(parents=True)
    (folder / "pyproject.toml").touch()
    git(folder, "init", "--initial-branch", "main")
    git(folder, "add", "pyproject.toml")
    git(folder, "commit", "--message", "first")
    return folder / "train"


def test_a_checkout_names_its_commit_on_a_branch_packed_or_not_and_off_it(tmp_path: Path) -> None:
    room = checkout(tmp_path)
    head = git(tmp_path, "rev-parse", "HEAD")
    assert len(head) == 40
    assert commit(room) == head
    git(tmp_path, "pack-refs", "--all")
    assert commit(room) == head
    git(tmp_path, "checkout", "--detach")
    assert commit(room) == head


@pytest.mark.parametrize("packed", [False, True])
def test_a_worktree_names_its_own_commit(tmp_path: Path, packed: bool) -> None:
    checkout(tmp_path / "main")
    other = tmp_path / "other"
    git(tmp_path / "main", "worktree", "add", "-b", "side", str(other))
    git(other, "commit", "--allow-empty", "--message", "second")
    for name in ("train", "edge_mi"):
        (other / name).mkdir()
    if packed:
        git(other, "pack-refs", "--all")
    assert (other / ".git").is_file()
    head = git(other, "rev-parse", "HEAD")
    assert head != git(tmp_path / "main", "rev-parse", "HEAD")
    assert commit(other / "train") == head


@pytest.mark.parametrize(
    "place", ["venv/lib/python3/site-packages/edge_mi/train", "vendor/train", "training"]
)
def test_the_commit_of_a_project_that_it_is_installed_in_is_not_taken_for_its_own(
    tmp_path: Path, place: str
) -> None:
    checkout(tmp_path)
    room = tmp_path / place
    room.mkdir(parents=True)
    assert commit(room) == "unknown"


@pytest.mark.parametrize("missing", ["pyproject.toml", "edge_mi"])
def test_a_folder_train_of_another_project_is_not_ours(tmp_path: Path, missing: str) -> None:
    room = checkout(tmp_path)
    path = tmp_path / missing
    path.rmdir() if path.is_dir() else path.unlink()
    assert commit(room) == "unknown"


@pytest.mark.parametrize("content", [b"gitdir: nowhere", b"\xff", b""])
def test_what_git_left_damaged_is_unknown(tmp_path: Path, content: bytes) -> None:
    room = checkout(tmp_path)
    shutil.rmtree(tmp_path / ".git")
    assert commit(room) == "unknown"
    (tmp_path / ".git").write_bytes(content)
    assert commit(room) == "unknown"
