"""The console commands: one module each, whose ``main(argv=None)`` takes the arguments after it.

``tresnet-mm NAME``, ``python -m tresnet_mm NAME`` and ``tools/NAME.py`` run the same modules.
"""

#: name -> (module of this folder, what it does in one line)
COMMANDS = {
    'train': ('train', 'train a model'),
    'test': ('test', 'evaluate a checkpoint or an exported file'),
    'replay': ('replay', 'run again the step at which a training stopped'),
    'browse': ('browse', 'draw what the data loader gives the model, boxes or labels included'),
    'check': ('check', 'hold config, data and checkpoint against each other before a run'),
    'plot': ('plot', 'draw loss, learning rate and mAP of one or several runs'),
    'flops': ('flops', 'count the multiply-adds and parameters of a model'),
    'predict': ('predict', 'boxes and labels of images: pictures and JSON'),
    'video': ('video', 'boxes and labels of a video, drawn into a copy of it'),
    'image-demo': ('image_demo', 'the old name of predict'),
    'class-map': ('class_map', 'draw where on an image the score of a class comes from'),
    'mistakes': ('mistakes', 'sheets of the worst mistakes of a test run, and doubtful labels'),
    'web': ('web', 'a page in the browser: drop images, move thresholds, see class maps'),
    'swap': ('swap', "put a TResNet in the place of a config's ResNet"),
    'convert': ('convert', "convert a published checkpoint to this package's keys"),
    'publish': ('publish', 'write weights that say what model they are of, and a model card'),
    'export': ('export_onnx', 'export to ONNX and check the file against PyTorch'),
    'quantize': ('quantize', 'an exported file in 8 bits, for speed on a CPU'),
    'calibrate': ('calibrate', 'fit scaling and thresholds of the scores, into a checkpoint'),
    'thresholds': ('thresholds', 'choose the threshold of each class on saved scores'),
    'class-priors': ('class_priors', 'how common each class is, from saved scores'),
    'print-config': ('print_config', 'print a config with its bases and changes merged in'),
    'prepare-data': ('prepare_data', 'own data to a data set, a report and a config that trains'),
    'make-shapes': ('make_shapes', 'write the synthetic data set of the demos'),
    'doctor': ('doctor', 'look over the installation, with the commands that mend it'),
    'mmdet-tool': ('mmdet_tool', "run one of mmdet's own analysis tools"),
}
