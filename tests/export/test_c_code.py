"""The C export says what the Python package says: every filtered sample, every int8 value, every decision."""

from __future__ import annotations

import subprocess
from collections.abc import Iterator
from dataclasses import replace
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from edge_mi.benchmarks import mcu
from edge_mi.export import bundle_writer
from edge_mi.export.agreement import AgreementLimits
from edge_mi.export.bundle_writer import Extras, export_bundle, write_unchecked
from edge_mi.export.c_check import codes_of, expected_decisions
from edge_mi.export.c_design import adc_scale, input_edges
from edge_mi.export.c_model import FLAGS, CModel, Missing
from edge_mi.export.c_writer import HEADER, SOURCE, write_c
from edge_mi.export.defaults import DEFAULT_QUALITY, default_alarm
from edge_mi.export.integer_model import run_layers
from edge_mi.export.quantise import QuantisedNet, quantise
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from real_data import real_data
from toy import TOY_NET, toy_checkpoint

from edge_mi import synthetic
from edge_mi.bundle import C_HEADER, C_SOURCE, TFLITE_INT8, TFLM_HEADER, TFLM_SOURCE, Bundle, QuantParams
from edge_mi.chain.chain import filter_segment
from edge_mi.checkpoint import Checkpoint
from edge_mi.detector import Detector
from edge_mi.errors import ConfigError, ExportDisagreement
from edge_mi.firmware import Firmware, Rounding
from edge_mi.netspec import NetSpec, patchnet
from edge_mi.optional import find_compiler
from edge_mi.records import read_record
from edge_mi.runners.choose import open_runner
from edge_mi.samples import FloatArray
from edge_mi.shipped import shipped_bundle, shipped_checkpoint
from edge_mi.signal_design import SUPPORTED_RATES_HZ

CC = find_compiler()
pytestmark = pytest.mark.skipif(CC is None, reason="no C compiler (cc, gcc, clang) on this machine")
LOOSE = AgreementLimits(family_decisions=1.0, float_decisions=1.0)


@cache
def shipped() -> Checkpoint:
    return Checkpoint.load(shipped_checkpoint())


def firmware(rate_hz: int = 130, gain: str = "1000", baseline: int = 0, rounding: Rounding = 0) -> Firmware:
    return Firmware(rate_hz=rate_hz, gain=gain, baseline=baseline, rounding=rounding)


def c_files(checkpoint: Checkpoint, wanted: Firmware) -> dict[str, bytes]:
    net = quantise(checkpoint)
    return write_c(checkpoint.info, net, wanted, default_alarm(net.spec), DEFAULT_QUALITY)


def compiled(checkpoint: Checkpoint, wanted: Firmware) -> CModel:
    assert CC is not None
    return CModel(c_files(checkpoint, wanted), checkpoint.info.net, wanted, CC)


@pytest.fixture(scope="module", params=[0, 2], ids=["reference", "fast"])
def pair(request: pytest.FixtureRequest) -> Iterator[tuple[CModel, Detector]]:
    """The shipped model in C at 130 Hz, and a detector on the runner of the same family."""
    wanted = firmware(rounding=request.param)
    runner = "litert" if request.param else "litert-ref"
    with compiled(shipped(), wanted) as model:
        yield model, Detector(Bundle.load(shipped_bundle()), runner)


def heart(seconds: float, rate_hz: int = 130, **options: Any) -> FloatArray:
    return synthetic.ecg(seconds, rate_hz=rate_hz, **options).lead("I")


