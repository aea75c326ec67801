"""Who may import whom (docs/architecture.md, 2): imports follow the data, and heavy packages stay in their room."""

from __future__ import annotations

import ast
import tomllib
from collections.abc import Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent
ROOMS = {
    "edge_mi": ROOT / "edge_mi",
    "edge_mi.train": ROOT / "train",
    "edge_mi.export": ROOT / "export",
    "edge_mi.firmware_bridge": ROOT / "firmware_bridge",
    "edge_mi.benchmarks": ROOT / "benchmarks",
}
# what a room may import of the others, and which outside packages at all
MAY_ENTER = {
    "edge_mi": set(),
    "edge_mi.train": {"edge_mi"},
    "edge_mi.export": {"edge_mi"},
    "edge_mi.firmware_bridge": {"edge_mi"},
    "edge_mi.benchmarks": set(ROOMS),
}
PACKAGES = {
    "edge_mi": {"numpy"},
    "edge_mi.train": {"numpy", "torch", "scipy", "safetensors", "matplotlib"},
    "edge_mi.export": {
        "numpy",
        "onnx",
        "onnxruntime",
        "ai_edge_litert",
        "flatbuffers",
        "safetensors",
        "tflite_micro",
    },
    "edge_mi.firmware_bridge": {"numpy", "bleak", "bumble", "dbus_fast", "pyedflib", "pylsl"},
    "edge_mi.benchmarks": {"numpy"},
}
# run by other environments, which hold one converter each and no EdgeMI
ELSEWHERE = ROOT / "benchmarks" / "converters" / "scripts"
OUTSIDE = set().union(*PACKAGES.values()) | {"tflite_runtime", "tensorflow", "ray", "cryptography", "wfdb"}
FUNCTIONAL_CORE = [
    "alarm", "chain/chain", "chain/polyphase", "decision", "detector", "heartbeats", "metrics", "netspec", "quality",
    "samples", "segment", "window", "synthetic", "float_model",
    "int8_grid", "range_search", "polarity", "chain/stretches", "store/codes", "store/labels",
]  # fmt: skip
SHELL_MODULES = {
    "socket",
    "asyncio",
    "threading",
    "time",
    "datetime",
    "pathlib",
    "os",
    "random",
    "subprocess",
}


def files(room: str) -> list[Path]:
    return sorted(path for path in ROOMS[room].rglob("*.py") if ELSEWHERE not in path.parents)


def imports(path: Path) -> Iterator[tuple[int, str]]:
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Import):
            yield from ((node.lineno, alias.name) for alias in node.names)
        elif isinstance(node, ast.ImportFrom) and node.level == 0 and node.module:
            yield node.lineno, node.module


def room_of(module: str) -> str | None:
    if module.partition(".")[0] != "edge_mi":
        return None
    parts = ".".join(module.split(".")[:2])
    return parts if parts in ROOMS else "edge_mi"


def violations(room: str, path: Path) -> list[str]:
    found = []
    for line, module in imports(path):
        target, package = room_of(module), module.partition(".")[0]
        if target is not None and target != room and target not in MAY_ENTER[room]:
            found.append(f"{path.name}:{line} {room} imports {module}")
        if target is None and package in OUTSIDE - PACKAGES[room]:
            found.append(f"{path.name}:{line} {room} imports {package}")
    return found


@pytest.mark.parametrize("room", ROOMS)
def test_rooms_import_only_what_they_may(room: str) -> None:
    assert [v for path in files(room) for v in violations(room, path)] == []


def test_scripts_of_other_environments_import_nothing_of_ours() -> None:
    scripts = sorted(ELSEWHERE.glob("*.py"))
    assert len(scripts) > 1
    found = {path.name: [m for _, m in imports(path) if m.partition(".")[0] == "edge_mi"] for path in scripts}
    above = {
        path.name: [n.level for n in ast.walk(ast.parse(path.read_text())) if isinstance(n, ast.ImportFrom)]
        for path in scripts
    }
    assert not any(found.values())
    assert all(level <= 1 for levels in above.values() for level in levels)


@pytest.mark.parametrize(
    "line", ["import torch", "from edge_mi.export.quantise import quantise", "import edge_mi.train"]
)
def test_a_planted_import_is_seen(tmp_path: Path, line: str) -> None:
    (tmp_path / "planted.py").write_text(line)
    assert violations("edge_mi", tmp_path / "planted.py") != []


def test_only_the_plots_of_the_protocol_name_matplotlib() -> None:
    """It is slow to load, so it is loaded on use, in one place."""
    named = [
        path
        for room in ROOMS
        for path in files(room)
        if any(
            isinstance(node, ast.Constant) and str(node.value).partition(".")[0] == "matplotlib"
            for node in ast.walk(ast.parse(path.read_text(encoding="utf-8")))
        )
        or any(module.partition(".")[0] == "matplotlib" for _, module in imports(path))
    ]
    # doctor names what is installed, and loads nothing
    assert set(named) - {ROOT / "edge_mi" / "cli" / "doctor.py"} == {ROOT / "train" / "protocol" / "plots.py"}


@pytest.mark.parametrize("name", FUNCTIONAL_CORE)
def test_the_functional_core_knows_no_clock_file_or_thread(name: str) -> None:
    path = ROOT / "edge_mi" / f"{name}.py"
    assert [f"{line}: {m}" for line, m in imports(path) if m.partition(".")[0] in SHELL_MODULES] == []


def test_every_package_folder_is_in_the_wheel() -> None:
    """An unlisted sub-package works in an editable install and is silently absent from the wheel."""
    listed = set(tomllib.loads((ROOT / "pyproject.toml").read_text())["tool"]["setuptools"]["packages"])
    found = set()
    for name, folder in ROOMS.items():
        for init in folder.rglob("__init__.py"):
            parts = init.parent.relative_to(folder).parts
            found.add(".".join([name, *parts]))
    assert found == listed


def test_no_folder_hides_a_mapped_room() -> None:
    assert [
        name
        for name in ("train", "export", "firmware_bridge", "benchmarks")
        if (ROOT / "edge_mi" / name).exists()
    ] == []


@pytest.mark.parametrize("room", ROOMS)
def test_one_concept_a_file(room: str) -> None:
    assert [
        f"{path.name}: {n}" for path in files(room) if (n := len(path.read_text().splitlines())) > 400
    ] == []
