# The memory of a stream: all arrays and kernel calls of a step, laid out once.

cdef enum:
    # Multiplications in one layer's step from which several threads are worth waking.
    SHARED_STEP = 1 << 20
    # Multiplications of a step up to which it keeps the GIL, for some microseconds: giving it up and taking it back
    # costs 5 % of a step of 64 units.
    SHORT_STEP = 1 << 17
    # Rows of a thread from which each computes all layers of its own rows, where the products are of bytes: the threads
    # meet once in a step, and each reads all weights. With fewer rows, or weights of 16 bits (5x512, 32 rows: 2.03 ms
    # for 1.82), that costs more than to take panels of a layer each, and to meet after every layer.
    ROWS_OF_A_SHARE = 16


cdef inline Py_ssize_t first_row(Py_ssize_t n, int share, int n_shares) noexcept nogil:
    return share * n // n_shares


cdef class StreamBuffers(OneThread):
    """The arrays and kernel calls of `StackStream`, whose parameters these are."""

    cdef Stack stack
    cdef object panels, words, out_array
    cdef char *block
    cdef const char *weights
    cdef LayerCall *calls            # (n_layers, n_shares)
    cdef IntegerLayer *integers      # (n_layers,)
    cdef char **outputs              # (n_layers,) each (T, n, Hp): output of the layer; NULL: its h
    cdef Py_ssize_t n, length, ring  # ring: rows that a stream keeps, twice the window
    cdef Py_ssize_t position         # where the next row of the ring goes
    cdef int n_shares
    cdef bint is_short               # a step keeps the GIL
    cdef bint by_rows                # shares are of rows, through all layers; otherwise of the panels of a layer
    cdef int *share_rows             # (n_shares,) rows of each
    cdef bint want_hidden
    cdef double *raw                 # (n, D) the rows of this step, as they came
    cdef char *x                     # (n, D) as the first layer reads them
    cdef double *rows                # (n, ring, D) the rows seen last, as they came
    cdef char *products              # (n, ring, S Hp of the first layer)
    cdef char *step_products         # (T, n, S Hp) of the longest layer behind the first, of few streams; NULL
    cdef char *gaps                  # (T, n) time since the row before; NULL: no cell reads it
    cdef char *features              # (n, Hp of the top layer), by stream
    cdef char *z
    cdef char *out
    cdef int *n_active
    cdef Py_ssize_t *counts          # (n,) rows in each stream's window, in the order of the streams
    cdef Py_ssize_t *order           # (n,) streams, longest window first
    cdef char *before                # (n, state_size) the states before the last step, where there is no window
    cdef readonly Py_ssize_t n_steps  # that were taken and not taken back
    cdef unsigned long stepper       # the thread that took the last one

    def __cinit__(self, Stack stack, Py_ssize_t n_streams, Py_ssize_t sequence_length, out, bint want_hidden,
                  int n_threads):
        cdef Py_ssize_t n_bytes, r
        cdef char *aligned
        if not stack.reads_row_by_row:
            raise ValueError("this network has no single steps of its own")
        self.stack, self.n, self.length, self.want_hidden = stack, n_streams, sequence_length, want_hidden
        self.panels = stack.panels
        stack.make_words()
        self.words = stack.words
        self.ring = 2 * sequence_length
        self.out_array = out
        self.out = data_of(out, stack.code, n_streams * (stack.hidden_size if want_hidden else stack.n_outputs), True)
        self.n_shares = 1 if sequence_length else n_threads
        self.by_rows = self.is_shared_by_rows()
        self.is_short = self.products_of_step() <= SHORT_STEP
        n_bytes = self.lay_out(NULL) - <char *> NULL
        self.block = <char *> calloc(n_bytes + 64, 1)
        if self.block == NULL:
            raise MemoryError()
        aligned = self.block + (64 - <size_t> self.block % 64) % 64
        self.lay_out(aligned)
        self.describe()
        for r in range(self.n):
            self.order[r] = r

    def __dealloc__(self):
        free(self.block)

    cdef char *lay_out(self, char *base) noexcept:
        """Cut one block into all arrays; return its end."""
        cdef Py_ssize_t size = self.stack.kernels.item_size, n_layers = self.stack.n_layers, widest = 0, i
        self.calls = <LayerCall *> take_bytes(&base, n_layers * self.n_shares * sizeof(LayerCall))
        self.integers = <IntegerLayer *> take_bytes(&base, n_layers * sizeof(IntegerLayer))
        self.outputs = <char **> take_bytes(&base, n_layers * sizeof(char *))
        self.raw = <double *> take_bytes(&base, self.n * self.stack.input_size * sizeof(double))
        self.x = take_bytes(&base, self.n * self.stack.input_size * size)
        self.rows = <double *> take_bytes(&base, self.n * self.ring * self.stack.input_size * sizeof(double))
        self.products = take_bytes(&base, self.n * self.ring * self.sums_size(0) * size)
        if self.multiplies_all_steps():
            for i in range(1, n_layers):
                widest = max(widest, self.sums_size(i))
            self.step_products = take_bytes(&base, self.n * self.length * widest * size)
        if self.stack.input.time_column >= 0:
            self.gaps = take_bytes(&base, max(1, self.length) * self.n * size)
        self.features = take_bytes(&base, self.n * self.stack.layers[n_layers - 1].hidden_stride * size)
        self.z = take_bytes(&base, self.n * self.stack.head.stride * size)
        self.n_active = <int *> take_bytes(&base, max(1, self.length) * sizeof(int))
        self.share_rows = <int *> take_bytes(&base, self.n_shares * sizeof(int))
        self.counts = <Py_ssize_t *> take_bytes(&base, self.n * sizeof(Py_ssize_t))
        self.order = <Py_ssize_t *> take_bytes(&base, self.n * sizeof(Py_ssize_t))
        if not self.length:
            self.before = take_bytes(&base, self.n * self.stack.state_size * size)
        return self.lay_out_layers(base, base == NULL or self.block == NULL)

    cdef bint multiplies_all_steps(self) noexcept nogil:
        """Whether the layers behind the first multiply what they read at all steps of the windows at once."""
        return 0 < self.n * self.length <= STEP_PRODUCTS and self.n < MANY_SEQUENCES

    cdef Py_ssize_t sums_size(self, Py_ssize_t i) noexcept nogil:
        """Numbers of all sums of a layer."""
        return self.stack.layers[i].cell.n_sums * self.stack.layers[i].hidden_stride

    cdef char *lay_out_layers(self, char *base, bint measuring) noexcept:
        cdef Py_ssize_t size = self.stack.kernels.item_size, steps = max(1, self.length), i, k, state, scratch
        cdef char *arrays[3]
        cdef char *pointers
        cdef char *z
        cdef char *words
        cdef char *out
        cdef LayerCall *call
        for i in range(self.stack.n_layers):
            state = self.n * self.stack.layers[i].hidden_stride * size
            scratch = scratch_size(self.n, self.stack.layers[i].cell.n_sums, self.stack.layers[i].hidden_stride,
                                   self.stack.kernels.lanes)
            arrays[0] = take_bytes(&base, (steps + 1) * state)
            arrays[1] = NULL
            if self.stack.layers[i].sizes.n_states > 0:
                arrays[1] = take_bytes(&base, self.stack.layers[i].sizes.n_states * state)
            arrays[2] = take_bytes(&base, self.n * sizeof(void *))
            out = take_bytes(&base, steps * state) if has_output(&self.stack.layers[i]) else NULL
            if not measuring:
                self.outputs[i] = out
            for k in range(self.n_shares):
                pointers = take_bytes(&base, (2 * self.n + PAIRS) * sizeof(void *))
                z = take_bytes(&base, scratch * size)
                words = NULL
                if self.stack.layers[i].format != REALS:
                    words = take_bytes(&base, (2 * self.n + PAIRS) * size * words_stride(&self.stack.layers[i]))
                if not measuring:
                    call = &self.calls[i * self.n_shares + k]
                    call.h, call.c, call.z, call.words = arrays[0], arrays[1], z, words
                    call.x_rows, call.row_pointers = <const void **> arrays[2], <const void **> pointers
        return base

    cdef double products_of_step(self) noexcept nogil:
        """Multiplications of a step, at most."""
        cdef const Layer *layer
        cdef Py_ssize_t i
        cdef double products = 0
        for i in range(self.stack.n_layers):
            layer = &self.stack.layers[i]
            products += self.sums_size(i) * <double> (layer.input_size + layer.hidden_size)
        return products * self.n * max(1, self.length)

    cdef bint is_shared_by_rows(self) noexcept nogil:
        cdef Py_ssize_t i
        for i in range(self.stack.n_layers):
            if self.stack.layers[i].format != U8_S8:
                return False
        return (self.n_shares > 1 and self.n >= ROWS_OF_A_SHARE * self.n_shares
                and self.products_of_step() >= SHARED_STEP)

    cdef int describe(self) except -1:
        """Fill the arguments of the kernel calls that stay the same from step to step."""
        cdef const KernelTable *kernels = self.stack.kernels
        cdef Py_ssize_t size = kernels.item_size, i, k, r, n_panels, begin
        cdef const Layer *layer
        cdef LayerCall *call
        cdef const char *x
        cdef const char *words
        self.n_active[0] = <int> self.n
        self.weights = data_of(self.panels, self.stack.code, self.stack.panels_size)
        words = data_of(self.words, self.stack.code, self.stack.words_size)
        for i in range(self.stack.n_layers):
            layer = &self.stack.layers[i]
            n_panels = layer.n_panels
            for k in range(self.n_shares):
                call = &self.calls[i * self.n_shares + k]
                call.n_steps, call.n_samples, call.n_active = 1, self.n, self.n_active
                call.input_size, call.hidden_size = layer.input_size, layer.hidden_size
                call.hidden_stride = layer.hidden_stride
                call.output_size, call.output_stride = layer.width, layer.width_stride
                call.sizes, call.numbers = layer.sizes, <const Py_ssize_t *> layer.numbers
                call.gaps = self.gaps
                call.x_format, call.format = layer.x_format, layer.format
                call.weights = self.weights + layer.directions[0].panels * size
                if call.format == BF16_PAIRS:
                    call.weights = words + layer.directions[0].words * size
                if call.format != REALS:
                    call.words_stride = words_stride(layer)
                if layer.directions[0].integers >= 0:
                    describe_integers(layer, &layer.directions[0], self.weights, size, &self.integers[i])
                    call.integers = &self.integers[i]
                call.bias = self.weights + layer.directions[0].panel_bias * size
                if layer.directions[0].vectors >= 0:
                    call.vectors = self.weights + layer.directions[0].vectors * size
                begin = k * n_panels // self.n_shares
                call.first_panel, call.n_panels = begin, (k + 1) * n_panels // self.n_shares - begin
                if self.sums_size(i) * (layer.input_size + layer.hidden_size) * self.n < SHARED_STEP:
                    call.first_panel, call.n_panels = 0, n_panels if k == 0 else 0
            call = &self.calls[i * self.n_shares]
            for r in range(self.n):
                if i == 0:
                    x = self.x + r * layer.input_size * size
                else:
                    x = self.outputs[i - 1]
                    if x == NULL:  # its new h
                        x = <char *> self.calls[(i - 1) * self.n_shares].h + (
                            self.n * self.stack.layers[i - 1].hidden_stride * size)
                    x = x + r * self.stack.layers[i - 1].hidden_stride * size
                call.x_rows[r] = x
            for k in range(self.n_shares):
                # In a window the layer above reads all steps of the layer below.
                self.calls[i * self.n_shares + k].x_step = (
                    self.n * self.stack.layers[i - 1].hidden_stride if i > 0 else 0)
        if self.by_rows:
            self.describe_rows()
        if self.length:
            self.calls[0].x_is_product = True
            self.calls[0].x_step = self.sums_size(0)
        return 0

    cdef void describe_rows(self) noexcept:
        """Give each share its rows of all panels."""
        cdef Py_ssize_t size = self.stack.kernels.item_size, i, first
        cdef LayerCall *call
        cdef int k
        for k in range(self.n_shares):
            first = first_row(self.n, k, self.n_shares)
            self.share_rows[k] = <int> (first_row(self.n, k + 1, self.n_shares) - first)
            for i in range(self.stack.n_layers):
                call = &self.calls[i * self.n_shares + k]
                call.n_active = &self.share_rows[k]
                call.first_panel, call.n_panels = 0, self.stack.layers[i].n_panels
                call.x_rows = call.x_rows + first
                call.h = <char *> call.h + first * call.hidden_stride * size
                if call.c != NULL:
                    call.c = <char *> call.c + first * call.sizes.n_states * call.hidden_stride * size
                if call.gaps != NULL:
                    call.gaps = <const char *> call.gaps + first * size
