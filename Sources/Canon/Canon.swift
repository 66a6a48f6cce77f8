// The whole library by one import.
@_exported public import Autodiff
@_exported public import Canonicalization
@_exported public import Datasets
@_exported public import Disentanglement
@_exported public import Images
@_exported public import Layers
@_exported public import MessagePassing
@_exported public import ONNX
@_exported public import Optimizers
@_exported public import Settings
@_exported public import Symmetry
@_exported public import TensorCore
@_exported public import Training
