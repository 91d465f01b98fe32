"""Write torch_networks.npz: what networks of torchvision and timm answer, with weights from `torch_state`.

    PYTHONPATH=tests python tests/oracles/torch_networks.py [NAME ...]

It needs torch, torchvision and timm, which the tests do not. The file has for each network the shapes of its arrays,
the moments of its batch normalisations, and its logits; of a VGG the mean of its last map, because its classifier is
large. With names, the answers of the other networks stay as they are.
"""

import functools
import json
import sys
from pathlib import Path

import numpy as np
import timm
import torch
import torchvision
from torch_state import images, make_state
from torchvision.models.convnext import CNBlockConfig
from torchvision.models.efficientnet import FusedMBConvConfig, MBConvConfig


def narrow_efficientnet(epsilon: float) -> torch.nn.Module:
    """Return an EfficientNet B of torchvision with a fifth of the width."""
    block = functools.partial(MBConvConfig, width_mult=0.2)
    blocks = [
        block(1, 3, 1, 32, 16, 1),
        block(6, 3, 2, 16, 24, 2),
        block(6, 5, 2, 24, 40, 1),
        block(6, 3, 2, 40, 80, 2),
    ]
    blocks += [block(6, 5, 1, 80, 112, 1), block(6, 5, 2, 112, 192, 2), block(6, 3, 1, 192, 320, 1)]
    norm = functools.partial(torch.nn.BatchNorm2d, eps=epsilon)
    return torchvision.models.EfficientNet(blocks, 0.0, num_classes=10, norm_layer=norm)


def narrow_v2(*, deep: bool) -> torch.nn.Module:
    """Return an EfficientNet V2 of torchvision with few channels: like S with six stages, like M with seven."""
    blocks = [FusedMBConvConfig(1, 3, 1, 8, 8, 2), FusedMBConvConfig(4, 3, 2, 8, 16, 2)]
    blocks += [FusedMBConvConfig(4, 3, 2, 16, 24, 1), MBConvConfig(4, 3, 2, 24, 32, 2)]
    blocks += [MBConvConfig(6, 3, 1, 32, 40, 1), MBConvConfig(6, 3, 2, 40, 48, 2)]
    blocks += [MBConvConfig(6, 3, 1, 48, 56, 1)] * deep
    norm = functools.partial(torch.nn.BatchNorm2d, eps=1e-3)
    return torchvision.models.EfficientNet(blocks, 0.0, num_classes=10, norm_layer=norm, last_channel=64)


def narrow_convnext() -> torch.nn.Module:
    """Return a ConvNeXt of torchvision with few channels."""
    blocks = [CNBlockConfig(8, 16, 1), CNBlockConfig(16, 24, 2), CNBlockConfig(24, 32, 2), CNBlockConfig(32, None, 1)]
    return torchvision.models.ConvNeXt(blocks, num_classes=10)


def timm_convnext(name: str) -> torch.nn.Module:
    """Return a ConvNeXt of timm with few channels."""
    return timm.create_model(name, depths=(1, 2, 2, 1), dims=(8, 16, 24, 32), num_classes=10)


NETWORKS = {
    "resnet18": torchvision.models.resnet18,
    "resnet50": torchvision.models.resnet50,
    "resnext50_32x4d": torchvision.models.resnext50_32x4d,
    "densenet121": torchvision.models.densenet121,
    "vgg11": torchvision.models.vgg11,
    "vgg11_bn": torchvision.models.vgg11_bn,
    "mobilenet_v2": torchvision.models.mobilenet_v2,
    "mobilenetv2_100": lambda: timm.create_model("mobilenetv2_100"),
    "efficientnet_b0": lambda: timm.create_model("efficientnet_b0"),
    "tf_efficientnet_b1": lambda: timm.create_model("tf_efficientnet_b1"),
    "efficientnet_lite0": lambda: timm.create_model("efficientnet_lite0"),
    "efficientnet_b0_rwightman": lambda: narrow_efficientnet(1e-5),
    "efficientnet_b7_lukemelas": lambda: narrow_efficientnet(1e-3),
    "efficientnet_v2_s": lambda: narrow_v2(deep=False),
    "efficientnet_v2_l": lambda: narrow_v2(deep=True),
    "convnext_tiny": narrow_convnext,
    "convnext_small_timm": lambda: timm_convnext("convnext_small"),
    "convnext_nano": lambda: timm_convnext("convnext_nano"),
    "convnext_tiny_hnf": lambda: timm_convnext("convnext_tiny_hnf"),
}
MEAN, STD = (0.485, 0.456, 0.406), (0.229, 0.224, 0.225)


def main() -> None:
    """Write the file."""
    file = Path(__file__).with_suffix(".npz")
    asked = sys.argv[1:] or list(NETWORKS)
    answers = dict(np.load(file)) if sys.argv[1:] else {}
    for name, make in ((name, NETWORKS[name]) for name in asked):
        model = make().eval()
        half = name.startswith("tf_efficientnet_lite") or name == "efficientnet_v2_l"
        mean, std = (torch.tensor((0.5,) * 3 if half else each)[:, None, None] for each in (MEAN, STD))
        pixels = (torch.from_numpy(images()).permute(0, 3, 1, 2) / 255 - mean) / std
        is_vgg = name.startswith("vgg")
        shapes = {key: tuple(value.shape) for key, value in model.state_dict().items() if value.ndim}
        shapes = {key: shape for key, shape in shapes.items() if not (is_vgg and key.startswith("classifier"))}
        moments = measure(model, shapes, pixels)
        fill(model, make_state(shapes, moments))
        with torch.no_grad():
            answers[name] = (model.features(pixels).mean((2, 3)) if is_vgg else model(pixels)).numpy()
        answers[f"{name} facts"] = np.array(json.dumps({"shapes": shapes, "moments": moments}))
    np.savez_compressed(file, **answers)


def measure(model: torch.nn.Module, shapes: dict, pixels: torch.Tensor) -> dict[str, tuple[float, float]]:
    """Return mean and variance of the input of each batch normalisation, where those below have theirs already."""
    moments: dict[str, tuple[float, float]] = {}
    fill(model, make_state(shapes, moments))
    for name, layer in model.named_modules():
        if isinstance(layer, torch.nn.BatchNorm2d):

            def before(own: torch.nn.BatchNorm2d, inputs: tuple, name: str = name) -> None:
                moments[name] = (float(inputs[0].mean()), float(inputs[0].var()))
                state = make_state(shapes, moments)
                own.running_mean.copy_(torch.from_numpy(state[f"{name}.running_mean"]))
                own.running_var.copy_(torch.from_numpy(state[f"{name}.running_var"]))

            layer.register_forward_pre_hook(before)
    with torch.no_grad():
        model(pixels)
    for layer in model.modules():
        layer._forward_pre_hooks.clear()
    return moments


def fill(model: torch.nn.Module, state: dict[str, np.ndarray]) -> None:
    """Give a network the arrays of a state dict."""
    model.load_state_dict({name: torch.from_numpy(values) for name, values in state.items()}, strict=False)


if __name__ == "__main__":
    main()
