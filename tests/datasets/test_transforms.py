"""Random changes of pictures against plain per-pixel formulas; draws, weights, batches, windows, bytes."""

from __future__ import annotations

import colorsys
import math
from itertools import product
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import recordings
import torch
from hypothesis import given
from hypothesis import strategies as st

from lerobot_core.errors import ConfigError
from lerobot_datasets import ImageTransforms, LeRobotDataset
from lerobot_datasets.backend import LeRobotBackend
from lerobot_datasets.transforms import KINDS, Draws

HEIGHT, WIDTH = 9, 12

#: The usual six, and one of each other type.
USUAL = {
    "brightness": {"type": "ColorJitter", "kwargs": {"brightness": [0.8, 1.2]}},
    "contrast": {"type": "ColorJitter", "kwargs": {"contrast": [0.8, 1.2]}},
    "saturation": {"type": "ColorJitter", "kwargs": {"saturation": [0.5, 1.5]}},
    "hue": {"type": "ColorJitter", "kwargs": {"hue": [-0.05, 0.05]}},
    "sharpness": {"type": "SharpnessJitter", "kwargs": {"sharpness": [0.5, 1.5]}},
    "affine": {"type": "RandomAffine", "kwargs": {"degrees": [-5.0, 5.0], "translate": [0.05, 0.05]}},
}
OTHERS = {"all": {"type": "ColorJitter", "kwargs": {"brightness": 0.2, "contrast": 0.2, "saturation": 0.5, "hue": 0.1}}}
OTHERS |= {name: {"type": name} for name in KINDS if name not in ("ColorJitter", "SharpnessJitter", "RandomAffine")}
EVERY = USUAL | OTHERS


def pictures(count: int = 1, seed: int = 0) -> torch.Tensor:
    """Random pictures (N, 3, H, W)."""
    return torch.rand(count, 3, HEIGHT, WIDTH, generator=torch.Generator().manual_seed(seed))


def changed(picture: torch.Tensor, kind: str, drawn: list[float], **options: Any) -> torch.Tensor:
    """A picture (3, H, W) after one change with these numbers."""
    transforms = ImageTransforms({"one": {"type": kind, "kwargs": options}})
    return transforms.apply(picture[None], Draws(torch.zeros(1, 1, dtype=torch.long), [torch.tensor([drawn])]))[0]


def per_pixel(picture: torch.Tensor, formula: Any) -> torch.Tensor:
    """A picture of which each pixel's (r, g, b) went through a formula."""
    out = [[formula(*picture[:, y, x].tolist()) for x in range(WIDTH)] for y in range(HEIGHT)]
    return torch.tensor(out).permute(2, 0, 1).clamp(0, 1)


def grey(r: float, g: float, b: float) -> float:
    return 0.2989 * r + 0.587 * g + 0.114 * b


def close(found: torch.Tensor, wanted: torch.Tensor, within: float = 2e-6) -> None:
    assert found.dtype == torch.float32
    assert (found - wanted).abs().max() <= within


# --- each kind against its formula ----------------------------------------------------------------------------------


@pytest.mark.parametrize("f", [0.3, 1.0, 1.7])
def test_colours(f: float) -> None:
    picture = pictures()[0]
    mean = np.mean([grey(*picture[:, y, x].tolist()) for y, x in product(range(HEIGHT), range(WIDTH))])
    formulas = {
        "brightness": lambda *p: [f * c for c in p],
        "contrast": lambda *p: [f * c + (1 - f) * mean for c in p],
        "saturation": lambda *p: [f * c + (1 - f) * grey(*p) for c in p],
    }
    for name, formula in formulas.items():
        close(changed(picture, "ColorJitter", [f, 0.0], **{name: f}), per_pixel(picture, formula))
    close(changed(picture, "GammaCorrection", [f]), per_pixel(picture, lambda *p: [c**f for c in p]))


@pytest.mark.parametrize("turn", [-0.5, -0.05, 0.0, 0.2, 0.5])
def test_hue(turn: float) -> None:
    picture = pictures()[0]
    picture[:, 0, 0], picture[:, 0, 1], picture[:, 0, 2] = 0.0, 1.0, 0.4

    def turned(r: float, g: float, b: float) -> tuple[float, float, float]:
        h, s, v = colorsys.rgb_to_hsv(r, g, b)
        return colorsys.hsv_to_rgb((h + turn) % 1, s, v)

    close(changed(picture, "ColorJitter", [turn, 0.0], hue=0.5), per_pixel(picture, turned))


