/* A gate on the output of a layer, from sums a = W x of its input, row by row. `kind` is an OutputGate: silu(a), or softmax over
 * groups of k neighbouring units times k, which is 1 where all of a group are equal. */
enum { SILU_GATE, SOFTMAX_GATE }; /* GateKind of _table.pxd */
enum { GATE_BLOCK = 64 };

static void output_gate(int kind, Py_ssize_t n_units, Py_ssize_t group, const void *sums, void *gates) {
    const real *a = (const real *)sums;
    real *gate = (real *)gates;
    if (kind == SILU_GATE) {
        silu_array(n_units, a, gate);
        return;
    }
    for (Py_ssize_t first = 0; first < n_units; first += group) {
        real largest = a[first], total = 0;
        for (Py_ssize_t u = first; u < first + group; u++) largest = a[u] > largest ? a[u] : largest;
        for (Py_ssize_t u = first; u < first + group; u++) gate[u] = a[u] - largest;
        exp_array(group, gate + first, gate + first);
        for (Py_ssize_t u = first; u < first + group; u++) total += gate[u];
        const real scale = (real)group / total;
        for (Py_ssize_t u = first; u < first + group; u++) gate[u] *= scale;
    }
}

/* d: in, the gradient of the gates; out, that of the sums. */
static void output_gate_backward(int kind, Py_ssize_t n_units, Py_ssize_t group, const void *sums, const void *gates, void *d_row) {
    const real *a = (const real *)sums, *gate = (const real *)gates;
    real *d = (real *)d_row;
    if (kind == SILU_GATE) {
        real slope[GATE_BLOCK];
        for (Py_ssize_t first = 0; first < n_units; first += GATE_BLOCK) {
            const Py_ssize_t n = smaller(GATE_BLOCK, n_units - first);
            silu_slope_array(n, a + first, slope);
            for (Py_ssize_t u = 0; u < n; u++) d[first + u] *= slope[u];
        }
        return;
    }
    for (Py_ssize_t first = 0; first < n_units; first += group) {
        real mean = 0;
        for (Py_ssize_t u = first; u < first + group; u++) mean += gate[u] * d[u];
        mean /= (real)group;
        for (Py_ssize_t u = first; u < first + group; u++) d[u] = gate[u] * (d[u] - mean);
    }
}

/* y = a b, n numbers; y may be a or b. */
static void multiply_rows(Py_ssize_t n, const void *a, const void *b, void *out) {
    for (Py_ssize_t i = 0; i < n; i++) ((real *)out)[i] = ((const real *)a)[i] * ((const real *)b)[i];
}
