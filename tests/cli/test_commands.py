"""The command line as a user types it: what each command prints, and its JSON."""

from __future__ import annotations

import csv
import json
import os
import re
import signal
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import numpy as np
import pytest
from heart_store import heart_store
from processes import wait_for

from edge_mi import synthetic
from edge_mi.bundle import Bundle
from edge_mi.cli.main import COMMANDS, main
from edge_mi.decision import Decision
from edge_mi.detector import Detector
from edge_mi.notice import NOTICE
from edge_mi.records import write_wfdb
from edge_mi.shipped import shipped_bundle
from edge_mi.sources import chunks_of

Output = pytest.CaptureFixture[str]
# buffered, as a user's shell has it: what is written last is written at exit
ENVIRONMENT = {key: value for key, value in os.environ.items() if key != "PYTHONUNBUFFERED"}


def heart(
    folder: Path, name: str = "heart", *, seconds: float = 15, territory: str = "none", swapped: bool = False
) -> Path:
    samples = synthetic.ecg(seconds, rate_hz=130, territory=territory, heart_rate_bpm=75, seed=1).lead("I")
    samples = -samples if swapped else samples
    return write_wfdb(folder, name, ["I"], np.rint(samples * 1000).astype(np.int16)[None], 130, 1000)


def last_json(capsys: Output) -> dict[str, object]:
    document: dict[str, object] = json.loads(capsys.readouterr().out.splitlines()[-1])
    return document


@pytest.mark.parametrize("command", [None, *COMMANDS])
def test_every_command_has_help(command: str | None, capsys: Output) -> None:
    with pytest.raises(SystemExit) as ended:
        main([*([command] if command else []), "--help"])
    assert ended.value.code == 0
    assert "usage: edge-mi" in capsys.readouterr().out


def test_every_command_is_in_the_readme() -> None:
    readme = (Path(__file__).parents[2] / "README.md").read_text()
    assert [name for name in COMMANDS if f"edge-mi {name}" not in readme] == []


def test_export_prints_what_it_wrote(tmp_path: Path, capsys: Output) -> None:
    assert main(["export", "--int8", "--out", str(tmp_path / "b")]) == 0
    page = capsys.readouterr().out
    for words in (
        "model.int8.tflite",
        "CONV_2D",
        "66,977 parameters",
        "litert/ort",
        "100.000%",
        "AUROC",
        "fold 9",
    ):
        assert words in page


def test_export_as_json_has_the_contracts_keys(tmp_path: Path, capsys: Output) -> None:
    assert main(["export", "--int8", "--out", str(tmp_path / "b"), "--json"]) == 0
    document = last_json(capsys)
    keys = {"bundle", "files", "parameters", "macs_window", "macs_hop", "agreement", "auroc"}
    assert keys <= set(document)
    assert document["macs_hop"] <= document["macs_window"] / 4  # type: ignore[operator]
    assert set(document["auroc"]) == {"float", "int8", "n", "interval", "source"}  # type: ignore[call-overload]
    assert document["agreement"]["litert/ort"]["identical"] == 1.0  # type: ignore[index]


def test_export_measures_against_a_store(tmp_path: Path, capsys: Output) -> None:
    store = heart_store(tmp_path / "store")
    # ranges of synthetic hearts are none for this network
    (tmp_path / "limits.json").write_text(
        '{"family_decisions": 0.01, "float_decisions": 0.1, "auroc_difference": 0.05}'
    )
    words = ["export", "--int8", "--out", str(tmp_path / "b"), "--data", str(store)]
    assert main([*words, "--limits", str(tmp_path / "limits.json"), "--json"]) == 0
    assert "hearts fold 4" in last_json(capsys)["auroc"]["source"]  # type: ignore[index]


