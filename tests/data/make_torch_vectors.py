"""Writes the vectors from PyTorch that the tests compare with. Run once; needs torch 2.13.0 (CPU).

    python tests/data/make_torch_vectors.py

The test suite reads the files it writes and never imports torch. All numbers that go in are drawn
with NumPy from fixed seeds, as multiples of 2**-16 below 128, so float32 and float64 hold the same
values exactly. Keys are paths; `reference/vectors.py` turns them into nested dicts.

Letters: L layers, N sequences, D inputs, H hidden units, O outputs, R = sum of the lengths.
Rows of all sequences lie one after the other: sequence n has ``lengths[n]`` rows. Gate order is
i, f, g, o. PyTorch has two biases per layer; `bias` is their sum, and its gradient that of either.

torch_lstm.npz -- forward and all gradients of LSTM stack + dense head on the last hidden state::

    {case}/loss            "squared", "binary" or "multinomial"
    {case}/x               (R, D)      {case}/lengths  (N,)
    {case}/h0, c0          (L, N, H)
    {case}/y               (N, O) float; binary, multinomial: (N,) labels as integers
    {case}/sample_weight   (N,)
    {case}/masks/{l}       (R, H)      case "dropout" only: multiplies the output of layer l
    {case}/parameters/weight_ih_l{l}, weight_hh_l{l}, bias_l{l}, weight_out, bias_out
    {case}/{dtype}/hidden  (R, H)      top layer, every step
    {case}/{dtype}/h_final, c_final    (L, N, H)
    {case}/{dtype}/z       (N, O)      {case}/{dtype}/loss  ()
    {case}/{dtype}/d_x     (R, D)      {case}/{dtype}/d_h0, d_c0  (L, N, H)
    {case}/{dtype}/d_parameters/{name of the parameter}

with dtype "float64" and "float32", the precision of the whole computation. The losses are sums
over the samples of sample_weight times: half the squared error summed over outputs; log loss of
sigmoid(z); log loss of softmax(z).

torch_adamw.npz -- five steps of AdamW in float64 on the gradients of such a network, each clipped
by the global norm first. Case "decay_all" decays every parameter, "decay_weights" no bias::

    {case}/settings/learning_rate, beta_1, beta_2, epsilon, weight_decay, max_norm
    {case}/loss, x, lengths, y, sample_weight    as above (h0 = c0 = 0)
    {case}/norm                                  (5,) before clipping
    {case}/start/{name}                          parameters before the first step
    {case}/step_{k}/gradients/{name}             before clipping, k = 0 .. 4
    {case}/step_{k}/parameters/{name}            after the step

torch_variants.npz -- float64, cases "bidirectional" (2 layers), "projection" (2 layers, P
projected units), the same of 3 wider layers, and both together. The scalar behind the gradients is
sum(hidden * d_hidden). S is P or H, twice that for bidirectional::

    {case}/x (R, D), lengths (N,)
    {case}/h0              bidirectional (2 L, N, H), in the order l0, l0_reverse, l1, l1_reverse;
                           projection (L, N, P); both (2 L, N, P)
    {case}/c0              (2 L, N, H); (L, N, H); (2 L, N, H)
    {case}/parameters/...  the names above; bidirectional also with suffix "_reverse";
                           projection also weight_hr_l{l} (P, H), and weight_hh_l{l} (4H, P)
    {case}/hidden (R, S), h_final, c_final (shapes of h0, c0)
    {case}/d_hidden (R, S) given; d_x, d_h0, d_c0, d_parameters/{name} found

torch_gru.npz, torch_rnn.npz -- the same of nn.GRU and nn.RNN, plain and bidirectional; no c, and

    {case}/cell            "gru"; "elman" (tanh) or "elman_relu"
    {case}/parameters/...  blocks in the order r, z, n; the bias of the GRU has four: r, z, and n of the input and of h

torch_one_cycle.npz -- the step sizes of OneCycleLR by its defaults, with max_lr = 1, for so many steps in all::

    {n_steps}/factors        (n_steps,)

torch_attention.npz -- float64, nn.MultiheadAttention of sequences by themselves, as self-attention::

    {case}/n_heads, causal   ()
    {case}/u                 (R, S)     {case}/lengths  (N,)
    {case}/parameters/weight_in (3S, S), bias_in (3S,), weight_out (S, S), bias_out (S,)
    {case}/out               (R, S)
    {case}/weights/{n}       (heads, T_n, T_n)
    {case}/heads             (R, S)     scaled_dot_product_attention of the thirds of u weight_in^T + bias_in
"""

