"""The parameter file: every mistake is one sentence that names the field."""

from itertools import pairwise
from pathlib import Path

import pytest
import yaml
from pydantic import ValidationError

from bench.color.transfer import MU
from bench.core.decisions import READINGS, decisions
from bench.core.errors import UsageError
from bench.core.optimisation import Stage1
from bench.core.params import load, need_own_name
from bench.core.registry import methods
from bench.core.scene import GAMMA

ROOT = Path(__file__).resolve().parents[1]
BOMB = "\n".join(["a: &a [x]", *(f"{b}: &{b} [{', '.join([f'*{a}'] * 9)}]" for a, b in pairwise("abcdefgh"))])
"""Lists of nine aliases of lists of nine aliases: five million values."""

REAL = sorted([*ROOT.glob("params.yaml"), *ROOT.glob("profiles/*/params.yaml")])


def change(content, dotted, value):
    """Set a field by its path; keys of the path are separated by slashes."""
    *path, last = dotted.split("/")
    for key in path:
        content = content[key]
    content[last] = value


def test_a_valid_file_is_read(write_params, small_params):
    params = load(write_params(small_params))
    assert params.work == Path("work/small")
    assert params.reports == Path("reports/small")
    assert set(params.runs) == {"ahdrnet--panoramas--s0", "proposed--panoramas--s0"}
    assert set(params.evaluations) == {"triangle-merge--panoramas", "ahdrnet--panoramas--s0--panoramas"}


@pytest.mark.parametrize(
    ("field", "written", "message"),
    [
        ("threads", "true", "threads: expected an integer such as 3, got True"),
        ("threads", "'2'", "threads: expected an integer such as 3, got '2'"),
        ("threads", "1e3", "threads: expected an integer such as 3, got '1e3'"),
        ("threads", "2.0", "threads: expected an integer such as 3, got 2.0"),
        ("train", "{panoramas: ['0']}", "train: expected an integer such as 3, got '0'"),
        ("train", "{panoramas: [1e3]}", "train: expected an integer such as 3, got '1e3'"),
        ("train", "{panoramas: [true]}", "train: expected an integer such as 3, got True"),
        ("keep_predictions", "1", "keep_predictions: expected true or false, got 1"),
        ("keep_predictions", "'off'", "keep_predictions: expected true or false, got 'off'"),
        ("stage2", "{steps: 2, lr: true}", "stage2.lr: expected a number such as 0.5, got True"),
        ("stage2", "{steps: 2, lr: '1_0'}", "stage2.lr: expected a number such as 0.5, got '1_0'"),
        ("stage2", "{steps: 2, betas: ['0.9', false]}", "stage2.betas: expected a number such as 0.5, got False"),
        (
            "stage2",
            "{steps: 2, compile: 1}",
            "stage2.compile: expected true or false or 'auto' or 'reduce-overhead', got 1",
        ),
        ("stage2", "{steps: 2, ema: 'no'}", "stage2.ema: expected a number such as 0.5, got 'no'"),
        ("regression", "{retrained: {psnr-l: true}}", "regression.retrained: expected a number such as 0.5, got True"),
        ("tile", "false", "tile: expected an integer such as 3, got False"),
    ],
)
def test_values_are_of_the_kind_that_is_written(write_params, small_params, field, written, message):
    small_params.pop(field, None)
    with pytest.raises(UsageError) as caught:
        load(write_params(yaml.safe_dump(small_params) + f"{field}: {written}\n"))
    assert message in str(caught.value)


def test_numbers_that_yaml_1_1_reads_as_text_are_numbers(write_params, small_params):
    small_params.pop("stage2")
    params = load(write_params(yaml.safe_dump(small_params) + "stage2: {steps: 2, lr: 1e-3, clip: 1}\n"))
    assert (params.stage2.lr, params.stage2.clip) == (1e-3, 1.0)


