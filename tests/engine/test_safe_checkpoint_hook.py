"""What mmengine's checkpoint hook leaves to be removed."""

from mmengine.fileio import LocalBackend

from tresnet_mm.engine.safe_checkpoint_hook import SafeCheckpointHook


def test_files_and_folders_of_old_checkpoints_are_removed(tmp_path):
    """DeepSpeed saves folders."""
    hook = SafeCheckpointHook()
    hook.file_backend = LocalBackend()
    (tmp_path / 'epoch_1.pth').write_bytes(b'')
    (tmp_path / 'epoch_2.pth/shards').mkdir(parents=True)
    (tmp_path / 'epoch_3.pth').write_bytes(b'')
    for name in ('epoch_1.pth', 'epoch_2.pth', 'epoch_0.pth'):  # the last one is gone already
        hook._remove(str(tmp_path / name))
    assert [path.name for path in tmp_path.iterdir()] == ['epoch_3.pth']
