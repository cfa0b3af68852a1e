"""Pushing to and pulling from a Hub on this machine, good network and bad."""

from __future__ import annotations

import hashlib
import json
import os
import shutil
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml
from click.testing import CliRunner
from recordings import PATIENT, backend, features, record

import hub_emulator
from hub_emulator import Fault, Hub, Repository
from lerobot_core.errors import DataError
from lerobot_datasets import hub, publish, versions
from lerobot_datasets.backend import LeRobotBackend
from lerobot_datasets.commands.card import card as card_command
from lerobot_datasets.commands.pull import pull as pull_command
from lerobot_datasets.commands.push import push as push_command
from lerobot_datasets.config import LeRobotBackendConfig
from lerobot_datasets.meta import LeRobotDatasetMetadata
from lerobot_datasets.v3.reader import Reader
from lerobot_datasets.v3.writer import Writer

constants = pytest.importorskip("huggingface_hub.constants")

NAME = "acme/cubes"


@pytest.fixture
def online(monkeypatch: pytest.MonkeyPatch) -> Iterator[Hub]:
    with hub_emulator.online(monkeypatch) as here:
        yield here


@pytest.fixture
def impatient(monkeypatch: pytest.MonkeyPatch) -> None:
    """The library waits longer and longer between its attempts; not here."""
    sleep = time.sleep
    monkeypatch.setattr(time, "sleep", lambda seconds: sleep(min(seconds, 0.01)))


