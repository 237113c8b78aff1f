"""Mutants that no test here can tell from the original, and why.

Each by its module, what was there, and what took its place.
"""

EXPLAINED: dict[tuple[str, str, str], str] = {
    ('tresnet_mm/checkpoint/arch.py',
     "zip(settings['depths'], settings['blocks'], strict=True)",
     "zip(settings['depths'], settings['blocks'])"):
        'an arch has four of both, which `arch_settings` has seen to',
    ('tresnet_mm/checkpoint/arch.py', 'True', 'False'):
        'strict, of the same `zip`',
    ('tresnet_mm/models/layers/abn_function.py', 'y > 0', 'y >= 0'):
        'at y = 0 both branches are 0',
    ('tresnet_mm/models/layers/abn_function.py', 'True', 'False'):
        'that y is the output of the leaky ReLU, whose input has the same sign',
    ('tresnet_mm/models/losses/chunked_single_label_loss.py',
     'torch.empty(len(logits), dtype=dtype, device=logits.device)',
     'torch.empty(len(logits), dtype=dtype)'):
        'shows on a GPU alone',
}
