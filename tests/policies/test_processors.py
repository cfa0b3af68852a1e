"""Processor steps against recorded values, and their files."""

from __future__ import annotations

import json

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from safetensors.torch import load_file

from lerobot_core.errors import CheckpointError, DataError
from lerobot_policies.processors.normalize import Normalize, Unnormalize
from lerobot_policies.processors.pipeline import Pipeline
from lerobot_policies.processors.steps import Device, Rename, ToBatch

MODES = ["IDENTITY", "MEAN_STD", "MIN_MAX", "QUANTILES", "QUANTILE10"]


@pytest.fixture(scope="module")
def recorded(fixtures):
    notes = json.loads((fixtures / "misc/processors.json").read_text())
    return {item["mode"]: item for item in notes["normalize"]}, load_file(fixtures / "misc/processors.safetensors")


def stats_of(arrays):
    out = {}
    for key, value in arrays.items():
        if key.startswith("stats/"):
            feature, _, name = key.removeprefix("stats/").rpartition("/")
            out.setdefault(feature, {})[name] = value.numpy()
    return out


@pytest.mark.parametrize("mode", MODES)
def test_scaling_and_back(mode, recorded):
    notes, arrays = recorded
    options = {**notes[mode]["config"], "stats": stats_of(arrays)}
    normalize, unnormalize = Normalize(**options), Unnormalize(**options)
    assert normalize.config() == notes[mode]["config"]
    assert sorted(normalize.state()) == notes[mode]["n_state"]
    batch = {key.removeprefix("in/"): value for key, value in arrays.items() if key.startswith("in/")}
    forward, inverse = normalize(batch), unnormalize(batch)
    for key, value in batch.items():
        torch.testing.assert_close(forward[key], arrays[f"norm/{mode}/{key}"], rtol=1e-6, atol=1e-7)
        torch.testing.assert_close(inverse[key], arrays[f"unnorm/{mode}/{key}"], rtol=1e-6, atol=1e-7)
        back = unnormalize(forward)[key]
        torch.testing.assert_close(back, arrays[f"unnorm_of_norm/{mode}/{key}"], rtol=1e-6, atol=1e-6)
        assert batch[key] is value


@given(
    st.sampled_from(["MEAN_STD", "MIN_MAX"]),
    st.lists(st.floats(-100, 100, width=32), min_size=2, max_size=5),
    st.floats(0.125, 50, width=32),
)
def test_back_is_the_inverse(mode, values, spread):
    x = torch.tensor(values)
    stats = {"action": {"mean": x * 0.5, "std": torch.full_like(x, spread), "min": x - spread, "max": x + spread}}
    options = {"features": {"action": {"type": "ACTION", "shape": [len(x)]}}, "norm_map": {"ACTION": mode}}
    there = Normalize(**options, stats=stats)({"action": x})
    torch.testing.assert_close(Unnormalize(**options, stats=stats)(there)["action"], x, rtol=1e-4, atol=1e-4)


def test_what_cannot_be_scaled_is_refused():
    options = {
        "features": {"observation.image": {"type": "VISUAL", "shape": [3, 2, 2]}},
        "norm_map": {"VISUAL": "QUANTILES"},
        "stats": {"observation.image": {"mean": [0.0] * 3}},
    }
    with pytest.raises(DataError, match="uint8"):
        Normalize(**options)({"observation.image": torch.zeros(1, 3, 2, 2, dtype=torch.uint8)})
    with pytest.raises(DataError, match="'q01' and 'q99', found mean"):
        Normalize(**options)({"observation.image": torch.zeros(1, 3, 2, 2)})


def test_flat_statistics_of_pictures_are_per_channel():
    step = Normalize(
        features={"observation.image": {"type": "VISUAL", "shape": [3, 2, 4]}},
        norm_map={"VISUAL": "MEAN_STD"},
        stats={"observation.image": {"mean": [1.0, 2.0, 3.0], "std": [1.0] * 3}},
    )
    out = step({"observation.image": torch.zeros(2, 3, 2, 4)})["observation.image"]
    torch.testing.assert_close(out[0, :, 0, 0], torch.tensor([-1.0, -2.0, -3.0]))


