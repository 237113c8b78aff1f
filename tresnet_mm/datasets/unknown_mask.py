"""Which labels of a record nobody knows."""

from collections.abc import Mapping
from typing import Any

import numpy as np


def unknown_mask(record: Mapping[str, Any]) -> np.ndarray:
    """Which classes are unknown, bool (num_classes,).

    Args:
        record: Has ``gt_labels`` and ``num_classes``, and either ``unknown_labels`` (none where it
            is missing) or ``absent_labels``, besides which all that is not present is unknown.
    """
    if 'absent_labels' in record:
        unknown = np.ones(record['num_classes'], bool)
        unknown[list(record['absent_labels'])] = False
    else:
        unknown = np.zeros(record['num_classes'], bool)
        unknown[list(record.get('unknown_labels', ()))] = True
    unknown[list(record['gt_labels'])] = False
    return unknown
