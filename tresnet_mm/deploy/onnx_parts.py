"""The parts of an exported graph that quantisation treats apart, told by their structure."""
from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Sequence
from typing import Any

#: What has weights; all else is arithmetic between.
LAYERS = ('Conv', 'Gemm', 'MatMul')
#: What makes one vector of a map.
POOLS = ('GlobalAveragePool', 'ReduceMean')
#: What makes shapes, places and conditions of values, which end there.
ENDS = ('Shape', 'NonZero', 'Equal', 'Greater', 'GreaterOrEqual', 'Less', 'LessOrEqual')
#: What takes values, its first input, from the places that the others say.
TAKERS = ('Gather', 'GatherElements', 'GatherND', 'RoiAlign')
#: Part of a graph -> what it is.
PARTS = {
    'first': 'the layers that the image meets first: the stem',
    'blur': 'the blur pools: depthwise convolutions, all channels by one filter',
    'gates': 'squeeze-and-excitation: the layers behind a pooled map, up to the gate',
    'last': "the layers that no other follows: classes, boxes, a classifier's scores",
    'decoding': 'the arithmetic behind the last layers: scores and boxes of their outputs',
    'between': 'the arithmetic between the layers: shortcuts, activations, norms, pyramids',
}


class OnnxParts:
    """Which nodes of a graph belong to which of `PARTS`.

    The layers in the middle belong to none, nor does `rest`.

    Args:
        graph: ONNX ``GraphProto``; weights are initializers, and every node has a name.

    Attributes:
        layers (set[str]): Names of the nodes with weights.
        nodes (dict[str, set[str]]): Names of the nodes of each of `PARTS`.
        rest (set[str]): Names of the nodes that compute shapes, sizes, places and masks, and of
            those in front of the first layers.
    """

    def __init__(self, graph: Any) -> None:
        self._weights = {tensor.name: tensor for tensor in graph.initializer}
        self._nodes = list(graph.node)
        self._makers = {name: node for node in self._nodes for name in node.output if name}
        self._users: dict[str, list[Any]] = defaultdict(list)
        for node in self._nodes:
            for name in filter(None, node.input):
                self._users[name].append(node)
        layers = {node.name: node for node in self._nodes if self._is_layer(node)}
        inputs = [value.name for value in graph.input if value.name not in self._weights]
        first = self._ahead(inputs[:1], until=self._is_layer) & set(layers)
        behind = {name: self._ahead(node.output) for name, node in layers.items()}
        last = {name for name, after in behind.items() if not after & set(layers)}
        decoding = set().union(*(behind[name] for name in last))
        gates = {name for node in self._nodes if node.op_type == 'Mul' for name in self._gate(node)}
        inner = set().union(*(behind[name] for name in first))
        self.layers = set(layers)
        self.nodes = dict(
            first=first, blur={name for name, node in layers.items() if self._is_blur(node)},
            gates=gates, last=last, decoding=decoding,
            between=inner - self.layers - gates - decoding)
        self.rest = {node.name for node in self._nodes} - self.layers - self.names(list(PARTS))

    def names(self, parts: Sequence[str]) -> set[str]:
        """Names of all nodes of some parts."""
        return set().union(*(self.nodes[part] for part in parts))

    def _is_layer(self, node: Any) -> bool:
        """Whether a node has a matrix of weights; the integral of a distribution has a vector."""
        return node.op_type in LAYERS and any(
            name in self._weights and len(self._weights[name].dims) > 1 for name in node.input)

    def _is_blur(self, node: Any) -> bool:
        if node.op_type != 'Conv' or node.input[1] not in self._weights:
            return False
        from onnx import numpy_helper
        weight = numpy_helper.to_array(self._weights[node.input[1]])
        channels, width, *sides = weight.shape
        return channels > 1 and width == 1 and max(sides) > 1 and bool((weight == weight[:1]).all())

    def _ahead(self, values: Sequence[str], until: Callable[[Any], bool] = lambda node: False
               ) -> set[str]:
        """Names of the nodes that some values reach, not beyond those where ``until`` holds.

        What is made of a value's shape, or taken from the place that it says, is not reached: the
        layers behind the regions of a two-stage detector do not follow those that propose them.
        """
        found: set[str] = set()
        waiting = list(values)
        while waiting:
            value = waiting.pop()
            for node in self._users[value]:
                reaches = node.op_type not in ENDS and (
                    node.op_type not in TAKERS or node.input[0] == value)
                if reaches and node.name not in found:
                    found.add(node.name)
                    if not until(node):
                        waiting += node.output
        return found

    def _gate(self, mul: Any) -> list[str]:
        """The nodes from a pooled map to a sigmoid that ``mul`` multiplies by, and ``mul``."""
        for name in mul.input:
            chain = []
            node = self._makers.get(name)
            while node is not None and node.op_type not in POOLS and node.input:
                chain.append(node)
                node = self._makers.get(node.input[0])
            kinds = [link.op_type for link in chain]
            if node is not None and 'Sigmoid' in kinds and set(kinds) & set(LAYERS):
                return [mul.name, node.name, *(link.name for link in chain)]
        return []
