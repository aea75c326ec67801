"""Other converters beside ours: what the judge says of a file, and what becomes of a route that fails."""

from __future__ import annotations

import json
import sys
from collections import Counter
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from edge_mi.benchmarks.converter_figures import compared, converter_figures
from edge_mi.benchmarks.converters import environments
from edge_mi.benchmarks.converters.comparison import Written, compare_files, own_files
from edge_mi.benchmarks.converters.environments import ENVIRONMENTS, TORCH, Environments, RouteFailed, run
from edge_mi.benchmarks.converters.judge import Judge
from edge_mi.benchmarks.converters.material import Material, gather
from edge_mi.benchmarks.converters.model_file import Answers, Inside, RuntimeFailed
from edge_mi.benchmarks.converters.onnx_file import INT8_ALLOWED, OnnxFile
from edge_mi.benchmarks.converters.routes import ROUTES, TASK, Route, Step, convert_all, write_task
from edge_mi.benchmarks.converters.scripts.task import from_command_line
from edge_mi.benchmarks.converters.tflite_file import REFERENCE, TFLM, XNNPACK, TfliteFile
from edge_mi.benchmarks.converters.timing import interleaved, ratio_document
from edge_mi.export.check_windows import GOLDEN_S
from edge_mi.export.integer_model import run_layers as run_integer_layers
from edge_mi.export.onnx_writer import write_onnx_float, write_onnx_int8
from edge_mi.export.quantise import quantise
from edge_mi.export.tflite_writer import write_tflite
from edge_mi.export.tflm import tflm_installed
from heart_store import heart_store
from toy import TOY_NET, toy_checkpoint

from edge_mi.errors import StoreError
from edge_mi.float_model import measure_ranges, run_layers
from edge_mi.ranges import calibration_ranges
from edge_mi.store import WindowStore

RESULT = json.loads(
    (Path(__file__).parents[1] / "benchmarks" / "results" / "converters.json").read_text(encoding="utf-8")
)
CHECKPOINT = toy_checkpoint()
NET = quantise(CHECKPOINT)


def windows(n: int, seed: int = 1) -> np.ndarray:
    """As the toy's calibration windows are made."""
    rng = np.random.default_rng(seed)
    made = np.cumsum(rng.normal(scale=0.05, size=(n, TOY_NET.window_samples)), axis=1)
    return made - made.mean(axis=1, keepdims=True)


def material(n: int = 24) -> Material:
    """Half of the windows measured, one a record and two records a patient; the others of one synthetic record each."""
    measured = n // 2
    patients = np.array([f"patient {i // 2}" for i in range(measured)])
    return Material(
        windows(64), [f"w{i}" for i in range(64)], "noise", windows(n),
        np.concatenate([patients, np.array([f"synthetic {i}" for i in range(n - measured)])]),
        np.arange(measured), np.arange(measured) % 3 % 2, patients, "noise, fold 9",
    )  # fmt: skip


def with_a_float_island(content: bytes) -> bytes:
    """The same function with float32 ends and a ReLU in float on the mean of the frames, which is never negative."""
    import flatbuffers
    from ai_edge_litert import schema_py_generated as schema

    model = schema.ModelT.InitFromObj(schema.Model.GetRootAs(content, 0))
    graph = model.subgraphs[0]

    def tensor(like: int, name: str, *, real: bool) -> int:
        made = schema.TensorT()
        made.name, made.shape, made.buffer = name, graph.tensors[like].shape, 0
        made.type = schema.TensorType.FLOAT32 if real else schema.TensorType.INT8
        made.quantization = None if real else graph.tensors[like].quantization
        graph.tensors.append(made)
        return len(graph.tensors) - 1

    def operator(name: str, source: int, result: int, version: int = 1) -> Any:
        code = schema.OperatorCodeT()
        code.builtinCode = code.deprecatedBuiltinCode = getattr(schema.BuiltinOperator, name)
        code.version = version
        model.operatorCodes.append(code)
        made = schema.OperatorT()
        made.opcodeIndex, made.inputs, made.outputs = len(model.operatorCodes) - 1, [source], [result]
        return made

    first, last = int(graph.inputs[0]), int(graph.outputs[0])
    pool = next(i for i, op in enumerate(graph.operators) if len(op.inputs) == 1)
    pooled, head = int(graph.operators[pool].outputs[0]), graph.operators[pool + 1]
    real, cut = tensor(pooled, "real", real=True), tensor(pooled, "cut", real=True)
    again = tensor(pooled, "again", real=False)
    head.inputs = [again, *head.inputs[1:]]
    begin, end = tensor(first, "begin", real=True), tensor(last, "end", real=True)
    graph.operators = [
        operator("QUANTIZE", begin, first),
        *graph.operators[: pool + 1],
        operator("DEQUANTIZE", pooled, real, 2),
        operator("RELU", real, cut),
        operator("QUANTIZE", cut, again),
        *graph.operators[pool + 1 :],
        operator("DEQUANTIZE", last, end, 2),
    ]
    graph.inputs, graph.outputs = [begin], [end]
    builder = flatbuffers.Builder(1 << 16)
    builder.Finish(model.Pack(builder), file_identifier=b"TFL3")
    return bytes(builder.Output())


