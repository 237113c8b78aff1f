"""The old name of ``tresnet-mm predict``, with its old default for ``--out-dir``."""

from collections.abc import Sequence

from . import predict


def main(argv: Sequence[str] | None = None) -> None:
    """Predict."""
    predict.main(argv, 'image-demo', 'demo_out')
