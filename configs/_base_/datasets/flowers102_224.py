# Oxford Flowers 102 at 224 px. FLOWERS102_ROOT is the folder of jpg/ and the two .mat files.
_base_ = 'single_label_224.py'

dataset = dict(type='Flowers102', data_root='{{$FLOWERS102_ROOT:data/flowers102/}}')
train_dataloader = dict(dataset=dict(split='trainval', **dataset))
val_dataloader = dict(dataset=dict(split='test', **dataset))
test_dataloader = val_dataloader