from pathlib import Path

import numpy as np
import torch
from torch.nn.functional import binary_cross_entropy_with_logits, cross_entropy
from torch.nn.utils.rnn import pack_sequence, unpack_sequence

HERE = Path(__file__).parent
TORCH_VERSION = "2.13.0"
GRID = 2.0**16
DTYPES = {"float64": torch.float64, "float32": torch.float32}

# name: (loss, D, H, L, O, lengths, non-zero initial state)
CASES = {
    "one_layer": ("squared", 3, 7, 1, 1, [4, 4, 4], False),
    "three_layers_ragged": ("squared", 5, 17, 3, 3, [6, 1, 4, 3], True),
    "two_layers_binary": ("binary", 8, 15, 2, 1, [3, 7, 5, 5, 2], True),
    "two_layers_multinomial": ("multinomial", 6, 16, 2, 3, [5, 2, 6], False),
    "batch_of_one": ("binary", 2, 9, 1, 1, [5], True),
    "one_step": ("squared", 6, 16, 1, 2, [1, 1, 1], True),
    "one_feature": ("multinomial", 1, 33, 1, 4, [6, 3, 8, 1], True),
    "one_unit": ("squared", 4, 1, 2, 1, [5, 3], True),
    "long": ("squared", 3, 8, 1, 1, [40, 33], False),
    "wide": ("squared", 50, 64, 1, 1, [8, 8, 5, 8, 2, 7], True),
    "dropout": ("squared", 4, 10, 3, 2, [5, 3, 4], True),
}
MASKED_CASE, DROPOUT = "dropout", 0.5


def draw(rng, *shape, scale=1.0):
    """Uniform numbers in [-scale, scale] that float32 holds exactly, even a sum of two."""
    return np.round(rng.uniform(-scale, scale, shape) * GRID) / GRID


def draw_lstm(rng, lstm):
    """Fill an nn.LSTM; returns its parameters by name, the two biases merged into one."""
    parameters = {}
    with torch.no_grad():
        for name, parameter in lstm.named_parameters():
            # Large enough that the gates leave the straight part of the sigmoid.
            scale = 2.0 / np.sqrt(lstm.hidden_size) if name.startswith("weight") else 0.5
            values = draw(rng, *parameter.shape, scale=scale)
            parameter.copy_(torch.from_numpy(values))
            name = name.replace("bias_ih", "bias").replace("bias_hh", "bias")
            parameters[name] = parameters.get(name, 0.0) + values
    return parameters


def draw_head(rng, head):
    """Fill an nn.Linear; returns its parameters by name."""
    n_outputs, hidden_size = head.weight.shape
    parameters = {
        "weight_out": draw(rng, n_outputs, hidden_size),
        "bias_out": draw(rng, n_outputs),
    }
    with torch.no_grad():
        head.weight.copy_(torch.from_numpy(parameters["weight_out"]))
        head.bias.copy_(torch.from_numpy(parameters["bias_out"]))
    return parameters


def draw_targets(rng, loss, n_sequences, n_outputs):
    if loss == "squared":
        return draw(rng, n_sequences, n_outputs, scale=2.0)
    n_classes = 2 if loss == "binary" else n_outputs
    return rng.permutation(np.arange(n_sequences) % n_classes)


def total_loss(loss, z, y, sample_weight):
    if loss == "squared":
        return (sample_weight * 0.5 * ((z - y) ** 2).sum(dim=1)).sum()
    if loss == "binary":
        return binary_cross_entropy_with_logits(z[:, 0], y.to(z.dtype), weight=sample_weight, reduction="sum")
    return (sample_weight * cross_entropy(z, y, reduction="none")).sum()


def run_lstm(lstm, x, lengths, h0, c0):
    """Forward over a packed batch; rows of all sequences one after the other in and out."""
    sequences = torch.split(x, lengths)
    packed = pack_sequence(sequences, enforce_sorted=False)
    hidden, (h_final, c_final) = lstm(packed, (h0, c0))
    return torch.cat(unpack_sequence(hidden)), h_final, c_final


