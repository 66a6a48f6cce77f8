public import ArgumentParser
import Foundation
public import Settings
import Synchronization
import TensorCore
public import Training

/// The command, and what one's own executable makes of it.
///
///     import CanonCommands
///
///     Canon.main(adding: [FooOptions.self])   // `canon train` knows {kind: foo}
public struct Canon: ParsableCommand {
  public static let configuration = CommandConfiguration(
    commandName: "canon",
    abstract:
      "Makes any backbone equivariant: brings inputs to a canonical pose, predicts, and brings the "
      + "output back.",
    discussion: """
      EXAMPLES
        canon canonicalize pages scans upright        # a model that comes with canon
        canon canonicalize photos pictures upright    # another one
        canon init photos-by-class --out my.yaml
        canon train my.yaml --out runs/c8
        canon predict runs/c8 my-images
        canon canonicalize runs/c8 my-images canonical
        canon restore canonical back
        canon inspect runs/c8 my-images --out sheet.png
        canon wrap resnet18.onnx --canonicalizer photos \\
          --normalization imagenet --out mine.safetensors
        canon components learned

      Exit status: 0 done, 1 bad input or a failed check, 2 some inputs could not be read, 64 wrong usage, \
      130 interrupted (143 by a request to end).
      """,
    version: "0.2.0",
    subcommands: [
      Init.self, Train.self, Predict.self, Canonicalize.self, Restore.self, Merge.self,
      Evaluate.self, Verify.self, Measure.self, Discover.self, Report.self,
      Inspect.self, Traverse.self, Rollout.self, MeasureDisentanglement.self,
      Poses.self, Calibrate.self, Serve.self, Wrap.self, Export.self,
      Info.self,
      Components.self,
    ])

  private static let known = Mutex(Catalog.standard)

  /// The components that configurations and models can name.
  public static var catalog: Catalog { known.withLock { $0 } }

  /// Runs the command with components of one's own beside those of this package.
  ///
  /// - Parameters:
  ///   - components: Options of canonicalizers, backbones, data sets, tasks, families of models.
  ///   - arguments: Those of the command line by default.
  public static func main(
    adding components: [any Options.Type], _ arguments: [String]? = nil
  ) {
    known.withLock { $0 = $0.adding(components) }
    // Files that are opened must not get the numbers of what is closed: messages would go into them. What is read fails as before, and so
    // does what is written.
    for file in STDIN_FILENO...STDERR_FILENO where fcntl(file, F_GETFD) < 0 {
      _ = unsafe open("/dev/null", file == STDIN_FILENO ? O_WRONLY : O_RDONLY)
    }
    // A limit of files' sizes (ulimit -f) is an error of the write, as a full disk is.
    signal(SIGXFSZ, SIG_IGN)
    // Before anything that would wait for OpenBLAS's threads at its end.
    AddressSpace.explainFailures()
    AddressSpace.require(threads: 1)
    let arguments = arguments ?? Array(CommandLine.arguments.dropFirst())
    let commands =
      configuration.subcommands.map {
        $0.configuration.commandName ?? String(describing: $0).lowercased()
      } + ["help"]
    if let word = arguments.first, !word.hasPrefix("-"), !commands.contains(word) {
      let question = nearest(word, in: commands).map { " Did you mean '\($0)'?" } ?? ""
      exit(
        withError: ValidationError("'\(word)' is no command of canon.\(question)"))
    }
    // A file called -dash.png is no row of flags.
    let words = arguments.map { word in
      word.hasPrefix("-") && !word.hasPrefix("--") && word.utf8.count > 2
        && FileManager.default.fileExists(atPath: word) ? "./\(word)" : word
    }
    do {
      var command = try parseAsRoot(words)
      do { try command.run() } catch let error as ValidationError {
        // Of a command that has begun the usage would be that of `canon`.
        let name = type(of: command).configuration.commandName ?? ""
        note("Error: \(error.message)\n  See 'canon \(name) --help' for more information.")
        exit(withError: ExitCode.validationFailure)
      }
    } catch { exit(withError: error) }
  }

  public init() {}
}
