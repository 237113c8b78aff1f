"""Which tests are to find the mutants of which modules."""
from __future__ import annotations

from typing import NamedTuple


class Area(NamedTuple):
    """Modules and the tests that are to find their mutants.

    Attributes:
        modules: Patterns below the root of the checkout.
        tests: What pytest is given.
    """

    modules: list[str]
    tests: list[str]


AREAS = {
    'losses': Area(['tresnet_mm/models/losses/*.py'], ['tests/models/losses']),
    'metric': Area(['tresnet_mm/evaluation/multilabel_*.py'],
                   ['tests/evaluation/test_multilabel_metric.py', '-k', 'not two_processes']),
    'mapping': Area([f'tresnet_mm/checkpoint/{name}.py' for name in
                     ('arch', 'conversion', 'formats', 'heads', 'norms')],
                    [f'tests/checkpoint/test_{name}.py' for name in
                     ('arch', 'conversion', 'formats', 'heads', 'norms', 'convert', 'checking')]),
    'abn': Area([f'tresnet_mm/models/layers/{name}.py' for name in
                 ('abn_function', 'group_statistics', 'inplace_abn')],
                [*(f'tests/models/layers/test_{name}.py' for name in
                   ('abn_function', 'group_statistics', 'inplace_abn', 'triton_abn')),
                 '-k', 'not compiles_for_a_gpu and not two_processes']),
    'annotations': Area(['tresnet_mm/datasets/annotations/*.py'], ['tests/datasets/annotations']),
}