def run_masked(lstm, x, lengths, h0, c0, masks):
    """The same with the given masks between the layers, one nn.LSTM of one layer each.

    nn.LSTM draws its own masks, so a stack of layers with known ones has to be chained by hand.
    """
    h_final, c_final = [], []
    rows = x
    for number in range(lstm.num_layers):
        layer = torch.nn.LSTM(rows.shape[1], lstm.hidden_size, dtype=x.dtype)
        own = {name: getattr(lstm, name.replace("_l0", f"_l{number}")) for name, _ in layer.named_parameters()}
        state = (h0[number : number + 1], c0[number : number + 1])
        packed = pack_sequence(torch.split(rows, lengths), enforce_sorted=False)
        hidden, (h, c) = torch.func.functional_call(layer, own, (packed, state))
        rows = torch.cat(unpack_sequence(hidden))
        if number < len(masks):
            rows = rows * masks[number]
        h_final.append(h)
        c_final.append(c)
    return rows, torch.cat(h_final), torch.cat(c_final)


def lstm_gradients(lstm):
    """By merged name. Both biases get the same gradient: one stands for their sum."""
    return {
        name.replace("bias_ih", "bias"): parameter.grad
        for name, parameter in lstm.named_parameters()
        if "bias_hh" not in name
    }


def last_rows(hidden, lengths):
    return hidden[torch.cumsum(torch.tensor(lengths), 0) - 1]


def make_case(seed, name):
    """All entries of one case of torch_lstm.npz, without the name of the case."""
    loss, input_size, hidden_size, n_layers, n_outputs, lengths, has_state = CASES[name]
    rng = np.random.default_rng(seed)
    lstm = torch.nn.LSTM(input_size, hidden_size, n_layers, dtype=torch.float64)
    head = torch.nn.Linear(hidden_size, n_outputs, dtype=torch.float64)
    parameters = draw_lstm(rng, lstm) | draw_head(rng, head)
    n_sequences, n_rows = len(lengths), sum(lengths)
    state_shape = n_layers, n_sequences, hidden_size
    given = {
        "x": draw(rng, n_rows, input_size, scale=2.0),
        "h0": draw(rng, *state_shape) * has_state,
        "c0": draw(rng, *state_shape, scale=1.5) * has_state,
        "y": draw_targets(rng, loss, n_sequences, n_outputs),
        # Zero stands for a sample that must not count.
        "sample_weight": np.arange(n_sequences) * 0.75 + (0.5 if n_sequences <= 3 else 0.0),
    }
    masks = []
    if name == MASKED_CASE:
        shape = n_rows, hidden_size
        masks = [rng.integers(0, 2, shape) / (1.0 - DROPOUT) for _ in range(n_layers - 1)]
    entries = given | {"loss": np.array(loss), "lengths": np.array(lengths)}
    entries |= {f"masks/{number}": mask for number, mask in enumerate(masks)}
    entries |= {f"parameters/{key}": value for key, value in parameters.items()}
    entries = {key: shrink(value) for key, value in entries.items()}
    for precision, dtype in DTYPES.items():
        found = differentiate(loss, lstm, head, lengths, given, masks, dtype)
        entries |= {f"{precision}/{key}": value.detach().numpy() for key, value in found.items()}
    return entries


def shrink(array):
    """Given numbers are stored as float32, which holds them exactly."""
    if array.dtype != np.float64:
        return array
    small = array.astype(np.float32)
    assert np.array_equal(small, array)
    return small


def differentiate(loss, lstm, head, lengths, given, masks, dtype):
    """Forward and backward of one case in one precision."""
    lstm.zero_grad()
    head.zero_grad()
    lstm.to(dtype)
    head.to(dtype)
    x, h0, c0, weight = (
        torch.from_numpy(given[key]).to(dtype).requires_grad_(key != "sample_weight")
        for key in ("x", "h0", "c0", "sample_weight")
    )
    y = torch.from_numpy(given["y"])
    if masks:
        masks = [torch.from_numpy(mask).to(dtype) for mask in masks]
        hidden, h_final, c_final = run_masked(lstm, x, lengths, h0, c0, masks)
    else:
        hidden, h_final, c_final = run_lstm(lstm, x, lengths, h0, c0)
    z = head(last_rows(hidden, lengths))
    value = total_loss(loss, z, y.to(dtype) if loss == "squared" else y, weight)
    value.backward()
    found = {"hidden": hidden, "h_final": h_final, "c_final": c_final, "z": z, "loss": value}
    found |= {"d_x": x.grad, "d_h0": h0.grad, "d_c0": c0.grad}
    gradients = lstm_gradients(lstm)
    gradients |= {"weight_out": head.weight.grad, "bias_out": head.bias.grad}
    return found | {f"d_parameters/{name}": value for name, value in gradients.items()}