def test_our_files_are_integer_inside() -> None:
    inside = TfliteFile(write_tflite(NET)).inside()
    assert inside == Inside(Counter(CONV_2D=3, AVERAGE_POOL_2D=1, RESHAPE=1), Counter(), "int8")
    assert OnnxFile(write_onnx_int8(NET)).inside(INT8_ALLOWED).float_operators == Counter()


def test_float_operators_inside_a_file_are_named_and_its_ends_are_not() -> None:
    plain, island = (
        TfliteFile(content) for content in (write_tflite(NET), with_a_float_island(write_tflite(NET)))
    )
    inside = island.inside()
    assert inside.float_operators == Counter(DEQUANTIZE=1, RELU=1, QUANTIZE=1)
    assert inside.operators["QUANTIZE"] == inside.operators["DEQUANTIZE"] == 2
    assert inside.ends == "float32"
    given = windows(12)
    for runtime in (XNNPACK, REFERENCE):
        ours, theirs = plain.answers(runtime, given), island.answers(runtime, given)
        assert theirs.raw.dtype == np.float32
        np.testing.assert_allclose(theirs.logits, ours.logits, rtol=1e-6)


def test_float_nodes_of_an_onnx_file_are_named() -> None:
    inside = OnnxFile(write_onnx_float(CHECKPOINT)).inside(INT8_ALLOWED)
    assert inside.ends == "float32"
    assert sum(inside.float_operators.values()) >= len(TOY_NET.layer_names)


def test_every_runtime_of_a_file_gives_its_family_of_integers() -> None:
    given = windows(12)
    codes = NET.input.quantise(given)
    families = {XNNPACK: "fast", INT8_ALLOWED: "fast", REFERENCE: "reference", TFLM: "reference"}
    for model in (TfliteFile(write_tflite(NET)), OnnxFile(write_onnx_int8(NET))):
        for runtime in model.runtimes:
            if runtime not in families:  # what default options give is the processor's own
                continue
            found = model.answers(runtime, given)
            expected = run_integer_layers(NET, codes, families[runtime])["head"][:, 0, 0]  # type: ignore[arg-type]
            assert found.raw.tolist() == expected.tolist(), runtime
            np.testing.assert_allclose(
                found.logits, NET.output.scale * (expected.astype(float) - NET.output.zero_point), rtol=1e-6
            )


def test_frames_are_found_by_their_size_and_turned_the_right_way() -> None:
    given = windows(6)
    codes = run_integer_layers(NET, NET.input.quantise(given), "reference")[TOY_NET.convs[-1].name]
    expected = NET.frames.scale * (codes.astype(float) - NET.frames.zero_point)
    found = TfliteFile(write_tflite(NET)).frames(given, TOY_NET.frames, TOY_NET.features)
    np.testing.assert_allclose(found, expected, rtol=1e-6)
    by_onnx = OnnxFile(write_onnx_int8(NET)).frames(given, TOY_NET.frames, TOY_NET.features)
    assert by_onnx is not None
    assert np.abs(by_onnx - expected).max() < 1.5 * NET.frames.scale  # another family: a step at most
    assert TfliteFile(write_tflite(NET)).frames(given, TOY_NET.frames + 1, TOY_NET.features) is None


