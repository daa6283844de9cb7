"""What reads a bundle and answers an image: manifest, integrity, geometry, ONNX session, the rule between edge
and cloud. A leaf: numpy, pillow, onnxruntime, pydantic and PyYAML are all it needs.
"""
