#ifndef SKLSTM_INTERFACE_H
#define SKLSTM_INTERFACE_H

#include <Python.h> /* Py_ssize_t */

#include "../update_step.h"

/* The interface of the layers, in plain data: the sizes of a cell, the arguments of a layer's functions, and the functions.
 *
 * Words used for sizes, in this order everywhere:
 *   n_steps       T   longest sequence of the chunk
 *   n_samples     n   sequences in the chunk, longest first
 *   input_size    D   columns that the layer reads
 *   hidden_size   H   units of the layer
 *   hidden_stride Hp  H rounded up to whole vectors; units H..Hp are zero everywhere and stay so
 *   output_size   P   numbers of h: H, or what a projection makes of them
 * S and K are n_sums and n_kept of the cell. Strides count elements, never bytes.
 */
enum {
    PAIRS = 128,        /* (step, sequence) pairs in a block of the weight gradient: 32 columns of them are half of L1 */
    ROWS_OF_A_PANEL = 8 /* from so many rows on, the cells run after each panel, whose sums are then in L1; with fewer rows they
                           run after the last panel, all units at once, to have enough independent operations */
};

/* A cell in numbers (cells/cell.h explains them). */
typedef enum { RECURRENT = 0, ELEMENTWISE = 1, ROWS = 2 } Driver;

/* (a macro: the fields of CellShape, which a Cell has too) */
#define CELL_NUMBERS                                                                                                          \
    const char *name;                                                                                                         \
    const char *sums;          /* the names of its sums in their order, with spaces between */                                \
    Driver driver;                                                                                                            \
    int n_sums, units;                                                                                                        \
    int x_first, x_count, h_first, h_count, gated_first, gated_count;                                                         \
    int reads_h;               /* reads the previous h elementwise, not only through the product */                           \
    int leaves_zero;           /* sums and states of zero give another h than zero */                                         \
    int has_c;                 /* a second state, c */                                                                        \
    int n_kept;                /* vectors stored for backward beside the n_sums gates */                                      \
    int n_vectors;             /* per-unit weights (peepholes) */                                                             \
    int vectors_are_optional;  /* an option, which the plain layer does not have */                                           \
    int normalises_state;      /* with normalised sums the state is normalised too (gain and shift) */                        \
    int reads_gap;             /* reads the time since the step before */                                                     \
    int chain;                 /* gated vectors, each made of the one before; 0: one of h */

typedef struct {
    CELL_NUMBERS
} CellShape;

/* Counts that may depend on a cell's own sizes (`numbers`): of vectors for each vector of units. */
typedef struct {
    Py_ssize_t n_states;    /* of the second state: 1 where there is a c (or a carried m), any number in a row cell */
    Py_ssize_t n_kept;      /* stored for backward beside the gates */
    Py_ssize_t n_vectors;   /* per-unit weights */
    Py_ssize_t n_derived;   /* what the cell computes of them, once for all steps of a chunk */
} CellSizes;

enum { MAX_NUMBERS = 6 };

/* A part of the panels: packing.h. */
typedef struct {
    Py_ssize_t units;       /* vectors of units in a panel */
    Py_ssize_t count;       /* vectors of sums for each of them */
    Py_ssize_t unit_size;   /* numbers of all parts together for one vector of units */
    Py_ssize_t part_offset; /* numbers of the parts before this one, likewise */
} PanelPart;

/* What a product reads. */
enum { READS_X = 0, READS_H = 1, READS_GATED = 2 };

/* A layer whose products are integers (integer_sums.h), by what they read; each array is NULL where nothing reads that. */
typedef struct {
    const void *start[3];   /* (S Hp) int32: where the sums of integers begin */
    const void *scale[3];   /* (S Hp) unit of these sums */
    const void *inverse[3]; /* (columns, up to whole vectors) 1 / step of what is read */
    double highest[3];      /* what is read as 16 bits is -highest to highest; as 8 bits -128 to 127 */
} IntegerLayer;

/* What a layer reads, measured: the largest size of each column. */
typedef struct {
    double *largest[3];
} LayerRanges;