@pytest.mark.parametrize("owner", ["params.yaml", "profiles/small/params.yaml"])
def test_another_profiles_name_is_refused(write_params, small_params, tmp_path, monkeypatch, owner):
    place = tmp_path / "repository"
    (place / owner).parent.mkdir(parents=True)
    (place / owner).write_text(yaml.safe_dump(small_params))
    monkeypatch.chdir(place)
    scratch = write_params(small_params)
    with pytest.raises(UsageError, match=f"profile 'small' is that of {owner}, whose work and reports"):
        need_own_name(scratch, "small")
    for path, name in ((place / owner, "small"), (Path(owner), "small"), (scratch, "other")):
        need_own_name(path, name)


@pytest.mark.parametrize("command", [["summarize"], ["report", "--partial"], ["evaluate", "x"]])
def test_no_stage_writes_over_another_profiles_results(write_params, small_params, bench, command):
    scratch = write_params({**small_params, "profile": "demo"})
    ended = bench("--params", str(scratch), *command)
    assert ended.returncode == 2 and "profile 'demo' is that of params.yaml" in ended.stderr


def test_parameters_are_frozen(write_params, small_params):
    params = load(write_params(small_params))
    with pytest.raises(ValidationError, match="frozen"):
        params.threads = 4


@pytest.mark.parametrize(
    ("field", "value", "message"),
    [
        ("profil", "x", "profil: unknown key"),
        ("stage2/stepz", 3, "stage2.stepz: unknown key"),
        ("stage2/steps", 0, "stage2.steps: .*greater than 0"),
        ("stage2/steps", "many", "stage2.steps: .*integer"),
        ("patches/size", 30, "patches.size: .*multiple of 8"),
        ("perceptual/backbone", "vgg19", "perceptual.backbone: .*'vgg16'"),
        ("stage1/accumulate", 3, "stage1: .*batch of 8 can't be split into 3"),
        ("stage1/network", "D", "stage1.network: .*'A'"),
        ("codebooks/olc-64/options", {"bta": 1}, "codebooks.olc-64.options.bta: unknown key"),
        ("codebooks/olc-64/options", {"init": "k-means"}, "codebooks.olc-64.options.init: .*'uniform'"),
        ("tables/against", {"proposed": "propsed"}, "tables.against.proposed: .*Did you mean 'proposed'"),
        ("tables/against", {"propsed": "proposed"}, "tables.against: .*Did you mean 'proposed'"),
        ("tables/1", {"rows": {"Proposed": "propsed"}}, "tables.1.rows.Proposed: .*Did you mean 'proposed'"),
        ("tables/1", {"rows": ["propsed"]}, "tables.1.rows: .*Did you mean 'proposed'"),
        ("tables/1", {"rows": [{"A": "proposed"}, {"A": "ahdrnet"}]}, "tables.1: two rows are called 'A'"),
        ("tables/1", {"rows": 3}, "tables.1.rows: "),
        ("tables/4", {}, "tables.4: unknown key"),
        ("tables/3", {"controls": {"ours": "propsed"}}, "tables.3.controls.ours: .*Did you mean 'proposed'"),
        ("tables/floors", ["propsed"], "tables.floors: .*Did you mean 'proposed'"),
        ("tables/crops", ["propsed"], "tables.crops: .*Did you mean 'proposed'"),
        ("codebooks/olc-64/codes", 63, "codebooks.olc-64.codes: .*multiple of 4"),
        ("train", {"panorama": [0]}, "train: .*Did you mean 'panoramas'"),
        ("train", {"panoramas": [0, -1]}, "train.panoramas.1: .*greater than or equal to 0"),
        ("train", {"panoramas": [0, 0]}, "train.panoramas: a seed stands there twice"),
        ("evaluate", ["hu"], "evaluate: .*Known: panoramas"),
        ("evaluate", {"unstrained": ["panoramas"]}, "evaluate: .*Did you mean 'untrained'"),
        ("evaluate", {"untrained": ["hu"]}, "evaluate: .*Known: panoramas"),
        ("variants/ahdrnet/method", "ahdrne", "variants.ahdrnet.method: .*Did you mean 'ahdrnet'"),
        ("variants/ahdrnet/train", {"hu": [0]}, "variants.ahdrnet.train: .*Known: panoramas"),
        ("variants/ahdrnet/evaluate", ["panorama"], "variants.ahdrnet.evaluate: .*Did you mean 'panoramas'"),
        ("variants/ahdrnet/codebook", "olc-64", "variants.ahdrnet.codebook: ahdrnet builds on no codebook"),
        ("variants/proposed/codebook", "olc-65", "variants.proposed.codebook: .*Did you mean 'olc-64'"),
        ("variants/triangle-merge/train", {"panoramas": [0]}, "triangle-merge.train: .*nothing to train"),
        ("variants/proposed/weights", "weights/x.safetensors", "proposed.codebook: .*it has others' weights"),
        ("variants/proposed", {"method": "olc", "weights": ""}, "proposed.weights: '': expected a .safetensors file"),
        ("variants/proposed", {"method": "olc", "weights": "/"}, "proposed.weights: '/': expected a .safetensors"),
        ("train", {"panoramas": [10**20]}, "train: an integer of 67 bits is too large or no number"),
        ("simulate", {"seed": 10**20}, "simulate.seed: an integer of 67 bits is too large"),
        ("threads", 10**30, "threads: an integer of 100 bits is too large"),
        ("stage2/lr", float("inf"), "stage2.lr: inf is too large or no number"),
        ("stage2/lr", "1e999", "stage2.lr: inf is too large or no number"),
        ("variants/ahdrnet/options", {"a": [{"b": float("nan")}]}, "ahdrnet.options: nan is too large or no number"),
        ("train", {"panoramas": 0}, r"train.panoramas: expected a list such as \[0\], got 0"),
        ("train", [0], r"train: expected a mapping such as \{name: value\}, got \[0\]"),
        ("evaluate", "hu", r"yaml: evaluate: expected a list such as \[hu\] or a mapping such as .*, got 'hu'"),
        ("evaluate", {"untrained": "hu"}, r"yaml: evaluate.untrained: expected a list such as \[hu\], got 'hu'$"),
        ("keep_predictions", "maybe", "keep_predictions: expected true or false, got 'maybe'"),
        ("threads", None, "threads: expected an integer such as 3, got nothing"),
        ("threads", 2.5, "threads: expected an integer such as 3, got 2.5"),
        ("stage2/lr", "fast", "stage2.lr: expected a number such as 0.5, got 'fast'"),
        ("stage2/lr", 0, "stage2.lr: expected a number greater than 0, got 0"),
        ("stage2/betas", [0.9, 0.99, 1], "stage2.betas: expected at most 2 in the list"),
        ("stage2/compile", "maybe", "stage2.compile: expected true or false.*, got 'maybe'"),
        ("sensitivity", 3, r"yaml: sensitivity: expected 'all' or a list such as \[3\], got 3$"),
        ("head", True, "head: expected 'published', 'mu-residual' or 'rule-residual', got true"),
        ("protocol", 3, "protocol: expected text such as '3', got 3"),
        ("perceptual", "none", "perceptual: expected a mapping such as .*, got 'none'"),
        ("simulate", {"ev_steps": [7]}, "yaml: simulate.ev_steps.0: expected 1, 2, 3 or 4, got 7$"),
        ("variants/ahdrnet", {}, "variants.ahdrnet.method: missing"),
        ("variants/a b", {"method": "flow-merge"}, "yaml: variants 'a b': a name has letters"),
        ("variants/ahdrnet--panoramas--s0", {"method": "flow-merge"}, "is what a training or its inspection is called"),
        ("codebooks/olc-64--panoramas--s0", {"segments": "olc", "codes": 8}, "is what a training or its inspection is"),
    ],
)
def test_a_mistake_names_the_field(write_params, small_params, field, value, message):
    change(small_params, field, value)
    path = write_params(small_params)
    with pytest.raises(UsageError, match=message) as caught:
        load(path)
    assert str(path) in str(caught.value)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("a: [1, 2", "not valid YAML"),
        ("", "holds nothing; expected a mapping"),
        ("- a\n- b\n", "holds a list; expected a mapping"),
        ("profile: !!int x", "holds a value that can't be read: invalid literal"),
        ("profile: 2026-13-45", "a value is a date; put it in quotes if text is meant"),
        ("profile: !!timestamp x", "a value is a date"),
        (f"threads: {'9' * 5000}", "a number has 5,000 digits, more than the 1,000 that are read"),
        (f"threads: {'[' * 20_000}", "nested more than 50 levels deep"),
        ("profile: a\nprofile: b", r"the key 'profile' is given twice \(line 2"),
        ("profile: &a [*a]", r"the alias \*a stands within what it stands for"),
        (BOMB, "values once its aliases are written out"),
    ],
)
def test_a_file_that_is_not_a_mapping_is_refused(write_params, text, message):
    with pytest.raises(UsageError, match=message):
        load(write_params(text))