def test_score_writes_a_row_for_each_record(tmp_path: Path, capsys: Output) -> None:
    (tmp_path / "deep").mkdir()
    heart(tmp_path / "deep", "sick", territory="inferior")
    heart(tmp_path, "well")
    heart(tmp_path, "broken")
    (tmp_path / "broken.dat").write_bytes(b"x")
    out = tmp_path / "scores.csv"
    assert main(["score", str(tmp_path), "--out", str(out), "--jobs", "1", "--json"]) == 0
    summary = last_json(capsys)
    assert (summary["records"], summary["scored"], summary["unreadable"]) == (3, 2, 1)
    with out.open() as file:
        rows = {row["record"]: row for row in csv.DictReader(file)}
    assert list(rows["well"]) == [
        "record", "probability", "state", "reason", "windows_answered", "windows_total", "error",
    ]  # fmt: skip
    assert set(rows) == {"deep/sick", "well", "broken"}
    assert float(rows["deep/sick"]["probability"]) > float(rows["well"]["probability"])
    assert "cut short" in rows["broken"]["error"]


@pytest.mark.parametrize("jobs", ["1", "2"])
def test_score_says_how_many_records_name_no_lead(jobs: str, tmp_path: Path, capsys: Output) -> None:
    for i in range(17):  # more than one batch
        heart(tmp_path, f"r{i:02d}", seconds=10)
    codes = np.zeros((1, 1300), dtype=np.int16)
    write_wfdb(tmp_path, "unnamed", ["ECG"], codes, 130, 1000)
    assert main(["score", str(tmp_path), "--jobs", jobs]) == 0
    said = capsys.readouterr().err
    assert "1 with a warning, the first: the only signal of" in said
    assert "taken as lead I" in said


@pytest.mark.parametrize("command", ["score", "stream --replay"])
def test_another_lead_is_judged_with_a_warning(command: str, tmp_path: Path, capsys: Output) -> None:
    samples = synthetic.ecg(30, rate_hz=130, heart_rate_bpm=75, seed=1).lead("II")
    codes = np.rint(samples * 1000).astype(np.int16)[None]
    record = str(write_wfdb(tmp_path, "other", ["II"], codes, 130, 1000))
    assert main([*command.split(), record, "--lead", "ii"]) == 0
    assert "warning: the model knows lead I only: what it says of lead ii" in capsys.readouterr().err


def test_many_processes_score_the_same(tmp_path: Path, capsys: Output) -> None:
    for i in range(40):
        heart(tmp_path, f"r{i:02d}", seconds=10)
    outputs = []
    for jobs in ("1", "2"):
        assert main(["score", str(tmp_path), "--jobs", jobs]) == 0
        outputs.append(capsys.readouterr().out)
    assert outputs[0] == outputs[1]
    assert len(outputs[0].splitlines()) == 41


def test_a_replay_shows_notice_decisions_and_a_result(tmp_path: Path, capsys: Output) -> None:
    assert main(["stream", "--replay", str(heart(tmp_path, seconds=60, territory="inferior"))]) == 0
    page = capsys.readouterr().out
    assert page.startswith(NOTICE)
    assert re.search(r"59\.83 s +(alarm|positive|negative) +0\.\d\d\d", page)
    assert "pattern of myocardial infarction" in page
    assert "at a prevalence of" in page


def test_a_replay_as_json_lines_is_the_detector(tmp_path: Path, capsys: Output) -> None:
    path = heart(tmp_path)
    assert main(["stream", "--replay", str(path), "--json"]) == 0
    lines = [json.loads(line) for line in capsys.readouterr().out.splitlines()]
    header = lines.pop(0)
    assert list(header) == ["type", "schema", "notice", "model_id", "prevalence", "polarity"]
    assert header["polarity"] == "check"
    from edge_mi import read_record

    record = read_record(path)
    expected = Detector(Bundle.load(shipped_bundle())).stream(chunks_of(record.samples_mv, 130))
    assert lines == [json.loads(decision.to_json()) for decision in expected]
    assert list(lines[0]) == list(json.loads(Decision.to_json(next(iter(
        Detector(Bundle.load(shipped_bundle())).stream(chunks_of(record.samples_mv, 130))
    )))))  # fmt: skip


