"""The debris network: what it sees, what it is loaded from, and that its windows do not matter."""

import hashlib
import pickle
from pathlib import Path

import pytest
import torch
from safetensors.torch import save_file

from detectors import checkpoint, debris, registry
from detectors.debris import CLASSES, STRIDE, Debris, Net, planes, prepared
from imagery.errors import Refused
from imagery.simulator.simulate import draw


@pytest.fixture(scope="module")
def shipped() -> Debris:
    return Debris.load()


def picture(seed: int, height: int, width: int) -> torch.Tensor:
    """uint8 [1, 3, H, W] with structure at every scale, so that the network answers in all classes."""
    generator = torch.Generator().manual_seed(seed)
    image = torch.zeros(1, 3, height, width)
    for cells in (4, 16, 64, 160):
        noise = torch.randn(1, 3, cells, cells, generator=generator)
        image += torch.nn.functional.interpolate(noise, (height, width), mode="bilinear") * 25
    return (image + 120).clamp(0, 255).to(torch.uint8)


def everywhere(pixels: torch.Tensor) -> torch.Tensor:
    return torch.ones(pixels.shape[0], *pixels.shape[2:], dtype=torch.bool)


def test_the_halo_covers_all_that_a_pixel_can_see() -> None:
    net = Net().eval()
    for name, parameter in net.named_parameters():
        # Every kernel an average: what is seen can neither cancel out nor be cut off at 0 or 6 on its way.
        parameter.data.fill_(0.0 if name.endswith("bias") else 1 / parameter[0].numel())
    side = 2 * debris.spec.halo + 64
    x = torch.full((1, 4, side, side), 0.05, requires_grad=True)
    core = slice(debris.spec.halo, side - debris.spec.halo)
    net(x)[:, :, core, core].sum().backward()  # type: ignore[no-untyped-call]
    rows = x.grad[0].abs().sum((0, 2)).nonzero().ravel()  # type: ignore[index]
    assert rows.min() > 0
    assert rows.max() < side - 1


def test_core_halo_and_window_lie_on_the_networks_own_grid() -> None:
    assert debris.spec.core % STRIDE == debris.spec.halo % STRIDE == 0


def test_a_window_scores_as_the_same_ground_in_a_larger_window(shipped: Debris) -> None:
    halo, core = debris.spec.halo, 128
    height, width = core + 2 * halo + 96, core + 2 * halo + 160
    block = torch.from_numpy(draw(7, gsd=debris.GSD, size_m=(60.0, 50.0)).after)
    pixels = block[None, :, :height, :width].contiguous()
    valid = everywhere(pixels)
    valid[:, :60, :300] = False
    large = shipped.scores(pixels, valid)
    found = 0
    for row, col in ((0, 0), (96, 160), (48, 64)):
        part = (..., slice(row, row + core + 2 * halo), slice(col, col + core + 2 * halo))
        small = shipped.scores(pixels[part].contiguous(), valid[part].contiguous())
        one = small[..., halo:-halo, halo:-halo].int()
        other = large[part][..., halo:-halo, halo:-halo].int()
        same_class = (one > 0) == (other > 0)
        assert same_class.float().mean() > 0.999
        assert ((one - other).abs() * same_class).max() <= 1
        marked, also = one >= 128, other >= 128
        assert (marked & also).sum() >= 0.99 * (marked | also).sum()
        found += int(marked.sum())
    assert found > 0


def test_scores_do_not_depend_on_the_rest_of_the_batch(shipped: Debris) -> None:
    pixels = torch.cat([picture(seed, 192, 192) for seed in (5, 6, 7)])
    together = shipped.scores(pixels, everywhere(pixels))
    padded = torch.cat((pixels[1:2], torch.zeros_like(pixels[:2])))
    valid = everywhere(padded)
    valid[1:] = False
    assert torch.equal(shipped.scores(padded, valid)[0], together[1])


def test_what_was_not_seen_scores_nothing_and_changes_nothing(shipped: Debris) -> None:
    pixels = picture(8, 192, 192)
    valid = everywhere(pixels)
    valid[:, :, :50] = False
    other = pixels.clone()
    other[..., :50] = 255
    scores = shipped.scores(pixels, valid)
    assert not scores[..., :50].any()
    assert torch.equal(shipped.scores(other, valid), scores)


def test_one_class_scores_at_a_pixel_and_that_by_all_classes_together() -> None:
    logits = torch.log(torch.tensor([0.21, 0.25, 0.34, 0.05, 0.15])).view(1, 5, 1, 1)
    assert planes(logits).flatten().tolist() == [0, round(0.64 * 255), 0]


def test_a_vehicle_is_none_of_the_classes() -> None:
    logits = torch.log(torch.tensor([0.1, 0.06, 0.05, 0.01, 0.78])).view(1, 5, 1, 1)
    assert planes(logits).max() == round(0.12 * 255)


def planes_by_argmax(logits: torch.Tensor) -> torch.Tensor:
    """What `planes` stands for, in the words of the library."""
    likely = logits.softmax(1)[:, 1:-1]
    score = (likely.sum(1, keepdim=True) * 255).round()
    return torch.zeros_like(likely).scatter_(1, likely.argmax(1, keepdim=True), score).to(torch.uint8)


