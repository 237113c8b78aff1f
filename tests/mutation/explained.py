"""Mutants that no test here can tell from the original, and why.

Each by its module, what was there, and what took its place.
"""

EXPLAINED: dict[tuple[str, str, str], str] = {
    ('tresnet_mm/datasets/annotations/label_table.py',
     'zip(header[1:], cells[1:], strict=True)', 'zip(header[1:], cells[1:])'):
        'rows of another length than the header are refused before',
    ('tresnet_mm/datasets/annotations/label_table.py', 'True', 'False'):
        'strict of the same zip',
    ('tresnet_mm/datasets/annotations/open_images.py', 'numbers.clear()', 'pass'):
        'gives memory back before the labels are sorted',
    ('tresnet_mm/models/layers/abn_function.py', 'y > 0', 'y >= 0'):
        'at y = 0 both branches are 0',
    ('tresnet_mm/models/losses/chunked_single_label_loss.py',
     'torch.empty(len(logits), dtype=dtype, device=logits.device)',
     'torch.empty(len(logits), dtype=dtype)'):
        'shows on a GPU alone',
}