/* The options of a layer; each array is NULL and each rate 0 without it. */
typedef struct {
    const void *vectors;         /* (n_vectors, Hp) per-unit weights, where they are an option of the cell */
    void *d_vectors;             /* like them; added to */
    const void *norm;            /* gains of the sums of x, h and gated h, unit by unit; gain and shift of the state */
    void *d_norm;                /* like it; added to */
    const void *projection;      /* dense panels (pack_dense) of H rows, k-major: from m (H) to h (P) */
    const void *projection_transposed;
    void *d_projection;          /* like projection; added to */
    double zoneout;
    double recurrent_dropout;
    int training;                /* draw masks, and keep the workspace for backward */
    unsigned long long seed;
    unsigned int epoch;
    unsigned int layer;          /* number of this layer and direction, from which masks are drawn */
    const unsigned int *sample_ids; /* (n_samples,), from which masks are drawn */
    void *workspace;             /* options_workspace bytes */
} LayerOptions;

/* One direction of a layer over one chunk of sequences. */
typedef struct {
    Py_ssize_t n_steps, n_samples;
    const int *n_active;         /* (n_steps,) number of sequences with more than t steps: never increases */
    Py_ssize_t input_size, hidden_size, hidden_stride, output_size, output_stride;
    /* input: row t of sequence r is at x_rows[r] + t * x_step */
    const void **x_rows;         /* (n_samples,) */
    Py_ssize_t x_step;
    int x_is_product;            /* the rows are bias + x W_ih already (input_products), S Hp wide */
    int x_format;                /* of the words of x: `format`, or S16_PAIRS where h is U8_S8 */
    int format;                  /* of the words that the products with x and h read (words.h); REALS: plain numbers */
    const IntegerLayer *integers; /* of an integer format */
    const LayerRanges *ranges;   /* NULL: not measured */
    void *words;                 /* scratch for rows of x and h as words: (2 n + PAIRS, words_stride); NULL with REALS */
    Py_ssize_t words_stride;
    void *gradient_words;        /* with options: (n, words of S Hp numbers), scratch */
    /* weights (packing.h); those of x and h as words of `format` */
    const void *weights, *bias;
    const void *vectors;         /* (n_vectors, Hp) per-unit weights, where the cell always has them */
    CellSizes sizes;
    const Py_ssize_t *numbers;   /* the cell's own sizes, MAX_NUMBERS of them */
    const void *constants;       /* what is computed of them once for a network, in its dtype; NULL: nothing */
    const void *gaps;            /* (T, n) time since the step before, for a cell that reads it; NULL: 1 everywhere */
    const void *x_transposed;    /* from d_sums to d_x; NULL: not wanted */
    const void *h_transposed, *gated_transposed; /* from d_sums to d_h, to the gradient of the gated h */
    /* workspace: forward writes, backward reads; row 0 of c and h is the initial state */
    void *gates;                 /* (T, n, S Hp), overwritten by d_sums in backward; NULL in prediction. In the plain layers
                                    of reduced numbers gates and kept have 16 bits (kept.h) */
    void *kept;                  /* (T, n, K Hp); NULL with gates */
    void *c;                     /* (T + 1, n, C Hp), C = n_states, or (n, C Hp) updated in place when kept_step is 0; NULL: no
                                    second state */
    void *kept_c;                /* (T, n, Hp) in training in the plain layers of reduced numbers: c before each step in 16 bits
                                    (kept.h); c is then updated in place. NULL elsewhere */
    void *h;                     /* (T + 1, n, output_stride) */
    Py_ssize_t kept_step;        /* n Hp, or 0 */
    void *z;                     /* scratch for sums: scratch_size numbers */
    /* the panels that forward computes: a part of them when threads share a step */
    Py_ssize_t first_panel, n_panels;
    /* For steps one by one: what is derived of the per-unit weights is in z already (elementwise driver); and the panels are taken
     * from the last to the first, which finds those of the step before in the cache. */
    int is_derived, last_panel_first;
    /* backward */
    const void *d_h_above;       /* (T, n, output_stride) gradient of h from the layer above; NULL: none */
    const void *d_h_last;        /* (n, output_stride) gradient of each sequence's own last h; NULL: none */
    const void *d_c_last;        /* (n, C Hp) the same of the second state; NULL: none */
    void *d_h;                   /* (n, output_stride) scratch; holds the gradient of the initial h on return */
    void *d_c;                   /* (n, C Hp) scratch; holds the gradient of the initial c on return */
    int is_initial_fixed;        /* the gradient of the initial h is not wanted: the plain layer may leave it out */
    void *d_x;                   /* (T, n, D rounded up to whole vectors); written when x_transposed is given */
    void *d_weights, *d_bias, *d_vectors; /* like weights, bias and vectors; added to */
    OuterProducts *outer_products; /* of a single row and step: d_weights is left as these, and is not written; NULL: it is
                                      added to */
    int keeps_d_sums;            /* d_sums of all steps are read after backward (add_d_sums) */
    /* called before each step and each block of pairs: whether to return early; NULL: never */
    int (*interrupted)(void *context);
    void *interrupt_context;
    /* overlapping windows: d_sums are added up over the windows that read a row, and multiplied once for each row */
    Py_ssize_t n_shared;         /* rows of the table that the windows cover; 0: not shared */
    const void *shared_rows;     /* the first of them, x_step or -x_step apart */
    const int *shared_first;     /* (n_samples,) the one that each sequence reads at step 0 */
    void *shared_sums;           /* (n_shared, S Hp) scratch */
    const void **row_pointers;   /* (2 n + PAIRS,) scratch */
    void *pair_rows;             /* (PAIRS, pair_stride), then (PAIRS, 4 lanes): scratch */
    Py_ssize_t pair_stride;      /* at least D + P, with a gated h D + 2 P */
    const LayerOptions *options; /* NULL: the plain layer. With options h keeps all its steps, gates and kept are kept in
                                    training, z is (n, S Hp), and all panels are computed */
} LayerCall;

