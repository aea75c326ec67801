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

# a patch whole, as a section that is absent by default has no defaults of its own
PATCH = (
    "device = {rate = {rates_hz = [130], error = 0.01}, adc = {lsb_uv = [0.5, 10.0], range_mv = [2.5, 10.0], offset = 0.4}, "
    "gain = {error = 0.05}, noise = {kinds = ['bw'], probability = 0.5, snr_db = [0.0, 24.0]}, motion = {kinds = ['em'], "
    "probability = 0.25, snr_db = [0.0, 24.0]}, wander = {amplitude_mv = [0.0, 0.5], frequency_hz = [0.15, 0.4]}, gaps = "
    "{per_minute = 1.0, length_s = [0.1, 3.0]}}"
)
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
        ("seeds = [99999999999999999999]", "seeds 99999999999999999999; seeds are 0 to 4294967295"),
        ("[curve]\nseeds = [-1]", "seeds -1; seeds are 0 to"),
        ("[teacher]\nlayers = []", "teacher: layers are []; expected at least one"),
        ("[teacher]\nlayers = [[16, 0, 48]]", "teacher: layers are [[16, 0, 48]]; expected at least one"),
        ("[teacher]\nensemble = 0", "teacher: ensemble is 0; expected at least 1"),
        ("[teacher]\nembedding = 0", "teacher: embedding is 0; expected at least 1"),
        ("[teacher]\ndropout = -0.1", "teacher: dropout is -0.1; expected at least 0 and less than 1"),
        ("[pretrain]\ndropout = 1.0", "pretrain: dropout is 1.0; expected at least 0 and less than 1"),
        ("[pretrain]\nprojection = 0", "pretrain: projection is 0; expected at least 1"),
        ("[pretrain]\nscale = 0.0", "pretrain: scale is 0.0; expected a number above 0"),
        ("[pretrain]\nweight = -1.0", "pretrain: weight is -1.0; expected at least 0"),
        ("[finetune]\ndropout = 2.0", "finetune: dropout is 2.0; expected at least 0 and less than 1"),
        (
            "[finetune]\nfit.learning_rate = -1.0",
            "finetune.fit: learning_rate is -1.0; expected a number above 0",
        ),
        ("[teacher]\nfit.weight_decay = -1.0", "teacher.fit: weight_decay is -1.0; expected at least 0"),
        ("[finetune]\nfit.ema_decay = 2.0", "finetune.fit: ema_decay is 2.0; expected at least 0 and less"),
        ("[finetune]\nfit.ema_from = 1.5", "finetune.fit: ema_from is 1.5; expected 0 to 1"),
        (
            "[finetune]\nfit.batch = 99999999999999999999",
            "finetune.fit: at most 2147483647 epochs, steps or records",
        ),
        ("[finetune]\ntask.codes = -0.1", "finetune.task: codes is -0.1; expected at least 0"),
        (
            "[finetune]\naugment.crop_samples = -5",
            "finetune.augment: crop_samples is -5; expected at least 1",
        ),
        ("[pretrain]\naugment.noise_mv = -1.0", "pretrain.augment: noise_mv is -1.0; expected at least 0"),
        (
            "[finetune]\naugment.crop_samples = 222",
            "finetune.augment.crop_samples is 222; expected at least 223, which",
        ),
        (
            "[pretrain]\naugment.crop_samples = 5",
            "pretrain.augment.crop_samples is 5; expected at least 223, which",
        ),
        (
            "[teacher]\naugment.crop_samples = 5",
            "teacher.augment.crop_samples is 5; expected at least 211, which is what",
        ),
        *(
            (
                f"[{name}]\naugment = {{ {PATCH} }}",
                f"{name}.augment.device is given; a table is made of records without a patch",
            )
            for name in ("teacher", "pretrain", "finetune")
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


def test_padding_networks_see_any_crop_and_narrow_layers_a_short_one() -> None:
    text = 'methods = ["scratch"]\n[teacher]\nlayers = [[16, 5, 6], [8, 2, 8]]\naugment.crop_samples = 51\n'
    assert parse_config(text).teacher.receptive_field == 51
    net1d = f'network = "net1d-small"\n{text}[finetune]\naugment.crop_samples = 5\n'
    assert parse_config(net1d).finetune.augment.crop_samples == 5


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