ADAMW_SETTINGS = {
    "learning_rate": 0.05,
    "beta_1": 0.9,
    "beta_2": 0.99,
    "epsilon": 1e-8,
    "weight_decay": 0.1,
    "max_norm": 4.0,  # between the norms that come up, so some steps clip and some do not
}


def make_optimizer(trained, decays_biases):
    decay = ADAMW_SETTINGS["weight_decay"]
    biases = [p for name, p in trained.items() if name.startswith("bias")]
    weights = [p for name, p in trained.items() if name.startswith("weight")]
    return torch.optim.AdamW(
        [{"params": weights}, {"params": biases, "weight_decay": decay * decays_biases}],
        lr=ADAMW_SETTINGS["learning_rate"],
        betas=(ADAMW_SETTINGS["beta_1"], ADAMW_SETTINGS["beta_2"]),
        eps=ADAMW_SETTINGS["epsilon"],
        weight_decay=decay,
    )


def make_trajectory(seed, decays_biases):
    """Five clipped AdamW steps: all entries of one case of torch_adamw.npz."""
    rng = np.random.default_rng(seed)
    lengths, input_size, hidden_size, n_layers, n_outputs = [5, 3, 4, 2], 3, 5, 2, 2
    lstm = torch.nn.LSTM(input_size, hidden_size, n_layers, dtype=torch.float64)
    head = torch.nn.Linear(hidden_size, n_outputs, dtype=torch.float64)
    draw_lstm(rng, lstm)
    draw_head(rng, head)
    trained = {"weight_out": head.weight, "bias_out": head.bias}
    for name, parameter in lstm.named_parameters():
        if "bias_hh" in name:
            # Trained as well, it would move the merged bias twice as far.
            parameter.requires_grad_(False).zero_()
        else:
            trained[name.replace("bias_ih", "bias")] = parameter
    x = torch.from_numpy(draw(rng, sum(lengths), input_size, scale=2.0))
    y = torch.from_numpy(draw_targets(rng, "squared", len(lengths), n_outputs))
    weight = torch.ones(len(lengths), dtype=torch.float64)
    entries = {f"settings/{name}": np.array(value) for name, value in ADAMW_SETTINGS.items()}
    entries |= {"loss": np.array("squared"), "lengths": np.array(lengths)}
    entries |= {"x": x.numpy(), "y": y.numpy(), "sample_weight": weight.numpy()}
    entries |= {f"start/{name}": p.detach().numpy().copy() for name, p in trained.items()}
    optimizer = make_optimizer(trained, decays_biases)
    state = torch.zeros(n_layers, len(lengths), hidden_size, dtype=torch.float64)
    max_norm, norms = ADAMW_SETTINGS["max_norm"], []
    for step in range(5):
        optimizer.zero_grad()
        hidden, _, _ = run_lstm(lstm, x, lengths, state, state)
        total_loss("squared", head(last_rows(hidden, lengths)), y, weight).backward()
        for name, parameter in trained.items():
            entries[f"step_{step}/gradients/{name}"] = parameter.grad.numpy().copy()
        norms.append(torch.nn.utils.clip_grad_norm_(trained.values(), max_norm).item())
        optimizer.step()
        for name, parameter in trained.items():
            entries[f"step_{step}/parameters/{name}"] = parameter.detach().numpy().copy()
    assert min(norms) < max_norm < max(norms), norms
    return entries | {"norm": np.array(norms)}


def draw_recurrent(rng, module):
    """Fill an nn.GRU or nn.RNN; returns its parameters by name, with biases merged that only ever occur as a sum."""
    parameters = {}
    with torch.no_grad():
        for name, parameter in module.named_parameters():
            scale = 2.0 / np.sqrt(module.hidden_size) if name.startswith("weight") else 0.5
            parameters[name] = draw(rng, *parameter.shape, scale=scale)
            parameter.copy_(torch.from_numpy(parameters[name]))
    return merge_biases(parameters, module, np.add)


