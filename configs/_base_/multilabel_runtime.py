# The default runtime with pictures of image labels in the place of boxes (docs/seeing.md). A file
# of its own, since mmengine merges no two bases that set one key.
_base_ = './default_runtime.py'

visualizer = dict(type='MultiLabelVisualizer')