def test_seconds_ends_a_replay_early(tmp_path: Path, capsys: Output) -> None:
    assert main(["stream", "--replay", str(heart(tmp_path)), "--seconds", "11", "--json"]) == 0
    times = [json.loads(line)["t_s"] for line in capsys.readouterr().out.splitlines()[1:]]
    assert max(times) == 10.83


def test_a_chest_strap_is_not_judged(tmp_path: Path, capsys: Output) -> None:
    assert main(["stream", "--replay", str(heart(tmp_path)), "--placement", "chest"]) == 2
    captured = capsys.readouterr()
    assert "not in the place of lead I" in captured.out
    assert captured.err.startswith("edge-mi: no window could be judged")


def test_swapped_electrodes_are_told_of_and_not_judged(tmp_path: Path, capsys: Output) -> None:
    words = ["stream", "--replay", str(heart(tmp_path, swapped=True))]
    assert main(words) == 2
    captured = capsys.readouterr()
    message = "lead I looks upside down: are the right and left electrodes swapped?"
    assert captured.out.count(message) >= 5
    assert captured.err == (
        f"edge-mi: no window could be judged: {message} (6 of 15); --polarity trust judges it all the same\n"
    )


def test_whoever_trusts_the_polarity_gets_an_answer_and_the_header_says_so(
    tmp_path: Path, capsys: Output
) -> None:
    words = ["stream", "--replay", str(heart(tmp_path, swapped=True)), "--polarity", "trust"]
    assert main(words) == 0
    assert "polarity not checked, as you said" in capsys.readouterr().out
    assert main([*words, "--json"]) == 0
    header, *lines = map(json.loads, capsys.readouterr().out.splitlines())
    assert header["polarity"] == "trust"
    assert lines[-1]["probability"] is not None


@pytest.mark.parametrize("jobs", ["1", "2"])
def test_score_gives_no_probability_to_a_record_upside_down(
    jobs: str, tmp_path: Path, capsys: Output
) -> None:
    folder = tmp_path / "records"
    folder.mkdir()
    heart(folder, "a")
    for i in range(17):  # more than one batch
        heart(folder, f"b{i:02d}", swapped=True)
    words = ["score", str(folder), "--out", str(tmp_path / "s.csv"), "--jobs", jobs]
    assert main([*words, "--json"]) == 0
    captured = capsys.readouterr()
    document = json.loads(captured.out.splitlines()[-1])
    assert (document["inverted"], document["scored"], document["polarity"]) == (17, 1, "check")
    assert "17 of the undetermined look upside down; --polarity trust scores them" in captured.err
    rows = list(csv.DictReader((tmp_path / "s.csv").read_text().splitlines()))
    assert {(row["probability"], row["state"], row["reason"]) for row in rows[1:]} == {
        ("", "undetermined", "inverted")
    }
    assert main([*words, "--polarity", "trust"]) == 0
    assert all(row["probability"] for row in csv.DictReader((tmp_path / "s.csv").read_text().splitlines()))


