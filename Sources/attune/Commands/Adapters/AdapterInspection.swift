import ArgumentParser
import Checkpoints
import Datasets
import Foundation
import OrderedCollections
import Recipes
import Text
import Tuners

/// `attune adapters inspect`: what an adapter holds.
struct AdapterInspection: ParsableCommand {
  static let configuration = CommandConfiguration(
    commandName: "inspect",
    abstract: "Show what an adapter holds: method, base, ranks, targets, sizes, norms, numbers that are not finite.",
    discussion: """
      PEFT's, mlx-lm's and AdapterHub's folders are read, without the model. Status 1 where a number is not finite, or the base given with \
      --model is not the one the adapter was trained on.

      Example:
        attune adapters inspect runs/tone --model smollm2
      """)

  @Argument(help: "The adapter's folder, or that of a run.")
  var adapter: String

  @Option(
    name: [.customLong("model"), .customShort("m")],
    help: ArgumentHelp("Also say whether it was trained on this model.", valueName: "name-or-path"))
  var model: String?

  @Flag(help: "List every tensor with shape, type and norm.")
  var tensors = false

  @Flag(help: "Print one JSON object, with every tensor.")
  var json = false

  func run() throws {
    let summary = try AdapterSummary(AdapterPlaces.resolve(adapter))
    let fits = try model.flatMap { try isTrained(summary, on: $0) }
    if json {
      var members = summary.json.object ?? [:]
      if model != nil { members["is_base"] = fits.map(JSON.bool) ?? .null }
      try Terminal.output.write(JSON.object(members).text(.pretty) + "\n")
    } else {
      try Terminal.output.write(words(summary, fits).joined(separator: "\n") + "\n")
    }
    if !summary.damaged.isEmpty {
      throw CommandError(
        "\(counted(summary.damaged.count, "tensor")) hold numbers that are not finite: \(summary.damaged[0].name) …")
    }
    if fits == false { throw CommandError("the adapter was trained on another base than \(model ?? "")") }
  }

  /// What tells a layout from PEFT's.
  private static func note(_ layout: AdapterSummary.Layout) -> String {
    switch layout {
    case .peft: ""
    case .mlx: " (mlx-lm)"
    case .adapterHub: " (AdapterHub)"
    }
  }

  /// Nil where the adapter does not say what it was trained on.
  private func isTrained(_ summary: AdapterSummary, on model: String) throws -> Bool? {
    guard let base = summary.record?.base else { return nil }
    let files = try ModelFiles(ModelStore.standard.resolve(model))
    return try files.baseRecord().isSameModel(as: base)
  }

  private func words(_ summary: AdapterSummary, _ fits: Bool?) -> [String] {
    var table = TextTable()
    table.append("method", summary.method + Self.note(summary.layout))
    table.append("base", summary.base ?? "not said")
    let record = summary.record?.base
    table.append("trained on", record.map { $0.fingerprint } ?? "not recorded")
    if let record { table.append("quantized", record.quantization?.description ?? (record.isFormKnown ? "no" : "not recorded")) }
    if let model { table.append("that is \(model)", fits.map { $0 ? "yes" : "no" } ?? "not known") }
    if !summary.ranks.isEmpty { table.append("rank", summary.ranks.map(String.init).joined(separator: ", ")) }
    table.append("targets", summary.targets.joined(separator: ", "))
    table.append("parameters", summary.parameterCount.grouped)
    table.append("size", "\(summary.byteCount.asBytes) in \(counted(summary.tensors.count, "tensor"))")
    table.append("not finite", summary.damaged.isEmpty ? "none" : summary.damaged.map(\.name).joined(separator: ", "))
    var lines = [summary.path, ""] + table.lines
    if tensors {
      var rows = TextTable([["tensor", "type", "shape", "norm"]], numbers: [3])
      for row in summary.tensors {
        rows.append(row.name, row.info.storedType, "\(row.info.shape)", row.norm.map { $0.shortText } ?? "")
      }
      lines += [""] + rows.lines
    }
    return lines
  }
}

extension Double {
  /// With four significant digits.
  var shortText: String { formatted(.number.precision(.significantDigits(4)).grouping(.never)) }

  /// As a share of a hundred with two significant digits: `4.2 %`.
  var asPercentage: String { (self * 100).formatted(.number.precision(.significantDigits(2)).grouping(.never)) + " %" }
}
