"""The `robomimic` backend: what its files hold is read, imported and trained on; what cannot be right is refused."""

from __future__ import annotations

import json
import multiprocessing
import pickle
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from click.testing import CliRunner

from lerobot_core.config import choose
from lerobot_core.errors import DataError, FeatureError
from lerobot_core.roles import DatasetBackend
from lerobot_datasets import LeRobotDataset, cache, plugin
from lerobot_datasets.commands.check import check
from lerobot_datasets.commands.import_ import import_

h5py = pytest.importorskip("h5py", reason="needs lerobot-datasets[robomimic]")

FRONT = "observation.images.agentview"
LENGTHS = {"demo_0": 6, "demo_2": 9, "demo_10": 7}


@pytest.fixture(autouse=True)
def _ours(host: Any, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    host.add(plugin, "datasets", "lerobot-datasets")
    monkeypatch.setenv("HF_LEROBOT_HOME", str(tmp_path / "home"))


def arrays(demo: int, length: int) -> dict[str, np.ndarray]:
    rng = np.random.default_rng(demo)
    shades = np.arange(length, dtype=np.uint8)[:, None, None, None] * 8 + demo
    return {
        "actions": rng.normal(size=(length, 7)),
        "rewards": (np.arange(length) == length - 1).astype(np.float64),
        "dones": (np.arange(length) == length - 1).astype(np.int64),
        "states": rng.normal(size=(length, 32)),
        "obs/robot0_eef_pos": rng.normal(size=(length, 3)),
        "obs/robot0_gripper_qpos": rng.normal(size=(length, 2)),
        "obs/object": rng.normal(size=(length, 10)),
        "obs/agentview_image": np.broadcast_to(shades, (length, 48, 64, 3)).copy(),
        "next_obs/robot0_eef_pos": rng.normal(size=(length, 3)),
    }


def fill(path: Path, change: Callable[[Any], None] = lambda file: None) -> Path:
    with h5py.File(path, "w") as file:
        data = file.create_group("data")
        about = {"env_name": "Lift", "type": 1, "env_kwargs": {"control_freq": 25, "robots": ["Panda"]}}
        data.attrs["env_args"] = json.dumps(about)
        data.attrs["total"] = sum(LENGTHS.values())
        for name, length in LENGTHS.items():
            demo = data.create_group(name)
            demo.attrs["num_samples"] = length
            for place, values in arrays(int(name[5:]), length).items():
                demo.create_dataset(place, data=values, compression="gzip")
        file["mask/train"] = np.array([b"demo_10", b"demo_0"])
        change(file)
    return path


@pytest.fixture
def file(tmp_path: Path) -> Path:
    return fill(tmp_path / "lift.hdf5")


def opened(path: Path, episodes: list[int] | None = None, **options: Any) -> Any:
    return choose(DatasetBackend, "robomimic", file=path, **options).build().open(episodes)


# --- reading ----------------------------------------------------------------------------------------------------------


def test_what_a_file_holds(file: Path) -> None:
    reader = opened(file)
    assert (reader.fps, reader.robot_type, reader.tasks) == (25, "Panda", ["Lift"])
    assert [(row["demo"], row["length"]) for row in reader.episodes] == list(LENGTHS.items()), "2 comes before 10"
    shapes = {key: (f.dtype, f.shape) for key, f in reader.features.items()}
    assert shapes["observation.state"] == ("float32", (5,))
    assert shapes["observation.environment_state"] == ("float32", (10,))
    assert shapes["action"] == ("float32", (7,))
    assert shapes["next.done"] == ("bool", (1,))
    assert shapes[FRONT] == ("video", (48, 64, 3))
    assert reader.features["observation.state"].names[2:4] == ["robot0_eef_pos.2", "robot0_gripper_qpos.0"]
    want, found = arrays(10, 7), reader.columns(2)
    state = np.concatenate([want["obs/robot0_eef_pos"], want["obs/robot0_gripper_qpos"]], axis=1)
    np.testing.assert_array_equal(found["observation.state"], state.astype(np.float32))
    np.testing.assert_array_equal(found["action"], want["actions"].astype(np.float32))
    np.testing.assert_array_equal(found["next.done"], want["dones"] == 1)
    assert found["index"].tolist() == list(range(15, 22))
    np.testing.assert_array_equal(np.stack(list(reader.frames(1, FRONT))), arrays(2, 9)["obs/agentview_image"])


def test_a_list_and_some_episodes(file: Path) -> None:
    reader = opened(file, filter_key="train")
    assert [row["demo"] for row in reader.episodes] == ["demo_0", "demo_10"]
    some = opened(file, [1, 7], filter_key="train")
    assert (some.num_episodes, some.num_frames) == (1, 7)
    with pytest.raises(DataError, match=r"no 'mask/trian'; did you mean 'train'"):
        opened(file, filter_key="trian")


def test_arrays_under_names_of_ones_own(file: Path) -> None:
    made_of = {
        "observation.state": ["obs/object", "obs/robot0_gripper_qpos"],
        "observation.environment_state": [],
        "simulator": ["states"],
    }
    with pytest.raises(FeatureError, match="'simulator' needs the array 'states'"):
        opened(file, features=made_of)
    reader = opened(
        file, features={k: v for k, v in made_of.items() if k != "simulator"}, control_freq=10, task="lift it"
    )
    assert (reader.fps, reader.tasks) == (10, ["lift it"])
    assert reader.features["observation.state"].shape == (12,)
    assert "observation.environment_state" not in reader.features
    with pytest.raises(FeatureError, match="3 names for 'action'"):
        opened(file, names={"action": ["x", "y", "z"]})


@pytest.mark.parametrize(
    ("where", "note", "value", "task"),
    [
        ("data/demo_2", "ep_meta", {"lang": "open the drawer"}, "open the drawer"),
        ("data", "problem_info", {"language_instruction": "stack\nthe bowls"}, "stack the bowls"),
        ("data", "env_args", {"env_name": "Can", "lang": 7}, "Can"),
        ("data", "env_args", "no { json", ""),
    ],
)
def test_tasks_are_the_files_words(tmp_path: Path, where: str, note: str, value: Any, task: str) -> None:
    def write(file: Any) -> None:
        file[where].attrs[note] = value if isinstance(value, str) else json.dumps(value)

    reader = opened(fill(tmp_path / "set.hdf5", write))
    assert reader.episodes[1]["tasks"] == [task]


def test_depth(tmp_path: Path) -> None:
    def write(file: Any) -> None:
        for name, length in LENGTHS.items():
            file[f"data/{name}/obs/agentview_depth"] = np.full((length, 48, 64, 1), 1.25, np.float32)

    path = fill(tmp_path / "set.hdf5", write)
    key = f"{FRONT}_depth"
    assert opened(path).features[key].is_depth
    assert next(opened(path).frames(0, key)).max() == 1250
    item = opened(path, depth_output_unit="m").torch()[3]
    assert (item[key].shape, float(item[key].max())) == ((1, 48, 64), 1.25)
    assert key not in opened(path).stats


def test_statistics_are_of_all_frames_and_kept(file: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    reader = opened(file)
    values = np.concatenate([reader.columns(episode)["action"] for episode in range(3)])
    np.testing.assert_allclose(reader.stats["action"]["mean"], values.mean(0, dtype=np.float64), rtol=1e-5)
    assert reader.stats[FRONT]["mean"].shape == (3, 1, 1)
    again = opened(file)
    monkeypatch.setattr(again, "_compute", lambda: pytest.fail("computed twice"))
    for key, values in reader.stats.items():
        for name, value in values.items():
            np.testing.assert_array_equal(again.stats[key][name], value, err_msg=f"{key}/{name}")
    [kept] = cache.home().glob("*/robomimic-*/stats.json")
    kept.write_text("{")
    assert opened(file).stats["action"]["count"].tolist() == [22]
    assert opened(file, filter_key="train").stats["action"]["count"].tolist() == [13]


# --- torch ------------------------------------------------------------------------------------------------------------


def test_items_are_those_of_the_imported_dataset(file: Path, tmp_path: Path) -> None:
    """The same windows, pads, pictures and tasks, whichever way the file is read."""
    assert run("--video=false", f"--dataset.file={file}", f"--output_dir={tmp_path / 'out'}").exit_code == 0
    deltas = {"action": [0.0, 0.04, 0.08], "observation.state": [-0.04, 0.0], FRONT: [-0.04, 0.0]}
    ours = opened(file).torch(deltas)
    twin = LeRobotDataset("t/t", root=tmp_path / "out", delta_timestamps=deltas)
    assert len(ours) == len(twin) == 22
    for row in (0, 5, 6, 14, 15, 21):
        assert set(ours[row]) == set(twin[row])
        for key, value in ours[row].items():
            other = twin[row][key]
            assert torch.equal(value, other) if isinstance(value, torch.Tensor) else value == other, (row, key)
    assert opened(file, return_uint8=True).torch()[0][FRONT].dtype == torch.uint8


def test_workers_open_the_file_themselves(file: Path) -> None:
    dataset = opened(file).torch()
    first = dataset[3]
    assert len(pickle.dumps(dataset)) < 30_000
    with multiprocessing.get_context("fork").Pool(1) as pool:  # with the parent's file open
        assert torch.equal(pool.apply(dataset.__getitem__, (3,))[FRONT], first[FRONT])


def test_columns_beyond_memory_are_refused(file: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("lerobot_datasets.robomimic.dataset._MOST", 1000)
    with pytest.raises(DataError, match=r"22 frames of .* bytes do not fit"):
        opened(file).torch()


# --- what is refused --------------------------------------------------------------------------------------------------


def test_it_is_not_recorded_to(file: Path) -> None:
    with pytest.raises(DataError, match="read only") as caught:
        choose(DatasetBackend, "robomimic", file=file).build().create({}, 10)
    assert "lr dataset import" in caught.value.hint


def _external(file: Any) -> None:
    del file["data/demo_2/actions"]
    file["data/demo_2/actions"] = h5py.ExternalLink("/etc/hostname", "/x")


def _external_demo(file: Any) -> None:
    del file["data/demo_2"]
    file["data/demo_2"] = h5py.ExternalLink("other.hdf5", "/data/demo_2")


def _soft(file: Any) -> None:
    del file["data/demo_2/actions"]
    file["data/demo_2/actions"] = h5py.SoftLink("/data/demo_0/actions")


def _outside(file: Any) -> None:
    del file["data/demo_2/actions"]
    raw = [("/etc/passwd", 0, 9 * 7 * 8)]
    file["data/demo_2"].create_dataset("actions", (9, 7), "f8", external=raw)


def _virtual(file: Any) -> None:
    del file["data/demo_2/actions"]
    layout = h5py.VirtualLayout((9, 7), "f8")
    layout[:] = h5py.VirtualSource("other.hdf5", "x", (9, 7))
    file["data/demo_2"].create_virtual_dataset("actions", layout)


def _bomb(file: Any) -> None:
    del file["data/demo_2/obs/robot0_eef_pos"]
    file["data/demo_2/obs"].create_dataset("robot0_eef_pos", (9, 1 << 40), "f8", chunks=(1, 1024))


def _text(file: Any) -> None:
    del file["data/demo_2/actions"]
    file["data/demo_2/actions"] = np.array([b"x"] * 9)


def _short(file: Any) -> None:
    del file["data/demo_2/obs/object"]
    file["data/demo_2/obs/object"] = np.zeros((8, 10))


def _other(file: Any) -> None:
    del file["data/demo_2/obs/object"]
    file["data/demo_2/obs/object"] = np.zeros((9, 11))


def _nan(file: Any) -> None:
    file["data/demo_2/actions"][4, 3] = np.nan


def _missing(file: Any) -> None:
    del file["data/demo_2/actions"]


def _picture(file: Any) -> None:
    del file["data/demo_2/obs/agentview_image"]
    file["data/demo_2/obs/agentview_image"] = np.zeros((9, 24, 64, 3), np.uint8)


@pytest.mark.parametrize(
    ("change", "says"),
    [
        (_external, "'data/demo_2/actions' is a link elsewhere"),
        (_soft, "'data/demo_2/actions' is a link elsewhere"),
        (_outside, "kept in other files"),
        (_virtual, "kept in other files"),
        (_bomb, "says it holds 79164837199872 bytes"),
        (_text, "no array of numbers"),
        (_short, "demo_2: 'obs/object' has 8 of 9 frames"),
        (_other, r"demo_2: 'observation.environment_state' is float32\[10\]"),
        (_nan, "demo_2: 'action' holds NaN or infinity in row 4"),
        (_missing, "no 'data/demo_2/actions'"),
        (_picture, r"'obs/agentview_image' is \[24, 64, 3\]"),
    ],
)
def test_what_cannot_be_right(tmp_path: Path, change: Callable[[Any], None], says: str) -> None:
    path = fill(tmp_path / "set.hdf5", change)
    with pytest.raises(DataError, match=says) as caught:
        read_through(path)
    assert str(path) in caught.value.message


def read_through(path: Path) -> None:
    reader = opened(path)
    reader.columns(1)
    list(reader.frames(1, FRONT))


def test_links_of_demonstrations_are_none(tmp_path: Path) -> None:
    assert [row["demo"] for row in opened(fill(tmp_path / "set.hdf5", _external_demo)).episodes] == [
        "demo_0",
        "demo_10",
    ]


def test_no_such_file_and_no_hdf5(tmp_path: Path) -> None:
    with pytest.raises(DataError, match="no file"):
        opened(tmp_path / "nothing.hdf5")
    (tmp_path / "text.hdf5").write_text("hello")
    with pytest.raises(DataError, match="is no HDF5 file"):
        opened(tmp_path / "text.hdf5")
    with h5py.File(tmp_path / "empty.hdf5", "w") as file:
        file.create_group("data")
    with pytest.raises(DataError, match="holds no demonstration"):
        opened(tmp_path / "empty.hdf5")


_HOLD = "import h5py, sys; file = h5py.File(sys.argv[1], 'a'); print('open', flush=True); sys.stdin.read()"


def test_a_file_that_is_being_written(file: Path) -> None:
    command = [sys.executable, "-c", _HOLD, str(file)]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE) as other:
        assert other.stdout.readline()
        with pytest.raises(DataError, match="is being written"):
            opened(file)
        other.communicate()
    assert opened(file).num_episodes == 3


# --- import -----------------------------------------------------------------------------------------------------------


def run(*options: str) -> Any:
    return CliRunner().invoke(import_, ["--dataset.type=robomimic", "--vcodec=h264", *options])


def test_import_is_a_sound_dataset(file: Path, tmp_path: Path) -> None:
    out = tmp_path / "out"
    result = run(f"--dataset.file={file}", f"--output_dir={out}")
    assert (result.exit_code, result.stdout) == (0, f"{out}: 3 of 3 episodes\n")
    assert CliRunner().invoke(check, [str(out)]).exit_code == 0
    reader, ours = opened(file), LeRobotDataset("t/t", root=out, video_backend="pyav")
    assert (ours.fps, ours.meta.robot_type, ours.meta.tasks) == (25, "Panda", {"Lift": 0})
    for key in ("action", "observation.state", "next.reward"):
        np.testing.assert_allclose(ours.meta.stats[key]["mean"], reader.stats[key]["mean"], rtol=1e-5, atol=1e-6)
    assert abs(float(ours[8][FRONT].mean()) * 255 - 18) < 3


def test_an_interrupted_import_goes_on(file: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    from lerobot_datasets.robomimic.backend import RobomimicReader

    options, out = [f"--dataset.file={file}", f"--output_dir={tmp_path / 'out'}"], tmp_path / "out"
    frames = RobomimicReader.pictures

    def interrupted(self: Any, episode: int, *args: Any) -> Any:
        if episode == 1:
            raise KeyboardInterrupt
        return frames(self, episode, *args)

    with monkeypatch.context() as patch:
        patch.setattr(RobomimicReader, "pictures", interrupted)
        result = run(*options)
        assert result.exit_code != 0
        assert "1 of 3 episodes" in result.stdout
    assert len(LeRobotDataset("t/t", root=out, video_backend="pyav")) == 6
    assert isinstance(run(*options).exception, DataError), "it is there already"
    other = run(*options, "--resume=true", "--dataset.episodes=[1,2]")
    assert "does not hold the first episodes" in str(other.exception)
    assert run(*options, "--resume=true").exit_code == 0
    assert len(LeRobotDataset("t/t", root=out, video_backend="pyav")) == 22
    assert CliRunner().invoke(check, [str(out)]).exit_code == 0


def test_a_backend_that_says_no_tasks_is_not_imported(host: Any, tmp_path: Path) -> None:
    from lerobot_core.testing import memory
    from lerobot_core.testing import plugin as fakes

    host.add(fakes, "fakes", "lerobot-core")
    memory._STORE["m/m"] = memory.Stored({}, 10, None, [([], [])], [])
    result = CliRunner().invoke(
        import_, ["--dataset.type=memory", "--dataset.repo_id=m/m", f"--output_dir={tmp_path / 'x'}"]
    )
    assert "cannot be imported" in str(result.exception)