class Known:
    """A file whose answers are those of float, with a known error."""

    content = b"12345"
    runtimes = ("first", "second")

    def __init__(self, exact: np.ndarray, frames: np.ndarray, error: float) -> None:
        self._exact, self._frames, self._error = exact, frames, error

    def inside(self, runtime: str) -> Inside:
        return Inside(Counter(CONV_2D=1), Counter(), "int8")

    def answers(self, runtime: str, windows_mv: np.ndarray) -> Answers:
        codes = np.arange(len(windows_mv)) + (np.arange(len(windows_mv)) % 4 == 0) * (runtime == "second")
        return Answers(codes, self._exact * (1 + self._error))

    def frames(self, windows_mv: np.ndarray, frames: int, features: int) -> np.ndarray:
        return self._frames * (1 - 10 * self._error)

    def ready(self, runtime: str, window_mv: np.ndarray) -> Any:
        raise AssertionError


def test_signal_to_noise_decisions_and_pairs_are_computed_right() -> None:
    judge = Judge(CHECKPOINT, material())
    exact = judge.exact
    ours, theirs = (judge.judge(Known(exact.logits, exact.frames, e), "first") for e in (0.01, 0.02))
    assert ours.document["sqnr_db"] == {"logits": 40.0, "frames": 20.0}
    assert theirs.document["sqnr_db"] == {"logits": 33.98, "frames": 13.98}
    assert ours.document["pairs"] == [
        {"a": "first", "b": "second", "identical": 0.75, "largest_logit": 0.0, "n": 24}
    ]
    assert ours.document["decisions_differ"] == {
        "balanced": 0.0
    }  # the threshold lies at logit 0, no sign changes
    assert ours.document["auroc_minus_float"]["value"] == 0
    compared_to_ours = judge.compare(theirs, ours)
    for name in ("sqnr_logits_db", "sqnr_frames_db"):
        ends = [compared_to_ours[name]["value"], *compared_to_ours[name]["interval"]]
        np.testing.assert_allclose(ends, -20 * np.log10(2), rtol=1e-9)
    flipped = judge.judge(Known(-exact.logits, exact.frames, 0.01), "first")
    assert flipped.document["decisions_differ"] == {"balanced": 1.0}
    assert judge.compare(flipped, ours)["decisions_differ"] == {"value": 1.0, "interval": [1.0, 1.0]}


def test_a_failing_route_is_a_row_and_the_others_go_on(tmp_path: Path) -> None:
    shared = Step(environment="e", script="shared", file="network.onnx")
    routes = [
        Route(name=name, converter=name, format="tflite", steps=(shared, Step(environment="e", script=name, file=name)))
        for name in ("breaks", "writes nothing", "works")
    ]  # fmt: skip
    ran = []

    def go(step: Step) -> None:
        ran.append(step.script)
        if step.script == "breaks":
            raise RouteFailed(f"ValueError: no kernel in {tmp_path}/network.onnx")
        if step.script != "writes nothing":
            (tmp_path / step.file).write_bytes(step.script.encode())

    found = {file.name: file for file in convert_all(tmp_path, go, routes)}
    assert ran == ["shared", "breaks", "writes nothing", "works"]
    assert found["breaks"].error == "ValueError: no kernel in network.onnx"
    assert found["writes nothing"].error == "writes nothing wrote no writes nothing"
    assert (found["works"].content, found["works"].error) == (b"works", None)


