# Plain structs: a call of the stack (filled by call.pxi), and the arrays of one worker's chunk (filled by
# workspace.pxi).

cdef struct DirectionBuffers:
    # one direction of a layer
    char *gates
    char *c
    char *kept_c                 # c before each step in 16 bits; NULL
    char *kept
    char *h
    char *options                # workspace of a layer with options
    char *d_h_last               # with a decoder: gradients of the final states, (n, width_stride)
    char *d_c_last               # (n, hidden_stride)


cdef struct LayerBuffers:
    DirectionBuffers directions[2]
    char *out                    # (T, n, output_stride) input of the layer above, where that is not h
    char *read                   # (T, n, output_stride) the same where it is a normalised copy; out then is not read
    char *gate_sums              # (T, n, gate stride), in prediction (n, ...): what the gate is computed from
    char *gate                   # (T, n, output_stride), in prediction (n, ...)
    char *fed                    # (T, n, output_stride), in prediction (n, ...): what the feedforward block multiplies
    char *fed_normalised         # (T, n, output_stride) before gain and shift
    double *fed_inverse          # (T, n)
    char *fed_sums               # (T, n, sums_stride), in prediction (n, ...)
    char *normalised             # (T, n, output_stride) before gain and shift
    double *inverse              # (T, n) 1 / deviation of each row
    unsigned char *kept


cdef struct StackCall:
    const KernelTable *kernels
    Py_ssize_t n_layers
    const Layer *layers
    const InputStage *input
    const Attention *attention
    const Head *head
    bint skip_is_frozen
    const Decoder *decoder
    bint over_horizon            # this is the run of a decoder over the rows ahead (decoder.pxi)
    const char *ahead            # known columns, standardised by nobody: (rows, n_known); NULL: none are read
    bint ahead_is_double
    const Py_ssize_t *ahead_starts  # of each sequence, the first of its rows ahead
    bint every_step              # each step has an output: targets, weights, z and hidden go by row of the table
    bint options                 # some layer is not the plain one
    double zoneout
    const char *panels
    const char *transposed       # NULL in prediction
    int format                   # BF16_PAIRS or REALS
    const char *words            # the weights as words of bf16; NULL with REALS, and with those of a layer at a time
    Py_ssize_t layer_words_size  # numbers of the longest of these; 0: all of them at once
    const Copy *copies           # the transposed copies
    Py_ssize_t layer_transposed  # where the only chunk makes those of each layer in turn, in the cache; -1: it does not
    double *ranges               # (n_threads, ranges_size) what layers read is measured there; NULL: it is not
    Py_ssize_t ranges_size
    # the sequences: row t of sequence i is table + (starts[i] + t) * row_stride
    const char *table
    bint is_double               # the table's dtype, which need not be the network's
    Py_ssize_t table_item        # its bytes
    bint fills_inputs            # the first layer reads the output of the input stage, not the table itself
    Py_ssize_t row_stride        # elements
    const Py_ssize_t *starts
    const Py_ssize_t *lengths    # in rows, never increasing inside a chunk
    const Py_ssize_t *first_rows  # with every_step, the first row that the linear skip may read; NULL: starts
    Py_ssize_t n_samples
    Py_ssize_t max_steps
    Py_ssize_t chunk_size
    Py_ssize_t n_chunks
    bint training
    bint neighbours              # batches hold overlapping windows
    bint want_d_x
    # one workspace for each worker
    char *workspaces
    Py_ssize_t workspace_bytes
    # outputs of forward (NULL: not wanted)
    char *out_z                  # (n_samples, n_outputs)
    char *out_hidden             # (n_samples, output_size of the top layer)
    char *out_pool_weights       # (n_samples, max_steps)
    char *out_head_weights       # (n_samples, n_heads, max_steps)
    const char *initial_state    # (n_samples, state_size); NULL: zeros
    char *final_state            # (n_samples, state_size)
    Py_ssize_t state_size
    # training
    int loss_kind
    const double *loss_parameters  # (n_outputs,)
    const char *targets
    const char *weights          # (n_samples, n_weights)
    Py_ssize_t n_weights         # 1, or one for each output
    double scale
    double *chunk_losses         # (n_chunks,)
    char *slots                  # (n_slots, panels_size)
    OuterProducts *products      # of a single row: parts of the gradient that are left as factors; NULL: none are
    int n_threads                # that share this row (single_row.pxi)
    Py_ssize_t panels_size       # elements of a slot
    Py_ssize_t n_slots
    Py_ssize_t first_slot        # of those that this call computes, which are side by side in `slots`
    double dropout
    double recurrent_dropout
    unsigned long long seed
    unsigned int epoch
    const unsigned int *sample_ids
    char *d_initial_state        # (n_samples, state_size); NULL: not wanted
    char *d_x                    # (n_samples, max_steps, input_size); NULL: not wanted
    SignalWatch *watch


cdef struct ChunkBuffers:
    SignalWatch *watch
    int worker
    ChunkBuffers *turns          # those of the decoder, and from there back; NULL
    ChunkBuffers *encoder
    char *turn_bias              # (n_turns, sums of the first layer)
    char *turn_inputs            # (n_turns, n, input_size), or one row of zeros
    char *turn_products          # (n_turns, n, sums of the first layer)
    unsigned int *turn_ids       # (n_turns, n) numbers of the samples
    LayerBuffers *layers
    char *inputs                 # input of the first layer, where that is not the table (inputs.pxi); NULL
    char *gaps                   # (T, n) time since the step before, of cells that read it; NULL: 1 everywhere
    char *skip_rows              # (n, skip stride) rows that the linear skip reads of each sequence; NULL
    double *moments              # (2, n_columns) of one window that is normalised; NULL
    Py_ssize_t *steps            # (n,) of each sequence
    char *attended               # (T, n, output_stride of the top layer) output of the block of self-attention
    char *attention              # its workspace
    char *pooling                # the workspace of the pooling
    char *features               # (n, output_stride of the top layer)
    char *z                      # (n, head stride), or (T, n, head stride)
    char *sums                   # of one panel, or of one step
    char *step_products          # (n, T, S Hp) x W_ih of all steps of a layer, where gates do not hold it; NULL
    char *words                  # rows of x and h as words; NULL with REALS
    char *gradient_words
    char *layer_words            # weights of one direction of a layer as words, then their transposed copies; NULL
    char *d_z
    char *d_last                 # (n, output_stride of the top layer)
    char *d_top                  # (T, n, output_stride of the top layer): the gradient of its output
    char *residual               # (T, n, residual_stride) the residual after its linear map, and its gradient
    char *gate_x                 # (n, input_size) what the gate of a layer reads at a step
    char *d_gate_sums            # (T, n, gate stride)
    char *fed_units              # (n, stride) the units of a feedforward block, and their gradient
    char *d_fed_units
    char *fed_out                # (n, wide_stride) what the block adds, and its gradient
    char *d_fed_sums             # (n, sums_stride)
    char *d_fed                  # (n, output_stride)
    char *d_skip[2]              # (T, n, output_stride) gradients of residual connections
    char *d_run                  # (T, n, width_stride) the gradient of one direction's h
    char *d_h
    char *d_c
    char *d_x[2]                 # gradients of the layers' inputs: each layer reads one and writes the other
    char *d_x_backward           # the part of the backward direction
    const void **x_rows
    const void **row_pointers
    char *pair_rows
    int *n_active
    char *products               # (rows of the chunk, n_sums hidden_stride of the first layer) when windows share them
    int *shared_first            # (n,) the row of the chunk that each sequence reads first
    char *one                    # the number 1, to sum rows by an outer product
