/* The contract between a cell and the layers.
 *
 * A cell is one header in this folder: its equations as two functions on a few vectors, and one `static const Cell`. The
 * layers own the rest: weights, products, the loops over time, sequences and threads, and all options. elman.h is the
 * shortest cell, delta.h the shortest gated one.
 *
 * In forward the layer computes the *sums* of a unit, W_x x + W_h h + b, one for each name in `sums`; the cell turns them and
 * the unit's previous states into the next states, and stores in `gates` and `kept` what backward needs. In backward the cell
 * turns the gradients of the next states into those of the sums (d_sums) and of the previous states. The layer adds the
 * gradient of h that comes through the products; the cell returns only what bypasses them (d_h z of a GRU).
 *
 * Layout. A vector holds LANES units. The n_sums vectors of these units are adjacent: sum k of a vector of units is at
 * sums + k * LANES. The sums that read x are one run of them (x_first, x_count), those that read h another (h_first, h_count),
 * and those that read the *gated h* a third (gated_first, gated_count):
 *     LSTM              i f g o      x |i f g o|   h |i f g o|
 *     GRU               n_x r z n_h  x |n_x r z|   h     |r z n_h|
 *     gru_reset_before  r z n        x |r z n|     h |r z|  gated h     |n|
 * No structural zeros are stored or multiplied. `units` is the number of vectors of units in a panel of weights, so that
 * units * n_sums fills the 4 vectors of the register tile where it can; it is 1 where a run holds only some of the sums, since
 * the vectors of a run would not be adjacent in a panel of several units.
 *
 * The gated h is for cells with a second product, of a vector that is known only after the first one: r * h where a gate is
 * applied to h before the product (gru_reset_before.h, mgu.h), or what the first sums give (second_order.h). `gate` computes it
 * from the first sums and h, then its product is added to the sums that read it, then `forward` runs. Backward runs `backward`,
 * the transposed product, `gate_backward`.
 *
 * A *chain* of several gated vectors is for cells with micro-layers (rhn.h): vector k is made by `gate` of the sums so far and
 * of the vector before (the first of h), and read by the next gated_count / chain sums. `forward` and `backward` then have the
 * last vector in the place of the previous h.
 *
 * `forward` and `gate` take n <= SIDE_BY_SIDE vectors at once, in arrays that EACH loops over (j = 0 .. n - 1): interleaved,
 * their operations hide each other's latency. All functions of a cell are SKLSTM_INLINE, so n is a constant in them; called
 * through pointers they would be 3 to 6 % slower.
 */

enum { MAX_SUMS = 12, MAX_VECTORS = 3 };

/* n vectors of units, of the same row or of different ones. `in` is filled by the layer, `out` by the cell. */
typedef struct {
    const real *sums[SIDE_BY_SIDE];    /* in: the n_sums vectors; after `activate` if the cell has it */
    const real *vectors[SIDE_BY_SIDE]; /* in: the first of n_vectors vectors of per-unit weights, `stride` apart */
    Py_ssize_t stride;
    vec h[SIDE_BY_SIDE];               /* in: previous h, if reads_h; out: next h */
    vec c[SIDE_BY_SIDE];               /* in: previous c, if has_c; out: next c */
    const real *c_prev[SIDE_BY_SIDE];  /* in, with more_states: state k of c is k * stride behind c_prev, */
    real *c_next[SIDE_BY_SIDE];        /* and what follows it goes to k * stride behind c_next, which may be c_prev */
    vec gap[SIDE_BY_SIDE];             /* in: time since the step before, if reads_gap */
    /* out, in training (gates is not NULL): n_sums vectors to gates + n_sums * u[j], n_kept more to kept + n_kept * u[j].
     * After `activate` the layer has stored the gates already. */
    Kept *gates, *kept;                /* written with keep, and read in backward with kept (kept.h) */
    int compact;
    const Py_ssize_t *u;
} CellForward;

/* One vector of units. */
typedef struct {
    const Kept *gates, *kept;           /* in: as forward left them */
    int compact;
    const real *vectors;                /* in: as forward read them */
    Py_ssize_t stride;
    vec h_prev, c_prev;                 /* in: if reads_h, has_c */
    vec gap;                            /* in: as forward read it */
    vec d_h, d_c;                       /* in: gradients of the next states; out: of the previous states, without what comes
                                           through the sums; d_h if reads_h, d_c if has_c */
    vec direct_c;                       /* in: to be added to d_c out (zoneout) */
    const real *more_c;                 /* in, with more_states: previous states of c, k * stride behind; */
    real *more_d_c;                     /* in: gradients of the next ones; out: of the previous ones, */
    const real *more_direct_c;          /* with these added to them; NULL: nothing */
    vec d_sums[MAX_SUMS];               /* out; for a gate of `gate` the part that does not come through the gated h */
    vec d_vectors[MAX_VECTORS];         /* out: gradients of the per-unit weights */
} CellBackward;

