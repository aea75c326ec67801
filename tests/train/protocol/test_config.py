"""A configuration says what it does not know, and the ones that ship can be read."""

from __future__ import annotations

from pathlib import Path

import pytest
from edge_mi.train.config import AlignConfig, Recipe
from edge_mi.train.data.ptbxl import PtbXl
from edge_mi.train.protocol.config import ProtocolConfig, load_config, parse_config
from edge_mi.train.protocol.encoders import ENCODERS
from edge_mi.train.protocol.given import given_students, given_teachers
from edge_mi.train.protocol.methods import METHODS

from edge_mi.errors import ConfigError
from edge_mi.records.leads import TWELVE_LEADS

EXAMPLES = Path(__file__).parents[3] / "examples"


def test_nothing_given_is_the_default() -> None:
    assert parse_config("") == ProtocolConfig()


def test_one_key_of_a_section_leaves_the_others() -> None:
    config = parse_config("[finetune]\nfit.epochs = 3\n")
    assert config.finetune.fit.epochs == 3
    assert config.finetune.fit.ema_decay == ProtocolConfig().finetune.fit.ema_decay


def test_encoders_are_given_for_all_groups_or_for_each() -> None:
    text = 'network = "net1d"\nmethods = ["scratch", "selfmis"]\n[encoder]\n'
    config = parse_config(f'{text}student = "s.pth"\nteacher = ["a", "b", "c"]\n')
    assert [given.file.name for given in given_students(config)] == ["s.pth"] * 3
    assert [given.file.name for given in given_teachers(config)] == ["a", "b", "c"]
    assert given_students(parse_config(text)) == given_teachers(parse_config(text)) == ()


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("sedes = [0]", "unknown key sedes"),
        ("[pretrain]\nfit.epoch = 2", "unknown key pretrain.fit.epoch"),
        ("seeds = 3", "seeds: expected an array, found 3"),
        ('methods = ["selfmis", "clip"]', "method 'clip'; choose among scratch, scratch-long"),
        ('methods = ["selfmis", "selfmis"]', "methods names one twice"),
        ('network = "resnet"', "network 'resnet'; choose among patchnet-15k"),
        ('regimes = ["probe_5"]', "expected one of probe_1, probe_10, probe_100, finetune"),
        ("groups = [[1, 2, 3], [9, 10]]", "fold 10 is kept"),
        ("groups = [[1, 2], [2, 3]]", "without a fold in common"),
        ("groups = [[1, 2], [3]]", "at least two folds to train on"),
        ("seeds = []", "seeds is empty"),
        ("[finetune]\nfit.epochs = 0", "finetune.fit: at least 1 epoch"),
        ('[curve]\nmethods = ["response"]', "method 'response' has no learning curve"),
        ('[curve]\nmethods = ["scratch"]\nfractions = [0.0]', "fractions lie in"),
        ("[encoder]\nstudents = 1", "unknown key encoder.students"),
        ('[encoder]\nteacher_network = "resnet"', "teacher_network 'resnet'; choose among"),
        ('[encoder]\nstudent = ["a", "b"]', "encoder.student: 2 files; one for all groups, or 3"),
        ('[encoder]\nstudent = "a"', "method 'lead-masking' has twelve leads"),
        ('[encoder]\nteacher = "a"', "-response' needs a teacher that is trained"),
        ('network = "net1d-zscore"', "method 'unaligned' writes signals"),
        (
            'network = "net1d-zscore"\nmethods = ["scratch"]\n[curve]\nmethods = ["unaligned"]',
            "method 'unaligned' writes signals",
        ),
        (
            'methods = ["scratch"]\n[encoder]\nstudent = "a"\n[curve]\nmethods = ["scratch"]',
            "curve.methods beside an encoder that is given",
        ),
        ("ridge = 0", "ridge is positive"),
        ("ridge = ", "not TOML"),
    ],
)
def test_a_mistake_is_named_with_its_file(text: str, message: str, tmp_path: Path) -> None:
    path = tmp_path / "wrong.toml"
    path.write_text(text)
    with pytest.raises(ConfigError) as caught:
        load_config(path)
    assert str(caught.value).startswith(f"{path}: ")
    assert message in str(caught.value)


def test_the_table_has_the_settings_of_the_recipe_that_ships() -> None:
    config, ships = load_config(EXAMPLES / "reproduce.toml")[0], Recipe()
    align = AlignConfig()
    for name in ("projection", "scale", "bias", "augment", "fit"):
        assert getattr(config.pretrain, name) == getattr(align, name), name
    assert (align.leads, align.task) == (TWELVE_LEADS, None)
    for name in ("fit", "augment", "dropout", "task"):
        assert getattr(config.finetune, name) == getattr(ships.student, name), name
    assert ENCODERS[config.network](1).features == ships.student.net.features
    assert config.teacher == ships.teacher


def test_a_file_that_is_not_there_is_named() -> None:
    with pytest.raises(ConfigError, match=r"nowhere.toml cannot be read"):
        load_config(Path("nowhere.toml"))


def test_the_table_that_ships_has_every_method_and_the_rule_of_the_loader() -> None:
    config, text = load_config(EXAMPLES / "reproduce.toml")
    assert config.methods == tuple(METHODS)
    assert config.data.label_rule == PtbXl(Path()).info.label_rule
    assert text == (EXAMPLES / "reproduce.toml").read_text()


def test_the_quick_example_trains_two_methods_once() -> None:
    config, _ = load_config(EXAMPLES / "reproduce-quick.toml")
    assert (config.methods, config.seeds) == (("scratch", "selfmis"), (0,))