def test_a_bundle_made_of_an_old_checkpoint_has_no_check_and_says_so(tmp_path: Path, capsys: Output) -> None:
    import safetensors
    import safetensors.numpy
    from toy import export_toy

    words = export_toy(tmp_path)
    path = tmp_path / "toy.safetensors"
    with safetensors.safe_open(str(path), framework="numpy") as file:
        document = json.loads(file.metadata()["edge_mi"])
        tensors = {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118
    document["schema"] = 1
    del document["polarity"]
    path.write_bytes(safetensors.numpy.save(tensors, {"edge_mi": json.dumps(document)}))
    assert main(words) == 0
    assert "polarity: no check: swapped electrodes are not noticed" in capsys.readouterr().out
    assert main(["info", str(tmp_path / "b"), "--json"]) == 0
    assert last_json(capsys)["polarity"] is None
    assert main(["stream", str(tmp_path / "b"), "--replay", str(heart(tmp_path, swapped=True))]) == 0
    assert "this bundle has no check" in capsys.readouterr().out


def test_bench_has_the_contracts_keys(capsys: Output) -> None:
    assert main(["bench", "--rounds", "20", "--json"]) == 0
    document = last_json(capsys)
    assert {"machine", "versions", "runners", "pipeline_us", "realtime_factor", "rss_mb"} <= set(document)
    runners: dict[str, dict[str, object]] = document["runners"]  # type: ignore[assignment]
    assert set(runners) == {"litert", "litert-ref", "ort", "ort-fp32"}
    assert runners["ort-fp32"]["hop_us"] is None
    assert all(runners[name]["hop_us"]["n"] == 20 for name in ("litert", "litert-ref", "ort"))  # type: ignore[index]
    assert set(runners["litert"]["window_us"]) == {"p50", "p90", "p99", "p999", "max", "n"}  # type: ignore[call-overload]
    stages = {"decode", "filter", "window", "inference", "decision", "total"}
    assert set(document["pipeline_us"]) == stages  # type: ignore[call-overload]


def test_info_verifies_the_bundle_on_every_runner(capsys: Output) -> None:
    assert main(["info", "--verify"]) == 0
    page = capsys.readouterr().out
    assert "fast" in page
    assert "reference" in page
    assert main(["info", "--json"]) == 0
    assert last_json(capsys)["model_id"] == Bundle.load(shipped_bundle()).model_id


def test_info_prints_every_layer(capsys: Output) -> None:
    info = Bundle.load(shipped_bundle()).info
    assert main(["info"]) == 0
    page = capsys.readouterr().out.partition("\nLAYERS, 32 synthetic windows")[2]
    for layer in info.layers:
        line = next(line for line in page.splitlines() if line.startswith(layer.name))
        for cell in (f"{layer.shape[0]} x {layer.shape[1]}", f"{layer.macs_hop:,}", f"{layer.sqnr_db:.1f}"):
            assert cell in line
    assert main(["info", "--json"]) == 0
    layers: list[dict[str, object]] = last_json(capsys)["layers"]  # type: ignore[assignment]
    assert [layer["name"] for layer in layers] == [*info.net.layer_names]
    assert sum(layer["macs_hop"] for layer in layers) == info.net.macs_hop  # type: ignore[misc]


def test_info_names_the_family_and_refuses_another(capsys: Output, monkeypatch: pytest.MonkeyPatch) -> None:
    assert main(["info", "--verify", "--json"]) == 0
    verify: dict[str, dict[str, object]] = last_json(capsys)["verify"]  # type: ignore[assignment]
    assert {name: check["matched"] for name, check in verify.items()} == {
        "litert": "fast",
        "litert-ref": "reference",
        "ort": "fast",
    }
    from edge_mi.cli import info
    from edge_mi.runners.choose import open_runner

    def swapped(bundle: Bundle, name: str) -> object:
        runner = open_runner(bundle, "litert-ref")
        runner.family = "fast"
        return runner

    monkeypatch.setattr(info, "open_runner", swapped)
    monkeypatch.setattr(info, "available_runners", lambda: ("litert",))
    assert main(["info", "--verify", "--json"]) == 1
    captured = capsys.readouterr()
    found = json.loads(captured.out.splitlines()[-1])["verify"]["litert"]
    assert (found["family"], found["matched"], found["stages"]["input"]) == ("fast", "reference", "both")
    assert found["stages"]["embedding"] == "reference"
    assert captured.err.count("edge-mi: ") == 1
    assert "family fast, gives the values of family reference; it first differs in the mean" in captured.err


def test_info_writes_a_page(tmp_path: Path, capsys: Output) -> None:
    assert main(["info", "--html", str(tmp_path / "inside.html"), "--json"]) == 0
    assert last_json(capsys)["html"] == str(tmp_path / "inside.html")
    assert (tmp_path / "inside.html").read_text().startswith("<!DOCTYPE html>")
    assert main(["info", "--html", str(tmp_path / "nowhere" / "inside.html")]) == 2
    assert "there is no folder" in capsys.readouterr().err
    assert [path.name for path in tmp_path.iterdir()] == ["inside.html"]


def test_export_writes_the_golden_outputs_of_every_layer(tmp_path: Path) -> None:
    from edge_mi.golden import read_golden

    assert main(["export", "--int8", "--golden", "full", "--out", str(tmp_path / "b")]) == 0
    assert "conv3_fast" in read_golden(Bundle.load(tmp_path / "b")).layers


def test_doctor_names_runner_and_family(capsys: Output) -> None:
    assert main(["doctor", "--json"]) == 0
    report = last_json(capsys)
    assert report["runners"]["litert"]["family"] == "fast"  # type: ignore[index]
    assert report["default_runner"] == "litert"


@pytest.fixture
def served(tmp_path: Path) -> Iterator[Callable[..., str]]:
    """Starts `edge-mi emulate` in a process of its own; gives its link once it is there."""
    running: list[subprocess.Popen[str]] = []

    def start(record: Path, *words: str) -> str:
        link = tmp_path / f"hci{len(running)}"
        emulator = subprocess.Popen(
            [
                sys.executable,
                "-m",
                "edge_mi",
                "emulate",
                "h10",
                str(record),
                "--link",
                f"unix:{link}",
                *words,
            ],
            stderr=subprocess.PIPE,
            text=True,
        )
        running.append(emulator)
        assert emulator.stderr is not None
        wait_for(emulator.stderr, "edge-mi stream")
        return f"unix:{link}"

    yield start
    for emulator in running:
        emulator.send_signal(signal.SIGTERM)
        assert emulator.wait(timeout=20) == 0
        assert emulator.stderr is not None
        emulator.stderr.close()
    assert list(tmp_path.glob("hci*")) == []


def program(*words: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-m", "edge_mi", *words],
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
        env=ENVIRONMENT,
    )


def test_an_emulated_patch_in_another_process_decides_as_its_replay(
    tmp_path: Path, served: Callable[..., str]
) -> None:
    record = heart(tmp_path, seconds=40, territory="inferior")
    link = served(record, "--speed", "0")
    live = program("stream", "--device", "Polar H10", "--link", link, "--placement", "lead-i", "--json")
    replay = program("stream", "--replay", str(record), "--json")
    assert (live.returncode, replay.returncode) == (0, 0)
    assert "5200 samples in 72 frames, rate not fitted yet, none lost" in live.stderr

    def decisions(text: str) -> list[dict[str, object]]:
        return [{**json.loads(line), "latency_ms": None} for line in text.splitlines()]

    assert decisions(live.stdout) == decisions(replay.stdout)
    assert len(decisions(live.stdout)) == 41


def test_a_live_stream_is_a_chest_strap_until_the_user_says_otherwise(
    tmp_path: Path, served: Callable[..., str]
) -> None:
    done = program("stream", "--device", "Polar H10", "--link", served(heart(tmp_path), "--speed", "0"))
    assert done.returncode == 0
    assert "not in the place of lead I" in done.stdout
    assert "--placement lead-i" in done.stderr


def test_interrupting_a_stream_ends_it_in_order(tmp_path: Path, served: Callable[..., str]) -> None:
    link = served(heart(tmp_path), "--repeat")
    words = ["stream", "--device", "Polar H10", "--link", link, "--placement", "lead-i"]
    stream = subprocess.Popen(
        [sys.executable, "-m", "edge_mi", *words], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    )
    assert stream.stderr is not None
    wait_for(stream.stderr, "connected to")
    stream.send_signal(signal.SIGINT)
    out, err = stream.communicate(timeout=30)
    assert stream.returncode == 130
    assert "RESULT" in out
    assert "Traceback" not in err
    # the patch was left stopped: the next visitor starts it at the first try
    again = program(*words, "--seconds", "1")
    assert again.returncode == 0


def test_an_emulator_without_its_reader_does_not_mind(tmp_path: Path, served: Callable[..., str]) -> None:
    link = served(heart(tmp_path), "--repeat", "--speed", "50")
    words = ["stream", "--device", "Polar H10", "--link", link, "--placement", "lead-i"]
    stream = subprocess.Popen(
        [sys.executable, "-m", "edge_mi", *words], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    )
    assert stream.stdout is not None
    stream.stdout.readline()
    os.kill(stream.pid, signal.SIGKILL)
    stream.communicate()
    assert program(*words, "--seconds", "12").returncode == 0


def test_an_emulator_that_is_killed_ends_the_stream_in_one_line(
    tmp_path: Path, served: Callable[..., str]
) -> None:
    link = f"unix:{tmp_path / 'killed'}"
    words = ["emulate", "h10", str(heart(tmp_path)), "--link", link, "--repeat", "--speed", "50"]
    emulator = subprocess.Popen([sys.executable, "-m", "edge_mi", *words], stderr=subprocess.PIPE, text=True)
    assert emulator.stderr is not None
    wait_for(emulator.stderr, "edge-mi stream")
    stream = subprocess.Popen(
        [sys.executable, "-m", "edge_mi", "stream", "--device", "Polar H10", "--link", link, "--placement", "lead-i"],
        stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True,
    )  # fmt: skip
    assert stream.stdout is not None
    wait_for(stream.stdout, "negative")
    emulator.kill()
    emulator.communicate()
    (tmp_path / "killed").unlink(missing_ok=True)
    out, err = stream.communicate(timeout=60)
    assert stream.returncode == 2
    assert err.splitlines()[-1] == f"edge-mi: the emulator at {link} is gone"
    assert "RESULT" in out
    assert all(line.startswith("edge-mi: ") for line in err.splitlines())


@pytest.mark.parametrize(
    "words",
    [
        ["--help"],
        ["--version"],
        ["info"],
        ["doctor"],
        ["info", "--json"],
        ["bench", "--rounds", "5", "--json"],
    ],
)
def test_a_reader_that_is_gone_is_no_error(words: list[str]) -> None:
    reader, writer = os.pipe()
    os.close(reader)
    done = subprocess.run(
        [sys.executable, "-m", "edge_mi", *words], stdout=writer, stderr=subprocess.PIPE, text=True, check=False,
        env=ENVIRONMENT,
    )  # fmt: skip
    os.close(writer)
    noise = [line for line in done.stderr.splitlines() if not line.startswith("timing")]
    assert (done.returncode, noise) == (141, [])


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="no /dev/full here")
@pytest.mark.parametrize("words", [["--version"], ["info"], ["info", "--json"]])
def test_a_full_disk_under_the_output_is_one_line(words: list[str]) -> None:
    with Path("/dev/full").open("w") as full:
        done = subprocess.run(
            [sys.executable, "-m", "edge_mi", *words], stdout=full, stderr=subprocess.PIPE, text=True, check=False,
            env=ENVIRONMENT,
        )  # fmt: skip
    assert (done.returncode, done.stderr) == (
        2,
        "edge-mi: cannot write the results: No space left on device\n",
    )


def test_an_interrupted_score_says_one_word(tmp_path: Path) -> None:
    for i in range(200):
        heart(tmp_path, f"r{i:03d}", seconds=20)
    score = subprocess.Popen(
        [sys.executable, "-m", "edge_mi", "score", str(tmp_path), "--jobs", "2"],
        stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, start_new_session=True,
    )  # fmt: skip
    assert score.stderr is not None
    wait_for(score.stderr, "scoring: ")
    os.killpg(score.pid, signal.SIGINT)  # as a terminal does
    _, err = score.communicate(timeout=60)
    assert score.returncode == 130
    assert [line for line in err.splitlines() if not line.startswith("scoring")] == ["edge-mi: interrupted"]