def test_files_that_cannot_be_judged_are_rows_too() -> None:
    given = material()
    unreadable = [
        Written(name="a", converter="a", format="tflite", content=b"no flatbuffer"),
        Written(name="b", converter="b", format="onnx", content=b"no protobuf"),
        Written(name="c", converter="c", format="onnx", content=None, error="it broke"),
        Written(
            name="island", converter="d", format="tflite", content=with_a_float_island(write_tflite(NET))
        ),
    ]
    document = compare_files(
        CHECKPOINT, given, [*own_files(CHECKPOINT, given), *unreadable], processes=2, rounds=2
    )
    assert sorted(row["name"] for row in document["failed"]) == ["a", "b", "b", "c"]  # b: under both options
    assert all(row["error"] for row in document["failed"])
    rows = {(row["name"], row["runtime"]): row for row in document["rows"]}
    assert rows["ours", XNNPACK]["minus_ours"] is None
    assert [pair["identical"] for pair in rows["ours", XNNPACK]["pairs"]][-1] == 1.0
    assert rows["island", XNNPACK]["float_operators"] == {"DEQUANTIZE": 1, "RELU": 1, "QUANTIZE": 1}
    if tflm_installed():
        assert rows["island", XNNPACK]["arena_bytes"] > rows["ours", XNNPACK]["arena_bytes"]
    text = "\n".join(converter_figures(document))
    assert "| c | failed | `it broke` |" in text
    assert json.loads(json.dumps(document)) == document


def test_a_program_that_fails_is_told_of_by_its_last_line() -> None:
    with pytest.raises(RouteFailed, match=r"^ValueError: deep inside$"):
        run([sys.executable, "-c", "raise ValueError('deep inside')"])
    with pytest.raises(RouteFailed, match="no-such-python"):
        run(["no-such-python"])


