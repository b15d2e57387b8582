/* The contract of a cell: what its header brings, and what the layers do for it.
 *
 * A cell is one static const Cell with two or four functions of a few lines (elman.h is the shortest). It sees no weight, no
 * step and no sequence: from the *sums* of some units, W_x x + W_h h + b, and their previous states it computes the next
 * states; backward, from the gradients of the states those of the sums. doc/developers/cells.md draws all of it.
 *
 * Sums are stored unit by unit: the n_sums vectors of LANES units lie side by side, in the order of `sums`. Those that read x are
 * one run of them, those that read h another one, those that read the gated h (reset before the product) a third:
 *     LSTM  i f g o      x |i f g o|        h |i f g o|
 *     GRU   n_x r z n_h  x |n_x r z|        h     |r z n_h|          (no structural zeros are multiplied)
 * A panel of weights holds `units` vectors of units, so that units * n_sums fills the register tile (4 vectors) where it can.
 *
 * Everything here is inlined into the loops of a layer, one instance for each cell: function pointers cost 3 to 6 %.
 */

enum { MAX_SUMS = 4, MAX_VECTORS = 3 };

/* n <= SIDE_BY_SIDE vectors of units, j = 0 .. n - 1; they may be of different rows. */
typedef struct {
    const real *sums[SIDE_BY_SIDE];    /* n_sums vectors; after `activate`, if the cell has it (they are in `gates` then) */
    const Py_ssize_t *u;               /* where their units stand among those of all rows: the n_sums vectors that */
    real *gates;                       /* backward reads go to gates + n_sums * u[j]; NULL where nothing goes back, */
    real *kept;                        /* n_kept vectors more to kept + n_kept * u[j] */
    const real *vectors[SIDE_BY_SIDE]; /* n_vectors vectors of weights, `stride` apart */
    Py_ssize_t stride;
    vec h[SIDE_BY_SIDE];               /* in: previous h, where the cell reads it; out: next h */
    vec c[SIDE_BY_SIDE];               /* the same of c, where the cell has one */
} CellForward;

/* Before the product with the gated h (gated_count > 0): from the first sums and h to the gated h. */
typedef struct {
    real *sums[SIDE_BY_SIDE];          /* may be overwritten: forward reads them */
    vec h[SIDE_BY_SIDE];               /* in: previous h; out: what is multiplied */
} CellGate;

/* One vector of units. */
typedef struct {
    const real *gates, *kept, *vectors;
    Py_ssize_t stride;
    vec h_prev, c_prev;                /* where the cell reads them */
    vec d_h, d_c;                      /* in: gradients of the next states; out: of the previous ones, past the sums */
    vec direct_c;                      /* to be added to the second: what zoneout passes on */
    vec d_sums[MAX_SUMS];              /* out */
    vec d_vectors[MAX_VECTORS];        /* out */
} CellBackward;

/* After the transposed product of the gated h: `d_gated` is its gradient. */
typedef struct {
    const real *gates;
    vec h_prev, d_gated;
    vec d_h;                           /* in and out: collects the gradient of the previous h */
    vec d_sums[MAX_SUMS];              /* out: of the sums that the gate was made of */
} CellGateBackward;

/* A whole row of a layer with options, for a cell that needs one (the LSTM, whose c is normalised over the row). */
typedef struct {
    Py_ssize_t n_units, stride;
    int training;
    real *gates;                       /* in: the sums; out: what backward reads */
    real *kept;                        /* n_kept rows side by side, unit by unit */
    const real *h_prev, *c_prev;
    real *h_next, *c_next;
    const real *vectors;               /* NULL: none */
    const real *state_norm;            /* gain and shift of the normalised state, `stride` apart; NULL: none */
    real *normalised;                  /* the normalised state */
    real inverse;                      /* 1 / its deviation */
    /* backward */
    real *d_sums;                      /* out: may be gates */
    const real *d_h, *d_h_more;     /* gradient of h_next: the sum of the two; NULL: nothing more */
    real *d_c;                         /* in: of c_next; out: of c_prev */
    const real *direct_c;              /* to be added to it; NULL: nothing */
    real *direct_h;                    /* collects the gradient of h_prev past the sums; NULL where the cell reads no h */
    real *d_bias, *d_vectors, *d_state_norm; /* added to */
    real *scratch;                     /* a row */
} CellRow;

typedef struct {
    union {                            /* its numbers: interface.h */
        CellShape shape;
        struct { CELL_NUMBERS };
    };
    void (*activate)(vec *sums);       /* of one vector of units, in a loop of its own; NULL: forward takes the sums as they are */
    void (*forward)(const int n, CellForward *s);
    void (*backward)(CellBackward *s);
    void (*gate)(const int n, CellGate *s);
    void (*gate_backward)(CellGateBackward *s);
    void (*row_forward)(CellRow *row); /* NULL: the layer goes through `forward` and `backward` */
    void (*row_backward)(CellRow *row);
} Cell;

/* The arrays of the cells of some rows; gates and kept are NULL without a backward pass. */
typedef struct {
    real *gates, *kept;
    const real *vectors, *h_prev, *c_prev;
    real *c_next, *h_next;             /* c_prev may be c_next */
} CellArrays;

/* The loop of one cell over some rows and units (cells_forward in sums.h), a function of its own: inlined into the loop over
 * time its constants had no registers left (5 % of a forward pass of 17 units). */
typedef void (*CellLoop)(Py_ssize_t n_rows, Py_ssize_t n_units, Py_ssize_t stride, real *z, Py_ssize_t z_stride,
                         const CellArrays *arrays);