def test_several_colours_in_the_order_drawn() -> None:
    picture = pictures()[0]
    ways = [[1.5, 0.2, 0.0, 1.0], [1.5, 0.2, 1.0, 0.0]]
    bright_first = per_pixel(per_pixel(picture, lambda *p: [1.5 * c for c in p]), lambda *p: mix(p, 0.2))
    grey_first = per_pixel(per_pixel(picture, lambda *p: mix(p, 0.2)), lambda *p: [1.5 * c for c in p])
    for drawn, wanted in zip(ways, [bright_first, grey_first], strict=True):
        close(changed(picture, "ColorJitter", drawn, brightness=0.5, saturation=0.9), wanted)
    assert (bright_first - grey_first).abs().max() > 0.01
    drawn = KINDS["ColorJitter"](brightness=0.5, saturation=0.9).draw(64, torch.Generator().manual_seed(0))
    assert {tuple(order) for order in drawn[:, 2:].tolist()} == {(0.0, 1.0), (1.0, 0.0)}


def mix(pixel: tuple[float, ...], f: float) -> list[float]:
    return [f * c + (1 - f) * grey(*pixel) for c in pixel]


@pytest.mark.parametrize("f", [0.0, 1.0, 1.8])
def test_sharpness(f: float) -> None:
    picture = pictures()[0]
    wanted = picture.clone()
    for c, y, x in product(range(3), range(1, HEIGHT - 1), range(1, WIDTH - 1)):
        around = sum(picture[c, y + j, x + i].item() for j, i in product((-1, 0, 1), repeat=2))
        smooth = (around + 4 * picture[c, y, x].item()) / 13
        wanted[c, y, x] = f * picture[c, y, x] + (1 - f) * smooth
    close(changed(picture, "SharpnessJitter", [f], sharpness=0.5), wanted.clamp(0, 1))


AFFINE = [(0, 0, 0, 1, 0, 0), (0, 2, -1, 1, 0, 0), (30, 0, 0, 1, 0, 0), (-8, 1, 2, 1.4, 0, 0), (10, 0, 1, 0.7, 12, -7)]


@pytest.mark.parametrize(("angle", "right", "down", "scale", "shear_x", "shear_y"), AFFINE)
def test_affine(angle: float, right: int, down: int, scale: float, shear_x: float, shear_y: float) -> None:
    """Each pixel shows what was where the inverse of turn, shear, scale and shift leads; fill where nothing was."""
    picture = pictures()[0]
    wanted = torch.full_like(picture, 0.25)
    a, tx, ty = math.radians(angle), math.tan(math.radians(shear_x)), math.tan(math.radians(shear_y))
    m = scale * np.array([[math.cos(a), -math.sin(a)], [math.sin(a), math.cos(a)]]) @ [[1, -tx], [-ty, 1 + tx * ty]]
    middle = np.array([WIDTH - 1, HEIGHT - 1]) / 2
    for y, x in product(range(HEIGHT), range(WIDTH)):
        at = np.linalg.solve(m, np.array([x - right, y - down]) - middle) + middle
        if np.abs(at - np.floor(at) - 0.5).min() < 1e-4:
            wanted[:, y, x] = float("nan")  # half way between two pixels: either will do
            continue
        i, j = np.round(at).astype(int)
        if 0 <= i < WIDTH and 0 <= j < HEIGHT:
            wanted[:, y, x] = picture[:, j, i]
    drawn = [angle, right / WIDTH, down / HEIGHT, scale, shear_x, shear_y]
    found = changed(picture, "RandomAffine", drawn, degrees=0, fill=0.25)
    assert wanted.isnan().float().mean() < 0.2
    assert torch.equal(found[~wanted.isnan()], wanted[~wanted.isnan()])


@pytest.mark.parametrize(("half", "angle"), [(0, 1.0), (1, 0.0), (2, math.pi / 2), (3, 0.7)])
def test_motion_blur(half: int, angle: float) -> None:
    picture = pictures()[0]
    wanted = torch.zeros_like(picture)
    steps = range(-half, half + 1)
    for c, y, x, i in product(range(3), range(HEIGHT), range(WIDTH), steps):
        j, k = y + round(i * math.sin(angle)), x + round(i * math.cos(angle))
        wanted[c, y, x] += picture[c, min(max(j, 0), HEIGHT - 1), min(max(k, 0), WIDTH - 1)] / len(steps)
    close(changed(picture, "MotionBlur", [half, angle]), wanted)


