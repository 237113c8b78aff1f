"""A file backend that is none of this machine's, for readers that are to hand ``backend_args`` on.

``backend_args=dict(backend='below_a_folder', folder=...)``; names are relative to the folder.
"""

import os

from mmengine.fileio import LocalBackend, register_backend


class FolderBackend(LocalBackend):
    """Files below a folder by relative names, which without this backend are nowhere."""

    def __init__(self, folder):
        self.folder = str(folder)

    def get(self, filepath):
        return super().get(os.path.join(self.folder, filepath))

    def exists(self, filepath):
        return super().exists(os.path.join(self.folder, filepath))

    def get_local_path(self, filepath):
        return super().get_local_path(os.path.join(self.folder, filepath))


register_backend('below_a_folder', FolderBackend, force=True)


def below(folder):
    """The ``backend_args`` for files below a folder."""
    return dict(backend='below_a_folder', folder=str(folder))