@pytest.fixture(scope="session")
def recorded(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Four episodes with a camera, each in files of its own."""
    root = tmp_path_factory.mktemp("recorded") / "set"
    for part in range(4):
        if part == 0:
            writer = Writer.create(
                root,
                features(),
                10,
                robot_type="so_follower",
                encoder=PATIENT,
                data_files_size_in_mb=1e-6,
                video_files_size_in_mb=1e-6,
            )
        else:
            writer = Writer.resume(root, encoder=PATIENT)
        record(writer, [5 + part])
        writer.finalize()
    return root


@pytest.fixture
def dataset(recorded: Path, tmp_path: Path) -> Path:
    """A copy of that dataset."""
    return Path(shutil.copytree(recorded, tmp_path / "set"))


def push(root: Path, **options: Any) -> str:
    return publish.push(publish.plan(root, NAME), **options)


def uploads(here: Hub) -> list[str]:
    return [request.path for request in here.log if request.method == "PUT"]


def contents(root: Path) -> dict[str, bytes]:
    """Path → bytes of a dataset's files."""
    found = (path for kind in ("data", "videos", "meta") for path in (root / kind).rglob("*") if path.is_file())
    return {path.relative_to(root).as_posix(): path.read_bytes() for path in found}


def test_what_is_pushed_is_pulled(online: Hub, dataset: Path, tmp_path: Path) -> None:
    assert push(dataset).endswith(f"/datasets/{NAME}")
    assert contents(hub.pull(NAME)) == contents(dataset)
    assert contents(hub.pull(NAME, root=tmp_path / "other")) == contents(dataset)
    assert (tmp_path / "other/README.md").is_file()


def test_the_tag_is_the_last_word_and_moves(online: Hub, dataset: Path) -> None:
    push(dataset)
    calls = [r for r in online.log if r.method in ("POST", "PUT", "DELETE") and "lfs" not in r.path]
    assert (calls[-1].method, calls[-1].path.split("/")[-2]) == ("POST", "tag")
    repository = online.repositories[NAME]
    commits = list(repository.commits.values())[1:]
    assert [sorted({path.split("/")[0] for path in commit}) for commit in commits] == [
        ["data", "videos"], ["data", "meta", "videos"], ["README.md", "data", "meta", "videos"],
    ]  # fmt: skip
    first = repository.tags["v3.0"]
    writer = Writer.resume(dataset, encoder=PATIENT)
    record(writer, [3])
    writer.finalize()
    push(dataset)
    assert repository.tags["v3.0"] == repository.branches["main"] != first
    assert contents(hub.pull(NAME)) == contents(dataset)


def test_files_that_are_gone_here_go_there(online: Hub, dataset: Path, tmp_path: Path) -> None:
    push(dataset)
    shutil.rmtree(dataset)
    writer = Writer.create(dataset, features(), 10, encoder=PATIENT)
    record(writer, [4])
    writer.finalize()
    (dataset / "data/chunk-000/file-007.parquet").write_bytes(b"belongs to nothing")
    push(dataset)
    (dataset / "data/chunk-000/file-007.parquet").unlink()
    repository = online.repositories[NAME]
    assert set(repository.at("v3.0")) == {"README.md", *contents(dataset)}


@pytest.mark.parametrize(
    ("options", "fetched"),
    [
        ({"episodes": [1, 3]}, {"data/chunk-000/file-001.parquet", "data/chunk-000/file-003.parquet",
                                "videos/observation.images.front/chunk-000/file-001.mp4",
                                "videos/observation.images.front/chunk-000/file-003.mp4"}),
        ({"episodes": [2], "patterns": ["meta/*", "data/*"]}, {"data/chunk-000/file-002.parquet"}),
        ({"patterns": ["meta/*"]}, set()),
        ({"episodes": [2], "patterns": ["meta/*"]}, set()),
    ],
)  # fmt: skip
def test_only_what_is_asked_for_comes(online: Hub, dataset: Path, options: dict[str, Any], fetched: set[str]) -> None:
    push(dataset)
    online.log.clear()
    folder = hub.pull(NAME, **options)
    assert {path for path in online.fetched() if path.startswith(("data/", "videos/"))} == fetched
    assert {path for path in contents(folder) if path.startswith("meta/")} == {
        path for path in contents(dataset) if path.startswith("meta/")
    }
    reader = Reader(folder, options.get("episodes"))
    for episode in reader.selection if options.get("episodes") else []:
        if fetched:
            assert len(reader.columns(episode)["index"]) == 5 + episode


def test_more_episodes_join_what_is_here(online: Hub, dataset: Path, tmp_path: Path) -> None:
    push(dataset)
    root = tmp_path / "other"
    hub.pull(NAME, episodes=[0], root=root)
    assert set(contents(root)) < set(contents(dataset))
    online.log.clear()
    hub.pull(NAME, root=root)
    assert contents(root) == contents(dataset)
    assert "data/chunk-000/file-000.parquet" not in online.fetched()
    record(writer := Writer.resume(root, encoder=PATIENT), [3])
    writer.finalize()
    with pytest.raises(DataError, match="holds another dataset, or another state"):
        hub.pull(NAME, root=root)


def test_an_episode_that_is_not_there(online: Hub, dataset: Path) -> None:
    push(dataset)
    with pytest.raises(DataError, match=r"no episode of \[9\]") as caught:
        hub.pull(NAME, episodes=[9])
    assert "4 episodes" in caught.value.hint


def test_a_file_that_its_owner_forgot(online: Hub, dataset: Path) -> None:
    push(dataset)
    del online.repositories[NAME].at("main")["data/chunk-000/file-001.parquet"]
    with pytest.raises(DataError, match=r"lacks data/chunk-000/file-001\.parquet"):
        hub.pull(NAME, episodes=[1])


# --- revisions --------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("wanted", "names", "found"),
    [
        ("v3.0", ["main", "v2.1", "v3.0", "v3.1"], "v3.0"),
        ("3.0", ["v3.0"], "v3.0"),
        ("v3.2", ["v3.0", "v3.1", "v3.3", "v2.9"], "v3.1"),
        ("v2.1", ["v2.0", "v1.9", "main"], "v2.0"),
        ("v3.0", ["v3.0.1"], "v3.0.1"),
        ("v3.0", ["v3.0.1", "v3.0"], "v3.0"),
        ("main", ["main", "v3.0"], "main"),
        ("0a1b2c3d4e", [], "0a1b2c3d4e"),
    ],
)
def test_which_revision(wanted: str, names: list[str], found: str) -> None:
    assert versions.choose(NAME, wanted, names) == found


