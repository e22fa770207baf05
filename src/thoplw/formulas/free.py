"""Operators that are known and cost nothing, each under its reason."""

from __future__ import annotations

from thoplw.formulas.common import Table

FREE = {
    "another view of the same data": (
        "alias as_strided broadcast_to chunk conj detach diagonal expand expand_as flatten imag lift lift_fresh mH "
        "mT matrix_H movedim moveaxis narrow numpy_T permute real reshape reshape_as resolve_conj resolve_neg "
        "select slice slice_inverse split split_with_sizes split_copy squeeze swapaxes swapdims t tensor_split "
        "transpose unbind unflatten unfold unsafe_chunk unsafe_split unsafe_split_with_sizes unsqueeze view view_as "
        "view_as_complex view_as_real _conj _neg_view _reshape_alias _unsafe_view hsplit vsplit dsplit ravel "
        "adjoint atleast_1d atleast_2d atleast_3d set indices values _indices _values crow_indices col_indices "
        "ccol_indices row_indices"
    ),
    "moves, copies or converts data": (
        "_pack_padded_sequence _pad_packed_sequence block_diag "
        "cat channel_shuffle clone column_stack concat concatenate constant_pad_nd contiguous copy diag "
        "diag_embed dstack expand_copy fill fill_diagonal flip fliplr flipud hstack masked_fill masked_scatter "
        "masked_select native_channel_shuffle pad pixel_shuffle pixel_unshuffle reflection_pad1d reflection_pad2d "
        "reflection_pad3d replication_pad1d replication_pad2d replication_pad3d repeat repeat_interleave roll rot90 "
        "stack tile to tril triu type_as vstack where zero _pad_circular _pad_enum _to_copy _to_cpu set_data im2col "
        "col2im unfold_copy tril_indices triu_indices combinations cartesian_prod meshgrid _chunk_cat lu_unpack "
        "alias_copy as_strided_copy detach_copy diagonal_copy lift_fresh_copy narrow_copy permute_copy select_copy "
        "slice_copy split_with_sizes_copy squeeze_copy t_copy transpose_copy unbind_copy unsqueeze_copy view_copy "
        "view_as_complex_copy view_as_real_copy _conj_copy _neg_view_copy _reshape_alias_copy as_strided_scatter "
        "resize resize_as _to_sparse _to_dense _coalesce sparse_mask to_dense to_sparse to_sparse_csr to_sparse_csc "
        "to_sparse_bsr to_sparse_bsc _to_sparse_csr _to_sparse_csc _to_sparse_bsr _to_sparse_bsc "
        "copy_sparse_to_sparse _jagged_to_padded_dense_forward _padded_dense_to_jagged_forward to_padded_tensor "
        "nested_to_padded_tensor "
        "_nested_from_padded _nested_tensor_from_tensor_list _sparse_mask_projection "
        "_convert_indices_from_coo_to_csr _convert_indices_from_csr_to_coo"
    ),
    "looks data up by index": (
        "max_unpool2d max_unpool3d "
        "embedding embedding_renorm gather index index_copy index_fill index_select scatter "
        "select_scatter slice_scatter diagonal_scatter take take_along_dim "
        "_unsafe_index bucketize searchsorted one_hot nonzero nonzero_numpy "
        "nonzero_static argwhere isin _unsafe_masked_index"
    ),
    "puts a gradient where its value came from, among zeros": (
        "diagonal_backward masked_scatter_backward select_backward slice_backward _nested_select_backward "
        "_nested_sum_backward _sparse_sum_backward"
    ),
    "creates data": (
        "fft_fftfreq fft_rfftfreq "
        "arange bartlett_window bernoulli blackman_window complex empty empty_like empty_permuted empty_strided eye "
        "full full_like hamming_window hann_window linspace logspace multinomial new_empty new_empty_strided "
        "new_full new_ones new_zeros normal ones ones_like polar rand rand_like randint randint_like randn "
        "randn_like randperm scalar_tensor uniform vander zeros zeros_like exponential cauchy geometric log_normal "
        "random _efficientzerotensor _sparse_coo_tensor_with_dims_and_tensors _sparse_coo_tensor_unsafe "
        "_sparse_compressed_tensor_unsafe _sparse_coo_tensor_with_dims _spdiags sparse_compressed_tensor "
        "sparse_coo_tensor sparse_csr_tensor sparse_csc_tensor sparse_bsr_tensor sparse_bsc_tensor"
    ),
    "tells the profiler of torch where it is": (
        "profiler._record_function_enter profiler._record_function_enter_new profiler._record_function_exit"
    ),
    "orders or compares, without arithmetic on values": (
        "argsort allclose bincount equal histc histogram _histogramdd_bin_edges "
        "_histogramdd_from_bin_cts _histogramdd_from_bin_tensors is_nonzero kthvalue msort sort topk "
        "unique_consecutive unique_dim _unique _unique2 is_same_size"
    ),
    "reads a number or checks a condition": (
        "_is_all_true _is_any_true item _local_scalar_dense _assert_async _assert_tensor_metadata _assert_scalar "
        "_functional_assert_async _linalg_check_errors "
        "sym_constrain_range sym_constrain_range_for_size is_pinned is_coalesced is_complex is_floating_point numel "
        "_nnz _dimI _dimV sparse_dim dense_dim size stride sym_size sym_numel sym_stride sym_storage_offset "
        "_coalesced _nested_tensor_size _validate_sparse_coo_tensor_args _validate_sparse_compressed_tensor_args "
        "result_type can_cast _has_same_storage_numel"
    ),
}

FORMULAS: Table = {name if "." in name else f"aten.{name}": None for names in FREE.values() for name in names.split()}