def test_a_missing_file_is_named(tmp_path):
    with pytest.raises(UsageError, match=r"none\.yaml' not found"):
        load(tmp_path / "none.yaml")


def test_a_misspelt_file_is_answered_with_what_is_there(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    with pytest.raises(UsageError, match="There is none here; run from the project's root"):
        load(Path("params.yml"))
    for folder in (".", "profiles/smoke", "profiles/paper"):
        (tmp_path / folder).mkdir(parents=True, exist_ok=True)
        (tmp_path / folder / "params.yaml").touch()
    with pytest.raises(UsageError, match=r"not found\. Did you mean 'profiles/paper/params.yaml'"):
        load(Path("profiles/papr/params.yaml"))
    with pytest.raises(UsageError, match=r"not found\. Did you mean 'params.yaml'"):
        load(Path("params.yml"))
    with pytest.raises(UsageError, match=r"not found\. Known: params\.yaml, profiles/paper/params\.yaml, p"):
        load(Path("x"))


def test_what_is_no_text_file_is_refused(tmp_path):
    with pytest.raises(UsageError, match="this is a folder; expected a file"):
        load(tmp_path)
    (tmp_path / "params.yaml").write_bytes(b"\xff\xfe\x00")
    with pytest.raises(UsageError, match="not UTF-8 text"):
        load(tmp_path / "params.yaml")


def test_decisions_list_field_value_and_reason(write_params, small_params):
    small_params["stage1"]["batch"] = 3
    listed = {decision.field: decision for decision in decisions(load(write_params(small_params)))}
    assert (listed["stage1.batch"].value, listed["stage1.batch"].default) == (3, Stage1.model_fields["batch"].default)
    assert "printed" in listed["stage1.batch"].reason
    assert listed["head"].value == "published"
    assert {"stage2.weight_mapping", "stage1.eta", "patches.augment", "perceptual.backbone"} <= set(listed)
    assert "stage1.beta" not in listed, "beta is printed in the paper"
    assert all(decision.reason for decision in listed.values())


def test_no_point_is_decided_twice(write_params, small_params):
    """What is a parameter is no built-in reading as well, which could contradict it."""
    made = list(decisions(load(write_params(small_params))))
    assert len({decision.field for decision in made}) == len(made)
    fields = {decision.field: decision.value for decision in made}
    assert (fields["stage1.network"], fields["stage1.discriminator"]) == ("A", "patchgan")
    assert (fields["stage1.images"], fields["head"]) == ("mixture", "published")
    readings = " ".join(f"{decision.field}: {decision.value}" for decision in READINGS)
    assert not [choice for choice in ("variant A", "V-mix", "D and D_F: sigmoid") if choice in readings]


def test_what_only_some_codebooks_have_is_listed_with_their_names(write_params, small_params):
    book = {"segments": "vanilla", "codes": 16}
    hdr = {"images": "hdr", "beta": 0.5, "eta": "per-batch"}  # beta is printed, and eta is as in stage1
    small_params["codebooks"] |= {"plain": book, "hdr-a": {**book, "options": hdr}, "hdr-b": {**book, "options": hdr}}
    listed = {decision.field: decision for decision in decisions(load(write_params(small_params)))}
    assert listed["stage1.images"].value == "mixture"
    assert listed["stage1.images of hdr-a, hdr-b"].value == "hdr"
    assert [field for field in listed if " of hdr-a" in field] == ["stage1.images of hdr-a, hdr-b"]


def test_what_a_variant_is_trained_with_otherwise_is_listed(write_params, small_params):
    small_params["variants"]["ahdrnet"]["stage2"] = {"lr": 0.001, "batch": 8}
    small_params["variants"]["proposed"]["stage2"] = {"lr": 0.001}
    listed = {decision.field: decision for decision in decisions(load(write_params(small_params)))}
    assert listed["stage2.lr of ahdrnet, proposed"].value == 0.001
    assert [field for field in listed if " of ahdrnet" in field] == ["stage2.lr of ahdrnet, proposed"]


def test_the_reading_of_f_vq_names_the_scale_in_force():
    from methods.olc.network import PRIOR_RMS

    (reading,) = [decision for decision in READINGS if decision.field == "scale of F_vq"]
    assert f"RMS {PRIOR_RMS}" in reading.value


@pytest.mark.parametrize(
    ("field", "value"),
    [
        ("network", "D"),
        ("discriminator", "resnet"),
        ("eta", "per_batch"),
        ("encoder_domain", "log"),
        ("lazy_codebook", "sometimes"),
        ("adversarial_from", 1.5),
        ("discriminator_width", 0),
        ("weight_adversarial", -0.1),
    ],
)
def test_a_knob_of_stage_1_takes_its_values_alone(write_params, small_params, field, value):
    small_params["stage1"][field] = value
    with pytest.raises(UsageError, match=rf"stage1\.{field}: "):
        load(write_params(small_params))


@pytest.mark.parametrize("path", REAL, ids=lambda path: path.parent.name)
class TestShippedFiles:
    def test_it_is_valid_and_says_where_it_lies(self, path):
        params = load(path)
        assert ROOT / params.params_file == path
        assert params.profile == ("demo" if path.parent == ROOT else path.parent.name)

    def test_every_name_is_registered(self, path):
        from bench.core.registry import datasets, methods, protocols

        params = load(path)
        assert params.protocol in protocols
        assert set(params.datasets) <= set(datasets)
        for variant in params.variants.values():
            card = methods[variant.method]
            assert variant.preset in card.presets or not card.trains
            card.check_options(variant.options)

    def test_code_names_the_file_of_the_method(self, path):
        from bench.core.registry import methods

        params = load(path)
        named = [(made.variant, made.code) for made in (*params.runs.values(), *params.evaluations.values())]
        for variant, code in named:
            module = Path(*methods[params.variants[variant].method].module.split("."))
            assert Path(code) in [module.with_suffix(".py"), *module.parents]

    def test_rows_of_tables_are_variants(self, path):
        params = load(path)
        rows = {variant for number in params.tables.paper for variant in params.rows(number).values()}
        assert rows | set(params.tables.floors) | set(params.tables.crops) <= set(params.variants)


def test_the_paper_profile_holds_the_published_settings():
    path = ROOT / "profiles/paper/params.yaml"
    if path not in REAL:
        pytest.skip("the paper profile is not written yet")
    params = load(path)
    assert (params.patches.size, params.patches.stride) == (256, 64)
    assert (params.stage1.lr, params.stage1.lr_discriminator, params.stage2.lr) == (1e-4, 4e-4, 1e-4)
    assert (params.stage1.beta, params.head) == (0.25, "published")
    assert {codebook.codes for codebook in params.codebooks.values()} == {512, 1024}
    assert all(params.variants[run.variant].preset == "published" for run in params.runs.values())
    assert params.preset == "published"
    assert methods["olc"].presets["published"]["channels"] == 32
    assert (MU, GAMMA) == (5000.0, 2.2)


def test_a_small_profile_needs_only_what_it_uses(write_params):
    params = load(write_params({
        "profile": "mine", "datasets": {"panoramas": {}}, "variants": {"triangle-merge": {"method": "triangle-merge"}},
        "evaluate": ["panoramas"],
    }))  # fmt: skip
    assert (params.runs, params.codebook_runs, params.inspections) == ({}, {}, [])
    (evaluation,) = params.evaluations.values()
    assert (evaluation.run, evaluation.variant, evaluation.weights) == ("triangle-merge", "triangle-merge", None)


def test_trainings_are_derived_seed_by_seed_with_a_codebook_each(write_params, small_params):
    small_params |= {"train": {"panoramas": [0, 3]}, "evaluate": ["panoramas"]}
    params = load(write_params(small_params))
    assert list(params.runs) == [f"{name}--panoramas--s{seed}" for seed in (0, 3) for name in ("ahdrnet", "proposed")]
    assert [run.codebook for run in params.runs_with_codebook.values()] == list(params.codebook_runs)
    assert list(params.codebook_runs) == ["olc-64--panoramas--s0", "olc-64--panoramas--s3"]
    assert set(params.evaluations) == {"triangle-merge--panoramas", *(f"{run}--panoramas" for run in params.runs)}


def test_a_variant_may_differ_in_where_it_is_trained_and_evaluated(write_params, small_params):
    small_params |= {
        "datasets": {"panoramas": {}, "hu": {}}, "train": {"panoramas": [0], "hu": [1]},
        "evaluate": {"untrained": ["hu"], "panoramas": ["panoramas", "hu"]},
    }  # fmt: skip
    del small_params["variants"]["ahdrnet"]["evaluate"], small_params["variants"]["triangle-merge"]["evaluate"]
    small_params["variants"]["proposed"] |= {"train": {"hu": [2]}, "evaluate": ["panoramas"]}
    params = load(write_params(small_params))
    assert set(params.runs) == {"ahdrnet--panoramas--s0", "ahdrnet--hu--s1", "proposed--hu--s2"}
    assert set(params.evaluations) == {
        "triangle-merge--hu", "ahdrnet--panoramas--s0--panoramas", "ahdrnet--panoramas--s0--hu",
        "proposed--hu--s2--panoramas",
    }  # fmt: skip


def test_an_unstated_preset_is_the_profiles_where_there_is_something_to_train(write_params, small_params):
    del small_params["variants"]["ahdrnet"]["preset"]
    params = load(write_params(small_params | {"preset": "demo"}))
    assert {name: variant.preset for name, variant in params.variants.items()} == {
        "ahdrnet": "demo", "proposed": "smoke", "triangle-merge": "none",
    }  # fmt: skip


class TestInclude:
    @pytest.fixture
    def write(self, tmp_path):
        def write(**files):
            for name, content in files.items():
                (tmp_path / f"{name}.yaml").write_text(yaml.safe_dump(content), encoding="utf-8")
            return tmp_path / "params.yaml"

        return write

    def test_differences_are_laid_over_the_included_file(self, write, small_params):
        own = {
            "include": "base.yaml",
            "profile": "own",
            "stage2": {"batch": 3},
            "variants": {"proposed": None},
            "tables": None,
        }
        base, params = load(write(params=small_params)), load(write(base=small_params, params=own))
        assert (params.profile, params.stage2.steps, params.stage2.batch) == ("own", base.stage2.steps, 3)
        assert set(params.variants) == {"ahdrnet", "triangle-merge"} == set(base.variants) - {"proposed"}

    @pytest.mark.parametrize(
        ("own", "message"),
        [
            ({"include": ["base.yaml"]}, "include: expected the name of one parameter file"),
            ({"include": "bas.yaml"}, "bas.yaml' not found"),
            ({"include": "params.yaml"}, "params.yaml includes another file itself"),
        ],
    )
    def test_a_wrong_include_is_a_sentence(self, write, small_params, own, message):
        with pytest.raises(UsageError, match=message):
            load(write(base=small_params, params=own))
