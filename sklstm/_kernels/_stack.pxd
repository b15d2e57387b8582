# The shapes of a network, for the doors that run it: whole sequences (_stack.pyx) or one row at a time (_stream.pyx).

from libc.string cimport memcpy

from sklstm._kernels._table cimport KernelTable, ROWS_OF_A_PANEL


cdef struct Layer:
    Py_ssize_t input_size
    Py_ssize_t hidden_size
    Py_ssize_t hidden_stride
    # offsets in elements: into the caller's parameter vector, ...
    Py_ssize_t weight_ih
    Py_ssize_t weight_hh
    Py_ssize_t bias
    # ... into the vector of panels (weights, moments and gradients alike), ...
    Py_ssize_t panels
    Py_ssize_t panel_bias
    # ... and into the copies for the way back.
    Py_ssize_t hh_back
    Py_ssize_t ih_back
    # what stands between this layer and its reader (layer_output.h)
    Py_ssize_t residual_from     # the layer whose output is added; -1: none
    bint norm
    Py_ssize_t norm_weight       # gain and shift in the parameter vector, ...
    Py_ssize_t norm_bias
    Py_ssize_t panel_norm        # ... and in a vector of panels: gain, then shift, hidden_stride apart
    # where this layer's h, then its c, begins in a row of states
    Py_ssize_t state


cdef struct Head:
    Py_ssize_t n_outputs
    Py_ssize_t stride            # n_outputs rounded up to whole tiles
    Py_ssize_t weight
    Py_ssize_t bias
    Py_ssize_t panels
    Py_ssize_t panel_bias
    Py_ssize_t back


cdef class Stack:
    cdef const KernelTable *kernels
    cdef Layer *layers
    cdef Head head
    cdef Py_ssize_t n_layers
    cdef readonly Py_ssize_t n_parameters, state_size, panels_size, back_size, n_outputs, hidden_size, input_size
    cdef readonly object dtype, segment_ends
    cdef object panels, back
    cdef bint input_gradient
    cdef char code


cdef inline double finish_row(const KernelTable *kernels, const Layer *layer, const char *panels, const char *h,
                              const char *skip, char *out, char *normalised) noexcept nogil:
    """From a row of hidden states to the layer's output: residual sum, then normalisation; 1 / deviation of the row."""
    if skip != NULL:
        kernels.residual_sum(layer.hidden_stride, h, skip, out)
    else:
        memcpy(out, h, layer.hidden_stride * kernels.item_size)
    if not layer.norm:
        return 0
    # The epsilon of layer normalisation is PyTorch's: Ba et al. leave it open.
    return kernels.layer_norm(layer.hidden_size, layer.hidden_stride, panels + layer.panel_norm * kernels.item_size,
                              1e-5, out, normalised if normalised != NULL else out)


cdef inline bint has_output(const Layer *layer) noexcept nogil:
    """Whether the reader of this layer reads anything else than its hidden states (dropout aside)."""
    return layer.norm or layer.residual_from >= 0


cdef inline Py_ssize_t round_up(Py_ssize_t n, Py_ssize_t step) noexcept nogil:
    return (n + step - 1) // step * step


cdef inline Py_ssize_t scratch_size(Py_ssize_t n, Py_ssize_t hidden_stride, Py_ssize_t lanes) noexcept nogil:
    """Elements of a layer's pre-activations: one panel of n rows, or all panels of a few."""
    return max(n * 4 * lanes, min(n, <Py_ssize_t> ROWS_OF_A_PANEL) * 4 * hidden_stride)


cdef inline char *take(char **cursor, Py_ssize_t n_bytes) noexcept nogil:
    """The next n_bytes of a block, on a 64-byte boundary."""
    cdef char *begin = cursor[0]
    cursor[0] = begin + round_up(n_bytes, 64)
    return begin
