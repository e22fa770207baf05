"""Names for kinds of work, such as ``batch norm``, to explain differences between conventions."""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType

from thoplw.formulas import FAMILIES

_WORDS = {
    "batch norm": (
        "batch_norm native_batch_norm _native_batch_norm_legit _native_batch_norm_legit_no_training "
        "_batch_norm_no_update _batch_norm_with_update cudnn_batch_norm miopen_batch_norm"
    ),
    "instance norm": "instance_norm",
    "layer norm": "layer_norm native_layer_norm",
    "group norm": "group_norm native_group_norm",
    "RMS norm": "rms_norm _fused_rms_norm",
    "weight norm": "_weight_norm_interface _weight_norm",
    "softmax": "softmax _softmax _safe_softmax log_softmax _log_softmax _sparse_softmax _sparse_log_softmax",
    "linear layers": "linear",
    "activations": (
        "relu relu6 sigmoid tanh hardtanh leaky_relu prelu _prelu_kernel rrelu rrelu_with_noise celu elu selu glu "
        "hardsigmoid hardswish hardshrink softshrink softplus log_sigmoid log_sigmoid_forward silu gelu mish threshold"
    ),
    "max pooling": (
        "max_pool1d max_pool2d max_pool3d max_pool1d_with_indices max_pool2d_with_indices max_pool3d_with_indices "
        "mkldnn_max_pool2d mkldnn_max_pool3d adaptive_max_pool1d adaptive_max_pool2d adaptive_max_pool3d "
        "fractional_max_pool2d fractional_max_pool3d"
    ),
    "average pooling": (
        "avg_pool1d avg_pool2d avg_pool3d adaptive_avg_pool1d adaptive_avg_pool2d adaptive_avg_pool3d "
        "_adaptive_avg_pool2d _adaptive_avg_pool3d"
    ),
    "embedding": (
        "embedding embedding_bag _embedding_bag _embedding_bag_forward_only embedding_dense_backward "
        "_embedding_bag_dense_backward _embedding_bag_per_sample_weights_backward"
    ),
    "reductions": (
        "amax amin any argmax argmin count_nonzero cumsum max mean min prod sum _sparse_sum logsumexp std var"
    ),
    "dropout": "dropout feature_dropout alpha_dropout feature_alpha_dropout native_dropout",
}

#: Family of formulas -> the name for its operators without a name of their own.
_BY_FAMILY: Mapping[str, str] = MappingProxyType(
    {
        "attention": "attention",
        "backward": "gradients",
        "convolution": "convolution",
        "detection": "detection",
        "fourier": "Fourier transforms",
        "free": "moving data",
        "interpolation": "interpolation",
        "linalg": "linear algebra",
        "matmul": "matrix products",
        "optimizer": "optimizer",
        "pointwise": "elementwise operations",
        "quantized": "quantised elementwise operations",
        "recurrent": "recurrent layers",
    }
)

_BY_OPERATOR: Mapping[str, str] = MappingProxyType(
    {name: words for words, names in _WORDS.items() for name in names.split()}
)


#: Backward operator -> the operator whose gradient it computes, if its name tells.
_FORWARD: Mapping[str, str] = MappingProxyType(
    {
        target: forward
        for target, family in FAMILIES.items()
        if family == "backward"
        for stem in (target.removesuffix("_data").removesuffix("_backward"),)
        for forward in (stem, f"{stem}_forward", stem.replace("._", "."))
        if forward in FAMILIES
    }
)


def family_of(target: str) -> str:
    """What kind of work an operator is, in words: ``aten.addmm`` is ``matrix products``.

    Quantised, in-place and backward operators have the family of the plain operator. An operator without a family is
    its own.
    """
    plain = target if target in FAMILIES else target.removesuffix("_")
    plain = _FORWARD.get(plain, plain)
    name = plain.partition(".")[2]
    for suffix in ("", "_relu", "_dynamic", "_relu_dynamic"):
        if (short := name.removesuffix(suffix)) in _BY_OPERATOR:
            return _BY_OPERATOR[short]
    if plain.startswith("quantized.conv"):
        return _BY_FAMILY["convolution"]
    return _BY_FAMILY.get(FAMILIES.get(plain, ""), target)
