"""A module as a graph that other programs run: torch.export and ONNX, any batch size.

Try it: ``GRAPHS["onnx"].write(encoder, torch.zeros(2, 3, 32, 32), names, Path("encoder.onnx"))``.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from weaklight.errors import ConfigError

__all__ = ["CHECKED", "GRAPHS", "TRACED", "GraphFormat", "Names"]

TRACED, CHECKED = 2, (1, 5)  # batch sizes; none checked is the traced one


@dataclass(frozen=True)
class Names:
    """What goes in, called as the argument of the module's ``forward``, and what comes out."""

    given: str
    returned: str


@dataclass(frozen=True)
class GraphFormat:
    """How a graph is written and run.

    Attributes
    ----------
    suffix : the ending of its file
    write : module in evaluation mode, example input of ``TRACED`` rows, names, path -> the library
        and its version; raises ConfigError where the library is missing or the format too poor
    run : path, names, input -> output; uses nothing of ours
    """

    suffix: str
    write: Callable[[nn.Module, Tensor, Names, Path], str]
    run: Callable[[Path, Names, Tensor], Tensor]


def _any_batch(names: Names) -> dict[str, Any]:
    return {names.given: {0: torch.export.Dim("batch", min=1, max=2**16)}}


def _write_torch_export(module: nn.Module, example: Tensor, names: Names, path: Path) -> str:
    program = torch.export.export(module, (example,), dynamic_shapes=_any_batch(names))
    torch.export.save(program, path)
    return f"torch {torch.__version__}"


def _run_torch_export(path: Path, names: Names, given: Tensor) -> Tensor:
    with torch.no_grad():
        returned: Tensor = torch.export.load(path).module()(given)
    return returned


def _write_onnx(module: nn.Module, example: Tensor, names: Names, path: Path) -> str:
    onnxruntime = _import_onnxruntime()
    try:
        program = torch.onnx.export(
            module,
            (example,),
            input_names=[names.given],
            output_names=[names.returned],
            dynamic_shapes=_any_batch(names),
            dynamo=True,
            verbose=False,
        )
    except torch.onnx.OnnxExporterError as error:
        raise ConfigError(
            "ONNX should hold every operation of the network, but one has no translation: "
            f"{str(error.__cause__ or error).splitlines()[0][:200]}; export it as torch_export"
        ) from error
    assert program is not None  # as dynamo is on
    program.save(path, external_data=False)
    return f"onnxruntime {onnxruntime.__version__}"


def _run_onnx(path: Path, names: Names, given: Tensor) -> Tensor:
    session = _import_onnxruntime().InferenceSession(path, providers=["CPUExecutionProvider"])
    (returned,) = session.run([names.returned], {names.given: given.numpy()})
    return torch.from_numpy(returned)


def _import_onnxruntime() -> Any:
    try:
        import onnxruntime
        import onnxscript  # noqa: F401  what torch.onnx writes graphs with
    except ModuleNotFoundError as error:
        raise ConfigError(
            f'ONNX needs {error.name}, which is not installed; run: pip install "weaklight[export]"'
        ) from error
    return onnxruntime


GRAPHS = {
    "torch_export": GraphFormat(".pt2", _write_torch_export, _run_torch_export),
    "onnx": GraphFormat(".onnx", _write_onnx, _run_onnx),
}
