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
    ('tresnet_mm/datasets/annotations/label_table.py',
     'zip(header[1:], cells[1:], strict=True)', 'zip(header[1:], cells[1:])'):
        'rows of another length than the header are refused before',
    ('tresnet_mm/datasets/annotations/label_table.py', 'True', 'False'):
        'strict of the same zip',
    ('tresnet_mm/datasets/annotations/open_images.py', 'numbers.clear()', 'pass'):
        'gives memory back before the labels are sorted',
    ('tresnet_mm/models/layers/abn_function.py', 'y > 0', 'y >= 0'):
        'at y = 0 both branches are 0',
    ('tresnet_mm/checkpoint/formats.py', '8', '9'):
        'MAX_WRAPPERS, which no file comes near',
    ('tresnet_mm/checkpoint/norms.py', 'state_dict[mean] * sign.to(state_dict[mean].dtype)',
     'state_dict[mean] / sign.to(state_dict[mean].dtype)'):
        'a sign is its own inverse',
    ('tresnet_mm/models/layers/inplace_abn.py', '0.0', '1.0'):
        'a momentum that is given and not used, in evaluation',
    ('tresnet_mm/models/layers/abn_function.py', '0.0', '1.0'):
        'a momentum that is given and not used, in evaluation',
    ('tresnet_mm/models/layers/abn_function.py', 'not training or group is not None',
     'not training and group is not None'):
        'computes a gradient that is replaced',
    ('tresnet_mm/models/layers/abn_function.py', 'training and group is not None',
     'training or group is not None'):
        'computes sums that are not used',
    ('tresnet_mm/models/layers/abn_function.py', 'need_x and training', 'need_x or training'):
        'computes sums that are not used',
    ('tresnet_mm/models/layers/abn_function.py', '32', '33'):
        'FEWEST_SIDE_BY_SIDE, on which speed alone depends',
    ('tresnet_mm/models/layers/abn_function.py', '9', '10'):
        'the Nones at the end of the gradients, of which autograd takes any number',
    ('tresnet_mm/models/layers/abn_function.py',
     'need_x and (not per_process)', 'need_x or not per_process'):
        'computes a gradient that is replaced or not used',
    ('tresnet_mm/models/layers/abn_function.py', 'True', 'False'):
        'that y is the output of the leaky ReLU, whose input has the same sign',
    ('tresnet_mm/models/losses/chunked_single_label_loss.py',
     'torch.empty(len(logits), dtype=dtype, device=logits.device)',
     'torch.empty(len(logits), dtype=dtype)'):
        'shows on a GPU alone',
    ('tresnet_mm/datasets/annotations/coco_objects.py',
     'zip(file.category_ids(classes), names, strict=True)',
     'zip(file.category_ids(classes), names)'):
        'there is one id a name, or category_ids has raised',
    ('tresnet_mm/datasets/annotations/coco_objects.py', 'True', 'False'):
        'the strict of the same zip',
    ('tresnet_mm/datasets/annotations/coco_values.py',
     'kinds <= {int, str}', 'kinds < {int, str}'):
        'the way for floats gives the same, slower',
    ('tresnet_mm/datasets/annotations/file_names.py', "return ''", 'return None'):
        'of a private function; asked is only whether there is a fault',
}
