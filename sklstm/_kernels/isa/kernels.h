/* The C part of the kernels. One translation unit is one instruction set and one dtype, chosen by macros that setup.py gives:
 * SKLSTM_REAL_IS_FLOAT 1 or 0, SKLSTM_REDUCED 1 for the kernels of reduced number formats (words.h), and SKLSTM_ISA_X86_V3 /
 * SKLSTM_ISA_X86_V4 / nothing (the baseline of the ABI). Instructions of reduced numbers are asked of the compiler's own macros.
 *
 * Floor 0: floats and sizes only, no Python, no threads, no allocation. Everything is static: each variant is an extension of
 * its own, compiled with its own flags.
 */
#ifndef SKLSTM_KERNELS_H
#define SKLSTM_KERNELS_H

#include <Python.h> /* Py_ssize_t */

#if SKLSTM_REAL_IS_FLOAT
typedef float real;
#else
typedef double real;
#endif

#ifndef SKLSTM_REDUCED
#  define SKLSTM_REDUCED 0
#endif

#include "vec.h"
#include "words.h"
#include "memory.h"
#include "kept.h"
#include "activations.h"
#include "functions.h"
#include "random.h"
#include "tile.h"
#include "integers.h"
#include "products.h"
#include "layer_norm.h"
#include "layer_output.h"
#include "feedforward.h"
#include "output_gate.h"
#include "layers/interface.h"
#include "layers/integer_rows.h"
#include "layers/word_rows.h"
#include "layers/row_operations.h"
#include "cells/cell.h"
#include "cells/cells.h"
#include "layers/packing.h"
#include "layers/sums.h"
#include "layers/integer_sums.h"
#include "layers/cell_loops.h"
#include "layers/options.h"
#include "layers/weight_gradients.h"
#include "layers/recurrent.h"
#include "layers/elementwise.h"
#include "layers/options_forward.h"
#include "layers/options_backward.h"
#include "layers/layers.h"
#include "optimizers.h"
#include "squares.h"
#include "attention/attention.h"
#include "input_rows.h"

#endif
