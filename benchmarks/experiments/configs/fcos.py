_base_ = ['./detection.py', '../../../configs/_base_/models/fcos_tresnet_tiny.py']
