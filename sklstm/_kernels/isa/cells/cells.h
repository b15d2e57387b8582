/* All cells. A new one is its header, one line among the includes and one entry of the list (in the order of the table). */
#include "cfc.h"
#include "activated.h"
#include "delta.h"
#include "elman.h"
#include "gru.h"
#include "gru_reset_before.h"
#include "indrnn.h"
#include "lmu.h"
#include "lstm.h"
#include "mgu.h"
#include "mingru.h"
#include "minlstm.h"
#include "mlstm.h"
#include "qrnn.h"
#include "rglru.h"
#include "rhn.h"
#include "second_order.h"
#include "sru.h"

#include "row_parts.h"
#include "discretise.h"
#include "explstm.h"
#include "halves.h"
#include "heads.h"
#include "linear_attention.h"
#include "lru.h"
#include "mamba.h"
#include "retention.h"
#include "rwkv.h"
#include "s4d.h"
#include "s5.h"

#define FOR_ALL_CELLS(ROW) \
    ROW(lstm) ROW(gru) ROW(gru_reset_before) ROW(elman) ROW(elman_relu) ROW(mgu) ROW(delta) ROW(mingru) ROW(mingru_tanh) \
    ROW(mingru_relu) ROW(mingru_softsign) ROW(mingru_silu) \
    ROW(minlstm) ROW(minlstm_tanh) ROW(minlstm_relu) ROW(minlstm_softsign) ROW(minlstm_silu) ROW(indrnn) ROW(indrnn_tanh) \
    ROW(sru) ROW(rglru) ROW(rglru_convolution) ROW(qrnn_f) ROW(qrnn_fo) ROW(qrnn_ifo) ROW(qrnn_f_3) ROW(qrnn_fo_3) ROW(qrnn_ifo_3) ROW(explstm) \
    ROW(elman_softsign) ROW(elman_silu) ROW(indrnn_softsign) ROW(indrnn_silu) \
    ROW(second_order) ROW(cfc) ROW(cfc_backbone) \
    ROW(mlstm) ROW(rhn_2) ROW(rhn_3) ROW(rhn_4) \
    ROW(s4d) ROW(lru) ROW(s5) ROW(mamba) ROW(rwkv) ROW(retention) ROW(linear_attention) ROW(lmu)