def merge_biases(arrays, module, merge):
    """Of the GRU, the two biases of n stay apart: the reset gate stands between them."""
    merged = {name: array for name, array in arrays.items() if not name.startswith("bias")}
    for name in arrays:
        if not name.startswith("bias_ih"):
            continue
        from_x, from_h = arrays[name], arrays[name.replace("bias_ih", "bias_hh")]
        if isinstance(module, torch.nn.GRU):
            ends = [2 * module.hidden_size]
            (x_rz, x_n), (h_rz, h_n) = np.split(from_x, ends), np.split(from_h, ends)
            merged[name.replace("bias_ih", "bias")] = np.concatenate([merge(x_rz, h_rz), x_n, h_n])
        else:
            merged[name.replace("bias_ih", "bias")] = merge(from_x, from_h)
    return merged


def make_variant(seed, lengths=(5, 2, 4), hidden_size=6, n_layers=2, kind=torch.nn.LSTM, cell=None, **options):
    """Forward and gradients of a recurrent module: all entries of one case of torch_variants, _gru or _rnn.npz."""
    rng = np.random.default_rng(seed)
    input_size, lengths = 3, list(lengths)
    module, is_lstm = kind(input_size, hidden_size, n_layers, dtype=torch.float64, **options), kind is torch.nn.LSTM
    parameters = draw_lstm(rng, module) if is_lstm else draw_recurrent(rng, module)
    n_directions = 2 if module.bidirectional else 1
    state_size = module.proj_size or hidden_size
    shape = (n_directions * n_layers, len(lengths))
    given = {"x": draw(rng, sum(lengths), input_size, scale=2.0), "h0": draw(rng, *shape, state_size)}
    if is_lstm:
        given["c0"] = draw(rng, *shape, hidden_size, scale=1.5)
    given["d_hidden"] = draw(rng, sum(lengths), n_directions * state_size)
    x, h0 = (torch.from_numpy(given[key]).requires_grad_() for key in ("x", "h0"))
    packed = pack_sequence(torch.split(x, lengths), enforce_sorted=False)
    if is_lstm:
        c0 = torch.from_numpy(given["c0"]).requires_grad_()
        hidden, (h_final, c_final) = module(packed, (h0, c0))
    else:
        hidden, h_final = module(packed, h0)
    hidden = torch.cat(unpack_sequence(hidden))
    (hidden * torch.from_numpy(given["d_hidden"])).sum().backward()
    entries = given | {"lengths": np.array(lengths)}
    entries |= {f"parameters/{name}": value for name, value in parameters.items()}
    entries = {key: shrink(value) for key, value in entries.items()}
    found = {"hidden": hidden.detach(), "h_final": h_final.detach(), "d_x": x.grad, "d_h0": h0.grad}
    if is_lstm:
        found |= {"c_final": c_final.detach(), "d_c0": c0.grad}
    entries |= {key: value.numpy() for key, value in found.items()}
    if cell is not None:
        entries["cell"] = np.array(cell)
    gradients = {name: parameter.grad.numpy() for name, parameter in module.named_parameters()}
    # One bias stands for the sum of two, whose gradients are the same.
    gradients = merge_biases(gradients, module, lambda one, other: one)
    return entries | {f"d_parameters/{name}": value for name, value in gradients.items()}


def make_recurrent(seed, kind, cell, **options):
    """The cases of one cell of torch_gru.npz or torch_rnn.npz."""
    options |= {"kind": kind, "cell": cell}
    return {
        cell: make_variant(seed, (4, 7, 1), 7, 1, **options),
        f"{cell}_layers": make_variant(seed + 1, (6, 1, 1, 8, 3), 17, 3, **options),
        f"{cell}_bidirectional": make_variant(seed + 2, bidirectional=True, **options),
        f"{cell}_bidirectional_layers": make_variant(seed + 3, (1, 7, 4, 7, 2), 9, 3, bidirectional=True, **options),
    }


# name: (S, heads, lengths, causal)
ATTENTION_CASES = {
    "one_head": (5, 1, [4, 2], False),
    "two_heads": (8, 2, [5, 1, 3], False),
    "causal": (12, 4, [6, 3, 1], True),
    "heads_of_one": (3, 3, [4], True),
}


