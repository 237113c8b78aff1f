import pytest
import torch

from tresnet_mm.models.losses.focal_margin_loss import check_gamma, focal_margin_loss
from tresnet_mm.models.losses.multilabel_entries import multilabel_entries

from .conventions import draw
from .reference import gradient, plain_focal


@pytest.mark.parametrize('soft', [False, True])
@pytest.mark.parametrize('margin, gamma', [(1, 2), (0, 0), (0.5, 3)])
def test_is_the_focal_loss_of_the_positives_above_the_margin(margin, gamma, soft):
    x, y = draw(soft=soft)
    known, weight = draw(seed=3)[1] == 0, torch.linspace(0.5, 2, 6, dtype=torch.float64)
    entries = multilabel_entries(x, y.masked_fill(~known, -1), weight)
    loss = focal_margin_loss(entries, margin, gamma)
    expected = plain_focal(x - margin, gamma) * y * known * weight[:, None]
    torch.testing.assert_close(loss, expected)
    torch.testing.assert_close(gradient(loss, x), gradient(expected, x))


def test_an_exponent_below_0_is_named():
    check_gamma(0)
    for gamma in (-0.1, float('nan')):
        with pytest.raises(ValueError, match=f'gamma must be at least 0, got {gamma}'):
            check_gamma(gamma)
