"""Models from files: each kind is made here, put on the shelf, and must give what the model itself gives."""

import hashlib
import json
import pickle
import warnings

import numpy as np
import pytest
import torch
from torch import nn

from detectors import registry, shelf
from detectors.filemodels import ready, state_dict
from imagery.errors import Refused

SIDE = 64


class Bright(nn.Module):
    """Logits of background and bright: how far the mean of the bands lies from a half."""

    def __init__(self) -> None:
        super().__init__()
        self.gain = nn.Parameter(torch.tensor(8.0))

    def forward(self, x):
        grey = x.mean(1, keepdim=True) - 0.5
        return torch.cat((-grey, grey), 1) * self.gain


def item(weights, *, name, artifact, architecture="own", outputs=("background", "bright"), **more):
    digest = hashlib.sha256(weights.read_bytes()).hexdigest()
    shape = {"shape": [-1, 3, SIDE, SIDE], "dim_order": ["batch", "bands", "height", "width"], "data_type": "float32"}
    return {
        "type": "Feature",
        "properties": {
            "license": "MIT",
            "version": "7",
            "gsd": 0.5,
            "mlm:name": name,
            "mlm:architecture": architecture,
            "mlm:framework": "PyTorch",
            "mlm:tasks": ["semantic-segmentation"],
            "mlm:input": [
                {"name": "RGB", "input": shape, "value_scaling": [{"type": "min-max", "minimum": 0, "maximum": 255}]}
            ],
            "mlm:output": [{"classification:classes": [{"value": i, "name": n} for i, n in enumerate(outputs)]}],
            "flyonce:halo": 8,
            **more,
        },
        "assets": {
            "weights": {
                "href": f"./{weights.name}",
                "roles": ["mlm:model"],
                "mlm:artifact_type": artifact,
                "file:checksum": "1220" + digest,
            }
        },
    }


def written(folder, weights, **told):
    path = folder / f"{told['name']}.json"
    path.write_text(json.dumps(item(weights, **told)))
    return path


@pytest.fixture
def shelf_folder(tmp_path, monkeypatch):
    monkeypatch.setenv("FLYONCE_SHELF", str(tmp_path / "shelf"))
    return tmp_path / "shelf"


@pytest.fixture
def scripted(tmp_path):
    path = tmp_path / "bright.pt"
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        torch.jit.trace(Bright(), torch.zeros(1, 3, SIDE, SIDE)).save(str(path))
    return path


def windows():
    rng = np.random.default_rng(1)
    pixels = torch.from_numpy(rng.integers(0, 256, (2, 3, SIDE, SIDE), dtype=np.uint8))
    valid = torch.ones(2, SIDE, SIDE, dtype=torch.bool)
    valid[:, :5] = False
    return pixels, valid


def expected(pixels, valid):
    with torch.inference_mode():
        likely = Bright()(pixels.float() / 255 * valid[:, None]).softmax(1)[:, 1:]
    return ((likely * 255).round() * valid[:, None]).to(torch.uint8)


def test_torchscript_from_a_file_gives_what_the_model_gives(tmp_path, shelf_folder, scripted):
    added = shelf.add(written(tmp_path, scripted, name="shiny", artifact="torch.jit.save"))
    assert added.spec.classes == ("bright",)
    assert (added.spec.core, added.spec.halo, added.spec.gsd, added.spec.licence) == (48, 8, 0.5, "MIT")
    assert "shiny" in registry.names()
    detector = registry.load("shiny")
    pixels, valid = windows()
    assert torch.equal(detector.scores(pixels, valid), expected(pixels, valid))


def test_onnx_from_a_file_gives_what_the_model_gives(tmp_path, shelf_folder):
    import onnx
    from onnx import TensorProto, helper, numpy_helper

    nodes = [
        helper.make_node("ReduceMean", ["x", "axes"], ["grey"], keepdims=1),
        helper.make_node("Sub", ["grey", "half"], ["apart"]),
        helper.make_node("Mul", ["apart", "gain"], ["bright"]),
        helper.make_node("Neg", ["bright"], ["dark"]),
        helper.make_node("Concat", ["dark", "bright"], ["logits"], axis=1),
    ]
    dims = ["n", 3, SIDE, SIDE]
    graph = helper.make_graph(
        nodes,
        "bright",
        [helper.make_tensor_value_info("x", TensorProto.FLOAT, dims)],
        [helper.make_tensor_value_info("logits", TensorProto.FLOAT, ["n", 2, SIDE, SIDE])],
        [
            numpy_helper.from_array(np.array([1], dtype=np.int64), "axes"),
            numpy_helper.from_array(np.array(0.5, dtype=np.float32), "half"),
            numpy_helper.from_array(np.array(8.0, dtype=np.float32), "gain"),
        ],
    )
    path = tmp_path / "bright.onnx"
    onnx.save(helper.make_model(graph, opset_imports=[helper.make_opsetid("", 18)], ir_version=9), path)
    shelf.add(written(tmp_path, path, name="shiny", artifact="onnx"))
    pixels, valid = windows()
    off = registry.load("shiny").scores(pixels, valid).int() - expected(pixels, valid).int()
    assert off.abs().max() <= 1


