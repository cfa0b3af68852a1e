"""Features: three namings of the same thing, and the one check of every seam."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as nps

from lerobot_core import features
from lerobot_core.errors import FeatureError
from lerobot_core.features import Feature, PolicyFeature, match

ARM = {"pan.pos": float, "lift.pos": float, "front": (48, 64, 3), "depth": (48, 64, 1)}


def test_a_robot_in_dataset_names() -> None:
    found = features.observation_features(ARM)
    assert list(found) == ["observation.state", "observation.images.front", "observation.images.depth"]
    assert found["observation.state"] == Feature(dtype="float32", shape=(2,), names=["pan.pos", "lift.pos"])
    assert found["observation.images.front"].dtype == "video"
    assert found["observation.images.depth"].is_depth
    assert features.observation_features(ARM, use_videos=False)["observation.images.front"].dtype == "image"
    assert features.action_features({"pan.pos": float}) == {
        "action": Feature(dtype="float32", shape=(1,), names=["pan.pos"])
    }


def test_a_vector_of_a_robot_keeps_a_column_of_its_own() -> None:
    force = Feature(dtype="float32", shape=(6,), unit="N")
    found = features.observation_features({"pan.pos": float, "wrist_force": force})
    assert found["observation.wrist_force"] == force
    assert "wrist_force" not in found["observation.state"].names


@pytest.mark.parametrize("value", [int, "float", (3,), (48, 64, 4), (48, 64), None])
def test_what_is_no_feature_is_refused(value: object) -> None:
    with pytest.raises(FeatureError, match="a feature is float"):
        features.of(value)


def test_a_frame_gathers_scalars_and_passes_pictures_without_a_copy() -> None:
    dataset = features.observation_features(ARM) | features.action_features({"pan.goal": float})
    picture = np.zeros((48, 64, 3), np.uint8)
    values = {"lift.pos": 2, "pan.pos": 1.5, "front": picture}
    frame = features.frame(values, dataset)
    assert set(frame) == {"observation.state", "observation.images.front"}
    np.testing.assert_array_equal(frame["observation.state"], np.array([1.5, 2], np.float32))
    assert frame["observation.state"].dtype == np.float32
    assert frame["observation.images.front"] is picture


def test_half_a_vector_is_an_error() -> None:
    dataset = features.observation_features(ARM)
    with pytest.raises(
        FeatureError, match=r"'observation.state' needs 'lift.pos', found pan.pos, lift.psi; did you mean"
    ):
        features.frame({"pan.pos": 1.0, "lift.psi": 1.0}, dataset)


def test_scatter_refuses_another_number_of_names() -> None:
    with pytest.raises(FeatureError, match="2 names"):
        features.scatter(np.zeros(3), ["a", "b"])


@pytest.mark.parametrize("names", [["a", "b"], ("a", "b"), {"motors": ["a", "b"]}, {"b": 1, "a": 0}])
def test_names_in_every_way_datasets_write_them(names: object) -> None:
    feature = Feature(dtype="float32", shape=(2,), names=names)
    assert feature.elements == ["a", "b"]
    assert features.gather({"b": 2.0, "a": 1.0}, feature).tolist() == [1.0, 2.0]


def test_a_vector_without_names_has_no_elements() -> None:
    assert Feature(dtype="float32", shape=(2,)).elements is None


joint_names = st.lists(st.text(st.characters(codec="ascii", categories=["L"]), min_size=1), min_size=1, unique=True)


@given(joint_names, st.data())
def test_gather_is_the_inverse_of_scatter(names: list[str], data: st.DataObject) -> None:
    numbers = nps.arrays(np.float32, len(names), elements=st.floats(-1e6, 1e6, width=32))
    vector = data.draw(numbers)
    feature = Feature(dtype="float32", shape=(len(names),), names=names)
    values = features.scatter(vector, names)
    np.testing.assert_array_equal(features.gather(values, feature), vector)
    shuffled = dict(reversed(values.items()))
    np.testing.assert_array_equal(features.gather(shuffled, feature), vector)


@given(
    joint_names,
    st.dictionaries(st.sampled_from(["front", "wrist", "top"]), st.tuples(st.integers(1, 99), st.integers(1, 99))),
)
def test_what_a_dataset_stores_is_what_it_was(names: list[str], cameras: dict[str, tuple[int, int]]) -> None:
    robot = {f"{name}.pos": float for name in names} | {name: (*size, 3) for name, size in cameras.items()}
    for key, feature in features.observation_features(robot).items():
        again = features.from_info(features.to_info(feature))
        assert features.to_info(again) == features.to_info(feature), key
        assert (again.dtype, again.shape, again.is_depth) == (feature.dtype, feature.shape, feature.is_depth)


def test_a_dataset_in_policy_names() -> None:
    dataset = features.observation_features(ARM) | features.action_features({"pan.pos": float})
    dataset |= {
        "observation.environment_state": Feature(dtype="float32", shape=(7,)),
        "observation.images.first": Feature(dtype="video", shape=(3, 48, 64), names=["channels", "height", "width"]),
        "timestamp": Feature(dtype="float32", shape=(1,)),
        "next.reward": Feature(dtype="float32", shape=(1,)),
        "note": Feature(dtype="string", shape=(1,)),
    }
    found = features.policy_features(dataset)
    assert {key: (feature.type, feature.shape) for key, feature in found.items()} == {
        "observation.state": ("STATE", (2,)),
        "observation.images.front": ("VISUAL", (3, 48, 64)),
        "observation.images.depth": ("VISUAL", (1, 48, 64)),
        "action": ("ACTION", (1,)),
        "observation.environment_state": ("ENV", (7,)),
        "observation.images.first": ("VISUAL", (3, 48, 64)),
    }


# --- the seam ---------------------------------------------------------------------------------------------------------

HAVE = {
    "observation.state": PolicyFeature(type="STATE", shape=(6,)),
    "observation.images.front": PolicyFeature(type="VISUAL", shape=(3, 48, 64)),
}


def test_match_gives_need_to_have() -> None:
    need = {"observation.images.cam": HAVE["observation.images.front"], "observation.state": HAVE["observation.state"]}
    found = match(HAVE, need, {"observation.images.front": "observation.images.cam"})
    assert found == {
        "observation.images.cam": "observation.images.front",
        "observation.state": "observation.state",
    }


def test_match_lists_every_difference_at_once() -> None:
    need = {
        "observation.images.fornt": PolicyFeature(type="VISUAL", shape=(3, 48, 64)),
        "observation.state": PolicyFeature(type="STATE", shape=(7,)),
    }
    with pytest.raises(FeatureError) as info:
        match(HAVE, need, {"observation.images.frnt": "x"}, what="the camera set")
    text = info.value.message
    assert text.startswith("the camera set does not fit: ")
    assert "rename of 'observation.images.frnt': no such feature; did you mean 'observation.images.front'?" in text
    assert "'observation.images.fornt' VISUAL[3, 48, 64] is missing; did you mean 'observation.images.front'?" in text
    assert "'observation.state' is STATE[6], needed is STATE[7]" in text
    assert "rename_map" in info.value.hint


def test_match_compares_types_where_both_have_one() -> None:
    other = {"observation.state": PolicyFeature(type="ENV", shape=(6,))}
    with pytest.raises(FeatureError, match=r"is STATE\[6\], needed is ENV\[6\]"):
        match(HAVE, other)
    stored = {"observation.state": Feature(dtype="float32", shape=(6,))}
    assert match(stored, {"observation.state": HAVE["observation.state"]})


def test_two_features_under_one_name_are_refused() -> None:
    with pytest.raises(FeatureError, match="is there twice once '"):
        match(HAVE, {}, {"observation.images.front": "observation.state"})


def test_two_features_may_change_names() -> None:
    have = {"a": Feature(dtype="float32", shape=(1,)), "b": Feature(dtype="float32", shape=(2,))}
    swapped = {"a": have["b"], "b": have["a"]}
    assert match(have, swapped, {"a": "b", "b": "a"}) == {"a": "b", "b": "a"}
    assert features.rename(have, {"a": "b", "b": "a"}) == {"b": have["a"], "a": have["b"]}


@given(st.dictionaries(st.text(max_size=5), st.lists(st.integers(1, 9), max_size=3), max_size=5), st.data())
def test_whatever_is_had_matches_itself(shapes: dict[str, list[int]], data: st.DataObject) -> None:
    have = {key: Feature(dtype="float32", shape=shape) for key, shape in shapes.items()}
    names = {key: f"renamed {key}" for key in have if data.draw(st.booleans())}
    assert match(have, features.rename(have, names), names) == {names.get(key, key): key for key in have}
