"""Engine of TResNet models."""

__all__: list[str] = []
