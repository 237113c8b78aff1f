"""The losses, in the chunks that the device takes, against plain formulas in float64."""
from __future__ import annotations

from collections.abc import Callable

import torch
import torch.nn.functional as F
from torch import Tensor

from tresnet_mm.models.losses import AsymmetricFocalLoss, AsymmetricLoss
from tresnet_mm.models.losses.chunked_binary_loss import row_chunks

from ..losses import published_asl
from .comparison import compared, relative_error
from .parts import Row
from .settings import Settings

ALLOWED = {torch.float32: 1e-5, torch.float16: 4 * 2.**-10, torch.bfloat16: 4 * 2.**-7}


def focal(logits: Tensor, classes: Tensor, alpha: float = 0.25) -> Tensor:
    """The focal loss of exponent 2, summed; a class that is no column is background."""
    targets = F.one_hot(classes, logits.shape[1] + 1)[:, :-1].to(logits.dtype)
    of_truth = torch.where(targets > 0, logits, -logits)
    balance = torch.where(targets > 0, alpha, 1 - alpha)
    return -(balance * torch.sigmoid(-of_truth)**2 * F.logsigmoid(of_truth)).sum()


def losses(settings: Settings) -> list[Row]:
    """Value and gradient of both families of losses, by the logits' type."""
    torch.manual_seed(0)
    shape = settings.exact_logits
    logits = (torch.randn(shape) * 4).to(settings.device)
    hot = (torch.rand(shape) < 0.05).float().to(settings.device)
    classes = torch.randint(shape[1] + 1, shape[:1]).to(settings.device)
    count = len(list(row_chunks(logits)))
    cases: dict[str, tuple[Callable, Callable, Tensor]] = {
        'AsymmetricLoss 4/1': (AsymmetricLoss(), published_asl, hot),
        'AsymmetricLoss 4/0 detached': (
            AsymmetricLoss(gamma_pos=0, detach_weights=True),
            lambda x, y: published_asl(x, y, gamma_pos=0, detach_weights=True), hot),
        'AsymmetricFocalLoss 2/2': (
            AsymmetricFocalLoss(gamma_pos=2, gamma_neg=2, reduction='sum'), focal, classes)}
    rows = []
    for name, (loss, plain, targets) in cases.items():
        for dtype, allowed in ALLOWED.items():
            x = logits.detach().to(dtype)
            narrow, wide = x.clone().requires_grad_(), x.double().requires_grad_()
            exact = plain(wide, targets.double() if targets is hot else targets)
            found = loss(narrow, targets)
            grads = (torch.autograd.grad(found, narrow)[0], torch.autograd.grad(exact, wide)[0])
            what = f'{name}, {str(dtype).removeprefix("torch.")}, {count} chunks'
            rows.append(compared(f'{what}, value', relative_error(found, exact), 1e-5))
            rows.append(compared(f'{what}, gradient', relative_error(*grads), allowed))
    return rows