def test_patches_shadow_and_holes() -> None:
    picture = pictures()[0] / 2
    x, y = (np.arange(WIDTH) + 0.5) / WIDTH, ((np.arange(HEIGHT) + 0.5) / HEIGHT)[:, None]
    patch = 1 + 0.5 * np.exp(-((x - 0.3) ** 2 + (y - 0.8) ** 2) / (2 * 0.2**2))
    found = changed(picture, "GaussianPatchBrightness", [0.3, 0.8, 0.2, 1.5], num_patches=1)
    close(found, picture * torch.from_numpy(patch).float())
    band = 1 - 0.6 * np.clip(np.minimum(x - 0.25, 0.75 - x) / 0.1 + 0.5, 0, 1)
    close(changed(picture, "RandomShadow", [-0.6, 0.25, 0.75, 0.1]), picture * torch.from_numpy(band).float())
    wanted = picture.clone()
    wanted[:, 3:6, 4:6] = 0.9  # 0.3 of 9 high, 0.15 of 12 wide; at a half of the places there are for it
    close(changed(picture, "CoarseDropout", [0.4, 0.5, 0.3, 0.15], max_holes=1, fill_value=0.9), wanted)


def test_noise_has_the_deviation_drawn() -> None:
    transforms = ImageTransforms({"noise": {"type": "GaussianNoise", "kwargs": {"std": 25.5}}})
    flat = torch.full((2, 4, 3, 64, 64), 0.5)
    found = transforms.batch(flat, []) - flat
    assert found.std(dim=(-3, -2, -1)).flatten().tolist() == pytest.approx([0.1] * 8, rel=0.02)
    each = found.flatten(2).flatten(0, 1)
    assert (torch.corrcoef(each) - torch.eye(8)).abs().max() < 0.05  # also from picture to picture of a window


def test_light_of_a_temperature() -> None:
    warm = changed(pictures()[0] / 2, "PlanckianJitter", [1.5, 1.0, 0.5])
    close(warm, pictures()[0] / 2 * torch.tensor([1.5, 1.0, 0.5]).view(3, 1, 1))
    kind = KINDS["PlanckianJitter"]
    assert kind(temperature=[6500, 6500]).draw(1, None)[0].tolist() == pytest.approx([1.046, 1.0, 1.0387])
    assert kind(temperature=[3250, 3250]).draw(1, None)[0].tolist() == pytest.approx([1.5773, 1.0, 0.1979])


def test_jpeg_keeps_what_its_tables_keep() -> None:
    """One block of grey, transformed by the sums of its definition; flat colours stay."""
    values = np.round(np.random.default_rng(0).uniform(60, 200, (8, 8)))
    steps = np.maximum(np.floor((np.array([16, 11, 10, 16, 24, 40, 51, 61]) * 100 + 50) / 100), 1)  # first row, q = 50
    k = np.arange(8)
    basis = np.cos((2 * k + 1) * k[:, None] * np.pi / 16) / 2 * np.where(k == 0, math.sqrt(0.5), 1)[:, None]
    grey_block = torch.from_numpy(values / 255).float().expand(3, 8, 8)
    found = changed(grey_block, "JPEGCompression", [50.0]).mean(0).double().numpy() * 255
    frequencies = basis @ (found - 128) @ basis.T
    assert (
        np.abs(frequencies[0] / steps - np.round(frequencies[0] / steps)).max() < 0.12
    )  # whole multiples, but rounding
    assert np.abs(basis @ (values - 128) @ basis.T - frequencies)[0].max() <= steps.max() / 2 + 1
    for quality in (5.0, 50.0, 95.0):
        flat = torch.tensor([0.8, 0.4, 0.2]).view(3, 1, 1).expand(3, 20, 30)
        assert (changed(flat, "JPEGCompression", [quality]) - flat).abs().max() < 0.12 - quality / 1000


# --- draws ----------------------------------------------------------------------------------------------------------


def test_nothing_changes_where_nothing_is_asked() -> None:
    same = {
        "colour": {"type": "ColorJitter", "kwargs": {"brightness": 0.0, "contrast": 0, "saturation": 0.0, "hue": 0.0}},
        "none": {"type": "ColorJitter"},
        "sharpness": {"type": "SharpnessJitter", "kwargs": {"sharpness": [1.0, 1.0]}},
        "affine": {"type": "RandomAffine", "kwargs": {"degrees": 0.0}},
        "noise": {"type": "GaussianNoise", "kwargs": {"std": 0}},
        "blur": {"type": "MotionBlur", "kwargs": {"kernel_size": 1}},
        "patches": {"type": "GaussianPatchBrightness", "kwargs": {"factor_range": [1, 1]}},
        "shadow": {"type": "RandomShadow", "kwargs": {"opacity": 0}},
        "gamma": {"type": "GammaCorrection", "kwargs": {"gamma": [1, 1]}},
    }
    transforms = ImageTransforms(same, max_num_transforms=9, random_order=True)
    close(transforms(pictures()[0]), pictures()[0])
    whole = (pictures(8) * 255).to(torch.uint8)
    assert torch.equal(transforms.batch(whole, []), whole)