def make_attention(seed, size, n_heads, lengths, causal):
    """Forward of nn.MultiheadAttention, and of its middle: all entries of one case of torch_attention.npz."""
    rng = np.random.default_rng(seed)
    block = torch.nn.MultiheadAttention(size, n_heads, batch_first=True, dtype=torch.float64)
    u = draw(rng, sum(lengths), size, scale=2.0)
    parameters = {
        "weight_in": draw(rng, 3 * size, size),
        "bias_in": draw(rng, 3 * size, scale=0.5),
        "weight_out": draw(rng, size, size),
        "bias_out": draw(rng, size, scale=0.5),
    }
    own = [block.in_proj_weight, block.in_proj_bias, block.out_proj.weight, block.out_proj.bias]
    with torch.no_grad():
        for parameter, values in zip(own, parameters.values(), strict=True):
            parameter.copy_(torch.from_numpy(values))
    entries = {"u": u} | {f"parameters/{name}": value for name, value in parameters.items()}
    entries = {key: shrink(value) for key, value in entries.items()}
    outs, middles = [], []
    for number, rows in enumerate(torch.split(torch.from_numpy(u), lengths)):
        n_steps = len(rows)
        mask = torch.ones(n_steps, n_steps, dtype=torch.bool).triu(1) if causal else None  # True: not to be seen
        out, weights = block(rows, rows, rows, attn_mask=mask, average_attn_weights=False)
        q, k, v = (
            third.reshape(n_steps, n_heads, -1).transpose(0, 1)
            for third in torch.nn.functional.linear(rows, *own[:2]).chunk(3, dim=1)
        )
        middle = torch.nn.functional.scaled_dot_product_attention(q, k, v, is_causal=causal)
        outs.append(out.detach().numpy())
        middles.append(middle.transpose(0, 1).reshape(n_steps, size).detach().numpy())
        entries[f"weights/{number}"] = weights.detach().numpy()
    entries |= {"n_heads": np.array(n_heads), "causal": np.array(causal), "lengths": np.array(lengths)}
    return entries | {"out": np.concatenate(outs), "heads": np.concatenate(middles)}


def make_one_cycle(n_steps):
    optimizer = torch.optim.SGD([torch.nn.Parameter(torch.zeros(1))], lr=1.0)
    schedule = torch.optim.lr_scheduler.OneCycleLR(optimizer, max_lr=1.0, total_steps=n_steps, cycle_momentum=False)
    factors = []
    for step in range(n_steps):
        factors.append(optimizer.param_groups[0]["lr"])
        optimizer.step()
        if step < n_steps - 1:
            schedule.step()
    return {"factors": np.array(factors)}


def write(name, cases):
    entries = {f"{case}/{key}": v for case, found in cases.items() for key, v in found.items()}
    path = HERE / f"{name}.npz"
    np.savez_compressed(path, **entries)
    print(f"{path.name}: {len(cases)} cases, {path.stat().st_size / 1e3:.0f} kB")


def main():
    if torch.__version__.split("+")[0] != TORCH_VERSION:
        raise SystemExit(f"The stored vectors are those of torch {TORCH_VERSION}.")
    # One thread: the order of sums, and so the last bits, does not depend on the machine's cores.
    torch.set_num_threads(1)
    write("torch_lstm", {name: make_case(seed, name) for seed, name in enumerate(CASES)})
    write(
        "torch_adamw",
        {"decay_all": make_trajectory(100, True), "decay_weights": make_trajectory(100, False)},
    )
    write(
        "torch_variants",
        {
            "bidirectional": make_variant(200, bidirectional=True),
            "projection": make_variant(201, proj_size=4),
            "bidirectional_layers": make_variant(202, (1, 7, 4, 7, 2), 9, 3, bidirectional=True),
            "projection_layers": make_variant(203, (6, 1, 1, 8, 3), 17, 3, proj_size=9),
            "bidirectional_projection": make_variant(204, (3, 6, 1, 5), 10, 3, bidirectional=True, proj_size=5),
        },
    )
    write("torch_gru", make_recurrent(400, torch.nn.GRU, "gru"))
    tanh, relu = (
        make_recurrent(seed, torch.nn.RNN, cell, nonlinearity=activation)
        for seed, cell, activation in ((410, "elman", "tanh"), (420, "elman_relu", "relu"))
    )
    write("torch_rnn", tanh | relu)
    write(
        "torch_attention",
        {name: make_attention(300 + seed, *case) for seed, (name, case) in enumerate(ATTENTION_CASES.items())},
    )
    write("torch_one_cycle", {str(n): make_one_cycle(n) for n in (1, 2, 3, 4, 5, 10, 37, 200)})


if __name__ == "__main__":
    main()
