"""For which torch and CUDA there are wheels of mmcv with its operators, and where they are.

pip's usual index has mmcv as a source archive alone; each line has wheels of its own, one page for
each CUDA and torch. The tables are what the two projects list in their installation guides; a
combination that is not in them has to be compiled.
"""

from __future__ import annotations

OFFICIAL_PAGE = 'https://download.openmmlab.com/mmcv/dist/{cuda}/torch{torch}.0/index.html'
ONEDL_PAGE = 'https://mmwheels.onedl.ai/{cuda}-torch{torch}0/simple/onedl-mmcv/'

#: OpenMMLab's mmcv -> system -> torch -> CUDA.
OFFICIAL: dict[str, dict[str, dict[tuple[int, ...], tuple[str, ...]]]] = {
    '2.1.0': {
        'Linux': {(2, 1): ('cpu', 'cu118', 'cu121')},
        'Windows': {(2, 1): ('cpu', 'cu118', 'cu121')},
        'Darwin': {(2, 1): ('cpu',)},
    },
    '2.2.0': {
        'Linux': {(2, minor): ('cpu', 'cu118', 'cu121') for minor in (2, 3, 4)},
        'Windows': {(2, minor): ('cpu', 'cu118', 'cu121') for minor in (2, 3)},
    },
}

#: OneDL's: torch -> CUDA; on Linux alone, and not for every Python.
ONEDL: dict[tuple[int, ...], tuple[str, ...]] = {
    (2, 8): ('cpu', 'cu128', 'cu129'),
    (2, 9): ('cpu', 'cu129'),
    (2, 10): ('cpu', 'cu129'),
    (2, 12): ('cpu', 'cu130'),
}


def cuda_tag(cuda: str) -> str:
    """'12.1' as 'cu121', and no CUDA as 'cpu'."""
    return f'cu{cuda.replace(".", "")}' if cuda else 'cpu'


def official_version(torch: tuple[int, ...]) -> str:
    """The official mmcv for a torch: 2.1.0 as mmdet asks, or 2.2.0 for those that need that."""
    return '2.2.0' if (2, 2) <= torch < (2, 5) else '2.1.0'


def official_page(system: str, architecture: str, torch: tuple[int, ...], cuda: str) -> str:
    """The page with OpenMMLab's wheel; empty where OpenMMLab built none.

    Args:
        system: 'Linux', 'Windows' or 'Darwin'.
        architecture: As ``platform.machine()`` has it.
        torch: Major and minor version.
        cuda: The CUDA that torch is made for, such as '12.1'; empty for the CPU.
    """
    built = OFFICIAL[official_version(torch)].get(system, {}).get(torch, ())
    if cuda_tag(cuda) not in built or not (system == 'Darwin' or _is_x86(architecture)):
        return ''
    return OFFICIAL_PAGE.format(cuda=cuda_tag(cuda), torch='.'.join(map(str, torch)))


def onedl_page(system: str, architecture: str, torch: tuple[int, ...], cuda: str) -> str:
    """The page with OneDL's wheels, arguments as of `official_page`; empty where it has none."""
    if cuda_tag(cuda) not in ONEDL.get(torch, ()) or system != 'Linux' or not _is_x86(architecture):
        return ''
    return ONEDL_PAGE.format(cuda=cuda_tag(cuda), torch=''.join(map(str, torch)))


def _is_x86(architecture: str) -> bool:
    return architecture.lower() in ('x86_64', 'amd64')
