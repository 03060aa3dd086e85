"""Running a trained student without torch: model packages and inference on ONNX Runtime."""
