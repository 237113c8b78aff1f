"""The old name of ``tresnet-mm predict``, with its old default for ``--out-dir``.

Examples:
    tresnet-mm image-demo IMAGE_OR_FOLDER CONFIG CHECKPOINT --out-dir demo_out
"""

from collections.abc import Sequence

from . import predict
from .command_line import command


@command('image-demo')
def main(argv: Sequence[str] | None = None) -> None:
    """Predict."""
    predict.run(predict.parse_args(argv, 'image-demo', __doc__, 'demo_out'), 'image-demo')