@pytest.mark.parametrize(
    ("wanted", "names", "message", "hint"),
    [
        ("v3.0", ["main", "v2.1", "v2.0"], r"in the older v2\.0, v2\.1", "convert"),
        ("v3.0", ["v3.1", "v4.0"], r"in the newer v3\.1, v4\.0", "update"),
        ("v3.0", ["main"], "has no version tag, found main", "lr dataset push"),
        ("v3.0", [], "has no version tag, found no branch", "lr dataset push"),
        ("mian", ["main"], "has no revision 'mian'; did you mean 'main'", "it has main"),
    ],
)
def test_no_such_revision(wanted: str, names: list[str], message: str, hint: str) -> None:
    with pytest.raises(DataError, match=message) as caught:
        versions.choose(NAME, wanted, names)
    assert hint in caught.value.hint


def test_a_branch_and_a_commit_can_be_pulled(online: Hub, dataset: Path) -> None:
    push(dataset, branch="trial")
    repository = online.repositories[NAME]
    assert repository.at("main") == {}
    assert repository.tags["v3.0"] == repository.branches["trial"]
    assert hub.pull(NAME, "trial") == hub.pull(NAME, repository.branches["trial"]) == hub.pull(NAME)
    with pytest.raises(DataError, match=r"'main' is not a dataset: it has no meta/info\.json"):
        hub.pull(NAME, "main")


def test_an_old_dataset_is_pulled_when_its_version_is_named(online: Hub) -> None:
    online.repositories[NAME] = repository = Repository()
    info = json.dumps({"codebase_version": "v2.1", "features": {}}).encode()
    repository.tags["v2.1"] = repository.add(
        "main", {"meta/info.json": info, "meta/tasks.jsonl": b"{}", "data/a": b"1"}
    )
    with pytest.raises(DataError, match=r"in the older v2\.1"):
        hub.pull(NAME)
    assert (hub.pull(NAME, "v2.1") / "data/a").read_bytes() == b"1"


# --- who may ----------------------------------------------------------------------------------------------------------


