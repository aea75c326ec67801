"""From a configuration to results: every method answers, none sees what it is asked, a kill costs nothing."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from edge_mi.train import parts
from edge_mi.train.config import AugmentConfig, FitConfig, TaskConfig, TeacherConfig
from edge_mi.train.fit import total_steps
from edge_mi.train.parts import RunFolder
from edge_mi.train.protocol import finetune, generative, pretrain
from edge_mi.train.protocol.bench import Bench
from edge_mi.train.protocol.config import CurveSection, FinetuneSection, PretrainSection, ProtocolConfig
from edge_mi.train.protocol.document import read_report
from edge_mi.train.protocol.entrants import entrants
from edge_mi.train.protocol.figures import Judge
from edge_mi.train.protocol.methods import METHODS
from edge_mi.train.protocol.result import OUTPUTS, REGIMES, MethodResult, ProtocolResult
from edge_mi.train.protocol.run import Reproduction, reproduce
from edge_mi.train.resamples import Resamples

from edge_mi.cli.main import main
from edge_mi.errors import ConfigError, StoreError
from edge_mi.files import write_file
from edge_mi.metrics import auroc
from edge_mi.records.leads import TWELVE_LEADS
from edge_mi.signal_design import SignalDesign
from edge_mi.store import StoredRecord, WindowStore, write_store

EXAMPLES = Path(__file__).parents[3] / "examples"
GROUPS = ((1, 2, 3, 4), (5, 6, 7, 8, 9))
AUGMENT = AugmentConfig(crop_samples=280)
TASK = TaskConfig(code_min_records=10)
FIT = FitConfig(epochs=2, batch=24, learning_rate=5e-3)
CONFIG = ProtocolConfig(
    network="patchnet-15k",
    groups=GROUPS,
    seeds=(3,),
    teacher=TeacherConfig(
        layers=((16, 5, 6), (8, 2, 8)), embedding=8, ensemble=1, fit=FIT, augment=AUGMENT,
        task=replace(TASK, distil=0.0),
    ),
    pretrain=PretrainSection(fit=FIT, augment=AUGMENT, projection=4),
    finetune=FinetuneSection(fit=FIT, augment=AUGMENT, task=TASK),
)  # fmt: skip
FEW = replace(CONFIG, methods=("selfmis", "response"), regimes=("probe_10", "finetune"))


def run(store: Path, folder: Path, config: ProtocolConfig, design: SignalDesign) -> Reproduction:
    return reproduce(config, store, folder, design, workers=1, resamples=20)


@dataclass
class Whole:
    """A run of every method, and how each stage was trained: settings, records and seeds."""

    result: ProtocolResult
    taken: dict[str, set[tuple[FitConfig, int, int]]]


@pytest.fixture(scope="module")
def whole(toy_store: Path, design: SignalDesign, tmp_path_factory: pytest.TempPathFactory) -> Whole:
    parts.prepare_torch()
    taken: dict[str, set[tuple[FitConfig, int, int]]] = {}
    with pytest.MonkeyPatch.context() as patch:
        for module in (pretrain, generative, finetune):
            stage, fit = module.__name__.rpartition(".")[2], module.fit

            def counted(
                net: Any, rows: Any, loss: Any, config: FitConfig, *, _of: str = stage, _fit: Any = fit,
                **more: Any,
            ) -> None:  # fmt: skip
                taken.setdefault(_of, set()).add((config, len(rows), more["seed"]))
                _fit(net, rows, loss, config, **more)

            patch.setattr(module, "fit", counted)
        result = run(toy_store, tmp_path_factory.mktemp("whole"), CONFIG, design).result
    return Whole(result, taken)


@pytest.fixture
def result(whole: Whole) -> ProtocolResult:
    return whole.result


@pytest.fixture(scope="module")
def few(toy_store: Path, design: SignalDesign, tmp_path_factory: pytest.TempPathFactory) -> list[bytes]:
    parts.prepare_torch()
    done = run(toy_store, tmp_path_factory.mktemp("few"), FEW, design)
    return [array.tobytes() for array in arrays(done.result)]


def arrays(result: ProtocolResult) -> list[np.ndarray]:
    found = [result.teacher, *result.teacher_logits]
    for method in result.methods:
        found += [array for regime in method.logits.values() for array in regime]
        found += method.features
    return found


def by_name(result: ProtocolResult) -> dict[str, MethodResult]:
    return {method.name: method for method in result.methods}


def rewritten(
    source: WindowStore, path: Path, design: SignalDesign, change: Callable[[StoredRecord], StoredRecord],
    signals: Callable[[StoredRecord, np.ndarray], np.ndarray] = lambda record, codes: codes,
) -> Path:  # fmt: skip
    write_store(
        path,
        design=design,
        source=source.manifest.source,
        leads=TWELVE_LEADS,
        records=[change(record) for record in source.records],
        signals_mv=[
            signals(record, codes) / 4096 for record, codes in zip(source.records, source.codes, strict=True)
        ],
        samples_per_record=source.manifest.samples_per_record,
    )
    return path


def without_folds(source: WindowStore, path: Path, design: SignalDesign, folds: tuple[int, ...]) -> Path:
    kept = source.rows_of(tuple(fold for fold in range(1, 10) if fold not in folds))
    records = list(source.records)
    write_store(
        path,
        design=design,
        source=source.manifest.source,
        leads=TWELVE_LEADS,
        records=[records[row] for row in kept],
        signals_mv=[source.codes[row] / 4096 for row in kept],
        samples_per_record=source.manifest.samples_per_record,
    )
    return path


def test_every_method_answers_for_every_record_in_every_regime_that_it_has(result: ProtocolResult) -> None:
    assert [method.name for method in result.methods] == list(METHODS)
    for method in result.methods:
        probed = METHODS[method.name].probed
        assert tuple(method.logits) == (REGIMES if probed else ("finetune",))
        for logits in method.logits.values():
            assert [each.shape for each in logits] == [(108, len(OUTPUTS))]
            assert np.isfinite(logits[0][:, 0]).all()
            # the toy has no other type, so nobody could learn one
            assert np.isnan(np.delete(logits[0], [0, OUTPUTS.index("IMI")], axis=1)).all()


def test_features_are_of_every_record_and_of_frozen_encoders_only(result: ProtocolResult) -> None:
    shapes = {name: [each.shape for each in method.features] for name, method in by_name(result).items()}
    without = {"labels-every-lead-response", "edge-mi", "response", "lead-masking", "age-sex"}
    assert {name for name, found in shapes.items() if not found} == without
    assert shapes["selfmis"] == [(2, 108, 28)]
    assert shapes["generative"] == [(2, 108, 8)]
    assert result.teacher.shape == (2, 108, 8)
    assert result.teacher_without_i.shape == result.teacher.shape
    assert np.isfinite([result.teacher, result.teacher_without_i]).all()
    assert not np.array_equal(result.teacher, result.teacher_without_i)


def test_a_network_is_as_large_as_its_weights(result: ProtocolResult) -> None:
    sizes = {name: method.parameters for name, method in by_name(result).items()}
    assert sizes["scratch"] == sizes["selfmis"] == 15_061 + 9 * 29
    assert sizes["lead-masking"] == sizes["scratch"] + 11 * 15 * 12
    assert sizes["age-sex"] == 50


def test_methods_differ(result: ProtocolResult) -> None:
    tuned = [method.logits["finetune"][0][:, 0].tobytes() for method in result.methods]
    assert len(set(tuned)) == len(METHODS)


def test_what_a_split_holds_out_decides_nothing_about_its_answers(
    toy_store: Path, design: SignalDesign, result: ProtocolResult, tmp_path: Path
) -> None:
    """Labels and the eleven other leads of the first group are made up: only lead I, age and sex are asked."""

    def lie(record: StoredRecord) -> StoredRecord:
        if record.fold not in GROUPS[0]:
            return record
        return replace(record, mi=not record.mi, norm=False, codes={"PMI": 100.0})

    def noise(record: StoredRecord, codes: np.ndarray) -> np.ndarray:
        if record.fold not in GROUPS[0]:
            return codes
        made_up = np.random.default_rng(1).normal(scale=2000, size=codes.shape)
        return np.concatenate([codes[:1], made_up[1:]])

    changed = rewritten(WindowStore.open(toy_store), tmp_path / "store", design, lie, noise)
    other = run(changed, tmp_path / "run", CONFIG, design).result
    store = WindowStore.open(toy_store)
    asked, rest = store.rows_of(GROUPS[0]), store.rows_of(GROUPS[1])
    for mine, theirs in zip(result.methods, other.methods, strict=True):
        for regime in mine.logits:
            assert np.array_equal(
                mine.logits[regime][0][asked], theirs.logits[regime][0][asked], equal_nan=True
            )
        for a, b in zip(mine.features, theirs.features, strict=True):
            assert np.array_equal(a[0], b[0])
        # the other split did learn from them
        assert not np.array_equal(mine.logits["finetune"][0][rest, 0], theirs.logits["finetune"][0][rest, 0])
    assert np.array_equal(result.teacher[0][rest], other.teacher[0][rest])


def test_a_stage_has_the_same_steps_on_the_same_records_for_all_that_have_it(
    whole: Whole, toy_store: Path
) -> None:
    rows = {len(WindowStore.open(toy_store).rows_of(group)) for group in GROUPS}
    for stage, seed in (("pretrain", 503), ("generative", 903)):
        assert whole.taken[stage] == {(FIT, count, seed) for count in rows}
    both = {(replace(FIT, steps=2 * total_steps(count, FIT)), count, 703) for count in rows}
    assert whole.taken["finetune"] == {(FIT, count, 703) for count in rows} | both


def test_the_steps_of_a_method_are_said_and_some_rivals_take_as_many(result: ProtocolResult) -> None:
    steps = {name: (m.pretraining_steps, m.finetuning_steps) for name, m in by_name(result).items()}
    assert steps["scratch"] == steps["response"] == (0, 4)
    assert steps["selfmis"] == steps["scratch-long"] == steps["edge-mi"] == (4, 4)
    assert steps["lead-masking"] == (0, 8)
    assert (steps["generative"], steps["age-sex"]) == ((4, 0), (0, 0))


def test_labels_are_met_where_pretraining_or_its_teacher_is_told_them(result: ProtocolResult) -> None:
    told = {name: method.labels_before_probe for name, method in by_name(result).items()}
    assert {name for name, labels in told.items() if labels == "none"} == {"scratch", "unaligned", "age-sex"}
    assert told["selfmis"] == told["generative"] == "all, by teacher"
    assert told["scratch-long"] == told["labels-every-lead"] == "all, itself"
    assert told["selfmis-labels-every-lead"] == "all, itself and by teacher"
    assert told["response"] == told["edge-mi"] == told["lead-masking"] == "-"


def test_a_part_of_the_patients_gets_exactly_the_steps_of_all_and_each_seed_draws_its_own(
    toy_store: Path, tmp_path: Path
) -> None:
    bench = Bench(RunFolder(tmp_path, toy_store, workers=1), CONFIG)
    store = bench.run.store
    for g, (train, _) in enumerate(bench.splits):
        steps = total_steps(len(store.rows_of(train)), FIT)
        for fraction in (0.1, 0.3, 0.7, 1.0):
            few = [part.request for part in bench._finetune_parts("scratch", (0, 1), fraction)][g::2]
            drawn = [request.train.rows(store) for request in few]
            assert [total_steps(len(rows), few[0].config.fit) for rows in drawn] == [steps, steps]
            assert np.array_equal(*drawn) == (fraction == 1)
            aims = [part.request for part in bench._aim_parts((0, 1), fraction)][g::2]
            assert [aim.train for aim in aims] == [request.train for request in few]
            assert {aim.seed for aim in aims} == {3}


@pytest.mark.parametrize("stored", [1, 8, 11])
def test_a_killed_run_goes_on_to_the_same_bytes(
    toy_store: Path, design: SignalDesign, tmp_path: Path, monkeypatch: pytest.MonkeyPatch,
    few: list[bytes], stored: int,
) -> None:  # fmt: skip
    """Killed among the teachers, in pre-training, and among probes and fine-tuning."""
    written = []

    def write_or_die(path: Path, content: bytes) -> None:
        if len(written) == stored:
            raise KeyboardInterrupt
        written.append(path.name)
        write_file(path, content)

    with monkeypatch.context() as patch:
        patch.setattr(parts, "write_file", write_or_die)
        with pytest.raises(KeyboardInterrupt):
            run(toy_store, tmp_path / "run", FEW, design)
    assert len(list((tmp_path / "run" / "parts").glob("*.npz"))) == stored
    again = arrays(run(toy_store, tmp_path / "run", FEW, design).result)
    assert [array.tobytes() for array in again] == few


def test_the_curve_ends_where_the_table_stands(toy_store: Path, design: SignalDesign, tmp_path: Path) -> None:
    curve = CurveSection(fractions=(1.0, 0.5), methods=("scratch", "selfmis"), seeds=(3,))
    config = replace(CONFIG, methods=("scratch", "selfmis"), regimes=("finetune",), curve=curve)
    done = run(toy_store, tmp_path, config, design)
    points = {(point.method, point.fraction): point for point in done.curve if point.minus is None}
    assert list(points) == [("scratch", 0.5), ("selfmis", 0.5), ("scratch", 1.0), ("selfmis", 1.0)]
    labels = done.store.labels
    for name, method in by_name(done.result).items():
        scores = method.logits["finetune"][0][:, 0]
        assert points[name, 1.0].value == pytest.approx(auroc(labels, scores))
    differences = [point for point in done.curve if point.minus is not None]
    assert [(d.method, d.minus, d.fraction) for d in differences] == [
        ("selfmis", "scratch", 0.5),
        ("selfmis", "scratch", 1.0),
    ]
    store = done.store
    judge = Judge(store, np.arange(len(store)), Resamples(store.patients, 1, resamples=20), GROUPS)
    first, second = (
        found for name in ("selfmis", "scratch") for found in entrants(done.result) if found.name == name
    )
    table = judge.differences(first, second)[0]
    assert (differences[1].value, differences[1].interval) == (table.value, table.interval)
    assert points["scratch", 0.5].records == points["scratch", 1.0].records / 2 == 27
    assert points["scratch", 0.5].value != points["scratch", 1.0].value


def test_a_store_under_another_rule_is_refused(toy_store: Path, design: SignalDesign, tmp_path: Path) -> None:
    config = replace(CONFIG, data=replace(CONFIG.data, label_rule="likelihood of 100"))
    with pytest.raises(ConfigError, match="'likelihood of 100', the store was made with 'by hand'"):
        run(toy_store, tmp_path, config, design)


def test_records_that_are_shorter_than_what_a_network_sees_are_refused_before_anything_is_trained(
    toy_store: Path, design: SignalDesign, tmp_path: Path
) -> None:
    wide = replace(CONFIG, teacher=replace(CONFIG.teacher, layers=((400, 5, 6),), augment=AugmentConfig()))
    with pytest.raises(StoreError, match="records of 300 samples, the configuration's networks need 400"):
        run(toy_store, tmp_path / "run", wide, design)
    assert list((tmp_path / "run" / "parts").iterdir()) == []


def test_folds_without_records_are_refused_before_anything_is_trained_where_a_method_asks_for_them(
    toy_store: Path, design: SignalDesign, tmp_path: Path
) -> None:
    """Soft labels of folds 1 to 4 come from inner teachers, to which a pair of them is held out."""
    path = without_folds(WindowStore.open(toy_store), tmp_path / "store", design, (3, 4))
    with pytest.raises(StoreError, match="no record of folds 3-4, and 3-4 are held out together") as caught:
        run(path, tmp_path / "run", FEW, design)
    assert "\n" not in str(caught.value)
    assert list((tmp_path / "run" / "parts").iterdir()) == []
    alone = replace(FEW, methods=("scratch",), regimes=("finetune",))
    assert len(run(path, tmp_path / "run", alone, design).result.methods) == 1
    empty = without_folds(WindowStore.open(toy_store), tmp_path / "empty", design, GROUPS[1])
    with pytest.raises(StoreError, match="no record of folds 5-9, and 5-9 are held"):
        run(empty, tmp_path / "run2", FEW, design)


def test_folds_of_one_class_are_refused_before_anything_is_trained(
    toy_store: Path, design: SignalDesign, tmp_path: Path
) -> None:
    def healthy(record: StoredRecord) -> StoredRecord:
        return replace(record, mi=record.mi and record.fold not in GROUPS[0])

    changed = rewritten(WindowStore.open(toy_store), tmp_path / "store", design, healthy)
    with pytest.raises(StoreError, match="folds 1-4: all 48 records are of one class"):
        run(changed, tmp_path / "run", CONFIG, design)
    assert list((tmp_path / "run" / "parts").iterdir()) == []


def test_the_command_goes_from_a_file_to_a_report(
    toy_store: Path,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    # plots and processes have tests of their own
    monkeypatch.setattr("edge_mi.train.commands.run_protocol", partial(reproduce, workers=1, resamples=20))
    monkeypatch.setattr("edge_mi.train.commands.require_plots", lambda: None)
    monkeypatch.setattr("edge_mi.train.protocol.document.require_plots", lambda: None)
    monkeypatch.setattr("edge_mi.train.protocol.document.plots", lambda report: {})
    text = (EXAMPLES / "reproduce-quick.toml").read_text()
    small = "layers = [[16, 5, 6], [8, 2, 8]]\nembedding = 8\n"
    config = tmp_path / "quick.toml"
    config.write_text(
        text.replace("[teacher]\n", f"[teacher]\n{small}")
        + '\n[curve]\nmethods = ["scratch"]\nfractions = [0.5, 1.0]\n'
    )
    words = ["--data", str(toy_store), "--run", str(tmp_path / "run"), "--out", str(tmp_path / "out")]
    assert main(["train", "reproduce", str(config), *words, "--json"]) == 0
    report = read_report(tmp_path / "out")
    assert [(method.name, method.description != "") for method in report.methods] == [
        ("scratch", True),
        ("selfmis", True),
    ]
    assert (report.ran_on.records, report.configuration) == (108, config.read_text())
    assert report.command == "edge-mi train reproduce quick.toml"
    assert [point.fraction for point in report.curve] == [0.5, 1.0]
    assert (
        (tmp_path / "out" / "table.md")
        .read_text()
        .startswith("Ran on toy 1, all: 108 records of 54 patients")
    )
    output = capsys.readouterr().out
    assert "toy 1, all; 108 records of 54 patients, 36 with infarction; by hand" in output
    assert [each["name"] for each in json.loads(output.splitlines()[-1])["methods"]] == ["scratch", "selfmis"]


def test_a_report_that_is_there_is_not_replaced(
    toy_store: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    words = ["--data", str(toy_store), "--run", str(tmp_path / "run"), "--out", str(tmp_path)]
    assert main(["train", "reproduce", str(EXAMPLES / "reproduce-quick.toml"), *words]) == 2
    assert capsys.readouterr().err == f"edge-mi: {tmp_path} exists; choose another folder\n"
    assert not (tmp_path / "run").exists()
