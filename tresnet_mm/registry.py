"""The scope ``tresnet_mm``: empty registries below mmdet's, so that it finds what mmdet finds.

What this package has is in mmengine's root registries, which every scope finds. But mmengine's hub
and inferencers take the name of a package for the scope to build in, and import this module for it:
``mmengine.hub.get_model('tresnet_mm::...')``, ``DetInferencer(..., scope='tresnet_mm')``.
"""

import mmdet.registry
from mmengine.registry import Registry

SCOPE = 'tresnet_mm'

REGISTRIES = {
    # A registry imports what its parent would have to import for itself.
    name: Registry(parent.name, parent=parent, scope=SCOPE, locations=list(parent._locations))
    for name, parent in vars(mmdet.registry).items()
    if isinstance(parent, Registry) and parent.scope == 'mmdet'
}
