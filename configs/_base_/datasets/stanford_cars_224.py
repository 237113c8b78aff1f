# Stanford Cars at 224 px. STANFORD_CARS_ROOT is the folder of cars_annos.mat and car_ims/.
_base_ = 'single_label_224.py'

dataset = dict(
    type='StanfordCars', ann_file='cars_annos.mat',
    data_root='{{$STANFORD_CARS_ROOT:data/stanford_cars/}}')
train_dataloader = dict(dataset=dict(test=False, **dataset))
val_dataloader = dict(dataset=dict(test=True, **dataset))
test_dataloader = val_dataloader
