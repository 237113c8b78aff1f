"""Mutants that behave as the original does, and why: (module, what was there, what took its place).
"""

EXPLAINED: dict[tuple[str, str, str], str] = {
    ('tresnet_mm/models/layers/inplace_abn.py', 'y > 0', 'y >= 0'):
        'at y = 0 both branches are 0',
}