@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16])
@pytest.mark.parametrize("layout", [torch.contiguous_format, torch.channels_last])
@pytest.mark.parametrize("classes", [1, 2, 3, 7])
def test_planes_are_those_of_argmax_ties_included(
    classes: int, layout: torch.memory_format, dtype: torch.dtype
) -> None:
    random = torch.Generator().manual_seed(classes)
    shape = (2, classes + 2, 67, 129)
    for logits in (
        torch.randn(shape, generator=random) * 3,
        torch.randint(-2, 3, shape, generator=random).float(),  # most cells have equals
        torch.randint(-2, 3, shape, generator=random) * 100.0,  # where softmax gives zeros and ones
    ):
        logits = logits.to(dtype).contiguous(memory_format=layout)
        assert torch.equal(planes(logits), planes_by_argmax(logits))


def test_planes_of_real_logits_are_those_of_argmax(shipped: Debris) -> None:
    x = prepared(picture(5, 256, 320), torch.ones(1, 256, 320, dtype=torch.bool))
    with torch.inference_mode():
        logits = shipped._net(x.contiguous(memory_format=torch.channels_last))
    assert planes(logits).any()
    assert torch.equal(planes(logits), planes_by_argmax(logits))


def test_folding_the_normalisation_changes_no_score() -> None:
    torch.manual_seed(0)
    net = Net().train()
    x = prepared(picture(9, 96, 96), torch.ones(1, 96, 96, dtype=torch.bool))
    for _ in range(3):
        net(x)
    with torch.inference_mode():
        expected = planes(net.eval()(x)).int()
    found = Debris(net).scores(picture(9, 96, 96), torch.ones(1, 96, 96, dtype=torch.bool)).int()
    same_class = (found > 0) == (expected > 0)
    assert same_class.float().mean() > 0.99
    assert ((found - expected).abs() * same_class).max() <= 1


def test_a_window_off_the_networks_grid_is_refused(shipped: Debris) -> None:
    pixels = picture(1, 100, 96)
    with pytest.raises(ValueError, match="multiples of 16"):
        shipped.scores(pixels, everywhere(pixels))


def test_the_registry_gives_the_shipped_detector(shipped: Debris) -> None:
    assert "debris" in registry.names()
    assert registry.spec("debris") == shipped.spec
    assert registry.load("debris", "cpu").spec.classes == CLASSES


def test_an_unknown_detector_is_refused_with_the_names_there_are() -> None:
    with pytest.raises(Refused, match=r"Choose one of: .*debris") as refused:
        registry.load("debriss")
    assert refused.value.reason == "no-such-detector"


def test_weights_that_are_not_the_measured_file_are_refused(tmp_path: Path) -> None:
    altered = bytearray((checkpoint.FOLDER / "debris-3.safetensors").read_bytes())
    altered[-1] ^= 1
    path = tmp_path / "altered.safetensors"
    path.write_bytes(altered)
    with pytest.raises(Refused, match=r"altered\.safetensors is not the file that was measured") as refused:
        Debris.read(path, debris.spec.weights_sha256)
    assert refused.value.reason == "wrong-checksum"


def test_pickled_weights_are_refused_and_not_run_even_with_the_right_checksum(tmp_path: Path) -> None:
    class Trap:
        def __reduce__(self) -> tuple[object, tuple[str]]:
            return Path.touch, (tmp_path / "ran",)  # type: ignore[return-value]

    path = tmp_path / "weights.pt"
    for data in (pickle.dumps(Trap()), None):
        if data is None:
            torch.save({"trap": Trap()}, path)
        else:
            path.write_bytes(data)
        with pytest.raises(Refused) as refused:
            Debris.read(path, hashlib.sha256(path.read_bytes()).hexdigest())
        assert refused.value.reason == "not-safetensors"
    assert not (tmp_path / "ran").exists()


def test_absent_weights_are_refused(tmp_path: Path) -> None:
    with pytest.raises(Refused, match="no weights"):
        Debris.read(tmp_path / "absent.safetensors", "0" * 64)


def test_weights_of_another_network_do_not_load(tmp_path: Path) -> None:
    path = tmp_path / "other.safetensors"
    save_file({"head.weight": torch.zeros(1)}, path)
    with pytest.raises(Refused) as refused:
        Debris.read(path, hashlib.sha256(path.read_bytes()).hexdigest())
    assert refused.value.reason == "other-network"


def test_written_weights_come_back_as_float16_holds_them(tmp_path: Path) -> None:
    net = Net()
    sha256 = checkpoint.write(tmp_path / "w.safetensors", net.state_dict(), {"plan": "none"})
    back = checkpoint.read(tmp_path / "w.safetensors", sha256)
    assert set(back) == set(net.state_dict())
    for name, tensor in net.state_dict().items():
        assert torch.equal(back[name], tensor.half().float())


def test_the_shipped_weights_stay_small() -> None:
    assert (checkpoint.FOLDER / "debris-3.safetensors").stat().st_size <= 4 * 2**20
