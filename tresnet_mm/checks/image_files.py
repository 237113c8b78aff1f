"""Whether the image files of the data sets are there."""

from __future__ import annotations

from collections.abc import Iterator

from .file_listing import missing_files
from .problem import Problem, listed
from .subject import Subject


def check_image_files(subject: Subject) -> Iterator[Problem]:
    """The image files of every data set are there; of more than 200,000 as many are looked for."""
    for dataset in subject.datasets:
        missing = missing_files(dataset.image_files)
        if missing:
            looked = len(dataset.image_files)
            sample = ('' if dataset.size is None or looked >= dataset.size else
                      f' looked for ({dataset.size} in all)')
            yield Problem(f'{len(missing)} of {looked} image files{sample} do not exist: '
                          f'{listed(missing, 4)}', dataset.where('data_prefix'),
                          dataset.cfg.get('data_prefix'), 'the folder that the images are in')