@pytest.mark.parametrize("rate_hz", SUPPORTED_RATES_HZ)
def test_every_filtered_sample_is_pythons(rate_hz: int) -> None:
    rng = np.random.default_rng(rate_hz)
    with compiled(toy_checkpoint(), firmware(rate_hz, "2000/7", -5)) as model:
        for n in (1, 5, rate_hz // 2, 2 * rate_hz, 7 * rate_hz + 3):
            codes = rng.integers(-(1 << 15), 1 << 15, size=n).astype(np.int16)
            samples_mv = (codes.astype(np.float64) + 5) / float(model.firmware.codes_per_mv)
            expected = filter_segment(shipped().info.signal, rate_hz, samples_mv) * (1 << 14)
            assert np.array_equal(model.filtered(codes), expected)


@pytest.mark.parametrize(
    "net",
    [TOY_NET, patchnet(((5, 2, 3), (2, 5, 7), (3, 2, 9)), name="other", frames=45), shipped().info.net],
    ids=["toy", "stride above kernel", "shipped"],
)
@pytest.mark.parametrize("rounding", [0, 2])
def test_every_value_of_the_network_is_the_familys(net: NetSpec, rounding: Rounding) -> None:
    checkpoint = shipped() if net == shipped().info.net else toy_checkpoint(3, net)
    windows = np.random.default_rng(1).integers(-128, 128, size=(12, net.window_samples)).astype(np.int8)
    wanted = firmware(rounding=rounding)
    expected = run_layers(quantise(checkpoint), windows, wanted.family)
    with compiled(checkpoint, wanted) as model:
        for i in range(len(windows)):
            embeddings, logits = model.windows(windows[i : i + 1])
            assert np.array_equal(embeddings[0], expected["pool"][i, 0])
            assert np.array_equal(logits[0], expected["head"][i, 0])


@st.composite
def streams(draw: st.DrawFn, rate_hz: int) -> list[np.ndarray | Missing]:
    """Hearts, noise, rails and dead electrodes, with gaps of any length between them."""
    parts: list[np.ndarray | Missing] = []
    for _ in range(draw(st.integers(1, 4))):
        n = draw(st.one_of(st.integers(1, 400), st.integers(1300, 5000)))
        kind = draw(st.sampled_from(["heart", "heart", "noise", "flat", "clipped", "huge"]))
        seed = draw(st.integers(0, 50))
        signal_mv = heart(n / rate_hz + 1, seed=seed, noise_mv=0.02, heart_rate_bpm=50.0 + 2 * seed)[:n]
        if kind == "noise":
            signal_mv = np.random.default_rng(seed).normal(scale=0.3, size=n)
        elif kind == "flat":
            signal_mv = np.full(n, seed / 10)
        elif kind == "clipped":
            signal_mv = np.clip(signal_mv * 3, -0.4, 0.7)
        elif kind == "huge":
            signal_mv = signal_mv * 40
        parts.append(codes_of(firmware(rate_hz), signal_mv))
        if draw(st.booleans()):
            parts.append(Missing(draw(st.one_of(st.just(0), st.integers(1, 50), st.integers(100, 8000)))))
    return parts


@settings(max_examples=25, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(stream=streams(130), chunk=st.integers(1, 700), drain=st.booleans())
def test_any_stream_in_any_chunks_is_decided_as_python_does(
    pair: tuple[CModel, Detector], stream: list[np.ndarray | Missing], chunk: int, drain: bool
) -> None:
    model, detector = pair
    expected = expected_decisions(detector, model.firmware, stream)
    found = model.decisions(stream, model_id=detector.bundle.model_id, chunk=chunk, drain=drain)
    assert found == expected


@pytest.mark.parametrize("drain", [True, False], ids=["drained", "not drained"])
@pytest.mark.parametrize(
    "order",
    [
        ["gap", "gap", "heart"], ["heart", "gap", "gap", "gap", "heart"], ["reset"], ["reset", "gap", "heart"], [],
        ["heart", "gap", "reset", "gap", "heart", "gap"], ["heart", "long", "long", "reset"], ["one", "gap", "one"],
        ["heart", "endless", "heart"], ["gap", "one", "long"],
    ],
    ids="-".join,
)  # fmt: skip
def test_gaps_and_resets_in_any_order_lose_nothing(
    pair: tuple[CModel, Detector], order: list[str], drain: bool
) -> None:
    model, detector = pair
    parts = {
        "gap": Missing(150),
        "long": Missing(25 * 130),
        "endless": Missing((1 << 32) - 1),
        "reset": Missing(0),
        "one": np.array([7], dtype=np.int16),
        "heart": codes_of(model.firmware, heart(14, noise_mv=0.02)),
    }
    stream = [parts[name] for name in order]
    expected = expected_decisions(detector, model.firmware, stream)
    assert model.decisions(stream, model_id=detector.bundle.model_id, drain=drain) == expected
    again = model.decisions([parts["heart"]], model_id=detector.bundle.model_id)
    assert again == expected_decisions(detector, model.firmware, [parts["heart"]])


@pytest.mark.parametrize("hop_s", [0.2, 2.0, 7.8])
@pytest.mark.parametrize("rate_hz", [100, 512])
def test_other_hops_are_decided_as_python_does(hop_s: float, rate_hz: int, tmp_path: Path) -> None:
    checkpoint, wanted = shipped().with_hop(hop_s), firmware(rate_hz)
    bundle, _, _ = write_unchecked(checkpoint, quantise(checkpoint), tmp_path)
    detector = Detector(bundle, "litert-ref")
    codes = codes_of(wanted, heart(40, rate_hz, noise_mv=0.02))
    stream = [codes[: 23 * rate_hz], Missing(rate_hz // 3), codes[23 * rate_hz :], Missing(90 * rate_hz)]
    with compiled(checkpoint, wanted) as model:
        found = model.decisions(stream, model_id=bundle.model_id, chunk=77)
        assert found == expected_decisions(detector, wanted, stream)


def test_names_that_c_cannot_tell_apart_are_refused() -> None:
    checkpoint = toy_checkpoint()
    point = checkpoint.info.operating_points[0]
    twins = (replace(point, name="a-b"), replace(point, name="a b"))
    info = replace(checkpoint.info, operating_points=twins, default_operating_point="a-b")
    with pytest.raises(ConfigError, match="a-b, a b"):
        c_files(Checkpoint(info, checkpoint.weights), firmware())


def test_the_alarm_goes_on_and_off_as_in_python(pair: tuple[CModel, Detector]) -> None:
    model, detector = pair
    data = real_data("ptbxl")
    answered = []
    for path in sorted((data / "records100").rglob("*.hea"))[:40]:
        record = read_record(path)
        resampled_mv = np.interp(np.arange(1300) / 130, np.arange(1000) / 100, record.samples_mv)
        decisions = expected_decisions(detector, model.firmware, [codes_of(model.firmware, resampled_mv)])
        answered.append((decisions[-1].probability or 0.0, resampled_mv))
    worst, best = max(answered, key=lambda a: a[0])[1], min(answered, key=lambda a: a[0])[1]
    stream = [codes_of(model.firmware, np.concatenate([np.tile(worst, 5), np.tile(best, 6)]))]
    expected = expected_decisions(detector, model.firmware, stream)
    assert {d.state for d in expected} >= {"alarm", "negative"}
    assert model.decisions(stream, model_id=detector.bundle.model_id) == expected


@pytest.mark.parametrize(
    ("folder", "rate_hz", "pattern", "most"),
    [
        ("ptbxl", 500, "records500/**/*.hea", 12),
        ("ptbxl", 100, "records100/**/*.hea", 40),
        ("cinc2017", 300, "*.mat", 3),
        ("polar_h10", 130, "h10_part1.csv", 1),
        ("mitdb", 360, "100.hea", 1),
        ("ptbdb", 1000, "**/*.hea", 1),
    ],
)
@pytest.mark.parametrize("rounding", [0, 2])
def test_whole_real_records_are_decided_as_python_does(
    folder: str, rate_hz: int, pattern: str, most: int, rounding: Rounding
) -> None:
    paths = sorted(real_data(folder).glob(pattern))[:most]
    bundle = Bundle.load(shipped_bundle())
    detector = Detector(bundle, "litert" if rounding else "litert-ref")
    compared = 0
    with compiled(shipped(), firmware(rate_hz, rounding=rounding)) as model:
        for path in paths:
            # no lead I in mitdb: its chest lead serves, since equality is what is asked
            samples_mv = read_record(path, "MLII" if folder == "mitdb" else "I").samples_mv[: 120 * rate_hz]
            codes = codes_of(model.firmware, np.nan_to_num(samples_mv).astype(np.float64))
            expected = expected_decisions(detector, model.firmware, [codes])
            assert model.decisions([codes], model_id=bundle.model_id) == expected
            compared += len(expected)
    assert compared > 10


def test_electrodes_that_are_swapped_are_seen_as_in_python(pair: tuple[CModel, Detector]) -> None:
    """Put right, swapped again, over a gap, a restart and the end of a stream; and trusted."""
    model, detector = pair
    up = codes_of(model.firmware, heart(45, noise_mv=0.02))
    doubtful = codes_of(model.firmware, -heart(20, territory="lateral", noise_mv=0.02))
    stream = [-up, Missing(77), up, doubtful, -up, Missing(0), up[:2000], -up]
    expected = expected_decisions(detector, model.firmware, stream)
    assert {None, "inverted"} <= {d.reason for d in expected}
    for chunk in (1 << 16, 97):
        assert model.decisions(stream, model_id=detector.bundle.model_id, chunk=chunk) == expected
    trusting = Detector(detector.bundle, detector.runner, polarity="trust")
    expected = expected_decisions(trusting, model.firmware, stream)
    assert "inverted" not in {d.reason for d in expected}
    assert model.decisions(stream, model_id=detector.bundle.model_id, trust_polarity=True) == expected
    assert model.decisions([-up], model_id=detector.bundle.model_id)[-1].reason == "inverted"


@pytest.mark.parametrize("rounding", [0, 2])
def test_c_code_without_a_check_answers_as_the_detector_without_one(
    rounding: Rounding, pair: tuple[CModel, Detector]
) -> None:
    _, detector = pair
    bare = Checkpoint(replace(shipped().info, polarity=None), shipped().weights)
    upside_down = codes_of(firmware(), -heart(12))
    unchecked = Detector(
        replace(detector.bundle, info=replace(detector.bundle.info, polarity=None)),
        "litert" if rounding else "litert-ref",
    )
    with compiled(bare, firmware(rounding=rounding)) as model:
        found = model.decisions([upside_down], model_id=unchecked.bundle.model_id)
    assert found == expected_decisions(unchecked, firmware(), [upside_down])
    assert found[-1].reason is None


def test_a_copy_of_the_state_is_a_snapshot(pair: tuple[CModel, Detector]) -> None:
    model, detector = pair
    codes = codes_of(model.firmware, heart(40, noise_mv=0.02))
    expected = expected_decisions(detector, model.firmware, [codes])
    model.begin()
    first = model.push(codes[:2000], model_id=detector.bundle.model_id)
    saved = model.snapshot()
    model.push(np.full(999, 123, dtype=np.int16))
    model.restore(saved)
    rest = model.push(codes[2000:], model_id=detector.bundle.model_id)
    assert first + rest + model.end(model_id=detector.bundle.model_id) == expected


@settings(max_examples=60, deadline=None)
@given(
    gain=st.one_of(st.integers(20, 20000).map(str), st.decimals(20, 5000, places=3).map(str)),
    baseline=st.integers(-3000, 3000),
)
def test_every_code_of_any_sensor_has_its_exact_millivolts(gain: str, baseline: int) -> None:
    adc_scale(firmware(gain=gain, baseline=baseline))  # tries all 65,536 codes


@settings(max_examples=60, deadline=None)
@given(scale=st.floats(1e-4, 0.3), zero_point=st.integers(-128, 127))
def test_the_int8_input_by_edges_is_that_by_division(scale: float, zero_point: int) -> None:
    params = QuantParams(scale=float(np.float32(scale)), zero_point=zero_point)
    grid = np.arange(-(1 << 19), 1 << 19, 7)
    expected = params.quantise(grid / float(1 << 14))
    assert np.array_equal(np.searchsorted(input_edges(params), grid, side="right") - 128, expected)


def test_layers_that_keep_their_state_cost_a_seventh_of_the_window() -> None:
    net = shipped().info.net
    assert 7 * net.macs_with_state <= net.macs_window


@pytest.mark.parametrize("rounding", [0, 2])
@pytest.mark.parametrize("rate_hz", [100, 130])
def test_no_sanitizer_has_anything_to_say(rate_hz: int, rounding: Rounding, tmp_path: Path) -> None:
    wanted = firmware(rate_hz, rounding=rounding)
    for name, content in c_files(shipped(), wanted).items():
        (tmp_path / name).write_bytes(content)
    program = tmp_path / "example"
    sanitizers = ["-fsanitize=address,undefined", "-fno-sanitize-recover=all", "-g", "-O1"]
    sources = [tmp_path / SOURCE, mcu.EXAMPLE / "main.c", mcu.EXAMPLE / "board_host.c"]
    built = subprocess.run(
        [
            str(CC),
            *FLAGS,
            *sanitizers,
            f"-I{tmp_path}",
            f"-I{mcu.EXAMPLE}",
            *map(str, sources),
            "-o",
            str(program),
        ],
        capture_output=True,
        text=True,
        check=False,
    )
    if "cannot find" in built.stderr:
        pytest.skip("the compiler has no sanitizer libraries")
    assert built.stderr == ""
    signal_mv = heart(40, rate_hz, noise_mv=0.02)
    signal_mv[20 * rate_hz : 22 * rate_hz] = 40.0
    signal_mv[22 * rate_hz : 24 * rate_hz] = -40.0
    codes_of(wanted, signal_mv).astype("<i2").tofile(tmp_path / "record.raw")
    gaps = ["gap=700:0", f"gap={9 * rate_hz}:77", f"gap={30 * rate_hz}:100000"]
    done = subprocess.run(
        [str(program), "record.raw", *gaps], cwd=tmp_path, capture_output=True, text=True, check=False
    )
    assert done.stderr == ""
    assert done.returncode == 0
    assert len(done.stdout.splitlines()) > 40


@pytest.mark.parametrize("core", mcu.CORES, ids=[core.name for core in mcu.CORES])
@pytest.mark.parametrize("rounding", [0, 2])
def test_an_emulated_microcontroller_decides_as_python_does(
    core: mcu.Core, rounding: Rounding, tmp_path: Path
) -> None:
    try:
        mcu.check_tools()
    except ConfigError as exc:
        pytest.skip(str(exc))
    wanted = firmware(rounding=rounding)
    bundle, _, _ = write_unchecked(shipped(), quantise(shipped()), tmp_path, None, Extras(wanted))
    codes = codes_of(wanted, heart(30, territory="anterior", noise_mv=0.02))
    stream = [codes[:1700], Missing(40), codes[1700:]]
    sizes = mcu.build(core, tmp_path / "c", tmp_path / "image.elf")
    found = mcu.run(core, tmp_path / "image.elf", stream, tmp_path, bundle.model_id)
    detector = Detector(bundle, open_runner(bundle, "litert" if rounding else "litert-ref"))
    expected = expected_decisions(detector, wanted, stream)
    assert mcu.first_difference(found.decisions, expected, 1300) is None
    assert sizes["flash_bytes"] <= 128 << 10
    assert found.state_bytes is not None
    assert found.stack_bytes is not None
    assert sizes["ram_bytes"] + found.state_bytes + found.stack_bytes <= 16 << 10
    assert found.instructions_most is not None
    assert found.instructions_most > 0


def test_a_decision_that_differs_is_named() -> None:
    bundle = Bundle.load(shipped_bundle())
    decisions = Detector(bundle).stream([])
    assert mcu.first_difference([], list(decisions), 1300) is None
    made = expected_decisions(Detector(bundle), firmware(), [codes_of(firmware(), heart(12))])
    other = [*made[:-1], replace(made[-1], heart_rate_bpm=1.0)]
    assert "decision" in str(mcu.first_difference(other, made, 1300))
    assert "expected" in str(mcu.first_difference(made[:-1], made, 1300))


def one_weight(net: QuantisedNet) -> QuantisedNet:
    layer = net.convs[1]
    weight = layer.weight.copy()
    weight[2, 1, 1] = -weight[2, 1, 1] if weight[2, 1, 1] else 90
    return replace(net, convs=(net.convs[0], replace(layer, weight=weight)))


@pytest.mark.usefixtures("few_windows")
def test_a_fault_in_the_c_writer_leaves_no_bundle(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(
        bundle_writer, "write_c", lambda info, net, *rest: write_c(info, one_weight(net), *rest)
    )
    with pytest.raises(ExportDisagreement, match="litert-ref/c-reference"):
        export_bundle(toy_checkpoint(), tmp_path / "bundle", limits=LOOSE, extras=Extras(firmware()))
    assert list(tmp_path.iterdir()) == []


@pytest.mark.usefixtures("few_windows")
def test_a_rule_that_differs_in_c_leaves_no_bundle(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The network is right, and the decisions are not."""

    def deaf(*args: Any) -> dict[str, bytes]:
        files = write_c(*args)
        return {
            HEADER: files[HEADER],
            SOURCE: files[SOURCE].replace(b"#define FLAT_RUN 130", b"#define FLAT_RUN 13000"),
        }

    monkeypatch.setattr(bundle_writer, "write_c", deaf)
    with pytest.raises(ExportDisagreement, match=r"C code, check stream \d+, decision \d+"):
        export_bundle(toy_checkpoint(), tmp_path / "bundle", limits=LOOSE, extras=Extras(firmware()))
    assert list(tmp_path.iterdir()) == []


@pytest.mark.usefixtures("few_windows")
def test_code_that_does_not_compile_leaves_no_bundle(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def broken(*args: Any) -> dict[str, bytes]:
        files = write_c(*args)
        return {HEADER: files[HEADER], SOURCE: files[SOURCE] + b"int unused(int x) { return 1.5; }\n"}

    monkeypatch.setattr(bundle_writer, "write_c", broken)
    with pytest.raises(ExportDisagreement, match="does not compile"):
        export_bundle(toy_checkpoint(), tmp_path / "bundle", limits=LOOSE, extras=Extras(firmware()))
    assert list(tmp_path.iterdir()) == []


@pytest.mark.usefixtures("few_windows")
def test_without_a_compiler_c_is_refused_and_the_rest_is_not(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("CC", "no-such-compiler")
    with pytest.raises(ConfigError, match="no C compiler"):
        export_bundle(toy_checkpoint(), tmp_path / "bundle", limits=LOOSE, extras=Extras(firmware()))
    assert list(tmp_path.iterdir()) == []
    export_bundle(toy_checkpoint(), tmp_path / "bundle", limits=LOOSE)


@pytest.mark.usefixtures("few_windows")
def test_the_bundle_with_code_is_whole_and_replaced_by_force(tmp_path: Path) -> None:
    extras = Extras(firmware(250, "419.43", 12, 2), tflm=True)
    bundle = export_bundle(toy_checkpoint(), tmp_path / "b", limits=LOOSE, extras=extras).bundle
    assert bundle.info.firmware == extras.firmware
    assert {C_HEADER, C_SOURCE, TFLM_HEADER, TFLM_SOURCE} <= set(bundle.info.files)
    header = bundle.content[C_HEADER].decode()
    assert "Not a medical device" in header
    assert "#define EDGE_MI_RATE_HZ 250 " in header
    array = bundle.content[TFLM_SOURCE].split(b"= {")[1].split(b"}")[0]
    assert bytes(int(number) for number in array.split(b",")) == bundle.content[TFLITE_INT8]
    export_bundle(toy_checkpoint(), tmp_path / "b", limits=LOOSE, force=True)
    assert sorted(path.name for path in tmp_path.iterdir()) == ["b"]
    assert not (tmp_path / "b" / "c").exists()


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"gain": "0"}, "gain 0 codes/mV"),
        ({"gain": "-3"}, "gain -3"),
        ({"gain": "loud"}, "'loud' is no number"),
        ({"gain": "1/0"}, "is no number"),
        ({"gain": "3.14159265358979"}, "at most six decimals"),
        ({"baseline": 40000}, "baseline 40000"),
        ({"rounding": 1}, "rounding 1"),
    ],
)
def test_a_sensor_that_cannot_be_is_refused(options: dict[str, Any], message: str) -> None:
    values = {"rate_hz": 130, "gain": "1000", "baseline": 0, "rounding": 0, **options}
    with pytest.raises(ValueError, match=message):
        Firmware(**values)
