public import Autodiff
public import Layers
import Symmetry
public import TensorCore

/// A heuristic that leaves some poses to choose from, and a network that chooses: of the ties of a pose
/// that whose form it scores highest.
///
/// Of the principal axes without signs it is PCA with learned directions. Its law follows from the
/// heuristic's: the ties of *g*·*x* are those of *x*, moved by *g*, and their forms the same.
///
/// In training the forms of all ties are weighted by their probabilities, in the likelihood of the mixture; a prior teaches
/// it to choose, for upright data, the tie nearest to the identity.
/// The margin is the smaller one of the heuristic's and of the difference of the two highest scores.
public struct ChosenTie<Base: TrainableCanonicalizer>: TrainableCanonicalizer {
  public let base: Base
  /// From forms to one number each, `[batch, 1]`.
  public let network: any Layer

  public init(_ base: Base, network: any Layer) {
    self.base = base
    self.network = network
  }

  public var action: Base.InputAction { base.action }

  public func act(_ elements: [Element], on batch: Variable) -> Variable {
    base.act(elements, on: batch)
  }

  public var parameters: [(name: String, parameter: Parameter)] {
    base.parameters + network.parameters.map { ("network.\($0.name)", $0.parameter) }
  }

  /// - Complexity: A pass of the network for each tie.
  public func poses(of batch: Tensor) -> [Pose<Element>] {
    let found = base.poses(of: batch)
    let choices = found.map(\.candidates)
    let forms = action.act(onEach: choices.map { $0.map(action.group.inverse) }, of: batch)
    let scores = network(Variable(forms), on: .inference()).value.elements
    var start = 0
    return zip(found, choices).map { pose, elements in
      defer { start += elements.count }
      let best = Pose(scores: scores[start..<start + elements.count], of: elements)
      return Pose(best.element, margin: pose.margin.smaller(best.margin), ties: best.ties)
    }
  }

  public func trainingForms(_ batch: Variable, on tape: Tape) -> TrainingForms {
    let all = base.frameForms(batch)
    let scores = network(Variable(all.forms.value), on: tape).reshaped([all.count, -1])
    // Where a member has fewer ties than others, the weights of those it lacks are 0 before.
    let weights = all.logWeights.map { (scores.permuted([1, 0]) + $0).logSoftmax() }
    let poses = base.poses(of: batch.value)
    let upright = poses.map(nearestToIdentity)
    var forms = TrainingForms(
      forms: all.forms, count: all.count, logWeights: weights,
      priorLoss: weights.map { -$0.picked(upright) }, move: all.move)
    forms.priorLossOfTurned = weights.map { weights in
      { turns in
        -weights.picked(
          zip(poses, turns).map { pose, turn in
            turn.nearest(
              among: pose.candidates.map { action.anyMotion(of: $0).planarIsometry })
          })
      }
    }
    return forms
  }

  /// Which of a pose and its ties the prior is for: upright data are to stay upright.
  private func nearestToIdentity(_ pose: Pose<Element>) -> Int {
    let distances = pose.candidates.map { action.group.distance($0, action.group.identity) }
    return distances.indices.min { distances[$0] < distances[$1] } ?? 0
  }
}

extension ChosenTie: ExportableCanonicalizer where Base: ExportableCanonicalizer {
  public var inputs: any ExportableQuantity { base.inputs }

  public func poseVariables(
    of batch: Variable, on tape: Tape
  ) throws(NotExportable) -> PoseVariables {
    let all = try base.candidateVariables(of: batch, on: tape)
    var scores: [Variable] = []
    for pose in all {
      let form = try base.inputs.act(pose.inverse, on: batch)
      scores.append(network(form, on: tape).reshaped([-1, 1]))
    }
    let table = Variable.concatenated(scores, axis: 1)
    let best = table.firstLargest()
    var chosen = PoseVariables.chosen(best, of: all)
    if all.count > 1 {
      let lead = table.lead(of: best)
      chosen.margin = chosen.margin.map { Variable.smaller($0, lead) } ?? lead
    }
    return chosen
  }
}

extension ChosenTie: ImageCanonicalizer where Base: ImageCanonicalizer {
  public typealias PoseGroup = Base.PoseGroup
}

extension ChosenTie: PointCanonicalizer where Base: PointCanonicalizer {}
