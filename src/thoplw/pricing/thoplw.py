"""``thoplw``: the figures of the original tool: contractions, and besides them biases, norms, softmax and averages.

Each function below is something that this convention adds to the multiply-accumulates of an operator; the table at the
foot says which operator has which.
"""

from __future__ import annotations

from collections.abc import Callable

from thoplw.formulas import FORMULAS, Formula, backward
from thoplw.formulas.attention import scores
from thoplw.formulas.common import elements
from thoplw.formulas.recurrent import biases
from thoplw.pricing.convention import Convention
from thoplw.pricing.parameters import executed_with_statistics
from thoplw.record import ZERO, Call, Work

Addition = Callable[[Call], int]


def _bias_per_sample(call: Call) -> int:
    """A convolution adds its bias once per sample: one per channel, however large the output."""
    x, weight, bias = call.args[0], call.args[1], call.arg(2)
    samples = x.shape[0] if len(x.shape) == len(weight.shape) else 1
    return samples * bias.numel if bias is not None else 0


def _bias_per_sample_time_first(call: Call) -> int:
    """The same with samples in the second dimension, and always with a bias."""
    return int(call.args[0].shape[1] * call.args[2].numel)


def _packed_bias_per_sample(call: Call) -> int:
    """A quantised convolution, whose bias is packed with the weight."""
    bias = call.args[1][1]
    return int(call.args[0].shape[0] * bias.numel) if bias is not None else 0


def _packed_bias_per_output(call: Call) -> int:
    """A quantised linear layer."""
    return elements(call) if call.args[1][1] is not None else 0


def _bias_per_output(position: int) -> Addition:
    """A linear layer adds its bias, the argument at this position, once per output element."""
    return lambda call: elements(call) if call.arg(position) is not None else 0


def _times(factor: int) -> Addition:
    """So many per output element."""
    return lambda call: factor * elements(call)


def _batch_norm(call: Call) -> int:
    """4 per element, 2 without affine."""
    return elements(call) * (4 if call.arg(1) is not None else 2)


def _gradients(factor: int) -> Addition:
    """So many per element of the gradient that comes in: as many as forward has per output."""
    return lambda call: factor * int(call.args[0].numel)


def _gradients_of_norm(factor: int) -> Addition:
    """As many per element as forward has, for each of the gradients of input and weight that the mask asks for."""
    return lambda call: factor * int(call.args[0].numel) * sum(call.args[-1][:2])


def _gradients_of_batch_norm(call: Call) -> int:
    """The same; the forward has 4 per element, 2 without affine. A kernel without a mask computes both gradients."""
    masks = [arg for arg in call.args if isinstance(arg, tuple) and len(arg) == 3]
    wanted = sum(masks[0][:2]) if masks else 2
    return int(call.args[0].numel) * (4 if call.args[2] is not None else 2) * wanted


def _scores_twice(call: Call) -> int:
    """The softmax inside, computed again, and its gradient."""
    return 2 * backward.scores(call)


_ADDITIONS: dict[Addition, str] = {
    _bias_per_sample: (
        "conv1d conv2d conv3d conv_transpose1d conv_transpose2d conv_transpose3d convolution _convolution "
        "convolution_overrideable thnn_conv2d slow_conv3d _conv_depthwise2d conv_depthwise3d"
    ),
    _bias_per_sample_time_first: "conv_tbc",
    _bias_per_output(2): "linear",
    _bias_per_output(3): "bilinear",
    _packed_bias_per_sample: (
        "quantized.conv1d quantized.conv1d_relu quantized.conv2d quantized.conv2d_relu quantized.conv3d "
        "quantized.conv3d_relu quantized.conv_transpose1d quantized.conv_transpose2d quantized.conv_transpose3d"
    ),
    _packed_bias_per_output: (
        "quantized.linear quantized.linear_relu quantized.linear_dynamic quantized.linear_relu_dynamic"
    ),
    _times(1): (
        "addmm addmv baddbmm addbmm addr softmax _softmax _safe_softmax log_softmax _log_softmax avg_pool1d "
        "adaptive_avg_pool1d"
    ),
    _times(2): (
        "layer_norm native_layer_norm group_norm native_group_norm instance_norm rms_norm _fused_rms_norm "
        "avg_pool2d adaptive_avg_pool2d _adaptive_avg_pool2d"
    ),
    _times(3): "avg_pool3d adaptive_avg_pool3d _adaptive_avg_pool3d",
    _times(4): "upsample_linear1d",
    _times(6): "upsample_bilinear2d _upsample_bilinear2d_aa",
    _times(14): "upsample_trilinear3d",
    _times(20): "upsample_bicubic2d _upsample_bicubic2d_aa",
    _batch_norm: (
        "batch_norm native_batch_norm _native_batch_norm_legit _native_batch_norm_legit_no_training "
        "_batch_norm_no_update _batch_norm_with_update cudnn_batch_norm miopen_batch_norm"
    ),
    scores: (  # the softmax inside
        "higher_order.flex_attention scaled_dot_product_attention _scaled_dot_product_attention_math "
        "_scaled_dot_product_flash_attention _scaled_dot_product_flash_attention_for_cpu "
        "_scaled_dot_product_efficient_attention _scaled_dot_product_cudnn_attention "
        "_scaled_dot_product_fused_attention_overrideable"
    ),
    biases: (
        "quantized_lstm quantized_gru lstm lstm_cell gru gru_cell rnn_tanh rnn_relu rnn_tanh_cell rnn_relu_cell "
        "mkldnn_rnn_layer _cudnn_rnn miopen_rnn"
    ),
    # Backward: the gradient of a bias is a sum, which this convention counts nowhere.
    _gradients(1): "_softmax_backward_data _log_softmax_backward_data _masked_softmax_backward",
    _gradients(2): "avg_pool2d_backward _adaptive_avg_pool2d_backward",
    _gradients(3): "avg_pool3d_backward _adaptive_avg_pool3d_backward adaptive_avg_pool3d_backward",
    _gradients(4): "upsample_linear1d_backward",
    _gradients(6): "upsample_bilinear2d_backward _upsample_bilinear2d_aa_backward",
    _gradients(14): "upsample_trilinear3d_backward",
    _gradients(20): "upsample_bicubic2d_backward _upsample_bicubic2d_aa_backward",
    _gradients_of_norm(2): "native_layer_norm_backward native_group_norm_backward _fused_rms_norm_backward",
    _gradients_of_batch_norm: (
        "native_batch_norm_backward batch_norm_backward cudnn_batch_norm_backward miopen_batch_norm_backward"
    ),
    _scores_twice: (
        "_scaled_dot_product_flash_attention_backward _scaled_dot_product_flash_attention_for_cpu_backward "
        "_scaled_dot_product_efficient_attention_backward _scaled_dot_product_cudnn_attention_backward "
        "_scaled_dot_product_fused_attention_overrideable_backward"
    ),
}


def _with_addition(formula: Formula | None, addition: Addition) -> Formula:
    def priced(call: Call) -> Work:
        work, more = ZERO if formula is None else formula(call), addition(call)
        return Work(macs=work.macs + more, flops=work.flops) if more else work

    return priced


CONVENTION = Convention(
    "thoplw",
    {
        **FORMULAS,
        **{
            target: _with_addition(FORMULAS[target], addition)
            for addition, names in _ADDITIONS.items()
            for target in (name if "." in name else f"aten.{name}" for name in names.split())
        },
    },
    parameters=executed_with_statistics,
)
