/* The C part of the kernels. One translation unit is one instruction set and one dtype, chosen by macros that setup.py gives:
 * SKLSTM_REAL_IS_FLOAT 1 or 0, and SKLSTM_ISA_X86_V3 / SKLSTM_ISA_X86_V4 / nothing (the baseline of the ABI).
 *
 * Floor 0: knows floats and sizes. No Python, no threads, no allocation. Everything is static: each variant is its own
 * extension and gets its own copy, compiled with its own flags.
 */
#ifndef SKLSTM_KERNELS_H
#define SKLSTM_KERNELS_H

#include <Python.h> /* Py_ssize_t */

#if SKLSTM_REAL_IS_FLOAT
typedef float real;
#else
typedef double real;
#endif

#include "vec.h"
#include "activations.h"
#include "gemm_tile.h"
#include "cells/lstm.h"
#include "cells/lstm_variant.h"
#include "layer_output.h"
#include "attention/attention.h"
#include "input_rows.h"

#endif
