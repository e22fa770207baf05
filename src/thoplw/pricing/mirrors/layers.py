"""The layers of torch by the names that records have for them."""

from __future__ import annotations

_CLASSES = {
    "activation": "ELU GELU LeakyReLU MultiheadAttention PReLU ReLU ReLU6 Softmax Softmax2d",
    "batchnorm": "BatchNorm1d BatchNorm2d BatchNorm3d SyncBatchNorm",
    "conv": "Conv1d Conv2d Conv3d ConvTranspose1d ConvTranspose2d ConvTranspose3d",
    "dropout": "Dropout",
    "instancenorm": "InstanceNorm1d InstanceNorm2d InstanceNorm3d",
    "linear": "Linear",
    "normalization": "GroupNorm LayerNorm",
    "padding": "ZeroPad2d",
    "pixelshuffle": "PixelShuffle",
    "pooling": (
        "AdaptiveAvgPool1d AdaptiveAvgPool2d AdaptiveAvgPool3d AdaptiveMaxPool1d AdaptiveMaxPool2d AdaptiveMaxPool3d "
        "AvgPool1d AvgPool2d AvgPool3d MaxPool1d MaxPool2d MaxPool3d"
    ),
    "rnn": "GRU GRUCell LSTM LSTMCell RNN RNNCell",
    "upsampling": "Upsample UpsamplingBilinear2d UpsamplingNearest2d",
}

#: Name in ``torch.nn`` -> name in records.
LAYERS = {name: f"torch.nn.modules.{module}:{name}" for module, names in _CLASSES.items() for name in names.split()}


def layers(names: str) -> tuple[str, ...]:
    """``"Linear GRU"`` is ``("torch.nn.modules.linear:Linear", "torch.nn.modules.rnn:GRU")``."""
    return tuple(LAYERS[name] for name in names.split())
