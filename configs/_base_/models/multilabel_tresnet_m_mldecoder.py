# TResNet-M with ML-Decoder (arXiv 2111.12933): one query for each of the 80 classes.
_base_ = './multilabel_tresnet_m.py'

model = dict(head=dict(type='MLDecoderHead', num_groups=80, embed_dims=768))