def test_what_marks_padding_follows_a_rename():
    batch = {"observation.images.a": 1, "observation.images.a_is_pad": 2, "observation.images.ab": 3}
    renamed = Rename({"observation.images.a": "observation.images.top"})(batch)
    assert renamed == {"observation.images.top": 1, "observation.images.top_is_pad": 2, "observation.images.ab": 3}


def test_batch_axis_is_added_once():
    batch = {
        "observation.state": torch.zeros(4),
        "observation.images.top": torch.zeros(3, 2, 2),
        "action": torch.zeros(6),
        "index": torch.tensor(3),
        "task": "pick",
        "observation.other": torch.zeros(5),
    }
    once = ToBatch()(batch)
    shapes = {key: tuple(value.shape) for key, value in once.items() if key != "task"}
    assert shapes == {
        "observation.state": (1, 4),
        "observation.images.top": (1, 3, 2, 2),
        "action": (1, 6),
        "index": (1,),
        "observation.other": (5,),
    }
    assert once["task"] == ["pick"]
    again = ToBatch()(once)
    assert all(again[key] is value for key, value in once.items())


def test_device_step_casts_floating_point_only():
    out = Device("cpu", "float16")({"a": torch.zeros(2), "b": torch.zeros(2, dtype=torch.int64), "task": ["x"]})
    assert (out["a"].dtype, out["b"].dtype, out["task"]) == (torch.float16, torch.int64, ["x"])


class TestFiles:
    @pytest.fixture
    def folder(self, tmp_path):
        scale = Normalize({"action": {"type": "ACTION", "shape": [2]}}, {"ACTION": "MEAN_STD"},
                          stats={"action": {"mean": [1.0, 2.0], "std": [1.0, 2.0]}})  # fmt: skip
        Pipeline("policy_preprocessor", [Rename(), Device(), scale]).save(tmp_path)
        return tmp_path

    def test_read_back(self, folder):
        found = Pipeline.load(folder, "policy_preprocessor")
        assert [step.registry_name for step in found.steps] == [
            "rename_observations_processor",
            "device_processor",
            "normalizer_processor",
        ]
        torch.testing.assert_close(found({"action": torch.tensor([2.0, 4.0])})["action"], torch.ones(2))

    def test_stats_given_win_over_stored_ones(self, folder):
        (folder / "policy_preprocessor_step_2_normalizer_processor.safetensors").unlink()
        stats = {"action": {"mean": [0.0, 0.0], "std": [1.0, 1.0]}}
        found = Pipeline.load(folder, "policy_preprocessor", {"normalizer_processor": {"stats": stats}})
        torch.testing.assert_close(found({"action": torch.ones(2)})["action"], torch.ones(2))

    def test_override_of_no_step_is_refused(self, folder):
        with pytest.raises(CheckpointError, match="did you mean 'device_processor'"):
            Pipeline.load(folder, "policy_preprocessor", {"devices_processor": {}})

    def test_missing_state_is_refused(self, folder):
        (folder / "policy_preprocessor_step_2_normalizer_processor.safetensors").unlink()
        with pytest.raises(CheckpointError, match="does not exist"):
            Pipeline.load(folder, "policy_preprocessor")

    def test_state_outside_of_the_folder_is_refused(self, folder):
        file = folder / "policy_preprocessor.json"
        file.write_text(file.read_text().replace("policy_preprocessor_step_2", "../policy_preprocessor_step_2"))
        with pytest.raises(CheckpointError, match="is outside of"):
            Pipeline.load(folder, "policy_preprocessor")

    def test_unknown_step_is_named(self, folder, host):
        file = folder / "policy_preprocessor.json"
        file.write_text(file.read_text().replace("normalizer_processor", "normaliser_processor"))
        with pytest.raises(CheckpointError, match="did you mean 'normalizer_processor'"):
            Pipeline.load(folder, "policy_preprocessor")
