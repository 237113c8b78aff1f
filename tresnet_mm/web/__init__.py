"""The page: images dropped on it, boxes, labels and class maps seen; its server needs gradio."""
