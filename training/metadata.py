"""EXPORT: what a LiteRT file says of itself, in named metadata of its flatbuffer, and edits that need no new conversion.

A flatbuffer's `metadata` is a list of names, each with a buffer (tensorflow/compiler/mlir/lite/schema/schema.fbs); runtimes
skip names that they do not know. LiteRT's schema is imported inside the functions: web processes and workers never load it.
"""

import json
from collections.abc import Mapping
from typing import Any

import numpy as np

from training.errors import ForeignModel

NAME = "photorally"  # of our entry in a file's metadata
IDENTIFIER = b"TFL3"  # of LiteRT's flatbuffers, from byte 4 on
ALIGNED = 16  # bytes; kernels read constants in place, so each buffer begins at a multiple, as the converter writes them


def attach(file: bytes, facts: Mapping[str, Any]) -> bytes:
    """The file with `facts`, JSON-ready, as its metadata; the same facts and file give the same bytes. Replaces older facts.

    Raises ForeignModel for bytes that are no LiteRT file.
    """
    model = opened(file)
    text = json.dumps(facts, sort_keys=True, ensure_ascii=False, separators=(",", ":")).encode()
    _put(model, NAME, text)
    return written(model)


def read(file: bytes) -> dict[str, Any]:
    """The facts that `attach` wrote; {} where there are none. Raises ForeignModel."""
    model = opened(file)
    for entry in model.metadata or []:
        if entry.name == NAME.encode():
            facts: dict[str, Any] = json.loads(bytes(model.buffers[entry.buffer].data))
            return facts
    return {}


def cooled(file: bytes, temperature: float) -> bytes:
    """An int8 file whose logits are divided by `temperature`, exactly: only scales change, not one of its integers.

    The logits (int8, before the softmax) keep their integers when their scale and those of the head's weights and bias are all
    divided alike. Raises ForeignModel for a file that does not end in a dense layer and a softmax.
    """
    model = opened(file)
    graph, dense = model.subgraphs[0], _head(model)
    for tensor in (graph.tensors[number] for number in (*dense.inputs[1:], dense.outputs[0]) if number >= 0):
        tensor.quantization.scale = np.asarray(tensor.quantization.scale, np.float32) / np.float32(temperature)
    return written(model)


def without_softmax(file: bytes) -> bytes:
    """The file up to its logits, which it gives instead of probabilities: what they are rounded to is lost behind the softmax.

    Raises ForeignModel like `cooled`.
    """
    model = opened(file)
    graph, dense = model.subgraphs[0], _head(model)
    graph.operators = graph.operators[: graph.operators.index(dense) + 1]
    graph.outputs = np.asarray(dense.outputs, np.int32)
    model.signatureDefs = []  # it names the output that is gone
    return written(model)


def _head(model: Any) -> Any:
    """The dense layer in front of the softmax."""
    from ai_edge_litert import schema_py_generated as schema

    graph = model.subgraphs[0]
    codes = [code.builtinCode for code in model.operatorCodes]
    makers = {int(op.outputs[0]): op for op in graph.operators}
    softmax = next((op for op in graph.operators if codes[op.opcodeIndex] == schema.BuiltinOperator.SOFTMAX), None)
    dense = makers.get(int(softmax.inputs[0])) if softmax else None
    if dense is None or codes[dense.opcodeIndex] != schema.BuiltinOperator.FULLY_CONNECTED:
        raise ForeignModel("The file does not end in a dense layer and a softmax: export it anew.")
    return dense


# ---- flatbuffers -------------------------------------------------------------------------------------------------
def opened(file: bytes) -> Any:
    """The file as Python objects of LiteRT's schema."""
    from ai_edge_litert import schema_py_generated as schema

    if file[4:8] != IDENTIFIER:
        raise ForeignModel("It is no LiteRT file. Pass a .tflite file that this project exported.")
    return schema.ModelT.InitFromObj(schema.Model.GetRootAs(file, 0))


def _put(model: Any, name: str, data: bytes) -> None:
    """Name a buffer with `data` in the model's metadata; an entry of this name gets it instead."""
    from ai_edge_litert import schema_py_generated as schema

    buffer = schema.BufferT()
    buffer.data = np.frombuffer(data, np.uint8)
    for entry in model.metadata or []:
        if entry.name == name.encode():
            model.buffers[entry.buffer] = buffer
            return
    entry = schema.MetadataT()
    entry.name, entry.buffer = name.encode(), len(model.buffers)
    model.buffers.append(buffer)
    model.metadata = [*(model.metadata or []), entry]


def written(model: Any) -> bytes:
    """The objects as a flatbuffer again."""
    import flatbuffers

    for buffer in model.buffers:
        buffer.Pack = _packer(buffer)
    builder = flatbuffers.Builder(sum(len(buffer.data) for buffer in model.buffers if buffer.data is not None) + 2**20)
    builder.Finish(model.Pack(builder), IDENTIFIER)
    return bytes(builder.Output())


def _packer(buffer: Any) -> Any:
    """BufferT.Pack with the alignment that the schema asks for and Python's generated code forgets."""
    from ai_edge_litert import schema_py_generated as schema

    def pack(builder: Any) -> int:
        data = None
        if buffer.data is not None and len(buffer.data):
            content = np.asarray(buffer.data, np.uint8).tobytes()
            builder.StartVector(1, len(content), ALIGNED)
            builder.head -= len(content)
            builder.Bytes[builder.head : builder.head + len(content)] = content
            data = builder.EndVector()
        schema.BufferStart(builder)
        if data is not None:
            schema.BufferAddData(builder, data)
        return int(schema.BufferEnd(builder))

    return pack
