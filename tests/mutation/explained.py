"""Mutants that no test here can tell from the original, and why.

Each by its module, what was there, and what took its place.
"""

EXPLAINED: dict[tuple[str, str, str], str] = {
    ('tresnet_mm/evaluation/multilabel_scores.py',
     "np.argsort(-scores, axis=1, kind='stable')", "np.argsort(-scores, kind='stable')"):
        'the last of two axes is the default',
    ('tresnet_mm/evaluation/multilabel_scores.py',
     'zip(classes, positive.sum(0), *columns, strict=True)',
     'zip(classes, positive.sum(0), *columns)'):
        'columns of one array, whose classes the metric has counted',
    ('tresnet_mm/evaluation/multilabel_scores.py', 'True', 'False'):
        'strict, of the same `zip`',
    ('tresnet_mm/evaluation/multilabel_metric.py',
     'zip(names, scores, strict=True)', 'zip(names, scores)'):
        'both are columns of the same results',
    ('tresnet_mm/evaluation/multilabel_metric.py',
     'zip(*(entry[:_PLAIN] for entry in results), strict=True)',
     'zip(*(entry[:_PLAIN] for entry in results))'):
        'slices of one length',
    ('tresnet_mm/evaluation/multilabel_metric.py',
     'zip(*(entry[_PLAIN:] for entry in results), strict=True)',
     'zip(*(entry[_PLAIN:] for entry in results))'):
        'either two more values or none, which the line before has seen to',
    ('tresnet_mm/evaluation/multilabel_metric.py', 'True', 'False'):
        'strict, of these three',
    ('tresnet_mm/models/losses/asymmetric_term.py',
     'torch.log(q, out=out)', 'torch.log(q)'): 'memory alone',
    ('tresnet_mm/models/losses/asymmetric_term.py',
     '_log(q, x, y, term, out=q)', '_log(q, x, y, term)'): 'memory alone',
    ('tresnet_mm/models/losses/asymmetric_term.py',
     'torch.div(weight, q, out=q)', 'torch.div(weight, q)'): 'memory alone',
    ('tresnet_mm/models/losses/asymmetric_term.py',
     'torch.minimum(log, bound, out=log)', 'torch.minimum(log, bound)'): 'memory alone',
    ('tresnet_mm/models/losses/asymmetric_term.py', '80.0', '81.0'):
        'MAX_LOGIT, a bound beyond which nothing changes',
    ('tresnet_mm/models/losses/asymmetric_term.py', 'exponent <= 16', 'exponent < 16'):
        'the same power by another kernel',
    ('tresnet_mm/models/losses/asymmetric_term.py', '16', '17'):
        'the same power by another kernel',
    ('tresnet_mm/models/losses/asymmetric_term.py', 'exponent >= 1', 'exponent > 1'):
        'the slope of x is 1 by either formula',
    ('tresnet_mm/models/losses/asymmetric_term.py', '0', '1'):
        'where it chooses between two ways that are equal there: a bound on logits whose logarithm '
        'is bounded anyway, a margin of 0, two equal focusing weights',
    ('tresnet_mm/models/losses/two_way_loss.py', '1e+30', '1e+30'):
        'the same number: 1 more is less than a float holds',
    ('tresnet_mm/models/losses/chunked_binary_loss.py', '0', '1'):
        'memory alone: the length of an output that is not used',
    ('tresnet_mm/models/losses/chunked_binary_loss.py', '3', '4'): 'size of a chunk: speed alone',
    ('tresnet_mm/models/losses/chunked_binary_loss.py', '1', '2'): 'size of a chunk: speed alone',
    ('tresnet_mm/models/losses/chunked_binary_loss.py', '15', '16'): 'size of a chunk: speed alone',
    ('tresnet_mm/models/losses/chunked_binary_loss.py', '22', '23'): 'size of a chunk: speed alone',
    ('tresnet_mm/models/losses/chunked_binary_loss.py', 'grad.dtype == pred.dtype',
     'grad.dtype != pred.dtype'): 'memory alone: either branch writes the same product',
    ('tresnet_mm/models/losses/chunked_binary_loss.py',
     'if grad.dtype == pred.dtype:\n    torch.mul(grad, upstream, out=grad_pred[rows])\n'
     'else:\n    grad_pred[rows] = grad.mul_(upstream)',
     'if not grad.dtype == pred.dtype:\n    torch.mul(grad, upstream, out=grad_pred[rows])\n'
     'else:\n    grad_pred[rows] = grad.mul_(upstream)'):
        'memory alone: either branch writes the same product',
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
