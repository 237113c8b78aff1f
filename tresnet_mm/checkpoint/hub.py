"""``tresnet://`` names: timm's copies of the published weights on the Hugging Face hub."""

import os
from pathlib import Path

from .download import cache_dir

#: Name after ``tresnet://`` -> repository on the hub.
HUB_FILES = {
    'm_in1k': 'timm/tresnet_m.miil_in1k',
    'm_in1k_448': 'timm/tresnet_m.miil_in1k_448',
    'm_in21k': 'timm/tresnet_m.miil_in21k',
    'm_in21k_ft_in1k': 'timm/tresnet_m.miil_in21k_ft_in1k',
    'l_in1k': 'timm/tresnet_l.miil_in1k',
    'l_in1k_448': 'timm/tresnet_l.miil_in1k_448',
    'xl_in1k': 'timm/tresnet_xl.miil_in1k',
    'xl_in1k_448': 'timm/tresnet_xl.miil_in1k_448',
    'v2_l_in21k': 'timm/tresnet_v2_l.miil_in21k',
    'v2_l_in21k_ft_in1k': 'timm/tresnet_v2_l.miil_in21k_ft_in1k',
}
SCHEME = 'tresnet://'
FILE = 'model.safetensors'


def fetch(url: str) -> Path:
    """The local file of a ``tresnet://`` name: put there by hand, cached, or downloaded now.

    ``HF_HOME``, ``HF_HUB_OFFLINE``, ``HF_ENDPOINT`` and the other variables of huggingface_hub
    apply, which also keeps processes that ask at the same time from downloading twice.

    Raises:
        ValueError: If the name is unknown.
        FileNotFoundError: If the file is not there and cannot be had; it says where to put it.
    """
    name = url.removeprefix(SCHEME)
    if name not in HUB_FILES:
        raise ValueError(f'unknown checkpoint {url!r}; known are '
                         + ', '.join(SCHEME + known for known in HUB_FILES))
    repo = HUB_FILES[name]
    by_hand = cache_dir() / f'{repo.split("/")[1]}.safetensors'
    if by_hand.is_file():
        return by_hand
    from huggingface_hub import constants, hf_hub_download
    try:
        return Path(hf_hub_download(repo, FILE))
    except Exception as error:  # the library's and its HTTP client's: they differ by version
        offline = ' (HF_HUB_OFFLINE is set)' if os.environ.get('HF_HUB_OFFLINE') else ''
        raise FileNotFoundError(
            f'{url} is not in the cache {constants.HF_HUB_CACHE} and could not be downloaded'
            f'{offline}: {type(error).__name__}. Get {constants.ENDPOINT}/{repo}/resolve/main/'
            f'{FILE} on another machine and put it at {by_hand}, or give its path as the '
            'checkpoint') from error