@pytest.mark.parametrize("dtype", [torch.float32, torch.uint8, torch.float16])
@pytest.mark.parametrize("window", [(), (1,), (3,)])
def test_shape_dtype_and_range_are_kept_and_the_input_too(dtype: torch.dtype, window: tuple[int, ...]) -> None:
    transforms = ImageTransforms(EVERY, max_num_transforms=len(EVERY), random_order=True, seed=1)
    given = torch.rand(4, *window, 3, HEIGHT, WIDTH)
    given = (given * 255).to(dtype) if dtype == torch.uint8 else given.to(dtype)
    before = given.clone()
    found = transforms.batch(given, [0])
    assert (found.dtype, found.shape) == (dtype, given.shape)
    assert torch.equal(given, before)
    assert found.float().min() >= 0
    assert found.float().max() <= (255 if dtype == torch.uint8 else 1)
    assert not torch.equal(found, given)


@pytest.mark.parametrize("random_order", [False, True])
def test_a_batch_is_its_items_and_a_window_its_pictures(random_order: bool, monkeypatch: pytest.MonkeyPatch) -> None:
    transforms = ImageTransforms(EVERY, max_num_transforms=4, random_order=random_order)
    given = torch.rand(10, 2, 3, HEIGHT, WIDTH, generator=torch.Generator().manual_seed(0))
    draws = transforms.draw(10, torch.Generator().manual_seed(0))
    whole = transforms.apply(given, draws)
    for i in range(10):
        close(transforms.apply(given[i : i + 1], draws[i : i + 1])[0], whole[i], 1e-6)
    monkeypatch.setattr("lerobot_datasets.transforms._AT_ONCE", 3 * given[0].numel())  # 3, 3, 3 and 1 items
    close(transforms.apply(given, draws), whole, 1e-6)
    quiet = ImageTransforms({name: tf for name, tf in EVERY.items() if name != "GaussianNoise"}, 4, random_order)
    draws = quiet.draw(10, torch.Generator().manual_seed(0))
    alike = given[:, :1].expand(-1, 2, -1, -1, -1)
    first, second = quiet.apply(alike, draws).unbind(dim=1)
    close(first, second, 1e-6)


def test_bytes_and_floats_are_changed_alike() -> None:
    transforms = ImageTransforms(USUAL, max_num_transforms=6)
    whole = (pictures(6) * 255).to(torch.uint8)
    draws = transforms.draw(6, torch.Generator().manual_seed(3))
    found = transforms.apply(whole, draws)
    wanted = (transforms.apply(whole.float() / 255, draws) * 255).round()
    assert torch.equal(found.float(), wanted)


def test_changes_are_drawn_by_weight_without_repeats() -> None:
    names = ["a", "b", "c", "off"]
    weights = [1.0, 2.0, 5.0, 0.0]
    tfs = {n: {"type": "ColorJitter", "weight": w} for n, w in zip(names, weights, strict=True)}
    one = ImageTransforms(tfs, max_num_transforms=1).draw(8000, torch.Generator().manual_seed(0)).turns
    assert (np.bincount(one[:, 0], minlength=3) / 8000).tolist() == pytest.approx([1 / 8, 2 / 8, 5 / 8], abs=0.02)
    in_order = ImageTransforms(tfs, max_num_transforms=2).draw(100).turns
    assert (in_order[:, 0] < in_order[:, 1]).all()
    any_order = ImageTransforms(tfs, max_num_transforms=2, random_order=True).draw(200).turns
    assert (any_order[:, 0] != any_order[:, 1]).all()
    assert 0 < (any_order[:, 0] > any_order[:, 1]).sum() < 200
    assert ImageTransforms(tfs, max_num_transforms=9).draw(1).turns.tolist() == [[0, 1, 2]]


@given(st.integers(0, 2**32), st.lists(st.integers(0, 10**12), max_size=5))
def test_a_seed_makes_draws_a_function_of_the_numbers(seed: int, numbers: list[int]) -> None:
    given_ = pictures(3)
    state = torch.get_rng_state()
    one = ImageTransforms(USUAL, seed=seed).batch(given_, numbers)
    assert torch.equal(one, ImageTransforms(USUAL, seed=seed).batch(given_, numbers))
    assert not torch.equal(one, ImageTransforms(USUAL, seed=seed).batch(given_, [*numbers, 1]))
    assert not torch.equal(one, ImageTransforms(USUAL, seed=seed + 1).batch(given_, numbers))
    assert torch.equal(torch.get_rng_state(), state)


