# For configs whose base brings mmdet's own COCO data: the folder that the environment variable
# COCO_ROOT names, and the data set that checks its annotations. Taken by name, as _base_.coco_root.
coco_root = '{{$COCO_ROOT:data/coco/}}'.rstrip('/') + '/'
coco_loader = dict(dataset=dict(type='CheckedCocoDataset', data_root=coco_root))
coco_evaluator = dict(ann_file=coco_root + 'annotations/instances_val2017.json')
