"""Configuration: layers with origins, every problem at once, and no value quietly turned into another."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import attrs
import pytest
from hypothesis import given
from hypothesis import strategies as st

from core import parts
from core.parts import ArmConfig, DatasetSection, Everything, Inner, WorkConfig
from lerobot_core import config, roles
from lerobot_core.config import structure, to_data
from lerobot_core.errors import ConfigError, LeRobotError
from lerobot_core.options import Text, parse_options, parse_yaml
from lerobot_core.registry import Choice


@pytest.fixture(autouse=True)
def _offered(host) -> None:
    parts.offer_all(host)


def problems(kind: type, data: dict[str, Any]) -> list[str]:
    with pytest.raises(ConfigError) as info:
        structure(data, kind)
    return [str(problem) for problem in info.value.problems]


def typed(**values: str) -> dict[str, Text]:
    """Values as typed on the command line."""
    return {name: Text(value) for name, value in values.items()}


# --- values: from files strictly, from text by the type that receives it ----------------------------------------------


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("count", 3.7),
        ("count", 3.0),
        ("count", "3"),
        ("count", True),
        ("count", None),
        ("flag", "false"),
        ("flag", 0),
        ("flag", "on"),
        ("rate", "fast"),
        ("rate", "1.0"),
        ("rate", True),
        ("text", 5),
        ("text", False),
        ("text", None),
        ("path", 5),
        ("maybe", "null"),
        ("maybe", 1.5),
        ("either", 1.5),
        ("level", "middle"),
        ("level", 3.0),
        ("sizes", "1"),
        ("sizes", 1),
        ("sizes", [1, "2"]),
        ("pair", [1]),
        ("pair", [1, 2.0, 3]),
        ("pair", [1.5, 2.0]),
        ("table", [1.0]),
        ("table", {"a": "b"}),
        ("inner", 3),
        ("inner", {"deep": 3}),
    ],
)
def test_file_values_of_another_type_are_refused(name: str, value: object) -> None:
    (problem,) = problems(Everything, {name: value})
    assert problem.startswith(name)


def test_true_is_no_literal_one() -> None:
    @attrs.frozen
    class One:
        one: config.Literal[1, 2]

    assert structure({"one": 1}, One) == One(1)
    assert problems(One, {"one": True}) == ["one: expected one of 1, 2, got 'True'"]


@pytest.mark.parametrize(
    ("name", "text"),
    [
        ("count", "1.5"),
        ("count", "1e3"),
        ("count", "x"),
        ("flag", "yes"),
        ("flag", "1"),
        ("flag", ""),
        ("rate", "fast"),
        ("maybe", "none?"),
        ("level", "hihg"),
        ("sizes", "1,2"),
        ("sizes", "[1, 2.5]"),
        ("pair", "[1]"),
        ("inner", "{depth: x}"),
        ("inner", "{depth: [}"),
    ],
)
def test_text_that_its_type_cannot_be_is_refused(name: str, text: str) -> None:
    (problem,) = problems(Everything, typed(**{name: text}))
    assert problem.startswith(name)


@pytest.mark.parametrize(
    ("name", "text", "value"),
    [
        ("count", "-3", -3),
        ("flag", "true", True),
        ("flag", "False", False),
        ("rate", "1e-4", 1e-4),
        ("rate", "3", 3.0),
        ("text", "1e-4", "1e-4"),
        ("text", "on", "on"),
        ("text", "[1", "[1"),
        ("text", "null", "null"),
        ("text", "", ""),
        ("path", "a/b", Path("a/b")),
        ("maybe", "null", None),
        ("maybe", "none", None),
        ("maybe", "5", 5),
        ("either", "5", 5),
        ("either", "five", "five"),
        ("level", "high", "high"),
        ("level", "3", 3),
        ("sizes", "[1, 2]", [1, 2]),
        ("pair", "[1, 1e-4]", (1, 1e-4)),
        ("many", "[1, 2, 3.5]", (1.0, 2.0, 3.5)),
        ("table", "{a: 1, on: 2}", {"a": 1.0, "on": 2.0}),
        ("inner", "{depth: 7}", Inner(depth=7)),
        ("free", "{a: [1, x]}", {"a": [1, "x"]}),
    ],
)
def test_text_is_parsed_by_the_type_that_receives_it(name: str, text: str, value: object) -> None:
    found = getattr(structure(typed(**{name: text}), Everything), name)
    assert found == value
    assert type(found) is type(value)


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ("1e-4", 1e-4),
        ("1E5", 1e5),
        (".5", 0.5),
        ("-.inf", float("-inf")),
        ("on", "on"),
        ("no", "no"),
        ("y", "y"),
        ("010", "010"),
        ("0x10", "0x10"),
        ("1:30", "1:30"),
        ("1_000", "1_000"),
        ("2024-01-02", "2024-01-02"),
        ("true", True),
        ("12", 12),
        ("~", None),
        ("'12'", "12"),
    ],
)
def test_yaml_means_what_people_read(text: str, value: object) -> None:
    found = parse_yaml(text)
    assert found == value
    assert type(found) is type(value)


def test_json_is_read_as_it_is() -> None:
    data = {"a": [1, 1.5, True, None, "on", "010", "1e-4"], "b": {"c": 1e-7}}
    assert parse_yaml(json.dumps(data)) == data


def test_yaml_makes_no_objects() -> None:
    with pytest.raises(ConfigError, match="not valid YAML"):
        parse_yaml("!!python/object/apply:os.getcwd []")


# --- problems ---------------------------------------------------------------------------------------------------------


def test_all_problems_at_once_with_the_nearest_name() -> None:
    data = {
        "robot": {"type": "arm", "prt": "x", "mode": "sot"},
        "policy": {"type": "brain", "chunksize": 5, "lr": "fast"},
        "stps": 4,
        "dataset": {"type": "store", "repo": "a/b"},
    }
    assert problems(WorkConfig, data) == [
        "robot.port: missing",
        "robot.mode: expected one of 'soft', 'stiff', got 'sot'; did you mean 'soft'?",
        "robot.prt: unknown option; did you mean 'port'?",
        "dataset.single_task: missing",
        "dataset.repo_id: missing",
        "dataset.repo: unknown option; did you mean 'repo_id'?",
        "policy.lr: expected a number, got 'fast'",
        "policy.chunksize: unknown option; did you mean 'chunk_size'?",
        "stps: unknown option; did you mean 'steps'?",
    ]


def test_a_rule_across_fields_is_a_problem_of_its_section() -> None:
    data = {"robot": {"type": "arm", "port": "p", "max_step": -1.0}}
    assert problems(WorkConfig, data) == ["robot: max_step is above 0, got -1.0"]


def test_a_missing_or_unknown_type_lists_what_there_is() -> None:
    (missing,) = problems(WorkConfig, {"robot": {"port": "p"}})
    assert missing == "robot.type: missing; pick a robot (known: arm, hand, leg)"
    (unknown,) = problems(WorkConfig, {"robot": {"type": "amr"}})
    assert "unknown robot 'amr'; did you mean 'arm'? (known: arm, hand, leg)" in unknown
    (nothing,) = problems(WorkConfig, {})
    assert nothing.startswith("robot.type: missing")


def test_options_that_are_none() -> None:
    with pytest.raises(ConfigError) as info:
        parse_options(["run", "--a=1", "-b"])
    assert [problem.text for problem in info.value.problems] == [
        "unexpected arguments 'run -b'",
    ]


# --- choices, sections ------------------------------------------------------------------------------------------------


def test_choices_by_name_inside_a_choice() -> None:
    robot = structure(
        {"type": "arm", "port": "p", "eyes": {"top": {"type": "eye", "index": 2}, "side": "lens"}}, Choice[roles.Robot]
    )
    assert robot.config.eyes["top"].config.index == 2
    assert robot.config.eyes["side"].type == "lens"
    assert to_data(robot)["eyes"]["top"] == {"type": "eye", "index": 2, "fps": 30.0}


def test_a_section_is_flat() -> None:
    data = {"type": "store", "repo_id": "a/b", "single_task": "pick", "root": None, "num_episodes": 2}
    section = structure(data, DatasetSection)
    assert section.backend.config.repo_id == "a/b"
    assert to_data(section) == data


def test_one_config_class_under_two_names_keeps_its_name() -> None:
    assert to_data(config.choose(roles.Robot, "hand"))["type"] == "hand"


# --- layers -----------------------------------------------------------------------------------------------------------


def loaded(args: str, file: Path | None = None, data: object = None, **defaults: Any) -> config.Resolved:
    words = args.split()
    if file is not None:
        file.write_text(json.dumps(data))
        words.append(f"--config_path={file}")
    return config.load(WorkConfig, words, {"dataset": {"type": "store"}, **defaults})


def test_layers_in_order_with_origins(tmp_path: Path) -> None:
    file = tmp_path / "work.yaml"
    data = {"robot": {"type": "leg", "length": 0.7}, "steps": 20}
    found = loaded("--steps=30", file, data, robot={"type": "leg", "port": "from defaults", "length": 0.1})
    assert (found.value.steps, found.value.robot.config.length) == (30, 0.7)
    rows = {path: (value, origin) for path, value, origin in config.explain(found)}
    assert rows["steps"] == (30, "the command line")
    assert rows["robot.length"] == (0.7, str(file))
    assert rows["robot.port"] == ("from defaults", "command defaults")
    assert rows["output_dir"] == (None, "default")


def test_a_problem_names_the_file_it_came_from(tmp_path: Path) -> None:
    file = tmp_path / "work.yaml"
    with pytest.raises(ConfigError) as info:
        loaded("--robot.type=leg --policy.type=brain --policy.lr=slow", file, {"steps": "many"})
    assert [str(problem) for problem in info.value.problems] == [
        "policy.lr: expected a number, got 'slow'",
        f"steps: expected an integer, got 'many' (from {file})",
    ]


def test_another_type_drops_the_options_of_the_lower_layer(tmp_path: Path) -> None:
    file = tmp_path / "work.yaml"
    data = {"robot": {"type": "arm", "port": "p", "max_step": 3.0}}
    found = loaded("--robot.type=leg", file, data)
    assert (found.value.robot.type, found.value.robot.config.port) == ("leg", "leg0")
    rows = {path: origin for path, _, origin in config.explain(found)}
    assert rows["robot.port"] == "default"
    same = loaded("--robot.type=arm --robot.mode=stiff", file, data)
    assert same.value.robot.config == ArmConfig(port="p", max_step=3.0, mode="stiff")


def test_another_type_keeps_what_the_section_itself_declares(host, tmp_path: Path) -> None:
    host.offer("lr_dataset_backends", parts.BACKENDS[0]._replace(name="shop"), name="shop", distribution="shop")
    data = {"robot": "leg", "dataset": {"type": "store", "single_task": "pick", "root": "r", "repo_id": "a/b"}}
    found = loaded("--dataset.type=shop --dataset.repo_id=c/d", tmp_path / "f.json", data).value.dataset
    assert (found.single_task, found.backend.type, found.backend.config.root) == ("pick", "shop", None)


def test_another_type_in_a_mapping_of_choices(tmp_path: Path) -> None:
    data = {"robot": {"type": "arm", "port": "p", "eyes": {"top": {"type": "eye", "index": 1}}}}
    found = loaded(
        "--robot.eyes.top.type=lens --robot.eyes.side.type=eye --robot.eyes.side.index=2", tmp_path / "f", data
    )
    eyes = found.value.robot.config.eyes
    assert (eyes["top"].type, eyes["side"].config.index) == ("lens", 2)


def test_a_section_typed_whole_then_in_parts() -> None:
    found = loaded("--robot=arm --robot.port=p").value.robot
    assert (found.type, found.config.port) == ("arm", "p")
    words = [
        "--robot.type=arm",
        "--robot.port=p",
        "--robot.eyes={top: {type: eye, index: 1}}",
        "--robot.eyes.top.fps=5",
    ]
    assert config.load(WorkConfig, words).value.robot.config.eyes["top"].config.fps == 5.0


def test_a_whole_value_replaces_parts_of_lower_layers_and_their_origins(tmp_path: Path) -> None:
    data = {"robot": {"type": "arm", "port": "p", "eyes": {"top": {"type": "eye", "index": 1, "fps": 5.0}}}}
    file = tmp_path / "f"
    file.write_text(json.dumps(data))
    words = [f"--config_path={file}", "--robot.eyes={top: {type: eye, index: 3}}"]
    rows = {path: (value, origin) for path, value, origin in config.explain(config.load(WorkConfig, words))}
    assert rows["robot.eyes.top.index"] == (3, "the command line")
    assert rows["robot.eyes.top.fps"][1] == "the command line"


def test_an_option_is_given_once_and_a_flag_is_true() -> None:
    with pytest.raises(ConfigError, match="steps: given twice, as '1' and as '2'"):
        parse_options(["--steps", "1", "--steps=2"])
    assert parse_options(["--steps", "1", "--steps=1", "--a.flag", "--b", "-1"]) == {
        "steps": "1",
        "a": {"flag": "true"},
        "b": "-1",
    }


def test_an_optional_section_nobody_mentions_is_absent() -> None:
    assert loaded("--robot.type=leg").value.dataset is None
    mentioned = loaded("--robot.type=leg --dataset.repo_id=a/b --dataset.single_task=pick").value.dataset
    assert mentioned.backend.type == "store"


def test_an_optional_section_can_be_taken_away(tmp_path: Path) -> None:
    data = {"robot": {"type": "leg"}, "policy": {"type": "brain"}}
    assert loaded("--policy=null", tmp_path / "f", data).value.policy is None


@pytest.mark.parametrize("where", ["option", "file"])
def test_a_checkpoint_gives_the_options_of_its_policy(tmp_path: Path, where: str) -> None:
    folder = tmp_path / "checkpoint"
    folder.mkdir()
    (folder / "config.json").write_text(json.dumps({"type": "brain", "chunk_size": 7, "lr": 0.5}))
    policy = {"path": str(folder)}
    words = f"--robot.type=leg --policy.lr=0.25{f' --policy.path={folder}' if where == 'option' else ''}"
    found = loaded(words, tmp_path / "f", {"policy": policy} if where == "file" else {})
    assert (found.value.policy.config.chunk_size, found.value.policy.config.lr) == (7, 0.25)
    assert found.value.policy.path == folder
    assert found.value.policy.build().path == folder
    rows = {path: origin for path, _, origin in config.explain(found)}
    assert rows["policy.chunk_size"] == str(folder / "config.json")
    assert rows["policy.lr"] == "the command line"


def test_a_checkpoint_named_in_a_file_needs_no_option(tmp_path: Path) -> None:
    (tmp_path / "config.json").write_text(json.dumps({"type": "brain", "chunk_size": 7}))
    found = loaded("--robot.type=leg", tmp_path / "f", {"policy": {"path": str(tmp_path), "chunk_size": 9}})
    assert found.value.policy.config.chunk_size == 7


def test_a_checkpoint_that_is_not_there(tmp_path: Path) -> None:
    with pytest.raises(LeRobotError, match="does not exist"):
        loaded(f"--robot.type=leg --policy.path={tmp_path / 'none'}")
    with pytest.raises(LeRobotError, match=r"policy\.path: no checkpoint in '.*': no config\.json there"):
        loaded(f"--robot.type=leg --policy.path={tmp_path}")


def test_what_is_picked_is_known_before_anything_is_checked() -> None:
    found = config.picked(WorkConfig, ["--robot.type", "leg", "stray", "--steps=x"], {"robot": {"type": "arm"}})
    assert found == {"robot": {"type": "leg"}, "steps": "x"}


@pytest.mark.parametrize(
    ("text", "says"),
    [(None, "does not exist"), ("[1]", "holds a list"), ("a: [", "not valid YAML"), ("3", "holds int")],
)
def test_a_config_file_that_cannot_be_used(tmp_path: Path, text: str | None, says: str) -> None:
    file = tmp_path / "f.yaml"
    if text is not None:
        file.write_text(text)
    with pytest.raises(ConfigError, match=says):
        config.load(WorkConfig, [f"--config_path={file}"])


def test_an_empty_config_file_is_no_options(tmp_path: Path) -> None:
    file = tmp_path / "f.yaml"
    file.write_text("# nothing here\n")
    assert config.load(WorkConfig, [f"--config_path={file}", "--robot.type=leg"]).value.steps == 10


def test_null_in_a_file_is_nothing_where_that_is_a_value_and_else_the_default(tmp_path: Path) -> None:
    found = loaded("--robot.type=leg", tmp_path / "f", {"steps": None, "dataset": None, "retries": None}).value
    assert (found.steps, found.dataset, found.retries) == (10, None, None)


def test_what_is_written_can_be_read_again(tmp_path: Path) -> None:
    found = loaded("--robot.type=arm --robot.port=p --dataset.repo_id=a/b --dataset.single_task=x --output_dir=out")
    file = tmp_path / "written.json"
    file.write_text(config.dump_json(found.value))
    assert config.load(WorkConfig, [f"--config_path={file}"]).value == found.value


# --- a space of values ------------------------------------------------------------------------------------------------

names = st.text(min_size=1, max_size=6)
numbers = st.floats(allow_nan=False)
plain = st.recursive(
    st.none() | st.booleans() | st.integers() | numbers | st.text(max_size=8),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(names, inner, max_size=3),
    max_leaves=6,
)
everything = st.builds(
    Everything,
    flag=st.booleans(),
    count=st.integers(),
    rate=numbers,
    text=st.text(),
    path=st.from_regex(r"[a-z]{1,5}(/[a-z]{1,5}){0,2}", fullmatch=True).map(Path),
    maybe=st.none() | st.integers(),
    either=st.integers() | st.text(),
    level=st.sampled_from(["low", "high", 3]),
    sizes=st.lists(st.integers(), max_size=4),
    pair=st.tuples(st.integers(), numbers),
    many=st.lists(numbers, max_size=4).map(tuple),
    table=st.dictionaries(names, numbers, max_size=3),
    inner=st.builds(Inner, depth=st.integers()),
    free=st.dictionaries(names, plain, max_size=3),
)


@given(everything)
def test_structure_is_the_inverse_of_to_data(value: Everything) -> None:
    assert structure(to_data(value), Everything) == value


@given(everything)
def test_json_between_them_changes_nothing(value: Everything) -> None:
    assert structure(json.loads(config.dump_json(value)), Everything) == value


@given(st.integers(), numbers, st.booleans(), st.text())
def test_any_scalar_can_be_typed(count: int, rate: float, flag: bool, text: str) -> None:
    words = [f"--count={count}", f"--rate={rate!r}", f"--flag={str(flag).lower()}", f"--text={text}"]
    found = structure(parse_options(words), Everything)
    assert (found.count, found.rate, found.flag, found.text) == (count, rate, flag, text)
