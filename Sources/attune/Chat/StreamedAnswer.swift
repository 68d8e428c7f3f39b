import Generation

/// An answer that appears on standard output as it comes, and that a signal stops.
enum StreamedAnswer {
  /// Generates one answer to `prompt`.
  ///
  /// - Parameter isShown: false keeps standard output for what is to be said of the answer.
  /// - Throws: ``CommandError`` where standard output cannot be written; what the generator throws.
  static func generate(
    _ generator: Generator, _ prompt: [Int32], _ settings: SamplingSettings, isShown: Bool
  ) throws -> GenerationOutput {
    var failure: CommandError?
    let output = try StopSignal.handling {
      try generator.generate(
        [prompt], settings: settings,
        onText: { _, piece in
          guard isShown else { return }
          do throws(CommandError) { try Terminal.output.write(piece) } catch { failure = error }
        }, shouldStop: { StopSignal.isSet || failure != nil })
    }
    if let failure { throw failure }
    return output
  }
}
