public import ArgumentParser

/// The command `canon`.
public struct Canon: ParsableCommand {
  public static let configuration = CommandConfiguration(
    commandName: "canon",
    abstract: "Makes any backbone equivariant: brings images to a canonical pose, predicts, and "
      + "brings the output back.",
    discussion: """
      EXAMPLES
        canon train configs/rotated-mnist-c8.yaml --out runs/c8
        canon predict runs/c8 my-images
        canon canonicalize runs/c8 my-images upright
        canon restore upright back
        canon inspect runs/c8 my-images --out sheet.png

      Exit status: 0 done, 1 bad input or a failed check, 2 some images could not be read,
      64 wrong usage.
      """,
    version: "0.1.0",
    subcommands: [
      Train.self, Predict.self, Canonicalize.self, Restore.self, Evaluate.self, Verify.self,
      Inspect.self, Poses.self, Info.self,
    ])

  public init() {}
}
