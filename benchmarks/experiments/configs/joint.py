# The small FCOS with an image-level head on its neck, as the demo's; every kind of label score is
# measured in the one test of a trained model.
_base_ = './joint_linear.py'

custom_imports = dict(imports=['tresnet_mm', 'benchmarks.experiments.label_scores_metric'])
model = dict(
    image_head=dict(type='MultiLabelDenseHead', features='neck'),
    image_loss_weight=0.3)
test_evaluator = [*_base_.test_evaluator, dict(type='LabelScoresMetric')]