def test_an_environment_is_made_once_by_its_pins_torch_first(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    installed: list[list[str]] = []

    def fake(words: list[str], **_: object) -> None:
        if "venv" in words:
            Path(words[-1]).mkdir()
            return
        installed.append([word for word in words if "==" in word])
        if len(installed) == 2:
            raise RouteFailed("no space left")

    monkeypatch.setattr(environments, "run", fake)
    with pytest.raises(RouteFailed):
        Environments(tmp_path).python("onnx")
    (tmp_path / "onnx").rmdir()  # and nothing says that it is done
    for _ in range(2):
        Environments(tmp_path).python("onnx")
    assert installed[2:] == [list(step) for step in ENVIRONMENTS["onnx"]]
    assert installed[2] == list(TORCH)


def test_every_route_has_its_script_and_every_pin_is_exact() -> None:
    scripts = Path(environments.__file__).parent / "scripts"
    for route in ROUTES:
        for step in route.steps:
            assert (scripts / f"{step.script}.py").is_file()
            assert step.environment in ENVIRONMENTS
    assert all("==" in pin for steps in ENVIRONMENTS.values() for step in steps for pin in step)


def test_scripts_are_given_the_network_that_ours_is(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    given = windows(3).astype(np.float32)
    write_task(tmp_path, TOY_NET, CHECKPOINT.weights, given)
    monkeypatch.setattr(sys, "argv", ["script", str(tmp_path / TASK), str(tmp_path / "out")])
    task, out = from_command_line()
    assert out == tmp_path / "out"
    assert [(layer.name, layer.stride) for layer in (*task.convs, task.head)] == [
        *((conv.name, conv.stride) for conv in TOY_NET.convs),
        ("head", 1),
    ]
    assert np.array_equal(task.windows, given)
    torch = pytest.importorskip("torch", reason="torch is not installed")
    from edge_mi.benchmarks.converters.scripts.torch_network import TorchNetwork

    network = TorchNetwork(task).eval()
    found = np.concatenate([network(torch.from_numpy(x)).detach().numpy() for x in task.samples(1, 1, -1)])
    exact = run_layers(TOY_NET, CHECKPOINT.weights, given)["head"][:, 0]
    np.testing.assert_allclose(found, exact, atol=1e-5)


def test_every_file_is_called_in_every_round_and_warm_up_is_not_counted() -> None:
    counts: Counter[str] = Counter()
    now = iter(range(0, 10**9, 1000))

    def opener(name: str) -> Any:
        counts[f"{name} opened"] += 1

        def call() -> None:
            counts[name] += 1

        return call

    names = ("a", "b", "c")
    times = interleaved({name: partial(opener, name) for name in names}, rounds=5, clock=lambda: next(now))
    assert {counts[f"{name} opened"] for name in names} == {1}
    assert len({counts[name] for name in names}) == 1
    assert counts["a"] > 5
    assert times == dict.fromkeys(names, 1.0)
    found = ratio_document(np.array([3.0, 3.0, 3.0]), np.array([2.0, 2.0, 2.0]), 5)
    assert found == {
        "ratio": 1.5, "interval": [1.5, 1.5], "p50_us": 3.0, "ours_p50_us": 2.0, "processes": 3, "n": 15,
    }  # fmt: skip


def _verdicts(changes: dict[str, Any]) -> dict[str, str]:
    row = next(r for r in RESULT["rows"] if r["name"] == "keras")
    changed = {**row, **changes, "minus_ours": {**row["minus_ours"], **changes.get("minus_ours", {})}}
    return {cell.theirs.partition(" from ours")[0]: cell.ours_is for cell in compared(changed, RESULT)}


@pytest.mark.parametrize(
    ("changes", "wins"),
    [
        ({"bytes": 1}, "1 bytes, ours"),
        ({"arena_bytes": 2}, "arena of 2 bytes"),
        ({"minus_ours": {"auroc": {"value": 0.02, "interval": [0.01, 0.03]}}}, "AUROC +0.02"),
        (
            {"minus_ours": {"decisions_differ": {"value": -0.1, "interval": [-0.2, -0.05]}}},
            "share of decisions",
        ),
        ({"minus_ours": {"sqnr_logits_db": {"value": 3, "interval": [1, 4]}}}, "SQNR of logits"),
        ({"latency": {"ratio": 0.5, "interval": [0.4, 0.6]}}, "0.500 (0.400"),
    ],
)
def test_a_cell_where_another_is_better_is_told_of(changes: dict[str, Any], wins: str) -> None:
    assert [verdict for text, verdict in _verdicts(changes).items() if text.startswith(wins)] == ["worse"]


def test_what_lies_within_noise_is_level_and_what_ours_wins_is_better() -> None:
    found = _verdicts(
        {
            "bytes": 10**6,
            "latency": {"ratio": 1.0, "interval": [0.9, 1.1]},
            "minus_ours": {"auroc": {"value": 0.01, "interval": [-0.01, 0.03]}},
        }
    )
    assert [found[name] for name in found if name.startswith(("1,000,000", "1.000", "AUROC"))] == [
        "level",
        "better",
        "level",
    ]


def test_the_windows_are_those_of_calibration_and_no_patient_is_on_both_sides(tmp_path: Path) -> None:
    store = WindowStore.open(heart_store(tmp_path / "store", records=99, folds=9))
    found = gather(CHECKPOINT.info, store, seconds=GOLDEN_S)
    others = store.rows_of(range(1, 9))
    ranges = calibration_ranges(store, others, TOY_NET, CHECKPOINT.weights)
    assert found.calibration_ids == list(ranges.window_ids)
    again = measure_ranges(TOY_NET, CHECKPOINT.weights, found.calibration, found.calibration_ids)
    assert again == ranges
    measured = found.groups[found.measured_windows]
    assert set(measured) == set(found.patients) == set(store.patients[store.rows_of((9,))])
    assert not set(measured) & set(store.patients[others])
    assert len(found.windows) == len(found.groups) > len(measured)
    with pytest.raises(StoreError, match="both classes"):
        gather(
            CHECKPOINT.info,
            WindowStore.open(heart_store(tmp_path / "no fold 9", records=99, folds=3)),
            seconds=GOLDEN_S,
        )


def test_without_a_store_all_windows_are_synthetic() -> None:
    found = gather(CHECKPOINT.info, None, seconds=GOLDEN_S)
    assert len(found.labels) == 0
    assert found.measured_windows == slice(None)
    assert len(found.calibration) >= 64
    few = slice(0, 40)
    judge = Judge(CHECKPOINT, replace(found, windows=found.windows[few], groups=found.groups[few]))
    judged = judge.judge(TfliteFile(write_tflite(NET)), XNNPACK)
    assert "auroc" not in judged.document
    assert "auroc" not in judge.compare(judged, judged)


def test_the_runtime_says_why_it_cannot_run_a_file() -> None:
    with pytest.raises(RuntimeFailed, match="samples"):
        TfliteFile(write_tflite(NET)).answers(XNNPACK, windows(2)[:, :-1])