@pytest.mark.parametrize("artifact", ["torch.save", "safetensors.torch.save_file"])
def test_a_torchvision_segmentation_model_from_a_state_dict(tmp_path, artifact):
    from safetensors.torch import save_file
    from torchvision.models import get_model

    torch.manual_seed(3)
    net = get_model("lraspp_mobilenet_v3_large", weights=None, weights_backbone=None, num_classes=2).eval()
    path = tmp_path / ("net.pth" if artifact == "torch.save" else "net.safetensors")
    if artifact == "torch.save":
        torch.save(net.state_dict(), path)
    else:
        save_file({name: tensor.contiguous() for name, tensor in net.state_dict().items()}, path)
    architecture = "torchvision/lraspp_mobilenet_v3_large"
    model = shelf.described(written(tmp_path, path, name="vision", artifact=artifact, architecture=architecture))
    pixels, valid = windows()
    with torch.inference_mode():
        likely = net(pixels.float() / 255 * valid[:, None])["out"].softmax(1)[:, 1:]
    wanted = ((likely * 255).round() * valid[:, None]).to(torch.uint8)
    assert torch.equal(ready(model).scores(pixels, valid), wanted)


def test_a_torchvision_detection_model_paints_its_boxes(tmp_path):
    from torchvision.models import get_model

    torch.manual_seed(5)
    net = get_model("fasterrcnn_mobilenet_v3_large_320_fpn", weights=None, weights_backbone=None, num_classes=3).eval()
    with torch.no_grad():
        net.roi_heads.box_predictor.cls_score.bias.copy_(torch.tensor([-4.0, 2.0, 1.0]))
    path = tmp_path / "net.pth"
    torch.save(net.state_dict(), path)
    told = {
        "architecture": "torchvision/fasterrcnn_mobilenet_v3_large_320_fpn",
        "outputs": ("background", "car", "boat"),
    }
    model = shelf.described(written(tmp_path, path, name="vision", artifact="torch.save", **told))
    pixels, valid = windows()
    scores = ready(model).scores(pixels[:1], valid[:1])
    assert scores.shape == (1, 2, SIDE, SIDE)
    with torch.inference_mode():
        found = net([pixels[0].float() / 255 * valid[0]])[0]
    best = max(float(s) for s, label in zip(found["scores"], found["labels"], strict=True) if label == 1)
    assert scores[0, 0].max().item() == round(best * 255)


class Evil:
    """Unpickling it would run code."""

    def __reduce__(self):
        return print, ("this ran",)


def test_pickled_objects_are_never_read(tmp_path, capsys, shelf_folder):
    path = tmp_path / "evil.pth"
    torch.save({"weight": torch.zeros(1), "more": Evil()}, path)
    with pytest.raises(Refused) as refused:
        state_dict(path)
    assert refused.value.reason == "pickled"
    plain = tmp_path / "plain.pt"
    plain.write_bytes(pickle.dumps(Evil()))
    with pytest.raises(Refused) as refused:
        shelf.add(written(tmp_path, plain, name="evil", artifact="torch.jit.save"))
    assert refused.value.reason == "not-torchscript"
    assert "this ran" not in capsys.readouterr().out
    assert shelf.names() == ()


def test_a_whole_pickled_module_is_refused(tmp_path):
    path = tmp_path / "module.pth"
    torch.save(nn.Linear(2, 2), path)
    with pytest.raises(Refused) as refused:
        state_dict(path)
    assert refused.value.reason == "pickled"


def test_what_does_not_fit_together_is_refused_by_name(tmp_path, scripted, shelf_folder):
    def reason(change):
        document = item(scripted, name="shiny", artifact="torch.jit.save")
        change(document)
        path = tmp_path / "item.json"
        path.write_text(json.dumps(document))
        with pytest.raises(Refused) as refused:
            shelf.add(path)
        return refused.value.reason

    def weights(document):
        return document["assets"]["weights"]

    assert reason(lambda d: weights(d).update({"file:checksum": "1220" + "0" * 64})) == "wrong-checksum"
    assert reason(lambda d: weights(d).update(href="./gone.pt")) == "no-weights"
    assert reason(lambda d: weights(d).update({"mlm:artifact_type": "tf.keras.Model.save"})) == "unknown-artifact"
    assert reason(lambda d: d["properties"].pop("gsd")) == "not-mlm"
    assert reason(lambda d: d["properties"].update({"flyonce:thresholds": [1, 2]})) == "not-mlm"
    assert reason(lambda d: d["properties"].update({"mlm:name": "debris"})) == "name-taken"
    assert reason(lambda d: d.pop("assets")) == "no-model-item"


def test_outputs_that_the_item_does_not_name_are_refused(tmp_path, scripted):
    told = {"outputs": ("background", "a", "b")}
    model = shelf.described(written(tmp_path, scripted, name="shiny", artifact="torch.jit.save", **told))
    with pytest.raises(Refused) as refused:
        ready(model).scores(*windows())
    assert refused.value.reason == "other-network"
