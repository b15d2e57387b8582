/* Dense products on the register tile: rows by panels, and the outer products of gradients. */

/* A row of a may be made of runs: n_runs times run_length words, run_stride apart (some sums of each unit). One run is a
 * plain row. last_first: the panels from the last to the first. */
static void product_runs(int format, Py_ssize_t n_rows, Py_ssize_t n_runs, Py_ssize_t run_length, Py_ssize_t run_stride,
                         Py_ssize_t n_vecs, const real *a, Py_ssize_t a_stride, const real *panels, real *out,
                         Py_ssize_t out_stride, int add, int last_first) {
    const Py_ssize_t n_k = n_runs * run_length, n_panels = (n_vecs + TILE_VECS - 1) / TILE_VECS;
    const real *rows[2 * TILE_ROWS];
    for (Py_ssize_t p = 0; p < n_panels; p++) {
        const Py_ssize_t first = (last_first ? n_panels - 1 - p : p) * TILE_VECS;
        const int vecs = (int)(n_vecs - first < TILE_VECS ? n_vecs - first : TILE_VECS);
        for (Py_ssize_t r = 0; r < n_rows;) {
            const int count = tile_rows(vecs, n_rows - r);
            real *target = out + r * out_stride + first * LANES;
            for (int i = 0; i < count; i++) rows[i] = a + (r + i) * a_stride;
            if (n_runs == 1) product_tile(format, count, vecs, add, n_k, rows, panels + first * n_k * LANES, target, out_stride);
            else
                product_tile_of_runs(format, count, vecs, add, n_runs, run_length, run_stride, run_length, rows,
                                     panels + first * n_k * LANES, target, out_stride);
            r += count;
        }
    }
}

/* out = a @ panels, rows of n_k words whose last n_runs times run_stride words hold run_length numbers at the begin of each run,
 * and then zeros, which are passed over; last_first as above. */
static void product_of_padded(int format, Py_ssize_t n_rows, Py_ssize_t n_k, Py_ssize_t n_runs, Py_ssize_t run_length,
                              Py_ssize_t run_stride, Py_ssize_t n_vecs, const real *a, Py_ssize_t a_stride, const real *panels,
                              real *out, Py_ssize_t out_stride, int add, int last_first) {
    const Py_ssize_t n_full = n_k - n_runs * run_stride, n_panels = (n_vecs + TILE_VECS - 1) / TILE_VECS;
    const real *rows[2 * TILE_ROWS], *ends[2 * TILE_ROWS];
    for (Py_ssize_t p = 0; p < n_panels; p++) {
        const Py_ssize_t first = (last_first ? n_panels - 1 - p : p) * TILE_VECS;
        const int vecs = (int)(n_vecs - first < TILE_VECS ? n_vecs - first : TILE_VECS);
        const real *panel = panels + first * n_k * LANES;
        for (Py_ssize_t r = 0; r < n_rows;) {
            const int count = tile_rows(vecs, n_rows - r);
            real *target = out + r * out_stride + first * LANES;
            for (int i = 0; i < count; i++) {
                rows[i] = a + (r + i) * a_stride;
                ends[i] = rows[i] + n_full;
            }
            if (n_full) product_tile(format, count, vecs, add, n_full, rows, panel, target, out_stride);
            product_tile_of_runs(format, count, vecs, add || n_full, n_runs, run_length, run_stride, run_stride, ends,
                                 panel + n_full * vecs * LANES, target, out_stride);
            r += count;
        }
    }
}

/* Of a panel of 4 vectors the first one: where no more columns are wanted, a fourth of it is read. */
SKLSTM_INLINE void first_vector_of_rows(const int rows, Py_ssize_t n_k, const real *a, Py_ssize_t a_stride, const real *panel,
                                        real *out, Py_ssize_t out_stride, int add) {
    vec sum[TILE_VECS];
    for (int r = 0; r < rows; r++) sum[r] = add ? v_load(out + r * out_stride) : v_broadcast(0);
    for (Py_ssize_t k = 0; k < n_k; k++) {
        const vec w = v_load(panel + k * TILE_VECS * LANES);
        for (int r = 0; r < rows; r++) sum[r] = v_fma(v_broadcast(a[r * a_stride + k]), w, sum[r]);
    }
    for (int r = 0; r < rows; r++) v_store(out + r * out_stride, sum[r]);
}

enum { ADDED = 1, FIRST_VECTOR = 2 };

/* out (n_rows, n_vecs lanes) = a (n_rows, n_k) @ panels. `how`: ADDED to what out holds; FIRST_VECTOR, of a single panel of 4
 * vectors the first one alone; or both. */
static void product(Py_ssize_t n_rows, Py_ssize_t n_k, Py_ssize_t n_vecs, const void *a, Py_ssize_t a_stride,
                    const void *panels, void *out, Py_ssize_t out_stride, int how) {
    const real *rows = (const real *)a, *panel = (const real *)panels;
    real *target = (real *)out;
    if (!(how & FIRST_VECTOR)) {
        product_runs(REALS, n_rows, 1, n_k, 0, n_vecs, rows, a_stride, panel, target, out_stride, how, 0);
        return;
    }
    Py_ssize_t r = 0;
    for (; r + TILE_VECS <= n_rows; r += TILE_VECS)
        first_vector_of_rows(TILE_VECS, n_k, rows + r * a_stride, a_stride, panel, target + r * out_stride, out_stride, how & ADDED);
    for (; r < n_rows; r++)
        first_vector_of_rows(1, n_k, rows + r * a_stride, a_stride, panel, target + r * out_stride, out_stride, how & ADDED);
}

/* panel (n_k, vecs vectors) += sum over pairs of rows of a^T d; in words of several pairs. */
static void outer_panel(int format, Py_ssize_t n_pairs, Py_ssize_t n_k, int vecs, const real *a, Py_ssize_t a_stride, const real *d,
                        Py_ssize_t d_stride, real *panel) {
    for (Py_ssize_t k = 0; k < n_k;) {
        const int rows = vecs == TILE_VECS ? (int)smaller(n_k - k, TILE_ROWS) : narrow_rows(n_k - k);
        outer_tile(format, rows, vecs, n_pairs, a + k, a_stride, d, d_stride, panel + k * vecs * LANES);
        k += rows;
    }
}

/* panels (n_panels, n_k, 4 lanes) += sum over pairs of rows of a^T d. */
static void outer(Py_ssize_t n_pairs, Py_ssize_t n_k, Py_ssize_t n_panels, const void *a, Py_ssize_t a_stride, const void *d,
                  Py_ssize_t d_stride, void *panels) {
    const Py_ssize_t width = TILE_VECS * LANES;
    for (Py_ssize_t p = 0; p < n_panels; p++)
        outer_panel(REALS, n_pairs, n_k, TILE_VECS, (const real *)a, a_stride, (const real *)d + p * width, d_stride,
                    (real *)panels + p * n_k * width);
}
