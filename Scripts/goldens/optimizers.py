"""Writes Tests/Goldens/optimizers/: parameters, gradients, and where twenty steps of each optimizer take them, with what it remembers.

Versions: requirements.txt, and bitsandbytes 0.50.0 and galore-torch 1.0, which need no GPU here. Seed: 51.

common.safetensors holds `start.NAME`, and `first.NAME` and `second.NAME`, of which the gradient of step t is
first·coefficients[t, 0] + second·coefficients[t, 1]; the coefficients are eighths, so that the gradients are the same to the bit wherever
they are made. CASE.safetensors holds NAME after twenty steps and `NAME.STATE`, under the names that Attune gives states.

8-bit states are those of bitsandbytes' optimizers on the CPU with the quantizer of its portable backend, which takes the nearest value, as
its CUDA kernels do. Its CPU kernel looks values up in a table of even steps, which loses those below 1.5e-5 of a block's largest:
adamw_8bit_table.safetensors holds what becomes of the parameters there.
"""

import warnings

import bitsandbytes
import torch
from bitsandbytes import functional
from bitsandbytes.backends.cpu import ops as cpu
from galore_torch import GaLoreAdamW
from transformers.optimization import Adafactor

from golden_files import GOLDENS, generator, write_tensors

FOLDER = GOLDENS / "optimizers"
STEPS = 20
SHAPES = {"attn.tall": (40, 28), "attn.wide": (20, 44), "vector": (30,), "large": (66, 70)}
PROJECTED = ("attn.tall", "attn.wide")


def nearest(values, code, absmax_out, codes_out, blocksize):
    """bitsandbytes' portable quantizer in place of its CPU kernel."""
    keys = torch._C.DispatchKeySet(torch._C.DispatchKey.CompositeExplicitAutograd)
    codes, absmax = torch.ops.bitsandbytes.quantize_blockwise.default.redispatch(keys, values, code, blocksize)
    codes_out.copy_(codes)
    absmax_out.copy_(absmax)


def common() -> dict[str, torch.Tensor]:
    draw = generator(51)
    tensors = {}
    for name, shape in SHAPES.items():
        tensors[f"start.{name}"] = 0.1 * torch.randn(shape, generator=draw)
        # Sizes from 1 to 1e-2, of which 8 bits keep the squares.
        for part in ("first", "second"):
            size = 10 ** (-2 * torch.rand(shape, generator=draw))
            tensors[f"{part}.{name}"] = size * torch.randn(shape, generator=draw)
    tensors["coefficients"] = torch.randint(-8, 9, (STEPS, 2), generator=draw) / 8
    return tensors


def run(make, names=tuple(SHAPES)) -> tuple[dict[str, torch.nn.Parameter], torch.optim.Optimizer]:
    tensors = common()
    parameters = {name: torch.nn.Parameter(tensors[f"start.{name}"].clone()) for name in names}
    optimizer = make(parameters)
    for first, second in tensors["coefficients"]:
        for name, parameter in parameters.items():
            parameter.grad = tensors[f"first.{name}"] * first + tensors[f"second.{name}"] * second
        optimizer.step()
    return parameters, optimizer


def write(case: str, states, make, names=tuple(SHAPES)) -> None:
    """`states` gives the tensors of one parameter's state under their names."""
    parameters, optimizer = run(make, names)
    tensors = dict(parameters)
    for name, parameter in parameters.items():
        tensors |= {f"{name}.{key}": value for key, value in states(optimizer.state[parameter]).items()}
    write_tensors(FOLDER / f"{case}.safetensors", tensors)


def picked(*names):
    return lambda state: {name: state[name] for name in names if state.get(name) is not None}


def of_bitsandbytes(*names):
    def states(state):
        found = {}
        for place, name in enumerate(names, 1):
            found[name] = state[f"state{place}"]
            if f"absmax{place}" in state:
                found[f"{name}_absmax"] = state[f"absmax{place}"]
        return found

    return states


def write_torch() -> None:
    write("adamw", picked("exp_avg", "exp_avg_sq"), lambda p: torch.optim.AdamW(p.values(), lr=1e-2, weight_decay=0.1, eps=1e-6))
    sgd = {
        "sgd": dict(weight_decay=0.1),
        "sgd_momentum": dict(momentum=0.9, dampening=0.25, weight_decay=0.1),
        "sgd_nesterov": dict(momentum=0.8, nesterov=True),
    }
    for case, settings in sgd.items():
        write(case, picked("momentum_buffer"), lambda p: torch.optim.SGD(p.values(), lr=1e-2, **settings))


def write_bitsandbytes() -> None:
    def adamw(p):
        return bitsandbytes.optim.AdamW(p.values(), lr=1e-2, weight_decay=0.1, optim_bits=8)

    def lion(bits):
        return lambda p: bitsandbytes.optim.Lion(p.values(), lr=1e-3, weight_decay=0.1, optim_bits=bits)

    write("lion", of_bitsandbytes("exp_avg"), lion(32))
    write("adamw_8bit_table", lambda state: {}, adamw, ("large",))
    cpu._quant_blockwise_fp32_direct = nearest
    write("adamw_8bit", of_bitsandbytes("exp_avg", "exp_avg_sq"), adamw)
    write("lion_8bit", of_bitsandbytes("exp_avg"), lion(8))
    maps = {name: functional.create_dynamic_map(signed) for name, signed in (("signed", True), ("unsigned", False))}
    write_tensors(FOLDER / "maps.safetensors", maps)


def write_adafactor() -> None:
    cases = {
        "adafactor": dict(lr=1e-2, scale_parameter=False, relative_step=False),
        "adafactor_relative": dict(scale_parameter=True, relative_step=True, warmup_init=True),
        "adafactor_mean": dict(
            lr=1e-2, scale_parameter=True, relative_step=False, beta1=0.9, weight_decay=0.1, clip_threshold=0.5, decay_rate=-0.7,
            eps=(1e-20, 1e-2),
        ),
    }
    states = picked("exp_avg_sq_row", "exp_avg_sq_col", "exp_avg_sq", "exp_avg")
    for case, settings in cases.items():
        write(case, states, lambda p: Adafactor(p.values(), **settings), ("attn.tall", "attn.wide", "vector"))


def write_galore() -> None:
    def states(state):
        found = {name: state[name] for name in ("exp_avg", "exp_avg_sq")}
        return found

    for kind in ("std", "reverse_std", "left", "right", "full"):
        projected = dict(rank=6, update_proj_gap=8, scale=0.5, proj_type=kind)

        def make(p):
            groups = [
                {"params": [p[name] for name in PROJECTED], **projected},
                {"params": [value for name, value in p.items() if name not in PROJECTED]},
            ]
            return GaLoreAdamW(groups, lr=1e-2, weight_decay=0.1, eps=1e-6, no_deprecation_warning=True)

        write(f"galore_{kind}", states, make, ("attn.tall", "attn.wide", "vector"))


if __name__ == "__main__":
    warnings.simplefilter("ignore")
    write_tensors(FOLDER / "common.safetensors", common())
    write_torch()
    write_bitsandbytes()
    write_adafactor()
    write_galore()