/* If gated_count > 0, before the product of the gated h. */
typedef struct {
    real *sums[SIDE_BY_SIDE];           /* in: the sums that read x and h; out: the gate instead of its sum, for forward */
    vec h[SIDE_BY_SIDE];                /* in: previous h; out: gated h, with as many numbers as units */
    int stage;                          /* of a chain: number of the vector; h is the one before */
} CellGate;

/* One vector of units, after the transposed product of the gated h. */
typedef struct {
    const real *gates;
    vec h_prev, d_gated;                /* in: d_gated is the gradient of the gated h */
    vec d_h;                            /* in and out: add the gradient of the previous h */
    vec d_sums[MAX_SUMS];               /* in: of `backward`; out: complete */
    int stage;
} CellGateBackward;

/* One row of a layer with options. A cell has functions on it if it needs whole rows: the LSTM, whose normalised c is normalised
 * over the row, and whose peepholes look at the new c; and every *row cell* (driver ROWS), whose units share numbers of their row
 * (B, C of Mamba, the heads of an attention) or carry many states. Vector k of the second state, of the per-unit weights and of
 * what is derived of them is k * stride behind the first; a sum is where it is in `CellForward`. */
typedef struct {
    Py_ssize_t n_units, stride;
    int training;
    const Py_ssize_t *numbers;          /* the cell's own sizes */
    CellSizes sizes;
    const real *constants;              /* what the registry computes of the numbers, such as a fixed state matrix */
    real *gates;                        /* in: the sums; out: the gates */
    real *kept;                         /* out: n_kept vectors for each vector of units */
    const real *h_prev, *c_prev;
    const Kept *kept_c;                 /* c_prev in 16 bits, for cells_backward in the place of c_prev; NULL: there is none */
    real gap;                           /* in: time since the step before, if reads_gap */
    real *h_next, *c_next;              /* out; never where the previous ones are */
    const real *vectors;                /* NULL: none */
    const real *derived;                /* what `derive` made of them */
    real *d_derived;                    /* its gradient; added to */
    const real *state_norm;             /* gain and shift of the normalised state, `stride` apart; NULL: not normalised */
    real *normalised;                   /* out: the normalised state */
    real inverse;                       /* out: 1 / its deviation */
    /* backward */
    const real *d_h, *d_h_more;         /* in: gradient of h_next, the sum of both; d_h_more may be NULL */
    real *d_c;                          /* in: gradient of c_next; out: of c_prev */
    const real *direct_c;               /* in: to be added to d_c; NULL: nothing */
    real *direct_h;                     /* gradient of h_prev that bypasses the sums, if reads_h */
    real *d_sums;                       /* out; may be gates */
    real *d_bias, *d_vectors, *d_state_norm; /* added to */
    real *scratch;                      /* a row */
} CellRow;

/* From the per-unit weights of a row cell to numbers that all steps of a chunk use, and back. */
typedef struct {
    Py_ssize_t n_units, stride;
    const Py_ssize_t *numbers;
    const real *vectors;
    real *derived;                      /* out of `derive`, in of `derive_backward` */
    const real *d_derived;
    real *d_vectors;                    /* added to */
} CellDerivation;

typedef struct {
    union {                             /* the cell in numbers: layers/interface.h */
        CellShape shape;
        struct { CELL_NUMBERS };
    };
    int more_states;                    /* states of c beside the first, in an elementwise cell */
    unsigned char ranges[MAX_SUMS];     /* with `activate`: the range of each of an even number of gates (kept.h), in pairs */
    void (*forward)(const int n, CellForward *s);
    void (*backward)(CellBackward *s);
    /* or NULL: */
    void (*activate)(vec *sums);        /* activations of one vector of units in place, in a loop of their own before forward */
    void (*gate)(const int n, CellGate *s);
    void (*gate_backward)(CellGateBackward *s);
    void (*row_forward)(CellRow *row);  /* instead of forward and backward in a layer with options; a row cell has these alone */
    void (*row_backward)(CellRow *row);
    /* of row cells: counts that depend on their numbers (NULL: none do); and the numbers derived of the vectors */
    void (*sizes)(const Py_ssize_t *numbers, CellSizes *sizes);
    void (*derive)(CellDerivation *d);
    void (*derive_backward)(CellDerivation *d);
} Cell;

/* Arrays of the first unit of a block of units and rows; gates and kept are NULL in prediction. */
typedef struct {
    Kept *gates, *kept;
    const real *vectors, *h_prev, *c_prev;
    real *c_next, *h_next;              /* c_next may be c_prev */
    const real *gaps;                   /* of each row; NULL: 1 everywhere */
    Kept *kept_c;                       /* out: c_prev in 16 bits; NULL: not wanted */
} CellArrays;

/* The loop of one cell over a block of rows and units (cells_forward in layers/cell_loops.h). It is not inlined into the loop
 * over time, where its constants would have no registers left: that costs 5 % of a forward pass of 17 units. */
typedef void (*CellLoop)(Py_ssize_t n_rows, Py_ssize_t n_units, Py_ssize_t stride, real *z, Py_ssize_t z_stride,
                         const CellArrays *arrays);