def test_without_a_seed_torch_decides() -> None:
    transforms = ImageTransforms(USUAL)
    torch.manual_seed(7)
    first, second = transforms(pictures()[0]), transforms(pictures()[0])
    torch.manual_seed(7)
    assert torch.equal(transforms(pictures()[0]), first)
    assert not torch.equal(first, second)


@pytest.mark.parametrize(
    ("tfs", "told"),
    [
        ({"a": {"type": "ColourJitter"}}, "'ColourJitter'.*did you mean 'ColorJitter'"),
        ({"a": {"type": "ColorJitter", "kwargs": {"bright": 0.1}}}, "'a'.*bright"),
        ({"a": {"type": "ColorJitter", "kwargs": {"hue": [-0.6, 0.1]}}}, "two rising numbers from -0.5 to 0.5"),
        ({"a": {"type": "ColorJitter", "kwargs": {"brightness": "much"}}}, "'a'"),
        ({"a": {"type": "SharpnessJitter", "kwargs": {"sharpness": -1}}}, "0 or more"),
        ({"a": {"type": "RandomAffine", "kwargs": {"degrees": 5, "translate": [2, 0]}}}, "translate"),
        ({"a": {"type": "RandomAffine"}}, "'a'.*degrees"),
        ({"a": {"type": "MotionBlur", "kwargs": {"kernel_size": 4}}}, "odd"),
        ({"a": {"type": "ColorJitter", "weight": -1}}, "weight"),
        ({"a": {"type": "ColorJitter", "probability": 1}}, "probability"),
        ({"a": {"type": "ColorJitter", "weight": 0}}, "3 of 0 changes"),
    ],
)
def test_what_cannot_be_is_refused(tfs: dict[str, Any], told: str) -> None:
    with pytest.raises(ConfigError, match=told):
        ImageTransforms(tfs)


# --- in a dataset ---------------------------------------------------------------------------------------------------


def recorded(backend: LeRobotBackend, camera: str) -> None:
    writer = backend.create(recordings.features(camera), 10)
    recordings.record(writer, [8, 5])
    writer.finalize()


@pytest.mark.parametrize("camera", ["video", "image"])
def test_a_dataset_changes_its_pictures(tmp_path: Path, camera: str) -> None:
    recorded(recordings.backend(tmp_path / "set"), camera)
    dark = {"dark": {"type": "ColorJitter", "kwargs": {"brightness": [0.5, 0.5]}}}
    for options in ({}, {"return_uint8": True}, {"delta_timestamps": {recordings.CAMERA: [-0.1, 0.0]}}):
        plain = LeRobotDataset("test/set", tmp_path / "set", video_backend="pyav", **options)
        one = LeRobotDataset(
            "test/set", tmp_path / "set", image_transforms=ImageTransforms(dark), video_backend="pyav", **options
        )
        for i in (0, 9):
            was, became = plain[i][recordings.CAMERA], one[i][recordings.CAMERA]
            assert became.dtype == was.dtype
            wanted = (was.float() / 2).round() if was.dtype == torch.uint8 else was / 2
            assert (became.float() - wanted).abs().max() <= (0 if was.dtype == torch.uint8 else 1e-6)


def test_a_backend_takes_the_arguments_and_draws_by_row(tmp_path: Path) -> None:
    backend = recordings.backend(tmp_path / "set", video_backend="pyav", return_uint8=True)
    recorded(backend, "video")
    arguments = {"tfs": USUAL, "max_num_transforms": 3, "random_order": False, "seed": 5}
    one, other = backend.open().torch(transforms=arguments), backend.open().torch(transforms=arguments)

    def seen(dataset: LeRobotDataset, rows: list[int]) -> torch.Tensor:
        return dataset.collate(dataset.__getitems__(rows))[recordings.CAMERA]

    other.__getitems__([4, 5])  # what was read before makes no difference
    assert torch.equal(seen(one, [3, 1, 7]), seen(other, [3, 1, 7]))
    assert not torch.equal(seen(one, [3, 1, 7])[:2], seen(one, [3, 1, 6])[:2])  # another batch, other draws
    with pytest.raises(ConfigError, match="'Nonsense', which is not known"):
        backend.open().torch(transforms={"tfs": {"a": {"type": "Nonsense"}}})
