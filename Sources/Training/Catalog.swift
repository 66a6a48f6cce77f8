public import Canonicalization
public import Datasets
public import Layers
import ONNX
public import Settings

/// The components that a configuration can name: a new one is one line here, or one in a program of one's own.
///
///     let catalog = Catalog.standard.adding([MyCanonicalizerOptions.self])
public struct Catalog: Sendable {
  public private(set) var models: [any ModelOptions.Type] = [
    CanonicalizedOptions.self, AdaptiveOptions.self, ClassPoseOptions.self, OperatorOptions.self,
    TransportOptions.self, RelaxedOptions.self, VariationalOptions.self,
  ]
  public private(set) var tasks: [any Objective.Type] = [
    ClassificationTask.self, RestorationTask.self, SegmentationTask.self, KeypointTask.self,
    DetectionTask.self, VectorTask.self, VectorFieldTask.self, ForecastTask.self, FlowTask.self,
    PoseTask.self,
  ]
  public private(set) var datasets: [any DatasetOptions.Type] = [
    RotatedMNISTOptions.self, UprightMNISTOptions.self, FolderOptions.self, PairsOptions.self,
    IDXOptions.self, TensorsOptions.self, DrawnOptions.self, MNISTPointsOptions.self,
    RotatedMNISTPointsOptions.self, BodiesOptions.self, ParticlesOptions.self, SceneOptions.self,
    PolygonsOptions.self, MovedImagesOptions.self, SteppedDigitsOptions.self, DynamicsOptions.self,
    PlumeOptions.self, DSpritesOptions.self,
  ]
  public private(set) var canonicalizers: [any CanonicalizerOptions.Type] = [
    LearnedOptions.self, OrbitOptions.self, SteerableOptions.self, EnergyOptions.self,
    PrincipalAxesOptions.self, SignedAxesOptions.self, LearnedSignsOptions.self,
    GradientOptions.self, CenterOptions.self, LearnedCenterOptions.self, ScaleOptions.self,
    VectorNeuronOptions.self, SortOptions.self, LearnedSortOptions.self, AssignmentOptions.self,
    IdentityOptions.self, ClassPoseCanonicalizerOptions.self, TextLinesOptions.self,
    PageOptions.self,
    PhotoOptions.self, MeanDirectionsOptions.self,
  ]
  public private(set) var backbones: [any BackboneOptions.Type] = [
    PaperCNNOptions.self, SmallCNNOptions.self, MLPOptions.self, UNetOptions.self,
    PointNetOptions.self, ParticleNetworkOptions.self, PoseCNNOptions.self,
    NoBackboneOptions.self, ONNXOptions.self, AlgebraCNNOptions.self,
  ]

  /// The components of this package.
  public static let standard = Catalog()

  /// The catalog with components of one's own; one of a kind that is there already takes its place.
  public func adding(_ components: [any Options.Type]) -> Catalog {
    var copy = self
    for component in components {
      func add<P>(_ type: P?, to list: inout [P], _ kind: (P) -> String) {
        guard let type else { return }
        list.removeAll { kind($0) == kind(type) }
        list.append(type)
      }
      add(component as? any ModelOptions.Type, to: &copy.models) { $0.kind }
      add(component as? any Objective.Type, to: &copy.tasks) { $0.kind }
      add(component as? any DatasetOptions.Type, to: &copy.datasets) { $0.kind }
      add(component as? any CanonicalizerOptions.Type, to: &copy.canonicalizers) { $0.kind }
      add(component as? any BackboneOptions.Type, to: &copy.backbones) { $0.kind }
    }
    return copy
  }

  /// All components, by what they are.
  public var all: [(role: String, components: [any Options.Type])] {
    [
      ("model", models), ("task", tasks), ("data", datasets), ("canonicalizer", canonicalizers),
      ("backbone", backbones),
    ]
  }
}