def test_private_repositories(online: Hub, dataset: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    push(dataset, private=True)
    assert online.repositories[NAME].private
    hub.pull(NAME)
    monkeypatch.delenv("HF_TOKEN")
    with pytest.raises(DataError, match="no such repository, or it is private") as caught:
        hub.pull(NAME)
    assert "hf auth login" in caught.value.hint


def test_what_is_to_be_private_goes_to_no_public_repository(online: Hub, dataset: Path) -> None:
    online.repositories[NAME] = Repository()
    with pytest.raises(DataError, match="exists and everybody may see it; nothing was sent"):
        push(dataset, private=True)
    assert (uploads(online), len(online.repositories[NAME].commits)) == ([], 1)
    online.repositories[NAME].private = True
    push(dataset, private=True)


def test_who_may_not(online: Hub, dataset: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(DataError, match="download dataset 'acme/nothing': no such repository"):
        hub.pull("acme/nothing")
    online.readers.add("guest")
    for login, reason in (("guest", "your login may not do this"), ("unknown", "does not accept the login")):
        monkeypatch.setenv("HF_TOKEN", login)
        with pytest.raises(DataError, match=f"could not push '.*' to '{NAME}': .*{reason}"):
            push(dataset)


def test_a_name_needs_an_owner(dataset: Path) -> None:
    for name in ("cubes", "a/b/c", "/cubes", "./cubes"):
        with pytest.raises(DataError, match="is not the name of a repository"):
            publish.plan(dataset, name)


# --- a bad network ----------------------------------------------------------------------------------------------------


@pytest.mark.usefixtures("impatient")
def test_a_push_that_broke_off_goes_on(online: Hub, dataset: Path) -> None:
    """The second video never gets through, for as long as the library tries."""
    video = dataset / "videos/observation.images.front/chunk-000/file-001.mp4"
    oid = hashlib.sha256(video.read_bytes()).hexdigest()
    online.faults.append(Fault(f"PUT /large/{oid}", times=1000))
    with pytest.raises(DataError, match="the Hub cannot be reached") as caught:
        push(dataset)
    assert "what arrived is kept" in caught.value.hint
    repository = online.repositories[NAME]
    assert (repository.tags, repository.at("main")) == ({}, {}), "nobody sees a half"
    arrived = set(online.large)
    assert arrived
    online.faults.clear()
    online.log.clear()
    push(dataset)
    assert f"/large/{oid}" in uploads(online)
    assert not {f"/large/{oid}" for oid in arrived} & set(uploads(online)), "what is there is not sent again"
    assert contents(hub.pull(NAME)) == contents(dataset)


@pytest.mark.usefixtures("impatient")
def test_a_download_that_is_cut_goes_on_where_it_was(
    online: Hub, dataset: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    push(dataset)
    big = dataset / "data/chunk-000/file-000.parquet"
    repository = online.repositories[NAME]
    big.write_bytes(os.urandom(3_000_000))
    repository.at("main")["data/chunk-000/file-000.parquet"] = big.read_bytes()
    online.log.clear()
    online.faults.append(Fault("GET .*/resolve/.*/data/chunk-000/file-000.parquet"))
    monkeypatch.setattr(constants, "DOWNLOAD_CHUNK_SIZE", 100_000)  # what is lost of a cut connection
    folder = hub.pull(NAME)
    begins = [r.at for r in online.log if r.method == "GET" and r.path.endswith("data/chunk-000/file-000.parquet")]
    assert begins[0] == 0
    assert begins[1] > 0
    assert contents(folder) == contents(dataset)


@pytest.mark.usefixtures("impatient")
def test_a_pull_that_broke_off_is_no_dataset_and_goes_on(online: Hub, dataset: Path, tmp_path: Path) -> None:
    push(dataset)
    root = tmp_path / "other"
    online.faults.append(Fault("(GET|HEAD) .*/resolve/.*/data/chunk-000/file-003.parquet", status=503, times=1000))
    with pytest.raises(DataError, match="could not download"):
        hub.pull(NAME, root=root)
    assert not (root / "meta/info.json").exists()
    online.faults.clear()
    online.log.clear()
    hub.pull(NAME, root=root)
    assert contents(root) == contents(dataset)


def test_a_full_disk_leaves_no_dataset(
    online: Hub, dataset: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    push(dataset)
    copyfile = shutil.copyfile

    def full(source: Path, target: Path) -> None:
        if source.name == "stats.json":
            raise OSError(28, "No space left on device")
        copyfile(source, target)

    monkeypatch.setattr(shutil, "copyfile", full)
    with pytest.raises(DataError, match="No space left on device"):
        hub.pull(NAME, root=tmp_path / "other")
    assert not (tmp_path / "other/meta/info.json").exists()


@pytest.mark.usefixtures("impatient")
def test_the_hub_out_of_order_then_not(online: Hub, dataset: Path) -> None:
    online.faults.append(Fault("POST /api/datasets/.*/commit/", status=500))
    with pytest.raises(DataError, match=r"out of order \(status 500\)"):
        push(dataset)
    assert "v3.0" not in online.repositories[NAME].tags
    sent = uploads(online)
    online.log.clear()
    online.faults.append(Fault("PUT /large/", status=500))  # tried again by the library itself
    push(dataset)
    assert sent
    assert not set(sent) & set(uploads(online)), "what is there is not sent again"
    online.faults.append(Fault("GET .*/resolve/.*file-000.mp4", status=500))
    with pytest.raises(DataError, match=r"out of order \(status 500\)"):
        hub.pull(NAME)
    assert contents(hub.pull(NAME)) == contents(dataset)


@pytest.mark.usefixtures("impatient")
def test_nobody_there(dataset: Path, online: Hub, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(constants, "ENDPOINT", "http://127.0.0.1:9")
    for action in (lambda: hub.pull(NAME), lambda: push(dataset)):
        with pytest.raises(DataError, match="the Hub cannot be reached"):
            action()


# --- offline ----------------------------------------------------------------------------------------------------------


def test_offline(online: Hub, dataset: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    push(dataset)
    folder = hub.pull(NAME, episodes=[1])
    online.log.clear()
    monkeypatch.setattr(constants, "HF_HUB_OFFLINE", True)
    assert hub.pull(NAME, episodes=[1]) == folder
    assert LeRobotDatasetMetadata(NAME).total_episodes == 4
    with pytest.raises(DataError, match="was not downloaded before, and HF_HUB_OFFLINE is set"):
        hub.pull("acme/other")
    for missing in ({"episodes": [2]}, {}):
        with pytest.raises(DataError, match="not all of it is on this machine, and HF_HUB_OFFLINE"):
            hub.pull(NAME, **missing)
    with pytest.raises(DataError, match="while HF_HUB_OFFLINE is set") as caught:
        push(dataset)
    assert f"lr dataset push {dataset} {NAME}" in caught.value.hint
    assert not online.log


def test_without_the_library(dataset: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "huggingface_hub", None)
    for action in (lambda: hub.pull(NAME), lambda: push(dataset)):
        with pytest.raises(DataError, match="needs huggingface_hub") as caught:
            action()
        assert caught.value.hint == 'pip install "lerobot-core[hub]"'


# --- commands, and what else uses the Hub -----------------------------------------------------------------------------


def lr(*words: str) -> subprocess.CompletedProcess[str]:
    """`lr` in a process of its own, which reads the Hub's address when it starts."""
    code = "import sys; from lerobot_core.cli import main; main(sys.argv[1:])"
    env = {**os.environ, "HF_HUB_DISABLE_XET": "1", "HF_HUB_OFFLINE": "0", "HF_HUB_DISABLE_PROGRESS_BARS": "1"}
    return subprocess.run(
        [sys.executable, "-c", code, *words], env=env, capture_output=True, text=True, check=False, timeout=60
    )


def test_commands(online: Hub, dataset: Path, tmp_path: Path) -> None:
    done = lr("dataset", "push", str(dataset), NAME, "--private", "--tags=cubes,so101", "--license=mit")
    assert done.returncode == 0, done.stderr
    assert done.stdout.strip().endswith(f"/datasets/{NAME}")
    assert online.repositories[NAME].private
    text = online.repositories[NAME].at("main")["README.md"].decode()
    assert 'license: "mit"' in text
    assert '- "LeRobot"\n- "cubes"\n- "so101"\n' in text
    done = lr("dataset", "pull", NAME, "--episodes=0,2-3", "--videos=false", f"--root={tmp_path / 'other'}")
    assert done.returncode == 0, done.stderr
    assert done.stdout.strip() == str(tmp_path / "other")
    assert sorted(path for path in contents(tmp_path / "other") if not path.startswith("meta/")) == [
        f"data/chunk-000/file-00{i}.parquet" for i in (0, 2, 3)
    ]
    done = lr("dataset", "pull", "acme/nothing")
    assert (done.returncode, len(done.stderr.strip().splitlines())) == (1, 2)
    assert "no such repository" in done.stderr


def test_a_store_of_large_files_that_cannot_be_reached(
    online: Hub, dataset: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """With hf-xet the bytes go elsewhere, which this Hub does not have; the way round it is named, and leads there."""
    pytest.importorskip("hf_xet")
    monkeypatch.setattr(constants, "HF_HUB_DISABLE_XET", False)
    with pytest.raises(DataError, match=r"\(xet\) cannot be reached") as caught:
        push(dataset)
    assert "HF_HUB_DISABLE_XET=1" in caught.value.hint
    repository = online.repositories[NAME]
    assert (repository.tags, repository.at("main")) == ({}, {}), "nobody sees a half"
    monkeypatch.setattr(constants, "HF_HUB_DISABLE_XET", True)
    push(dataset)
    assert contents(hub.pull(NAME)) == contents(dataset)


def test_dry_run_asks_nobody(online: Hub, dataset: Path) -> None:
    (dataset / "data/chunk-000/file-009.parquet").write_bytes(b"stray")
    result = CliRunner().invoke(push_command, [str(dataset), NAME, "--dry_run"], catch_exceptions=False)
    assert result.exit_code == 0
    assert "4 tables, 4 videos" in result.output
    assert "left   data/chunk-000/file-009.parquet" in result.output
    result = CliRunner().invoke(push_command, [str(dataset), NAME, "--dry_run", "--videos=false"])
    assert "4 tables, 0 videos" in result.output
    assert not online.log


@pytest.mark.parametrize("text", ["", "a", "3-1", "1,,2", "-1"])
def test_episodes_that_are_no_numbers(text: str) -> None:
    result = CliRunner().invoke(pull_command, [NAME, f"--episodes={text}"])
    assert result.exit_code == 2
    assert "neither a number nor a range" in result.output


def test_card(recorded: Path) -> None:
    result = CliRunner().invoke(card_command, [str(recorded), f"--repo_id={NAME}"], catch_exceptions=False)
    front, body = result.output.removeprefix("---\n").split("\n---\n")
    assert yaml.safe_load(front) == {
        "license": "apache-2.0",
        "task_categories": ["robotics"],
        "tags": ["LeRobot"],
        "configs": [{"config_name": "default", "data_files": "data/*/*.parquet"}],
    }
    assert json.loads(body.split("```json\n")[1].split("```")[0]) == json.loads(
        (recorded / "meta/info.json").read_text()
    )
    for part in ("created using [LeRobot]", f"path={NAME}", "so_follower", "4, 26 frames at 10 fps", "task 0; task 1"):
        assert part in body


def test_a_card_of_ones_own(online: Hub, dataset: Path) -> None:
    (dataset / "README.md").write_text("# Mine\n")
    push(dataset)
    assert online.repositories[NAME].at("v3.0")["README.md"] == b"# Mine\n"


def test_a_folder_that_is_not_whole_is_not_pushed(online: Hub, dataset: Path, tmp_path: Path) -> None:
    (dataset / "data/chunk-000/file-001.parquet").unlink()
    with pytest.raises(DataError, match=r"lacks data/chunk-000/file-001\.parquet"):
        push(dataset)
    Writer.create(tmp_path / "empty", features(), 10, encoder=PATIENT).finalize()
    with pytest.raises(DataError, match="has no episodes"):
        push(tmp_path / "empty")
    assert not online.log


def test_the_backend_pushes_and_opens_by_name(online: Hub, dataset: Path) -> None:
    backend(dataset, repo_id=NAME, private=True, tags=["mine"]).push_to_hub()
    assert online.repositories[NAME].private
    assert '- "mine"' in online.repositories[NAME].at("v3.0")["README.md"].decode()
    online.log.clear()
    reader = LeRobotBackend(LeRobotBackendConfig(repo_id=NAME)).open([2])
    assert (reader.num_episodes, reader.num_frames) == (1, 7)
    assert {path for path in online.fetched() if path.startswith("data")} == {"data/chunk-000/file-002.parquet"}
    online.readers.add("writer")
    with pytest.raises(DataError, match="your login may not do this") as caught:
        backend(dataset, repo_id=NAME).push_to_hub()
    assert caught.value.hint.endswith(f"`lr dataset push {dataset} {NAME}`")


@pytest.mark.needs_torch
def test_dataset_by_name(online: Hub, dataset: Path) -> None:
    from lerobot_datasets import LeRobotDataset

    LeRobotDataset(NAME, root=dataset).push_to_hub(license="mit", push_videos=True)
    online.log.clear()
    pulled = LeRobotDataset(NAME, episodes=[1])
    assert (len(pulled), pulled[0]["task"]) == (6, "task 1")
    assert "data/chunk-000/file-000.parquet" not in online.fetched()
