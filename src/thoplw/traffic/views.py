"""Operators that hand on the memory that they are given, always or where its layout lets them."""

from __future__ import annotations

from thoplw.record import NOTHING, Call, TensorSpec, Traffic
from thoplw.shapes.views import view
from thoplw.traffic.common import Table, in_and_out, named, size

_VIEWS = (
    "adjoint alias as_strided atleast_1d atleast_2d atleast_3d broadcast_tensors broadcast_to ccol_indices chunk "
    "col_indices conj crow_indices detach diagonal dsplit expand expand_as hsplit imag indices lift lift_fresh "
    "linalg_diagonal matrix_H meshgrid mH moveaxis movedim mT narrow numpy_T permute positive real resolve_conj "
    "resolve_neg row_indices select set slice slice_inverse split split_with_sizes squeeze swapaxes swapdims t "
    "tensor_split transpose unbind unflatten unfold unsafe_chunk unsafe_split unsafe_split_with_sizes unsqueeze "
    "values view view_as view_as_complex view_as_real vsplit _conj _fw_primal _indices _make_dual _neg_view "
    "_nested_get_jagged_dummy _nested_get_lengths _nested_get_max_seqlen _nested_get_min_seqlen _nested_get_offsets "
    "_nested_get_values _nested_view_from_buffer _nested_view_from_jagged _reshape_alias _sparse_broadcast_to "
    "_test_autograd_multiple_dispatch_view _unsafe_view _values"
)

_METADATA = (
    "can_cast dense_dim is_coalesced is_complex is_floating_point is_pinned is_same_size numel result_type size "
    "sparse_dim stride sym_constrain_range sym_constrain_range_for_size sym_numel sym_size sym_storage_offset "
    "sym_stride _assert_scalar _assert_tensor_metadata _coalesced _dimI _dimV _has_same_storage_numel _nnz"
)


def nothing(call: Call) -> Traffic:
    """Another view of the same memory, or a question about a shape."""
    return NOTHING


def _handed_on(x: TensorSpec, y: TensorSpec) -> bool:
    """Whether a tensor has the dtype and layout of another; the stride of a dimension of one element is never used."""
    return (
        x.dtype == y.dtype and x.shape == y.shape and (x.strides == y.strides or _used_strides(x) == _used_strides(y))
    )


def _used_strides(x: TensorSpec) -> list[int]:
    return [stride for size, stride in zip(x.shape, x.strides, strict=True) if size != 1]


def if_converted(call: Call) -> Traffic:
    """``to``, ``contiguous`` and their like: nothing, where what comes out looks like what went in."""
    x, y = call.args[0], call.output
    copies = call.kwargs.get("copy") or call.arg(4 if call.overload == "device" else 3, False)
    return NOTHING if _handed_on(x, y) and not copies else Traffic(read=size(x), written=size(y))


def if_no_view(call: Call) -> Traffic:
    """``reshape`` and its like: nothing, where the strides allow a view."""
    x, y = call.args[0], call.output
    if _handed_on(x, y) or not x.numel or view(x, y.shape) is not None:
        return NOTHING
    return Traffic(read=size(x), written=size(y))


def if_dropped(call: Call) -> Traffic:
    """``x p train``: outside of training ``x`` itself comes back."""
    return in_and_out(call) if call.arg(1) and call.arg(2, True) is not False else NOTHING


TRAFFIC: Table = {
    **named(_VIEWS, nothing),
    **named(_METADATA, nothing),
    **dict.fromkeys(
        (f"profiler._record_function_{name}" for name in ("enter", "enter_new", "exit")),
        nothing,
    ),
    **named("contiguous to type_as", if_converted),
    **named("flatten ravel reshape reshape_as", if_no_view),
    **named("alpha_dropout dropout feature_alpha_dropout feature_dropout", if_dropped),
    **named("alpha_dropout_ dropout_ feature_alpha_dropout_ feature_dropout_", if_dropped),
}

#: Operators whose output shows memory of their first argument, without reading it.
VIEWS = frozenset({f"aten.{name}" for name in (*_VIEWS.split(), "flatten", "ravel", "reshape", "reshape_as")})