/* Numbers of LayerCall.z in the plain layers: one panel of n rows, or of the rows of several steps, or all panels of few rows;
 * and behind them a vector that is derived of the per-unit weights, with room for its gradient. */
static inline Py_ssize_t scratch_size(Py_ssize_t n_samples, Py_ssize_t n_sums, Py_ssize_t hidden_stride, Py_ssize_t lanes) {
    const Py_ssize_t one_panel = (2 * n_samples + PAIRS) * (n_sums > 4 ? n_sums : 4) * lanes;
    const Py_ssize_t all_panels = (n_samples < ROWS_OF_A_PANEL ? n_samples : ROWS_OF_A_PANEL) * n_sums * hidden_stride;
    return (one_panel > all_panels ? one_panel : all_panels) + 2 * hidden_stride;
}

/* After a step of a stream: weights do not change, and the panels that it read last are in the cache. */
static inline void prepare_next_step(LayerCall *call) {
    call->is_derived = 1;
    call->last_panel_first = !call->last_panel_first;
}

/* The layers of one cell. */
typedef struct {
    void (*describe)(CellShape *shape);
    void (*measure)(const Py_ssize_t *numbers, CellSizes *sizes);
    /* a cell with a gated h and a row cell have the layer with options only */
    void (*forward)(const LayerCall *call);
    void (*backward)(const LayerCall *call);
    void (*options_forward)(const LayerCall *call);
    void (*options_backward)(const LayerCall *call);
    /* bytes of LayerOptions.workspace; the pointers in `options` are only compared with NULL */
    Py_ssize_t (*options_workspace)(const LayerCall *call, Py_ssize_t n_samples, Py_ssize_t n_steps);
    /* products (n_rows, S Hp) = bias + x W_ih, rows `stride` apart: of the rows of several windows or steps at once */
    void (*input_products)(const LayerCall *call, Py_ssize_t n_rows, const void *x_rows, Py_ssize_t x_stride,
                           void *products, Py_ssize_t stride);
    /* after backward: sums (S Hp) += the d_sums of n_rows rows, from row `first` of (T n) rows on */
    void (*add_d_sums)(const LayerCall *call, Py_ssize_t first, Py_ssize_t n_rows, void *sums);
    /* Words of all panels of `format`, and the panels `weights` as such words */
    Py_ssize_t (*words_size)(const LayerCall *call);
    void (*pack_words)(const LayerCall *call, const void *weights, void *words);
} CellLayers;

#endif
