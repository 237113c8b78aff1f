"""``tresnet://`` names: timm's copies of the published weights on the Hugging Face hub."""

from pathlib import Path

from .download import cache_dir
from .huggingface import HF_SCHEME, fetch_from_hub

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
#: What `fetch` takes.
HUB_SCHEMES = (SCHEME, HF_SCHEME)
FILE = 'model.safetensors'


def fetch(url: str) -> Path:
    """The local file of a ``tresnet://`` or ``hf://`` name: by hand, cached, or downloaded now.

    A ``tresnet://`` file may also be put into PyTorch's hub cache by hand.

    Raises:
        ValueError: If the name is unknown or of another form, or names no one file.
        FileNotFoundError: If the file is not there and cannot be had; it says why, and of
            ``tresnet://`` files, where to put them.
    """
    if url.startswith(HF_SCHEME):
        return fetch_from_hub(url)
    name = url.removeprefix(SCHEME)
    if name not in HUB_FILES:
        raise ValueError(f'unknown checkpoint {url!r}; known are '
                         + ', '.join(SCHEME + known for known in HUB_FILES))
    repo = HUB_FILES[name]
    by_hand = cache_dir() / f'{repo.split("/")[1]}.safetensors'
    if by_hand.is_file():
        return by_hand
    try:
        return fetch_from_hub(f'{HF_SCHEME}{repo}/{FILE}')
    except FileNotFoundError as error:
        from huggingface_hub import constants
        raise FileNotFoundError(
            f'{url} cannot be had: {error}. Get {constants.ENDPOINT}/{repo}/resolve/main/{FILE} on '
            f'another machine and put it at {by_hand}, or give its path as the checkpoint'
        ) from error
