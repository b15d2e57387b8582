/* All cells. A new one is its header, one line among the includes and one entry of the list (in the order of the table). */
#include "cfc.h"
#include "delta.h"
#include "elman.h"
#include "gru.h"
#include "gru_reset_before.h"
#include "indrnn.h"
#include "lstm.h"
#include "mgu.h"
#include "mingru.h"
#include "minlstm.h"
#include "mlstm.h"
#include "rglru.h"
#include "rhn.h"
#include "second_order.h"
#include "sru.h"

#define FOR_ALL_CELLS(ROW) \
    ROW(lstm) ROW(gru) ROW(gru_reset_before) ROW(elman) ROW(elman_relu) ROW(mgu) ROW(delta) ROW(mingru) ROW(mingru_tanh) \
    ROW(minlstm) ROW(minlstm_tanh) ROW(indrnn) ROW(indrnn_tanh) \
    ROW(sru) ROW(rglru) \
    ROW(second_order) ROW(cfc) ROW(cfc_backbone) \
    ROW(mlstm) ROW(rhn_2) ROW(rhn_3) ROW(rhn_4)
